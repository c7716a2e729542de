//! The state of one output, as its owner reports it.
//!
//! Does not: judge the state; [`chain`](super::chain) does.

use serde::Serialize;

/// The state of one output of processed video.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutputReport {
    /// The name of the output, which no other output has.
    pub name: String,
    /// The kind of the output, such as `file`.
    pub kind: &'static str,
    /// Whether video is written, waited for, or refused.
    pub state: super::LinkState,
    /// Bytes written.
    pub bytes: u64,
    /// Bytes dropped because the output was too slow or did not work.
    pub dropped_bytes: u64,
    /// Why the output is not `ok`, in one line without secrets; empty if it is.
    pub why: String,
}
