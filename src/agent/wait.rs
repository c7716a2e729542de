//! Waits for sources of events that may be absent: such a wait never ends.
//!
//! Does not: handle the events.

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

use crate::agent::Change;
use media::io::{Capture, End as CaptureEnd};

/// Waits for a change; forever if the sender is gone or was never there.
pub(super) async fn changed(changes: &mut Option<mpsc::Receiver<Change>>) -> Change {
    if let Some(changes) = changes
        && let Some(change) = changes.recv().await
    {
        return change;
    }
    std::future::pending().await
}

/// Waits for the end of `capture`; forever without one.
pub(super) async fn ended(capture: Option<&Capture>) -> CaptureEnd {
    match capture {
        Some(capture) => capture.ended().await,
        None => std::future::pending().await,
    }
}

/// Waits for the first frame of `capture`; forever without one.
pub(super) async fn began(capture: Option<&Capture>) {
    match capture {
        Some(capture) => capture.began().await,
        None => std::future::pending().await,
    }
}

/// Waits until the next of these tasks ends; forever without tasks. Cancel safe.
pub(super) async fn joined<T: 'static>(tasks: &mut JoinSet<T>) -> Result<T, JoinError> {
    match tasks.join_next().await {
        Some(ended) => ended,
        None => std::future::pending().await,
    }
}
