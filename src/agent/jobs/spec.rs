//! The kinds of job that an agent runs, each from its candidates to its start.
//!
//! | | live video job | job on a runner |
//! |---|---|---|
//! | candidates | orchestrators | runners with the application |
//! | offer | their info, asked for | what discovery lists |
//! | start | `/live-video-to-video` | reservation, then the application |
//!
//! Does not: choose, or decide when.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use livepeer_gateway::http::io::Client;
use livepeer_gateway::http::{Authority, Url};
use livepeer_gateway::job::runner::{
    Api, Known, RunnerJob, RunnerOptions, find_runners, known_runners,
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

/// What is to be run.
#[derive(Debug, Clone)]
pub enum JobSpec {
    /// A live video job.
    LiveVideo(JobOptions),
    /// A job on a runner.
    Runner {
        /// Which runner.
        options: RunnerOptions,
        /// How its application is called.
        api: Api,
        /// Its parameters at the start.
        params: Map<String, Value>,
    },
}

/// Where candidates are found.
#[derive(Debug, Clone)]
pub struct DiscoveryOptions {
    /// Makes the calls to signers and discovery endpoints.
    pub services: Client,
    /// Where those are, and the orchestrators that are named.
    pub endpoints: Endpoints,
    /// Who is tried first, where that is not to follow from how they are found.
    pub order: Option<CandidateOrder>,
    /// Where the last good list is kept.
    pub state_directory: Option<PathBuf>,
    /// Allows plain HTTP to services on other machines.
    pub allow_plain_http: bool,
}

/// Who may take the job.
#[derive(Debug)]
pub(in crate::agent) struct Candidates {
    pub(super) urls: Vec<Url>,
    pub(super) order: CandidateOrder,
    pub(super) offers: Offers,
}

/// How it is known what candidates offer.
#[derive(Debug)]
pub(in crate::agent) enum Offers {
    /// Each orchestrator is asked for its info.
    Asked(JobOptions),
    /// The list that names the runners says it.
    Listed { runners: HashMap<Url, Known>, api: Api },
}

/// What came with an offer: a way to start the job.
#[derive(Debug)]
pub(in crate::agent) enum Offered {
    /// The session that is open.
    Orchestrator { session: Box<OrchestratorSession>, options: JobOptions },
    /// The runner, which is asked for a session when the job starts.
    Runner { runner: Box<Runner>, api: Api },
}

impl JobSpec {
    /// What it is called in the log.
    pub(super) fn name(&self) -> String {
        match self {
            Self::LiveVideo(options) => format!("model {}", options.model),
            Self::Runner { options, .. } => format!("app {}", options.app),
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

    /// Other parameters for the next start.
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

    /// Goes the ways to candidates, one after the other, to the first that brings any. While no signer may be asked,
    /// nobody is: nothing could be paid.
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
        // Every way in vain is a matter of the configuration, unless one of them may bring more later.
        let mut fault = Fault::GiveUp;
        while let Some(listed) = finder.next().await {
            match listed {
                Ok(listed) => {
                    let stray = listed.list.strays.first().map(|stray| format!(", and {stray}"));
                    let order = order.unwrap_or_else(|| CandidateOrder::usual(&listed.way));
                    let candidates = self.candidates(&network, listed.list, order).await;
                    if !candidates.urls.is_empty() {
                        return Ok(candidates);
                    }
                    fault = Fault::Retry;
                    let stray = stray.unwrap_or_default();
                    reasons.push(format!("{} names nobody for {}{stray}", listed.way, self.name()));
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
            reasons.push("none is named, and no discovery endpoint or signer is".to_owned());
        }
        Err(Failure { text: reasons.join("; "), fault, scope: Scope::Everyone, retry_after: None })
    }
}

impl Offers {
    /// What the candidate at `url` offers, and how long its answer takes; nothing is asked before the future runs.
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

    /// Whether an answer is awaited, which may take some time.
    pub(super) fn are_asked(&self) -> bool {
        matches!(self, Self::Asked(_))
    }
}

/// What a runner offers, ready to be started.
fn listed(known: Option<&Known>, api: &Api) -> Result<(Offer, Offered), Failure> {
    let known = known.ok_or_else(not_listed)?;
    let offer = known.offer.clone();
    let offer = offer.map_err(|reason| Failure::of_peer(reason, Fault::NextPeer))?;
    Ok((offer, Offered::Runner { runner: Box::new(known.runner.clone()), api: api.clone() }))
}

/// Why a candidate that is not in the list offers nothing.
pub(super) fn not_listed() -> Failure {
    Failure::of_peer("it is not in the list any more", Fault::NextPeer)
}

/// Asks an orchestrator for its offer, which takes some time.
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
    /// The peers that start the job, at which an earlier job may have to be ended before.
    pub(super) fn peers(&self, url: &Url) -> Vec<Authority> {
        let mut peers = vec![url.authority().clone()];
        if let Self::Orchestrator { session, .. } = self {
            peers.push(session.payment_url().authority().clone());
        }
        peers
    }

    /// What it costs, where it says so.
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
