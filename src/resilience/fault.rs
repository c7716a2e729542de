//! How to react to an error: try again, fetch fresh data, take another peer, or give up.
//!
//! Does not: describe what went wrong; the error that has the [`Fault`] does.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// What the caller should do after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Try the same again after a pause: the network or the peer may come back.
    Retry,
    /// Try the same again with fresh data from the orchestrator.
    Refresh,
    /// Leave this peer and try the next candidate.
    NextPeer,
    /// Give up: no attempt can succeed before the configuration or the input changes.
    GiveUp,
}

/// Which peers a failure concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Only the peer that was asked; another one may succeed.
    Peer,
    /// Every peer, because a signer or this computer is the cause.
    Everyone,
}

/// A failure as data for the code that decides what to do next; only people read its `text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong, in one line.
    pub text: String,
    /// What to do next.
    pub fault: Fault,
    /// Which peers it concerns.
    pub scope: Scope,
    /// The pause that the peer requests before the next call, if any.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure that concerns only the peer that was asked, without `retry_after`.
    pub fn of_peer(text: impl Into<String>, fault: Fault) -> Self {
        Self { text: text.into(), fault, scope: Scope::Peer, retry_after: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An error and its causes in one line, separated by colons.
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
