//! Calls of payments: to the signers, and to the orchestrator that is paid.
//!
//! Does not: decide; the pure files of `payment` do.

mod fresh;
mod payer;
mod signer_pool;
mod signers;
#[cfg(test)]
mod tests;

pub use fresh::{RefreshError, TermsFuture, TermsRefresh, TermsSource};
pub use payer::{Payer, PayerEvent, PayerReport, PaymentOutcome};
pub use signers::{SignedPayment, SignerOptions, Signers};
