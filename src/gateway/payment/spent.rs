//! Counts the payments that signers have made, and what they are worth.
//!
//! A payment counts when it is signed, whether it arrives or not. A ticket is worth its face value times its chance to
//! win, which is what it costs the payer on average.
//!
//! Does not: know what was drawn from the payer's deposit; only winning tickets are drawn from it.

use std::sync::{Mutex, PoisonError};

/// The payments of all jobs, shared between the signers and readers.
#[derive(Debug, Default)]
pub struct Spent(Mutex<Total>);

/// A number of payments, and what they are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Total {
    /// Payments.
    pub payments: u64,
    /// The expected value of their tickets in wei.
    pub wei: u128,
}

impl Spent {
    /// Counts a payment whose tickets are worth `wei`.
    pub(crate) fn add(&self, wei: u128) {
        let mut total = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        total.payments += 1;
        total.wei = total.wei.saturating_add(wei);
    }

    /// What was counted so far.
    pub fn total(&self) -> Total {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The expected value of `tickets` tickets in wei, from the big-endian bytes of their face value and of their chance
/// to win, which counts in 2^-256. Rounded down.
pub(super) fn expected_value(tickets: usize, face_value: &[u8], win_prob: &[u8]) -> u128 {
    // A conversion to an integer saturates.
    (tickets as f64 * number(face_value) * (number(win_prob) / 256_f64.powi(32))) as u128
}

/// A big-endian number of at most 32 bytes; 0 for a longer one.
fn number(bytes: &[u8]) -> f64 {
    let bytes = if bytes.len() > 32 { &[] } else { bytes };
    bytes.iter().fold(0.0, |number, byte| number * 256.0 + f64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_worth_its_face_value_times_its_chance() {
        #[track_caller]
        fn check(tickets: usize, face_value: &[u8], win_prob: &[u8], expected: u128) {
            assert_eq!(expected_value(tickets, face_value, win_prob), expected);
        }
        let half = [&[0x80][..], &[0; 31]].concat();
        check(1, &[0x01, 0x00], &half, 128);
        check(3, &[0x01, 0x00], &half, 384);
        check(0, &[0xff], &half, 0);
        check(1, &[], &half, 0);
        check(1, &[1], &[1], 0);
        check(1, &[0xff; 32], &[0xff; 32], u128::MAX);
        check(1, &[0xff; 33], &[0xff; 32], 0);
    }

    #[test]
    fn payments_add_up() {
        let spent = Spent::default();
        spent.add(5);
        spent.add(u128::MAX);
        assert_eq!(spent.total(), Total { payments: 2, wei: u128::MAX });
    }
}
