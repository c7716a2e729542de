//! Makes what a peer says fit for one line on a terminal or in a log: harmless, and of bounded length.
//!
//! Control characters could move a terminal's cursor or begin a line of their own in the log; so could
//! Unicode's line separators, and its marks of direction reorder what stands around them. Each becomes a
//! space.
//!
//! Does not: hide secrets; `payment` does that where a peer may send them back.

/// Characters of a peer's message that are shown.
pub const MESSAGE_CHARS: usize = 200;

/// `text` in one line of at most [`MESSAGE_CHARS`] characters.
pub fn shown(text: &str) -> String {
    line(text, MESSAGE_CHARS)
}

/// The same of what a program on a peer says, without its URLs: they may be credentials.
pub fn said(text: &str) -> String {
    let hidden = |word: &str| if word.contains("://") { "***".to_owned() } else { word.to_owned() };
    // No more than can be shown is looked at.
    let head: String = text.chars().take(MESSAGE_CHARS + 1).collect();
    shown(&head.split(' ').map(hidden).collect::<Vec<_>>().join(" "))
}

/// `text` in one line of at most `most` characters; what is cut off shows as `…`.
pub fn line(text: &str, most: usize) -> String {
    let harmless = |c| if is_harmful(c) { ' ' } else { c };
    match text.char_indices().nth(most) {
        None => text.chars().map(harmless).collect(),
        Some(_) => text.chars().map(harmless).take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Whether a character does more than show itself.
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
        assert_eq!(said("GET https://o/s3cret failed (http://a)"), "GET *** failed ***");
        assert_eq!(said("a\nhttps://o/s3cret b"), "*** b");
        assert_eq!(said("no  URL: //"), "no  URL: //");
        let long = format!("{} https://o/s3cret", "x".repeat(MESSAGE_CHARS - 5));
        assert!(!said(&long).contains("https://o"), "{}", said(&long));
    }

    #[test]
    fn long_texts_are_cut_by_characters() {
        check("12345678", "12345678");
        check("123456789", "1234567…");
        check(&"\u{1F600}".repeat(9), &format!("{}…", "\u{1F600}".repeat(7)));
        assert_eq!(shown(&"x".repeat(1 << 20)).chars().count(), MESSAGE_CHARS);
        assert_eq!(line("ab", 0), "…");
        assert_eq!(line("", 0), "");
    }
}
