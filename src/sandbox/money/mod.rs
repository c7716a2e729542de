//! Money in the sandbox: what it costs, what a payment is worth, and who has paid for what.
//!
//! ```text
//!   Till::terms ──▶ (info) ──▶ gateway ──▶ signer ──▶ gateway ──▶ (headers) ──▶ credentials, Till::check
//!                                                                                     │ wei
//!                                          time ──▶ Ledger::debit ◀── Ledger::credit ◀┘
//!                                                        │
//!                                                        ▼ accounts that are used up: their jobs end
//! ```
//!
//! All of it is pure; the clock and the channels are the world's.
//!
//! Does not: use a blockchain, and is worth nothing.

pub(crate) mod credentials;
pub(crate) mod key;
mod ledger;
mod rate;
mod till;
pub(crate) mod wire;

pub use ledger::{Account, Ledger, Refused};
pub(crate) use rate::{Rate, fee, pixels};
pub(crate) use till::Till;
