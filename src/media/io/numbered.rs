//! Opens the next of the numbered files of an output, and removes the oldest ones.
//!
//! Each file is a new one: a file that exists is never opened again, so a crash cannot truncate or overwrite it.
//!
//! Does not: write video.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::MediaError;
use crate::numbered::{self, FILES, Files, Naming};
use crate::target::Numbered;
use resilience::utc::digits;

/// How often another name is tried, if a file that another program made has it.
const NAMES: u64 = 100;

/// The file that is being written.
#[derive(Debug)]
pub(super) struct NumberedFile {
    options: Numbered,
    number: u64,
    file: File,
    path: PathBuf,
    opened: Instant,
    /// The bytes that the file may have, given the sizes of the existing files.
    room: u64,
}

impl NumberedFile {
    /// Makes the next file, and removes old ones first.
    pub(super) fn open(options: &Numbered) -> Result<Self, MediaError> {
        make(options).map_err(|error| MediaError::writing(&options.path, &error))
    }

    /// The file, to write to.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// The path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the next file is due. Call it when a segment begins.
    pub(super) fn is_full(&self, now: Instant) -> bool {
        let is_old = |time| now.duration_since(self.opened) >= time;
        self.options.file_time.is_some_and(is_old)
            || self.options.most_of_one().is_some_and(|most| self.bytes() >= most)
    }

    /// Removes old files if this one has grown beyond its room.
    pub(super) fn make_room(&mut self) -> Result<(), MediaError> {
        let bytes = self.bytes();
        if bytes <= self.room {
            return Ok(());
        }
        let directory = directory(&self.options.path);
        let naming = Naming::of(&self.options.path);
        let room = list(&self.options, &naming)
            .and_then(|found| {
                let others = found.into_iter().filter(|file| file.number != self.number);
                remove(&directory, &naming, Files::new(&self.options, others.collect()), bytes)
            })
            .map_err(|error| MediaError::writing(&self.options.path, &error))?;
        // If no file can be removed, nothing more is done until the next file begins.
        self.room = room.room().max(bytes);
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |known| known.len())
    }
}

fn make(options: &Numbered) -> io::Result<NumberedFile> {
    let (directory, naming) = (directory(&options.path), Naming::of(&options.path));
    let files = Files::new(options, list(options, &naming)?);
    let files = remove(&directory, &naming, files, 0)?;
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let began = digits(clock.as_secs());
    let first = files.next_number();
    for number in first..first.saturating_add(NAMES) {
        let path = directory.join(naming.name(&numbered::File { number, began, bytes: 0 }));
        match OpenOptions::new().append(true).create_new(true).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(file) => {
                let room = files.room();
                let (options, opened) = (options.clone(), Instant::now());
                return Ok(NumberedFile { options, number, file, path, opened, room });
            }
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// The existing files of this output.
fn list(options: &Numbered, naming: &Naming) -> io::Result<Vec<numbered::File>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory(&options.path))? {
        let entry = entry?;
        let file = entry.file_name().to_str().and_then(|name| naming.read(name, 0));
        if let Some(file) = file.filter(|_| found.len() < 2 * FILES) {
            // A file that was removed meanwhile does not count.
            if let Ok(known) = entry.metadata() {
                found.push(numbered::File { bytes: known.len(), ..file });
            }
        }
    }
    Ok(found)
}

/// Removes the oldest of `files`, so that one more of `bytes` has room. Returns those that are left.
fn remove(directory: &Path, naming: &Naming, mut files: Files, bytes: u64) -> io::Result<Files> {
    while let Some(old) = files.pop(bytes) {
        match fs::remove_file(directory.join(naming.name(&old))) {
            // A file that is gone already is not a failure.
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(files)
}

/// The directory of the files.
fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}
