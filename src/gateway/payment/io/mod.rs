//! Sockets of payments: the signers, and the orchestrator that is paid.
//!
//! Does not: decide; the pure files beside it do.

mod asking;
mod fresh;
mod payer;
mod signers;
#[cfg(test)]
mod tests;

use ring::rand::{SecureRandom, SystemRandom};

pub use fresh::{RefreshError, TermsFuture, TermsRefresh, TermsSource};
pub use payer::{Payer, PayerEvent, PayerReport, PaymentOutcome};
pub use signers::{SignedPayment, SignerOptions, Signers};

/// A number from 0 to 1.
fn random_jitter() -> f64 {
    let mut byte = [0_u8];
    match SystemRandom::new().fill(&mut byte) {
        Ok(()) => byte.iter().map(|byte| f64::from(*byte) / 255.0).sum(),
        Err(_) => 0.5,
    }
}
