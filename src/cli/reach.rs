//! Builds the endpoints and signers of a configuration, with their credentials and trust.
//!
//! Does not: search for orchestrators; the caller does with [`Reach::finder`].

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::agent::DiscoveryOptions;
use crate::config::Config;
use livepeer_gateway::budget::io::Purse;
use livepeer_gateway::http::WallClock;
use livepeer_gateway::http::io::{CaFileError, Client, service_client_by};
use livepeer_gateway::orchestrator::io::Finder;
use livepeer_gateway::orchestrator::{Capability, DiscoveryQuery, Endpoints, Pipeline, TokenError};
use livepeer_gateway::payment::io::{SignerOptions, Signers};
use livepeer_gateway::payment::{PaymentError, SessionOptions};
use livepeer_gateway::session::PaymentSetup;
use resilience::secret::io::{SecretError, read};

/// Why the credentials or authorities of a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// The access token cannot be read.
    #[error(transparent)]
    NoToken(SecretError),
    /// The access token is malformed.
    #[error("{0}")]
    Token(TokenError),
    /// The authorities of the services cannot be read.
    #[error("{0}")]
    Authorities(CaFileError),
    /// The signers cannot be used.
    #[error(transparent)]
    Signers(PaymentError),
}

/// The present signers, which are kept with their pauses if their options have not changed, and where payments are
/// counted.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) signers: Option<Arc<Signers>>,
    pub(super) purse: Purse,
    /// Where the purse is kept, once something may be paid.
    pub(super) state: Option<PathBuf>,
}

impl Counted {
    /// Counts in `purse`, for a configuration.
    pub(super) fn new(signers: Option<Arc<Signers>>, purse: &Purse, config: &Config) -> Self {
        Self { signers, purse: purse.clone(), state: config.state_directory.clone() }
    }
}

/// The model or the app of a configuration.
pub(super) fn work(config: &Config) -> &str {
    config.runner.as_ref().map_or(&config.job.model, |runner| &runner.options.app)
}

/// The endpoints and signers of a configuration.
pub(super) struct Reach {
    pub(super) endpoints: Endpoints,
    /// How jobs are paid; `None` without a signer.
    pub(super) payments: Option<PaymentSetup>,
    pub(super) services: Client,
}

impl Reach {
    /// Reads the token, authorities and credentials that the configuration names. For commands that pay nothing.
    pub(super) fn new(config: &Config) -> Result<Self, ReachError> {
        Self::keeping(config, Counted::default(), &Arc::default())
    }

    /// As [`Reach::new`], after a change of the configuration. Pass the same `clock` every time.
    pub(super) fn keeping(
        config: &Config,
        Counted { signers, purse, state }: Counted,
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
                if let Some(state) = &state {
                    purse.keep_in(state);
                }
                let options = SignerOptions {
                    urls: endpoints.signers.clone(),
                    headers: endpoints.signer_headers.clone(),
                    allow_plain_http: access.allow_plain_http,
                };
                let signers = match signers.filter(|known| *known.options() == options) {
                    Some(signers) => signers,
                    None => {
                        let signers = Signers::new(services.clone(), options);
                        Arc::new(signers.map_err(ReachError::Signers)?.with_purse(purse))
                    }
                };
                let (app, max_price) = (access.app.clone(), access.max_price);
                let (capabilities, work) = (asked(config), work(config).to_owned());
                let options = SessionOptions { app, max_price, capabilities, work };
                Some(PaymentSetup { signers, options })
            }
        };
        Ok(Self { endpoints, payments, services })
    }

    /// The options of the search for candidates.
    pub(super) fn discovery(&self, config: &Config) -> DiscoveryOptions {
        DiscoveryOptions {
            services: self.services.clone(),
            endpoints: self.endpoints.clone(),
            order: config.order,
            state_directory: config.state_directory.clone(),
            allow_plain_http: config.access.allow_plain_http,
        }
    }

    /// A search for what is `wanted`.
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

/// The capabilities of a live video job, for the signer; `None` for a job on a runner.
fn asked(config: &Config) -> Option<Bytes> {
    if config.runner.is_some() {
        return None;
    }
    let capability =
        Capability { pipeline: Pipeline::LIVE_VIDEO_TO_VIDEO, model: config.job.model.clone() };
    Some(capability.encoded())
}
