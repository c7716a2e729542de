//! Options of an output.
//!
//! Does not: contain options of capture and trust; `media` and `orchestrator` define these.

use media::Target;

/// One output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The name in the log and the status.
    pub name: String,
    /// The video that is written.
    pub stream: StreamOf,
    /// Where the video is written.
    pub target: Target,
}

/// The video of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamOf {
    /// The processed video.
    #[default]
    Output,
    /// The captured video, whether a job runs or not.
    Input,
}
