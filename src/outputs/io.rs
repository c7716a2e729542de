//! Opens and closes the outputs of the configuration.
//!
//! An output is refused before anything starts if it is the input, the configuration, in the store, or a file that does
//! not contain MPEG-TS.
//!
//! Does not: block; `media::io::Output` writes on its own thread.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::changes::Failing;
use crate::config::{Config, Output as Options, StreamOf};
use crate::events::Bus;
use crate::status::{LinkState, OutputReport};
use livepeer_gateway::segment::Seq;
use livepeer_gateway::trickle::io::SegmentSink;
use media::io::{Identity, Output};
use media::{Health, MediaError, OutputState, Source, Target};

/// The time limit for writing the queues at the end.
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
    pub(crate) fn is_usage(&self) -> bool {
        match self {
            Self::Taken { .. } | Self::InStore(_) => true,
            Self::Media(error) => matches!(error, MediaError::NotAnOutput(_)),
        }
    }
}

/// Refuses an output that would overwrite the input, the configuration or the store; `file` is the configuration's.
/// Call it before the outputs are opened.
pub(crate) fn check(config: &Config, file: Option<&Path>) -> Result<(), OutputError> {
    config.outputs.iter().try_for_each(|output| check_one(config, file, &output.target))
}

fn check_one(config: &Config, file: Option<&Path>, target: &Target) -> Result<(), OutputError> {
    let Some(path) = target.path() else { return Ok(()) };
    let store = config.media.store.as_ref().map(|store| store.directory.as_path());
    let folder = match target {
        Target::File(_) | Target::Numbered(_) => {
            path.parent().map(|folder| match folder.as_os_str().is_empty() {
                true => Path::new("."),
                false => folder,
            })
        }
        Target::Stdout | Target::Udp(_) | Target::Stream(_) => None,
    };
    let folder = folder.and_then(Identity::of);
    if folder.is_some() && store.and_then(Identity::of) == folder {
        return Err(OutputError::InStore(path.to_owned()));
    }
    let source = if let Source::File { path, .. } = &config.media.source {
        Some(("source.path", path.as_path()))
    } else if let Source::V4l2 { device, .. } = &config.media.source {
        Some(("source.device", device.as_path()))
    } else {
        None
    };
    let file = file.map(|file| ("the configuration", file));
    let own = target.identity();
    let mut others = source.into_iter().chain(file);
    match others.find(|(_, path)| own.is_some() && Identity::of(path) == own) {
        Some((by, _)) => Err(OutputError::Taken { path: path.to_owned(), by }),
        None => Ok(()),
    }
}

/// The outputs of the configuration. Clones share them.
#[derive(Clone, Default)]
pub struct Outlets {
    all: Arc<Mutex<Vec<Outlet>>>,
    /// Notified when the state of an output changes, or an output is added or removed.
    changed: Arc<Notify>,
}

#[derive(Clone)]
struct Outlet {
    options: Options,
    output: Arc<Mutex<Output>>,
}

impl Outlets {
    /// Opens the outputs of the configuration, whose file is `file`. An output that cannot be opened now is opened later,
    /// unless `ends` is true for the error.
    pub(crate) fn open(
        config: &Config,
        file: Option<&Path>,
        ends: impl Fn(&MediaError) -> bool,
    ) -> Result<Self, OutputError> {
        let outlets = Self::default();
        outlets.change(config, file, ends)?;
        Ok(outlets)
    }

    /// Opens the outputs of another configuration; those with the same options go on. Returns whether any changed; if so,
    /// give the [`sinks`](Self::sinks) to the agent. On an error, nothing is changed.
    pub(crate) fn change(
        &self,
        config: &Config,
        file: Option<&Path>,
        ends: impl Fn(&MediaError) -> bool,
    ) -> Result<bool, OutputError> {
        check(config, file)?;
        let present = self.lock().clone();
        let mut next = Vec::new();
        for options in &config.outputs {
            let same = present.iter().find(|outlet| outlet.options == *options).cloned();
            next.push(match same {
                Some(outlet) => outlet,
                None => {
                    let output = Output::open(&options.name, options.target.clone(), &ends);
                    let output = output.map_err(OutputError::Media)?;
                    output.notify(&self.changed);
                    Outlet { options: options.clone(), output: Arc::new(Mutex::new(output)) }
                }
            });
        }
        let options = |outlets: &[Outlet]| -> Vec<Options> {
            outlets.iter().map(|outlet| outlet.options.clone()).collect()
        };
        let has_changed = options(&present) != options(&next);
        *self.lock() = next;
        self.changed.notify_one();
        Ok(has_changed)
    }

