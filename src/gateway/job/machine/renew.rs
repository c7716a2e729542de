//! Hands a job over to a new one before its timestamps wrap.
//!
//! MPEG-TS timestamps have 33 bits and wrap after 26.5 h. A decoder built on libav corrects one wrap, for 26.5 h after
//! the first timestamp that it saw (`wrap_timestamp` in libavformat); after that, it misreads new timestamps as old.
//! So each job is handed over to a new one after [`RENEW_AFTER`], whatever its first timestamp was.
//!
//! | is there a spare? | hand-over |
//! |---|---|
//! | yes | the new job is started there beside the old one; once it has started, the old one is closed |
//! | no, or no spare starts it | the old job is closed, and the machine searches again |
//!
//! The old orchestrator is not at fault, so it is not suspended, and the hand-over is not counted as a swap.
//!
//! Does not: check that video gets through at the moment; the sender of [`MachineEvent::Sent`](crate::job::MachineEvent::Sent) does.

use std::time::{Duration, Instant};

use super::Machine;
use super::live::LiveJob;
use super::state::{AfterClose, JobState, Transition, one};
use crate::job::{Command, Commands, MachineEvent};
use crate::session::selection::Candidate;

/// Hand a job over once this length of media was sent to it: 2.5 h before decoders may misread its timestamps.
pub const RENEW_AFTER: Duration = Duration::from_secs(24 * 3600);

impl<T> Machine<T> {
    /// Starts the hand-over if the length of the media sent requires it.
    pub(super) fn renew(
        &mut self,
        sent: Duration,
        mut live: LiveJob<T>,
        now: Instant,
    ) -> Transition<T> {
        if sent < RENEW_AFTER || live.next.is_some() || self.is_without_camera() {
            return (JobState::Live(live), Commands::new());
        }
        let spare = live
            .selection
            .spare()
            .filter(|spare| self.prepaid.wait(live.selection.prepaid(&spare.offer), now).is_none());
        let Some(Candidate { url, offer, answer, .. }) = spare else {
            let mut commands = one(Command::Close { for_good: false });
            // Cannot fail: the list has room for three commands.
            let _ = commands.push(Command::Renew);
            return (JobState::Closing { then: AfterClose::Pause { until: now } }, commands);
        };
        let prepaid = live.selection.prepaid(&offer);
        self.prepaid.on_start(prepaid, now);
        live.next = Some((url.clone(), prepaid));
        let mut commands = one(Command::StartNext(url, answer));
        let _ = commands.push(Command::Renew);
        (JobState::Live(live), commands)
    }

