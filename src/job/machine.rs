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

use live::Live;
use state::{State, Then, close, darken, finish, next_of, one};

use crate::backoff::Backoff;
use crate::capacity::CANDIDATES;
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
            Event::FindFailed(reason) => self.give_up(Outcome::FindFailed(reason), now, jitter),
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
            Event::NoAnswer(url, reason) => rounds.on_no_answer(&url, &reason),
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
            Event::StartFailed(reason) => {
                rounds.on_failed(&url, &reason);
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
                rounds.on_failed(&left, &why);
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

#[cfg(test)]
mod tests {
    use super::live::{NO_SPARE, OUTPUT_DUE, SPARES_EVERY};
    use super::state::ASK_TIME;
    use super::*;
    use crate::orchestrator::Fit;
    use crate::session::selection::Offer;

    const SOME: f64 = 1.0;
    const HOLD: Duration = Duration::from_secs(60);

    fn urls(n: usize) -> Vec<Url> {
        (0..n).map(|i| Url::parse(&format!("https://o{i}:8935")).unwrap()).collect()
    }

    fn offered(url: &Url) -> Event<u32> {
        let offer = Offer { fit: Fit::Has { warm: true, free: Some(1) }, price: Ok(None) };
        Event::Offered { url: url.clone(), offer, answer_time: Duration::ZERO, with: 7 }
    }

    fn at(start: Instant, s: u64) -> Instant {
        start + Duration::from_secs(s)
    }

    #[track_caller]
    fn check(
        machine: &mut Machine<u32>,
        event: Event<u32>,
        now: Instant,
        expected: &[Command<u32>],
    ) {
        assert_eq!(machine.on(event, now, SOME).as_slice(), expected);
    }

    /// A machine with `n` good candidates, live on the first, with both health rules.
    fn live(n: usize, recovery: Recovery, now: Instant) -> Machine<u32> {
        let (mut machine, first) = Machine::new(Rules::default(), recovery, HOLD);
        assert_eq!(first.as_slice(), [Command::Find]);
        check(&mut machine, Event::Found(urls(n)), now, &[Command::Ask(urls(n))]);
        for url in &urls(n)[1..] {
            check(&mut machine, offered(url), now, &[]);
        }
        let start = machine.on(offered(&urls(n)[0]), now, SOME);
        let [Command::Start(url, 7)] = start.as_slice() else { panic!("{start:?}") };
        assert!(urls(n).contains(url));
        let started = Event::Started { has_output: true, has_events: true };
        check(&mut machine, started, now, &[Command::Run]);
        machine
    }

    fn gone() -> Loss {
        Loss::Channel("publish", "gone".into())
    }

    /// Loses a job that was live, and goes on.
    #[track_caller]
    fn lose(machine: &mut Machine<u32>, now: Instant) {
        let left = [Command::Close { for_good: false }, Command::Left(gone())];
        check(machine, Event::Lost(gone()), now, &left);
    }

    /// There is no job for now.
    #[track_caller]
    fn try_later(machine: &mut Machine<u32>, event: Event<u32>, now: Instant) {
        let commands = machine.on(event, now, SOME);
        assert!(matches!(commands.as_slice(), [Command::TryLater(_)]), "{commands:?}");
    }

    #[test]
    fn every_candidate_is_tried_and_named_when_none_is_left() {
        let now = Instant::now();
        let (mut machine, _) = Machine::new(Rules::default(), Recovery::Exit, HOLD);
        check(&mut machine, Event::Found(urls(2)), now, &[Command::Ask(urls(2))]);
        check(&mut machine, Event::NoAnswer(urls(2).remove(0), "refused".into()), now, &[]);
        let o1 = urls(2).remove(1);
        check(&mut machine, offered(&o1), now, &[Command::Start(o1.clone(), 7)]);
        let commands = machine.on(Event::StartFailed("no capacity".into()), now, SOME);
        let [Command::Finish(Outcome::NoneLeft(none))] = commands.as_slice() else {
            panic!("{commands:?}")
        };
        let text = none.to_string();
        assert!(text.contains("o0:8935: refused") && text.contains("o1:8935: no cap"), "{text}");
    }

    #[test]
    fn a_slow_candidate_is_not_waited_for_once_there_is_a_good_one() {
        let now = Instant::now();
        let (mut machine, _) = Machine::new(Rules::default(), Recovery::Exit, HOLD);
        check(&mut machine, Event::Found(urls(2)), now, &[Command::Ask(urls(2))]);
        assert_eq!(machine.poll_timeout(), Some(now + ASK_TIME));
        check(&mut machine, offered(&urls(2)[1]), now, &[]);
        assert_eq!(machine.poll_timeout(), Some(now + OFFER_TIME));
        let start = [Command::Start(urls(2).remove(1), 7)];
        check(&mut machine, Event::Timeout, now + OFFER_TIME, &start);
    }

    #[test]
    fn a_started_job_is_closed_whatever_happens() {
        let now = Instant::now();
        let table = [
            (Event::Stop, Outcome::Done),
            (Event::CaptureDone, Outcome::Done),
            (Event::CaptureFailed("camera".into()), Outcome::Capture("camera".into())),
            (Event::Lost(gone()), Outcome::Lost(gone())),
        ];
        for (event, outcome) in table {
            let mut machine = live(1, Recovery::Exit, now);
            check(&mut machine, event, now, &[Command::Close { for_good: true }]);
            check(&mut machine, Event::Stop, now, &[]);
            check(&mut machine, Event::Closed, now, &[Command::Finish(outcome)]);
            check(&mut machine, Event::Closed, now, &[]);
        }
    }

    #[test]
    fn a_stop_while_a_job_starts_closes_it_too() {
        let now = Instant::now();
        let (mut machine, _) = Machine::new(Rules::default(), Recovery::Retry, HOLD);
        let url = urls(1).remove(0);
        check(&mut machine, Event::Found(urls(1)), now, &[Command::Ask(urls(1))]);
        check(&mut machine, offered(&url), now, &[Command::Start(url.clone(), 7)]);
        check(&mut machine, Event::Stop, now, &[Command::Close { for_good: true }]);
        check(&mut machine, Event::Closed, now, &[Command::Finish(Outcome::Done)]);
    }

    #[test]
    fn silence_for_30_s_is_a_loss_and_every_sign_of_life_moves_it() {
        let start = Instant::now();
        let mut machine = live(1, Recovery::Exit, start);
        // There is nobody to be asked for a spare.
        check(&mut machine, Event::Timeout, at(start, 20), &[]);
        assert_eq!(machine.poll_timeout(), Some(at(start, 30)));
        check(&mut machine, Event::Output, at(start, 20), &[]);
        check(&mut machine, Event::JobEvent, at(start, 25), &[]);
        assert_eq!(machine.poll_timeout(), Some(at(start, 50)));
        check(&mut machine, Event::Timeout, at(start, 49), &[]);
        check(&mut machine, Event::Timeout, at(start, 50), &[Command::Close { for_good: true }]);
        let lost = Outcome::Lost(Loss::NoOutput(OUTPUT_DUE));
        check(&mut machine, Event::Closed, at(start, 50), &[Command::Finish(lost)]);
    }

    #[test]
    fn a_price_that_rose_moves_on_to_the_spare_even_where_losses_end() {
        let now = Instant::now();
        let mut machine = live(2, Recovery::Exit, now);
        let loss = Loss::Payment("price too high".into());
        let left = [Command::Close { for_good: false }, Command::Left(loss.clone())];
        check(&mut machine, Event::Lost(loss), now, &left);
        let commands = machine.on(Event::Closed, now, SOME);
        assert!(matches!(commands.as_slice(), [Command::Start(_, 7)]), "{commands:?}");
    }

    #[test]
    fn the_only_orchestrator_is_met_again_after_a_pause() {
        let start = Instant::now();
        let mut machine = live(1, Recovery::Retry, start);
        lose(&mut machine, start);
        check(&mut machine, Event::Closed, start, &[Command::Find]);
        check(&mut machine, Event::Found(urls(1)), start, &[Command::Ask(urls(1))]);
        try_later(&mut machine, Event::NoAnswer(urls(1).remove(0), "refused".into()), start);
        let until = start + FIRST_PAUSE;
        assert_eq!(machine.poll_timeout(), Some(until));
        check(&mut machine, Event::Timeout, start, &[]);
        check(&mut machine, Event::Timeout, until, &[Command::Find]);
    }

    #[test]
    fn a_job_that_is_lost_again_and_again_slows_down() {
        let now = Instant::now();
        let mut machine = live(1, Recovery::Retry, now);
        for lost in 1..=3 {
            let commands = machine.on(Event::Lost(gone()), now, SOME);
            let [Command::Close { for_good: false }, Command::Left(_), slow @ ..] =
                commands.as_slice()
            else {
                panic!("{commands:?}")
            };
            assert_eq!(matches!(slow, [Command::SlowDown(_)]), lost == 3, "{slow:?}");
            let next = machine.on(Event::Closed, now, SOME);
            assert_eq!(next.as_slice() == [Command::Find], lost < 3, "{next:?}");
            let _ = machine.on(Event::Found(urls(1)), now, SOME);
            let _ = machine.on(offered(&urls(1)[0]), now, SOME);
            let _ = machine.on(Event::Started { has_output: true, has_events: true }, now, SOME);
        }
        assert!(machine.poll_timeout() > Some(now));
    }

    #[test]
    fn pauses_grow_to_their_limit_and_a_stop_ends_them() {
        let mut now = Instant::now();
        let (mut machine, _) = Machine::new(Rules::default(), Recovery::Retry, HOLD);
        for _ in 0..1000 {
            try_later(&mut machine, Event::FindFailed("no network".into()), now);
            let until = machine.poll_timeout().unwrap();
            assert!(until <= now + LONGEST_PAUSE);
            now = until;
            check(&mut machine, Event::Timeout, now, &[Command::Find]);
        }
        check(&mut machine, Event::Stop, now, &[Command::Finish(Outcome::Done)]);
    }

    #[test]
    fn a_stop_during_a_swap_stops_for_good() {
        let now = Instant::now();
        let mut machine = live(2, Recovery::Retry, now);
        lose(&mut machine, now);
        check(&mut machine, Event::Stop, now, &[Command::Close { for_good: true }]);
        check(&mut machine, Event::Closed, now, &[Command::Finish(Outcome::Done)]);
    }

    #[test]
    fn a_peer_that_can_be_reached_again_ends_the_pause() {
        let now = Instant::now();
        let (mut machine, _) = Machine::new(Rules::default(), Recovery::Retry, HOLD);
        try_later(&mut machine, Event::FindFailed("no network".into()), now);
        check(&mut machine, Event::Reachable, now, &[Command::Find]);
    }

    #[test]
    fn a_peer_that_comes_back_while_it_is_asked_is_asked_again_at_once() {
        let now = Instant::now();
        let (mut machine, _) = Machine::new(Rules::default(), Recovery::Retry, HOLD);
        check(&mut machine, Event::Reachable, now, &[Command::Find]);
        let asked = urls(1);
        check(&mut machine, Event::Found(asked.clone()), now, &[Command::Ask(asked.clone())]);
        check(&mut machine, Event::Reachable, now, &[Command::Find]);
        check(&mut machine, Event::Found(asked.clone()), now, &[Command::Ask(asked.clone())]);
        try_later(&mut machine, Event::NoAnswer(asked[0].clone(), "hung up".into()), now);
    }

    #[test]
    fn a_peer_that_comes_back_while_another_is_tried_is_asked_once_more_if_that_fails() {
        let now = Instant::now();
        let (mut machine, _) = Machine::new(Rules::default(), Recovery::Retry, HOLD);
        for comes_back in [true, false] {
            let asked = urls(1);
            check(&mut machine, Event::Found(asked.clone()), now, &[Command::Ask(asked.clone())]);
            let commands = machine.on(offered(&asked[0]), now, SOME);
            assert!(matches!(commands.as_slice(), [Command::Start(..)]), "{commands:?}");
            if !comes_back {
                try_later(&mut machine, Event::StartFailed("refused".into()), now);
                break;
            }
            check(&mut machine, Event::Reachable, now, &[]);
            check(&mut machine, Event::StartFailed("refused".into()), now, &[Command::Find]);
        }
    }

    #[test]
    fn spares_are_asked_again_while_a_job_is_live() {
        let start = Instant::now();
        let mut machine = live(2, Recovery::Retry, start);
        assert_eq!(machine.known(), urls(2));
        // Signs of life keep the job; the one good spare is good for ten minutes.
        let mut now = start;
        while now + Duration::from_secs(20) < start + SPARES_EVERY {
            now += Duration::from_secs(20);
            check(&mut machine, Event::Output, now, &[]);
            check(&mut machine, Event::JobEvent, now, &[]);
            check(&mut machine, Event::Timeout, now, &[]);
        }
        let due = start + SPARES_EVERY;
        assert_eq!(machine.poll_timeout(), Some(due));
        let commands = machine.on(Event::Timeout, due, SOME);
        let [Command::Ask(asked)] = commands.as_slice() else { panic!("{commands:?}") };
        let [spare] = asked.as_slice() else { panic!("{asked:?}") };
        check(&mut machine, Event::NoAnswer(spare.clone(), "refused".into()), due, &[]);
        check(&mut machine, Event::Output, due, &[]);
        check(&mut machine, Event::JobEvent, due, &[]);
        // Without a spare it is asked sooner.
        let later = due + Duration::from_secs(20);
        check(&mut machine, Event::Timeout, later, &[Command::Ask(vec![spare.clone()])]);
        check(&mut machine, offered(spare), later, &[]);
        lose(&mut machine, later);
        check(&mut machine, Event::Closed, later, &[Command::Start(spare.clone(), 7)]);
        assert!(NO_SPARE < SPARES_EVERY);
    }

    #[test]
    fn a_job_is_held_while_the_camera_is_gone_and_owes_nothing() {
        let start = Instant::now();
        let mut machine = live(1, Recovery::Retry, start);
        check(&mut machine, Event::CameraLost, start, &[]);
        check(&mut machine, Event::Timeout, at(start, 59), &[]);
        check(&mut machine, Event::CameraBack, at(start, 59), &[]);
        // What is due counts from its return.
        check(&mut machine, Event::Timeout, at(start, 80), &[]);
        let commands = machine.on(Event::Timeout, at(start, 89), SOME);
        assert!(matches!(commands[1], Command::Left(Loss::NoOutput(_))), "{commands:?}");
    }

    #[test]
    fn a_camera_that_stays_away_costs_the_job_until_it_is_back() {
        let start = Instant::now();
        let close = [Command::Close { for_good: false }];
        let mut machine = live(1, Recovery::Retry, start);
        check(&mut machine, Event::CameraLost, start, &[]);
        check(&mut machine, Event::CameraLost, at(start, 30), &[]);
        assert_eq!(machine.held_until(), Some(at(start, 60)));
        check(&mut machine, Event::Timeout, at(start, 60), &close);
        check(&mut machine, Event::Closed, at(start, 61), &[]);
        assert_eq!((machine.stage(), machine.poll_timeout()), (Stage::Dark, None));
        check(&mut machine, Event::CameraBack, at(start, 600), &[Command::Find]);

        // Back before the job is closed, it begins again at once.
        let mut machine = live(1, Recovery::Retry, start);
        machine.on(Event::Hold(Duration::ZERO), start, SOME).clear();
        check(&mut machine, Event::CameraLost, start, &close);
        check(&mut machine, Event::CameraBack, start, &[]);
        check(&mut machine, Event::Closed, start, &[]);
        check(&mut machine, Event::Timeout, start, &[Command::Find]);
    }

    #[test]
    fn no_job_is_started_while_there_is_no_camera() {
        let now = Instant::now();
        // Nobody was asked yet.
        let (mut machine, _) = Machine::new(Rules::default(), Recovery::Retry, HOLD);
        check(&mut machine, Event::CameraLost, now, &[]);
        assert_eq!(machine.stage(), Stage::Dark);
        check(&mut machine, Event::Found(urls(1)), now, &[]);
        check(&mut machine, Event::CameraBack, now, &[Command::Find]);

        // A job is being started: it may start, but no other one after it.
        for next in [Event::StartFailed("no capacity".into()), Event::Lost(gone())] {
            let (mut machine, _) = Machine::new(Rules::default(), Recovery::Retry, HOLD);
            let _ = machine.on(Event::Found(urls(1)), now, SOME);
            let _ = machine.on(offered(&urls(1)[0]), now, SOME);
            check(&mut machine, Event::CameraLost, now, &[]);
            let _ = machine.on(next, now, SOME);
            let _ = machine.on(Event::Closed, now, SOME);
            assert_eq!(machine.stage(), Stage::Dark);
        }

        // A job is lost, or replaced, while the camera is gone: the next one waits for the camera.
        for end in [Event::Lost(gone()), Event::Replace(Rules::default())] {
            let mut machine = live(2, Recovery::Retry, now);
            check(&mut machine, Event::CameraLost, now, &[]);
            let commands = machine.on(end, now, SOME);
            assert_eq!(commands.first(), Some(&Command::Close { for_good: false }));
            check(&mut machine, Event::Closed, now, &[]);
            assert_eq!((machine.stage(), machine.poll_timeout()), (Stage::Dark, None));
            check(&mut machine, Event::Stop, now, &[Command::Finish(Outcome::Done)]);
        }
    }

    #[test]
    fn another_configuration_closes_the_job_before_it_looks_elsewhere() {
        let now = Instant::now();
        let mut machine = live(2, Recovery::Retry, now);
        let replace = || Event::Replace(Rules::default());
        check(&mut machine, replace(), now, &[Command::Close { for_good: false }]);
        check(&mut machine, replace(), now, &[]);
        check(&mut machine, Event::Closed, now, &[]);
        check(&mut machine, Event::Timeout, now, &[Command::Find]);
        check(&mut machine, replace(), now, &[Command::Find]);
    }

    #[test]
    fn a_job_without_an_output_channel_owes_no_output() {
        let now = Instant::now();
        let (mut machine, _) = Machine::new(Rules::default(), Recovery::Exit, HOLD);
        let url = urls(1).remove(0);
        let _ = machine.on(Event::Found(urls(1)), now, SOME);
        let _ = machine.on(offered(&url), now, SOME);
        let _ = machine.on(Event::Started { has_output: false, has_events: false }, now, SOME);
        assert_eq!(machine.poll_timeout(), Some(now + Duration::from_secs(20)), "for spares only");
    }
}
