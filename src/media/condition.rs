//! The condition of one output, judged by bytes that move: `ok`, `waiting` or `failed`, since when, and why.
//!
//! ```text
//!              bytes are written
//! ┌─────────┐ ──────────────────▶ ┌────┐ ── a failure ──▶ ┌────────┐
//! │ waiting │                     │ ok │                  │ failed │
//! └─────────┘ ◀────────────────── └────┘ ◀─────────────── └────────┘
//!              no video for QUIET,        bytes are written
//!              or no reader
//! ```
//!
//! Does not: read the clock; the caller passes the time.

use std::time::{Duration, Instant};

/// Without a byte written for this long, an output is not `ok`: the longest segment is shorter.
pub(crate) const QUIET: Duration = Duration::from_secs(10);

/// The health of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Video is written.
    Ok,
    /// No video has come, or the output has no reader.
    Waiting,
    /// The output failed, and is opened again.
    Failed,
}

/// The state of one output, for reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputState {
    /// The name in the configuration and the log. It holds no secret.
    pub name: String,
    /// The kind in the configuration, such as `file`.
    pub kind: &'static str,
    /// The health of the output.
    pub health: Health,
    /// The time since which the output has this health.
    pub since: Instant,
    /// Why the output is not `Ok`, in one line without secrets.
    pub why: Option<String>,
    /// Bytes written.
    pub bytes: u64,
    /// Bytes dropped because of a failure or a full queue.
    pub drops: u64,
}

/// The condition of an output.
#[derive(Debug)]
pub(crate) struct Condition {
    health: Health,
    since: Instant,
    why: Option<String>,
    /// The time of the last byte written.
    moved: Instant,
}

impl Condition {
    /// The condition of an output that is not written yet.
    pub(crate) fn new(now: Instant) -> Self {
        Self { health: Health::Waiting, since: now, why: None, moved: now }
    }

    /// Call when bytes were written. Returns whether that changes how the output is.
    pub(crate) fn on_written(&mut self, now: Instant) -> bool {
        let has_changed = self.set(Health::Ok, None, now);
        if now.saturating_duration_since(self.moved) > QUIET {
            self.since = now;
        }
        self.moved = now;
        has_changed
    }

    /// Call when the output failed. `why` says the cause. Returns whether that changes how the output is.
    pub(crate) fn on_failure(&mut self, why: String, now: Instant) -> bool {
        self.set(Health::Failed, Some(why), now)
    }

    /// Call when the output has no reader. Returns whether that changes how the output is.
    pub(crate) fn on_no_reader(&mut self, why: String, now: Instant) -> bool {
        self.set(Health::Waiting, Some(why), now)
    }

    /// How the output is, since when, and why it is not `Ok`.
    pub(crate) fn view(&self, now: Instant) -> (Health, Instant, Option<String>) {
        let quiet_since = self.moved + QUIET;
        if self.health == Health::Ok && now > quiet_since {
            return (Health::Waiting, quiet_since, Some(NO_VIDEO.to_owned()));
        }
        let why =
            self.why.clone().or((self.health == Health::Waiting).then(|| NO_VIDEO.to_owned()));
        (self.health, self.since, why)
    }

    fn set(&mut self, health: Health, why: Option<String>, now: Instant) -> bool {
        let has_changed = self.health != health;
        if has_changed {
            self.since = now;
        }
        self.health = health;
        self.why = why;
        has_changed
    }
}

const NO_VIDEO: &str = "no video arrives";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_ok_only_while_bytes_move() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut condition = Condition::new(start);
        let no_video = || Some(NO_VIDEO.to_owned());
        assert_eq!(condition.view(at(1)), (Health::Waiting, start, no_video()));
        assert!(condition.on_written(at(2)));
        assert!(!condition.on_written(at(5)));
        assert_eq!(condition.view(at(15)), (Health::Ok, at(2), None));
        assert_eq!(condition.view(at(16)), (Health::Waiting, at(15), no_video()));
        assert!(!condition.on_written(at(20)));
        assert_eq!(condition.view(at(20)), (Health::Ok, at(20), None));
    }

    #[test]
    fn a_failure_keeps_its_time_and_takes_the_newest_reason() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut condition = Condition::new(start);
        assert!(condition.on_failure("full".to_owned(), at(1)));
        assert!(!condition.on_failure("gone".to_owned(), at(9)));
        assert_eq!(condition.view(at(99)), (Health::Failed, at(1), Some("gone".to_owned())));
        assert!(condition.on_no_reader("alone".to_owned(), at(100)));
        assert_eq!(condition.view(at(101)), (Health::Waiting, at(100), Some("alone".to_owned())));
    }
}
