//! Signals: after the first one the program ends the segment, deletes the channel and closes the job, and ends with
//! exit code 0 within a time limit even if the peer does not answer; the second signal ends the program at once.
//!
//! Does not: test the stop of each part; the tests of the parts do.
#![cfg(feature = "sandbox")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod edge;
mod peers;
mod stream;

use std::time::{Duration, Instant};

use edge::{Edge, Ended, LIMIT, SMALL, say, temporary};
use livepeer_edge::agent::{DRAIN_TIME, END_TIME};
use livepeer_edge::cli::TOGETHER;
use sandbox::{Handle, Options, Role, Sandbox, Target};

/// The maximum time from the signal to the end of the program.
const STOP: Duration = Duration::from_secs(2);
/// The maximum time from the signal to the end while a job is being started: the program waits up to 5 s for the
/// answer, which it needs to end the job.
const STOP_IN_START: Duration = Duration::from_secs(7);

fn start(url: &str, more: &[&str]) -> Edge {
    let job = ["run", "--orchestrator.urls", url, "--job.model", "m", "--log.level", "debug"];
    Edge::start(&[&job[..], &SMALL, more].concat())
}

fn sandbox(start_delay: Duration) -> Handle {
    Sandbox::start(Options { start_delay, ..Options::default() }).unwrap()
}

/// Sends a signal and waits for the end of the program. Panics unless the program ends within [`STOP`] with exit code
/// 0.
#[track_caller]
fn stop(edge: Edge, signal: &str) -> Ended {
    stop_within(STOP, edge, signal)
}

#[track_caller]
fn stop_within(limit: Duration, edge: Edge, signal: &str) -> Ended {
    let since = Instant::now();
    edge.signal(signal);
    let ended = edge.end().with_code(0);
    let time = since.elapsed();
    say(&format!("{signal}: ended after {time:?}"));
    assert!(time < limit, "{time:?}\n{}", ended.stderr);
    assert!(!ended.stderr.contains("error: "), "{}", ended.stderr);
    ended
}

/// Starts an orchestrator as a separate process. Returns it with its URL.
fn other_process() -> (Edge, String) {
    let mut sandbox = Edge::start(&["sandbox", "--listen", "127.0.0.1:0"]);
    let line = sandbox.hear("orchestrator at ");
    let (_, rest) = line.split_once("orchestrator at ").unwrap();
    let url = rest.split(',').next().unwrap().to_owned();
    (sandbox, url)
}

async fn check_healthy(signal: &str) {
    let sandbox = sandbox(Duration::ZERO);
    let output = temporary("out.ts");
    let edge = start(&sandbox.url(), &["--output.path", output.to_str().unwrap()]);
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= 1).await);
    let ended = stop(edge, signal);

    let counters = sandbox.counters();
    assert_eq!((counters.jobs, counters.truncated), (1, 0));
    assert_eq!((sandbox.violations().list(), sandbox.manifests()), (&[][..], Vec::new()));
    let deleted = |role| {
        let target = Target::Channel(role);
        sandbox.look(|record| record.requests().any(|r| r.method == "DELETE" && r.target == target))
    };
    assert!(deleted(Role::Publish), "{}", ended.stderr);
    // The output also has the video that was in flight when the signal came.
    let segments = stream::segments(&std::fs::read(&output).unwrap());
    assert_eq!(segments.len() as u64, counters.segments);
    let units: usize = segments.iter().map(|segment| segment.units.len()).sum();
    assert_eq!(units as u64, counters.access_units);
}

#[tokio::test]
async fn sigterm_ends_the_segment_and_closes_the_job() {
    check_healthy("TERM").await;
}

#[tokio::test]
async fn sigint_ends_the_segment_and_closes_the_job() {
    check_healthy("INT").await;
}

#[test]
fn a_frozen_peer_does_not_delay_the_stop() {
    for signal in ["TERM", "INT"] {
        let (sandbox, url) = other_process();
        let mut edge = start(&url, &[]);
        edge.hear("segment 0 answered 200");
        sandbox.signal("STOP");
        stop(edge, signal);
    }
}

