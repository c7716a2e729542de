//! Decides which time of day to count by: the clock's, once a time source has confirmed it, and then only while it does
//! not jump.
//!
//! | the clock | the time |
//! |---|---|
//! | was never confirmed | none |
//! | runs as the monotonic clock since it was confirmed | the clock's |
//! | has jumped, and is not confirmed again | the last confirmed one, continued by the monotonic clock |
//!
//! A clock is confirmed by a time source, or if no program on this computer knows whether a time source has set it and
//! it does not show a time before this program was made.
//!
//! Does not: read the clock.

use std::time::{Duration, Instant, SystemTime};

use super::{ClockReading, ClockState};

/// A difference to the monotonic clock from which the clock counts as changed. Time sources slew smaller ones.
const JUMP: Duration = Duration::from_secs(120);
/// The shortest time between two readings, which start processes.
const READ_EVERY: Duration = Duration::from_secs(60);

/// The time of day to count by.
#[derive(Debug, Clone, Default)]
pub struct ConfirmedClock {
    confirmed: Option<(SystemTime, Instant)>,
    read: Option<Instant>,
}

impl ConfirmedClock {
    /// The time of day, if there is one to count by. `wall` is what the clock shows.
    pub fn time(&mut self, wall: SystemTime, now: Instant) -> Option<SystemTime> {
        let expected = self.expected(now)?;
        if distance(wall, expected) > JUMP {
            return Some(expected);
        }
        self.confirmed = Some((wall, now));
        Some(wall)
    }

    /// Whether to read the clock and then call [`ConfirmedClock::on_reading`].
    pub fn needs_reading(&self, wall: SystemTime, now: Instant) -> bool {
        let is_recent =
            self.read.is_some_and(|read| now.saturating_duration_since(read) < READ_EVERY);
        let has_jumped = self.expected(now).is_none_or(|time| distance(wall, time) > JUMP);
        has_jumped && !is_recent
    }

    /// Handles a reading.
    pub fn on_reading(&mut self, reading: ClockReading, now: Instant) {
        self.read = Some(now);
        match reading.state() {
            ClockState::Synchronised | ClockState::Unknown => {
                self.confirmed = Some((reading.wall, now));
            }
            ClockState::Unsynchronised | ClockState::Past => {}
        }
    }

    fn expected(&self, now: Instant) -> Option<SystemTime> {
        let (time, at) = self.confirmed?;
        time.checked_add(now.saturating_duration_since(at))
    }
}

fn distance(a: SystemTime, b: SystemTime) -> Duration {
    a.duration_since(b).or_else(|_| b.duration_since(a)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::BUILT;

    /// Each event has the second of the monotonic clock, the clock's time, whether a time source has set the clock, and
    /// the expected time, all in seconds, times of day since the build.
    #[track_caller]
    fn check(story: &[(u64, i64, Option<bool>, Option<i64>)]) {
        let start = Instant::now();
        let wall = |seconds: i64| {
            SystemTime::UNIX_EPOCH + Duration::from_secs(BUILT.saturating_add_signed(seconds))
        };
        let mut clock = ConfirmedClock::default();
        for event @ (at, shown, synchronised, expected) in story.iter().copied() {
            let now = start + Duration::from_secs(at);
            if clock.needs_reading(wall(shown), now) {
                clock.on_reading(ClockReading { wall: wall(shown), synchronised }, now);
            }
            assert_eq!(clock.time(wall(shown), now), expected.map(wall), "{event:?}");
        }
    }

    const DAY: i64 = 86_400;

    #[test]
    fn a_clock_counts_once_it_is_confirmed() {
        check(&[
            (0, 10, Some(false), None),
            (30, 40, Some(true), None),
            (60, 70, Some(true), Some(70)),
            (61, 71, Some(false), Some(71)),
        ]);
        check(&[(0, 10, None, Some(10))]);
        check(&[(0, -DAY, None, None), (60, -DAY, Some(true), None)]);
    }

    #[test]
    fn a_jump_does_not_count_until_it_is_confirmed() {
        check(&[
            (0, 10, Some(true), Some(10)),
            (100, DAY, Some(false), Some(110)),
            (101, DAY, Some(true), Some(111)),
            (102, 112, Some(true), Some(112)),
            (103, DAY, Some(true), Some(113)),
            (163, DAY, Some(true), Some(DAY)),
        ]);
    }

    #[test]
    fn a_clock_that_is_slewed_goes_on_counting() {
        let slewed: Vec<_> = (0..20)
            .map(|step| (60 * step, 70 * step as i64, None, Some(70 * step as i64)))
            .collect();
        check(&slewed);
    }
}
