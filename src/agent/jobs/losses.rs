//! Translates the end of a part or a failed payment into a loss of the job.
//!
//! Does not: decide what a loss leads to; `job::Machine` does.

use crate::agent::event::Part;
use crate::events::{Bus, Kind};
use livepeer_gateway::job::Loss;
use livepeer_gateway::payment::io::{PayerReport, PaymentOutcome};
use livepeer_gateway::trickle::{ChannelEnd, TrickleError};
use resilience::fault::{Fault, chain};

/// The loss that the end of a part causes, or `None` if the job goes on. `unpaid` is the reason while payments fail; the
/// job `is_on_runner`, or at an orchestrator.
pub(super) fn loss_of_part(
    part: Part,
    end: &Result<ChannelEnd, TrickleError>,
    unpaid: Option<&str>,
    is_on_runner: bool,
) -> Option<Loss> {
    // A publisher finishes when capture does, which capture reports by its own event.
    if matches!((part, end), (Part::Publisher, Ok(ChannelEnd::Finished))) {
        return None;
    }
    let how = described(end);
    Some(match (unpaid, end) {
        (Some(why), Ok(ChannelEnd::Closed | ChannelEnd::Missing)) => {
            Loss::Unpaid(how, why.to_owned())
        }
        (None, Ok(ChannelEnd::Closed | ChannelEnd::Missing)) if is_on_runner => {
            Loss::SessionOver(how)
        }
        (_, Err(error)) if error.fault() == Fault::Retry => Loss::Link(part.name(), how),
        (_, _) => Loss::Channel(part.name(), how),
    })
}

/// Whether a turn of the payer failed.
pub(super) fn is_failure(outcome: &PaymentOutcome) -> bool {
    match outcome {
        PaymentOutcome::Later(_) | PaymentOutcome::Leave(_) | PaymentOutcome::Failed(_) => true,
        PaymentOutcome::NotYet | PaymentOutcome::Paid | PaymentOutcome::Skipped => false,
    }
}

/// The end of a part in one line.
pub(super) fn described(end: &Result<ChannelEnd, TrickleError>) -> String {
    match end {
        Ok(end) => end.to_string(),
        Err(error) => chain(error),
    }
}

/// The state of payments, with their log lines.
#[derive(Debug, Default)]
pub(super) struct PaymentReport {
    /// The reason while payments fail.
    failure: Option<String>,
}

impl PaymentReport {
    /// The reason while payments fail.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Handles a turn of the payer. Returns the loss of the job, if the turn causes one. Publishes the beginning and
    /// the end of a failure on `bus`.
    pub(super) fn on_turn(&mut self, turn: PayerReport, bus: &Bus) -> Option<Loss> {
        match turn.outcome {
            PaymentOutcome::NotYet => None,
            PaymentOutcome::Paid | PaymentOutcome::Skipped => {
                if self.failure.take().is_some() {
                    log::info!("payments work again");
                    bus.publish(|| Kind::PaymentWorks);
                }
                None
            }
            PaymentOutcome::Later(error) => {
                let why = chain(&error);
                if self.failure.as_ref() != Some(&why) {
                    let paid_for_s = turn.paid_for.map(|left| left.as_secs());
                    bus.publish(|| Kind::PaymentTrouble { reason: why.clone(), paid_for_s });
                    let left =
                        paid_for_s.map(|left| format!("about {left} s are still paid for; "));
                    log::warn!("payment failed: {why}; {}retrying", left.unwrap_or_default());
                    self.failure = Some(why);
                }
                None
            }
            PaymentOutcome::Leave(error) | PaymentOutcome::Failed(error) => {
                Some(Loss::Payment(chain(&error)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        part: Part,
        end: ChannelEnd,
        unpaid: Option<&str>,
        is_on_runner: bool,
        expected: &str,
    ) {
        let loss = loss_of_part(part, &Ok(end), unpaid, is_on_runner);
        let kind = format!("{loss:?}");
        assert!(kind.starts_with(expected), "{kind}");
    }

    #[test]
    fn a_closed_channel_is_blamed_on_failing_payments_first() {
        for part in [Part::Publisher, Part::Output, Part::Events, Part::Control] {
            for end in [ChannelEnd::Closed, ChannelEnd::Missing] {
                check(part, end, Some("no funds"), true, "Some(Unpaid(");
                check(part, end, Some("no funds"), false, "Some(Unpaid(");
                check(part, end, None, true, "Some(SessionOver(");
                check(part, end, None, false, "Some(Channel(");
            }
        }
    }

    #[test]
    fn the_publishers_own_end_is_not_a_loss() {
        check(Part::Publisher, ChannelEnd::Finished, None, false, "None");
        check(Part::Publisher, ChannelEnd::Finished, Some("no funds"), true, "None");
        check(Part::Output, ChannelEnd::Finished, None, false, "Some(Channel(");
    }
}
