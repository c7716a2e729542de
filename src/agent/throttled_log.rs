//! Logs a repeated failure: its start, a reminder from time to time, and its end.
//!
//! Does not: decide when a line is due; `resilience` does.

use std::time::Instant;

use resilience::trouble::{Line, Trouble};

/// The log lines of one kind of failure.
#[derive(Debug)]
pub(super) struct ThrottledLog {
    trouble: Trouble,
    is_failing: bool,
    /// The text of the log line when the failure is over.
    over: &'static str,
}

impl ThrottledLog {
    /// `over` is logged when the failure ends.
    pub(super) fn new(over: &'static str) -> Self {
        Self { trouble: Trouble::new(), is_failing: false, over }
    }

    /// Call it after each failure; `what` is its text.
    pub(super) fn on_failure(&mut self, what: &str, now: Instant) {
        self.is_failing = true;
        match self.trouble.on_failure(what, now) {
            Some(line) => self.write(&line),
            None => log::debug!("{what}"),
        }
    }

    /// Call it after each success. Returns whether a line was logged.
    pub(super) fn on_success(&mut self, now: Instant) -> bool {
        self.is_failing = false;
        let line = self.trouble.on_success(now);
        if let Some(line) = &line {
            self.write(line);
        }
        line.is_some()
    }

    /// Whether the last call reported a failure.
    pub(super) fn is_failing(&self) -> bool {
        self.is_failing
    }

    /// The level for messages about single attempts: debug while it fails, so that retries do not fill the log.
    pub(super) fn level(&self) -> log::Level {
        if self.is_failing { log::Level::Debug } else { log::Level::Info }
    }

    fn write(&self, line: &Line) {
        match line {
            Line::First { .. } | Line::Still { .. } => log::log!(line.level(), "{line}"),
            Line::Over { .. } => log::log!(line.level(), "{}: {line}", self.over),
        }
    }
}
