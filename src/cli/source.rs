//! Translates `--source` into keys of the configuration.
//!
//! A path alone is a camera if it is a device, else a file.
//!
//! Does not: check the values; the configuration does, with all other problems.

use std::fs;
use std::os::unix::fs::FileTypeExt;

use super::UsageError;

/// Translates a text such as `file:PATH` into keys of the configuration.
pub(super) fn source_keys(text: &str) -> Result<Vec<(String, String)>, UsageError> {
    let (kind, rest) = text.split_once(':').map_or((text, None), |(kind, rest)| (kind, Some(rest)));
    let (kind, key) = match (kind, rest.filter(|rest| !rest.is_empty())) {
        ("test" | "auto" | "libcamera" | "nvargus", None) if rest.is_none() => (kind, None),
        // The key also takes a file:// URL.
        ("file", Some(path)) if path.starts_with("//") => (kind, Some(("source.path", text))),
        ("file", Some(path)) => (kind, Some(("source.path", path))),
        ("v4l2", Some(device)) => (kind, Some(("source.device", device))),
        ("rtsp" | "rtsps", Some(_)) => ("rtsp", Some(("source.url", text))),
        ("pipeline", Some(fragment)) => (kind, Some(("source.fragment", fragment))),
        (_, _) => match fs::metadata(text) {
            Ok(known) if known.file_type().is_char_device() => {
                ("v4l2", Some(("source.device", text)))
            }
            Ok(_) => ("file", Some(("source.path", text))),
            // A text that looks like a path is one; the run reports that the file is missing.
            Err(_) if text.starts_with("/dev/") => ("v4l2", Some(("source.device", text))),
            Err(_) if text.contains('/') && !text.contains("://") => {
                ("file", Some(("source.path", text)))
            }
            Err(_) => {
                return Err(UsageError::NotAllowed {
                    option: "source",
                    found: text.to_owned(),
                    allowed: "test, auto, libcamera, nvargus, PATH, file:PATH, v4l2:DEVICE, rtsp://HOST/PATH, pipeline:FRAGMENT",
                });
            }
        },
    };
    let keys = [("source.kind", kind)].into_iter().chain(key);
    Ok(keys.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: [(&str, &str); 2]) {
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(source_keys(text), Ok(expected.to_vec()), "{text}");
    }

    #[test]
    fn a_path_is_a_camera_if_it_is_a_device_else_a_file() {
        let file = |path| [("source.kind", "file"), ("source.path", path)];
        let camera = |path| [("source.kind", "v4l2"), ("source.device", path)];
        check("Cargo.toml", file("Cargo.toml"));
        check("./Cargo.toml", file("./Cargo.toml"));
        check("/dev/null", camera("/dev/null"));
        check("/no/such/film.mp4", file("/no/such/film.mp4"));
        check("films/a: b.mp4", file("films/a: b.mp4"));
        check("/dev/video99", camera("/dev/video99"));
        check("file:/no/such/film.mp4", file("/no/such/film.mp4"));
        check("file:///srv/a%20b.mp4", file("file:///srv/a%20b.mp4"));
        assert!(source_keys("film.mp4").is_err());
        assert!(source_keys("https://o.example/film.mp4").is_err());
    }
}
