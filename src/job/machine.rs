//! Decides what has to run for a live video job: told what happened, it answers with commands.
//!
//! ```text
//!          Found                Try                  Started
//! ┌─────────┐    ┌───────────┐ Start ┌──────────┐  ok    ┌──────┐
//! │ Finding ├───▶│ Selecting ├──────▶│ Starting ├───────▶│ Live │
//! └─────────┘    └──┬─────▲──┘       └──┬───────┘  Run   └──┬───┘
//!      ▲ wait over  │     │ refused     │                   │ lost, input over, stop
//! ┌────┴────┐       │     ├─────────────┘                   ▼
//! │ Waiting │◀──────┤     │ go on there or elsewhere   ┌─────────┐ Closed ┌───────┐
//! └─────────┘ none  │     └────────────────────────────┤ Closing ├───────▶│ Ended │
//!             left  └──────────────────────────────────┴────┬────┴───────▶└───────┘
//!                                  ┌──────┐  camera gone    │
//!                       Finding ◀──┤ Dark │◀────────────────┘
//!                             back └──────┘
//! ```
//!
//! | what is lost | `Recovery::Exit` | `Recovery::Retry` |
//! |---|---|---|
//! | a price or payment that asks for another orchestrator, a session that is over | next candidate | next candidate |
//! | anything else of a live job | end | next candidate |
//! | no candidate left | end | wait, find again |
//!
//! An orchestrator that was left is suspended for a while; the good ones that were not tried are spares. While
//! a job is live they are asked again now and then, as what they offer grows old; that costs nothing.
//! Without a camera no job is started. A job that runs is kept for `hold`, then closed until the camera is back.
//! Health (protocol.md, section 5): while live, an output segment and an event are due every 30 s.
//!
//! Does not: carry anything out, read the clock, or know what came with an offer.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "an event that a state does not expect comes late or twice, and changes nothing"
)]

use std::time::{Duration, Instant};

mod live;
mod state;
#[cfg(test)]
mod tests;

use live::Live;
use state::{State, Then, close, darken, finish, next_of, one};

use crate::backoff::Backoff;
use crate::capacity::CANDIDATES;
use crate::fault::{Failure, Fault};
use crate::http::Url;
use crate::job::{Command, Commands, Event, Loss, Outcome, Stage};
use crate::session::selection::{Rounds, Rules, Suspensions};
use crate::swap_limit::{Pace, SwapLimit};

/// After the first good offer, how long the others may still make theirs.
const OFFER_TIME: Duration = Duration::from_millis(300);
/// How long an orchestrator that was left is kept away from, unless there is no other.
const SUSPENSION: Duration = Duration::from_secs(30 * 60);
/// Pauses between two searches: short, for a peer that comes back should be met within 2 s.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What a loss leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recovery {
    /// The end, with the reason: somebody is there to read it.
    #[default]
    Exit,
    /// Another orchestrator, or the same one later.
    Retry,
}

/// The state machine of one job, on one orchestrator after the other.
#[derive(Debug)]
pub struct Machine<T> {
    rules: Rules,
    recovery: Recovery,
    suspensions: Suspensions,
    backoff: Backoff,
    swaps: SwapLimit,
    /// Who may take the job, as was found last.
    known: Vec<Url>,
    /// How long a job goes on without a camera.
    hold: Duration,
    /// Until when it does, while the camera is gone.
    held_until: Option<Instant>,
    /// A peer that was gone came back while others were tried: if they fail, it is tried at once.
    came_back: bool,
    state: State<T>,
}

impl<T> Machine<T> {
    /// A machine, and what to do first. A job goes on without a camera for `hold`.
    pub fn new(rules: Rules, recovery: Recovery, hold: Duration) -> (Self, Commands<T>) {
        let machine = Self {
            rules,
            recovery,
            suspensions: Suspensions::default(),
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            swaps: SwapLimit::default(),
            known: Vec::new(),
            hold,
            held_until: None,
            came_back: false,
            state: State::Finding,
        };
        (machine, one(Command::Find))
    }

