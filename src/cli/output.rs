//! The returned video on its way to the file or to standard output that the user named.
//!
//! A file that something else needs is refused before anything is started: the input, the configuration, what is
//! stored, and what holds something other than MPEG-TS.
//!
//! Does not: write by itself; `media::io::Output` has a thread for that.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::{Error, Settings};
use crate::config::{Config, Output as Choice};
use livepeer_gateway::segment::Seq;
use livepeer_gateway::trickle::io::SegmentSink;
use media::io::{Identity, Output, Target};
use media::{MediaError, Source};

/// How long what is left may take to be written at the end.
const CLOSE_TIME: Duration = Duration::from_millis(300);

/// Why returned video goes nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputError {
    /// It would be written into a file that something else needs.
    Taken {
        /// The output.
        path: PathBuf,
        /// What needs the file.
        by: &'static str,
    },
    /// It would be written among the stored input.
    InStore(PathBuf),
    /// It cannot be written.
    Media(MediaError),
}

impl OutputError {
    /// Whether the configuration has to be changed.
    pub(super) fn is_usage(&self) -> bool {
        match self {
            Self::Taken { .. } | Self::InStore(_) => true,
            Self::Media(error) => matches!(error, MediaError::NotAnOutput(_)),
        }
    }
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { path, by } => {
                let path = path.display();
                write!(f, "output.path: {path} is the same file as {by}: name another one")
            }
            Self::InStore(path) => {
                let path = path.display();
                write!(f, "output.path: {path} is in store.directory: name another directory")
            }
            Self::Media(error) => error.fmt(f),
        }
    }
}

/// Refuses an output that would destroy what something else needs.
pub(super) fn check(config: &Config, settings: &Settings) -> Result<(), OutputError> {
    let Some(target) = target(&config.output) else { return Ok(()) };
    let store = config.media.store.as_ref().map(|store| store.directory.as_path());
    let folder = match &target {
        Target::File(path) => path.parent().map(|folder| match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        }),
        Target::Stdout => None,
    };
    let folder = folder.and_then(Identity::of);
    if folder.is_some() && store.and_then(Identity::of) == folder {
        return Err(OutputError::InStore(target.path()));
    }
    let source = if let Source::File { path, .. } = &config.media.source {
        Some(("source.path", path.as_path()))
    } else if let Source::V4l2 { device, .. } = &config.media.source {
        Some(("source.device", device.as_path()))
    } else {
        None
    };
    let file = settings.file.as_deref().map(|file| ("the configuration", file));
    let own = target.identity();
    match source
        .into_iter()
        .chain(file)
        .find(|(_, path)| own.is_some() && Identity::of(path) == own)
    {
        Some((by, _)) => Err(OutputError::Taken { path: target.path(), by }),
        None => Ok(()),
    }
}

fn target(choice: &Choice) -> Option<Target> {
    match choice {
        Choice::None => None,
        Choice::Stdout => Some(Target::Stdout),
        Choice::File(path) => Some(Target::File(path.clone())),
    }
}

/// The user's output, if there is one.
#[derive(Clone, Default)]
pub(super) struct Outlet {
    output: Option<Arc<Mutex<Output>>>,
    /// The next bytes are the first ones of a segment.
    begins: bool,
}

impl Outlet {
    /// Opens what the configuration names. What cannot be opened now is opened later, unless the error `ends` that.
    pub(super) fn open(
        config: &Config,
        settings: &Settings,
        ends: impl Fn(&MediaError) -> bool,
    ) -> Result<Self, Error> {
        check(config, settings).map_err(Error::Output)?;
        let Some(target) = target(&config.output) else { return Ok(Self::default()) };
        let output = Output::open(target, ends);
        let output = output.map_err(|error| Error::Output(OutputError::Media(error)))?;
        Ok(Self { output: Some(Arc::new(Mutex::new(output))), begins: false })
    }

    /// The sinks to give to the agent: one, or none without an output.
    pub(super) fn sinks(&self) -> Vec<Box<dyn SegmentSink>> {
        match self.output {
            Some(_) => vec![Box::new(self.clone())],
            None => Vec::new(),
        }
    }

    /// Waits until all is written, a short time. The error is why the output is not being written at the end.
    pub(super) async fn close(self) -> Result<(), Error> {
        match self.output.and_then(Arc::into_inner) {
            Some(output) => {
                let output = output.into_inner().unwrap_or_else(PoisonError::into_inner);
                let dropped = output.dropped();
                if dropped > 0 {
                    log::warn!("{dropped} bytes of returned video were not written");
                }
                let closed = output.close(CLOSE_TIME).await;
                closed.map_err(|error| Error::Output(OutputError::Media(error)))
            }
            None => Ok(()),
        }
    }
}

impl SegmentSink for Outlet {
    fn begin(&mut self, _seq: Seq, _content_type: &str) {
        self.begins = true;
    }

    fn bytes(&mut self, bytes: &Bytes) {
        let begins = std::mem::take(&mut self.begins);
        if let Some(output) = &self.output {
            output.lock().unwrap_or_else(PoisonError::into_inner).push(bytes.clone(), begins);
        }
    }

    fn end(&mut self, _complete: bool) {}
}
