//! Options of the job and of its output.
//!
//! Does not: hold options of capture and trust; `media` and `orchestrator` own these.

use std::path::PathBuf;

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
