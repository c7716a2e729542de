//! The files of the page, embedded in the program.
//!
//! Does not: make the page's content; the files below `page/` are it.

/// A file of the page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PageFile {
    /// Its path.
    path: &'static str,
    /// Its content type.
    pub(super) content_type: &'static str,
    /// Its content.
    pub(super) bytes: &'static [u8],
}

/// All files of the page.
static FILES: [PageFile; 3] = [
    PageFile {
        path: "/",
        content_type: "text/html; charset=utf-8",
        bytes: include_bytes!("page/index.html"),
    },
    PageFile {
        path: "/style.css",
        content_type: "text/css; charset=utf-8",
        bytes: include_bytes!("page/style.css"),
    },
    PageFile {
        path: "/page.js",
        content_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("page/page.js"),
    },
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
            let text = std::str::from_utf8(file.bytes).unwrap();
            assert!(!text.contains("src=\"http") && !text.contains("url(http"), "{}", file.path);
        }
    }
}
