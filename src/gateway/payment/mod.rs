//! Payments of one session: requests to the remote signer, their timing, and the meaning of the signer's responses.
//!
//! ```text
//!              schedule: when?          session: what?             io: over sockets
//!  media ───▶ Pay ──────────────▶ request (terms, state) ───▶ POST signer /generate-live-payment
//!                                 new state ◀──────────────── payment
//!             on_paid ◀───────────────────────────────────── POST orchestrator /payment
//!             refresh ──────────▶ new terms ◀──────────────── POST orchestrator /refresh-payment
//! ```
//!
//! Each signer has a gate (a circuit breaker): while the signer is down or refuses all requests, no request is sent.
//!
//! Each payment is counted on disk before it is sent, and none is asked for once the budget is spent (`budget`).
//!
//! Keys stay with the signer. An `OrchestratorInfo` and the signer's tickets are forwarded byte for byte, and the
//! signer's `state` is returned to it unchanged and in order.
//!
//! Does not: know video, or fetch an `OrchestratorInfo`; the owner passes fresh terms in.

mod challenge;
mod error;
mod gate;
pub mod io;
mod kind;
mod message;
mod retry_after;
mod schedule;
mod session;
mod spent;
mod timing;
mod wire;

pub use challenge::Challenge;
pub use error::{PaymentError, Refusal};
pub use kind::PaymentKind;
pub use message::clean;
pub use schedule::{PaidPeriod, PaymentDecision, PaymentSchedule};
pub use session::{AfterRefusal, OutgoingPayment, PaymentSession, SessionOptions, SignerOrigin};
pub use spent::{Spent, Total};
pub use wire::{Payment, PaymentHeaders, PaymentRequest, Signature, SignerState, Terms, WireError};
