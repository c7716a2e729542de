//! Writes a failure that repeats to the log as often as it is worth a line.
//!
//! Does not: decide that; `trouble` does.

use std::time::Instant;

use resilience::trouble::{Line, Trouble};

/// A failure that may repeat, and what the log is told of it.
#[derive(Debug)]
pub(super) struct ThrottledLog {
    trouble: Trouble,
    is_on: bool,
    /// What its end is called.
    over: &'static str,
}

impl ThrottledLog {
    pub(super) fn new(over: &'static str) -> Self {
        Self { trouble: Trouble::new(), is_on: false, over }
    }

    /// It went wrong.
    pub(super) fn on_failure(&mut self, what: &str, now: Instant) {
        self.is_on = true;
        match self.trouble.on_failure(what, now) {
            Some(line) => self.write(&line),
            None => log::debug!("{what}"),
        }
    }

    /// It went well. Whether that was worth a line.
    pub(super) fn on_success(&mut self, now: Instant) -> bool {
        self.is_on = false;
        let line = self.trouble.on_success(now);
        if let Some(line) = &line {
            self.write(line);
        }
        line.is_some()
    }

    /// Whether there is trouble.
    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// The level of what is said of every try: worth a line only while there is no trouble.
    pub(super) fn level(&self) -> log::Level {
        if self.is_on { log::Level::Debug } else { log::Level::Info }
    }

    fn write(&self, line: &Line) {
        match line {
            Line::First { .. } | Line::Still { .. } => log::log!(line.level(), "{line}"),
            Line::Over { .. } => log::log!(line.level(), "{}: {line}", self.over),
        }
    }
}
