//! Limits how often a repeated failure is logged: its start, reminders while it lasts, and the recovery.
//!
//! ```text
//!         failure: "lost …" (unless a line was logged shortly before)
//! ┌────┐ ───────────────────────────────▶ ┌─────────┐ failure after the pause: "still failing after 3 min, …"
//! │ Ok │                                  │ Failing │ ──┐
//! └────┘ ◀─────────────────────────────── └─────────┘ ◀─┘ other failures are only counted
//!         success: "recovered after …" (if the failure was logged)
//! ```
//!
//! The pause between two failure lines doubles from 10 s to 5 min. Short recoveries do not reset it; 30 min without
//! a failure do. One [`LogThrottle`] therefore yields at most 32 lines an hour.
//!
//! [`LogThrottle`] decides, [`ThrottledLog`] also writes to the log.
//!
//! Does not: read the clock; callers pass the time.

use std::fmt;
use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::sanitize::MESSAGE_CHARS;

/// Pause after the first line.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// Longest pause between two lines.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Time without a failure after which the pauses start at [`FIRST_PAUSE`] again.
const RESET_TIME: Duration = Duration::from_secs(1800);

/// Decides which failures of one kind are logged. Keep one for each operation that can fail repeatedly.
#[derive(Debug, Clone)]
pub struct LogThrottle {
    state: ThrottleState,
    pauses: Backoff,
    /// No failure is logged before this time.
    quiet_until: Option<Instant>,
    /// Failures since the last line.
    unlogged: u64,
}

#[derive(Debug, Clone, Copy)]
enum ThrottleState {
    Ok { since: Option<Instant> },
    Failing { since: Instant, attempts: u64, is_logged: bool },
}

/// One line to log, at its [`LogLine::level`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogLine {
    /// The operation began to fail.
    First {
        /// The failure, in one line.
        what: String,
        /// Failures since the last line that were not logged.
        unlogged: u64,
    },
    /// The operation keeps failing.
    StillFailing {
        /// Time since the first failure.
        lasted: Duration,
        /// Failures so far, this one included.
        attempts: u64,
        /// The latest failure.
        last: String,
    },
    /// The operation succeeded after logged failures.
    Recovered {
        /// Time from the first failure to the success.
        lasted: Duration,
        /// Failures before the success.
        attempts: u64,
    },
}

impl LogLine {
    /// Warn for a failure, info for a recovery.
    pub fn level(&self) -> log::Level {
        match self {
            Self::First { .. } | Self::StillFailing { .. } => log::Level::Warn,
            Self::Recovered { .. } => log::Level::Info,
        }
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First { what, unlogged: 0 } => f.write_str(what),
            Self::First { what, unlogged } => {
                write!(f, "{what} ({unlogged} more times since the last line)")
            }
            Self::StillFailing { lasted, attempts, last } => {
                let (lasted, attempts) = (Span(*lasted), Attempts(*attempts));
                write!(f, "still failing after {lasted}, {attempts}, last: {last}")
            }
            Self::Recovered { lasted, attempts } => {
                write!(f, "recovered after {}, {}", Span(*lasted), Attempts(*attempts))
            }
        }
    }
}

/// Formats a duration for people: `45 s`, `3 min`, `2 h 5 min`.
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

/// Formats a count: `1 attempt`, `4 attempts`.
struct Attempts(u64);

impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 attempt"),
            attempts => write!(f, "{attempts} attempts"),
        }
    }
}

impl Default for LogThrottle {
    fn default() -> Self {
        Self::new()
    }
}

impl LogThrottle {
    /// A throttle for an operation that has not failed yet.
    pub const fn new() -> Self {
        Self {
            state: ThrottleState::Ok { since: None },
            pauses: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            quiet_until: None,
            unlogged: 0,
        }
    }

    /// Call for every failure, and log the returned line. `what` is cut to [`MESSAGE_CHARS`] characters.
    pub fn on_failure(&mut self, what: &str, now: Instant) -> Option<LogLine> {
        let (since, attempts, is_logged) = match self.state {
            ThrottleState::Ok { since } => {
                if since.is_none_or(|since| now.duration_since(since) >= RESET_TIME) {
                    self.pauses.on_success();
                    self.quiet_until = None;
                    self.unlogged = 0;
                }
                (now, 1, false)
            }
            ThrottleState::Failing { since, attempts, is_logged } => {
                (since, attempts.saturating_add(1), is_logged)
            }
        };
        let is_due = self.quiet_until.is_none_or(|until| now >= until);
        self.state = ThrottleState::Failing { since, attempts, is_logged: is_logged || is_due };
        if !is_due {
            self.unlogged = self.unlogged.saturating_add(1);
            return None;
        }
        // Use no jitter: it spreads the load on a peer, but a log line is local.
        self.quiet_until = Some(now + self.pauses.on_failure(1.0));
        let unlogged = std::mem::take(&mut self.unlogged);
        let what: String = what.chars().take(MESSAGE_CHARS).collect();
        Some(if is_logged {
            LogLine::StillFailing { lasted: now.duration_since(since), attempts, last: what }
        } else {
            LogLine::First { what, unlogged }
        })
    }

