//! Decides when a session pays, and estimates for how long it is paid ahead.
//!
//! ```text
//!                    Pay                      on_signed, on_paid; Skip
//!   Waiting(next) ─────────▶ Asked(since) ────────────────────────────▶ Waiting(since + interval)
//!        ▲                     │  ▲   │
//!        │  on_refused: later  │  │   │ on_refused: 480, at most 3 in a row
//!        └─────────────────────┘  │   ▼
//!        ▲        on_refreshed ───┴─ Refreshing
//!        └── on_refresh_failed ──────┘
//!   Over: a single payment was made, or 400, 481, a fourth 480
//! ```
//!
//! The first payment is due at once; later ones every interval, while media flows. `error` lists the reaction to each
//! status. If a signer refuses every session or is down, its gate sets the time of the next request. An orchestrator
//! that is down is tried again after 1 s to 10 s, because prepaid time (60 s or 10 s) has to outlast that pause. So a
//! refusal never leads to a busy loop.
//!
//! Payments that are billed in whole seconds are made just below a whole second (`timing`).
//!
//! The time paid for is an estimate: the signer counts by its own clock, the orchestrator by the work that it did.
//!
//! Does not: make payments; `io` does, and reports the results to the schedule.

use std::time::{Duration, Instant};

use crate::payment::timing::PaymentTiming;
use crate::payment::{PaymentKind, Refusal};
use resilience::backoff::Backoff;

/// How often orchestrators debit, and so are paid (protocol.md, section 5).
pub(super) const INTERVAL: Duration = Duration::from_secs(5);
/// Media counts as flowing for this long after a segment, because the longest segment is 10 s.
const MEDIA_QUIET: Duration = Duration::from_secs(12);
/// The maximum number of refreshes without a payment between them (protocol.md, section 4).
const REFRESHES: u8 = 3;

/// What the payer must do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum PaymentDecision {
    /// Ask the signer for a payment and send it to the orchestrator.
    Pay,
    /// Do nothing until `poll_timeout`; if that is `None`, until an event.
    NotYet,
    /// Fetch fresh terms from the orchestrator.
    Refresh,
    /// Do nothing until the next interval: the session is paid ahead far enough.
    Skip,
    /// Leave this orchestrator and go to the next.
    Leave,
    /// End the session: it cannot be paid any more.
    Fail,
}

/// The period that a payment covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaidPeriod {
    /// The payment opens the session and pays ahead.
    Ahead,
    /// The payment covers the time since the previous one.
    SinceLast,
}

#[derive(Debug, Clone, Copy)]
enum SchedulePhase {
    Waiting { next: Instant },
    Asked { since: Instant },
    Refreshing { since: Instant },
    Over,
}

/// The payment schedule of one session.
#[derive(Debug)]
pub struct PaymentSchedule {
    kind: PaymentKind,
    interval: Duration,
    phase: SchedulePhase,
    media_until: Option<Instant>,
    /// The end of the time that is covered by the payments that arrived; `None` before the first.
    paid_until: Option<Instant>,
    /// When the signer was asked for the last payment that it made.
    signed: Option<Instant>,
    /// When to pay, for kinds that are billed in whole seconds.
    timing: PaymentTiming,
    /// The time that is covered by payments that have not arrived yet.
    under_way: Duration,
    refreshes: u8,
    down: Backoff,
}

impl PaymentSchedule {
    /// A schedule whose first payment is due `now`. `interval` is the interval of the challenge; `None` for the usual 5
    /// s.
    pub(crate) fn new(kind: PaymentKind, interval: Option<Duration>, now: Instant) -> Self {
        Self {
            kind,
            interval: interval.unwrap_or(INTERVAL),
            phase: SchedulePhase::Waiting { next: now },
            media_until: None,
            paid_until: None,
            signed: None,
            timing: PaymentTiming::default(),
            under_way: Duration::ZERO,
            refreshes: 0,
            down: Backoff::new(Duration::from_secs(1), Duration::from_secs(10)),
        }
    }

    /// Call this when the time of `poll_timeout` has come.
    pub(crate) fn on_tick(&mut self, now: Instant) -> PaymentDecision {
        let wanted = self.paid_until.is_none() || self.media_until.is_some_and(|until| now < until);
        match self.phase {
            SchedulePhase::Waiting { next } if next <= now && wanted => self.pay(now, now),
            SchedulePhase::Waiting { .. }
            | SchedulePhase::Asked { .. }
            | SchedulePhase::Refreshing { .. }
            | SchedulePhase::Over => PaymentDecision::NotYet,
        }
    }

