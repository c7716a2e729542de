//! Layers of configuration to one [`Config`]: defaults < file < environment < arguments.
//!
//! The way of a value: [`io::load`] reads the layers, [`resolve`] takes each of their entries to its
//! row in [`keys::keys`], which checks it and keeps it in a draft; the draft, judged as a whole, becomes
//! a [`Config`] or the list of every problem. The table is the only place that knows a key: help
//! texts, the manual page and the example file are written from it ([`document`]).
//!
//! Does not: look whether devices, files or peers are there; the parts that use them do.

mod access;
pub mod document;
mod draft;
pub mod io;
pub mod keys;
mod options;
mod peers;
mod problem;
mod quantity;
mod resolve;
mod toml;
mod variables;
pub mod write;

pub use access::{Access, OnRunner};
pub use io::{Error, Kept};
pub use options::Output;
pub use problem::{Complaint, Origin, Problem};
pub use resolve::{Layers, Resolved, resolve, resolve_all};

use std::path::PathBuf;

use livepeer_gateway::http::Url;
use livepeer_gateway::job::{JobOptions, Recovery};
use livepeer_gateway::orchestrator::TrustOptions;
use livepeer_gateway::session::selection::CandidateOrder;

/// Everything that a run needs to know, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What to capture and how to encode it.
    pub media: media::Options,
    /// Where jobs may run, in order of preference. Empty where they are found in another way.
    pub orchestrators: Vec<Url>,
    /// Who of several candidates is tried first; `None` for what goes with how they are found.
    pub order: Option<CandidateOrder>,
    /// Which certificates of orchestrators are believed.
    pub trust: TrustOptions,
    /// How orchestrators are found, and how they are paid.
    pub access: Access,
    /// What to run there.
    pub job: JobOptions,
    /// What a lost job leads to.
    pub recovery: Recovery,
    /// The runner it is to run on; `None` for a model of an orchestrator.
    pub runner: Option<OnRunner>,
    /// Where the returned video goes.
    pub output: Output,
    /// Where state is kept between runs; `None` if nothing says where, then nothing is kept.
    pub state_directory: Option<PathBuf>,
    /// What is worth a line.
    pub log: log::LevelFilter,
}

/// What the configuration is for; it decides what must not be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A job on the network: needs a way to an orchestrator, and a model or an application.
    Run,
    /// A question to the network: needs a way to an orchestrator.
    Find,
    /// A question to this device: needs nothing.
    Local,
    /// A job on the sandbox, which brings its own orchestrator and takes any model.
    Demo,
}
