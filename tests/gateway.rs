//! Runs the example sessions in the crate documentation of `livepeer-gateway`.
//!
//! Does not: test the agent, which these sessions do not use.
#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]
#![allow(unreachable_pub, reason = "the examples are public functions, as in a library")]

#[path = "gateway_sessions/best_of.rs"]
mod best_of;
#[path = "gateway_sessions/off_chain.rs"]
mod off_chain;
mod small_camera;
#[path = "gateway_sessions/with_signer.rs"]
mod with_signer;

use std::time::Duration;

use bytes::Bytes;
use livepeer_edge::agent::MediaFlow;
use livepeer_gateway::{Stop, Url};
use media::TsPiecePlace;
use media::io::{AccessUnits, Capture};
use sandbox::{Failure, Handle, Options, Sandbox, SignerOptions, StartFailure};
use small_camera::camera;

const LIMIT: Duration = Duration::from_secs(20);

/// Whole segments of MPEG-TS.
async fn segments(count: usize) -> Vec<Bytes> {
    let units = AccessUnits::new();
    let _capture = camera(&units);
    let mut pieces = units.pieces();
    let mut segments: Vec<Vec<u8>> = Vec::new();
    loop {
        let piece = pieces.next().await.expect("the camera sends frames");
        if piece.place == TsPiecePlace::Begin {
            if segments.len() == count {
                return segments.into_iter().map(Bytes::from).collect();
            }
            segments.push(Vec::new());
        }
        segments.last_mut().expect("a segment has begun").extend_from_slice(&piece.bytes);
    }
}

fn url(sandbox: &Handle) -> Url {
    Url::parse_base(&sandbox.url(), 0).unwrap()
}

/// The video of a job, and the counters of the video.
fn video() -> (Capture, MediaFlow) {
    let units = AccessUnits::new();
    let capture = camera(&units);
    (capture, MediaFlow::new(units.pieces()).0)
}

#[tokio::test]
async fn an_off_chain_session_sends_its_segments_and_ends_its_job() {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    off_chain::off_chain(&sandbox.url(), segments(2).await).await.unwrap();
    assert!(sandbox.until(LIMIT, |record| record.counters.segments == 2).await);
    assert!(sandbox.wait(LIMIT, || sandbox.manifests().is_empty()).await, "the job has ended");
    assert_eq!(sandbox.violations().list(), []);
}

#[tokio::test]
async fn a_session_with_a_signer_pays_while_video_flows() {
    let signer = Some(SignerOptions::default());
    let sandbox =
        Sandbox::start(Options { price: Some(10), signer, ..Options::default() }).unwrap();
    let signer = Url::parse(&sandbox.signer_url().unwrap()).unwrap();
    let (_capture, video) = video();
    let (stopper, stop) = Stop::new();
    let url = url(&sandbox);
    let run = with_signer::with_signer(&url, signer, video, stop);
    let watch = async {
        // The first payment starts the job; the second one is for video.
        assert!(sandbox.wait(LIMIT, || sandbox.ledger().payments() >= 2).await);
        drop(stopper);
    };
    let (ended, ()) = tokio::join!(run, watch);
    ended.unwrap();
    assert!(sandbox.wait(LIMIT, || sandbox.manifests().is_empty()).await, "the job has ended");
    assert_eq!(sandbox.violations().list(), []);
}

#[tokio::test]
async fn selection_continues_after_an_orchestrator_that_cannot_start_the_job() {
    let (bad, good) = (Sandbox::start(Options::default()), Sandbox::start(Options::default()));
    let (bad, good) = (bad.unwrap(), good.unwrap());
    bad.always(Failure::Start(StartFailure::Worker("no memory".to_owned())));
    let (_capture, video) = video();
    let (stopper, stop) = Stop::new();
    let run = best_of::best_of(vec![url(&bad), url(&good)], video, stop);
    let watch = async {
        assert!(good.until(LIMIT, |record| record.counters.segments >= 1).await);
        drop(stopper);
    };
    let (taken, ()) = tokio::join!(run, watch);
    assert_eq!(taken.unwrap(), url(&good));
    assert!(good.wait(LIMIT, || good.manifests().is_empty()).await, "the job has ended");
}

#[tokio::test]
async fn selection_without_a_usable_orchestrator_fails_with_the_reasons() {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    let gone = url(&sandbox);
    sandbox.stop();
    let (_capture, video) = video();
    let error = best_of::best_of(vec![gone.clone()], video, Stop::new().1).await.unwrap_err();
    assert!(error.to_string().contains(&gone.authority().to_string()), "{error}");
}