    /// What to do now that `event` has happened. `jitter` from 0 to 1 spreads pauses.
    pub fn on(&mut self, event: Event<T>, now: Instant, jitter: f64) -> Commands<T> {
        match &event {
            Event::CameraLost => {
                self.held_until.get_or_insert(now + self.hold);
            }
            Event::CameraBack => self.held_until = None,
            Event::Recover(recovery) => self.recovery = *recovery,
            Event::Hold(hold) => self.hold = *hold,
            _ => {}
        }
        let hold_is_over = self.held_until.is_some_and(|until| until <= now);
        let (state, commands) = match std::mem::replace(&mut self.state, State::Ended) {
            state if matches!(event, Event::CameraLost) && (hold_is_over || !state.has_job()) => {
                darken(state)
            }
            state if matches!(event, Event::Timeout) && hold_is_over => darken(state),
            state if matches!(event, Event::Replace(_)) => self.replace(event, state, now),
            State::Finding => self.finding(event, now, jitter),
            State::Selecting { rounds, until, had_offer } => {
                self.selecting(event, rounds, (until, had_offer), now, jitter)
            }
            State::Starting { rounds, url } => self.starting(event, rounds, url, now, jitter),
            State::Live(live) => self.live(event, live, now, jitter),
            State::Closing { then } => Self::closing(event, then, now),
            State::Dark => match event {
                Event::CameraBack => (State::Finding, one(Command::Find)),
                Event::Stop | Event::CaptureDone => finish(Outcome::Done),
                Event::CaptureFailed(reason) => finish(Outcome::Capture(reason)),
                _ => (State::Dark, Commands::new()),
            },
            State::Waiting { until } => match event {
                Event::Timeout if until <= now => (State::Finding, one(Command::Find)),
                Event::Reachable => (State::Finding, one(Command::Find)),
                Event::Stop | Event::CaptureDone => finish(Outcome::Done),
                Event::CaptureFailed(reason) => finish(Outcome::Capture(reason)),
                _ => (State::Waiting { until }, Commands::new()),
            },
            State::Ended => (State::Ended, Commands::new()),
        };
        self.state = match state {
            // What was to come after the close would be a job without a camera.
            State::Closing { then } if self.is_without_camera() && then.goes_on() => {
                State::Closing { then: Then::Dark }
            }
            state => state,
        };
        commands
    }

