//! The cells of a status: each is written by one part, and read by anyone.
//!
//! A write is an atomic store, or a short lock around an assignment.
//!
//! Does not: judge; [`chain`](super::chain) does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::facts::{PaymentFacts, ReturnedFacts};
use livepeer_gateway::budget::BudgetUse;
use livepeer_gateway::budget::io::Purse;
use livepeer_gateway::payment::{Spent, Total};
use resilience::histogram::Histogram;
use resilience::ledger::Period;
use resilience::meter::Meter;

/// The failure of a part, in one line; `None` while the part works.
#[derive(Debug, Default)]
pub struct StatusText(Mutex<Option<String>>);

impl StatusText {
    /// Replaces the text.
    pub fn set(&self, words: Option<&str>) {
        let mut kept = lock(&self.0);
        if kept.as_deref() != words {
            *kept = words.map(str::to_owned);
        }
    }

    /// The value set last.
    pub fn get(&self) -> Option<String> {
        lock(&self.0).clone()
    }
}

/// The budget of traffic.
#[derive(Debug, Default)]
pub struct TrafficUse(Mutex<Option<Purse>>);

impl TrafficUse {
    /// Shows what is counted in `purse`.
    pub(crate) fn set(&self, purse: Purse) {
        *lock(&self.0) = Some(purse);
    }

    pub(super) fn used(&self) -> Option<BudgetUse> {
        lock(&self.0).as_ref().and_then(Purse::budget_use)
    }
}

/// Payments, and the time that they pay for.
#[derive(Debug, Default)]
pub struct Payments(Mutex<Paid>);

#[derive(Debug, Default)]
struct Paid {
    /// The payments that the present signers have made.
    spent: Option<Arc<Spent>>,
    /// The payments that signers of earlier configurations have made.
    before: Total,
    until: Option<Instant>,
    failure: Option<String>,
    failures: u64,
    wei_per_hour: Option<u128>,
    purse: Option<Purse>,
}

impl Payments {
    /// Counts the payments of other signers from now on; `None` if nothing is paid.
    pub(crate) fn follow(&self, spent: Option<Arc<Spent>>) {
        let mut paid = lock(&self.0);
        let is_same = match (&paid.spent, &spent) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !is_same {
            paid.before = paid.total();
            paid.spent = spent;
        }
    }

    /// Shows what is counted in `purse`.
    pub(crate) fn set_purse(&self, purse: Purse) {
        lock(&self.0).purse = Some(purse);
    }

    /// The price of the present job in wei an hour; `None` if there is none by time.
    pub(crate) fn wei_per_hour(&self) -> Option<u128> {
        lock(&self.0).wei_per_hour
    }

    /// Call it when a job begins: its price in wei an hour, if it has one.
    pub(crate) fn begin(&self, wei_per_hour: Option<u128>) {
        let mut paid = lock(&self.0);
        (paid.until, paid.failure, paid.wei_per_hour) = (None, None, wei_per_hour);
    }

    /// Sets the time from `now` that is paid for, as estimated here; `None` if the job is not paid by time.
    pub(crate) fn set(&self, time: Option<Duration>, now: Instant) {
        lock(&self.0).until = time.and_then(|time| now.checked_add(time));
    }

    /// Sets why payments fail; `None` once they work. `failed` counts another failure.
    pub(crate) fn report(&self, failure: Option<&str>, failed: bool) {
        let mut paid = lock(&self.0);
        paid.failures += u64::from(failed);
        if paid.failure.as_deref() != failure {
            paid.failure = failure.map(str::to_owned);
        }
    }

    pub(super) fn facts(&self) -> PaymentFacts {
        let paid = lock(&self.0);
        let Total { payments, wei } = paid.total();
        let purse = paid.purse.as_ref();
        let sum = |period| {
            let entries = purse.map(|purse| purse.spent(period)).unwrap_or_default();
            entries.iter().fold(0, |sum: u128, entry| sum.saturating_add(entry.total.amount))
        };
        PaymentFacts {
            has_signer: paid.spent.is_some(),
            paid_until: paid.until,
            failure: paid.failure.clone(),
            payments,
            wei,
            failures: paid.failures,
            wei_per_hour: paid.wei_per_hour,
            today: sum(Period::Day),
            month: sum(Period::Month),
            budget: purse.and_then(Purse::budget_use),
        }
    }
}

impl Paid {
    fn total(&self) -> Total {
        let now = self.spent.as_ref().map(|spent| spent.total()).unwrap_or_default();
        Total {
            payments: self.before.payments.saturating_add(now.payments),
            wei: self.before.wei.saturating_add(now.wei),
        }
    }
}

/// Counters of processed video and events, and of the jobs that return them.
#[derive(Debug, Default)]
pub struct Returned {
    /// Segments of processed video.
    pub segments: Meter,
    /// Bytes of processed video.
    pub bytes: Meter,
    /// Frames of processed video.
    pub frames: Meter,
    /// Events.
    pub events: Meter,
    /// The time from the encoder's input to the return of the processed frame.
    pub(crate) round_trip: Histogram,
    /// Jobs started.
    pub(crate) starts: AtomicU64,
    /// Jobs lost.
    pub(crate) losses: AtomicU64,
    /// Cameras lost.
    pub(crate) camera_losses: AtomicU64,
    /// The present job: since when it is live, and whether it returns video.
    live: Mutex<Option<(Instant, bool)>>,
}

impl Returned {
    /// Call it when a job goes live; `has_output` if it returns video.
    pub(crate) fn begin(&self, has_output: bool, now: Instant) {
        self.starts.fetch_add(1, Ordering::Relaxed);
        *lock(&self.live) = Some((now, has_output));
    }

    pub(super) fn facts(&self, now: Instant) -> ReturnedFacts {
        let live = *lock(&self.live);
        ReturnedFacts {
            live_since: live.map(|(since, _)| since),
            has_output: live.is_some_and(|(_, has_output)| has_output),
            segments: self.segments.read(now),
            bytes: self.bytes.read(now),
            frames: self.frames.read(now),
            events: self.events.read(now),
            starts: self.starts.load(Ordering::Relaxed),
            losses: self.losses.load(Ordering::Relaxed),
            camera_losses: self.camera_losses.load(Ordering::Relaxed),
        }
    }
}

/// Locks a cell.
pub(super) fn lock<T>(cell: &Mutex<T>) -> MutexGuard<'_, T> {
    // A poisoned lock is safe to use: each write replaces a whole value.
    cell.lock().unwrap_or_else(PoisonError::into_inner)
}
