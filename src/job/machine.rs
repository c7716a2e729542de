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
//!             left  └──────────────────────────────────┴─────────┴───────▶└───────┘
//! ```
//!
//! | what is lost | `Recovery::Exit` | `Recovery::Retry` |
//! |---|---|---|
//! | a price or payment that asks for another orchestrator, a session that is over | next candidate | next candidate |
//! | anything else of a live job | end | next candidate |
//! | no candidate left | end | wait, find again |
//!
//! An orchestrator that was left is suspended for a while; the good ones that were not tried are spares.
//! Health (protocol.md, section 5): while live, an output segment and an event are due every 30 s.
//!
//! Does not: carry anything out, read the clock, or know what came with an offer.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "an event that a state does not expect comes late or twice, and changes nothing"
)]

use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::http::Url;
use crate::job::{Command, Commands, Event, Loss, Outcome, Stage};
use crate::session::selection::{Candidate, NoneLeft, Rounds, Rules, Step, Suspensions};
use crate::swap_limit::{Pace, SwapLimit};

/// No output segment for this long while video goes in: the job is dead (go-livepeer `ai_live_video.go`).
const OUTPUT_DUE: Duration = Duration::from_secs(30);
/// No event for this long: the job is dead (protocol.md, section 5).
const EVENT_DUE: Duration = Duration::from_secs(30);
/// The longest wait for the candidates that were asked together; connecting and answering have limits of
/// their own below it.
const ASK_TIME: Duration = Duration::from_secs(20);
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

#[derive(Debug)]
enum State<T> {
    Finding,
    Selecting { rounds: Rounds<T>, until: Instant, had_offer: bool },
    Starting { rounds: Rounds<T>, url: Url },
    Live { rounds: Rounds<T>, url: Url, output_due: Option<Instant>, event_due: Option<Instant> },
    Closing { then: Then<T> },
    Waiting { until: Instant },
    Ended,
}

#[derive(Debug)]
enum Then<T> {
    Finish(Outcome),
    GoOn { rounds: Rounds<T>, left: Url, why: String },
    Pause { until: Instant },
}

/// The state machine of one job, on one orchestrator after the other.
#[derive(Debug)]
pub struct Machine<T> {
    rules: Rules,
    recovery: Recovery,
    suspensions: Suspensions,
    backoff: Backoff,
    swaps: SwapLimit,
    state: State<T>,
}

impl<T> Machine<T> {
    /// A machine, and what to do first.
    pub fn new(rules: Rules, recovery: Recovery) -> (Self, Commands<T>) {
        let machine = Self {
            rules,
            recovery,
            suspensions: Suspensions::default(),
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            swaps: SwapLimit::default(),
            state: State::Finding,
        };
        (machine, one(Command::Find))
    }

    /// What to do now that `event` has happened. `jitter` from 0 to 1 spreads pauses.
    pub fn on(&mut self, event: Event<T>, now: Instant, jitter: f64) -> Commands<T> {
        let (state, commands) = match std::mem::replace(&mut self.state, State::Ended) {
            State::Finding => self.finding(event, now, jitter),
            State::Selecting { rounds, until, had_offer } => {
                self.selecting(event, rounds, (until, had_offer), now, jitter)
            }
            State::Starting { rounds, url } => self.starting(event, rounds, url, now, jitter),
            State::Live { rounds, url, output_due, event_due } => {
                self.live(event, rounds, url, [output_due, event_due], (now, jitter))
            }
            State::Closing { then } => Self::closing(event, then, now),
            State::Waiting { until } => match event {
                Event::Timeout if until <= now => (State::Finding, one(Command::Find)),
                Event::Stop | Event::CaptureDone => finish(Outcome::Done),
                Event::CaptureFailed(reason) => finish(Outcome::Capture(reason)),
                _ => (State::Waiting { until }, Commands::new()),
            },
            State::Ended => (State::Ended, Commands::new()),
        };
        self.state = state;
        commands
    }

