//! The small files of the state directory: pinned certificates, results of encoder trials, the last good list of
//! orchestrators, the last working configuration, ends of jobs that are not confirmed yet,
//! parameters set while a job ran.
//!
//! | what happens | what is done | in the log |
//! |---|---|---|
//! | the directory is missing and cannot be created, or is not writable; the disk is full | the agent continues without the file | one line per file at the first failure, one at the recovery |
//! | a file that is too long | it is renamed to `*.torn`, and its content is not used | one line |
//! | malformed content | the module that uses the file has it renamed to `*.torn`, and may use the valid part | one line |
//! | the new content equals the old one | the file is not written, because flash memory wears out | |
//!
//! Does not: parse a file; the module that uses the file does, and calls `set_aside` if the content is malformed.

pub mod io;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The state files whose failure was logged: one entry for each of the program's state files at most.
#[derive(Debug, Default)]
struct Failing(BTreeSet<PathBuf>);

impl Failing {
    const fn new() -> Self {
        Self(BTreeSet::new())
    }

    /// Returns whether to log this failure: true for the first one of a file since its last success.
    fn on_failure(&mut self, path: &Path) -> bool {
        self.0.insert(path.to_owned())
    }

    /// Returns whether to log the recovery: true if a failure was logged before.
    fn on_success(&mut self, path: &Path) -> bool {
        self.0.remove(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_logged_once_for_each_file_until_it_recovers() {
        let mut failing = Failing::new();
        let (a, b) = (Path::new("a"), Path::new("b"));
        assert!(failing.on_failure(a) && failing.on_failure(b));
        assert!(!failing.on_failure(a) && !failing.on_failure(b));
        assert!(failing.on_success(a) && !failing.on_success(a));
        assert!(failing.on_failure(a) && !failing.on_failure(b));
    }
}
