//! A live video job: its start on an orchestrator, its channels, and the state machine that keeps it running.
//!
//! [`LiveVideoJob::start`] starts a job. [`Machine`] decides which parts of the job run and when the job ends: it
//! takes events and returns commands. `agent` executes the commands.
//!
//! Does not: move media.

mod command;
mod error;
mod io;
mod machine;
mod model;
mod options;
mod params;
pub mod runner;
mod scope;
mod started;
mod swap_limit;
mod wire;

pub use command::{Command, Commands, MachineEvent, Outcome, Slowness, Stage};
pub use error::{JobError, Loss};
pub use io::{LiveVideoJob, RunError};
pub use machine::{Machine, RENEW_AFTER, Recovery};
pub use model::{ModelHealth, Verdict};
pub use options::JobOptions;
pub use params::ParamsReport;
pub use scope::{ScopeChannels, ScopeJob};
pub use started::{JobPayments, StartedJob};
pub use wire::{Channels, JobEvent, KEEP_ALIVE, start_answer};
