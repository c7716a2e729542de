//! Opens an output, and writes to it: a file, a named pipe, standard output, or what `stream` and `datagrams` write to.
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
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::datagrams::Datagrams;
use super::numbered::NumberedFile;
use super::stream::Streaming;
use crate::MediaError;
use crate::target::{Numbered, Target};
use mpegts::{PACKET, SYNC};

/// The pause before a full pipe is tried again; a pipe holds a third of a second at 2 Mbit/s.
pub(super) const TURN: Duration = Duration::from_millis(5);

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
    /// The identity of the output's file at present, if it exists.
    pub fn identity(&self) -> Option<Identity> {
        match self {
            Self::File(path) => Identity::of(path),
            Self::Stdout => Identity::of(Path::new("/dev/stdout")),
            Self::Numbered(_) | Self::Udp(_) | Self::Stream(_) => None,
        }
    }

    /// Opens the output `name`, to write from the beginning of a segment. Never waits for the reader of a pipe. May wait
    /// for a name server or a driver.
    pub(super) fn open(&self, name: &str) -> Result<Opened, MediaError> {
        match self {
            Self::File(path) => open_file(path).map(Opened::File),
            Self::Stdout => stdout()
                .map(|file| Opened::File(OpenFile { file, path: None, numbered: None }))
                .map_err(|error| MediaError::writing(Path::new("-"), &error)),
            Self::Numbered(files) if files.is_mp4() => {
                Streaming::mp4(files, name).map(Box::new).map(Opened::Stream)
            }
            Self::Numbered(files) => open_numbered(files).map(Opened::File),
            Self::Udp(place) => Datagrams::open(place).map(Opened::Datagrams),
            Self::Stream(stream) => Streaming::open(stream, name).map(Box::new).map(Opened::Stream),
        }
    }
}

/// Opens standard output. Do not write with `io::stdout()`, which buffers all bytes after the last line break.
fn stdout() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

fn open_numbered(files: &Numbered) -> Result<OpenFile, MediaError> {
    let numbered = NumberedFile::open(files)?;
    let path = Some(numbered.path().to_owned());
    let file = numbered.file().try_clone();
    let file = file.map_err(|error| MediaError::writing(&files.path, &error))?;
    Ok(OpenFile { file, path, numbered: Some(numbered) })
}

fn open_file(path: &Path) -> Result<OpenFile, MediaError> {
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
        Ok(true) => Ok(OpenFile { file, path: Some(path.to_owned()), numbered: None }),
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
pub(super) enum Opened {
    File(OpenFile),
    Datagrams(Datagrams),
    Stream(Box<Streaming>),
}

/// Whether to continue to write to an open output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// Continue.
    Current,
    /// The next file is due.
    Full,
    /// The path leads to another file or to none.
    Moved,
}

impl Opened {
    /// Whether to continue to write to the output. If not, finish it and open it again. Call it when a segment begins.
    pub(super) fn fit(&self, now: Instant) -> Fit {
        match self {
            Self::File(file) => file.fit(now),
            Self::Stream(stream) if stream.is_full(now) => Fit::Full,
            Self::Datagrams(_) | Self::Stream(_) => Fit::Current,
        }
    }

    /// Writes all of `bytes`. Waits while the output has no room, until `is_left` returns true.
    pub(super) fn write(
        &mut self,
        bytes: &Bytes,
        is_left: impl Fn() -> bool,
    ) -> Result<(), MediaError> {
        match self {
            Self::File(file) => file.write(bytes, is_left),
            Self::Datagrams(datagrams) => datagrams.write(bytes, is_left),
            Self::Stream(stream) => stream.write(bytes, is_left),
        }
    }

    /// The bytes that the output has taken, if writing alone does not say so.
    pub(super) fn taken(&self) -> Option<u64> {
        match self {
            Self::File(_) | Self::Datagrams(_) => None,
            Self::Stream(stream) => Some(stream.taken()),
        }
    }

    /// Completes what was written, in a limited time. Call it before an output that works is dropped.
    pub(super) fn finish(&self) {
        if let Self::Stream(stream) = self {
            stream.finish();
        }
    }
}

/// A file, a pipe or standard output that is open.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: File,
    /// The path at which the file was opened; `None` for standard output.
    path: Option<PathBuf>,
    /// The numbered file that is written, if the output has numbered files.
    numbered: Option<NumberedFile>,
}

impl OpenFile {
    fn fit(&self, now: Instant) -> Fit {
        let Some(path) = &self.path else { return Fit::Current };
        let own = self.file.metadata().ok().map(|known| Identity::known(&known));
        match &self.numbered {
            _ if own != Identity::of(path) => Fit::Moved,
            Some(numbered) if numbered.is_full(now) => Fit::Full,
            Some(_) | None => Fit::Current,
        }
    }

    fn write(&mut self, mut bytes: &[u8], is_left: impl Fn() -> bool) -> Result<(), MediaError> {
        if let Some(numbered) = &mut self.numbered {
            numbered.make_room()?;
        }
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
