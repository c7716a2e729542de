//! What an error asks of the one who meets it.
//!
//! Does not: say what went wrong; the error that carries it does.

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
