//! The options of a live video job.
//!
//! Does not: contain the options for finding an orchestrator or connecting to it.

/// The user's options of a live video job, sent with its start.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JobOptions {
    /// The model (or pipeline) that processes the video, as orchestrators name it.
    pub model: String,
    /// The pipeline's parameters: a JSON object.
    pub params: serde_json::Map<String, serde_json::Value>,
    /// A name for the stream in the orchestrator's logs and events.
    pub stream_id: Option<String>,
}
