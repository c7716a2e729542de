//! A session with one orchestrator: its `OrchestratorInfo`, its payments, and calls to it. Jobs of every kind use a
//! session.
//!
//! ```text
//! candidate URL ──open()──▶ OrchestratorSession ──post_json("/live-video-to-video")──▶ job
//!                             │ OrchestratorInfo: as received
//!                             │ payer: pays for the job while media flows
//!                             └ transcoder: base URL of all HTTP calls
//! ```
//!
//! Does not: choose among orchestrators or start jobs.

mod error;
mod io;
pub mod selection;

pub use error::SessionError;
pub use io::{Network, NetworkOptions, OrchestratorSession, PaymentSetup};