    /// Call this when a segment of media went out or came back.
    pub(crate) fn on_media(&mut self, now: Instant) -> PaymentDecision {
        self.media_until = Some(now + MEDIA_QUIET);
        self.on_tick(now)
    }

    /// Call this when the signer made a payment, for a call that began at `asked` and is over now.
    pub(crate) fn on_signed(&mut self, covers: PaidPeriod, asked: Instant, now: Instant) {
        let time = match (covers, self.signed) {
            (PaidPeriod::SinceLast, Some(_)) if self.kind.is_in_whole_seconds() => {
                self.timing.billed(asked)
            }
            (PaidPeriod::SinceLast, Some(before)) => asked.saturating_duration_since(before),
            (PaidPeriod::Ahead, _) | (PaidPeriod::SinceLast, None) => {
                self.kind.preload().unwrap_or_default()
            }
        };
        self.under_way = self.under_way.saturating_add(time);
        self.signed = Some(asked);
        self.timing.on_signed(asked, now);
    }

    /// Call this when the payment arrived at the orchestrator.
    pub(crate) fn on_paid(&mut self, now: Instant) {
        self.paid_until = Some(self.paid_until.unwrap_or(now) + self.under_way);
        self.under_way = Duration::ZERO;
        self.settle(now);
        if self.kind.preload().is_none() {
            self.phase = SchedulePhase::Over;
        }
    }

    /// Call this when the payment did not arrive, or was not accepted, and will not be sent again. Then call
    /// [`PaymentSchedule::on_refused`], which decides the reaction.
    pub(crate) fn on_lost(&mut self) {
        self.under_way = Duration::ZERO;
    }

    /// Call this when the signer made no payment, or the orchestrator did not accept one. `retry_after` is the time
    /// to wait, if known; see [`crate::payment::PaymentError::retry_after`].
    pub(crate) fn on_refused(
        &mut self,
        refusal: Refusal,
        retry_after: Option<Duration>,
        jitter: f64,
        now: Instant,
    ) -> PaymentDecision {
        let since = match self.phase {
            SchedulePhase::Asked { since } | SchedulePhase::Refreshing { since } => since,
            SchedulePhase::Waiting { .. } => now,
            SchedulePhase::Over => return PaymentDecision::NotYet,
        };
        match refusal {
            Refusal::BadRequest => self.end(PaymentDecision::Fail),
            Refusal::PriceTooHigh => self.end(PaymentDecision::Leave),
            Refusal::Expired if self.refreshes >= REFRESHES => self.end(PaymentDecision::Leave),
            Refusal::Expired => {
                self.refreshes += 1;
                self.phase = SchedulePhase::Refreshing { since };
                PaymentDecision::Refresh
            }
            Refusal::NoTicketNeeded => {
                self.settle(now);
                PaymentDecision::Skip
            }
            Refusal::Down
            | Refusal::Limited
            | Refusal::NoBalance
            | Refusal::Strange
            | Refusal::Credential => {
                let pause = retry_after.unwrap_or_else(|| self.down.on_failure(jitter));
                self.wait(now + pause)
            }
        }
    }

    /// Call this when fresh terms arrived. A payment that the signer refused is requested again. A payment that the
    /// orchestrator refused is not requested again: the signer has counted it, and the orchestrator may have taken part
    /// of it.
    pub(crate) fn on_refreshed(&mut self, now: Instant) -> PaymentDecision {
        match self.phase {
            SchedulePhase::Refreshing { since }
                if self.signed.is_some_and(|signed| signed >= since) =>
            {
                self.phase = SchedulePhase::Waiting { next: self.next(since).max(now) };
                PaymentDecision::NotYet
            }
            SchedulePhase::Refreshing { since } => self.pay(since, now),
            SchedulePhase::Waiting { .. } | SchedulePhase::Asked { .. } | SchedulePhase::Over => {
                PaymentDecision::NotYet
            }
        }
    }

    /// Call this when the orchestrator gave no fresh terms.
    pub(crate) fn on_refresh_failed(&mut self, jitter: f64, now: Instant) -> PaymentDecision {
        let pause = self.down.on_failure(jitter);
        self.wait(now + pause)
    }

