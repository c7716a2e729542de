//! `run`: the job of a configuration, until a signal.
//!
//! Does not: come back from a lost job; it ends with the reason.

use super::Error;
use super::output::Outlet;
use crate::agent::{Agent, Finding, Options, Work};
use crate::config::Config;
use crate::http::ServiceTrust;
use crate::http::io::service_client;
use crate::job::Recovery;
use crate::orchestrator::Endpoints;
use crate::session::Network;
use crate::session::selection::Rules;
use crate::status::Status;
use crate::stop::Stop;

/// Runs until `stop`, the end of the input, or until something fails.
pub async fn run(config: Config, stop: Stop) -> Result<(), Error> {
    let network = Network::new(config.trust, config.state_directory.as_deref(), None);
    let outlet = Outlet::open(&config.output)?;
    let finding = Finding {
        services: service_client(ServiceTrust::default()).map_err(Error::CaFile)?,
        endpoints: Endpoints { orchestrators: config.orchestrators, ..Endpoints::default() },
        state_directory: config.state_directory,
        allow_plain_http: false,
    };
    let options = Options {
        media: config.media,
        work: Work::LiveVideo(config.job),
        finding,
        rules: Rules::default(),
        recovery: Recovery::Exit,
    };
    let agent = Agent::new(options, network, Status::default(), outlet.sinks());
    let ended = agent.run(stop).await.map_err(Error::Agent);
    let closed = outlet.close().await;
    ended.and(closed)
}
