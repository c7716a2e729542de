//! Decides how long to wait after a failed search, and how long to bar an orchestrator that refuses the parameters.
//!
//! | cause of the failure | next attempt |
//! |---|---|
//! | peers that are down, full, or give no answer | after 0.25 s, then twice as long, up to 10 s |
//! | a fault that only a person can repair | after 15 s, then twice as long, up to 5 min |
//! | a signer that says when to retry | not before that time, which is limited to 1 h |
//! | an orchestrator refuses the model or its parameters | at this orchestrator after 10 min, then twice as long, up to 2 h |
//!
//! Does not: wait.

use std::time::Duration;

use crate::job::Outcome;
use resilience::backoff::Backoff;
use resilience::fault::Fault;

/// The pauses after failures that may pass. They begin short, because a peer that returns should be found within 2 s.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(250);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The pauses after failures that only a person can repair; the same as in the payment schedule.
const FIRST_FOR_A_PERSON: Duration = Duration::from_secs(15);
const LONGEST_FOR_A_PERSON: Duration = Duration::from_secs(5 * 60);
/// The bars of an orchestrator that refuses the parameters. They are long, because a start that is refused after its
/// payment costs 60 s of video. The bars are limited, because the runner gives the same answer when its process has
/// crashed.
const FIRST_BAR: Duration = Duration::from_secs(10 * 60);
const LONGEST_BAR: Duration = Duration::from_secs(2 * 3600);
/// Upper limit of the pause that a failure may ask for (`retry_after`).
const LONGEST_OBEYED: Duration = Duration::from_secs(3600);

/// The pauses of one job.
#[derive(Debug)]
pub(super) struct Pauses {
    soon: Backoff,
    for_a_person: Backoff,
    bars: Backoff,
}

impl Default for Pauses {
    fn default() -> Self {
        Self {
            soon: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            for_a_person: Backoff::new(FIRST_FOR_A_PERSON, LONGEST_FOR_A_PERSON),
            bars: Backoff::new(FIRST_BAR, LONGEST_BAR),
        }
    }
}

impl Pauses {
    /// The pause before the next search, after a search with this `outcome`. `jitter` from 0 to 1 spreads it.
    pub(super) fn after(&mut self, outcome: &Outcome, jitter: f64) -> Duration {
        let (fault, asked) = match outcome {
            Outcome::FindFailed(failure) => {
                (failure.fault, failure.retry_after.unwrap_or_default())
            }
            Outcome::NoCandidateLeft(none) => (none.fault(), none.retry_after()),
            Outcome::Done | Outcome::Lost(_) | Outcome::Capture(_) => {
                (Fault::Retry, Duration::ZERO)
            }
        };
        let pause = match fault {
            Fault::GiveUp => self.for_a_person.on_failure(jitter),
            Fault::Retry | Fault::Refresh | Fault::NextPeer => self.soon.on_failure(jitter),
        };
        // Wait a little longer than requested, so that devices do not all return at the same moment.
        let obeyed = asked.min(LONGEST_OBEYED).mul_f64(1.0 + 0.1 * jitter.clamp(0.0, 1.0));
        pause.max(obeyed)
    }

    /// How long to bar an orchestrator that refuses the model or its parameters. `jitter` from 0 to 1 spreads the time.
    pub(super) fn bar(&mut self, jitter: f64) -> Duration {
        self.bars.on_failure(jitter)
    }

    /// Call when the parameters change: the next bar is short again.
    pub(super) fn on_new_params(&mut self) {
        self.bars.on_success();
    }

    /// Call when a job has started: all pauses are short again.
    pub(super) fn on_success(&mut self) {
        *self = Self::default();
    }
}
