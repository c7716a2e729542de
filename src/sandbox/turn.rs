//! Decides whether the runner can take a new job, or is kept by one that its client has left.
//!
//! The network's runner runs one job at a time and cannot stop the last one while a GET on its control channel is
//! pending, once it has read a control message there. A client that has gone without a DELETE leaves such a job
//! behind: the start of the next one hangs until the channels are deleted or swept.
//!
//! Does not: wait; `io::start` does.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A job without video for so long has lost its client. Longer than any pause between two segments of a client that
/// is there, and shorter than an agent takes to come back after a power cut.
const ABANDONED: Duration = Duration::from_secs(3);

/// The jobs that run.
#[derive(Debug, Default)]
pub(crate) struct Turns(HashMap<String, Turn>);

#[derive(Debug)]
struct Turn {
    has_control: bool,
    last_video: Instant,
}

impl Turns {
    /// A job begins.
    pub(crate) fn begin(&mut self, manifest: &str, now: Instant) {
        self.0.insert(manifest.to_owned(), Turn { has_control: false, last_video: now });
    }

    /// The runner has read a control message of a job.
    pub(crate) fn on_control(&mut self, manifest: &str) {
        if let Some(turn) = self.0.get_mut(manifest) {
            turn.has_control = true;
        }
    }

    /// Video of a job came in.
    pub(crate) fn on_video(&mut self, manifest: &str, now: Instant) {
        if let Some(turn) = self.0.get_mut(manifest) {
            turn.last_video = now;
        }
    }

    /// The channels of a job are gone.
    pub(crate) fn end(&mut self, manifest: &str) {
        self.0.remove(manifest);
    }

    /// Whether a job that its client has left keeps the runner.
    pub(crate) fn is_blocked(&self, now: Instant) -> bool {
        let is_left = |turn: &Turn| now.saturating_duration_since(turn.last_video) >= ABANDONED;
        self.0.values().any(|turn| turn.has_control && is_left(turn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_was_left_after_a_control_message_keeps_the_runner_until_its_channels_are_gone() {
        let start = Instant::now();
        let mut turns = Turns::default();
        turns.begin("a", start);
        turns.on_video("a", start + ABANDONED);
        assert!(!turns.is_blocked(start + 3 * ABANDONED), "no control message was read");
        turns.on_control("a");
        assert!(!turns.is_blocked(start + ABANDONED), "video comes in");
        assert!(turns.is_blocked(start + 2 * ABANDONED));
        turns.end("a");
        assert!(!turns.is_blocked(start + 2 * ABANDONED));
    }
}
