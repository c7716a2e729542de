//! `run`: the job of a configuration, until a signal.
//!
//! Does not: come back from a lost job; it ends with the reason.

use super::Error;
use super::output::Outlet;
use crate::agent::{Agent, Options};
use crate::config::Config;
use crate::session::Network;
use crate::status::Status;
use crate::stop::Stop;

/// Runs until `stop`, the end of the input, or until something fails.
pub async fn run(config: Config, stop: Stop) -> Result<(), Error> {
    let network = Network::new(config.trust, config.state_directory.as_deref(), None);
    let outlet = Outlet::open(&config.output)?;
    let options = Options {
        media: config.media,
        job: config.job,
        orchestrators: config.orchestrators,
        ..Options::default()
    };
    let agent = Agent::new(options, network, Status::default(), outlet.sinks());
    let ended = agent.run(stop).await.map_err(Error::Agent);
    let closed = outlet.close().await;
    ended.and(closed)
}
