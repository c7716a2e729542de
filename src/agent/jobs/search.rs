//! The search for a candidate: finds candidates, asks for their offers, and watches for unreachable peers to return.
//!
//! Does not: choose among them; `job::Machine` does.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::agent::JobPlan;
use crate::agent::event::JobsEvent;
use crate::agent::jobs::probes::Probes;
use crate::agent::jobs::spec::{Candidates, Offered, Offers, not_listed};
use crate::agent::wait::joined;
use livepeer_gateway::http::Url;
use livepeer_gateway::job;
use livepeer_gateway::orchestrator::Endpoints;

/// The search in progress, if any.
#[derive(Default)]
pub(super) struct Search {
    asks: JoinSet<JobsEvent>,
    /// The offers of the candidates found last.
    offers: Option<Offers>,
    probes: Probes,
}

impl Search {
    /// Waits for the next event. Cancel safe.
    pub(super) async fn next(&mut self) -> JobsEvent {
        tokio::select! {
            ended = joined(&mut self.asks) => {
                ended.unwrap_or_else(|error| JobsEvent::Panicked(error.to_string()))
            }
            () = self.probes.found() => JobsEvent::Reachable,
        }
    }

    /// Searches for candidates; the answer is [`JobsEvent::Found`]. Drops outstanding requests, which may hang until
    /// they time out.
    pub(super) fn find(&mut self, plan: &JobPlan) {
        let find = plan.spec.clone().find(plan.discovery.clone(), plan.network.clone());
        self.asks = JoinSet::new();
        self.asks.spawn(async move { JobsEvent::Found(find.await) });
    }

    /// Keeps the candidates found. Returns the event that gives their addresses and order to the machine.
    pub(super) fn on_found(&mut self, found: Candidates) -> job::MachineEvent<Offered> {
        self.offers = Some(found.offers);
        job::MachineEvent::Found { urls: found.urls, order: found.order }
    }

    /// Asks the candidate at `url` for its offer and logs that at `level`; the answer is [`JobsEvent::Asked`].
    pub(super) fn ask(&mut self, url: Url, plan: &JobPlan, level: log::Level) {
        let Some(offers) = &self.offers else {
            let offered = Err(not_listed());
            self.asks.spawn(async move { JobsEvent::Asked(url, Duration::ZERO, offered) });
            return;
        };
        if offers.are_asked() {
            log::log!(level, "{url}: asking for a session");
        }
        let offered = offers.of(&url, &plan.network);
        self.asks.spawn(async move {
            let (time, offered) = offered.await;
            JobsEvent::Asked(url, time, offered)
        });
    }

    /// Watches for unreachable peers to become reachable: those of the configuration, and the `known` candidates.
    pub(super) fn await_reach(&mut self, plan: &JobPlan, known: &[Url]) {
        let Endpoints { orchestrators, signers, discovery, .. } = &plan.discovery.endpoints;
        let mut peers: Vec<Url> = Vec::new();
        for url in known.iter().chain(orchestrators).chain(signers).chain(discovery) {
            if !peers.iter().any(|peer| peer.authority() == url.authority()) {
                peers.push(url.clone());
            }
        }
        self.probes.watch(peers, &plan.network.connector);
    }

    /// Stops the watch for unreachable peers. Call it when a job runs.
    pub(super) fn stop_watch(&mut self) {
        self.probes = Probes::default();
    }

    /// Drops all requests in progress. Call it when the configuration changes: the answers would belong to the old
    /// configuration.
    pub(super) fn drop_requests(&mut self) {
        self.asks = JoinSet::new();
        self.probes = Probes::default();
    }
}