#[test]
fn a_dead_peer_does_not_delay_the_stop() {
    let (sandbox, url) = other_process();
    let mut edge = start(&url, &[]);
    edge.hear("segment 0 answered 200");
    drop(sandbox);
    stop(edge, "TERM");
}

#[test]
fn a_stop_while_connecting_does_not_wait_for_the_peer() {
    let mut edge = start(&format!("https://127.0.0.1:{}", peers::silent()), &[]);
    edge.hear("asking for a session");
    stop(edge, "INT");
}

#[tokio::test]
async fn a_stop_while_the_job_starts_ends_within_a_limit() {
    let sandbox = sandbox(Duration::from_secs(60));
    let edge = start(&sandbox.url(), &[]);
    let asked =
        |record: &sandbox::Record| record.requests().any(|request| request.target == Target::Start);
    assert!(sandbox.until(LIMIT, asked).await);
    stop_within(STOP_IN_START, edge, "TERM");
}

#[tokio::test]
async fn a_job_that_starts_after_the_stop_is_closed() {
    let sandbox = sandbox(Duration::from_millis(300));
    let edge = start(&sandbox.url(), &[]);
    let asked =
        |record: &sandbox::Record| record.requests().any(|request| request.target == Target::Start);
    assert!(sandbox.until(LIMIT, asked).await);
    stop(edge, "TERM");
    assert_eq!((sandbox.counters().jobs, sandbox.manifests()), (1, Vec::new()));
}

#[test]
fn a_second_signal_ends_the_program_at_once() {
    let (sandbox, url) = other_process();
    let mut edge = start(&url, &[]);
    edge.hear("segment 0 answered 200");
    sandbox.signal("STOP");
    edge.signal("TERM");
    let since = Instant::now();
    edge.hear("SIGTERM: stopping; another signal stops at once");
    std::thread::sleep(TOGETHER);
    edge.signal("INT");
    let ended = edge.end().with_code(1);
    // This is less than a graceful end would take with this peer.
    assert!(since.elapsed() < DRAIN_TIME + END_TIME, "{:?}", since.elapsed());
    assert_eq!(ended.error(), "error: stopped at once by a second signal");
}

/// `timeout` sends the signal to its child and to its process group, so the program gets one request as two signals.
#[tokio::test]
async fn two_signals_in_quick_succession_count_as_one() {
    let sandbox = sandbox(Duration::ZERO);
    let url = sandbox.url();
    let job = ["5", env!("CARGO_BIN_EXE_livepeer-edge"), "run", "--orchestrator.urls", &url];
    let mut timeout = std::process::Command::new("timeout");
    timeout.args(job).args(["--job.model", "m"]).args(SMALL);
    let state = temporary("state");
    timeout.env("STATE_DIRECTORY", &state).stderr(std::process::Stdio::piped());
    let timeout = timeout.spawn().expect("timeout is there");
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= 1).await);
    let ended = tokio::task::spawn_blocking(|| timeout.wait_with_output()).await.unwrap().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(!said.contains("error: "), "{said}");
    // `timeout` ends with 124 if it stopped its child.
    assert_eq!(ended.status.code(), Some(124));
    assert_eq!((sandbox.counters().jobs, sandbox.manifests()), (1, Vec::new()), "{said}");
}

#[test]
fn a_stopped_demo_prints_its_summary() {
    let mut edge = Edge::start(&[&["demo"][..], &SMALL].concat());
    edge.hear(" 1 segments ");
    let ended = stop(edge, "INT");
    assert!(ended.stderr.contains("\nviolations  0\n"), "{}", ended.stderr);
}

#[test]
fn a_stopped_sandbox_prints_its_counters() {
    let (sandbox, url) = other_process();
    let mut edge = start(&url, &[]);
    edge.hear("segment 0 answered 200");
    stop(edge, "TERM");
    let ended = stop(sandbox, "TERM");
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.contains("1 jobs, ") && last.ends_with(" 0 violations"), "{last}");
}
