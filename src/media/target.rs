//! Where an output goes: a file, standard output, a network address, a display, or a user's own pipeline.
//!
//! Does not: open anything; `io::target` and `io::stream` do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use resilience::secret::SecretSource;

/// Where an output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A file to which each run appends MPEG-TS, or a named pipe.
    File(PathBuf),
    /// Files that are numbered beside this path: MPEG-TS, or MP4 if the path ends with `.mp4`.
    Numbered(Numbered),
    /// Standard output, written `-`.
    Stdout,
    /// UDP datagrams of MPEG-TS to this host and port.
    Udp(String),
    /// A pipeline of GStreamer.
    Stream(StreamTarget),
}

/// Files that follow each other, none of which is written again after it was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// The path from which the name of each file is made, with a number and the time.
    pub path: PathBuf,
    /// The size at which the next file begins.
    pub file_bytes: Option<u64>,
    /// The time after which the next file begins.
    pub file_time: Option<Duration>,
    /// The files that are kept; older ones are removed.
    pub max_files: Option<usize>,
    /// The bytes of all files that are kept; older files are removed.
    pub max_bytes: Option<u64>,
}

/// An output that GStreamer writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamTarget {
    /// The display of this device.
    Display,
    /// An RTMP server.
    Rtmp(Address),
    /// An RTSP server that records.
    Rtsp(Address),
    /// An SRT receiver, or callers if the URL has `mode=listener`.
    Srt(Address),
    /// The end of a pipeline, written by the user.
    Pipeline {
        /// The description of the elements.
        fragment: String,
        /// What the pipeline receives.
        feed: Feed,
    },
}

/// What a user's pipeline receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Feed {
    /// MPEG-TS.
    #[default]
    Ts,
    /// Decoded video.
    Video,
}

/// The URL of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A URL that is not secret.
    Plain(String),
    /// The place of a URL that is a secret, such as one with a stream key or a password. It is read at each opening.
    Secret(SecretSource),
}

impl Target {
    /// The kind, as in the configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::File(_) | Self::Numbered(_) => "file",
            Self::Stdout => "stdout",
            Self::Udp(_) => "udp",
            Self::Stream(StreamTarget::Display) => "display",
            Self::Stream(StreamTarget::Rtmp(_)) => "rtmp",
            Self::Stream(StreamTarget::Rtsp(_)) => "rtsp",
            Self::Stream(StreamTarget::Srt(_)) => "srt",
            Self::Stream(StreamTarget::Pipeline { .. }) => "pipeline",
        }
    }

    /// The path of a file, or `-` for standard output.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Numbered(numbered) => Some(&numbered.path),
            Self::Stdout => Some(Path::new("-")),
            Self::Udp(_) | Self::Stream(_) => None,
        }
    }
}

impl Numbered {
    /// Whether the files are MP4.
    pub fn is_mp4(&self) -> bool {
        is_mp4(&self.path)
    }

    /// The size at which the next file begins. It is at most half of what all files may have, so that one file and the
    /// one before it have room.
    pub(crate) fn most_of_one(&self) -> Option<u64> {
        let half = self.max_bytes.map(|most| most / 2);
        [self.file_bytes, half].into_iter().flatten().min()
    }
}

/// Whether a file of this name is MP4.
pub fn is_mp4(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("mp4"))
}
