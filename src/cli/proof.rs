//! Decides when a configuration has worked: processed video came back with it, from a camera that works.
//!
//! | since | the proof |
//! |---|---|
//! | the start of the program | the first that comes back |
//! | a reload | what comes back [`SETTLED`] later; before that, it may be from before |
//!
//! A configuration that was merely read, or whose camera or orchestrator is never found, has not worked.
//!
//! Does not: keep anything.

use std::time::{Duration, Instant};

/// The longest way of a picture: a segment of 10 s and what waits before it, out, through a model, and back.
const SETTLED: Duration = Duration::from_secs(30);

/// How far the proof of the configuration that runs has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// It is given, or not wanted.
    Given,
    /// The first that comes back gives it.
    AtOnce,
    /// What comes back from then on gives it.
    From(Instant),
}

impl Proof {
    /// That of a configuration which a reload brought.
    pub(super) fn of_reload(now: Instant) -> Self {
        Self::From(now + SETTLED)
    }

    /// Processed video came back. Whether that proves it, for the first time.
    pub(super) fn on_output(&mut self, now: Instant) -> bool {
        let is_proof = match *self {
            Self::Given => false,
            Self::AtOnce => true,
            Self::From(time) => time <= now,
        };
        if is_proof {
            *self = Self::Given;
        }
        is_proof
    }

    /// Whether it is still to come.
    pub(super) fn is_open(self) -> bool {
        self != Self::Given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn video_proves_a_configuration_once() {
        let now = Instant::now();
        let mut proof = Proof::AtOnce;
        assert!(proof.is_open() && proof.on_output(now) && !proof.on_output(now));
        let mut proof = Proof::of_reload(now);
        let before = now + SETTLED - Duration::from_millis(1);
        assert!(!proof.on_output(now) && !proof.on_output(before));
        assert!(proof.is_open() && proof.on_output(now + SETTLED) && !proof.is_open());
        assert!(!Proof::Given.on_output(now));
    }
}
