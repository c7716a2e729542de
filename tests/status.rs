//! The status of a running agent: its values, its JSON schema, and its metrics, which Prometheus's promtool must
//! accept.
//!
//! Needs promtool, which `cross/setup.sh` installs.
#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "../src/status/schema.rs"]
mod schema;
mod small_plan;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use livepeer_edge::agent::Agent;
use livepeer_edge::status::{LinkName, LinkState, Status, StatusReport, metrics};
use livepeer_gateway::http::Url;
use livepeer_gateway::orchestrator::TrustOptions;
use livepeer_gateway::payment::SessionOptions;
use livepeer_gateway::payment::io::Signers;
use livepeer_gateway::session::{Network, PaymentSetup};
use media::Source;
use resilience::stop::{Stop, Stopper};
use sandbox::{CallFailure, Endpoint, Failure, Handle, Sandbox, SignerOptions};
use tokio::task::JoinHandle;

/// The time limit of each wait: a longer wait means that the test hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// Starts an agent with this source and a job at `at`. The job is paid if `at` has a signer.
fn agent(source: Source, at: &Handle) -> (Status, Stopper, JoinHandle<()>) {
    let mut options = small_plan::options(&[at]);
    options.media.source = source;
    let payments = at.signer_url().map(|url| {
        let signer = Url::parse_base(&url, 0).unwrap();
        let signers = Signers::at(options.job.discovery.services.clone(), signer).unwrap();
        PaymentSetup { signers: Arc::new(signers), options: SessionOptions::default() }
    });
    options.job.network = Network::new(TrustOptions::default(), None, payments);
    let (stopper, stop) = Stop::new();
    let status = Status::default();
    let agent = Agent::new(options, status.clone(), Vec::new());
    let running = tokio::spawn(async move { agent.run(stop).await.unwrap() });
    (status, stopper, running)
}

/// Requests reports until one is `wanted`. Panics if a report does not match the schema.
async fn until(status: &Status, wanted: impl Fn(&StatusReport) -> bool) -> StatusReport {
    let by = Instant::now() + LIMIT;
    loop {
        let report = status.report(Instant::now());
        let document = serde_json::to_value(&report).unwrap();
        assert_eq!(schema::violations(&document), [""; 0]);
        if wanted(&report) {
            return report;
        }
        assert!(Instant::now() < by, "{document:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn state(report: &StatusReport, name: LinkName) -> LinkState {
    report.chain.iter().find(|link| link.link == name).unwrap().state
}

/// Asserts that promtool accepts the metrics of a report.
#[track_caller]
fn check_metrics(report: &StatusReport) {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/promtool");
    let program = if fetched.exists() { fetched.as_path() } else { Path::new("promtool") };
    let mut promtool = Command::new(program)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, which cross/setup.sh installs");
    let text = metrics(report);
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{said}\n{text}");
}

#[tokio::test]
async fn a_working_job_is_ready_and_reports_input_and_output_pictures() {
    let only = Sandbox::start(sandbox::Options::default()).unwrap();
    let (status, stopper, running) = agent(Source::Test, &only);
    let report = until(&status, |report| report.ready && report.returned.fps > 10.0).await;
    assert_eq!(report.summary, format!("live at {}", only.address()));
    assert_eq!(report.camera.name.as_deref(), Some("test picture"));
    assert_eq!(report.encoder.name.as_deref(), Some("x264enc"));
    assert_eq!((report.encoder.width, report.encoder.height), (Some(160), Some(120)));
    assert_eq!(report.job.orchestrator.as_deref(), Some(only.address().to_string().as_str()));
    assert_eq!(report.job.capability.as_deref(), Some("live-video-to-video/m"));
    assert!(report.camera.fps > 10.0 && report.uplink.bits_per_second > 10_000.0);
    // The sandbox returns each frame with its PTS, so round trips can be measured.
    let round_trip = report.round_trip.as_ref().expect("frames are matched by their PTS");
    assert!(round_trip.p99.unwrap() < 2.0, "{round_trip:?}");
    assert!(round_trip.count <= report.returned.frames);
    assert!(report.encoder.latency.is_some() && report.uplink.latency.is_some());
    check_metrics(&report);
    drop(stopper);
    running.await.unwrap();
}

#[tokio::test]
async fn a_paid_job_reports_its_cost() {
    let options = sandbox::Options {
        price: Some(3),
        signer: Some(SignerOptions::default()),
        ..sandbox::Options::default()
    };
    let only = Sandbox::start(options).unwrap();
    let (status, stopper, running) = agent(Source::Test, &only);
    let report = until(&status, |report| report.ready && report.payment.payments > 1).await;
    let payment = &report.payment;
    // 3 wei per pixel, for 720p at 30 frames/s, which is what the network charges for any picture.
    let hour = 3600 * 3 * 1280 * 720 * 30;
    assert_eq!(payment.wei_per_hour, Some(hour));
    // The first payment pays for 60 s.
    assert!(payment.wei >= hour / 60 && payment.wei < hour / 30, "{payment:?}");
    assert!(payment.seconds_paid_for.unwrap() > 50.0, "{payment:?}");
    assert_eq!((payment.is_paid, payment.failures), (true, 0));
    assert_eq!(state(&report, LinkName::Payment), LinkState::Ok);
    check_metrics(&report);
    // If the signer refuses, the summary says so, and the job continues.
    only.always(Failure::Call(Endpoint::MakePayment, CallFailure::status(503)));
    let report =
        until(&status, |report| state(report, LinkName::Payment) == LinkState::Failed).await;
    assert!(report.payment.failures > 0 && report.summary.contains("; payment failed: "));
    check_metrics(&report);
    drop(stopper);
    running.await.unwrap();
}

#[tokio::test]
async fn the_loss_of_the_orchestrator_is_reported() {
    let only = Sandbox::start(sandbox::Options::default()).unwrap();
    let (status, stopper, running) = agent(Source::Test, &only);
    until(&status, |report| report.ready).await;
    drop(only);
    let report = until(&status, |report| !report.ready).await;
    check_metrics(&report);
    let report =
        until(&status, |report| state(report, LinkName::Orchestrator) == LinkState::Failed).await;
    assert!(report.summary.starts_with("no job: "), "{}", report.summary);
    assert_eq!(report.job.swaps, 1);
    drop(stopper);
    running.await.unwrap();
}

#[tokio::test]
async fn a_missing_camera_is_reported_with_the_reason() {
    let only = Sandbox::start(sandbox::Options::default()).unwrap();
    let device = "/dev/nowhere".into();
    let source = Source::V4l2 { device, format: media::CameraFormat::Auto };
    let (status, stopper, running) = agent(source, &only);
    let report =
        until(&status, |report| state(report, LinkName::Camera) == LinkState::Failed).await;
    assert!(report.summary.starts_with("waiting for video: "), "{}", report.summary);
    assert!(report.chain.iter().any(|link| link.why.contains("/dev/nowhere")));
    assert_eq!(state(&report, LinkName::Orchestrator), LinkState::Waiting);
    check_metrics(&report);
    drop(stopper);
    running.await.unwrap();
}
