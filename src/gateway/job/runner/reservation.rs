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
//! | 2xx | accepted | go on |
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
pub(crate) enum Next {
    /// Go on: the runner granted the request.
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
    pub(crate) fn on_answer(&mut self, status: u16) -> Next {
        match status {
            200..=299 => Next::Accepted,
            402 if self.has_paid => self.again(Next::Pay),
            402 => Next::Pay,
            480 => self.again(Next::AskAgain),
            _ => Next::Refused,
        }
    }

    /// Call this when the signer made a payment for the challenge.
    pub(crate) fn on_payment(&mut self) {
        self.has_paid = true;
    }

    /// Call this when the signer says that the challenge has expired.
    pub(crate) fn on_expired(&mut self) -> Next {
        self.again(Next::AskAgain)
    }

    fn again(&mut self, next: Next) -> Next {
        if self.fresh >= FRESH_CHALLENGES {
            return Next::NoEnd;
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
    fn check(status: u16, bare: Next, paid: Next) {
        let mut reservation = Reservation::default();
        assert_eq!(reservation.on_answer(status), bare, "{status} to the first call");
        let mut reservation = Reservation::default();
        assert_eq!(reservation.on_answer(402), Next::Pay);
        reservation.on_payment();
        assert_eq!(reservation.on_answer(status), paid, "{status} to a payment");
    }

    #[test]
    fn every_status_has_its_meaning() {
        use Next::{Accepted, AskAgain, Pay, Refused};
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
    fn the_signer_may_want_three_fresh_challenges() {
        let mut reservation = Reservation::default();
        for _ in 0..3 {
            assert_eq!(reservation.on_answer(402), Next::Pay);
            assert_eq!(reservation.on_expired(), Next::AskAgain);
        }
        assert_eq!(reservation.on_answer(402), Next::Pay);
        assert_eq!(reservation.on_expired(), Next::NoEnd);
    }

    #[test]
    fn challenges_without_end_are_left() {
        let mut reservation = Reservation::default();
        for _ in 0..4 {
            assert_eq!(reservation.on_answer(402), Next::Pay);
            reservation.on_payment();
        }
        assert_eq!(reservation.on_answer(402), Next::NoEnd);
        let mut reservation = Reservation::default();
        for _ in 0..3 {
            assert_eq!(reservation.on_answer(480), Next::AskAgain);
        }
        assert_eq!(reservation.on_answer(480), Next::NoEnd);
    }
}
