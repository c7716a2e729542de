//! A job whose 33-bit timestamps wrap, simulated in seconds: media time skips hours, as after a pause of the camera.
//!
//! Does not: test the hand-over to a new job before the wrap; `renewal` does.
#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod sandbox_client;
mod small_camera;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use livepeer_edge::agent::MediaFlow;
use livepeer_gateway::http::Url;
use livepeer_gateway::job::{JobOptions, LiveVideoJob};
use livepeer_gateway::orchestrator::TrustOptions;
use livepeer_gateway::session::{Network, OrchestratorSession};
use livepeer_gateway::trickle::io::Publisher;
use media::io::AccessUnits;
use resilience::stop::{Stop, Stopper};
use sandbox::{Handle, Options, Sandbox, Violation};
use small_camera::camera;

const LIMIT: Duration = Duration::from_secs(20);
const HOUR: Duration = Duration::from_secs(3600);
/// 26.5 h, in ticks of 90 kHz.
const WRAP: u64 = 1 << 33;

/// Starts a job and publishes to it until the stopper is dropped.
async fn job(sandbox: &Handle, units: &AccessUnits) -> Stopper {
    let network = Network::new(TrustOptions::default(), None, None);
    let url = Url::parse_base(&sandbox.url(), 0).unwrap();
    let capability = "live-video-to-video/m".parse().unwrap();
    let session = OrchestratorSession::open(&network, &url, &capability).await.unwrap();
    let options = JobOptions { model: "m".to_owned(), ..JobOptions::default() };
    let job = LiveVideoJob::start(session, &options, 0.5).await.unwrap();
    let mime = HeaderValue::from_static("video/mp2t");
    let publish = job.channels().publish.clone();
    let publisher = Publisher::new(Arc::clone(&network.connector), publish, mime, Arc::default());
    let (stopper, stop) = Stop::new();
    tokio::spawn(publisher.run(MediaFlow::new(units.pieces()).0, stop));
    stopper
}

async fn segments(sandbox: &Handle, more: u64) {
    let wanted = sandbox.counters().segments + more;
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= wanted).await, "{wanted}");
}

#[tokio::test]
async fn a_job_that_runs_over_the_wrap_loses_its_video_and_the_next_job_does_not() {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    let units = AccessUnits::new();
    let capture = camera(&units);
    let old = job(&sandbox, &units).await;
    segments(&sandbox, 1).await;
    for _ in 0..2 {
        units.skip(12 * HOUR);
        segments(&sandbox, 2).await;
    }
    assert_eq!((sandbox.violations().count(), sandbox.counters().dropped), (0, 0));
    let now = sandbox.look(|record| record.newest.unwrap().pts);
    let left = Duration::from_secs((WRAP - now) / 90_000);
    units.skip(left - Duration::from_secs(2));
    assert!(sandbox.until(LIMIT, |record| record.counters.dropped > 0).await);
    let found = sandbox.violations();
    let is_time = |found: &Violation| matches!(found, Violation::TimeBack { .. });
    assert!(found.list().iter().all(is_time), "{found:?}");
    // The segment that is being written is completed without further frames.
    segments(&sandbox, 1).await;
    let outputs = sandbox.counters().outputs;
    segments(&sandbox, 2).await;
    assert_eq!(sandbox.counters().outputs, outputs, "no video is returned");

    drop(old);
    assert!(sandbox.wait(LIMIT, || sandbox.manifests().is_empty()).await);
    let (outputs, dropped) = (sandbox.counters().outputs, sandbox.counters().dropped);
    let _new = job(&sandbox, &units).await;
    segments(&sandbox, 2).await;
    assert!(sandbox.wait(LIMIT, || sandbox.counters().outputs >= outputs + 2).await);
    assert_eq!((sandbox.counters().dropped, sandbox.violations()), (dropped, found));
    capture.stop().await;
}

#[tokio::test]
async fn a_job_that_starts_just_before_the_wrap_uses_timestamps_after_it() {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    let units = AccessUnits::new();
    units.skip(Duration::from_secs(WRAP / 90_000 - 30));
    let capture = camera(&units);
    let _job = job(&sandbox, &units).await;
    segments(&sandbox, 2).await;
    // The runner would drop frames whose timestamps are in the minute before the wrap.
    let newest = sandbox.look(|record| record.newest.unwrap().pts);
    assert!(newest < 30 * 90_000, "{newest}");
    assert_eq!((sandbox.violations().count(), sandbox.counters().dropped), (0, 0));
    capture.stop().await;
}
