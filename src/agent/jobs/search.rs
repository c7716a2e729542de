//! The search for who takes the job: finds candidates, asks what they offer, and looks out for peers that cannot be
//! reached.
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

/// The search that is under way, if one is.
#[derive(Default)]
pub(super) struct Search {
    asks: JoinSet<JobsEvent>,
    /// What those who were found last offer.
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

    /// Finds out who may take the job; the answer is [`JobsEvent::Found`]. Drops outstanding requests: they may hang
    /// until they time out.
    pub(super) fn find(&mut self, plan: &JobPlan) {
        let find = plan.spec.clone().find(plan.discovery.clone(), plan.network.clone());
        self.asks = JoinSet::new();
        self.asks.spawn(async move { JobsEvent::Found(find.await) });
    }

    /// These were found; who they are, and who of them is tried first.
    pub(super) fn on_found(&mut self, found: Candidates) -> job::Event<Offered> {
        self.offers = Some(found.offers);
        job::Event::Found { urls: found.urls, order: found.order }
    }

    /// Asks the candidate at `url` what it offers, which the log says at `level`; the answer is [`JobsEvent::Asked`].
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

    /// Looks out for peers that cannot be reached now, and so can take no job before they can: those of the
    /// configuration, and the candidates that are `known`.
    pub(super) fn await_reach(&mut self, plan: &JobPlan, known: &[Url]) {
        let Endpoints { orchestrators, signers, discovery, .. } = &plan.discovery.endpoints;
        let mut peers: Vec<Url> = Vec::new();
        for url in known.iter().chain(orchestrators).chain(signers).chain(discovery) {
            if !peers.iter().any(|peer| peer.authority() == url.authority()) {
                peers.push(url.clone());
            }
        }
        self.probes.look_out(peers, &plan.network.connector);
    }

    /// Stops the look-out: a job runs, and nobody is waited for.
    pub(super) fn stop_look_out(&mut self) {
        self.probes = Probes::default();
    }

    /// Drops what is under way: answers to what was asked of another configuration are of no use.
    pub(super) fn drop_requests(&mut self) {
        self.asks = JoinSet::new();
        self.probes = Probes::default();
    }
}
