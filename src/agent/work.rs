//! The kinds of job that an agent runs, each from its candidates to what is live.
//!
//! | | live video job | job on a runner |
//! |---|---|---|
//! | candidates | orchestrators | runners with the application |
//! | offer | their info, asked for | what discovery lists |
//! | start | `/live-video-to-video` | reservation, then the application |
//! | parameters change | a message on the control channel | a call, if the application takes one |
//! | end | its channels are deleted | its session is stopped |
//!
//! Does not: choose, or decide when.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};

use crate::endings::io::Owed;
use crate::fault::{Failure, Fault, Scope, chain};
use crate::http::io::Client;
use crate::http::{Authority, Url};
use crate::job::runner::{
    Api, Known, RunnerJob, RunnerOptions, RunnerPayments, find_runners, known_runners,
};
use crate::job::{Channels, JobError, JobOptions, LiveVideoJob};
use crate::orchestrator::io::Finder;
use crate::orchestrator::{Capability, DiscoveryList, Endpoints, Mode, Pipeline, Runner, Wanted};
use crate::payment::io::{Payer, Turn};
use crate::price::Price;
use crate::session::selection::{Offer, Order};
use crate::session::{InfoAgain, Network, OrchestratorSession, SessionError};

/// What is to be run.
#[derive(Debug, Clone)]
pub enum Work {
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
pub struct Finding {
    /// Makes the calls to signers and discovery endpoints.
    pub services: Client,
    /// Where those are, and the orchestrators that are named.
    pub endpoints: Endpoints,
    /// Who is tried first, where that is not to follow from how they are found.
    pub order: Option<Order>,
    /// Where the last good list is kept.
    pub state_directory: Option<PathBuf>,
    /// Allows plain HTTP to services on other machines.
    pub allow_plain_http: bool,
}

/// Who may take the job. What runners offer is known from the list.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    pub(super) urls: Vec<Url>,
    pub(super) order: Order,
    pub(super) runners: HashMap<Url, Known>,
}

/// What came with an offer.
#[derive(Debug)]
pub(super) enum With {
    /// The session that is open.
    Orchestrator { session: Box<OrchestratorSession>, options: JobOptions },
    /// The runner, which is asked for a session when the job starts.
    Runner { runner: Box<Runner>, api: Api },
}

/// A job that was started.
#[derive(Debug)]
pub(super) enum Job {
    LiveVideo(Box<LiveVideoJob>),
    Runner(Box<RunnerJob>),
}

/// What goes on paying for a job.
pub(super) enum Payments {
    LiveVideo(Box<Payer<InfoAgain>>, Url),
    Runner(Box<RunnerPayments>),
}

impl Work {
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

    fn wanted(&self) -> Wanted {
        match self {
            Self::LiveVideo(options) => {
                Wanted { capabilities: vec![capability(options)], apps: Vec::new() }
            }
            Self::Runner { options, .. } => {
                Wanted { capabilities: Vec::new(), apps: vec![options.app.clone()] }
            }
        }
    }

    /// The candidates of a list.
    async fn candidates(
        &self,
        network: &Network,
        mut list: DiscoveryList,
        order: Order,
    ) -> Candidates {
        match self {
            Self::LiveVideo(options) => {
                let wanted = capability(options);
                let fits = list.entries.into_iter().filter(|entry| entry.may_offer(&wanted));
                let urls = fits.map(|entry| entry.address).collect();
                Candidates { urls, order, runners: HashMap::new() }
            }
            Self::Runner { options, .. } => {
                for rejection in find_runners(network, &mut list).await {
                    log::info!("{rejection}");
                }
                let known = known_runners(&list, options, Mode::Persistent, order);
                let urls = known.iter().map(|known| known.runner.url.clone()).collect();
                let runners =
                    known.into_iter().map(|known| (known.runner.url.clone(), known)).collect();
                Candidates { urls, order, runners }
            }
        }
    }