    /// When [`Event::Timeout`] is due, if it is.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Selecting { until, .. } | State::Waiting { until } => Some(*until),
            State::Live { output_due, event_due, .. } => {
                [*output_due, *event_due].into_iter().flatten().min()
            }
            State::Finding | State::Starting { .. } | State::Closing { .. } | State::Ended => None,
        }
    }

    /// How far the job has come, for those who look from outside.
    pub fn stage(&self) -> Stage {
        match &self.state {
            State::Finding => Stage::Finding,
            State::Selecting { until, .. } => Stage::Selecting { until: *until },
            State::Starting { .. } => Stage::Starting,
            State::Live { .. } => Stage::Live,
            State::Waiting { until } => Stage::Waiting { until: *until },
            State::Closing { then: Then::GoOn { .. } | Then::Pause { .. } } => Stage::Leaving,
            State::Closing { then: Then::Finish(_) } | State::Ended => Stage::Ending,
        }
    }

    fn finding(&mut self, event: Event<T>, now: Instant, jitter: f64) -> (State<T>, Commands<T>) {
        match event {
            Event::Found(urls) => {
                let rounds = Rounds::new(self.rules, urls, &self.suspensions, now);
                self.select(rounds, now, jitter)
            }
            Event::FindFailed(reason) => self.give_up(Outcome::FindFailed(reason), now, jitter),
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
                let live = State::Live {
                    rounds,
                    url,
                    output_due: has_output.then_some(now + OUTPUT_DUE),
                    event_due: has_events.then_some(now + EVENT_DUE),
                };
                (live, one(Command::Run))
            }
            Event::StartFailed(reason) => {
                rounds.on_failed(&url, &reason);
                self.select(rounds, now, jitter)
            }
            // A job that is being started may be there already: it is closed, not forgotten.
            Event::Lost(loss) => self.lost(loss, rounds, url, now, jitter),
            Event::CaptureFailed(reason) => close(Outcome::Capture(reason)),
            Event::Stop | Event::CaptureDone => close(Outcome::Done),
            _ => (State::Starting { rounds, url }, Commands::new()),
        }
    }

    fn live(
        &mut self,
        event: Event<T>,
        rounds: Rounds<T>,
        url: Url,
        [mut output_due, mut event_due]: [Option<Instant>; 2],
        (now, jitter): (Instant, f64),
    ) -> (State<T>, Commands<T>) {
        let is_over = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        match event {
            Event::Output => output_due = output_due.map(|_| now + OUTPUT_DUE),
            Event::JobEvent => event_due = event_due.map(|_| now + EVENT_DUE),
            Event::Timeout if is_over(output_due) => {
                return self.lost(Loss::NoOutput(OUTPUT_DUE), rounds, url, now, jitter);
            }
            Event::Timeout if is_over(event_due) => {
                return self.lost(Loss::NoEvent(EVENT_DUE), rounds, url, now, jitter);
            }
            Event::Lost(loss) => return self.lost(loss, rounds, url, now, jitter),
            Event::CaptureDone | Event::Stop => return close(Outcome::Done),
            Event::CaptureFailed(reason) => return close(Outcome::Capture(reason)),
            _ => {}
        }
        (State::Live { rounds, url, output_due, event_due }, Commands::new())
    }

    fn closing(event: Event<T>, then: Then<T>, now: Instant) -> (State<T>, Commands<T>) {
        match (event, then) {
            (Event::Closed, Then::Finish(outcome)) => finish(outcome),
            (Event::Closed, Then::GoOn { mut rounds, left, why }) => {
                rounds.on_failed(&left, &why);
                // There was a job a moment ago: where no spare is left, look again.
                next_of(rounds, now).unwrap_or_else(|_| (State::Finding, one(Command::Find)))
            }
            (Event::Closed, Then::Pause { until }) => (State::Waiting { until }, Commands::new()),
            // The parts are ending already; only what comes after them changes.
            (Event::Stop | Event::CaptureDone, Then::GoOn { .. } | Then::Pause { .. }) => {
                close(Outcome::Done)
            }
            (Event::CaptureFailed(reason), Then::GoOn { .. } | Then::Pause { .. }) => {
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
            Recovery::Retry => {
                let until = now + self.backoff.on_failure(jitter);
                (State::Waiting { until }, Commands::new())
            }
        }
    }

    fn lost(
        &mut self,
        loss: Loss,
        rounds: Rounds<T>,
        url: Url,
        now: Instant,
        jitter: f64,
    ) -> (State<T>, Commands<T>) {
        if self.recovery == Recovery::Exit && !loss.asks_for_another() {
            return close(Outcome::Lost(loss));
        }
        self.suspensions.suspend(url.authority().clone(), now + SUSPENSION);
        let mut commands = one(Command::Close { for_good: false });
        let then = match self.swaps.on_swap(now, jitter) {
            Pace::AtOnce => Then::GoOn { rounds, left: url, why: loss.to_string() },
            Pace::After(pause) => {
                // There is room for a second one.
                let _ = commands.push(Command::SlowDown(pause));
                Then::Pause { until: now + pause }
            }
        };
        (State::Closing { then }, commands)
    }
}

