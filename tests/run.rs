//! The command `run` against orchestrators, and against peers that are not orchestrators: the received video, the log,
//! and the exit codes.
//!
//! Does not: stop jobs by signals; `stop` does.
#![cfg(feature = "sandbox")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod edge;
mod peers;
mod sandbox_client;
mod stream;

use std::fs;
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use edge::{Edge, Ended, SMALL, run, temporary};
use livepeer_gateway::orchestrator::proto::SegData;
use prost::Message;
use sandbox::{Failure, Handle, InfoFailure, Options, Sandbox, StartFailure, Target, Timings};
use sandbox_client::Client;
use serde_json::{Value, json};

/// The maximum time from the start of the process to the first byte of video: 1 s on an idle machine, and 4 s more for
/// a busy machine and a debug build.
const FIRST_BYTE: Duration = Duration::from_secs(5);

fn sandbox() -> Handle {
    Sandbox::start(Options::default()).unwrap()
}

/// The arguments of a small job on these orchestrators.
fn job<'a>(urls: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    // With this option a failure ends the program; `tests/lasting.rs` tests the recovery.
    let job = ["run", "--job.on-loss", "exit", "--orchestrator.urls", urls, "--job.model", "m"];
    [&job[..], &SMALL, more].concat()
}

/// Runs a small job on these orchestrators to its end.
#[track_caller]
fn run_job(urls: &str, more: &[&str]) -> Ended {
    run(&job(urls, more))
}

/// Asserts that the program ends with exit code 1 and one error line that begins with `expected`.
#[track_caller]
fn check(urls: &str, expected: &str) {
    let ended = run_job(urls, &[]).with_code(1);
    let error = ended.error().strip_prefix("error: ").unwrap();
    assert!(error.starts_with(expected), "{error:?}\n{expected:?}");
}

/// Runs a job on an orchestrator that fails as scripted, and asserts exit code and error like [`check`]. In `expected`,
/// `HOST` stands for the orchestrator's host and port.
#[track_caller]
fn check_failure(failure: Failure, expected: &str) {
    let sandbox = sandbox();
    sandbox.always(failure);
    check(&sandbox.url(), &expected.replace("HOST", &sandbox.address().to_string()));
}