    /// Goes the ways to candidates, one after the other, to the first that brings any. While no signer may be asked,
    /// nobody is: nothing could be paid.
    pub(super) async fn find(
        self,
        finding: Finding,
        network: Network,
    ) -> Result<Candidates, Failure> {
        if let Some(payments) = &network.payments {
            let ready = payments.signers.ready();
            ready.map_err(|error| SessionError::Payment(error).failure())?;
        }
        let Finding { services, endpoints, order, state_directory, allow_plain_http } = finding;
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
                    let order = order.unwrap_or_else(|| Order::usual(&listed.way));
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

    /// What a runner offers, ready to be started.
    pub(super) fn offered_by(&self, known: Known) -> Result<(Offer, With), Failure> {
        let failure = |reason| Failure::of_peer(reason, Fault::NextPeer);
        match self {
            Self::LiveVideo(_) => Err(failure("a live video job runs on no runner".to_owned())),
            Self::Runner { api, .. } => known.offer.map_err(failure).map(|offer| {
                (offer, With::Runner { runner: Box::new(known.runner), api: api.clone() })
            }),
        }
    }

    /// Asks an orchestrator for its offer, which takes some time.
    pub(super) async fn ask(
        self,
        network: &Network,
        url: &Url,
    ) -> (Duration, Result<(Offer, With), Failure>) {
        let Self::LiveVideo(options) = self else {
            let failure = Failure::of_peer("it is not in the list any more", Fault::NextPeer);
            return (Duration::ZERO, Err(failure));
        };
        let capability = capability(&options);
        let began = Instant::now();
        let opened = OrchestratorSession::open(network, url, &capability).await;
        let offered = opened.map_err(|error| error.failure()).map(|session| {
            let offer = Offer::of_info(session.info(), &capability);
            (offer, With::Orchestrator { session: Box::new(session), options })
        });
        (began.elapsed(), offered)
    }
}

fn capability(options: &JobOptions) -> Capability {
    Capability { pipeline: Pipeline::LIVE_VIDEO_TO_VIDEO, model: options.model.clone() }
}

impl With {
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
    ) -> Result<Job, JobError> {
        match self {
            Self::Orchestrator { session, options } => {
                let options = JobOptions { params, ..options };
                let job = LiveVideoJob::start(*session, &options, jitter).await?;
                Ok(Job::LiveVideo(Box::new(job)))
            }
            Self::Runner { runner, api } => {
                let job = RunnerJob::start(&network, *runner, api, &params).await?;
                Ok(Job::Runner(Box::new(job)))
            }
        }
    }
}

impl Job {
    pub(super) fn channels(&self) -> &Channels {
        match self {
            Self::LiveVideo(job) => job.channels(),
            Self::Runner(job) => job.channels(),
        }
    }

    pub(super) fn take_payments(&mut self) -> Option<Payments> {
        match self {
            Self::LiveVideo(job) => {
                let (payer, url) = job.take_payer()?;
                Some(Payments::LiveVideo(Box::new(payer), url))
            }
            Self::Runner(job) => Some(Payments::Runner(Box::new(job.take_payments()?))),
        }
    }

    /// Changes its parameters by a call, where that is how it is done; where not, the control channel is.
    pub(super) fn update(
        &self,
        params: &Map<String, Value>,
    ) -> Option<impl Future<Output = Result<(), JobError>> + Send + use<>> {
        match self {
            Self::LiveVideo(_) => None,
            Self::Runner(job) => Some(job.update(params)),
        }
    }

    /// Where it runs.
    pub(super) fn place(&self) -> &Url {
        match self {
            Self::LiveVideo(job) => job.session().url(),
            Self::Runner(job) => &job.runner().url,
        }
    }

    /// What its publisher confirms when the channel of our video is deleted; none where a session is stopped instead.
    pub(super) fn end(&self) -> Option<Arc<Owed>> {
        match self {
            Self::LiveVideo(job) => Some(Arc::clone(job.end())),
            Self::Runner(_) => None,
        }
    }

    /// Closes it at the orchestrator, beyond what its publisher has closed.
    pub(super) async fn stop(self) {
        match self {
            Self::LiveVideo(_) => {}
            Self::Runner(job) => job.stop().await,
        }
    }
}

impl Payments {
    pub(super) async fn run(self, media: watch::Receiver<()>, turns: mpsc::Sender<Turn>) {
        match self {
            Self::LiveVideo(payer, url) => payer.run(url, media, turns).await,
            Self::Runner(payments) => payments.run(media, turns).await,
        }
    }
}
