//! Options of the job and of its output.
//!
//! Does not: contain options of capture and trust; `media` and `orchestrator` define these.

use std::path::PathBuf;

/// Where processed video is written.
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
