//! The small files of the state directory: certificates, encoders, the last good list of orchestrators, the last working
//! configuration.
//!
//! | what happens | what is done | in the log |
//! |---|---|---|
//! | no directory, or none that can be written; a full disk | the agent goes on without | one line for each file, until it works again |
//! | a file that is torn or too long | it is set aside, what of it makes sense is kept | one line |
//! | nothing has changed | nothing is written: flash memory wears out | |
//!
//! Does not: know what stands in a file; its owner reads that, and says when it makes no sense.

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
