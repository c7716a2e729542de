//! What the end of a part, or a payment that was not made, means for the job.
//!
//! Does not: decide what a loss leads to; `job::Machine` does.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::agent::event::Part;
use crate::agent::run::{Closing, Loop};
use livepeer_gateway::http::Url;
use livepeer_gateway::job::{self, Loss, RENEW_AFTER};
use livepeer_gateway::payment::io::{Outcome, Turn};
use livepeer_gateway::trickle::{End, TrickleError};
use resilience::fault::{Fault, chain};

/// A job that could not be handed over for so long, because video did not get through, is handed over anyway.
const URGENT: Duration = Duration::from_secs(2 * 3600);

impl Loop {
    /// What the end of a part means for the job, if it means anything.
    pub(super) fn on_part_ended(
        &mut self,
        part: Part,
        end: &Result<End, TrickleError>,
    ) -> Option<Loss> {
        let how = match end {
            Ok(end) => end.to_string(),
            Err(error) => chain(error),
        };
        log::debug!("{} part ended: {how}", part.name());
        if self.closing != Closing::No {
            if part == Part::Output {
                self.end_parts();
            }
            return None;
        }
        // A publisher finishes when capture does, which is an event of its own.
        if matches!((part, end), (Part::Publisher, Ok(End::Finished))) {
            return None;
        }
        Some(match (&self.payment_trouble, end) {
            (Some(why), Ok(End::Closed | End::Missing)) => Loss::Unpaid(how, why.clone()),
            (None, Ok(End::Closed | End::Missing)) if self.is_on_runner() => Loss::SessionOver(how),
            (_, Err(error)) if error.fault() == Fault::Retry => Loss::Link(part.name(), how),
            (_, _) => Loss::Channel(part.name(), how),
        })
    }

    /// Says once that video does not get through, and once that it does.
    pub(super) fn look_at_link(&mut self, now: Instant) {
        let is_troubled = self.status.publish.is_troubled.load(Relaxed);
        if is_troubled == self.link_trouble.is_on() {
            return;
        }
        if is_troubled {
            let place = self.orchestrator.as_ref().map(Url::authority);
            let place = place.map(ToString::to_string).unwrap_or_default();
            self.link_trouble.on_failure(&format!("{place}: no video gets through"), now);
        } else {
            self.link_trouble.on_success(now);
        }
    }

    /// How much media the job was sent, at a moment that is good for a hand-over; or at any, once it is urgent.
    pub(super) fn sent<T>(&self) -> Option<job::Event<T>> {
        let length = self.units.span();
        let is_quiet = !self.link_trouble.is_on();
        (is_quiet || length > RENEW_AFTER + URGENT).then_some(job::Event::Sent(length))
    }

    fn is_on_runner(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.job.is_on_runner())
    }

    /// What the turn of the payer means for the job, if it means anything.
    pub(super) fn on_payment(&mut self, turn: Turn) -> Option<Loss> {
        self.status.payment.set(turn.paid_for);
        match turn.outcome {
            Outcome::NotYet => None,
            Outcome::Paid | Outcome::Skipped => {
                if self.payment_trouble.take().is_some() {
                    log::info!("payments go on");
                }
                None
            }
            Outcome::Later(error) => {
                let why = chain(&error);
                if self.payment_trouble.as_ref() != Some(&why) {
                    let left = turn.paid_for.unwrap_or_default().as_secs();
                    log::warn!("no payment: {why}; paid for about {left} s more, tried again");
                    self.payment_trouble = Some(why);
                }
                None
            }
            Outcome::Leave(error) | Outcome::Failed(error) => Some(Loss::Payment(chain(&error))),
        }
    }
}
