//! Decides what has to run for a live video job: told what happened, it answers with commands.
//!
//! ```text
//!          new()              Opened                Started
//! ┌──────────────────┐ ok  ┌──────────┐  ok     ┌──────────┐
//! │ Opening(nth)     ├────▶│ Starting ├────────▶│   Live   │
//! └──┬───────────▲───┘     └────┬─────┘         └────┬─────┘
//!    │ failed    │ next         │ refused            │ lost, capture over, stop
//!    └───────────┴──────────────┘                    ▼
//!    │ none left, stop                          ┌──────────┐ Closed ┌───────┐
//!    └─────────────────────────────────────────▶│ Closing  ├───────▶│ Ended │
//!                                               └──────────┘        └───────┘
//! ```
//!
//! Health (protocol.md, section 5): while live, an output segment and an event are due every 30 s.
//!
//! Does not: carry anything out, and does not read the clock.

use std::time::{Duration, Instant};

use heapless::Vec as Bounded;

use crate::http::Url;
use crate::job::{Loss, NoneLeft, Rejection};

/// No output segment for this long while video goes in: the job is dead (go-livepeer `ai_live_video.go`).
const OUTPUT_DUE: Duration = Duration::from_secs(30);
/// No event for this long: the job is dead (protocol.md, section 5).
const EVENT_DUE: Duration = Duration::from_secs(30);

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The orchestrator that was asked has answered, and its session is open.
    Opened,
    /// It has not; the reason in one line that names it.
    OpenFailed(String),
    /// The job has started and its channels exist. Which of the two health rules apply is known now.
    Started {
        /// The job has an output channel.
        has_output: bool,
        /// The job has an events channel.
        has_events: bool,
    },
    /// The orchestrator refused the job; the reason in one line that names it.
    StartFailed(String),
    /// A segment of processed video came back.
    Output,
    /// An event came.
    JobEvent,
    /// The job cannot go on.
    Lost(Loss),
    /// Capture came to its end: nothing is left to send.
    CaptureDone,
    /// Capture broke; the reason in one line.
    CaptureFailed(String),
    /// Somebody asked to stop.
    Stop,
    /// All parts of the job have ended and it is closed at the orchestrator.
    Closed,
    /// The time that [`Machine::poll_timeout`] named has come.
    Timeout,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Command {
    /// Open a session with this orchestrator.
    Open(Url),
    /// Start the job in the session that was opened.
    Start,
    /// Run the job's parts: capture, publisher, output, events, control.
    Run,
    /// End the job's parts and close the job; answer with [`Event::Closed`].
    Close,
    /// Leave the loop.
    Finish(Outcome),
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As was asked: a stop, or the end of the input.
    Done,
    /// No orchestrator took the job.
    NoneLeft(NoneLeft),
    /// The job was lost.
    Lost(Loss),
    /// Capture broke; the reason in one line.
    Capture(String),
}

/// At most this many commands follow one event.
pub type Commands = Bounded<Command, 2>;

#[derive(Debug)]
enum State {
    Opening { nth: usize },
    Starting { nth: usize },
    Live { output_due: Option<Instant>, event_due: Option<Instant> },
    Closing { outcome: Outcome },
    Ended,
}

/// The state machine of one job.
#[derive(Debug)]
pub struct Machine {
    candidates: Vec<Url>,
    rejections: Vec<Rejection>,
    state: State,
}

impl Machine {
    /// A machine for these candidates, asked in this order, and what to do first.
    pub fn new(candidates: Vec<Url>) -> (Self, Commands) {
        let mut machine =
            Self { candidates, rejections: Vec::new(), state: State::Opening { nth: 0 } };
        let commands = machine.open(0);
        (machine, commands)
    }

    /// What to do now that `event` has happened.
    pub fn on(&mut self, event: Event, now: Instant) -> Commands {
        match (&mut self.state, event) {
            (State::Opening { nth }, Event::Opened) => {
                self.state = State::Starting { nth: *nth };
                one(Command::Start)
            }
            (State::Opening { nth }, Event::OpenFailed(reason))
            | (State::Starting { nth }, Event::StartFailed(reason)) => {
                let nth = *nth;
                self.reject(nth, reason);
                self.open(nth + 1)
            }
            (State::Starting { .. }, Event::Started { has_output, has_events }) => {
                self.state = State::Live {
                    output_due: has_output.then_some(now + OUTPUT_DUE),
                    event_due: has_events.then_some(now + EVENT_DUE),
                };
                one(Command::Run)
            }
            (State::Live { output_due, .. }, Event::Output) => {
                *output_due = output_due.map(|_| now + OUTPUT_DUE);
                Commands::new()
            }
            (State::Live { event_due, .. }, Event::JobEvent) => {
                *event_due = event_due.map(|_| now + EVENT_DUE);
                Commands::new()
            }
            (State::Live { output_due, event_due }, Event::Timeout) => {
                let loss = if output_due.is_some_and(|due| due <= now) {
                    Loss::NoOutput(OUTPUT_DUE)
                } else if event_due.is_some_and(|due| due <= now) {
                    Loss::NoEvent(EVENT_DUE)
                } else {
                    return Commands::new();
                };
                self.close(Outcome::Lost(loss))
            }
            (State::Live { .. } | State::Starting { .. }, Event::Lost(loss)) => {
                self.close(Outcome::Lost(loss))
            }
            (State::Live { .. }, Event::CaptureDone) => self.close(Outcome::Done),
            (State::Live { .. }, Event::CaptureFailed(reason)) => {
                self.close(Outcome::Capture(reason))
            }
            (State::Opening { .. }, Event::Stop) => {
                self.state = State::Ended;
                one(Command::Finish(Outcome::Done))
            }
            (State::Starting { .. } | State::Live { .. }, Event::Stop) => self.close(Outcome::Done),
            (State::Closing { outcome }, Event::Closed) => {
                let outcome = outcome.clone();
                self.state = State::Ended;
                one(Command::Finish(outcome))
            }
            // What comes late, or twice, changes nothing.
            _ => Commands::new(),
        }
    }

