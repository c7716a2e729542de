//! `discover`: lists the orchestrators and runners that can be found, their offers, and why some are rejected.
//!
//! All sources are queried, and every orchestrator found is asked, five at a time. Nothing is started, paid or pinned.
//!
//! Does not: choose a candidate; `run` does, by the same rules.

mod print;
pub(super) mod rows;
pub(super) mod survey;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use self::rows::{Row, Sought, of_info, of_runners};
use self::survey::Survey;
use super::reach::Reach;
use super::{Error, print};
use crate::config::Config;
use livepeer_gateway::endings::io::Endings;
use livepeer_gateway::http::Url;
use livepeer_gateway::http::io::{Client, Connector};
use livepeer_gateway::job::runner::find_runners;
use livepeer_gateway::limits::{CALL_TIME, CANDIDATES, CANDIDATES_AT_ONCE};
use livepeer_gateway::orchestrator::io::{FindError, PinFile, fetch_info};
use livepeer_gateway::orchestrator::proto::{OrchestratorInfo, OrchestratorRequest};
use livepeer_gateway::orchestrator::{Capability, DiscoveryList, DiscoveryQuery, Pipeline};
use livepeer_gateway::session::Network;
use livepeer_gateway::session::selection::{OfferRules, PaymentPolicy};
use resilience::fault::chain;
use resilience::stop::Stop;

/// Prints the orchestrators and runners found.
pub async fn run(config: Config, json: bool, mut stop: Stop) -> Result<(), Error> {
    let text = async {
        let reach = Reach::new(&config).map_err(Error::Reach)?;
        let found = find(&config, &reach).await.map_err(Error::Discover)?;
        let (rows, malformed) = ask(&config, &reach, found).await;
        let text = if json { print::json } else { print::table };
        Ok::<_, Error>(text(&rows, malformed))
    };
    tokio::select! {
        biased;
        () = stop.wait() => Err(Error::Interrupted),
        text = text => {
            print(&text?);
            Ok(())
        }
    }
}

fn capability(config: &Config) -> Option<Capability> {
    let model = Some(config.job.model.clone()).filter(|model| !model.is_empty());
    model.map(|model| Capability { pipeline: Pipeline::LIVE_VIDEO_TO_VIDEO, model })
}

/// What the sources of lists are asked for.
pub(super) fn query(config: &Config) -> DiscoveryQuery {
    let app = config.runner.as_ref().map(|runner| runner.options.app.clone());
    DiscoveryQuery {
        capabilities: capability(config).into_iter().collect(),
        apps: app.into_iter().collect(),
    }
}

/// Adds the orchestrators of a list that `all` does not have yet.
pub(super) fn merge(all: &mut DiscoveryList, list: DiscoveryList) {
    all.malformed += list.malformed;
    all.beyond += list.beyond;
    for entry in list.entries {
        let is_new = !all.entries.iter().any(|known| known.address == entry.address);
        match is_new && all.entries.len() < CANDIDATES {
            true => all.entries.push(entry),
            false => all.beyond += usize::from(is_new),
        }
    }
}

/// The list of all sources; an error only if every source failed.
async fn find(config: &Config, reach: &Reach) -> Result<DiscoveryList, FindError> {
    let mut finder = reach.finder(config, query(config));
    let mut all: Option<DiscoveryList> = None;
    let mut failed = None;
    while let Some(listed) = finder.next().await {
        match listed {
            Err(error) => {
                log::warn!("{}", chain(&error));
                failed = failed.or(Some(error));
            }
            Ok(listed) => merge(all.get_or_insert_default(), listed.list),
        }
    }
    match (all, failed) {
        (None, Some(error)) => Err(error),
        (all, _) => Ok(all.unwrap_or_default()),
    }
}

