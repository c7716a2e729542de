//! The kinds of job that an agent can run: how each finds candidates, gets offers and starts.
//!
//! | | live video job | job on a runner |
//! |---|---|---|
//! | candidates | orchestrators | runners with the application |
//! | offer | from their `OrchestratorInfo` | from the discovery list |
//! | start | `/live-video-to-video` | reservation, then the application |
//!
//! Does not: choose a candidate, or decide when a job starts.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use livepeer_gateway::http::io::Client;
use livepeer_gateway::http::{Authority, Url};
use livepeer_gateway::job::runner::{
    AppApi, ListedRunner, RunnerJob, RunnerOptions, find_runners, known_runners,
};
use livepeer_gateway::job::{JobError, JobOptions, LiveVideoJob, StartedJob};
use livepeer_gateway::orchestrator::io::Finder;
use livepeer_gateway::orchestrator::{
    Capability, DiscoveryList, DiscoveryQuery, Endpoints, Pipeline, Runner, RunnerMode,
};
use livepeer_gateway::price::Price;
use livepeer_gateway::session::selection::{CandidateOrder, Offer};
use livepeer_gateway::session::{Network, OrchestratorSession, SessionError};
use resilience::fault::{Failure, Fault, Scope, chain};

/// The job to run.
#[derive(Debug, Clone)]
pub enum JobSpec {
    /// A live video job.
    LiveVideo(JobOptions),
    /// A job on a runner.
    Runner {
        /// Which runner.
        options: RunnerOptions,
        /// How the runner's application is started, and which channels its answer names.
        api: AppApi,
        /// The parameters with which the application is started.
        params: Map<String, Value>,
    },
}

/// Where candidates are found.
#[derive(Debug, Clone)]
pub struct DiscoveryOptions {
    /// The HTTP client for signers and discovery endpoints.
    pub services: Client,
    /// The signers, discovery endpoints and configured orchestrators.
    pub endpoints: Endpoints,
    /// The order in which candidates are tried; `None` for the usual order of the list that names them.
    pub order: Option<CandidateOrder>,
    /// The directory that keeps the last good list.
    pub state_directory: Option<PathBuf>,
    /// Allows plain HTTP to services on other computers.
    pub allow_plain_http: bool,
}

/// The candidates for the job.
#[derive(Debug)]
pub(in crate::agent) struct Candidates {
    pub(super) urls: Vec<Url>,
    pub(super) order: CandidateOrder,
    pub(super) offers: Offers,
}

/// How offers of candidates are obtained.
#[derive(Debug)]
pub(in crate::agent) enum Offers {
    /// Each orchestrator is asked for its info.
    Asked(JobOptions),
    /// The list that names the runners contains their offers.
    Listed { runners: HashMap<Url, ListedRunner>, api: AppApi },
}

/// What the start of an offered job needs.
#[derive(Debug)]
pub(in crate::agent) enum Offered {
    /// An open session.
    Orchestrator { session: Box<OrchestratorSession>, options: JobOptions },
    /// A runner; the start asks it for a session.
    Runner { runner: Box<Runner>, api: AppApi },
}

impl JobSpec {
    /// The name of the job in the log.
    pub(super) fn name(&self) -> String {
        match self {
            Self::LiveVideo(options) => format!("model {}", options.model),
            Self::Runner { options, .. } => format!("app {}", options.app),
        }
    }

    /// The model or the app of the job, and the job's capability, for the status.
    pub(in crate::agent) fn names(&self) -> [String; 2] {
        match self {
            Self::LiveVideo(options) => [options.model.clone(), capability(options).to_string()],
            Self::Runner { options, .. } => [options.app.clone(), String::new()],
        }
    }

    /// The parameters of the next start.
    pub(super) fn params(&self) -> Map<String, Value> {
        match self {
            Self::LiveVideo(JobOptions { params, .. }) | Self::Runner { params, .. } => {
                params.clone()
            }
        }
    }

    /// Sets the parameters of the next start.
    pub(super) fn set_params(&mut self, new: Map<String, Value>) {
        match self {
            Self::LiveVideo(JobOptions { params, .. }) | Self::Runner { params, .. } => {
                *params = new;
            }
        }
    }

    fn wanted(&self) -> DiscoveryQuery {
        match self {
            Self::LiveVideo(options) => {
                DiscoveryQuery { capabilities: vec![capability(options)], apps: Vec::new() }
            }
            Self::Runner { options, .. } => {
                DiscoveryQuery { capabilities: Vec::new(), apps: vec![options.app.clone()] }
            }
        }
    }

    /// The candidates of a list.
    async fn candidates(
        &self,
        network: &Network,
        mut list: DiscoveryList,
        order: CandidateOrder,
    ) -> Candidates {
        match self {
            Self::LiveVideo(options) => {
                let wanted = capability(options);
                let fits = list.entries.into_iter().filter(|entry| entry.may_offer(&wanted));
                let urls = fits.map(|entry| entry.address).collect();
                Candidates { urls, order, offers: Offers::Asked(options.clone()) }
            }
            Self::Runner { options, api, .. } => {
                for rejection in find_runners(network, &mut list).await {
                    log::info!("{rejection}");
                }
                let known = known_runners(&list, options, RunnerMode::Persistent, order);
                let urls = known.iter().map(|known| known.runner.url.clone()).collect();
                let runners =
                    known.into_iter().map(|known| (known.runner.url.clone(), known)).collect();
                Candidates { urls, order, offers: Offers::Listed { runners, api: api.clone() } }
            }
        }
    }

