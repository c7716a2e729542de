//! Every started job is ended: also after a lost answer, a killed agent, and a reload or stop during the start.
//!
//! The sandbox behaves as the network's runner: a job that was not ended delays the next one.
#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod edge;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use edge::{Edge, LIMIT, SMALL, temporary};
use sandbox::{
    CallFailure, Endpoint, Failure, Handle, Options, Request, Role, RunnerOptions, Sandbox, Target,
};

fn sandbox(options: Options) -> Handle {
    Sandbox::start(options).unwrap()
}

/// Writes a configuration for a small job on this orchestrator.
fn write(file: &Path, at: &Handle, job: &str) {
    let text = format!(
        "[orchestrator]\nurls = [\"{}\"]\n[video]\nwidth = 320\nheight = 180\nsegment = \"1s\"\n\
         [encoder]\nspeed = \"ultrafast\"\n[job]\n{job}\n",
        at.url()
    );
    fs::write(file, text).unwrap();
}

fn is_delete(request: &Request) -> bool {
    request.method == "DELETE" && request.target == Target::Channel(Role::Publish)
}

async fn deleted(sandbox: &Handle, count: usize) {
    let done = sandbox
        .until(LIMIT, |record| record.requests().filter(|r| is_delete(r)).count() >= count)
        .await;
    assert!(done, "{count} channels are deleted");
}

/// Runs a job until the runner has read a control message of this job.
async fn live(file: &Path, at: &Handle, state: &Path) -> Edge {
    write(file, at, "model = \"m\"\nparams = { prompt = \"a cat\" }");
    let environment = [("STATE_DIRECTORY", state.to_str().unwrap())];
    let edge = Edge::start_with(&["run", "--config", file.to_str().unwrap()], &environment);
    let before = at.counters();
    assert!(at.until(LIMIT, |record| record.counters.segments > before.segments + 1).await);
    write(file, at, "model = \"m\"\nparams = { prompt = \"a dog\" }");
    edge.signal("HUP");
    assert!(at.until(LIMIT, |record| record.counters.updates > before.updates).await);
    edge
}

#[tokio::test]
async fn a_restart_ends_the_job_of_a_killed_agent() {
    let only = sandbox(Options::default());
    let (file, state) = (temporary("killed.toml"), temporary("killed-state"));
    let edge = live(&file, &only, &state).await;
    let list = state.join("endings");
    assert_eq!(fs::metadata(&list).unwrap().permissions().mode() & 0o777, 0o600, "it is a secret");
    edge.signal("KILL");
    let _ = edge.end();
    assert_eq!(only.manifests().len(), 1, "the killed agent left its job running");
    // After this time the runner is still busy with the job of the killed agent.
    tokio::time::sleep(Duration::from_secs(4)).await;

    let began = Instant::now();
    let mut edge = live(&file, &only, &state).await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    edge.hear("ended an earlier job");
    assert_eq!((only.counters().jobs, only.manifests().len()), (2, 1));
    edge.signal("TERM");
    let _ = edge.end().with_code(0);
    assert!(only.manifests().is_empty());
    assert_eq!(fs::read_to_string(&list).unwrap(), "", "no job remains to be ended");
}

#[tokio::test]
async fn a_second_agent_with_the_same_state_directory_does_not_end_the_job_of_the_first() {
    let (one, other) = (sandbox(Options::default()), sandbox(Options::default()));
    let state = temporary("shared-state");
    let first = live(&temporary("first.toml"), &one, &state).await;
    let mut second = live(&temporary("second.toml"), &other, &state).await;
    second.hear("another agent uses this state directory");
    for edge in [second, first] {
        assert_eq!(one.counters().jobs, 1, "the job of the first agent still runs");
        edge.signal("TERM");
        let _ = edge.end().with_code(0);
    }
}

#[tokio::test]
async fn the_end_of_a_job_is_requested_until_it_is_confirmed() {
    let only = sandbox(Options::default());
    let (file, state) = (temporary("deaf.toml"), temporary("deaf-state"));
    let mut edge = live(&file, &only, &state).await;
    let job = only.manifests()[0].clone();
    // The job is lost because its events end. The peer ignores three DELETE requests.
    for _ in 0..3 {
        only.once(Failure::Delete(500));
    }
    only.delete_channel(&format!("{job}-events"));
    edge.hear("the job was lost: ");
    deleted(&only, 4).await;
    edge.hear("ended an earlier job");
    assert!(only.until(LIMIT, |record| record.counters.jobs == 2).await);
    assert!(!only.manifests().contains(&job));
    edge.signal("TERM");
    let _ = edge.end().with_code(0);
}

#[tokio::test]
async fn a_job_is_ended_if_a_reload_comes_during_its_start() {
    let start_delay = Duration::from_secs(3);
    let only = sandbox(Options { capacity: 1, start_delay, ..Options::default() });
    let file = temporary("reload.toml");
    write(&file, &only, "model = \"old\"");
    let edge = Edge::start(&["run", "--config", file.to_str().unwrap()]);
    let is_asked = |request: &Request| request.target == Target::Start;
    assert!(only.until(LIMIT, |record| record.requests().any(is_asked)).await);
    write(&file, &only, "model = \"new\"");
    edge.signal("HUP");
    // The reload cancelled the start of the old job, which runs nevertheless and would delay the new one.
    deleted(&only, 1).await;
    assert!(only.until(LIMIT, |record| record.counters.segments >= 2).await);
    assert_eq!(only.manifests().len(), 1);
    edge.signal("TERM");
    let _ = edge.end().with_code(0);
    assert!(only.manifests().is_empty());
}

#[tokio::test]
async fn a_job_is_ended_if_a_stop_comes_during_its_start() {
    let start_delay = Duration::from_secs(2);
    let only = sandbox(Options { start_delay, ..Options::default() });
    let url = only.url();
    let job = ["run", "--job.model", "m", "--orchestrator.urls", &url];
    let edge = Edge::start(&[&job[..], &SMALL].concat());
    let is_asked = |request: &Request| request.target == Target::Start;
    assert!(only.until(LIMIT, |record| record.requests().any(is_asked)).await);
    edge.signal("TERM");
    let _ = edge.end().with_code(0);
    assert_eq!((only.counters().jobs, only.manifests().len()), (1, 0));
}

#[tokio::test]
async fn a_session_is_stopped_if_a_stop_comes_during_its_reservation() {
    let only = sandbox(Options { runners: vec![RunnerOptions::default()], ..Options::default() });
    only.once(Failure::Call(Endpoint::Reserve, CallFailure::Delay(Duration::from_secs(2))));
    let url = only.url();
    let job = ["run", "--runner.app", "echo", "--orchestrator.urls", &url];
    let edge = Edge::start(&[&job[..], &SMALL].concat());
    let is_asked = |request: &Request| request.target == Target::Call(Endpoint::Reserve);
    assert!(only.until(LIMIT, |record| record.requests().any(is_asked)).await);
    edge.signal("TERM");
    let _ = edge.end().with_code(0);
    let counters = only.counters();
    assert_eq!((counters.reserved, counters.stopped), (1, 1));
}
