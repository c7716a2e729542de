//! Layers of configuration to one [`Config`]: defaults < file < environment < arguments.
//!
//! [`io::load`] reads the layers; [`resolve`] looks up each entry in the table [`keys::keys`], whose row checks the value
//! and keeps it in a draft; the draft is checked as a whole and becomes a [`Config`] or the list of all problems. Only
//! the table knows the keys: help texts, the manual page and the example file are generated from it ([`document`]).
//!
//! Does not: check whether devices, files or peers exist; the parts that use them do.

mod access;
pub mod document;
mod draft;
mod events;
pub mod io;
pub mod keys;
mod options;
mod outputs;
mod peers;
mod problem;
mod quantity;
mod resolve;
mod toml;
mod variables;
pub mod write;

pub use access::{Access, RunnerJobOptions};
pub use io::{Error, KeptConfig};
pub use options::{Output, StreamOf};
pub use problem::{Complaint, Origin, Problem};
pub(crate) use quantity::milliseconds;
pub use resolve::{Layers, Resolved, resolve, resolve_all};

use std::path::PathBuf;

use crate::agent::WantedOptions;
use crate::events::Options as EventOptions;
use crate::status::StatusOptions;
use livepeer_gateway::budget::Budget;
use livepeer_gateway::http::Url;
use livepeer_gateway::job::{JobOptions, Recovery};
use livepeer_gateway::orchestrator::TrustOptions;
use livepeer_gateway::session::selection::CandidateOrder;

/// A checked configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The source and its encoding.
    pub media: media::Options,
    /// The configured orchestrators, in order of preference. Empty if a list or the token names them.
    pub orchestrators: Vec<Url>,
    /// The order in which candidates are tried; `None` for the usual order of the list that names them.
    pub order: Option<CandidateOrder>,
    /// Which certificates of orchestrators are trusted.
    pub trust: TrustOptions,
    /// How orchestrators are found, and how they are paid.
    pub access: Access,
    /// The live video job.
    pub job: JobOptions,
    /// What happens when the job is lost.
    pub recovery: Recovery,
    /// When a job is wanted.
    pub wanted: WantedOptions,
    /// The job on a runner, in place of the live video job.
    pub runner: Option<RunnerJobOptions>,
    /// Where processed video and input are written.
    pub outputs: Vec<Output>,
    /// The name and the labels of this instance.
    pub status: StatusOptions,
    /// Where state is kept between runs; with `None`, no state is kept.
    pub state_directory: Option<PathBuf>,
    /// Where events are written.
    pub events: EventOptions,
    /// The lowest level that is logged.
    pub log: log::LevelFilter,
    /// Where the API listens, and who may ask.
    pub api: crate::api::Options,
    /// The limit on traffic in each period.
    pub data: Option<Budget>,
    /// The interfaces whose traffic is counted; empty for the program's own connections.
    pub interfaces: Vec<String>,
    /// Which MQTT broker is used, and how.
    pub mqtt: crate::mqtt::Options,
}

/// The use of a configuration; it decides which keys are required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A job on the network: requires a source of orchestrators, and a model or an application.
    Run,
    /// A query to the network: requires a source of orchestrators.
    Find,
    /// A query to this device: requires nothing.
    Local,
    /// A job on the sandbox, which has its own orchestrator and takes any model.
    Demo,
}
