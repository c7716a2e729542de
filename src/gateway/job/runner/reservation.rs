//! Decides what to do after each answer of a runner to a request that may have to be paid first.
//!
//! ```text
//!            402, 480              payment made
//!   Bare ────────────▶ Challenged ────────────▶ Paying ──2xx──▶ accepted
//!    │ ▲                    │                     │ │
//!    │ └──signer 480────────┘                     │ └ 402: its challenge is a fresh one
//!    │ └─────────────────────480──────────────────┘
//!    │ 2xx: accepted, free of charge              at most 3 fresh challenges in all
//! ```
//!
//! | answer of the runner | means | next |
//! |---|---|---|
//! | 2xx | accepted | continue |
//! | 402 | a challenge | pay it |
//! | 480 | the terms have expired | ask again without payment for a fresh challenge |
//! | 503, 409, 404 | no capacity, in use, gone | next runner |
//! | 481, 403, 400, others | refused | next runner |
//!
//! Does not: call the runner or the signer; `io` does. `payment` interprets the signer's answers.

/// The maximum number of challenges after the first one (protocol.md, sections 4 and 6).
const FRESH_CHALLENGES: u8 = 3;

/// What the caller must do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum ReservationStep {
    /// Continue: the runner granted the request.
    Accepted,
    /// The body is a challenge: have the signer answer it, and repeat the request with the payment.
    Pay,
    /// Repeat the request without a payment, to get a fresh challenge.
    AskAgain,
    /// Leave this runner: it refused the request.
    Refused,
    /// Leave this runner: the payment took too many challenges.
    NoEnd,
}

/// The state of a request to one runner, which is repeated until the runner accepts or refuses it.
#[derive(Debug, Default)]
pub(crate) struct Reservation {
    fresh: u8,
    has_paid: bool,
}

impl Reservation {
    /// Call this with the status of each answer of the runner.
    pub(crate) fn on_answer(&mut self, status: u16) -> ReservationStep {
        match status {
            200..=299 => ReservationStep::Accepted,
            402 if self.has_paid => self.again(ReservationStep::Pay),
            402 => ReservationStep::Pay,
            480 => self.again(ReservationStep::AskAgain),
            _ => ReservationStep::Refused,
        }
    }

    /// Call this when the signer made a payment for the challenge.
    pub(crate) fn on_payment(&mut self) {
        self.has_paid = true;
    }

    /// Call this when the signer says that the challenge has expired.
    pub(crate) fn on_expired(&mut self) -> ReservationStep {
        self.again(ReservationStep::AskAgain)
    }

    fn again(&mut self, next: ReservationStep) -> ReservationStep {
        if self.fresh >= FRESH_CHALLENGES {
            return ReservationStep::NoEnd;
        }
        self.fresh += 1;
        self.has_paid = false;
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, bare: ReservationStep, paid: ReservationStep) {
        let mut reservation = Reservation::default();
        assert_eq!(reservation.on_answer(status), bare, "{status} to the first call");
        let mut reservation = Reservation::default();
        assert_eq!(reservation.on_answer(402), ReservationStep::Pay);
        reservation.on_payment();
        assert_eq!(reservation.on_answer(status), paid, "{status} to a payment");
    }

    #[test]
    fn each_status_leads_to_its_step() {
        use ReservationStep::{Accepted, AskAgain, Pay, Refused};
        for status in [200, 201, 204] {
            check(status, Accepted, Accepted);
        }
        check(402, Pay, Pay);
        check(480, AskAgain, AskAgain);
        for status in [301, 400, 401, 403, 404, 409, 429, 481, 482, 483, 500, 502, 503] {
            check(status, Refused, Refused);
        }
    }

    #[test]
    fn three_fresh_challenges_are_allowed() {
        let mut reservation = Reservation::default();
        for _ in 0..3 {
            assert_eq!(reservation.on_answer(402), ReservationStep::Pay);
            assert_eq!(reservation.on_expired(), ReservationStep::AskAgain);
        }
        assert_eq!(reservation.on_answer(402), ReservationStep::Pay);
        assert_eq!(reservation.on_expired(), ReservationStep::NoEnd);
    }

    #[test]
    fn a_runner_with_too_many_challenges_is_left() {
        let mut reservation = Reservation::default();
        for _ in 0..4 {
            assert_eq!(reservation.on_answer(402), ReservationStep::Pay);
            reservation.on_payment();
        }
        assert_eq!(reservation.on_answer(402), ReservationStep::NoEnd);
        let mut reservation = Reservation::default();
        for _ in 0..3 {
            assert_eq!(reservation.on_answer(480), ReservationStep::AskAgain);
        }
        assert_eq!(reservation.on_answer(480), ReservationStep::NoEnd);
    }
}
