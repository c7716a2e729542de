//! `sandbox`: an orchestrator alone, for people who build against it.
//!
//! Does not: exist yet.

use std::net::SocketAddr;

use super::Error;
use crate::stop::Stop;

/// Runs until `stop`.
#[expect(clippy::unused_async, reason = "not written yet")]
pub async fn run(_listen: SocketAddr, _stop: Stop) -> Result<(), Error> {
    Err(Error::Unwritten("sandbox"))
}