/// Asks every orchestrator of the list, and makes rows of the answers.
pub(super) async fn ask(
    config: &Config,
    reach: &Reach,
    mut list: DiscoveryList,
) -> (Vec<Row>, usize) {
    let pins = PinFile::open(config.trust.clone(), config.state_directory.as_deref(), &[]).pins();
    let survey = Arc::new(Survey::new(config.trust.clone(), pins));
    let connector = Arc::new(Connector::new(survey.clone()));
    let client = Client::new(Arc::clone(&connector));
    let endings = Endings::in_memory(client.clone());
    let network = Network { connector, client, payments: reach.payments.clone(), endings };
    let sought = Sought {
        model: capability(config),
        app: config.runner.as_ref().map(|runner| runner.options.app.clone()),
        gpu: config.runner.as_ref().and_then(|runner| runner.options.gpu.clone()),
        rules: OfferRules {
            max_price: config.access.max_price,
            pays: if reach.payments.is_some() {
                PaymentPolicy::Always
            } else {
                PaymentPolicy::Never
            },
        },
    };
    let request = request(&network, sought.model.as_ref()).await;
    let urls = list.entries.iter().map(|entry| entry.address.clone()).collect();
    let infos = infos(&network, urls, &request).await;
    let silent = find_runners(&network, &mut list).await;
    let mut rows = Vec::new();
    for (entry, info) in list.entries.iter().zip(infos) {
        let mut bare = Row::bare(&entry.address, survey.of(&entry.address));
        let runners = of_runners(&bare, entry, &sought);
        match info {
            Ok((info, time)) => {
                bare.answer_time = Some(time);
                // For an app, the models of orchestrators do not matter.
                if sought.app.is_none() {
                    rows.extend(of_info(&bare, &info, &sought));
                }
            }
            // An orchestrator with runners may have no models.
            Err(_) if !entry.runners.is_empty() => {}
            Err(reason) => rows.push(Row { rejected: Some(reason), ..bare }),
        }
        rows.extend(runners);
    }
    for rejection in silent {
        log::info!("{}: {}", rejection.candidate.authority(), rejection.reason);
    }
    (rows, list.malformed)
}

/// The request to orchestrators. Without the signer's signature, the answers lack only the terms for tickets.
async fn request(network: &Network, model: Option<&Capability>) -> OrchestratorRequest {
    let mut request = OrchestratorRequest {
        capabilities: model.map(Capability::request),
        ..OrchestratorRequest::default()
    };
    if let Some(payments) = &network.payments {
        match payments.signers.signature().await {
            Ok(payer) => (request.address, request.sig) = (payer.address(), payer.signature()),
            Err(error) => log::warn!("{}", chain(&error)),
        }
    }
    request
}

/// A reason without the address, which the row shows already.
fn without_address(reason: &str, url: &Url) -> String {
    let addresses = [format!("{url}: "), format!("{}: ", url.authority())];
    let bare = addresses.iter().find_map(|address| reason.strip_prefix(address));
    bare.unwrap_or(reason).to_owned()
}

type Info = Result<(OrchestratorInfo, Duration), String>;

/// The `OrchestratorInfo` of each of `urls`, in their order; five are asked at a time.
async fn infos(network: &Network, urls: Vec<Url>, request: &OrchestratorRequest) -> Vec<Info> {
    let silent = || Err("the request was not sent".to_owned());
    let mut infos: Vec<Info> = urls.iter().map(|_| silent()).collect();
    let mut waiting: VecDeque<(usize, Url)> = urls.into_iter().enumerate().collect();
    let mut asked = JoinSet::new();
    loop {
        while asked.len() < CANDIDATES_AT_ONCE {
            let Some((at, url)) = waiting.pop_front() else { break };
            let (connector, request) = (Arc::clone(&network.connector), request.clone());
            asked.spawn(async move {
                let begin = Instant::now();
                let info = fetch_info(&connector, &url, &request, CALL_TIME).await;
                let info = info.map(|fetched| (fetched.info, begin.elapsed()));
                (at, info.map_err(|error| without_address(&chain(&error), &url)))
            });
        }
        match asked.join_next().await {
            None => return infos,
            Some(Ok((at, info))) => {
                if let Some(place) = infos.get_mut(at) {
                    *place = info;
                }
            }
            Some(Err(error)) => log::warn!("a request to an orchestrator failed: {error}"),
        }
    }
}
