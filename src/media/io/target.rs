//! Opens the output for returned video: a file, a named pipe, or standard output.
//!
//! New segments are appended to a file's contents, so the file must be empty or hold MPEG-TS. An incomplete packet at
//! its end, as a full disk leaves it, is removed first. A pipe is opened and written without waiting for its reader, so
//! that a reader that is gone cannot block a thread.
//!
//! Does not: try again; `playback` does.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::MediaError;
use mpegts::{PACKET, SYNC};

/// The pause before a full pipe is tried again; a pipe holds a third of a second at 2 Mbit/s.
const TURN: Duration = Duration::from_millis(5);

/// The destination of an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A file or a named pipe.
    File(PathBuf),
    /// Standard output, written `-`.
    Stdout,
}

/// Identifies a file to the kernel, independent of its names and links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// The identity of the file or directory at `path`, if it exists.
    pub fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|known| Self::known(&known))
    }

    fn known(known: &fs::Metadata) -> Self {
        Self { device: known.dev(), inode: known.ino() }
    }
}

impl Target {
    /// The name of the output in the log.
    pub fn path(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Stdout => "-".into(),
        }
    }

    /// The identity of the output's file at present, if it exists.
    pub fn identity(&self) -> Option<Identity> {
        match self {
            Self::File(path) => Identity::of(path),
            Self::Stdout => {
                stdout().and_then(|file| file.metadata()).ok().map(|m| Identity::known(&m))
            }
        }
    }

    /// Opens the output. Opens the output without waiting for the reader of a pipe. Begin to write at the beginning of
    /// a segment.
    pub(crate) fn open(&self) -> Result<Opened, MediaError> {
        match self {
            Self::File(path) => open_file(path),
            Self::Stdout => stdout()
                .map(|file| Opened { file, path: None })
                .map_err(|error| MediaError::writing(&self.path(), &error)),
        }
    }
}

/// Opens standard output. Do not write with `io::stdout()`, which buffers all bytes after the last line break.
fn stdout() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

fn open_file(path: &Path) -> Result<Opened, MediaError> {
    let known = fs::metadata(path).ok();
    // Refuse a block device: writing would overwrite it.
    if known.as_ref().is_some_and(|known| known.file_type().is_block_device()) {
        return Err(MediaError::NotAnOutput(path.to_owned()));
    }
    let is_pipe = known.is_some_and(|known| known.file_type().is_fifo());
    let mut options = OpenOptions::new();
    let opened = options.append(true).create(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = opened.map_err(|error| match error.raw_os_error() {
        Some(libc::ENXIO) if is_pipe => MediaError::NoReader(path.to_owned()),
        _ if error.kind() == ErrorKind::IsADirectory => MediaError::NotAnOutput(path.to_owned()),
        _ => MediaError::writing(path, &error),
    })?;
    match is_growable(&file, path) {
        Ok(true) => Ok(Opened { file, path: Some(path.to_owned()) }),
        Ok(false) => Err(MediaError::NotAnOutput(path.to_owned())),
        Err(error) => Err(MediaError::writing(path, &error)),
    }
}

/// Whether segments may be appended to `file`. Removes an incomplete packet at its end.
fn is_growable(file: &File, path: &Path) -> io::Result<bool> {
    let known = file.metadata()?;
    if !known.is_file() || known.len() == 0 {
        return Ok(true);
    }
    if known.len() < PACKET as u64 {
        return Ok(false);
    }
    // Check the first packets and not the last, as a power cut may have filled the end with zeros.
    let content = File::open(path)?;
    let second = (known.len() > PACKET as u64).then_some(PACKET as u64);
    for at in [0].into_iter().chain(second) {
        let mut byte = [0];
        content.read_exact_at(&mut byte, at)?;
        if byte != [SYNC] {
            return Ok(false);
        }
    }
    trim(file)?;
    Ok(true)
}

/// Removes an incomplete packet, left by a full disk or a power cut, from the end of a file.
fn trim(file: &File) -> io::Result<()> {
    let length = file.metadata()?.len();
    if whole(length) == length {
        return Ok(());
    }
    file.set_len(whole(length))
}

/// `length` rounded down to whole packets.
fn whole(length: u64) -> u64 {
    length - length % PACKET as u64
}

/// An output that is open.
#[derive(Debug)]
pub(crate) struct Opened {
    file: File,
    /// The path at which the file was opened; `None` for standard output.
    path: Option<PathBuf>,
}

impl Opened {
    /// Whether the path still leads to this file. If the file was moved or removed, open the output again.
    pub(super) fn is_current(&self) -> bool {
        let Some(path) = &self.path else { return true };
        let own = self.file.metadata().ok().map(|known| Identity::known(&known));
        own == Identity::of(path)
    }

    /// Writes all of `bytes`. Waits while a pipe is full, until `is_left` returns true.
    pub(super) fn write(
        &mut self,
        mut bytes: &[u8],
        is_left: impl Fn() -> bool,
    ) -> Result<(), MediaError> {
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(0) => return Err(self.failed(&ErrorKind::WriteZero.into())),
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && !is_left() => {
                    thread::sleep(TURN);
                }
                Err(error) => return Err(self.failed(&error)),
            }
        }
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> MediaError {
        let path = self.path.as_deref().unwrap_or(Path::new("-"));
        if error.kind() == ErrorKind::BrokenPipe {
            return MediaError::NoReader(path.to_owned());
        }
        // Leave only whole packets for readers, in case the file is never written again.
        if self.path.is_some() && self.file.metadata().is_ok_and(|known| known.is_file()) {
            let _ = trim(&self.file);
        }
        MediaError::writing(path, error)
    }
}
