//! Asks orchestrators for their runners if the discovery list names none for them.
//!
//! Does not: choose among the runners.

use std::collections::VecDeque;

use tokio::task::JoinSet;

use crate::http::io::HttpRequest;
use crate::http::{AnsweringPeer, Url, Zone};
use crate::limits::{CANDIDATES_AT_ONCE, RUNNERS};
use crate::orchestrator::{DiscoveryList, Runner};
use crate::session::Network;
use crate::session::selection::{Rejection, RejectionReason};
use resilience::fault::{Failure, Fault};

/// The path of an orchestrator's own list of runners (protocol.md, section 6).
const OWN_LIST: &str = "/discovery";

/// Asks those orchestrators in `list` for which no runner is listed, at most `CANDIDATES_AT_ONCE` at a time, and adds
/// their runners to `list`. Returns the orchestrators without a usable answer, with the reasons.
pub async fn find_runners(network: &Network, list: &mut DiscoveryList) -> Vec<Rejection> {
    let silent = list.entries.iter().enumerate().filter(|(_, entry)| entry.runners.is_empty());
    let mut waiting: VecDeque<(usize, Url)> =
        silent.map(|(at, entry)| (at, entry.address.clone())).collect();
    let (mut asked, mut rejected) = (JoinSet::new(), Vec::new());
    loop {
        while asked.len() < CANDIDATES_AT_ONCE {
            let Some((at, url)) = waiting.pop_front() else { break };
            let network = network.clone();
            asked.spawn(async move { (at, ask(&network, &url).await, url) });
        }
        let (at, answer, url) = match asked.join_next().await {
            None => return rejected,
            Some(Ok(told)) => told,
            // The task panicked, which is a bug of this crate. Only the runners of this orchestrator are lost.
            Some(Err(error)) => {
                log::warn!("a task for the discovery of runners failed: {error}");
                continue;
            }
        };
        match answer {
            Ok((own, zone)) => {
                list.malformed += own.malformed;
                list.beyond += own.beyond;
                let runners = followed(own, AnsweringPeer { url: &url, zone }, list);
                if let Some(entry) = list.entries.get_mut(at) {
                    entry.runners = runners;
                }
            }
            Err(reason) => {
                log::debug!("{}: no list of runners: {reason}", url.authority());
                let reason = RejectionReason::NoAnswer(Failure::of_peer(reason, Fault::NextPeer));
                rejected.push(Rejection { candidate: url, reason });
            }
        }
    }
}

/// Returns the runners of an orchestrator's own list whose URLs may be followed; the others are counted in `list`.
fn followed(own: DiscoveryList, peer: AnsweringPeer<'_>, list: &mut DiscoveryList) -> Vec<Runner> {
    let (mut runners, mut strays) = (Vec::new(), Vec::new());
    for mut runner in own.entries.into_iter().flat_map(|entry| entry.runners).take(RUNNERS) {
        match runner.follow(peer) {
            Ok(()) => runners.push(runner),
            Err(stray) => strays.push(stray),
        }
    }
    if let [stray, ..] = strays.as_slice() {
        let peer = peer.url.authority();
        log::warn!(
            "{peer}: {} of its runners are ignored; the URL of the first one {stray}",
            strays.len()
        );
    }
    strays.into_iter().for_each(|stray| list.on_stray(stray));
    runners
}

async fn ask(network: &Network, url: &Url) -> Result<(DiscoveryList, Zone), String> {
    let answer = network.client.call(HttpRequest::get(url.join(OWN_LIST))).await;
    let answer = answer.map_err(|error| error.to_string())?;
    match answer.status {
        200 => {
            let list = DiscoveryList::parse(&answer.body).map_err(|error| error.to_string())?;
            Ok((list, answer.zone))
        }
        404 => Err("has no runners (404)".to_owned()),
        status => Err(format!("gave status {status} for its list of runners")),
    }
}
