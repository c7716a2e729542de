//! The state of all parts, in shared cells that the parts write and any reader may read.
//!
//! ```text
//!  media, gateway, agent ──▶ cells ──▶ Facts ──▶ chain ──▶ one line for systemd
//!                                        └─────────┴─────▶ Report ──▶ JSON, metrics
//! ```
//!
//! All readers get the same judgement of the same facts, so that they cannot disagree. Without a reader, the parts only
//! count.
//!
//! Does not: print or serve; commands and servers do.

mod cells;
mod chain;
mod device;
mod facts;
mod identity;
mod io;
mod latency;
mod metrics;
mod output;
mod report;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod schema;

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use tokio::sync::Notify;

use livepeer_gateway::trickle::io::PublisherCounters;
use media::io::AccessUnits;
use mpegts::Ticks;

pub use cells::{Payments, Returned, StatusText, TrafficUse};
pub use chain::{LinkName, LinkState};
pub use device::Throttling;
pub use facts::AgentFacts;
pub(crate) use facts::{CameraFacts, ClockFacts, MotionFacts, NoJob, Unwanted};
pub use identity::{Identity, StatusOptions};
pub(crate) use identity::{checked_labels, checked_name};
pub use latency::Latency;
pub use metrics::metrics;
pub use output::OutputReport;
pub use report::{BudgetReport, Link, StatusReport};

/// Every counter and state of a running agent. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// The counters of the publisher.
    pub publish: Arc<PublisherCounters>,
    /// The counters of processed video and events.
    pub returned: Arc<Returned>,
    /// The budget of traffic.
    pub data: Arc<TrafficUse>,
    /// Payments, and the time that they pay for.
    pub payment: Arc<Payments>,
    /// The failure that the model reports, if any.
    pub model: Arc<StatusText>,
    /// The notice before every status: another configuration runs than the present one.
    pub notice: Arc<StatusText>,
    /// Notified whenever processed video returns while the camera works.
    pub works: Arc<Notify>,
    /// Where the API listens; `None` while it does not.
    pub api: Arc<StatusText>,
    /// What only the program sets and reads.
    shared: Arc<SharedStatus>,
}

#[derive(Debug, Default)]
struct SharedStatus {
    agent: Mutex<AgentFacts>,
    memory: Mutex<chain::Memory>,
    identity: Mutex<Identity>,
    /// The model, or the app of a runner, and the job's capability.
    job: Mutex<[String; 2]>,
    units: OnceLock<AccessUnits>,
    outputs: Mutex<OutputSource>,
    started: OnceLock<Instant>,
}

/// Reads the state of all outputs.
#[derive(Default)]
struct OutputSource(Option<Box<dyn Fn() -> Vec<OutputReport> + Send>>);

impl fmt::Debug for OutputSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "OutputSource" } else { "none" })
    }
}

impl Status {
    /// Sets what the agent's loop knows. Call it after each event.
    pub(crate) fn set_agent(&self, facts: AgentFacts) {
        *cells::lock(&self.shared.agent) = facts;
    }

    /// Sets the queue whose flow is reported. Only the first call counts.
    pub(crate) fn set_units(&self, units: AccessUnits) {
        let _ = self.shared.units.set(units);
    }

    /// Counts a processed frame that came back `now`, and measures its round trip if its PTS is that of a captured frame.
    pub(crate) fn note_frame(&self, pts: Option<Ticks>, now: Instant) {
        self.returned.frames.add(1, now);
        let units = self.shared.units.get();
        let entered = units.zip(pts).and_then(|(units, pts)| units.entered(pts));
        if let Some(entered) = entered {
            self.returned.round_trip.add(now.saturating_duration_since(entered), now);
        }
    }

    /// Sets the model or app of the job, and the job's capability.
    pub(crate) fn set_job(&self, model: &str, capability: &str) {
        *cells::lock(&self.shared.job) = [model, capability].map(str::to_owned);
    }

    /// Sets how the state of the outputs is read. `read` is called for each report and must not wait.
    pub fn set_outputs(&self, read: impl Fn() -> Vec<OutputReport> + Send + 'static) {
        *cells::lock(&self.shared.outputs) = OutputSource(Some(Box::new(read)));
    }

    /// The name and the labels of this instance.
    pub fn identity(&self) -> Identity {
        cells::lock(&self.shared.identity).clone()
    }
}
