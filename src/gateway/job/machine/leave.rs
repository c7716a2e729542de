//! Handles the end of a live job and what follows it: losses, a stop, another configuration.
//!
//! [`Loss::suspension`] says how long to suspend an orchestrator that was left. After too many swaps (`swap_limit`), it
//! is suspended for [`BRIEFLY`] at least. A suspended orchestrator is tried after all others.
//!
//! Does not: choose the next orchestrator.

use std::time::{Duration, Instant};

use super::Machine;
use super::live::Live;
use super::pauses::Pauses;
use super::state::{Next, State, Then, close, find, finish, one};
use crate::job::swap_limit::SwapTiming;
use crate::job::{Command, Commands, Event, Loss, Outcome, Recovery, Slowness};
use crate::session::selection::Suspensions;
use resilience::fault::{Failure, Fault};

/// How long to suspend an orchestrator that does not process the video, refuses the job, or costs too much.
pub(in crate::job) const SUSPENSION: Duration = Duration::from_secs(30 * 60);
/// How long to suspend an orchestrator that may recover soon.
pub(in crate::job) const BRIEFLY: Duration = Duration::from_secs(5 * 60);

impl<T> Machine<T> {
    pub(super) fn live(
        &mut self,
        event: Event<T>,
        mut live: Live<T>,
        now: Instant,
        jitter: f64,
    ) -> Next<T> {
        match event {
            Event::Lost(loss) => return self.lost(loss, live, now, jitter),
            Event::Timeout => {
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
                return (State::Live(live), commands);
            }
            Event::CaptureDone | Event::Stop => return close(Outcome::Done),
            Event::CaptureFailed(reason) => return close(Outcome::Capture(reason)),
            Event::Sent(length) => return self.renew(length, live, now),
            event @ (Event::Started { .. } | Event::StartFailed { .. }) => {
                return self.next_started(event, live);
            }
            other => live.on(other, now),
        }
        (State::Live(live), Commands::new())
    }

    pub(super) fn lost(
        &mut self,
        loss: Loss,
        Live { mut selection, url, .. }: Live<T>,
        now: Instant,
        jitter: f64,
    ) -> Next<T> {
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
                Then::GoOn { selection }
            }
            SwapTiming::After(pause) => {
                let _ = commands.push(Command::SlowDown(Slowness::Losses, pause));
                Then::Pause { until: now + pause }
            }
        };
        (State::Closing { then }, commands)
    }

    /// Searches for other candidates, after closing the job that runs.
    pub(super) fn replace(&mut self, event: Event<T>, state: State<T>, now: Instant) -> Next<T> {
        if let Event::Replace(rules) = event {
            (self.rules, self.suspensions) = (rules, Suspensions::default());
            self.pauses = Pauses::default();
        }
        match state {
            State::Finding | State::Selecting { .. } | State::Waiting { .. } => find(),
            State::Starting { .. }
            | State::Live(_)
            | State::Closing { then: Then::Switch { .. } } => {
                let then = Then::Pause { until: now };
                (State::Closing { then }, one(Command::Close { for_good: false }))
            }
            State::Closing { then: Then::GoOn { .. } } => {
                (State::Closing { then: Then::Pause { until: now } }, Commands::new())
            }
            state @ (State::Closing { .. } | State::Dark | State::Ended) => {
                (state, Commands::new())
            }
        }
    }

    pub(super) fn closing(&mut self, event: Event<T>, then: Then<T>, now: Instant) -> Next<T> {
        match (event, then) {
            (Event::Closed, Then::Finish(outcome)) => finish(outcome),
            // A job ran until now, so without a spare search again at once.
            (Event::Closed, Then::GoOn { mut selection }) => match selection.spare() {
                Some(spare) => self.start_at(spare, selection, now),
                None => find(),
            },
            (Event::Closed, Then::Switch { selection, url, has }) => {
                let mut live = Live::new(selection, url, has, now);
                if self.is_without_camera() {
                    live.on_camera_lost();
                }
                (State::Live(live), one(Command::Run))
            }
            (Event::Closed, Then::Pause { until }) => (State::Waiting { until }, Commands::new()),
            (Event::Closed, Then::Dark) => (State::Dark, Commands::new()),
            (Event::CameraBack, Then::Dark) => {
                (State::Closing { then: Then::Pause { until: now } }, Commands::new())
            }
            // The job's parts are ending already: only what follows the close changes.
            (Event::Stop | Event::CaptureDone, then) if then.goes_on() => close(Outcome::Done),
            (Event::CaptureFailed(reason), then) if then.goes_on() => {
                close(Outcome::Capture(reason))
            }
            (_, then) => (State::Closing { then }, Commands::new()),
        }
    }
}