    /// When [`Event::Timeout`] is due, if it is.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Live { output_due, event_due } => {
                [*output_due, *event_due].into_iter().flatten().min()
            }
            State::Opening { .. }
            | State::Starting { .. }
            | State::Closing { .. }
            | State::Ended => None,
        }
    }

    fn open(&mut self, nth: usize) -> Commands {
        let Some(url) = self.candidates.get(nth) else {
            self.state = State::Ended;
            let rejections = std::mem::take(&mut self.rejections);
            return one(Command::Finish(Outcome::NoneLeft(NoneLeft(rejections))));
        };
        self.state = State::Opening { nth };
        one(Command::Open(url.clone()))
    }

    fn reject(&mut self, nth: usize, reason: String) {
        if let Some(url) = self.candidates.get(nth) {
            self.rejections.push(Rejection { url: url.clone(), reason });
        }
    }

    fn close(&mut self, outcome: Outcome) -> Commands {
        self.state = State::Closing { outcome };
        one(Command::Close)
    }
}

fn one(command: Command) -> Commands {
    let mut commands = Commands::new();
    // A fresh list has room for one.
    let _ = commands.push(command);
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(n: usize) -> Vec<Url> {
        (0..n).map(|i| Url::parse(&format!("https://o{i}:8935")).unwrap()).collect()
    }

    /// A live machine with both health rules.
    fn live(now: Instant) -> Machine {
        let (mut machine, _) = Machine::new(urls(1));
        let _ = machine.on(Event::Opened, now);
        let run = machine.on(Event::Started { has_output: true, has_events: true }, now);
        assert_eq!(run.as_slice(), [Command::Run]);
        machine
    }

    #[track_caller]
    fn check(machine: &mut Machine, event: Event, now: Instant, expected: &[Command]) {
        assert_eq!(machine.on(event, now).as_slice(), expected);
    }

    #[test]
    fn every_candidate_is_tried_and_named_when_none_is_left() {
        let now = Instant::now();
        let (mut machine, first) = Machine::new(urls(2));
        assert_eq!(first.as_slice(), [Command::Open(urls(2).remove(0))]);
        let next = [Command::Open(urls(2).remove(1))];
        check(&mut machine, Event::OpenFailed("o0: refused".into()), now, &next);
        check(&mut machine, Event::Opened, now, &[Command::Start]);
        let commands = machine.on(Event::StartFailed("o1: no capacity".into()), now);
        let [Command::Finish(Outcome::NoneLeft(none))] = commands.as_slice() else {
            panic!("{commands:?}")
        };
        let text = none.to_string();
        assert!(text.contains("o0: refused") && text.contains("o1: no capacity"), "{text}");
    }

    #[test]
    fn no_candidate_at_all_ends_at_once() {
        let (_, commands) = Machine::new(Vec::new());
        assert!(matches!(commands.as_slice(), [Command::Finish(Outcome::NoneLeft(_))]));
    }

    #[test]
    fn a_started_job_is_closed_whatever_happens() {
        let now = Instant::now();
        let loss = Loss::Channel("publish", "gone".into());
        let table = [
            (Event::Stop, Outcome::Done),
            (Event::CaptureDone, Outcome::Done),
            (Event::CaptureFailed("camera".into()), Outcome::Capture("camera".into())),
            (Event::Lost(loss.clone()), Outcome::Lost(loss)),
        ];
        for (event, outcome) in table {
            let mut machine = live(now);
            check(&mut machine, event, now, &[Command::Close]);
            check(&mut machine, Event::Stop, now, &[]);
            check(&mut machine, Event::Closed, now, &[Command::Finish(outcome)]);
            check(&mut machine, Event::Closed, now, &[]);
        }
    }

    #[test]
    fn a_stop_while_a_job_starts_closes_it_too() {
        let now = Instant::now();
        let (mut machine, _) = Machine::new(urls(1));
        check(&mut machine, Event::Opened, now, &[Command::Start]);
        check(&mut machine, Event::Stop, now, &[Command::Close]);
        check(&mut machine, Event::Closed, now, &[Command::Finish(Outcome::Done)]);
    }

    #[test]
    fn silence_for_30_s_is_a_loss_and_every_sign_of_life_moves_it() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut machine = live(start);
        assert_eq!(machine.poll_timeout(), Some(at(30)));
        check(&mut machine, Event::Output, at(20), &[]);
        check(&mut machine, Event::JobEvent, at(25), &[]);
        assert_eq!(machine.poll_timeout(), Some(at(50)));
        check(&mut machine, Event::Timeout, at(49), &[]);
        check(&mut machine, Event::Timeout, at(50), &[Command::Close]);
        let lost = Outcome::Lost(Loss::NoOutput(OUTPUT_DUE));
        check(&mut machine, Event::Closed, at(50), &[Command::Finish(lost)]);
    }

    #[test]
    fn a_job_without_an_output_channel_owes_no_output() {
        let now = Instant::now();
        let (mut machine, _) = Machine::new(urls(1));
        let _ = machine.on(Event::Opened, now);
        let _ = machine.on(Event::Started { has_output: false, has_events: false }, now);
        assert_eq!(machine.poll_timeout(), None);
    }
}
