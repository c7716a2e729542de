//! The files of the page, embedded in the program.
//!
//! Does not: generate content; the files below `page/` are embedded unchanged.

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

const fn file_of(path: &'static str, content_type: &'static str, bytes: &'static [u8]) -> PageFile {
    PageFile { path, content_type, bytes }
}

/// All files of the page.
static FILES: [PageFile; 12] = [
    file_of("/", HTML, include_bytes!("page/index.html")),
    file_of("/style.css", CSS, include_bytes!("page/style.css")),
    file_of("/icon.svg", SVG, include_bytes!("page/icon.svg")),
    file_of("/page.js", SCRIPT, include_bytes!("page/page.js")),
    file_of("/api.js", SCRIPT, include_bytes!("page/api.js")),
    file_of("/player.js", SCRIPT, include_bytes!("page/player.js")),
    file_of("/chain.js", SCRIPT, include_bytes!("page/chain.js")),
    file_of("/charts.js", SCRIPT, include_bytes!("page/charts.js")),
    file_of("/params.js", SCRIPT, include_bytes!("page/params.js")),
    file_of("/events.js", SCRIPT, include_bytes!("page/events.js")),
    file_of("/names.js", SCRIPT, include_bytes!("page/names.js")),
    file_of("/words.js", SCRIPT, include_bytes!("page/words.js")),
];

/// The file at this path.
pub(super) fn file(path: &str) -> Option<&'static PageFile> {
    FILES.iter().find(|file| file.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

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
