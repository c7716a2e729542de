//! Handles the end of a live job and what follows it: losses, a stop, another configuration.
//!
//! [`Loss::suspension`] says how long to suspend an orchestrator that was left. After too many swaps (`swap_limit`), it
//! is suspended for [`BRIEFLY`] at least. A suspended orchestrator is tried after all others.
//!
//! Does not: choose the next orchestrator.

use std::time::{Duration, Instant};

use super::Machine;
use super::live::LiveJob;
use super::pauses::Pauses;
use super::state::{AfterClose, JobState, Transition, close, find, finish, one};
use crate::job::swap_limit::SwapTiming;
use crate::job::{Command, Commands, Loss, MachineEvent, Outcome, Recovery, Slowness};
use crate::session::selection::Suspensions;
use resilience::fault::{Failure, Fault};

/// How long to suspend an orchestrator that does not process the video, refuses the job, or costs too much.
pub(in crate::job) const SUSPENSION: Duration = Duration::from_secs(30 * 60);
/// How long to suspend an orchestrator that may recover soon.
pub(in crate::job) const BRIEFLY: Duration = Duration::from_secs(5 * 60);

impl<T> Machine<T> {
    pub(super) fn live(
        &mut self,
        event: MachineEvent<T>,
        mut live: LiveJob<T>,
        now: Instant,
        jitter: f64,
    ) -> Transition<T> {
        match event {
            MachineEvent::Lost(loss) => return self.lost(loss, live, now, jitter),
            MachineEvent::Timeout => {
                if let Some(loss) = live.overdue(now) {
                    return self.lost(loss, live, now, jitter);
                }
                let urls = live.spares_to_ask(
                    &self.known,
                    (self.rules, self.order),
                    &self.suspensions,
                    now,
                );
                let commands =
                    if urls.is_empty() { Commands::new() } else { one(Command::Ask(urls)) };
                return (JobState::Live(live), commands);
            }
            MachineEvent::CaptureDone | MachineEvent::Stop => return close(Outcome::Done),
            MachineEvent::CaptureFailed(reason) => return close(Outcome::Capture(reason)),
            MachineEvent::Sent(length) => return self.renew(length, live, now),
            event @ (MachineEvent::Started { .. } | MachineEvent::StartFailed { .. }) => {
                return self.next_started(event, live);
            }
            other => live.on(other, now),
        }
        (JobState::Live(live), Commands::new())
    }

    pub(super) fn lost(
        &mut self,
        loss: Loss,
        LiveJob { mut selection, url, .. }: LiveJob<T>,
        now: Instant,
        jitter: f64,
    ) -> Transition<T> {
        if self.recovery == Recovery::Exit && !loss.asks_for_another() {
            return close(Outcome::Lost(loss));
        }
        let timing = self.swaps.on_swap(now, jitter);
        let least = if timing == SwapTiming::AtOnce { Duration::ZERO } else { BRIEFLY };
        let suspension = loss.suspension().max(least);
        if !suspension.is_zero() {
            self.suspensions.suspend(url.authority().clone(), now + suspension);
        }
        let mut commands = one(Command::Close { for_good: false });
        // Cannot fail: the list has room for three commands.
        let _ = commands.push(Command::Left(loss.clone()));
        let then = match timing {
            SwapTiming::AtOnce => {
                selection.on_failed(&url, Failure::of_peer(loss.to_string(), Fault::Retry));
                AfterClose::GoOn { selection }
            }
            SwapTiming::After(pause) => {
                let _ = commands.push(Command::SlowDown(Slowness::Losses, pause));
                AfterClose::Pause { until: now + pause }
            }
        };
        (JobState::Closing { then }, commands)
    }

    /// Searches for other candidates, after closing the job that runs.
    pub(super) fn replace(
        &mut self,
        event: MachineEvent<T>,
        state: JobState<T>,
        now: Instant,
    ) -> Transition<T> {
        if let MachineEvent::Replace(rules) = event {
            (self.rules, self.suspensions) = (rules, Suspensions::default());
            self.pauses = Pauses::default();
        }
        match state {
            JobState::Finding
            | JobState::Selecting { .. }
            | JobState::Waiting { .. }
            | JobState::Ready { .. } => find(),
            JobState::Starting { .. }
            | JobState::Live(_)
            | JobState::Closing { then: AfterClose::Switch { .. } } => {
                let then = AfterClose::Pause { until: now };
                (JobState::Closing { then }, one(Command::Close { for_good: false }))
            }
            JobState::Closing { then: AfterClose::GoOn { .. } } => {
                (JobState::Closing { then: AfterClose::Pause { until: now } }, Commands::new())
            }
            state @ (JobState::Closing { .. } | JobState::Dark | JobState::Ended) => {
                (state, Commands::new())
            }
        }
    }

    pub(super) fn closing(
        &mut self,
        event: MachineEvent<T>,
        then: AfterClose<T>,
        now: Instant,
    ) -> Transition<T> {
        match (event, then) {
            (MachineEvent::Closed, AfterClose::Finish(outcome)) => finish(outcome),
            // A job ran until now, so if there is no spare, search again at once.
            (MachineEvent::Closed, AfterClose::GoOn { mut selection }) => match selection.spare() {
                Some(spare) => self.start_at(spare, selection, now),
                None => find(),
            },
            (MachineEvent::Closed, AfterClose::Switch { selection, url, has }) => {
                let mut live = LiveJob::new(selection, url, has, now);
                if self.is_without_camera() {
                    live.on_camera_lost();
                }
                (JobState::Live(live), one(Command::Run))
            }
            (MachineEvent::Closed, AfterClose::Pause { until }) => {
                (JobState::Waiting { until }, Commands::new())
            }
            (MachineEvent::Closed, AfterClose::Dark) if self.may_prepare() => find(),
            (MachineEvent::Closed, AfterClose::Dark) => (JobState::Dark, Commands::new()),
            (MachineEvent::CameraBack | MachineEvent::Resume, AfterClose::Dark)
                if self.may_start() =>
            {
                (JobState::Closing { then: AfterClose::Pause { until: now } }, Commands::new())
            }
            // The job's parts are ending already, so change only what follows the close.
            (MachineEvent::Stop | MachineEvent::CaptureDone, then) if then.goes_on() => {
                close(Outcome::Done)
            }
            (MachineEvent::CaptureFailed(reason), then) if then.goes_on() => {
                close(Outcome::Capture(reason))
            }
            (_, then) => (JobState::Closing { then }, Commands::new()),
        }
    }
}
