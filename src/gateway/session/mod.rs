//! One orchestrator: its info, its trust, its credentials. Enough for every kind of job.
//!
//! ```text
//! candidate URL ──open()──▶ OrchestratorSession ──post_json("/live-video-to-video")──▶ job
//!                             │ info: bytes as they came
//!                             │ payer: pays for it as long as media flows
//!                             └ transcoder: base URL of all HTTP calls
//! ```
//!
//! Does not: choose among orchestrators or start jobs.

mod error;
mod io;
pub mod selection;

pub use error::SessionError;
pub use io::{Network, NetworkOptions, OrchestratorSession, PaymentSetup};
