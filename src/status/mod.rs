//! The one place where counters and states are found: shared cells that the parts write and anybody reads.
//!
//! Writing is an atomic store, or of words a short lock when they change, so the snapshot costs nothing while nobody reads.
//!
//! Does not: measure, print or serve; commands do.

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
    /// What the publisher counts.
    pub publish: Arc<Counters>,
    /// What came back.
    pub returned: Arc<Returned>,
    /// What is paid.
    pub payment: Arc<Paid>,
    /// What is wrong with the model, as it says itself.
    pub model: Arc<Words>,
    /// What everybody who asks for the status has to see first: that another configuration runs than the one at hand.
    pub notice: Arc<Words>,
    /// Told whenever processed video comes back while the camera works.
    pub works: Arc<Notify>,
}

/// What is wrong with something, in one line; nothing where all is well.
#[derive(Debug, Default)]
pub struct Words(Mutex<Option<String>>);

impl Words {
    /// From now on this.
    pub fn set(&self, words: Option<&str>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_deref() != words {
            *kept = words.map(str::to_owned);
        }
    }

    /// What was set last.
    pub fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The time that is paid for, by our own estimate: seconds plus one, and 0 where nothing is paid by time.
#[derive(Debug, Default)]
pub struct Paid(AtomicU64);

impl Paid {
    /// So long from now; `None` where nothing is paid by time.
    pub fn set(&self, time: Option<Duration>) {
        self.0.store(time.map_or(0, |time| time.as_secs().saturating_add(1)), Ordering::Relaxed);
    }

    /// What was set last.
    pub fn seconds(&self) -> Option<u64> {
        self.0.load(Ordering::Relaxed).checked_sub(1)
    }
}

/// What came back from the orchestrator.
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
    /// One segment more.
    pub fn add_segment(&self) {
        self.segments.fetch_add(1, Ordering::Relaxed);
    }

    /// `bytes` bytes more.
    pub fn add_bytes(&self, bytes: usize) {
        self.bytes.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// One event more.
    pub fn add_event(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }
}
