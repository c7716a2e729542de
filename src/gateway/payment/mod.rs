//! The payments of one session: what is asked of the remote signer, when, and what its answers mean.
//!
//! ```text
//!              schedule: when?          session: what?             io: over sockets
//!  media ───▶ Pay ──────────────▶ request (terms, state) ───▶ POST signer /generate-live-payment
//!                                 new state ◀──────────────── payment
//!             on_paid ◀───────────────────────────────────── POST orchestrator /payment
//!             refresh ──────────▶ new terms ◀──────────────── POST orchestrator /refresh-payment
//! ```
//!
//! Each signer has a gate: while it is down, or refuses all, nobody asks it.
//!
//! Keys stay with the signer. An `OrchestratorInfo` and the signer's tickets go on byte for byte, whatever is read
//! in them on the way, and the signer's `state` goes back as it came, in order.
//!
//! Does not: know video, or fetch infos from orchestrators; its owner hands fresh terms in.

mod aim;
mod challenge;
mod error;
mod gate;
pub mod io;
mod kind;
mod message;
mod retry_after;
mod schedule;
mod session;
mod wire;

pub use challenge::Challenge;
pub use error::{PaymentError, Refusal};
pub use kind::PaymentKind;
pub use message::clean;
pub use schedule::{PaidPeriod, PaymentDecision, PaymentSchedule};
pub use session::{AfterRefusal, OutgoingPayment, PaymentSession, SessionOptions, SignerOrigin};
pub use wire::{Payment, PaymentHeaders, PaymentRequest, Signature, SignerState, Terms, WireError};
