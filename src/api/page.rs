//! The files of the page, embedded in the program.
//!
//! Does not: generate content; only what a browser does not need is left out of the files below `page/`.

/// A file of the page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PageFile {
    /// The path of the file in URLs.
    path: &'static str,
    /// The content type of the file.
    pub(super) content_type: &'static str,
    /// The content of the file.
    pub(super) bytes: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file without its indentation, empty lines and, if it is a script, lines of comments: a seventh of all bytes.
macro_rules! file_of {
    ($path:literal, $content_type:ident, $source:literal) => {{
        const SOURCE: &[u8] = include_bytes!($source);
        const IS_SCRIPT: bool = matches!($source.as_bytes(), [.., b'.', b'j', b's']);
        const LENGTH: usize = slim::<0>(SOURCE, IS_SCRIPT).1;
        const SLIM: [u8; LENGTH] = slim::<LENGTH>(SOURCE, IS_SCRIPT).0;
        PageFile { path: $path, content_type: $content_type, bytes: &SLIM }
    }};
}

/// All files of the page.
static FILES: [PageFile; 12] = [
    file_of!("/", HTML, "page/index.html"),
    file_of!("/style.css", CSS, "page/style.css"),
    file_of!("/icon.svg", SVG, "page/icon.svg"),
    file_of!("/page.js", SCRIPT, "page/page.js"),
    file_of!("/api.js", SCRIPT, "page/api.js"),
    file_of!("/player.js", SCRIPT, "page/player.js"),
    file_of!("/chain.js", SCRIPT, "page/chain.js"),
    file_of!("/charts.js", SCRIPT, "page/charts.js"),
    file_of!("/params.js", SCRIPT, "page/params.js"),
    file_of!("/events.js", SCRIPT, "page/events.js"),
    file_of!("/names.js", SCRIPT, "page/names.js"),
    file_of!("/words.js", SCRIPT, "page/words.js"),
];

/// The first bytes of `source` without indentation, empty lines and comments, and how many bytes there are in all.
const fn slim<const N: usize>(source: &[u8], is_script: bool) -> ([u8; N], usize) {
    let (mut out, mut length) = ([0; N], 0);
    let mut room: &mut [u8] = &mut out;
    let (mut left, mut begins, mut is_left_out) = (source, true, false);
    while let [byte, rest @ ..] = left {
        left = rest;
        is_left_out |= begins && is_script && is_comment(*byte, rest);
        // An indentation leaves the line at its beginning, as does the end of an empty one.
        let is_blank = begins && matches!(byte, b' ' | b'\n');
        if !is_left_out && !is_blank {
            length += 1;
            if let [place, more @ ..] = room {
                *place = *byte;
                room = more;
            }
        }
        begins = is_blank || *byte == b'\n';
        is_left_out &= *byte != b'\n';
    }
    (out, length)
}

/// Whether a line of a script that begins with this byte and goes on with `rest` is a comment.
const fn is_comment(byte: u8, rest: &[u8]) -> bool {
    match (byte, rest) {
        (b'/', [b'/' | b'*', ..]) | (b'*', [b' ' | b'/', ..]) => true,
        (_, _) => false,
    }
}

/// The file at this path.
pub(super) fn file(path: &str) -> Option<&'static PageFile> {
    FILES.iter().find(|file| file.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{MODEL, TYPES};

    #[test]
    fn the_page_is_small_and_asks_no_other_host() {
        let bytes: usize = FILES.iter().map(|file| file.bytes.len()).sum();
        assert!(bytes <= 60 << 10, "{bytes} bytes");
        for file in &FILES {
            // The name of an XML namespace, which is never loaded.
            let text = text(file).replace("\"http://www.w3.org/2000/svg\"", "");
            for other in ["://", "\"//", "'//", "`//", "(//"] {
                assert!(!text.contains(other), "{}: {other}", file.path);
            }
        }
    }

    #[test]
    fn only_indentation_and_comments_are_left_out() {
        #[track_caller]
        fn check(source: &str, is_script: bool, expected: &str) {
            let (bytes, length) = slim::<200>(source.as_bytes(), is_script);
            assert_eq!(std::str::from_utf8(&bytes[..length]).unwrap(), expected);
        }
        let script = "// Says it.\n\nlet a = 1; // so\n  /** Two\n   * lines. */\n  b(a);\n";
        check(script, true, "let a = 1; // so\nb(a);\n");
        check(
            "/* All */\n* { a: 0; }\n  b { c: 1; }",
            false,
            "/* All */\n* { a: 0; }\nb { c: 1; }",
        );
    }

    #[test]
    fn no_line_of_a_script_is_within_a_text() {
        // A text of several lines would lose its indentation, and its lines like `// this`.
        for file in FILES.iter().filter(|file| file.content_type == SCRIPT) {
            for line in text(file).replace("\"`\"", "").lines() {
                assert!(line.matches('`').count() % 2 == 0, "{}: {line}", file.path);
            }
        }
    }

    #[test]
    fn each_type_of_event_has_its_words() {
        let words = text(file("/events.js").unwrap());
        for row in TYPES.iter().filter(|row| row.name != MODEL) {
            assert!(words.contains(&format!("\n{}: \"", row.name)), "{}", row.name);
        }
    }

    #[test]
    fn nothing_in_the_page_needs_a_looser_policy() {
        let html = text(&FILES[0]);
        for inline in ["<style", " style=", "javascript:", " onclick=", " onload="] {
            assert!(!html.contains(inline), "{inline}");
        }
        assert_eq!(
            html.matches("<script").count(),
            html.matches("<script type=\"module\" src=").count()
        );
    }

    #[test]
    fn every_file_that_the_page_names_is_served() {
        for file in &FILES {
            for start in ["from \"./", "src=\"", "href=\""] {
                for rest in text(file).split(start).skip(1) {
                    let name = rest.split('"').next().unwrap();
                    let is_answer = ["openapi.json", "metrics"].contains(&name);
                    let is_inside = name.starts_with('#');
                    assert!(
                        is_answer || is_inside || self::file(&format!("/{name}")).is_some(),
                        "{name}"
                    );
                }
            }
        }
        assert_eq!(file("/page/page.js"), None);
    }

    fn text(file: &PageFile) -> &'static str {
        std::str::from_utf8(file.bytes).unwrap()
    }
}