/// Where `rounds` go on; who is out, where they do not.
fn next_of<T>(mut rounds: Rounds<T>, now: Instant) -> Result<(State<T>, Commands<T>), NoneLeft> {
    let waiting = |rounds| State::Selecting { rounds, until: now + ASK_TIME, had_offer: false };
    Ok(match rounds.step() {
        Step::Ask(urls) => (waiting(rounds), one(Command::Ask(urls))),
        Step::Wait => (waiting(rounds), Commands::new()),
        Step::Try(Candidate { url, answer, .. }) => {
            let start = one(Command::Start(url.clone(), answer));
            (State::Starting { rounds, url }, start)
        }
        Step::None(none) => return Err(none),
    })
}

fn finish<T>(outcome: Outcome) -> (State<T>, Commands<T>) {
    (State::Ended, one(Command::Finish(outcome)))
}

fn close<T>(outcome: Outcome) -> (State<T>, Commands<T>) {
    let then = Then::Finish(outcome);
    (State::Closing { then }, one(Command::Close { for_good: true }))
}

fn one<T>(command: Command<T>) -> Commands<T> {
    let mut commands = Commands::new();
    // A fresh list has room for one.
    let _ = commands.push(command);
    commands
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orchestrator::Fit;
    use crate::session::selection::Offer;

    const SOME: f64 = 1.0;

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
        let (mut machine, first) = Machine::new(Rules::default(), recovery);
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

    #[test]
    fn every_candidate_is_tried_and_named_when_none_is_left() {
        let now = Instant::now();
        let (mut machine, _) = Machine::new(Rules::default(), Recovery::Exit);
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
        let (mut machine, _) = Machine::new(Rules::default(), Recovery::Exit);
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
        let (mut machine, _) = Machine::new(Rules::default(), Recovery::Retry);
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
        check(&mut machine, Event::Lost(loss), now, &[Command::Close { for_good: false }]);
        let commands = machine.on(Event::Closed, now, SOME);
        assert!(matches!(commands.as_slice(), [Command::Start(_, 7)]), "{commands:?}");
    }

    #[test]
    fn the_only_orchestrator_is_met_again_after_a_pause() {
        let start = Instant::now();
        let mut machine = live(1, Recovery::Retry, start);
        check(&mut machine, Event::Lost(gone()), start, &[Command::Close { for_good: false }]);
        check(&mut machine, Event::Closed, start, &[Command::Find]);
        check(&mut machine, Event::Found(urls(1)), start, &[Command::Ask(urls(1))]);
        let refused = Event::NoAnswer(urls(1).remove(0), "refused".into());
        check(&mut machine, refused, start, &[]);
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
            let [Command::Close { for_good: false }, slow @ ..] = commands.as_slice() else {
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
        let (mut machine, _) = Machine::new(Rules::default(), Recovery::Retry);
        for _ in 0..1000 {
            check(&mut machine, Event::FindFailed("no network".into()), now, &[]);
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
        check(&mut machine, Event::Lost(gone()), now, &[Command::Close { for_good: false }]);
        check(&mut machine, Event::Stop, now, &[Command::Close { for_good: true }]);
        check(&mut machine, Event::Closed, now, &[Command::Finish(Outcome::Done)]);
    }

    #[test]
    fn a_job_without_an_output_channel_owes_no_output() {
        let now = Instant::now();
        let (mut machine, _) = Machine::new(Rules::default(), Recovery::Exit);
        let url = urls(1).remove(0);
        let _ = machine.on(Event::Found(urls(1)), now, SOME);
        let _ = machine.on(offered(&url), now, SOME);
        let _ = machine.on(Event::Started { has_output: false, has_events: false }, now, SOME);
        assert_eq!(machine.poll_timeout(), None);
    }
}
