//! What a configuration comes to on the network: endpoints, signers, and how both are trusted.
//!
//! Does not: find orchestrators; [`Reach::finder`] does when it is asked.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::agent::DiscoveryOptions;
use crate::config::Config;
use livepeer_gateway::http::WallClock;
use livepeer_gateway::http::io::{CaFileError, Client, service_client_by};
use livepeer_gateway::orchestrator::io::Finder;
use livepeer_gateway::orchestrator::{Capability, DiscoveryQuery, Endpoints, Pipeline, TokenError};
use livepeer_gateway::payment::io::{SignerOptions, Signers};
use livepeer_gateway::payment::{PaymentError, SessionOptions};
use livepeer_gateway::session::PaymentSetup;
use resilience::secret::io::{SecretError, read};

/// Why the network cannot be reached as configured.
#[derive(Debug)]
pub enum ReachError {
    /// The access token cannot be read.
    NoToken(SecretError),
    /// The access token is no such.
    Token(TokenError),
    /// The authorities of the services cannot be read.
    Authorities(CaFileError),
    /// The signers cannot be used.
    Signers(PaymentError),
}

impl fmt::Display for ReachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToken(error) => error.fmt(f),
            Self::Token(error) => error.fmt(f),
            Self::Authorities(error) => error.fmt(f),
            Self::Signers(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReachError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoToken(error) => error.source(),
            Self::Signers(error) => error.source(),
            Self::Token(_) | Self::Authorities(_) => None,
        }
    }
}

/// What a configuration comes to on the network.
pub(super) struct Reach {
    pub(super) endpoints: Endpoints,
    /// Who pays; `None` where no signer is configured.
    pub(super) payments: Option<PaymentSetup>,
    pub(super) services: Client,
}

impl Reach {
    /// Reads the token, the authorities and the credentials that the configuration names.
    pub(super) fn new(config: &Config) -> Result<Self, ReachError> {
        Self::keeping(config, None, &Arc::default())
    }

    /// The same after a change of the configuration. `signers` are those so far, which stay if they are to be set
    /// up in the same way: what they said when they were asked last still holds. `clock` is one for the process.
    pub(super) fn keeping(
        config: &Config,
        signers: Option<Arc<Signers>>,
        clock: &Arc<WallClock>,
    ) -> Result<Self, ReachError> {
        let access = &config.access;
        let token = access.token.as_ref().map(read).transpose().map_err(ReachError::NoToken)?;
        let endpoints =
            access.endpoints(&config.orchestrators, token.as_ref()).map_err(ReachError::Token)?;
        let services = service_client_by(access.services.clone(), Arc::clone(clock));
        let services = services.map_err(ReachError::Authorities)?;
        let payments = match endpoints.signers.is_empty() {
            true => None,
            false => {
                let options = SignerOptions {
                    urls: endpoints.signers.clone(),
                    headers: endpoints.signer_headers.clone(),
                    allow_plain_http: access.allow_plain_http,
                };
                let signers = match signers.filter(|known| *known.options() == options) {
                    Some(signers) => signers,
                    None => {
                        let signers = Signers::new(services.clone(), options);
                        Arc::new(signers.map_err(ReachError::Signers)?)
                    }
                };
                let (app, max_price) = (access.app.clone(), access.max_price);
                let options = SessionOptions { app, max_price, capabilities: asked(config) };
                Some(PaymentSetup { signers, options })
            }
        };
        Ok(Self { endpoints, payments, services })
    }

    /// Where candidates for a job are found.
    pub(super) fn discovery(&self, config: &Config) -> DiscoveryOptions {
        DiscoveryOptions {
            services: self.services.clone(),
            endpoints: self.endpoints.clone(),
            order: config.order,
            state_directory: config.state_directory.clone(),
            allow_plain_http: config.access.allow_plain_http,
        }
    }

    /// The ways to what is `wanted`.
    pub(super) fn finder(&self, config: &Config, wanted: DiscoveryQuery) -> Finder {
        Finder::new(
            self.services.clone(),
            self.endpoints.clone(),
            wanted,
            config.state_directory.as_deref(),
            config.access.allow_plain_http,
        )
    }
}

/// What the signer is told that a live video job needs; nothing of a runner.
fn asked(config: &Config) -> Option<Bytes> {
    if config.runner.is_some() {
        return None;
    }
    let capability =
        Capability { pipeline: Pipeline::LIVE_VIDEO_TO_VIDEO, model: config.job.model.clone() };
    Some(capability.encoded())
}
