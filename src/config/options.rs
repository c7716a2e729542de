//! Options of parts above the media: job, trust, output.
//!
//! Does not: hold defaults of capture; those are [`crate::media::Options`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::http::{Authority, Fingerprint};

/// The live video job.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JobOptions {
    /// The model's id; empty only where the sandbox takes any.
    pub model: String,
    /// The pipeline's parameters at the start, sent as they are.
    pub params: serde_json::Map<String, serde_json::Value>,
    /// The stream's id as the orchestrator shall know it; `None` lets the orchestrator choose.
    pub stream_id: Option<String>,
}

/// Which certificates of orchestrators are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustOptions {
    /// Signed by a known authority, or the one seen first at this host and port.
    Tofu {
        /// What a change of that certificate means.
        on_change: OnChange,
    },
    /// Signed by an authority of the system.
    Ca,
    /// Exactly these, by the orchestrator's host and port.
    Pin(BTreeMap<Authority, Fingerprint>),
    /// Any: nobody knows who answers.
    Insecure,
}

impl Default for TrustOptions {
    fn default() -> Self {
        Self::Tofu { on_change: OnChange::Follow }
    }
}

/// What a change of a certificate that was trusted on first use means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnChange {
    /// Trust the new one, with a warning: orchestrators make a new certificate at every start.
    #[default]
    Follow,
    /// Refuse the orchestrator.
    Refuse,
}

/// Where the returned video goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Output {
    /// Nowhere; it is received and dropped.
    #[default]
    None,
    /// To standard output, as MPEG-TS.
    Stdout,
    /// Into a file, as MPEG-TS.
    File(PathBuf),
}
