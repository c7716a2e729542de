//! What the loop waits for, where there may be nothing to wait for.
//!
//! Does not: know what comes of it.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::agent::Change;
use media::io::{Capture, End as CaptureEnd};
use media::{self, OnCameraLoss};
pub(super) use resilience::backoff::jitter;

/// How long a job goes on without a camera: the runner shuts a stream after 60 s of silence (field-facts).
const CAMERA_HOLD: Duration = Duration::from_secs(60);

/// Waits for a change; for ever where none can come.
pub(super) async fn changed(changes: &mut Option<mpsc::Receiver<Change>>) -> Change {
    if let Some(changes) = changes {
        if let Some(change) = changes.recv().await {
            return change;
        }
    }
    std::future::pending().await
}

/// How long a job goes on without a camera.
pub(super) fn hold(media: &media::Options) -> Duration {
    match media.on_camera_loss {
        OnCameraLoss::Hold | OnCameraLoss::Slate => CAMERA_HOLD,
        OnCameraLoss::Stop => Duration::ZERO,
    }
}

/// Waits for the end of capture; without one, for ever.
pub(super) async fn ended(capture: Option<&Capture>) -> CaptureEnd {
    match capture {
        Some(capture) => capture.ended().await,
        None => std::future::pending().await,
    }
}

/// Waits for the first frame of capture; without one, for ever.
pub(super) async fn began(capture: Option<&Capture>) {
    match capture {
        Some(capture) => capture.began().await,
        None => std::future::pending().await,
    }
}

/// Sleeps until then; without a time, for ever.
pub(super) async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
