//! The file of a ledger: appended to and replaced durably, read by its owner only (mode 0600), written by one process.
//!
//! Does not: decide what is written; `Ledger` does.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::Recorded;

/// The longest file that is read, in bytes; a ledger keeps its file shorter than half of this.
const FILE_BYTES: u64 = 1 << 20;

/// The file of a ledger, locked against other processes until it is dropped.
#[derive(Debug)]
pub struct LedgerFile {
    path: PathBuf,
    file: File,
}

/// Why a ledger's file cannot be used.
#[derive(Debug)]
pub enum OpenError {
    /// Another process writes it.
    InUse,
    /// It cannot be opened, read or locked.
    Io(io::Error),
}

/// Reads a ledger's file, which another process may write. Empty if it does not exist.
pub fn read(path: &Path) -> io::Result<String> {
    match File::open(path) {
        Ok(file) => text(&file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

impl LedgerFile {
    /// Opens and locks the file at `path`; creates it, and its directory, if it does not exist. Returns its content too.
    pub fn open(path: &Path) -> Result<(Self, String), OpenError> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(OpenError::Io)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let file = options.open(path).map_err(OpenError::Io)?;
        lock(&file)?;
        let content = text(&file).map_err(OpenError::Io)?;
        Ok((Self { path: path.to_owned(), file }, content))
    }

    /// Carries out the write that a ledger asks for. The text is on the disk when this returns `Ok`.
    pub fn write(&mut self, write: &Recorded) -> io::Result<()> {
        match write {
            Recorded::Covered => Ok(()),
            Recorded::Append(text) => {
                self.file.write_all(text.as_bytes())?;
                self.file.sync_data()
            }
            Recorded::Replace(text) => self.replace(text),
        }
    }

    /// Renames a new file over the old one, and syncs the directory: lines that are appended later must not go to a
    /// file that a power cut brings back under this name.
    fn replace(&mut self, text: &str) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&new)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        lock(&file).map_err(|_| io::Error::from(io::ErrorKind::WouldBlock))?;
        fs::rename(&new, &self.path)?;
        self.file = file;
        match self.path.parent() {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    }
}

fn lock(file: &File) -> Result<(), OpenError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse),
        Err(TryLockError::Error(error)) => Err(OpenError::Io(error)),
    }
}

/// The content of a file; bytes that are not UTF-8 are replaced, so that only their line is malformed.
fn text(file: &File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("ledger-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }

        fn path(&self) -> PathBuf {
            self.0.join("made/for/it/spend")
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn lines_are_appended_after_a_replacement_and_only_the_owner_reads_them() {
        let scratch = Scratch::new("append");
        let (mut file, content) = LedgerFile::open(&scratch.path()).unwrap();
        assert_eq!(content, "");
        for (write, expected) in [
            (Recorded::Append("a\n".to_owned()), "a\n"),
            (Recorded::Append("b\n".to_owned()), "a\nb\n"),
            (Recorded::Covered, "a\nb\n"),
            (Recorded::Replace("c\n".to_owned()), "c\n"),
            (Recorded::Append("d\n".to_owned()), "c\nd\n"),
        ] {
            file.write(&write).unwrap();
            assert_eq!(read(&scratch.path()).unwrap(), expected);
            assert_eq!(fs::metadata(scratch.path()).unwrap().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_second_process_cannot_write_the_file_also_after_a_replacement() {
        let scratch = Scratch::new("lock");
        let (mut file, _) = LedgerFile::open(&scratch.path()).unwrap();
        for _ in 0..2 {
            assert!(matches!(LedgerFile::open(&scratch.path()), Err(OpenError::InUse)));
            file.write(&Recorded::Replace("a\n".to_owned())).unwrap();
        }
        drop(file);
        assert_eq!(LedgerFile::open(&scratch.path()).unwrap().1, "a\n");
    }

    #[test]
    fn a_missing_file_is_empty_and_a_directory_is_an_error() {
        let scratch = Scratch::new("missing");
        assert_eq!(read(&scratch.path()).unwrap(), "");
        fs::create_dir_all(scratch.path()).unwrap();
        assert!(matches!(LedgerFile::open(&scratch.path()), Err(OpenError::Io(_))));
    }
}