    /// Call for every success, and log the returned line.
    pub fn on_success(&mut self, now: Instant) -> Option<LogLine> {
        let ThrottleState::Failing { since, attempts, is_logged } = self.state else { return None };
        self.state = ThrottleState::Ok { since: Some(now) };
        if !is_logged {
            return None;
        }
        // The recovery line counts these failures.
        self.unlogged = 0;
        Some(LogLine::Recovered { lasted: now.duration_since(since), attempts })
    }

    /// Whether the last call was [`Self::on_failure`].
    pub fn is_failing(&self) -> bool {
        matches!(self.state, ThrottleState::Failing { .. })
    }
}

/// A [`LogThrottle`] that writes its lines to the log; failures it suppresses are logged at level debug.
#[derive(Debug)]
pub struct ThrottledLog {
    throttle: LogThrottle,
    /// The log target: the owner's module path.
    target: &'static str,
    /// The beginning of the recovery line.
    recovered: String,
    reminds: bool,
}

impl ThrottledLog {
    /// Pass `module_path!()` as `target`. The recovery line is `recovered`, a colon, and how long the failure lasted.
    pub fn new(target: &'static str, recovered: impl Into<String>) -> Self {
        let throttle = LogThrottle::new();
        Self { throttle, target, recovered: recovered.into(), reminds: true }
    }

    /// Like [`ThrottledLog::new`], but "still failing" lines go to level debug.
    #[must_use]
    pub fn without_reminders(self) -> Self {
        Self { reminds: false, ..self }
    }

    /// Call for every failure.
    pub fn on_failure(&mut self, what: &str, now: Instant) {
        match self.throttle.on_failure(what, now) {
            Some(line) if self.reminds || matches!(line, LogLine::First { .. }) => {
                log::log!(target: self.target, line.level(), "{line}");
            }
            Some(_) | None => log::debug!(target: self.target, "{what}"),
        }
    }

    /// Call for every success. Returns whether a recovery was logged.
    pub fn on_success(&mut self, now: Instant) -> bool {
        let line = self.throttle.on_success(now);
        if let Some(line) = &line {
            log::log!(target: self.target, line.level(), "{}: {line}", self.recovered);
        }
        line.is_some()
    }

    /// Whether the last call was [`Self::on_failure`].
    pub fn is_failing(&self) -> bool {
        self.throttle.is_failing()
    }

