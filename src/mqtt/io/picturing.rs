//! Makes a picture every so often, one at a time, beside the connection.
//!
//! Does not: publish it, or decode video between two pictures.

use std::future::pending;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Work;
use crate::api::{Pictures, Which};
use resilience::wait::sleep_until;

/// The pictures of one connection.
pub(super) struct Picturing {
    pictures: Pictures,
    which: Which,
    every: Duration,
    /// When the next one is made.
    at: Instant,
    work: Option<Work<Result<Bytes, String>>>,
}

impl Picturing {
    pub(super) fn new(pictures: Pictures, which: Which, every: Duration, now: Instant) -> Self {
        Self { pictures, which, every, at: now, work: None }
    }

    /// Waits for the next picture; `None` if there is none now. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        if self.work.is_none() {
            sleep_until(Some(self.at)).await;
            self.at = Instant::now() + self.every;
            let (pictures, which) = (self.pictures.clone(), self.which);
            self.work = Some(Box::pin(async move { pictures.snapshot(which).await }));
        }
        let Some(work) = &mut self.work else { return pending().await };
        let made = work.await;
        self.work = None;
        made.inspect_err(|why| log::debug!("MQTT: no picture: {why}")).ok()
    }
}
