//! Decides when a configuration has worked: processed video has returned while the camera works.
//!
//! | after | proof |
//! |---|---|
//! | the start of the program | the first processed video |
//! | a reload | processed video [`SETTLED`] later; earlier video may come from the previous configuration |
//!
//! A configuration whose camera or orchestrator is never found has not worked.
//!
//! Does not: keep the configuration.

use std::time::{Duration, Instant};

/// The longest latency of a frame: a segment of 10 s and the queue before it, upload, model, and return.
const SETTLED: Duration = Duration::from_secs(30);

/// The state of the proof for the running configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// The configuration has worked, or no proof is wanted.
    Given,
    /// The next processed video is the proof.
    AtOnce,
    /// Processed video after this time is the proof.
    From(Instant),
}

impl Proof {
    /// The state after a reload.
    pub(super) fn of_reload(now: Instant) -> Self {
        Self::From(now + SETTLED)
    }

    /// Call it when processed video returns. Returns true once: when the proof is given.
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

    /// Whether the proof is still open.
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
