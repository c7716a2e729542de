//! Decides how long nobody is asked after a selection in vain, and how long one who refuses what is asked for.
//!
//! | what keeps the job from starting | the next try |
//! |---|---|
//! | peers that are down, full, or give no answer | after 0.25 s, then twice as long, up to 10 s |
//! | something that only a person can change | after 15 s, then twice as long, up to 5 min |
//! | a signer that says when | not before that, an hour at most |
//! | the model or its parameters, which one orchestrator refuses | that one after 10 min, then twice as long, up to 2 h |
//!
//! Does not: wait.

use std::time::Duration;

use crate::job::Outcome;
use resilience::backoff::Backoff;
use resilience::fault::Fault;

/// Short, for a peer that comes back should be met within 2 s.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(250);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// As long as the pauses of the payment schedule, where only a person can help.
const FIRST_FOR_A_PERSON: Duration = Duration::from_secs(15);
const LONGEST_FOR_A_PERSON: Duration = Duration::from_secs(5 * 60);
/// A try costs 60 s of video where the refusal comes after the payment, so it is made seldom; it is made at all, for
/// the real runner says the same of parameters that it refuses and of a process that has crashed.
const FIRST_BAR: Duration = Duration::from_secs(10 * 60);
const LONGEST_BAR: Duration = Duration::from_secs(2 * 3600);
/// Nobody is obeyed who wants to be left alone for longer.
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
    /// The time until the next search, after one that ended so.
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
        // A little later than asked, so that devices do not return at once.
        let obeyed = asked.min(LONGEST_OBEYED).mul_f64(1.0 + 0.1 * jitter.clamp(0.0, 1.0));
        pause.max(obeyed)
    }

    /// How long one that refuses what is asked for is not asked for it again.
    pub(super) fn bar(&mut self, jitter: f64) -> Duration {
        self.bars.on_failure(jitter)
    }

    /// Something else is asked for from now on.
    pub(super) fn on_new_params(&mut self) {
        self.bars.on_success();
    }

    /// A job has started.
    pub(super) fn on_success(&mut self) {
        *self = Self::default();
    }
}