    /// The sinks of processed video, to give to the agent.
    pub(crate) fn sinks(&self) -> Vec<Box<dyn SegmentSink>> {
        let outlets = self.lock();
        let processed = outlets.iter().filter(|outlet| outlet.options.stream == StreamOf::Output);
        let sink = |outlet: &Outlet| Sink { output: Arc::clone(&outlet.output), begins: false };
        processed.map(|outlet| Box::new(sink(outlet)) as Box<dyn SegmentSink>).collect()
    }

    /// The outputs of the input, to give to the access units.
    pub(crate) fn of_input(&self) -> Vec<Arc<Mutex<Output>>> {
        let outlets = self.lock();
        let inputs = outlets.iter().filter(|outlet| outlet.options.stream == StreamOf::Input);
        inputs.map(|outlet| Arc::clone(&outlet.output)).collect()
    }

    /// Begins the next of numbered files with the next segment.
    pub(crate) fn reopen(&self) {
        self.lock().iter().for_each(|outlet| locked(&outlet.output).reopen());
    }

    /// How the states are read for the status report.
    pub(crate) fn reports(&self) -> impl Fn() -> Vec<OutputReport> + Send + use<> {
        let outlets = self.clone();
        move || outlets.states().into_iter().map(report).collect()
    }

    /// The state of each output, for reports.
    pub fn states(&self) -> Vec<OutputState> {
        self.lock().iter().map(|outlet| locked(&outlet.output).state()).collect()
    }

    /// Publishes each failure of an output, and its end, until it is dropped.
    pub(crate) async fn publish_changes(&self, bus: &Bus) -> Infallible {
        let mut failing = Failing::default();
        loop {
            // A notification that comes meanwhile is kept.
            for kind in failing.on_states(&self.states()) {
                bus.publish(|| kind);
            }
            self.changed.notified().await;
        }
    }

    /// Waits a short time until all bytes are written. Drop the sinks before. The error is why an output is not written.
    pub(crate) async fn close(self) -> Result<(), OutputError> {
        let outlets = std::mem::take(&mut *self.lock());
        let until = Instant::now() + CLOSE_TIME;
        let mut closing = JoinSet::new();
        for outlet in outlets {
            let Some(output) = Arc::into_inner(outlet.output) else { continue };
            let output = output.into_inner().unwrap_or_else(PoisonError::into_inner);
            let dropped = output.dropped();
            if dropped > 0 {
                log::warn!("{dropped} bytes of returned video were not written");
            }
            closing.spawn(output.close(until.saturating_duration_since(Instant::now())));
        }
        let mut result = Ok(());
        while let Some(closed) = closing.join_next().await {
            // A task that panicked has no error of an output.
            result = result.and(closed.unwrap_or(Ok(())));
        }
        result.map_err(OutputError::Media)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Outlet>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn locked(output: &Mutex<Output>) -> MutexGuard<'_, Output> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}

fn report(state: OutputState) -> OutputReport {
    let OutputState { name, kind, health, why, bytes, drops, .. } = state;
    let state = match health {
        Health::Ok => LinkState::Ok,
        Health::Waiting => LinkState::Waiting,
        Health::Failed => LinkState::Failed,
    };
    OutputReport { name, kind, state, bytes, dropped_bytes: drops, why: why.unwrap_or_default() }
}

/// An output as the agent writes it.
struct Sink {
    output: Arc<Mutex<Output>>,
    /// The next bytes are the first ones of a segment.
    begins: bool,
}

impl SegmentSink for Sink {
    fn begin(&mut self, _seq: Seq, _content_type: &str) {
        self.begins = true;
    }

    fn bytes(&mut self, bytes: &Bytes) {
        let begins = std::mem::take(&mut self.begins);
        locked(&self.output).push(bytes.clone(), begins);
    }

    fn end(&mut self, _complete: bool) {}
}