    /// When [`Event::Timeout`] is due, if it is.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = match &self.state {
            State::Selecting { until, .. } | State::Waiting { until } => Some(*until),
            State::Live(live) => live.poll_timeout(),
            State::Finding | State::Starting { .. } => None,
            State::Closing { .. } | State::Dark | State::Ended => return None,
        };
        [own, self.held_until].into_iter().flatten().min()
    }

    /// Who may take the job, as was found last.
    pub fn known(&self) -> &[Url] {
        &self.known
    }

    /// Whether the camera is gone, as far as the machine was told.
    pub fn is_without_camera(&self) -> bool {
        self.held_until.is_some()
    }

    /// The camera is gone, and the job goes on without it until then.
    pub fn held_until(&self) -> Option<Instant> {
        self.held_until
    }

    /// How far the job has come, for those who look from outside.
    pub fn stage(&self) -> Stage {
        self.state.stage()
    }

    fn finding(&mut self, event: Event<T>, now: Instant, jitter: f64) -> (State<T>, Commands<T>) {
        match event {
            Event::Found(urls) => {
                self.known.clone_from(&urls);
                self.known.truncate(CANDIDATES);
                let rounds = Rounds::new(self.rules, urls, &self.suspensions, now);
                self.select(rounds, now, jitter)
            }
            Event::FindFailed(failure) => self.give_up(Outcome::FindFailed(failure), now, jitter),
            // What was asked before may hang until its time is up.
            Event::Reachable => (State::Finding, one(Command::Find)),
            Event::Stop | Event::CaptureDone => finish(Outcome::Done),
            Event::CaptureFailed(reason) => finish(Outcome::Capture(reason)),
            _ => (State::Finding, Commands::new()),
        }
    }

    fn selecting(
        &mut self,
        event: Event<T>,
        mut rounds: Rounds<T>,
        (mut until, mut had_offer): (Instant, bool),
        now: Instant,
        jitter: f64,
    ) -> (State<T>, Commands<T>) {
        match event {
            Event::Offered { url, offer, answer_time, with } => {
                let is_good = rounds.on_offer(&url, offer, answer_time, with).is_none();
                if is_good && !had_offer {
                    until = until.min(now + OFFER_TIME);
                }
                had_offer |= is_good;
            }
            Event::NoAnswer(url, failure) => rounds.on_no_answer(&url, failure),
            Event::Timeout if until <= now => rounds.on_deadline(),
            Event::Reachable if !had_offer => return (State::Finding, one(Command::Find)),
            Event::Reachable => self.came_back = true,
            Event::Stop | Event::CaptureDone => return finish(Outcome::Done),
            Event::CaptureFailed(reason) => return finish(Outcome::Capture(reason)),
            _ => {}
        }
        match self.select(rounds, now, jitter) {
            // Still waiting for the same ones: their time goes on.
            (State::Selecting { rounds, .. }, commands) if commands.is_empty() => {
                (State::Selecting { rounds, until, had_offer }, commands)
            }
            other => other,
        }
    }

    fn starting(
        &mut self,
        event: Event<T>,
        mut rounds: Rounds<T>,
        url: Url,
        now: Instant,
        jitter: f64,
    ) -> (State<T>, Commands<T>) {
        match event {
            Event::Started { has_output, has_events } => {
                self.backoff.on_success();
                self.came_back = false;
                let mut live = Live::new(rounds, url, [has_output, has_events], now);
                if self.held_until.is_some() {
                    live.on_camera_lost();
                }
                (State::Live(live), one(Command::Run))
            }
            Event::StartFailed(_) if self.is_without_camera() => (State::Dark, Commands::new()),
            Event::StartFailed(failure) => {
                rounds.on_failed(&url, failure);
                self.select(rounds, now, jitter)
            }
            // A job that is being started may be there already: it is closed, not forgotten.
            Event::Lost(loss) => {
                self.lost(loss, Live::new(rounds, url, [false; 2], now), now, jitter)
            }
            Event::CaptureFailed(reason) => close(Outcome::Capture(reason)),
            Event::Stop | Event::CaptureDone => close(Outcome::Done),
            Event::Reachable => {
                self.came_back = true;
                (State::Starting { rounds, url }, Commands::new())
            }
            _ => (State::Starting { rounds, url }, Commands::new()),
        }
    }

    fn live(
        &mut self,
        event: Event<T>,
        mut live: Live<T>,
        now: Instant,
        jitter: f64,
    ) -> (State<T>, Commands<T>) {
        match event {
            Event::Lost(loss) => return self.lost(loss, live, now, jitter),
            Event::Timeout => {
                if let Some(loss) = live.overdue(now) {
                    return self.lost(loss, live, now, jitter);
                }
                let urls = live.spares_to_ask(&self.known, self.rules, &self.suspensions, now);
                let commands =
                    if urls.is_empty() { Commands::new() } else { one(Command::Ask(urls)) };
                return (State::Live(live), commands);
            }
            Event::CaptureDone | Event::Stop => return close(Outcome::Done),
            Event::CaptureFailed(reason) => return close(Outcome::Capture(reason)),
            other => live.on(other, now),
        }
        (State::Live(live), Commands::new())
    }

    /// Other candidates are looked for: what runs is closed first.
    fn replace(
        &mut self,
        event: Event<T>,
        state: State<T>,
        now: Instant,
    ) -> (State<T>, Commands<T>) {
        if let Event::Replace(rules) = event {
            (self.rules, self.suspensions) = (rules, Suspensions::default());
        }
        match state {
            State::Finding | State::Selecting { .. } | State::Waiting { .. } => {
                (State::Finding, one(Command::Find))
            }
            State::Starting { .. } | State::Live(_) => {
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

    fn closing(event: Event<T>, then: Then<T>, now: Instant) -> (State<T>, Commands<T>) {
        match (event, then) {
            (Event::Closed, Then::Finish(outcome)) => finish(outcome),
            (Event::Closed, Then::GoOn { mut rounds, left, why }) => {
                // Who was asked for a spare and has not said anything yet is not waited for.
                if rounds.has_good() {
                    rounds.on_deadline();
                }
                rounds.on_failed(&left, Failure::of_peer(why, Fault::Retry));
                // There was a job a moment ago: where no spare is left, look again.
                next_of(rounds, now).unwrap_or_else(|_| (State::Finding, one(Command::Find)))
            }
            (Event::Closed, Then::Pause { until }) => (State::Waiting { until }, Commands::new()),
            (Event::Closed, Then::Dark) => (State::Dark, Commands::new()),
            (Event::CameraBack, Then::Dark) => {
                (State::Closing { then: Then::Pause { until: now } }, Commands::new())
            }
            // The parts are ending already; only what comes after them changes.
            (Event::Stop | Event::CaptureDone, then) if then.goes_on() => close(Outcome::Done),
            (Event::CaptureFailed(reason), then) if then.goes_on() => {
                close(Outcome::Capture(reason))
            }
            (_, then) => (State::Closing { then }, Commands::new()),
        }
    }

    fn select(&mut self, rounds: Rounds<T>, now: Instant, jitter: f64) -> (State<T>, Commands<T>) {
        match next_of(rounds, now) {
            Ok(next) => next,
            Err(none) => self.give_up(Outcome::NoneLeft(none), now, jitter),
        }
    }

    /// Nobody takes the job now.
    fn give_up(&mut self, outcome: Outcome, now: Instant, jitter: f64) -> (State<T>, Commands<T>) {
        match self.recovery {
            Recovery::Exit => finish(outcome),
            Recovery::Retry if std::mem::take(&mut self.came_back) => {
                (State::Finding, one(Command::Find))
            }
            Recovery::Retry => {
                let until = now + self.backoff.on_failure(jitter);
                (State::Waiting { until }, one(Command::TryLater(outcome)))
            }
        }
    }

    fn lost(
        &mut self,
        loss: Loss,
        Live { rounds, url, .. }: Live<T>,
        now: Instant,
        jitter: f64,
    ) -> (State<T>, Commands<T>) {
        if self.recovery == Recovery::Exit && !loss.asks_for_another() {
            return close(Outcome::Lost(loss));
        }
        self.suspensions.suspend(url.authority().clone(), now + SUSPENSION);
        let mut commands = one(Command::Close { for_good: false });
        // There is room for three.
        let _ = commands.push(Command::Left(loss.clone()));
        let then = match self.swaps.on_swap(now, jitter) {
            Pace::AtOnce => Then::GoOn { rounds, left: url, why: loss.to_string() },
            Pace::After(pause) => {
                let _ = commands.push(Command::SlowDown(pause));
                Then::Pause { until: now + pause }
            }
        };
        (State::Closing { then }, commands)
    }
}
