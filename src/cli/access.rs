//! From the configuration to what reaches, finds and pays orchestrators.
//!
//! Does not: call anybody yet.

use std::sync::Arc;

use prost::Message;

use super::Error;
use crate::agent::{Finding, Options, Work};
use crate::config::Config;
use crate::http::io::service_client;
use crate::job::Recovery;
use crate::orchestrator::{Capability, Pipeline};
use crate::payment::SessionOptions;
use crate::payment::io::{SignerOptions, Signers};
use crate::secret::io::read;
use crate::session::selection::Rules;
use crate::session::{Network, Payments};

/// What a command needs to reach the network.
pub(super) struct Access {
    /// Orchestrators, and who pays them.
    pub(super) network: Network,
    /// Where candidates are found.
    pub(super) finding: Finding,
}

/// Reads the credentials that `config` names, and makes ready to reach the network.
pub(super) fn access(config: &Config) -> Result<Access, Error> {
    let wanted = &config.access;
    let token = wanted.token.as_ref().map(read).transpose().map_err(Error::Secret)?;
    let endpoints =
        wanted.endpoints(&config.orchestrators, token.as_ref()).map_err(Error::Token)?;
    let services = service_client(wanted.services.clone()).map_err(Error::CaFile)?;
    let payments = if endpoints.signers.is_empty() {
        None
    } else {
        let options = SignerOptions {
            urls: endpoints.signers.clone(),
            headers: endpoints.signer_headers.clone(),
            allow_plain_http: wanted.allow_plain_http,
        };
        let signers = Signers::new(services.clone(), options).map_err(Error::Payment)?;
        Some(Payments { signers: Arc::new(signers), options: session_options(config) })
    };
    let state = config.state_directory.as_deref();
    let network = Network::new(config.trust.clone(), state, payments);
    let finding = Finding {
        services,
        endpoints,
        state_directory: config.state_directory.clone(),
        allow_plain_http: wanted.allow_plain_http,
    };
    Ok(Access { network, finding })
}

/// What the agent is to do with `finding`.
pub(super) fn options(config: Config, finding: Finding, recovery: Recovery) -> Options {
    let needs_price = !finding.endpoints.signers.is_empty();
    let work = match config.runner {
        Some(runner) => {
            Work::Runner { options: runner.options, api: runner.api, params: config.job.params }
        }
        None => Work::LiveVideo(config.job),
    };
    let rules = Rules {
        max_price: config.access.max_price,
        // A runner may cost nothing; an orchestrator that is to be paid has to say what.
        needs_price: needs_price && matches!(work, Work::LiveVideo(_)),
    };
    Options { media: config.media, work, finding, rules, recovery }
}

/// What every session tells the signer.
fn session_options(config: &Config) -> SessionOptions {
    let capability =
        Capability { pipeline: Pipeline::LIVE_VIDEO_TO_VIDEO, model: config.job.model.clone() };
    let asked = config.runner.is_none().then(|| capability.request().encode_to_vec().into());
    SessionOptions {
        app: config.access.app.clone(),
        max_price: config.access.max_price,
        capabilities: asked,
    }
}
