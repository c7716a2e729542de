//! The running program: builds the parts, owns their queues and their end, and turns what happens into
//! what `job::Machine` wants done.
//!
//! ```text
//!  opening, starting ─┐                    ┌─▶ open, start        (tasks)
//!  publisher, output ─┤                    ├─▶ run, close         (parts)
//!  events, control   ─┼─▶ Event ─▶ Machine ┤
//!  capture, signals  ─┤                    └─▶ finish
//!  time              ─┘
//! ```
//!
//! Every task is in one set, so a panic is an event and leaving the loop ends them all.
//!
//! Does not: decide when to go on or give up; the machine does.

mod act;
mod error;
mod event;
mod fanout;
mod flow;
mod notify;
mod parts;
mod run;
mod work;

pub use error::AgentError;
pub use fanout::OutputSink;
pub use work::{Finding, Work};

use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::job::Recovery;
use crate::media::MediaError;
use crate::media::io::Capture;
use crate::session::Network;
use crate::session::selection::Rules;
use crate::status::Status;
use crate::stop::Stop;

/// What an agent is to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// What to capture.
    pub media: crate::media::Options,
    /// What to run.
    pub work: Work,
    /// Where candidates are found.
    pub finding: Finding,
    /// What they must keep to.
    pub rules: Rules,
    /// What a lost job leads to.
    pub recovery: Recovery,
}

/// An agent, ready to run.
pub struct Agent {
    options: Options,
    network: Network,
    status: Status,
    outputs: Vec<Box<dyn OutputSink>>,
    params: Option<watch::Receiver<Map<String, Value>>>,
}

impl Agent {
    /// An agent that counts in `status` and hands what comes back to `outputs`.
    pub fn new(
        options: Options,
        network: Network,
        status: Status,
        outputs: Vec<Box<dyn OutputSink>>,
    ) -> Self {
        Self { options, network, status, outputs, params: None }
    }

    /// The same agent, which takes other parameters while it runs, each time `params` changes.
    #[must_use]
    pub fn with_params(self, params: watch::Receiver<Map<String, Value>>) -> Self {
        Self { params: Some(params), ..self }
    }

    /// Runs until `stop`, the end of the input, or a failure. The camera is opened at once, so that what
    /// is wrong with it is said before a job costs anything; it gives frames once a job is live.
    pub async fn run(self, mut stop: Stop) -> Result<(), AgentError> {
        let capture = tokio::select! {
            biased;
            () = stop.wait() => return Ok(()),
            capture = self.open_capture() => capture?,
        };
        run::run(self, capture, stop).await
    }

    /// Opens the camera off this thread: a driver may take its time.
    async fn open_capture(&self) -> Result<Capture, AgentError> {
        let (options, units) = (self.options.media.clone(), self.status.media.clone());
        tokio::task::spawn_blocking(move || Capture::open(&options, units))
            .await
            .unwrap_or_else(|error| Err(MediaError::Gstreamer(error.to_string())))
            .map_err(AgentError::Capture)
    }
}
