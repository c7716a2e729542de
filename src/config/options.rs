//! Options of the job and of its output.
//!
//! Does not: hold options of capture and trust; `media` and `orchestrator` own these.

use std::path::PathBuf;

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
