//! The starts under way, and the ends of jobs that came of a start but are not wanted any more.
//!
//! A start is never cut short while the program runs: the job that comes of it has to be ended.
//!
//! Does not: decide which job is wanted; `job::Machine` does.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::task::JoinSet;

use crate::agent::event::JobsEvent;
use crate::agent::jobs::parts::end_unwanted;
use crate::agent::jobs::spec::Offered;
use crate::agent::wait::joined;
use livepeer_gateway::http::Url;
use livepeer_gateway::job::StartedJob;
use livepeer_gateway::session::Network;
use resilience::backoff::jitter;

/// A start waits at most so long for the end of an earlier job at the same peer.
const OWED_TIME: Duration = Duration::from_secs(3);

/// The starts under way, each with its number.
#[derive(Default)]
pub(super) struct Starts {
    tasks: JoinSet<JobsEvent>,
    last: u64,
    /// The number of the start whose job is wanted.
    wanted: Option<u64>,
    /// What the last one was started with.
    params: Map<String, Value>,
    /// The job that takes over from the one that runs.
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

    /// The number of a new start, whose job is the one that is wanted.
    fn begin(&mut self, params: Map<String, Value>) -> u64 {
        self.params = params;
        self.last += 1;
        self.wanted = Some(self.last);
        self.last
    }

    /// The start with this number is over: whether its job is wanted.
    pub(super) fn finish(&mut self, number: u64) -> bool {
        let is_wanted = self.wanted == Some(number);
        self.wanted = self.wanted.filter(|_| !is_wanted);
        is_wanted
    }

    /// What the last start was made with.
    pub(super) fn params(&self) -> &Map<String, Value> {
        &self.params
    }

    /// Keeps the job that takes over from the one that runs.
    pub(super) fn keep_next(&mut self, job: StartedJob) {
        self.next = Some(job);
    }

    /// The job that takes over, if one was kept.
    pub(super) fn take_next(&mut self) -> Option<StartedJob> {
        self.next.take()
    }

    /// No job that is being started, or was started to take over, is wanted any more.
    pub(super) fn give_up(&mut self, network: &Network) {
        self.wanted = None;
        if let Some(job) = self.next.take() {
            self.end(job, network);
        }
    }

    /// Ends a job of which no part runs. Nothing waits for that, save the end of the program.
    pub(super) fn end(&mut self, job: StartedJob, network: &Network) {
        let network = network.clone();
        self.tasks.spawn(async move {
            end_unwanted(network, job).await;
            JobsEvent::Stopped
        });
    }

    /// Whether nothing is being started or ended.
    pub(super) fn are_over(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Cuts short what is under way. For the end of the program only.
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