    /// Searches the sources of candidates in turn, up to the first that names any. Fails at once while no signer may be
    /// asked: the job could not be paid.
    pub(super) async fn find(
        self,
        discovery: DiscoveryOptions,
        network: Network,
    ) -> Result<Candidates, Failure> {
        if let Some(payments) = &network.payments {
            let ready = payments.signers.ready();
            ready.map_err(|error| SessionError::Payment(error).failure())?;
        }
        let DiscoveryOptions { services, endpoints, order, state_directory, allow_plain_http } =
            discovery;
        let directory = state_directory.as_deref();
        let mut finder =
            Finder::new(services, endpoints, self.wanted(), directory, allow_plain_http);
        let mut reasons = Vec::new();
        // If every source fails, the configuration is at fault, unless one of them may name candidates later.
        let mut fault = Fault::GiveUp;
        while let Some(listed) = finder.next().await {
            match listed {
                Ok(listed) => {
                    let stray = listed.list.strays.first().map(|stray| format!(", and {stray}"));
                    let order = order.unwrap_or_else(|| CandidateOrder::usual(&listed.source));
                    let candidates = self.candidates(&network, listed.list, order).await;
                    if !candidates.urls.is_empty() {
                        return Ok(candidates);
                    }
                    fault = Fault::Retry;
                    let stray = stray.unwrap_or_default();
                    reasons.push(format!(
                        "{} names no candidate for {}{stray}",
                        listed.source,
                        self.name()
                    ));
                }
                Err(error) => {
                    if error.fault() != Fault::GiveUp {
                        fault = Fault::Retry;
                    }
                    reasons.push(chain(&error));
                }
            }
        }
        if reasons.is_empty() {
            reasons.push("no orchestrator, discovery endpoint or signer is configured".to_owned());
        }
        Err(Failure { text: reasons.join("; "), fault, scope: Scope::Everyone, retry_after: None })
    }
}

impl Offers {
    /// The offer of the candidate at `url` and its answer time. The request is sent when the future is polled.
    pub(super) fn of(
        &self,
        url: &Url,
        network: &Network,
    ) -> impl Future<Output = (Duration, Result<(Offer, Offered), Failure>)> + Send + use<> {
        let request = match self {
            Self::Asked(options) => Ok((options.clone(), network.clone(), url.clone())),
            Self::Listed { runners, api } => Err(listed(runners.get(url), api)),
        };
        async move {
            match request {
                Ok((options, network, url)) => ask(options, &network, &url).await,
                Err(offered) => (Duration::ZERO, offered),
            }
        }
    }

    /// Whether offers need a request.
    pub(super) fn are_asked(&self) -> bool {
        matches!(self, Self::Asked(_))
    }
}

/// The offer of a listed runner.
fn listed(known: Option<&ListedRunner>, api: &AppApi) -> Result<(Offer, Offered), Failure> {
    let known = known.ok_or_else(not_listed)?;
    let offer = known.offer.clone();
    let offer = offer.map_err(|reason| Failure::of_peer(reason, Fault::NextPeer))?;
    Ok((offer, Offered::Runner { runner: Box::new(known.runner.clone()), api: api.clone() }))
}

/// The failure for a candidate that is not in the list.
pub(super) fn not_listed() -> Failure {
    Failure::of_peer("it is not in the list any more", Fault::NextPeer)
}

/// Asks an orchestrator for its offer, and measures the answer time.
async fn ask(
    options: JobOptions,
    network: &Network,
    url: &Url,
) -> (Duration, Result<(Offer, Offered), Failure>) {
    let capability = capability(&options);
    let began = Instant::now();
    let opened = OrchestratorSession::open(network, url, &capability).await;
    let offered = opened.map_err(|error| error.failure()).map(|session| {
        let offer = Offer::of_info(session.info(), &capability);
        (offer, Offered::Orchestrator { session: Box::new(session), options })
    });
    (began.elapsed(), offered)
}

fn capability(options: &JobOptions) -> Capability {
    Capability { pipeline: Pipeline::LIVE_VIDEO_TO_VIDEO, model: options.model.clone() }
}

impl Offered {
    /// The peers that start the job. Stop earlier jobs at these peers first.
    pub(super) fn peers(&self, url: &Url) -> Vec<Authority> {
        let mut peers = vec![url.authority().clone()];
        if let Self::Orchestrator { session, .. } = self {
            peers.push(session.payment_url().authority().clone());
        }
        peers
    }

    /// The price, if the offer has one.
    pub(super) fn price(&self) -> Option<Price> {
        match self {
            Self::Orchestrator { session, options } => {
                Offer::of_info(session.info(), &capability(options)).price.ok().flatten()
            }
            Self::Runner { runner, .. } => runner.price,
        }
    }

    /// Starts the job with these parameters.
    pub(super) async fn start(
        self,
        params: Map<String, Value>,
        network: Network,
        jitter: f64,
    ) -> Result<StartedJob, JobError> {
        match self {
            Self::Orchestrator { session, options } => {
                let options = JobOptions { params, ..options };
                LiveVideoJob::start(*session, &options, jitter).await
            }
            Self::Runner { runner, api } => RunnerJob::start(&network, *runner, api, &params).await,
        }
    }
}
