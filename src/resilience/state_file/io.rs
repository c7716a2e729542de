//! Reads a state file, and replaces it atomically with one that only its owner may read (mode 0600).
//!
//! Does not: return errors; it logs them, because the program continues without a file that cannot be read or written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::Failing;

/// The state files whose failure was logged. This is a static, because a `StateFile` is created again for each use, and
/// two of the same path must not log the same failure.
static FAILING: Mutex<Failing> = Mutex::new(Failing::new());

/// One state file of the program.
#[derive(Debug, Clone)]
pub struct StateFile {
    path: PathBuf,
    /// What the file holds, for the log.
    what: &'static str,
    /// The longest content that is accepted, in bytes.
    limit: u64,
}

impl StateFile {
    /// The file `name` in `directory`; neither of them has to exist. The file holds `what`, in at most `limit` bytes.
    pub fn new(directory: &Path, name: &str, what: &'static str, limit: u64) -> Self {
        Self { path: directory.join(name), what, limit }
    }

    /// The content of the file; `None` if it does not exist, cannot be read, or is too long. A file that is too long is
    /// set aside.
    pub fn read(&self) -> Option<Vec<u8>> {
        match self.try_read() {
            Ok(bytes) if bytes.len() as u64 > self.limit => {
                self.set_aside("too long");
                None
            }
            Ok(bytes) => Some(bytes),
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                None
            }
            Err(error) => {
                self.log_failure(&format!("cannot be read ({error})"));
                None
            }
        }
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the content of the file by `bytes`, unless they are equal. Returns whether the file holds `bytes` now.
    pub fn write(&self, bytes: &[u8]) -> bool {
        if self.try_read().is_ok_and(|old| old == bytes) {
            return true;
        }
        match self.replace(bytes) {
            Ok(()) => {
                let mut failing = FAILING.lock().unwrap_or_else(PoisonError::into_inner);
                if failing.on_success(&self.path) {
                    log::info!("{}: written again", self.path.display());
                }
                true
            }
            Err(error) => {
                self.log_failure(&format!("cannot be written ({error})"));
                false
            }
        }
    }

    /// Gives the file the extension `torn`, so that a person can inspect it. Call this when the content is malformed;
    /// `why` is logged. An older file of that name is overwritten.
    pub fn set_aside(&self, why: &str) {
        let aside = self.path.with_extension("torn");
        match fs::rename(&self.path, &aside) {
            Ok(()) => log::warn!(
                "{}: malformed {} ({why}); renamed to {}",
                self.path.display(),
                self.what,
                aside.display()
            ),
            Err(error) => {
                self.log_failure(&format!("malformed ({why}), and cannot be renamed ({error})"))
            }
        }
    }

    fn try_read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(&self.path)?.take(self.limit + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes a new file and renames it over the old one: a power cut leaves one of the two, complete. Only the owner
    /// may read the file, because some state files hold secrets.
    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let new = self.path.with_extension("new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options.open(&new).and_then(|mut file| {
            // A file that an earlier try left behind may have other permissions.
            let rights = file.metadata()?;
            if rights.is_file() && rights.mode() & 0o077 != 0 {
                file.set_permissions(fs::Permissions::from_mode(0o600))?;
            }
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&new, &self.path)
        });
        if written.is_err() {
            // An incomplete file takes disk space that other files may need.
            let _ = fs::remove_file(&new);
        }
        written
    }

    fn log_failure(&self, failure: &str) {
        let mut failing = FAILING.lock().unwrap_or_else(PoisonError::into_inner);
        if failing.on_failure(&self.path) {
            log::warn!("{}: {} {failure}; continuing without it", self.path.display(), self.what);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const LIMIT: u64 = 100;

    /// A directory that is removed when the test ends.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("state-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self) -> StateFile {
            StateFile::new(&self.0, "file", "things", LIMIT)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
            let mut names: Vec<String> =
                entries.map(|entry| name(entry).into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Whether a failure of this file was logged, without a success since.
    fn is_failing(file: &StateFile) -> bool {
        FAILING.lock().unwrap().0.contains(&file.path)
    }

    #[test]
    fn only_the_owner_may_read_the_file() {
        let directory = Scratch::new("rights");
        fs::write(directory.0.join("file.new"), "left by a power cut").unwrap();
        assert!(directory.file().write(b"a secret"));
        let mode = fs::metadata(directory.0.join("file")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn written_content_reads_back_and_equal_content_is_not_written_again() {
        use std::os::unix::fs::MetadataExt;
        let directory = Scratch::new("back");
        let file = StateFile::new(&directory.0.join("made/for/it"), "file", "things", LIMIT);
        assert_eq!(file.read(), None);
        file.write(b"a");
        assert_eq!(file.read().unwrap(), b"a");
        let inode = || fs::metadata(&file.path).unwrap().ino();
        let first = inode();
        file.write(b"a");
        assert_eq!(inode(), first);
        file.write(b"b");
        assert_ne!(inode(), first);
        assert!(!is_failing(&file));
        assert_eq!(fs::metadata(&file.path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_full_disk_leaves_the_old_file_complete() {
        let directory = Scratch::new("full");
        let file = directory.file();
        file.write(b"old");
        symlink("/dev/full", directory.0.join("file.new")).unwrap();
        file.write(b"new");
        assert!(is_failing(&file));
        assert_eq!(file.read().unwrap(), b"old");
        assert_eq!(directory.names(), ["file"]);
        file.write(b"new");
        assert!(!is_failing(&file), "there is room again");
        assert_eq!(file.read().unwrap(), b"new");
    }

    #[test]
    fn a_failure_to_write_is_recorded() {
        let directory = Scratch::new("place");
        fs::write(directory.0.join("no-directory"), "").unwrap();
        let file = StateFile::new(&directory.0.join("no-directory"), "file", "things", LIMIT);
        assert_eq!(file.read(), None);
        assert!(!is_failing(&file), "a missing file is not a failure");
        file.write(b"a");
        file.write(b"b");
        assert!(is_failing(&file));
        assert_eq!(StateFile::new(Path::new("/proc/nowhere"), "f", "things", 9).read(), None);
    }

    #[test]
    fn an_unreadable_file_gives_no_content() {
        let directory = Scratch::new("unread");
        let file = directory.file();
        fs::create_dir(&file.path).unwrap();
        assert_eq!(file.read(), None);
        assert!(is_failing(&file));
    }

    #[test]
    fn a_file_that_is_too_long_is_renamed() {
        let directory = Scratch::new("long");
        let file = directory.file();
        fs::write(&file.path, vec![b'a'; 100]).unwrap();
        assert_eq!(file.read().unwrap().len(), 100);
        fs::write(&file.path, vec![b'a'; 101]).unwrap();
        assert_eq!(file.read(), None);
        assert_eq!(directory.names(), ["file.torn"]);
        assert_eq!(file.read(), None);
        file.write(b"a");
        fs::write(&file.path, vec![b'b'; 200]).unwrap();
        assert_eq!(file.read(), None);
        assert_eq!(fs::read(directory.0.join("file.torn")).unwrap(), vec![b'b'; 200]);
    }

    #[test]
    fn a_file_that_cannot_be_renamed_stays() {
        let directory = Scratch::new("stuck");
        let file = directory.file();
        fs::write(&file.path, "torn").unwrap();
        fs::create_dir(directory.0.join("file.torn")).unwrap();
        file.set_aside("for the test");
        assert!(is_failing(&file));
        assert_eq!(directory.names(), ["file", "file.torn"]);
    }
}
