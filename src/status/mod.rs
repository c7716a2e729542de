//! Counters and states of all parts, in shared cells that the parts write and any reader may read.
//!
//! A write is an atomic store; of a text, a short lock.
//!
//! Does not: measure or print; commands do.

mod latency;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use livepeer_gateway::trickle::io::Counters;

pub use latency::Latency;

/// Every counter of a running agent.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// The counters of the publisher.
    pub publish: Arc<Counters>,
    /// The counters of processed video and events.
    pub returned: Arc<Returned>,
    /// The time that is paid for.
    pub payment: Arc<PaidTime>,
    /// The failure that the model reports, if any.
    pub model: Arc<StatusText>,
    /// The notice before every status: another configuration runs than the present one.
    pub notice: Arc<StatusText>,
    /// Notified whenever processed video returns while the camera works.
    pub works: Arc<Notify>,
    /// Where the API listens; `None` while it does not.
    pub api: Arc<StatusText>,
}

/// The failure of a part, in one line; `None` while the part works.
#[derive(Debug, Default)]
pub struct StatusText(Mutex<Option<String>>);

impl StatusText {
    /// Replaces the text.
    pub fn set(&self, words: Option<&str>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_deref() != words {
            *kept = words.map(str::to_owned);
        }
    }

    /// The value set last.
    pub fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The time that is paid for, as estimated here: seconds plus one; 0 if the job is not paid by time.
#[derive(Debug, Default)]
pub struct PaidTime(AtomicU64);

impl PaidTime {
    /// Sets the time from now; `None` if the job is not paid by time.
    pub fn set(&self, time: Option<Duration>) {
        self.0.store(time.map_or(0, |time| time.as_secs().saturating_add(1)), Ordering::Relaxed);
    }

    /// The value set last.
    pub fn seconds(&self) -> Option<u64> {
        self.0.load(Ordering::Relaxed).checked_sub(1)
    }
}

/// Counters of processed video and events.
#[derive(Debug, Default)]
pub struct Returned {
    /// Segments of processed video.
    pub segments: AtomicU64,
    /// Bytes of processed video.
    pub bytes: AtomicU64,
    /// Events.
    pub events: AtomicU64,
}

impl Returned {
    /// Counts a segment.
    pub fn add_segment(&self) {
        self.segments.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts `bytes` bytes.
    pub fn add_bytes(&self, bytes: usize) {
        self.bytes.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Counts an event.
    pub fn add_event(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }
}