    /// When to call [`PaymentSchedule::on_tick`] again; `None` if only an event can change anything.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            SchedulePhase::Waiting { next } if self.paid_until.is_none() => Some(next),
            SchedulePhase::Waiting { next } => {
                self.media_until.filter(|until| next < *until).map(|_| next)
            }
            SchedulePhase::Asked { .. }
            | SchedulePhase::Refreshing { .. }
            | SchedulePhase::Over => None,
        }
    }

    /// The time from `now` that is paid ahead; `None` for a kind that is paid only once.
    pub(crate) fn paid_for(&self, now: Instant) -> Option<Duration> {
        self.kind.preload()?;
        Some(self.paid_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now)))
    }

    /// Schedules the next payment an interval after this one was due, because no payment is needed now.
    fn settle(&mut self, now: Instant) {
        self.refreshes = 0;
        self.down.on_success();
        let since = match self.phase {
            SchedulePhase::Asked { since } | SchedulePhase::Refreshing { since } => since,
            SchedulePhase::Waiting { .. } => now,
            SchedulePhase::Over => return,
        };
        self.phase = SchedulePhase::Waiting { next: self.next(since).max(now) };
    }

    /// The time for the payment after the one that was due at `since`.
    fn next(&self, since: Instant) -> Instant {
        let aimed = self.timing.after(self.interval.as_secs());
        aimed.filter(|_| self.kind.is_in_whole_seconds()).unwrap_or(since + self.interval)
    }

    /// Makes the payment that was due at `since`: now, or a little later if whole seconds are billed.
    fn pay(&mut self, since: Instant, now: Instant) -> PaymentDecision {
        let best = if self.kind.is_in_whole_seconds() { self.timing.next(now) } else { now };
        if best > now {
            return self.wait(best);
        }
        self.phase = SchedulePhase::Asked { since };
        PaymentDecision::Pay
    }

    fn wait(&mut self, next: Instant) -> PaymentDecision {
        if !matches!(self.phase, SchedulePhase::Over) {
            self.phase = SchedulePhase::Waiting { next };
        }
        PaymentDecision::NotYet
    }

    fn end(&mut self, decision: PaymentDecision) -> PaymentDecision {
        self.phase = SchedulePhase::Over;
        decision
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [PaymentKind; 3] = [PaymentKind::Lv2v, PaymentKind::Live, PaymentKind::Fixed];

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The time from one payment to the next.
    fn turn(kind: PaymentKind) -> Duration {
        let below = if kind == PaymentKind::Live { 25 } else { 0 };
        INTERVAL - Duration::from_millis(below)
    }

    /// Checks that the schedule pays at `at`, or within a second of it if whole seconds are billed.
    #[track_caller]
    fn pays_from(schedule: &mut PaymentSchedule, at: Instant) {
        if schedule.on_media(at) == PaymentDecision::NotYet {
            let aimed = schedule.poll_timeout().expect("a time");
            assert!(schedule.kind == PaymentKind::Live && aimed > at && aimed < at + seconds(1));
            assert_eq!(schedule.on_tick(aimed), PaymentDecision::Pay);
        }
    }

    /// A schedule whose first payment is due at `now`; with `later`, a schedule whose second payment is due.
    fn asked(kind: PaymentKind, later: bool, now: Instant) -> (PaymentSchedule, Instant) {
        let mut schedule = PaymentSchedule::new(kind, None, now);
        assert_eq!(schedule.on_tick(now), PaymentDecision::Pay);
        if !later {
            return (schedule, now);
        }
        schedule.on_signed(PaidPeriod::Ahead, now, now);
        schedule.on_paid(now);
        let now = now + turn(kind);
        assert_eq!(schedule.on_media(now), PaymentDecision::Pay);
        (schedule, now)
    }

    /// Checks the decision after a status, for the first payment and for a later one, of every kind. `pause` is the
    /// time until `poll_timeout`, in ms; `None` for never.
    #[track_caller]
    fn check(status: u16, retry_after: Option<u64>, expected: PaymentDecision, pause: Option<u64>) {
        for kind in KINDS {
            for later in [false, true] {
                if later && kind.preload().is_none() {
                    continue;
                }
                let (mut schedule, now) = asked(kind, later, Instant::now());
                let after = retry_after.map(seconds);
                let decision = schedule.on_refused(Refusal::of_status(status), after, 1.0, now);
                assert_eq!(decision, expected, "{status} {kind:?} later: {later}");
                let expected = pause.map(|ms| now + Duration::from_millis(ms));
                assert_eq!(schedule.poll_timeout(), expected, "{status} {kind:?} later: {later}");
                assert_eq!(schedule.on_tick(now), PaymentDecision::NotYet, "no hot loop");
                if let Some(at) = expected {
                    assert_eq!(schedule.on_media(at - seconds(1) / 1000), PaymentDecision::NotYet);
                    pays_from(&mut schedule, at);
                }
            }
        }
    }

    #[test]
    fn each_status_leads_to_its_decision() {
        check(400, None, PaymentDecision::Fail, None);
        check(481, None, PaymentDecision::Leave, None);
        check(480, None, PaymentDecision::Refresh, None);
        for status in [401, 402, 403, 404, 429, 483, 500, 503] {
            check(status, Some(3), PaymentDecision::NotYet, Some(3000));
            check(status, None, PaymentDecision::NotYet, Some(1000));
        }
    }

    #[test]
    fn media_does_not_shorten_a_long_pause() {
        for later in [false, true] {
            let (mut schedule, now) = asked(PaymentKind::Lv2v, later, Instant::now());
            let pause = Some(seconds(660));
            let _ = schedule.on_refused(Refusal::Limited, pause, 1.0, now);
            let due = now + seconds(660);
            assert_eq!(schedule.on_media(due - seconds(1)), PaymentDecision::NotYet);
            assert_eq!(schedule.poll_timeout(), Some(due));
            assert_eq!(schedule.on_tick(due), PaymentDecision::Pay);
        }
    }

    #[test]
    fn an_orchestrator_that_stays_down_is_tried_less_often_up_to_a_limit() {
        let (mut schedule, mut now) = asked(PaymentKind::Lv2v, false, Instant::now());
        for pause in [1, 2, 4, 8, 10, 10, 10] {
            let _ = schedule.on_refused(Refusal::Down, None, 1.0, now);
            assert_eq!(schedule.poll_timeout(), Some(now + seconds(pause)));
            now += seconds(pause);
            assert_eq!(schedule.on_tick(now), PaymentDecision::Pay);
        }
    }

    #[test]
    fn expired_terms_are_refreshed_three_times_in_a_row_and_not_four() {
        for later in [false, true] {
            let (mut schedule, now) = asked(PaymentKind::Lv2v, later, Instant::now());
            for _ in 0..3 {
                let decision = schedule.on_refused(Refusal::Expired, None, 0.5, now);
                assert_eq!(decision, PaymentDecision::Refresh);
                assert_eq!(schedule.on_refreshed(now), PaymentDecision::Pay);
            }
            let decision = schedule.on_refused(Refusal::Expired, None, 0.5, now);
            assert_eq!((decision, schedule.poll_timeout()), (PaymentDecision::Leave, None));
        }
    }

    #[test]
    fn a_payment_resets_the_count_of_refreshes() {
        let (mut schedule, mut now) = asked(PaymentKind::Lv2v, false, Instant::now());
        for _ in 0..10 {
            let decision = schedule.on_refused(Refusal::Expired, None, 0.5, now);
            assert_eq!(decision, PaymentDecision::Refresh);
            assert_eq!(schedule.on_refreshed(now), PaymentDecision::Pay);
            schedule.on_signed(PaidPeriod::SinceLast, now, now);
            schedule.on_paid(now);
            now += INTERVAL;
            assert_eq!(schedule.on_media(now), PaymentDecision::Pay);
        }
    }

    #[test]
    fn a_refresh_that_fails_is_tried_again_later() {
        let (mut schedule, now) = asked(PaymentKind::Lv2v, false, Instant::now());
        let _ = schedule.on_refused(Refusal::Expired, None, 1.0, now);
        assert_eq!(schedule.on_refresh_failed(1.0, now), PaymentDecision::NotYet);
        assert_eq!(schedule.poll_timeout(), Some(now + seconds(1)));
        assert_eq!(
            schedule.on_refreshed(now),
            PaymentDecision::NotYet,
            "no payment waits for fresh terms"
        );
    }

    #[test]
    fn payments_stop_and_resume_with_media() {
        let start = Instant::now();
        let mut schedule = PaymentSchedule::new(PaymentKind::Lv2v, None, start);
        assert_eq!(schedule.on_tick(start), PaymentDecision::Pay);
        schedule.on_signed(PaidPeriod::Ahead, start, start);
        schedule.on_paid(start);
        assert_eq!(schedule.poll_timeout(), None, "no media yet");
        assert_eq!(schedule.on_tick(start + seconds(30)), PaymentDecision::NotYet);
        assert_eq!(schedule.on_media(start + seconds(31)), PaymentDecision::Pay);
        schedule.on_signed(PaidPeriod::SinceLast, start + seconds(31), start + seconds(31));
        schedule.on_paid(start + seconds(31));
        assert_eq!(schedule.poll_timeout(), Some(start + seconds(36)));
        assert_eq!(schedule.on_tick(start + seconds(31) + MEDIA_QUIET), PaymentDecision::NotYet);
    }

    #[test]
    fn only_one_payment_is_in_progress() {
        let (mut schedule, now) = asked(PaymentKind::Live, false, Instant::now());
        for later in [0, 1, 10, 1000] {
            assert_eq!(schedule.on_media(now + seconds(later)), PaymentDecision::NotYet);
            assert_eq!(schedule.poll_timeout(), None);
        }
    }

    #[test]
    fn a_single_payment_ends_the_schedule() {
        for kind in [PaymentKind::Fixed, PaymentKind::Pixels(7.try_into().expect("not zero"))] {
            let (mut schedule, now) = asked(kind, false, Instant::now());
            schedule.on_signed(PaidPeriod::Ahead, now, now);
            schedule.on_paid(now);
            assert_eq!(schedule.on_media(now + seconds(100)), PaymentDecision::NotYet);
            assert_eq!((schedule.poll_timeout(), schedule.paid_for(now)), (None, None));
        }
    }

    #[test]
    fn the_paid_time_is_the_prepaid_time_plus_the_time_that_passed() {
        for (kind, preload) in [(PaymentKind::Lv2v, 60), (PaymentKind::Live, 10)] {
            let start = Instant::now();
            let (mut schedule, mut now) = asked(kind, false, start);
            assert_eq!(schedule.paid_for(now), Some(Duration::ZERO));
            schedule.on_signed(PaidPeriod::Ahead, now, now);
            schedule.on_paid(now);
            for nth in 0..720 {
                let paid = seconds(preload) + (INTERVAL - turn(kind)) * nth;
                assert_eq!(schedule.paid_for(now), Some(paid));
                now += turn(kind);
                assert_eq!(schedule.on_media(now), PaymentDecision::Pay);
                assert_eq!(schedule.paid_for(now), Some(paid - turn(kind)));
                schedule.on_signed(PaidPeriod::SinceLast, now, now);
                schedule.on_paid(now);
            }
            assert_eq!(now, start + turn(kind) * 720, "an hour");
            // The signer is down: prepaid time falls to zero and stays there.
            let left = schedule.paid_for(now).unwrap();
            assert_eq!(schedule.paid_for(now + left - seconds(1)), Some(seconds(1)));
            assert_eq!(schedule.paid_for(now + seconds(600)), Some(Duration::ZERO));
        }
    }

    #[test]
    fn a_payment_that_is_not_needed_is_skipped_until_the_next_interval() {
        for kind in [PaymentKind::Lv2v, PaymentKind::Live] {
            let (mut schedule, now) = asked(kind, true, Instant::now());
            assert_eq!(
                schedule.on_refused(Refusal::NoTicketNeeded, None, 1.0, now),
                PaymentDecision::Skip
            );
            pays_from(&mut schedule, now + INTERVAL);
        }
    }

    #[test]
    fn payments_in_whole_seconds_stay_just_below_a_second_after_any_event() {
        let start = Instant::now();
        let (mut schedule, mut now) = asked(PaymentKind::Live, false, start);
        schedule.on_signed(PaidPeriod::Ahead, now, now);
        schedule.on_paid(now);
        for ms in [5000, 7300, 12_800, 5001, 40_000, 60_020] {
            let from = now + Duration::from_millis(ms);
            let mut at = from;
            while schedule.on_media(at) != PaymentDecision::Pay {
                at = schedule.poll_timeout().expect("a time");
            }
            let part = (at - now).subsec_millis();
            assert!((975..=988).contains(&part), "{ms}: {:?}", at - now);
            assert!(at - from < seconds(1), "{ms}");
            schedule.on_signed(PaidPeriod::SinceLast, at, at);
            schedule.on_paid(at);
            now = at;
        }
    }

    #[test]
    fn a_payment_that_the_orchestrator_refused_is_not_made_again() {
        let (mut schedule, now) = asked(PaymentKind::Lv2v, true, Instant::now());
        schedule.on_signed(PaidPeriod::SinceLast, now, now);
        schedule.on_lost();
        assert_eq!(schedule.on_refused(Refusal::Expired, None, 0.5, now), PaymentDecision::Refresh);
        assert_eq!(schedule.on_refreshed(now), PaymentDecision::NotYet);
        assert_eq!(schedule.poll_timeout(), Some(now + INTERVAL));
    }

    #[test]
    fn the_next_payment_covers_a_skipped_one() {
        let start = Instant::now();
        let (mut schedule, mut now) = asked(PaymentKind::Lv2v, true, start);
        assert_eq!(
            schedule.on_refused(Refusal::NoTicketNeeded, None, 0.5, now),
            PaymentDecision::Skip
        );
        now += INTERVAL;
        assert_eq!(schedule.paid_for(now), Some(seconds(50)));
        assert_eq!(schedule.on_media(now), PaymentDecision::Pay);
        schedule.on_signed(PaidPeriod::SinceLast, now, now);
        schedule.on_paid(now);
        assert_eq!(schedule.paid_for(now), Some(seconds(60)));
    }

    #[test]
    fn only_payments_that_arrived_count() {
        for (lost, expected) in [(true, 55), (false, 60)] {
            let (mut schedule, now) = asked(PaymentKind::Lv2v, true, Instant::now());
            schedule.on_signed(PaidPeriod::SinceLast, now, now);
            if lost {
                schedule.on_lost();
            }
            assert_eq!(schedule.on_refused(Refusal::Down, None, 1.0, now), PaymentDecision::NotYet);
            let now = now + seconds(5);
            assert_eq!(schedule.on_media(now), PaymentDecision::Pay);
            schedule.on_signed(PaidPeriod::SinceLast, now, now);
            schedule.on_paid(now);
            assert_eq!(schedule.paid_for(now), Some(seconds(expected)));
        }
    }

    #[test]
    fn a_reopened_session_is_paid_ahead_again() {
        let (mut schedule, now) = asked(PaymentKind::Live, true, Instant::now());
        schedule.on_signed(PaidPeriod::Ahead, now, now);
        schedule.on_paid(now);
        assert_eq!(schedule.paid_for(now), Some(seconds(20) - turn(PaymentKind::Live)));
    }

    #[test]
    fn the_challenges_interval_is_kept_without_drift() {
        let start = Instant::now();
        let interval = seconds(2);
        let mut schedule = PaymentSchedule::new(PaymentKind::Lv2v, Some(interval), start);
        assert_eq!(schedule.on_tick(start), PaymentDecision::Pay);
        schedule.on_signed(PaidPeriod::Ahead, start, start);
        schedule.on_paid(start + seconds(1));
        assert_eq!(schedule.on_media(start + interval), PaymentDecision::Pay);
        // After a payment that takes longer than the interval, the next one follows at once.
        schedule.on_signed(PaidPeriod::SinceLast, start + seconds(9), start + seconds(9));
        schedule.on_paid(start + seconds(9));
        assert_eq!(schedule.on_media(start + seconds(9)), PaymentDecision::Pay);
    }

    #[test]
    fn no_order_of_events_panics_or_pays_twice_at_once() {
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = move |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        for round in 0..2000 {
            let mut now = Instant::now();
            let mut schedule = PaymentSchedule::new(KINDS[round % 3], None, now);
            let mut asked = false;
            for _ in 0..60 {
                now += Duration::from_millis(next(20_000));
                let status =
                    [400, 401, 402, 429, 480, 481, 482, 483, 500, 503, 999][next(11) as usize];
                let decision = match next(8) {
                    0 | 1 => schedule.on_tick(now),
                    2 | 3 => schedule.on_media(now),
                    4 => {
                        schedule.on_signed(PaidPeriod::SinceLast, now, now);
                        schedule.on_paid(now);
                        asked = false;
                        PaymentDecision::NotYet
                    }
                    5 => schedule.on_refresh_failed(0.3, now),
                    6 => schedule.on_refused(Refusal::of_status(status), None, 0.3, now),
                    _ => schedule.on_refreshed(now),
                };
                if decision == PaymentDecision::Pay {
                    assert!(!asked, "round {round}: asked twice");
                }
                asked = matches!(schedule.phase, SchedulePhase::Asked { .. });
                let _ = (schedule.poll_timeout(), schedule.paid_for(now));
            }
        }
    }
}
