//! `sandbox`: an orchestrator alone, for people who build against it.
//!
//! Does not: exist yet.

use std::net::SocketAddr;

use super::{Error, Shutdown};

/// Runs until `shutdown`.
#[expect(clippy::unused_async, reason = "not written yet")]
pub async fn run(_listen: SocketAddr, _shutdown: Shutdown) -> Result<(), Error> {
    Err(Error::Unwritten("sandbox"))
}
