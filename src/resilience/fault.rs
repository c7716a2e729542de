//! What an error asks of the one who meets it.
//!
//! Does not: say what went wrong; the error that carries it does.

use std::error::Error;
use std::fmt;
use std::time::Duration;

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

/// For whom a failure holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// For the one peer that was asked; another may do.
    Peer,
    /// For every peer, because a signer or this machine is the cause.
    Everyone,
}

/// A failure as the part that decides what comes next needs it: data, with the words only for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong, in one line.
    pub text: String,
    /// What comes next.
    pub fault: Fault,
    /// For whom it holds.
    pub scope: Scope,
    /// A peer asks not to be called again before this time has passed.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure of one peer, which does not say when to call again.
    pub fn of_peer(text: impl Into<String>, fault: Fault) -> Self {
        Self { text: text.into(), fault, scope: Scope::Peer, retry_after: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
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
