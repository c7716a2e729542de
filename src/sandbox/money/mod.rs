//! Money in the sandbox: what it costs, what a payment is worth, and who has paid for what.
//!
//! ```text
//!   TicketIssuer::terms ──▶ (info) ──▶ gateway ──▶ signer ──▶ gateway ──▶ (headers) ──▶ credentials, TicketIssuer::check
//!                                                                                     │ wei
//!                                          time ──▶ Ledger::debit ◀── Ledger::credit ◀┘
//!                                                        │
//!                                                        ▼ accounts that are used up: their jobs end
//! ```
//!
//! All of it is pure; the clock and the channels are the world's.
//!
//! | as the real one does | where (go-livepeer) |
//! |---|---|
//! | ticket parameters are for one sender and one price | `pm/recipient.go:355` |
//! | they take 600 nonces, each once | `pm/recipient.go:26`, `:369` |
//! | tickets count one by one, up to the first that is wrong | `core/orchestrator.go:175` |
//! | the answer to a payment has the price of now, and not the job's | `server/segment_rpc.go:251` |
//! | `/refresh-payment` has the job's price, for as long as it is known | `server/rpc.go:454` |
//! | a job costs what its first payment says, whatever is paid later | `server/ai_http.go:1094` |
//!
//! Does not: use a blockchain, and is worth nothing.

pub(crate) mod credentials;
pub(crate) mod key;
mod ledger;
mod rate;
mod ticket_issuer;
pub(crate) mod wire;

pub use ledger::{Account, Ledger, RefusedCall};
pub(crate) use rate::{Rate, fee, pixels};
pub(crate) use ticket_issuer::TicketIssuer;
