//! The names of a rotated file: `PATH`, and for older events `PATH.1`, `PATH.2` and so on.
//!
//! The oldest is renamed first, so that an end in the middle of a rotation leaves every event under one of the names; a
//! name that is missing then is filled by the next rotation.
//!
//! Does not: rename files; `io::file` does.

use std::path::{Path, PathBuf};

/// The renames of a rotation, in their order, with `older` older files at most. There are none if `older` is 0: remove
/// the present file instead.
pub(super) fn renames(path: &Path, older: u32) -> Vec<(PathBuf, PathBuf)> {
    (0..older).rev().map(|nth| (nth_name(path, nth), nth_name(path, nth + 1))).collect()
}

fn nth_name(path: &Path, nth: u32) -> PathBuf {
    if nth == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{nth}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_moves_first_and_overwrites_what_is_too_old() {
        let shown = |older| -> Vec<String> {
            let renames = renames(Path::new("d/e.jsonl"), older);
            renames.iter().map(|(a, b)| format!("{} {}", a.display(), b.display())).collect()
        };
        assert_eq!(shown(2), ["d/e.jsonl.1 d/e.jsonl.2", "d/e.jsonl d/e.jsonl.1"]);
        assert_eq!(shown(0), [""; 0]);
    }
}
