//! Makes a peer's text safe to show: one line of bounded length, without characters that control a terminal or forge
//! log lines.
//!
//! Control characters can move a terminal's cursor. Control characters and Unicode's line separators can forge a line
//! of the log. Unicode's direction marks reorder the text around them. Each such character becomes a space.
//!
//! Does not: hide secrets. Where a peer may echo one, use [`without_urls`], or remove it first as `payment` does.

/// Longest text of a peer that is shown, in characters.
pub const MESSAGE_CHARS: usize = 200;

/// Sanitizes a peer's message: one line of at most [`MESSAGE_CHARS`] characters.
pub fn message(text: &str) -> String {
    line(text, MESSAGE_CHARS)
}

/// Like [`message`], with each URL replaced by `***`: a channel's URL is a credential.
pub fn without_urls(text: &str) -> String {
    let hidden = |word: &str| if word.contains("://") { "***".to_owned() } else { word.to_owned() };
    // Characters beyond these would be cut off anyway.
    let head: String = text.chars().take(MESSAGE_CHARS + 1).collect();
    message(&head.split(' ').map(hidden).collect::<Vec<_>>().join(" "))
}

/// Sanitizes `text` into one line of at most `max_chars` characters. A text that is cut ends in `…`.
pub fn line(text: &str, max_chars: usize) -> String {
    let harmless = |c| if is_harmful(c) { ' ' } else { c };
    match text.char_indices().nth(max_chars) {
        None => text.chars().map(harmless).collect(),
        Some(_) => {
            let kept = max_chars.saturating_sub(1);
            text.chars().map(harmless).take(kept).chain(['…']).collect()
        }
    }
}

/// Whether a character controls the terminal, breaks the line or changes the direction of text.
pub fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(line(text, 8), expected);
    }

    #[test]
    fn harmful_characters_become_spaces() {
        check("a\r\nb\0", "a  b ");
        check("\u{1b}[31mred", " [31mred");
        check("\u{9b}2J\u{7f}", " 2J ");
        check("a\u{2028}b\u{202e}c", "a b c");
        check("déjà 東京", "déjà 東京");
    }

    #[test]
    fn urls_are_hidden() {
        assert_eq!(without_urls("GET https://o/s3cret failed (http://a)"), "GET *** failed ***");
        assert_eq!(without_urls("a\nhttps://o/s3cret b"), "*** b");
        assert_eq!(without_urls("no  URL: //"), "no  URL: //");
        let long = format!("{} https://o/s3cret", "x".repeat(MESSAGE_CHARS - 5));
        assert!(!without_urls(&long).contains("https://o"), "{}", without_urls(&long));
    }

    #[test]
    fn long_texts_are_cut_by_characters() {
        check("12345678", "12345678");
        check("123456789", "1234567…");
        check(&"\u{1F600}".repeat(9), &format!("{}…", "\u{1F600}".repeat(7)));
        assert_eq!(message(&"x".repeat(1 << 20)).chars().count(), MESSAGE_CHARS);
        assert_eq!(line("ab", 0), "…");
        assert_eq!(line("", 0), "");
    }
}
