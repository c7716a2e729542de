//! A circuit breaker for one signer, shared by all sessions of the process that pay through it.
//!
//! ```text
//!             on_failure                      its time has passed
//!   Open ────────────────▶ Shut(until, why) ───────────────────────▶ one caller may try
//!     ▲                      ▲                                              │
//!     │                      └──────────── on_failure, for longer ──────────┤
//!     └── on_answer, on_new_credential ─────────────────────────────────────┘
//! ```
//!
//! | response | pause |
//! |---|---|
//! | none, 5xx | 1 s to 10 s, because prepaid time (60 s or 10 s) has to outlast it |
//! | 429, an unknown status | 15 s to 5 min |
//! | 401, 403, 402, 483 | 30 s to 10 min: only a person can help; the pause ends when the credential changes |
//!
//! A longer `Retry-After` is obeyed, up to an hour; for 429 it replaces the 15 s. While the gate is shut, callers get
//! the reason and the time left.
//!
//! Does not: send requests; `io` does.

use std::time::{Duration, Instant};

use crate::payment::Refusal;
use resilience::backoff::Backoff;

/// The bounds of a `Retry-After`.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3600));
/// The time for which one caller tries alone after a pause.
const TRY: Duration = Duration::from_secs(1);

/// The gate of one signer. `W` is the reason why the gate is shut.
#[derive(Debug)]
pub(super) struct Gate<W> {
    shut: Option<Shut<W>>,
    down: Backoff,
    slow: Backoff,
    barred: Backoff,
}

#[derive(Debug)]
struct Shut<W> {
    until: Instant,
    why: W,
    refusal: Refusal,
    /// Whether the pause is over and one caller tries.
    is_tried: bool,
}

impl<W: Clone> Gate<W> {
    /// Creates an open gate.
    pub(super) fn new() -> Self {
        Self {
            shut: None,
            down: Backoff::new(Duration::from_secs(1), Duration::from_secs(10)),
            slow: Backoff::new(Duration::from_secs(15), Duration::from_secs(300)),
            barred: Backoff::new(Duration::from_secs(30), Duration::from_secs(600)),
        }
    }

    /// Call this before a request. An error has the reason not to send it, and the time left.
    pub(super) fn ask(&mut self, now: Instant) -> Result<(), (W, Duration)> {
        self.check(now)?;
        if let Some(shut) = &mut self.shut {
            shut.until = now + TRY;
            shut.is_tried = true;
        }
        Ok(())
    }

    /// Like `ask`, but no request follows: another caller may still try.
    pub(super) fn check(&self, now: Instant) -> Result<(), (W, Duration)> {
        match &self.shut {
            Some(shut) if now < shut.until => Err((shut.why.clone(), shut.until - now)),
            Some(_) | None => Ok(()),
        }
    }

    /// The signer answered: opens the gate.
    pub(super) fn on_answer(&mut self) {
        *self = Self::new();
    }

    /// The signer refused all sessions; `retry_after` is its `Retry-After`. Shuts the gate and returns the pause.
    pub(super) fn on_failure(
        &mut self,
        refusal: Refusal,
        why: W,
        retry_after: Option<Duration>,
        jitter: f64,
        now: Instant,
    ) -> Duration {
        // Concurrent calls that fail together count as one failure.
        let standing = self.shut.as_ref().filter(|shut| now < shut.until && !shut.is_tried);
        let pause = match standing {
            Some(shut) => (shut.until - now).max(asked_for(retry_after, jitter)),
            None => self.pause(refusal, retry_after, jitter),
        };
        self.shut = Some(Shut { until: now + pause, why, refusal, is_tried: false });
        pause
    }

    /// The credential changed: opens the gate if it is shut because of the credential.
    pub(super) fn on_new_credential(&mut self) {
        if self.is_barred() {
            *self = Self::new();
        }
    }

    /// Whether the gate is shut because of the credential.
    pub(super) fn is_barred(&self) -> bool {
        self.shut.as_ref().is_some_and(|shut| shut.refusal.is_of_credential())
    }

