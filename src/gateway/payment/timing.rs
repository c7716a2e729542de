//! Times each payment just below a whole second after the last one, because signers round up.
//!
//! For a runner's session a signer bills `ceil(now - last)` seconds by its own clock, where `last` is the time of its
//! previous payment (go-livepeer `server/remote_signer.go:557`): 5.0005 s cost 6 s. The signer reads its clock at some
//! time during the call. If two calls take equally long, the signer measures the time between the calls. So the margin
//! is the recent difference between the durations of calls, plus a little for late timers. A margin shortens the
//! interval a little; exceeding a whole second costs another second.
//!
//! Does not: say how often to pay; the schedule does.

use std::time::{Duration, Instant};

/// The minimum margin, for late timers and the time until a call is on the network: 0.5 % of the usual 5 s.
const MIN_MARGIN: Duration = Duration::from_millis(25);
/// The maximum margin: if the durations of calls vary more, a longer margin costs more than it saves.
const MAX_MARGIN: Duration = Duration::from_millis(250);
const SECOND: Duration = Duration::from_secs(1);

/// Computes when to request payments.
#[derive(Debug, Default)]
pub(super) struct PaymentTiming {
    last: Option<SignedCall>,
    /// By how much the durations of recent calls differed.
    variation: Duration,
}

#[derive(Debug, Clone, Copy)]
struct SignedCall {
    began: Instant,
    took: Duration,
}

impl PaymentTiming {
    /// Call this when the signer made a payment, with the times at which the call began and ended.
    pub(super) fn on_signed(&mut self, began: Instant, ended: Instant) {
        let took = ended.saturating_duration_since(began);
        if let Some(last) = self.last {
            // Each call halves the old difference.
            self.variation = took.abs_diff(last.took).max(self.variation / 2);
        }
        self.last = Some(SignedCall { began, took });
    }

    /// The time just below `seconds`, but at least one, after the last payment; `None` before the first payment.
    pub(super) fn after(&self, seconds: u64) -> Option<Instant> {
        let time = Duration::from_secs(seconds).max(SECOND);
        self.last.map(|last| last.began + time - self.margin())
    }

    /// The first time, `now` or later, that is just below a whole second after the last payment.
    pub(super) fn next(&self, now: Instant) -> Instant {
        let Some(last) = self.last else { return now };
        // A late timer may use up a part of the margin.
        let late = MIN_MARGIN / 2;
        let elapsed = (now + self.margin()).saturating_duration_since(last.began + late);
        let seconds = elapsed.as_nanos().div_ceil(SECOND.as_nanos());
        let aimed = self.after(u64::try_from(seconds).unwrap_or(u64::MAX));
        aimed.map_or(now, |aimed| aimed.max(now))
    }

    /// The time from the last payment to one that is requested now, as a signer is likely to bill it.
    pub(super) fn billed(&self, now: Instant) -> Duration {
        let elapsed = self.last.map_or(SECOND, |last| now.saturating_duration_since(last.began));
        Duration::from_secs((elapsed + SECOND / 2).as_secs().max(1))
    }

    fn margin(&self) -> Duration {
        (MIN_MARGIN + self.variation).min(MAX_MARGIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Checks `next` at `now` ms after the last payment.
    #[track_caller]
    fn check(now: u64, expected: u64) {
        let start = Instant::now();
        let mut timing = PaymentTiming::default();
        timing.on_signed(start, start + ms(40));
        assert_eq!(timing.next(start + ms(now)) - start, ms(expected), "{now} ms");
    }

    #[test]
    fn a_payment_is_requested_just_below_a_whole_second() {
        check(0, 975);
        check(975, 975);
        check(987, 987);
        check(988, 1975);
        check(4000, 4975);
        check(4980, 4980);
        check(5001, 5975);
        check(33_400, 33_975);
    }

    #[test]
    fn the_first_payment_is_requested_at_once() {
        let now = Instant::now();
        assert_eq!(
            (PaymentTiming::default().next(now), PaymentTiming::default().after(5)),
            (now, None)
        );
    }

    #[test]
    fn calls_of_varying_length_widen_the_margin_for_a_while() {
        let (mut timing, start) = (PaymentTiming::default(), Instant::now());
        let room =
            |timing: &PaymentTiming| (start + ms(5000) - timing.after(5).unwrap()).as_millis();
        let mut rooms = Vec::new();
        for took in [40, 140, 140, 140, 140, 2000, 2000, 2000, 2000, 2000, 2000, 2000] {
            timing.on_signed(start, start + ms(took));
            rooms.push(room(&timing));
        }
        assert_eq!(rooms, [25, 125, 75, 50, 37, 250, 250, 250, 250, 141, 83, 54]);
    }

    /// Pays for 10 minutes with calls that take up to `variation` ms more than 30, by a signer that reads its clock at
    /// any time during a call. Returns the seconds billed in that time.
    fn billed(variation: u64) -> u64 {
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let mut chance = move |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below.max(1)
        };
        let (mut timing, start) = (PaymentTiming::default(), Instant::now());
        let (mut now, mut seen, mut billed) = (start, start, 0);
        while now - start < ms(600_000) {
            // A timer is a little late.
            let began = now + ms(chance(3));
            let looks = began + ms(chance(15));
            if looks > seen && now > start {
                billed += u64::try_from((looks - seen).as_nanos().div_ceil(1_000_000_000)).unwrap();
            }
            seen = looks;
            timing.on_signed(began, began + ms(30 + chance(variation)));
            now = timing.after(5).unwrap();
        }
        billed
    }

    #[test]
    fn ten_minutes_cost_ten_minutes() {
        // The margins add up to 0.5 % on a steady link, and to a little more on a worse one.
        assert!((600..=606).contains(&billed(5)), "{}", billed(5));
        assert!((600..=620).contains(&billed(80)), "{}", billed(80));
    }

    #[test]
    fn the_billed_time_is_the_next_whole_second() {
        let (mut timing, start) = (PaymentTiming::default(), Instant::now());
        timing.on_signed(start, start);
        for (now, expected) in [(10, 1), (975, 1), (4975, 5), (5010, 5), (33_400, 33)] {
            assert_eq!(timing.billed(start + ms(now)), Duration::from_secs(expected), "{now}");
        }
    }
}
