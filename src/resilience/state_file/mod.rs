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

/// The files in trouble that the log was told of. There are as many as the program has state files.
#[derive(Debug, Default)]
struct Told(BTreeSet<PathBuf>);

impl Told {
    const fn new() -> Self {
        Self(BTreeSet::new())
    }

    /// Trouble with this file: whether it is worth a line.
    fn on_trouble(&mut self, path: &Path) -> bool {
        self.0.insert(path.to_owned())
    }

    /// It worked: the next trouble is a new one. Whether there was any.
    fn on_success(&mut self, path: &Path) -> bool {
        self.0.remove(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_once_for_each_file_until_it_is_over() {
        let mut told = Told::new();
        let (a, b) = (Path::new("a"), Path::new("b"));
        assert!(told.on_trouble(a) && told.on_trouble(b));
        assert!(!told.on_trouble(a) && !told.on_trouble(b));
        assert!(told.on_success(a) && !told.on_success(a));
        assert!(told.on_trouble(a) && !told.on_trouble(b));
    }
}