#[tokio::test]
async fn a_job_is_started_with_all_configured_values_and_sends_video_at_once() {
    let status_every = Duration::from_millis(100);
    let timings = Timings { status_every, ..Timings::default() };
    let sandbox = Sandbox::start(Options { timings, ..Options::default() }).unwrap();
    let (config, output) = (temporary("camera.toml"), temporary("processed.ts"));
    let text = format!(
        "[video]\nwidth = 320\nheight = 180\nsegment = \"1s\"\n\
         [encoder]\nspeed = \"ultrafast\"\n\
         [orchestrator]\nurls = [\"{}\"]\n\
         [job]\nmodel = \"some/model\"\nparams = {{ prompt = \"a cat\", steps = [1, 2] }}\n\
         stream-id = \"cam-1\"\n\
         [output]\npath = \"{}\"\n[log]\nlevel = \"debug\"\n",
        sandbox.url(),
        output.display()
    );
    fs::write(&config, text).unwrap();
    let mut edge = Edge::start(&["run", "--config", config.to_str().unwrap()]);

    assert!(sandbox.until(edge::LIMIT, |record| record.counters.jobs == 1).await);
    let manifest = sandbox.manifests().remove(0);
    let mut viewer = Client::connect(&sandbox).await;
    viewer.send(&format!("GET /ai/trickle/{manifest}-out/0 HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    viewer.head().await;
    let first = viewer.next_chunk().await;
    let time = edge.began.elapsed();
    edge::say(&format!("first byte of video {time:?} after the start"));
    assert!(first.starts_with(&[0x47]) && time < FIRST_BYTE, "{time:?}");

    let start = sandbox.look(|record| {
        let mut starts = record.requests().filter(|request| request.target == Target::Start);
        starts.next().unwrap().clone()
    });
    let body: Value = serde_json::from_slice(&start.body).unwrap();
    assert_eq!(body["model_id"], "some/model");
    assert_eq!(body["params"], json!({ "prompt": "a cat", "steps": [1, 2] }));
    assert_eq!(body["stream_id"], "cam-1");
    assert_eq!(start.header("livepeer-payment"), Some(""));

    let event = edge.hear(" event status");
    assert!(event.starts_with("DEBUG ") && event.contains("a cat"), "{event}");
    // The agent sends a keep-alive every 10 s.
    let by = edge::LIMIT;
    assert!(
        sandbox.until(by, |record| record.controls().any(|c| c == r#"{"keep":"alive"}"#)).await
    );
    let life = edge.began.elapsed();
    assert!((9..40).contains(&life.as_secs()), "{life:?}");
    edge.signal("TERM");
    edge.end().with_code(0);
    assert_eq!(sandbox.violations().list(), []);
    let units: usize =
        stream::segments(&fs::read(&output).unwrap()).iter().map(|s| s.units.len()).sum();
    assert_eq!(units as u64, sandbox.counters().access_units);
}

/// The network's runner restarts the continuity counters in each segment.
#[tokio::test]
async fn libav_reads_the_output_without_a_corrupt_packet() {
    let options = Options { restarts_counters: true, ..Options::default() };
    let sandbox = Sandbox::start(options).unwrap();
    let output = temporary("processed.ts");
    let mut edge = Edge::start(&job(&sandbox.url(), &["--output.path", output.to_str().unwrap()]));
    edge.hear("started, model m");
    assert!(sandbox.until(edge::LIMIT, |record| record.counters.segments >= 4).await);
    edge.signal("TERM");
    edge.end().with_code(0);

    let arguments = ["-v", "debug", "-fflags", "+discardcorrupt", "-i", output.to_str().unwrap()];
    let decode = ["-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-"];
    let decoded = Command::new("ffmpeg").args(arguments).args(decode).output().expect("ffmpeg");
    let said = String::from_utf8_lossy(&decoded.stderr);
    for failure in ["corrupt ", "Continuity check failed", "PES packet size mismatch"] {
        assert!(!said.contains(failure), "{failure} in:\n{said}");
    }
    let frames = String::from_utf8(decoded.stdout).unwrap();
    let frames = frames.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(frames as u64, sandbox.counters().access_units);
}

#[tokio::test]
async fn no_secret_is_shown_at_any_level() {
    let sandbox = sandbox();
    let more = ["--log.level", "trace", "--job.params", r#"{"effect":"gray"}"#];
    let mut edge = Edge::start(&job(&sandbox.url(), &more));
    edge.hear("DEBUG ");
    assert!(sandbox.until(edge::LIMIT, |record| record.counters.segments >= 2).await);
    edge.signal("INT");
    let ended = edge.end().with_code(0);

    let header = sandbox.look(|record| {
        let start = record.requests().find(|request| request.target == Target::Start).unwrap();
        start.header("livepeer-segment").unwrap().to_owned()
    });
    let token = SegData::decode(&*STANDARD.decode(&header).unwrap()).unwrap().auth_token.unwrap();
    let hex: String = token.token.iter().map(|byte| format!("{byte:02x}")).collect();
    let secrets = [
        header,
        STANDARD.encode(&token.token),
        hex,
        format!("{:?}", token.token),
        token.session_id,
        "ai/trickle".to_owned(),
    ];
    for secret in secrets {
        assert!(!ended.stderr.contains(&secret), "{secret} in:\n{}", ended.stderr);
    }
    assert_eq!(ended.stdout, b"");
}

#[test]
fn all_mistakes_in_the_configuration_are_reported_at_once() {
    let config = temporary("wrong.toml");
    fs::write(
        &config,
        "[video]\nwidht = 640\nfps = 90\nheight = \"tall\"\n\n[orchestrator]\nurls = [\"ftp://o\"]\n\
         trust = \"nobody\"\n\n[job]\nmodel = 7\n",
    )
    .unwrap();
    let file = config.to_str().unwrap();
    let ended = run(&["run", "--config", file, "--video.bitrate", "2 parsec"]).with_code(2);
    for (place, words) in [
        (":2: video.widht: ", "width"),
        (":3: video.fps: found 90", "1 to 60 frames/s"),
        (":4: video.height: found \"tall\"", "64 to 2160 pixels"),
        (":7: orchestrator.urls: ", "ftp"),
        (":8: orchestrator.trust: found \"nobody\"", "tofu, ca, pin, insecure"),
        (":11: job.model: found 7", "model id"),
    ] {
        let line = ended.stderr.lines().find(|line| line.contains(place));
        let line = line.unwrap_or_else(|| panic!("no {place} in:\n{}", ended.stderr));
        assert!(line.starts_with(file) && line.contains(words), "{line}");
    }
    assert!(ended.stderr.contains("--video.bitrate: "), "{}", ended.stderr);
    assert!(
        ended.stderr.starts_with("error: 7 problems in the configuration\n"),
        "{}",
        ended.stderr
    );
    assert_eq!((ended.stderr.lines().count(), ended.stdout), (8, Vec::new()));
}

#[test]
fn a_missing_camera_or_film_is_named_before_any_request() {
    let sandbox = sandbox();
    let url = sandbox.url();
    for (key, path, expected) in [
        ("v4l2", "/dev/video99", "error: no camera at /dev/video99: is it plugged in?"),
        ("v4l2", "/dev/null", "error: /dev/null is not a camera"),
        ("file", "/no/such/film.mp4", "error: no file /no/such/film.mp4"),
    ] {
        let place = if key == "file" { "--source.path" } else { "--source.device" };
        let ended = run_job(&url, &["--source.kind", key, place, path]).with_code(1);
        assert_eq!(ended.error(), expected);
    }
    assert_eq!(sandbox.counters().requests, 0);
}

#[test]
fn a_missing_element_is_named_with_its_package() {
    let (nowhere, registry) = (temporary("plugins"), temporary("registry"));
    let environment = [
        ("GST_PLUGIN_SYSTEM_PATH_1_0", nowhere.to_str().unwrap()),
        ("GST_PLUGIN_PATH_1_0", ""),
        ("GST_REGISTRY_1_0", registry.to_str().unwrap()),
        ("GST_REGISTRY", registry.to_str().unwrap()),
    ];
    let arguments = job("https://127.0.0.1:9", &[]);
    let ended = Edge::start_with(&arguments, &environment).end().with_code(1);
    let package = "install the package gstreamer1.0-plugins-ugly";
    let expected = format!("error: GStreamer has no element \"x264enc\": {package}");
    assert_eq!(ended.error(), expected);
    let fragment = ["--source.kind", "pipeline", "--source.fragment", "rtspsrc ! nosuchthing"];
    let ended = run_job("https://127.0.0.1:9", &fragment).with_code(1);
    assert!(ended.error().starts_with("error: GStreamer has no element \"nosuchthing\": install "));
}

#[test]
fn an_unreachable_orchestrator_is_named() {
    let port = peers::nobody();
    check(
        &format!("https://127.0.0.1:{port}"),
        &format!("127.0.0.1:{port}: connection refused; nothing listens on this port"),
    );
    check("https://nowhere.invalid:8935", "nowhere.invalid:8935: no address found for the name; ");
}

#[test]
fn a_port_with_another_protocol_is_named() {
    let url = |port| format!("https://127.0.0.1:{port}");
    let starts = |port, words: &str| check(&url(port), &format!("127.0.0.1:{port}: {words}"));
    starts(peers::plain_http(), "does not speak TLS on this port; check the port");
    starts(peers::closing(), "closed the connection during the TLS handshake; check the port");
    starts(peers::silent(), "no connection within 5 s");
    let no_http2 = "does not speak HTTP/2, so it is not an orchestrator; check the port";
    starts(peers::tls(&[]), no_http2);
    starts(peers::tls(&[b"http/1.1"]), no_http2);
    let port = peers::tls(&[b"h2"]);
    check(
        &url(port),
        &format!("https://127.0.0.1:{port}: no gRPC answer, so perhaps not an orchestrator"),
    );
}

#[test]
fn an_invalid_info_is_reported() {
    let info = |failure, expected: &str| check_failure(Failure::Info(failure), expected);
    info(InfoFailure::Garbage, "https://HOST: answer is not an orchestrator info: ");
    info(InfoFailure::Reset, "https://HOST: no gRPC answer, so perhaps not an orchestrator: ");
    info(
        InfoFailure::NoToken,
        "https://HOST: orchestrator gave no auth token, so no job can start",
    );
    info(
        InfoFailure::Refuse { code: 14, message: "busy".to_owned() },
        "https://HOST: orchestrator refused with gRPC status 14: busy",
    );
}

#[test]
fn a_refused_or_invalid_start_is_reported() {
    let answer = |status, body: &str, expected: &str| {
        let answer = StartFailure::Answer { status, body: body.to_owned() };
        check_failure(Failure::Start(answer), expected);
    };
    answer(
        503,
        r#"{"error":{"message":"insufficient capacity"}}"#,
        "https://HOST: orchestrator has no capacity for this model (503): insufficient capacity",
    );
    answer(
        402,
        "pay\r\nfirst",
        "https://HOST: orchestrator starts no job without a payment (402); set signer.urls: pay  first",
    );
    answer(500, "", "https://HOST: orchestrator refused the job (500): no reason given");
    let unusable = "https://HOST: orchestrator's answer to the job is unusable: ";
    answer(200, "<html>", unusable);
    answer(200, "[]", unusable);
    answer(200, r#"{"manifest_id":"a"}"#, unusable);
    answer(200, r#"{"manifest_id":"a","publish_url":"nonsense"}"#, unusable);
    answer(200, r#"{"manifest_id":"a","publish_url":7,"subscribe_url":null}"#, unusable);
    check_failure(Failure::Start(StartFailure::Reset), "https://HOST");
}

#[tokio::test]
async fn the_second_orchestrator_is_used_when_the_first_fails() {
    let (full, good) = (sandbox(), sandbox());
    let answer = StartFailure::Answer { status: 503, body: "full".to_owned() };
    full.always(Failure::Start(answer));
    let nobody = format!("https://127.0.0.1:{}", peers::nobody());
    let urls = format!("{nobody},{},{}", full.url(), good.url());
    let edge = Edge::start(&job(&urls, &[]));
    assert!(good.until(edge::LIMIT, |record| record.counters.segments > 0).await);
    edge.signal("TERM");
    edge.end().with_code(0);
    assert_eq!((full.counters().jobs, good.counters().jobs), (0, 1));
}

#[test]
fn if_every_orchestrator_fails_each_is_named_with_its_reason() {
    let full = sandbox();
    let answer = StartFailure::Answer { status: 503, body: "full".to_owned() };
    full.always(Failure::Start(answer));
    let port = peers::nobody();
    let urls = format!("https://127.0.0.1:{port},{}", full.url());
    let expected = format!(
        "error: none of 2 orchestrators can take the job: 127.0.0.1:{port}: connection refused; \
         nothing listens on this port; {}: orchestrator has no capacity for this model (503): full",
        full.url()
    );
    assert_eq!(run_job(&urls, &[]).with_code(1).error(), expected);
}

#[tokio::test]
async fn an_output_that_cannot_be_written_is_reported_at_once_and_the_job_continues() {
    let sandbox = sandbox();
    let mut edge = Edge::start(&job(&sandbox.url(), &["--output.path", "/dev/full"]));
    let line = edge.hear("cannot write /dev/full: No space left on device");
    assert!(line.starts_with("WARN "), "{line}");
    let before = sandbox.counters().segments;
    assert!(sandbox.until(edge::LIMIT, |record| record.counters.segments > before + 1).await);
    edge.signal("TERM");
    let ended = edge.end().with_code(1);
    assert!(ended.error().starts_with("error: cannot write /dev/full: "), "{}", ended.error());
}

#[tokio::test]
async fn the_end_of_a_lost_job_has_a_reason() {
    let sandbox = sandbox();
    let edge = Edge::start(&job(&sandbox.url(), &[]));
    assert!(sandbox.until(edge::LIMIT, |record| record.counters.segments > 0).await);
    let manifest = sandbox.manifests().remove(0);
    assert!(sandbox.delete_channel(&manifest));
    let ended = edge.end().with_code(1);
    let expected = format!("error: {}: the job was lost: the ", sandbox.url());
    assert!(ended.error().starts_with(&expected), "{}", ended.error());
}
