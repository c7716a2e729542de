//! The starts in progress, and the stops of started jobs that are not wanted any more.
//!
//! A start is never aborted while the program runs: the job that it starts has to be stopped.
//!
//! Does not: decide which job is wanted; `job::Machine` does.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::task::JoinSet;

use crate::agent::event::JobsEvent;
use crate::agent::jobs::parts::stop_unused;
use crate::agent::jobs::spec::Offered;
use crate::agent::wait::joined;
use livepeer_gateway::http::Url;
use livepeer_gateway::job::StartedJob;
use livepeer_gateway::session::Network;
use resilience::backoff::jitter;

/// The longest time that a start waits for the stop of an earlier job at the same peer.
const OWED_TIME: Duration = Duration::from_secs(3);

/// The starts in progress, each with its number.
#[derive(Default)]
pub(super) struct Starts {
    tasks: JoinSet<JobsEvent>,
    last: u64,
    /// The number of the start whose job is wanted.
    wanted: Option<u64>,
    /// The parameters of the last start.
    params: Map<String, Value>,
    /// The started job that takes over from the live one.
    next: Option<StartedJob>,
}

impl Starts {
    /// Waits for the next event. Cancel safe.
    pub(super) async fn next(&mut self) -> JobsEvent {
        match joined(&mut self.tasks).await {
            Ok(event) => event,
            Err(error) if error.is_cancelled() => JobsEvent::Stopped,
            Err(error) => JobsEvent::Panicked(error.to_string()),
        }
    }

    /// Starts the job at `url` with `params`; the answer is [`JobsEvent::Started`].
    pub(super) fn start(
        &mut self,
        url: &Url,
        offered: Offered,
        params: Map<String, Value>,
        network: Network,
    ) {
        let number = self.begin(params.clone());
        let peers = offered.peers(url);
        self.tasks.spawn(async move {
            network.endings.settle_at(&peers, OWED_TIME).await;
            let started = offered.start(params, network, jitter()).await;
            JobsEvent::Started(number, started.map(Box::new))
        });
    }

    /// Numbers a new start, and makes its job the wanted one.
    fn begin(&mut self, params: Map<String, Value>) -> u64 {
        self.params = params;
        self.last += 1;
        self.wanted = Some(self.last);
        self.last
    }

    /// Call it when the start with this number has ended. Returns whether its job is wanted.
    pub(super) fn finish(&mut self, number: u64) -> bool {
        let is_wanted = self.wanted == Some(number);
        self.wanted = self.wanted.filter(|_| !is_wanted);
        is_wanted
    }

    /// The parameters of the last start.
    pub(super) fn params(&self) -> &Map<String, Value> {
        &self.params
    }

    /// Keeps a started job that takes over from the live one.
    pub(super) fn keep_next(&mut self, job: StartedJob) {
        self.next = Some(job);
    }

    /// Takes the job that takes over, if one was kept.
    pub(super) fn take_next(&mut self) -> Option<StartedJob> {
        self.next.take()
    }

    /// Abandons the start in progress, and stops the job that was kept to take over.
    pub(super) fn give_up(&mut self, network: &Network) {
        self.wanted = None;
        if let Some(job) = self.next.take() {
            self.end(job, network);
        }
    }

    /// Stops a job without running parts, in a task. Only the end of the program waits for that.
    pub(super) fn end(&mut self, job: StartedJob, network: &Network) {
        let network = network.clone();
        self.tasks.spawn(async move {
            stop_unused(network, job).await;
            JobsEvent::Stopped
        });
    }

    /// Whether no start and no stop is in progress.
    pub(super) fn are_over(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Aborts all starts and stops. Call it at the end of the program only.
    pub(super) fn abort(&mut self) {
        self.tasks.abort_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_job_of_the_last_start_is_wanted_and_only_once() {
        let mut starts = Starts::default();
        let (first, second) = (starts.begin(Map::new()), starts.begin(Map::new()));
        assert!(!starts.finish(first));
        assert!(starts.finish(second));
        assert!(!starts.finish(second));
    }
}
