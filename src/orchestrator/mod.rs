//! What an orchestrator says on the wire: its info, what it offers, whether its certificate is believed.
//!
//! Does not: start jobs or choose among orchestrators.

pub mod io;
pub mod proto;
mod trust;

pub use trust::{Judgement, OnChange, Policy, Trust, TrustOptions};
