//! Sockets of payments: the signers, and the orchestrator that is paid.
//!
//! Does not: decide; the pure files beside it do.

mod payer;
mod signers;
#[cfg(test)]
mod tests;

pub use payer::{FreshTerms, Outcome, Payer, Told, Turn};
pub use signers::{SignerOptions, Signers};