    fn pause(&mut self, refusal: Refusal, retry_after: Option<Duration>, jitter: f64) -> Duration {
        let own = if refusal.is_of_credential() {
            &mut self.barred
        } else if refusal == Refusal::Down || retry_after.is_some() {
            &mut self.down
        } else {
            &mut self.slow
        };
        own.on_failure(jitter).max(asked_for(retry_after, jitter))
    }
}

/// The requested delay within bounds, plus up to a tenth of jitter, so that devices do not return together.
fn asked_for(retry_after: Option<Duration>, jitter: f64) -> Duration {
    let (least, most) = RETRY_AFTER;
    let Some(asked) = retry_after else { return Duration::ZERO };
    asked.clamp(least, most).mul_f64(1.0 + 0.1 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The pause after each of several failures in a row, in ms.
    #[track_caller]
    fn check(status: u16, retry_after: Option<u64>, expected: [u64; 6]) {
        let (mut gate, mut now) = (Gate::new(), Instant::now());
        for pause in expected.map(Duration::from_millis) {
            assert_eq!(gate.ask(now), Ok(()), "{status}");
            let after = retry_after.map(seconds);
            let refusal = Refusal::of_status(status);
            assert_eq!(gate.on_failure(refusal, status, after, 1.0, now), pause, "{status}");
            let short = Duration::from_millis(1);
            assert_eq!(gate.ask(now + pause - short), Err((status, short)));
            now += pause;
        }
    }

    #[test]
    fn each_status_has_its_pauses() {
        let down = [1, 2, 4, 8, 10, 10].map(|s| s * 1000);
        for status in [500, 502, 503, 504] {
            check(status, None, down);
        }
        check(503, Some(5), [5500, 5500, 5500, 8000, 10_000, 10_000]);
        check(429, None, [15, 30, 60, 120, 240, 300].map(|s| s * 1000));
        check(404, None, [15, 30, 60, 120, 240, 300].map(|s| s * 1000));
        check(429, Some(600), [660_000; 6]);
        check(429, Some(0), [1100, 2000, 4000, 8000, 10_000, 10_000]);
        check(429, Some(u64::MAX), [3_960_000; 6]);
        for status in [401, 402, 403, 483] {
            check(status, None, [30, 60, 120, 240, 480, 600].map(|s| s * 1000));
            check(status, Some(1), [30, 60, 120, 240, 480, 600].map(|s| s * 1000));
            check(status, Some(700), [770_000; 6]);
        }
    }

    #[test]
    fn after_a_pause_one_caller_tries_and_the_others_wait() {
        let (mut gate, now) = (Gate::new(), Instant::now());
        let _ = gate.on_failure(Refusal::Down, 503, None, 1.0, now);
        let now = now + seconds(1);
        assert_eq!(gate.ask(now), Ok(()));
        assert_eq!(gate.ask(now), Err((503, TRY)));
        // The caller that tried was cancelled, so the next caller tries.
        let now = now + TRY;
        assert_eq!(gate.ask(now), Ok(()));
        gate.on_answer();
        assert_eq!((gate.ask(now), gate.ask(now)), (Ok(()), Ok(())));
        assert_eq!(
            gate.on_failure(Refusal::Down, 503, None, 1.0, now),
            seconds(1),
            "from the start"
        );
    }

    #[test]
    fn calls_that_fail_together_count_once() {
        let (mut gate, now) = (Gate::new(), Instant::now());
        for _ in 0..5 {
            assert_eq!(gate.ask(now), Ok(()));
        }
        for _ in 0..5 {
            assert_eq!(gate.on_failure(Refusal::Down, 503, None, 1.0, now), seconds(1));
        }
        let longer = gate.on_failure(Refusal::Down, 503, Some(seconds(9)), 0.0, now);
        assert_eq!(longer, seconds(9));
    }

    #[test]
    fn a_new_credential_opens_only_gates_shut_because_of_the_old_one() {
        let now = Instant::now();
        for (status, opens) in [(401, true), (403, true), (402, true), (483, true)]
            .into_iter()
            .chain([(429, false), (503, false), (404, false)])
        {
            let mut gate = Gate::new();
            let _ = gate.on_failure(Refusal::of_status(status), status, None, 1.0, now);
            assert_eq!(gate.is_barred(), opens, "{status}");
            gate.on_new_credential();
            assert_eq!(gate.ask(now).is_ok(), opens, "{status}");
        }
    }
}
