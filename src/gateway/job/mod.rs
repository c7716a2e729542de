//! A live video job: its start on an orchestrator, its channels, and the machine that keeps it going.
//!
//! [`LiveVideoJob::start`] asks for the job; what has to run then, and when it is over, is decided by
//! [`Machine`], which is told what happened and answers with commands that only `agent` carries out.
//!
//! Does not: move media.

mod command;
mod error;
mod io;
mod machine;
mod model;
mod options;
pub mod runner;
mod scope;
mod started;
mod swap_limit;
mod wire;

pub use command::{Command, Commands, Event, Outcome, Slowness, Stage};
pub use error::{JobError, Loss};
pub use io::{LiveVideoJob, RunError};
pub use machine::{Machine, RENEW_AFTER, Recovery};
pub use model::{ModelHealth, Verdict};
pub use options::JobOptions;
pub use scope::{ScopeChannels, ScopeJob};
pub use started::{JobPayments, StartedJob};
pub use wire::{Channels, JobEvent, KEEP_ALIVE, start_answer};
