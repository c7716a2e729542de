//! Writes the returned video to the configured file or to standard output.
//!
//! An output is refused before anything starts if it is the input, the configuration, in the store, or a file that does
//! not contain MPEG-TS.
//!
//! Does not: block; `media::io::Output` writes on its own thread.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;

use super::{Error, Settings};
use crate::config::{Config, Output as Choice};
use crate::status::{OutputReport, State};
use livepeer_gateway::segment::Seq;
use livepeer_gateway::trickle::io::SegmentSink;
use media::io::{Identity, Output, Target};
use media::{MediaError, Source};

/// The time limit for writing the queue at the end.
const CLOSE_TIME: Duration = Duration::from_millis(300);

/// Why the returned video cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// The output is a file that is needed for something else.
    #[error("output.path: {} is the same file as {by}: name another one", .path.display())]
    Taken {
        /// The path of the output.
        path: PathBuf,
        /// What the file is needed for.
        by: &'static str,
    },
    /// The output is in the directory of the stored input.
    #[error("output.path: {} is in store.directory: name another directory", .0.display())]
    InStore(PathBuf),
    /// The output cannot be opened or written.
    #[error("{0}")]
    Media(MediaError),
}

impl OutputError {
    /// Whether the configuration is at fault.
    pub(super) fn is_usage(&self) -> bool {
        match self {
            Self::Taken { .. } | Self::InStore(_) => true,
            Self::Media(error) => matches!(error, MediaError::NotAnOutput(_)),
        }
    }
}

/// Refuses an output that would overwrite the input, the configuration or the store. Call it before the output is opened.
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

/// The configured output, if any.
#[derive(Clone, Default)]
pub(super) struct Outlet {
    output: Option<Arc<Mutex<Output>>>,
    /// The next bytes are the first ones of a segment.
    begins: bool,
}

impl Outlet {
    /// Opens the configured output. An output that cannot be opened now is opened later, unless `ends` is true for the
    /// error.
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

    /// How the state of the output is read.
    pub(super) fn reports(&self) -> impl Fn() -> Vec<OutputReport> + Send + use<> {
        // The output closes when its sinks are dropped: a report must not keep it.
        let output = self.output.as_ref().map(Arc::downgrade);
        move || {
            let output = output.as_ref().and_then(Weak::upgrade);
            let report = |output: Arc<Mutex<Output>>| {
                let output = output.lock().unwrap_or_else(PoisonError::into_inner);
                OutputReport {
                    name: "output.path".to_owned(),
                    kind: "file",
                    state: State::Ok,
                    bytes: output.written(),
                    dropped_bytes: output.dropped(),
                    why: String::new(),
                }
            };
            output.into_iter().map(report).collect()
        }
    }

    /// Waits a short time until all bytes are written. Drop the sinks before. The error is why the output is not written.
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
