//! What is asked of an orchestrator.
//!
//! Does not: say how it is reached.

/// A live video job as the user wants it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JobOptions {
    /// The model (or pipeline) that processes the video, as orchestrators name it.
    pub model: String,
    /// The pipeline's parameters: a JSON object.
    pub params: serde_json::Map<String, serde_json::Value>,
    /// A name for the stream in the orchestrator's logs and events.
    pub stream_id: Option<String>,
}
