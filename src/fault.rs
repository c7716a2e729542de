//! What an error asks of the one who meets it.
//!
//! Does not: say what went wrong; the error that carries it does.

use std::error::Error;

/// What comes next after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The same again, after a pause: a network or a peer that may come back.
    Retry,
    /// The same again with fresh data from the orchestrator.
    Refresh,
    /// Not with this peer: try the next candidate.
    NextPeer,
    /// Not at all: the configuration or the input has to change.
    GiveUp,
}

/// An error and its causes in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
