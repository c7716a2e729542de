//! `sandbox`: an orchestrator alone, for people who build against it.
//!
//! Does not: take payments.

use std::net::SocketAddr;

use super::Error;
use crate::sandbox::{Options, Sandbox};
use crate::stop::Stop;

/// Runs until `stop`; what gateways did wrong is told as it happens and counted at the end.
pub async fn run(listen: SocketAddr, mut stop: Stop) -> Result<(), Error> {
    let sandbox =
        Sandbox::start(Options { listen, ..Options::default() }).map_err(Error::Sandbox)?;
    log::info!("orchestrator at {}, certificate {}", sandbox.url(), sandbox.fingerprint());
    stop.wait().await;
    let (counters, violations) = (sandbox.counters(), sandbox.violations());
    log::info!(
        "{} jobs, {} segments, {} access units, {} violations",
        counters.jobs,
        counters.segments,
        counters.access_units,
        violations.count()
    );
    Ok(())
}