    /// Handles the result of the start beside the live job.
    pub(super) fn next_started(
        &mut self,
        event: MachineEvent<T>,
        mut live: LiveJob<T>,
    ) -> Transition<T> {
        match (live.next.take(), event) {
            (Some((url, _)), MachineEvent::Started { has_output, has_events }) => {
                let then = AfterClose::Switch {
                    selection: live.selection,
                    url,
                    has: [has_output, has_events],
                };
                (JobState::Closing { then }, one(Command::HandOver))
            }
            (Some((url, prepaid)), MachineEvent::StartFailed { failure, is_paid }) => {
                if !is_paid {
                    self.prepaid.on_not_taken(prepaid);
                }
                live.selection.on_failed(&url, failure);
                (JobState::Live(live), Commands::new())
            }
            (next, _) => {
                live.next = next;
                (JobState::Live(live), Commands::new())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::machine::tests::{check, live};
    use crate::job::{Loss, Recovery, Stage};
    use crate::session::selection::OfferRules;
    use resilience::fault::{Failure, Fault};

    const DUE: MachineEvent<u32> = MachineEvent::Sent(RENEW_AFTER);

    fn started() -> MachineEvent<u32> {
        MachineEvent::Started { has_output: true, has_events: true }
    }

    /// A job that is being handed over, and the URL of the spare that is being started.
    fn moving(now: Instant) -> (Machine<u32>, crate::http::Url) {
        let mut machine = live(2, Recovery::Retry, now);
        let commands = machine.on(DUE, now, 1.0);
        let [Command::StartNext(spare, 7), Command::Renew] = commands.as_slice() else {
            panic!("{commands:?}")
        };
        (machine, spare.clone())
    }

    #[test]
    fn a_job_is_handed_over_to_a_spare_before_its_times_wrap() {
        let now = Instant::now();
        let mut machine = live(2, Recovery::Exit, now);
        let early = MachineEvent::Sent(RENEW_AFTER - Duration::from_secs(1));
        check(&mut machine, early, now, &[]);
        let (mut machine, _) = moving(now);
        assert_eq!(machine.stage(), Stage::Live, "the old job goes on meanwhile");
        check(&mut machine, DUE, now, &[]);
        check(&mut machine, started(), now, &[Command::HandOver]);
        check(&mut machine, MachineEvent::Closed, now, &[Command::Run]);
        assert_eq!(machine.stage(), Stage::Live);
        // No orchestrator is suspended: the one that was left is not at fault.
        assert_eq!(machine.poll_timeout().map(|at| at > now), Some(true));
    }

    #[test]
    fn without_a_spare_the_job_is_closed_and_a_new_search_begins() {
        let now = Instant::now();
        let mut machine = live(1, Recovery::Retry, now);
        check(&mut machine, DUE, now, &[Command::Close { for_good: false }, Command::Renew]);
        check(&mut machine, MachineEvent::Closed, now, &[]);
        check(&mut machine, MachineEvent::Timeout, now, &[Command::Find]);
    }

    #[test]
    fn a_spare_that_refuses_the_job_leaves_the_old_one_running() {
        let now = Instant::now();
        let (mut machine, _) = moving(now);
        let failure = Failure::of_peer("busy", Fault::Retry);
        check(&mut machine, MachineEvent::StartFailed { failure, is_paid: false }, now, &[]);
        assert_eq!(machine.stage(), Stage::Live);
        // No other spare is left.
        check(&mut machine, DUE, now, &[Command::Close { for_good: false }, Command::Renew]);
    }

    #[test]
    fn a_stop_or_loss_during_a_hand_over_closes_the_new_job_too() {
        let now = Instant::now();
        let for_good = [Command::Close { for_good: true }];
        let not_for_good = Command::Close { for_good: false };
        // While the new job is being started.
        let (mut machine, _) = moving(now);
        check(&mut machine, MachineEvent::Stop, now, &for_good);
        let (mut machine, _) = moving(now);
        let loss = Loss::Channel("publish", "gone".into());
        let commands = machine.on(MachineEvent::Lost(loss), now, 1.0);
        assert_eq!(commands.first(), Some(&not_for_good));
        // While the old job is closed.
        for (event, expected) in [
            (MachineEvent::Stop, for_good.as_slice()),
            (MachineEvent::CameraLost, &[Command::Close { for_good: false }]),
            (MachineEvent::Replace(OfferRules::default()), &[Command::Close { for_good: false }]),
        ] {
            let (mut machine, _) = moving(now);
            check(&mut machine, started(), now, &[Command::HandOver]);
            check(&mut machine, event, now, expected);
            assert_ne!(machine.on(MachineEvent::Closed, now, 1.0).as_slice(), [Command::Run]);
        }
    }

    #[test]
    fn a_job_without_a_camera_waits_for_it() {
        let now = Instant::now();
        let mut machine = live(2, Recovery::Retry, now);
        check(&mut machine, MachineEvent::CameraLost, now, &[]);
        check(&mut machine, DUE, now, &[]);
        check(&mut machine, MachineEvent::CameraBack, now, &[]);
        let commands = machine.on(DUE, now, 1.0);
        assert!(matches!(commands.as_slice(), [Command::StartNext(..), Command::Renew]));
    }
}
