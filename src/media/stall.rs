//! Decides that frames stay away, though nobody reports an error: cameras and encoders stop in silence.
//!
//! | last out of the encoder | last into it | decision |
//! |---|---|---|
//! | not long ago | | wait until it is |
//! | long ago | not long ago | the encoder has stopped |
//! | long ago | long ago | the source has stopped |
//!
//! Long is three frames, and two seconds at least: from there the network's runners call the input degraded
//! (field-facts, ai-runner). The first frame may take longer.
//!
//! Does not: read the clock, or know what frames are.

use std::time::{Duration, Instant};

/// The least that counts as long.
pub(crate) const LONG: Duration = Duration::from_secs(2);
/// What the first frame may take: a camera of the network needs a few seconds to answer and to send a key.
pub(crate) const FIRST: Duration = Duration::from_secs(10);

/// When frames were seen; what was before `played` does not count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// They were let flow.
    pub(crate) played: Instant,
    /// The last one went into the encoder.
    pub(crate) last_in: Option<Instant>,
    /// The last one came out of it.
    pub(crate) last_out: Option<Instant>,
}

/// What has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stall {
    /// The source.
    Source,
    /// The encoder.
    Encoder,
}

/// What to do.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Look again then.
    Wait(Instant),
    /// Frames stay away.
    Stalled {
        /// Where.
        at: Stall,
        /// For how long.
        after: Duration,
    },
}

/// How long is long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    long: Duration,
}

impl Limits {
    /// For so many frames per second.
    pub(crate) fn new(fps: u32) -> Self {
        Self { long: LONG.max(Duration::from_secs(3) / fps.max(1)) }
    }

    /// Judges what was seen.
    pub(crate) fn judge(&self, seen: Seen, now: Instant) -> Judgement {
        let counts = |at: Option<Instant>| at.filter(|at| *at >= seen.played);
        let last_out = counts(seen.last_out);
        let (since, limit) = match last_out {
            Some(last) => (last, self.long),
            None => (seen.played, FIRST.max(self.long)),
        };
        let until = since + limit;
        if now < until {
            // Frames may begin at any time, and stop again.
            return Judgement::Wait(until.min(now + self.long));
        }
        let flows_in = counts(seen.last_in).is_some_and(|last| now < last + self.long);
        let at = if flows_in { Stall::Encoder } else { Stall::Source };
        Judgement::Stalled { at, after: now.duration_since(since) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Milliseconds since play of the last frame in, the last out, and now.
    #[track_caller]
    fn check(
        fps: u32,
        last_in: Option<u64>,
        last_out: Option<u64>,
        now: u64,
        expected: Result<u64, (Stall, u64)>,
    ) {
        let before = Instant::now();
        let played = before + Duration::from_secs(100);
        let at = |ms: u64| played + Duration::from_millis(ms);
        let seen = Seen { played, last_in: last_in.map(at), last_out: last_out.map(at) };
        let expected = match expected {
            Ok(until) => Judgement::Wait(at(until)),
            Err((stall, after)) => {
                Judgement::Stalled { at: stall, after: Duration::from_millis(after) }
            }
        };
        assert_eq!(Limits::new(fps).judge(seen, at(now)), expected);
        // What another capture saw before does not count.
        if last_in.is_none() && last_out.is_none() {
            let old = Seen { played, last_in: Some(before), last_out: Some(before) };
            assert_eq!(Limits::new(fps).judge(old, at(now)), expected);
        }
    }

    #[test]
    fn frames_that_flow_are_waited_for() {
        check(24, Some(5000), Some(5000), 5001, Ok(7000));
        check(24, Some(5000), Some(5000), 6999, Ok(7000));
        check(1, Some(5000), Some(5000), 7999, Ok(8000));
    }

    #[test]
    fn a_source_that_stops_is_told_from_an_encoder_that_stops() {
        check(24, Some(5000), Some(5000), 7000, Err((Stall::Source, 2000)));
        check(24, Some(6900), Some(5000), 7000, Err((Stall::Encoder, 2000)));
        check(24, Some(4990), Some(5000), 9000, Err((Stall::Source, 4000)));
        check(1, Some(5000), Some(5000), 8000, Err((Stall::Source, 3000)));
    }

    #[test]
    fn the_first_frame_may_take_longer() {
        check(24, None, None, 0, Ok(2000));
        check(24, None, None, 9999, Ok(10_000));
        check(24, None, None, 10_000, Err((Stall::Source, 10_000)));
        check(24, Some(9500), None, 10_000, Err((Stall::Encoder, 10_000)));
        check(24, Some(100), None, 10_000, Err((Stall::Source, 10_000)));
    }
}
