//! Decides what of a repeated trouble is worth a line in the log: its beginning, now and then that it lasts, its end.
//!
//! ```text
//!         failure: "lost …" (unless a line came just before)
//! ┌──────┐ ───────────────────────────▶ ┌─────────┐ failure, and the pause is over: "still … for 3 min, …"
//! │ Fine │                              │ Trouble │ ──┐
//! └──────┘ ◀─────────────────────────── └─────────┘ ◀─┘ other failures are counted in silence
//!         success: "over after …" (if it was told of)
//! ```
//!
//! The pause between two lines of trouble doubles from 10 s to 5 min, over short recoveries too, and
//! starts over after 30 min without trouble. So an hour, whatever happens in it, gives at most
//! 32 lines.
//!
//! Does not: log, or read the clock; its owner does.

use std::fmt;
use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::words::MESSAGE_CHARS;

/// The first pause between two lines.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest one.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// After so long without trouble, the next is a new one.
const CALM: Duration = Duration::from_secs(1800);

/// Something that can go wrong again and again.
#[derive(Debug, Clone)]
pub struct Trouble {
    state: State,
    pauses: Backoff,
    /// No line of trouble before this time.
    quiet_until: Option<Instant>,
    /// Failures since the last line.
    untold: u64,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Fine { since: Option<Instant> },
    Trouble { since: Instant, tries: u64, told: bool },
}

/// One line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Nothing was said of it before: worth a warning.
    First {
        /// What went wrong.
        what: String,
        /// Failures since the last line, of which nothing was said.
        before: u64,
    },
    /// It lasts: worth a warning.
    Still {
        /// For how long.
        lasted: Duration,
        /// Failures of it, this one included.
        tries: u64,
        /// What went wrong last.
        last: String,
    },
    /// It is over: worth an info.
    Over {
        /// It took this long.
        lasted: Duration,
        /// Its failures.
        tries: u64,
    },
}

impl Line {
    /// The level it is worth.
    pub fn level(&self) -> log::Level {
        match self {
            Self::First { .. } | Self::Still { .. } => log::Level::Warn,
            Self::Over { .. } => log::Level::Info,
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First { what, before: 0 } => f.write_str(what),
            Self::First { what, before } => {
                write!(f, "{what} ({before} more times since the last line)")
            }
            Self::Still { lasted, tries, last } => {
                write!(f, "still in trouble for {}, {}, last: {last}", Span(*lasted), Tries(*tries))
            }
            Self::Over { lasted, tries } => {
                write!(f, "trouble is over after {}, {}", Span(*lasted), Tries(*tries))
            }
        }
    }
}

/// A duration as people say it: `45 s`, `3 min`, `2 h 5 min`.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            s @ 0..=99 => write!(f, "{s} s"),
            s @ 100..=5999 => write!(f, "{} min", s / 60),
            s => write!(f, "{} h {} min", s / 3600, s / 60 % 60),
        }
    }
}

/// A number of tries as people say it.
struct Tries(u64);

impl fmt::Display for Tries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 try"),
            tries => write!(f, "{tries} tries"),
        }
    }
}

impl Default for Trouble {
    fn default() -> Self {
        Self::new()
    }
}

impl Trouble {
    /// None so far.
    pub const fn new() -> Self {
        Self {
            state: State::Fine { since: None },
            pauses: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            quiet_until: None,
            untold: 0,
        }
    }

    /// It went wrong: the line that is due, if one is. Only [`MESSAGE_CHARS`] characters of `what` are kept.
    pub fn on_failure(&mut self, what: &str, now: Instant) -> Option<Line> {
        let (since, tries, told) = match self.state {
            State::Fine { since } => {
                if since.is_none_or(|since| now.duration_since(since) >= CALM) {
                    self.pauses.on_success();
                    self.quiet_until = None;
                    self.untold = 0;
                }
                (now, 1, false)
            }
            State::Trouble { since, tries, told } => (since, tries.saturating_add(1), told),
        };
        let is_due = self.quiet_until.is_none_or(|until| now >= until);
        self.state = State::Trouble { since, tries, told: told || is_due };
        if !is_due {
            self.untold = self.untold.saturating_add(1);
            return None;
        }
        // The whole pause: jitter serves nobody here.
        self.quiet_until = Some(now + self.pauses.on_failure(1.0));
        let before = std::mem::take(&mut self.untold);
        let what: String = what.chars().take(MESSAGE_CHARS).collect();
        Some(if told {
            Line::Still { lasted: now.duration_since(since), tries, last: what }
        } else {
            Line::First { what, before }
        })
    }

