//! Opens a session with the best of several orchestrators.
//!
//! Does not: start a job there.

use std::time::Instant;

use tokio::task::JoinSet;

use crate::http::Url;
use crate::orchestrator::Capability;
use crate::session::selection::{
    CandidateOrder, NoCandidateLeft, Offer, OfferRules, Selection, SelectionStep, Suspensions,
};
use crate::session::{Network, OrchestratorSession};

impl OrchestratorSession {
    /// Asks `candidates` for their offers, five at a time, and opens a session with the best one that has `capability`
    /// and complies with `rules`; `order` says which is best. No payment is made. If the job does not start there, call
    /// this again without that candidate.
    pub async fn select(
        network: &Network,
        candidates: impl IntoIterator<Item = Url>,
        capability: &Capability,
        rules: OfferRules,
        order: CandidateOrder,
    ) -> Result<Self, NoCandidateLeft> {
        let now = Instant::now();
        let mut selection = Selection::new(rules, order, candidates, &Suspensions::default(), now);
        let mut asked = JoinSet::new();
        loop {
            let until = match selection.step(Instant::now()) {
                SelectionStep::Try(best) => return Ok(best.answer),
                SelectionStep::None(none) => return Err(none),
                SelectionStep::Wait(until) => until,
                SelectionStep::Ask(urls) => {
                    for url in urls {
                        let (network, capability) = (network.clone(), capability.clone());
                        asked.spawn(async move {
                            let begun = Instant::now();
                            let opened = Self::open(&network, &url, &capability).await;
                            (url, begun.elapsed(), opened)
                        });
                    }
                    continue;
                }
            };
            let answered = async {
                match asked.join_next().await {
                    Some(answered) => answered,
                    None => std::future::pending().await,
                }
            };
            match tokio::time::timeout_at(until.into(), answered).await {
                Ok(Ok((url, time, Ok(session)))) => {
                    let offer = Offer::of_info(session.info(), capability);
                    let reason = selection.on_offer(&url, offer, time, session, Instant::now());
                    reason.inspect(|reason| log::debug!("{url}: {reason}"));
                }
                Ok(Ok((url, _, Err(error)))) => selection.on_no_answer(&url, error.failure()),
                // The candidate did not answer in time, or its task panicked: continue the selection without it.
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }
}