    /// The level at which to log a single attempt: debug while failing, because the throttle reports the failures
    /// then; info otherwise.
    pub fn level(&self) -> log::Level {
        if self.is_failing() { log::Level::Debug } else { log::Level::Info }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 16 failures an hour at most, each with its recovery.
    const LINES_PER_HOUR: usize = 32;

    /// `x` is a failure and `.` a success, each followed by 1 s; a number is a wait in seconds.
    #[track_caller]
    fn check(story: &str, expected: &[&str]) {
        let mut now = Instant::now();
        let start = now;
        let mut throttle = LogThrottle::new();
        let mut lines = Vec::new();
        for word in story.split_whitespace() {
            if let Ok(seconds) = word.parse() {
                now += Duration::from_secs(seconds);
                continue;
            }
            for c in word.chars() {
                let line = match c {
                    'x' => throttle.on_failure("no route to o:8935", now),
                    _ => throttle.on_success(now),
                };
                let at = now.duration_since(start).as_secs();
                lines.extend(line.map(|line| format!("{at}: {line}")));
                now += Duration::from_secs(1);
            }
        }
        assert_eq!(lines, expected);
    }

    #[test]
    fn the_first_failure_and_the_recovery_are_logged_the_rest_is_counted() {
        check("..x..", &["2: no route to o:8935", "3: recovered after 1 s, 1 attempt"]);
        check(
            "xxxxxxxxxxxx .",
            &[
                "0: no route to o:8935",
                "10: still failing after 10 s, 11 attempts, last: no route to o:8935",
                "12: recovered after 12 s, 12 attempts",
            ],
        );
    }

    #[test]
    fn reminders_come_at_growing_intervals() {
        let story = format!("{} .", "x ".repeat(4000));
        let story: Vec<&str> = story.split_whitespace().collect();
        check(
            &story.concat(),
            &[
                "0: no route to o:8935",
                "10: still failing after 10 s, 11 attempts, last: no route to o:8935",
                "30: still failing after 30 s, 31 attempts, last: no route to o:8935",
                "70: still failing after 70 s, 71 attempts, last: no route to o:8935",
                "150: still failing after 2 min, 151 attempts, last: no route to o:8935",
                "310: still failing after 5 min, 311 attempts, last: no route to o:8935",
            ]
            .into_iter()
            .map(str::to_owned)
            .chain((610..4000).step_by(300).map(|s: i32| {
                format!(
                    "{s}: still failing after {} min, {} attempts, last: no route to o:8935",
                    s / 60,
                    s + 1
                )
            }))
            .chain(["4000: recovered after 66 min, 4000 attempts".to_owned()])
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
        );
    }

    #[test]
    fn a_failure_that_comes_and_goes_is_logged_once_for_each_pause() {
        check(
            "x.x.x.x.x.x.x.",
            &[
                "0: no route to o:8935",
                "1: recovered after 1 s, 1 attempt",
                "10: no route to o:8935 (4 more times since the last line)",
                "11: recovered after 1 s, 1 attempt",
            ],
        );
    }

    #[test]
    fn a_failure_that_begins_in_a_pause_and_lasts_is_logged_as_a_new_one() {
        check(
            "x.xxxxxxxxxx",
            &[
                "0: no route to o:8935",
                "1: recovered after 1 s, 1 attempt",
                "10: no route to o:8935 (8 more times since the last line)",
            ],
        );
        // Failures that a recovery line counted are not counted again.
        check(
            "xxx. 10 x",
            &[
                "0: no route to o:8935",
                "3: recovered after 3 s, 3 attempts",
                "14: no route to o:8935",
            ],
        );
    }

    #[test]
    fn half_an_hour_without_failures_resets_the_pauses() {
        let twice = ["0: no route to o:8935", "1: recovered after 1 s, 1 attempt"];
        let new = ["1804: no route to o:8935", "1805: recovered after 1 s, 1 attempt"];
        check("x.x. 1800 x.", &[twice, new].concat());
    }

    #[test]
    fn a_line_is_cut_to_message_chars() {
        let mut throttle = LogThrottle::new();
        let line = throttle.on_failure(&"x".repeat(10_000), Instant::now());
        assert_eq!(line.map(|line| line.to_string().len()), Some(MESSAGE_CHARS));
    }

    #[test]
    fn long_durations_are_shown_in_hours() {
        assert_eq!(Span(Duration::from_secs(7500)).to_string(), "2 h 5 min");
        assert_eq!(Span(Duration::from_secs(99)).to_string(), "99 s");
    }

    /// Hours of random failures and recoveries, from one a second to one in minutes.
    #[test]
    fn an_hour_has_at_most_32_lines_and_every_long_failure_is_logged() {
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
            let mut throttle = LogThrottle::new();
            let mut lines: Vec<(Instant, LogLine)> = Vec::new();
            let mut failing_since = None;
            let (failures_of_10, longest) =
                (next(11), 1 + next([1000, 30_000, 400_000][round % 3]));
            while now.duration_since(start) < Duration::from_secs(4 * 3600) {
                now += Duration::from_millis(1 + next(longest));
                let failed = next(10) < failures_of_10;
                let line = if failed {
                    failing_since.get_or_insert(now);
                    throttle.on_failure("it failed", now)
                } else {
                    failing_since = None;
                    throttle.on_success(now)
                };
                lines.extend(line.map(|line| (now, line)));
                let age = |at: &Instant| now.duration_since(*at).as_secs();
                let in_last_hour = lines.iter().rev().take_while(|(at, _)| age(at) < 3600).count();
                assert!(in_last_hour <= LINES_PER_HOUR, "round {round}: {lines:?}");
                let is_over =
                    lines.last().is_none_or(|(_, l)| matches!(l, LogLine::Recovered { .. }));
                assert!(
                    failed || is_over,
                    "round {round}: the operation succeeded, but the last line is a failure"
                );
                let long = failing_since.is_some_and(|at| now.duration_since(at) > LONGEST_PAUSE);
                assert!(!long || !is_over, "round {round}: a long failure was not logged");
            }
        }
    }
}