    /// It went well: the line that is due, if one is.
    pub fn on_success(&mut self, now: Instant) -> Option<Line> {
        let State::Trouble { since, tries, told } = self.state else { return None };
        self.state = State::Fine { since: Some(now) };
        if !told {
            return None;
        }
        // The line counts them.
        self.untold = 0;
        Some(Line::Over { lasted: now.duration_since(since), tries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No hour has more lines of one trouble: 16 of trouble, each with its end.
    const LINES_PER_HOUR: usize = 32;

    /// `x` is a failure, `.` a success, each of them a second long; `600` and the like wait seconds.
    #[track_caller]
    fn check(story: &str, expected: &[&str]) {
        let mut now = Instant::now();
        let start = now;
        let mut trouble = Trouble::new();
        let mut lines = Vec::new();
        for word in story.split_whitespace() {
            if let Ok(seconds) = word.parse() {
                now += Duration::from_secs(seconds);
                continue;
            }
            for c in word.chars() {
                let line = match c {
                    'x' => trouble.on_failure("no route to o:8935", now),
                    _ => trouble.on_success(now),
                };
                let at = now.duration_since(start).as_secs();
                lines.extend(line.map(|line| format!("{at}: {line}")));
                now += Duration::from_secs(1);
            }
        }
        assert_eq!(lines, expected);
    }

    #[test]
    fn the_first_is_told_then_it_is_counted_and_its_end_is_told() {
        check("..x..", &["2: no route to o:8935", "3: trouble is over after 1 s, 1 try"]);
        check(
            "xxxxxxxxxxxx .",
            &[
                "0: no route to o:8935",
                "10: still in trouble for 10 s, 11 tries, last: no route to o:8935",
                "12: trouble is over after 12 s, 12 tries",
            ],
        );
    }

    #[test]
    fn lines_come_at_growing_intervals() {
        let story = format!("{} .", "x ".repeat(4000));
        let story: Vec<&str> = story.split_whitespace().collect();
        check(
            &story.concat(),
            &[
                "0: no route to o:8935",
                "10: still in trouble for 10 s, 11 tries, last: no route to o:8935",
                "30: still in trouble for 30 s, 31 tries, last: no route to o:8935",
                "70: still in trouble for 70 s, 71 tries, last: no route to o:8935",
                "150: still in trouble for 2 min, 151 tries, last: no route to o:8935",
                "310: still in trouble for 5 min, 311 tries, last: no route to o:8935",
            ]
            .into_iter()
            .map(str::to_owned)
            .chain((610..4000).step_by(300).map(|s: i32| {
                format!(
                    "{s}: still in trouble for {} min, {} tries, last: no route to o:8935",
                    s / 60,
                    s + 1
                )
            }))
            .chain(["4000: trouble is over after 66 min, 4000 tries".to_owned()])
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
        );
    }

    #[test]
    fn a_trouble_that_comes_and_goes_is_told_of_once_for_each_pause() {
        check(
            "x.x.x.x.x.x.x.",
            &[
                "0: no route to o:8935",
                "1: trouble is over after 1 s, 1 try",
                "10: no route to o:8935 (4 more times since the last line)",
                "11: trouble is over after 1 s, 1 try",
            ],
        );
    }

    #[test]
    fn a_trouble_that_begins_in_a_pause_and_lasts_is_told_as_a_new_one() {
        check(
            "x.xxxxxxxxxx",
            &[
                "0: no route to o:8935",
                "1: trouble is over after 1 s, 1 try",
                "10: no route to o:8935 (8 more times since the last line)",
            ],
        );
        // Those that the end of a trouble counted are not counted again.
        check(
            "xxx. 10 x",
            &[
                "0: no route to o:8935",
                "3: trouble is over after 3 s, 3 tries",
                "14: no route to o:8935",
            ],
        );
    }

    #[test]
    fn after_a_calm_time_it_is_a_new_one() {
        let twice = ["0: no route to o:8935", "1: trouble is over after 1 s, 1 try"];
        let new = ["1804: no route to o:8935", "1805: trouble is over after 1 s, 1 try"];
        check("x.x. 1800 x.", &[twice, new].concat());
    }

    #[test]
    fn what_is_said_is_short() {
        let mut trouble = Trouble::new();
        let line = trouble.on_failure(&"x".repeat(10_000), Instant::now());
        assert_eq!(line.map(|line| line.to_string().len()), Some(MESSAGE_CHARS));
    }

    #[test]
    fn long_times_are_told_in_hours() {
        assert_eq!(Span(Duration::from_secs(7500)).to_string(), "2 h 5 min");
        assert_eq!(Span(Duration::from_secs(99)).to_string(), "99 s");
    }

    /// Hours of random failures and recoveries, from one a second to one in minutes.
    #[test]
    fn no_hour_has_many_lines_and_no_long_trouble_is_hidden() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        for round in 0..60 {
            let start = Instant::now();
            let mut now = start;
            let mut trouble = Trouble::new();
            let mut lines: Vec<(Instant, Line)> = Vec::new();
            let mut failing_since = None;
            let (failures_of_10, longest) =
                (next(11), 1 + next([1000, 30_000, 400_000][round % 3]));
            while now.duration_since(start) < Duration::from_secs(4 * 3600) {
                now += Duration::from_millis(1 + next(longest));
                let failed = next(10) < failures_of_10;
                let line = if failed {
                    failing_since.get_or_insert(now);
                    trouble.on_failure("it failed", now)
                } else {
                    failing_since = None;
                    trouble.on_success(now)
                };
                lines.extend(line.map(|line| (now, line)));
                let age = |at: &Instant| now.duration_since(*at).as_secs();
                let in_last_hour = lines.iter().rev().take_while(|(at, _)| age(at) < 3600).count();
                assert!(in_last_hour <= LINES_PER_HOUR, "round {round}: {lines:?}");
                let is_over = lines.last().is_none_or(|(_, l)| matches!(l, Line::Over { .. }));
                assert!(failed || is_over, "round {round}: good, but the last line is not");
                let long = failing_since.is_some_and(|at| now.duration_since(at) > LONGEST_PAUSE);
                assert!(!long || !is_over, "round {round}: a long trouble that nobody was told of");
            }
        }
    }
}
