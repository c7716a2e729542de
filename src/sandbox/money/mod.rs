//! Simulated money: prices, the value of payments, and the accounts of jobs.
//!
//! ```text
//!   TicketIssuer::terms ──▶ (info) ──▶ gateway ──▶ signer ──▶ gateway ──▶ (headers) ──▶ credentials, TicketIssuer::check
//!                                                                                     │ wei
//!                                          time ──▶ Ledger::debit ◀── Ledger::credit ◀┘
//!                                                        │
//!                                                        ▼ ends the jobs whose account has no balance
//! ```
//!
//! The module is pure; `world` has the clock and the channels.
//!
//! | copied behaviour | source (go-livepeer) |
//! |---|---|
//! | ticket parameters are valid for one sender and one price | `pm/recipient.go:355` |
//! | ticket parameters accept 600 nonces, each once | `pm/recipient.go:26`, `:369` |
//! | tickets are credited up to the first invalid one | `core/orchestrator.go:175` |
//! | the answer to a payment has the present price, not the job's | `server/segment_rpc.go:251` |
//! | `/refresh-payment` has the job's price, as long as the account is kept | `server/rpc.go:454` |
//! | a job costs the price of its first payment | `server/ai_http.go:1094` |
//!
//! Does not: use a blockchain; its money has no value.

pub(crate) mod credentials;
pub(crate) mod key;
mod ledger;
mod rate;
mod ticket_issuer;
pub(crate) mod wire;

pub use ledger::{Account, Ledger, RefusedCall};
pub(crate) use rate::{Rate, fee, pixels};
pub(crate) use ticket_issuer::TicketIssuer;
