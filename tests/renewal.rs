//! A job that lasts a day, simulated in seconds: a new job takes over before the timestamps of the first one wrap, and
//! no frame is lost.
//!
//! The sandbox reads timestamps like the network's runner, which would drop all frames after a wrap.
#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod small_plan;

use std::time::{Duration, Instant};

use livepeer_edge::agent::Agent;
use livepeer_edge::status::Status;
use media::io::AccessUnits;
use resilience::stop::{Stop, Stopper};
use sandbox::{self, Handle, Sandbox};
use tokio::task::JoinHandle;

/// The time limit of each wait: a longer wait means that the test hangs.
const LIMIT: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn agent(at: &[&Handle]) -> (AccessUnits, Stopper, JoinHandle<()>) {
    let units = AccessUnits::new();
    let (stopper, stop) = Stop::new();
    let agent = Agent::new(small_plan::options(at), Status::default(), Vec::new());
    let agent = agent.with_units(units.clone());
    let running = tokio::spawn(async move { agent.run(stop).await.unwrap() });
    (units, stopper, running)
}

fn frames(at: &[&Handle]) -> u64 {
    at.iter().map(|at| at.counters().access_units).sum()
}

async fn more_frames(at: &[&Handle], count: u64) {
    let (by, before) = (Instant::now() + LIMIT, frames(at));
    while frames(at) < before + count {
        assert!(Instant::now() < by, "fewer than {count} more frames arrived");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for the next job. Returns the longest time without a frame up to two seconds after its start.
async fn handed_over(at: &[&Handle], jobs: u64) -> Duration {
    let started = Instant::now();
    let (mut last, mut count, mut gap, mut over) =
        (Instant::now(), frames(at), Duration::ZERO, None);
    while over.is_none_or(|over: Instant| over.elapsed() < Duration::from_secs(2)) {
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(started.elapsed() < LIMIT, "the next job did not start");
        if frames(at) > count {
            (count, last) = (frames(at), Instant::now());
        }
        gap = gap.max(last.elapsed());
        if over.is_none() && at.iter().map(|at| at.counters().jobs).sum::<u64>() > jobs {
            over = Some(Instant::now());
        }
    }
    gap
}

async fn check(orchestrators: usize) {
    let start = |_| Sandbox::start(sandbox::Options::default()).unwrap();
    let started: Vec<Handle> = (0..orchestrators).map(start).collect();
    let at: Vec<&Handle> = started.iter().collect();
    let (units, stopper, running) = agent(&at);
    more_frames(&at, 48).await;
    for _ in 0..2 {
        // The day is simulated in two steps, because a step of more than half the timestamp range looks like a step
        // back.
        units.skip(12 * HOUR);
        more_frames(&at, 24).await;
    }
    let gap = handed_over(&at, 1).await;
    assert!(gap < Duration::from_secs(2), "{gap:?} without a frame");
    let manifests: usize = at.iter().map(|at| at.manifests().len()).sum();
    assert_eq!(manifests, 1, "the old job is closed");

    // The timestamps wrap 26.5 h after the first frame of the first job.
    units.skip(3 * HOUR);
    more_frames(&at, 72).await;
    let counters: Vec<_> = at.iter().map(|at| at.counters()).collect();
    assert_eq!(counters.iter().map(|counters| counters.jobs).sum::<u64>(), 2);
    assert_eq!(counters.iter().map(|counters| counters.dropped).sum::<u64>(), 0);
    if orchestrators > 1 {
        assert!(
            counters.iter().all(|counters| counters.jobs == 1),
            "the other orchestrator has the next job"
        );
    }
    drop(stopper);
    running.await.unwrap();
    for at in at {
        assert_eq!(at.violations().list(), []);
        assert!(at.manifests().is_empty());
    }
}

#[tokio::test]
async fn the_only_orchestrator_gets_a_new_job_before_the_wrap() {
    check(1).await;
}

#[tokio::test]
async fn a_second_orchestrator_takes_over_before_the_wrap() {
    check(2).await;
}
