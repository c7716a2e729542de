//! The sandbox as an orchestrator: info over gRPC, start of jobs, the echo app, and the protocol violations that it
//! detects. The clients are written for these tests, and use real sockets.
//!
//! Does not: test trickle; `sandbox_replay` does.
#![cfg(feature = "sandbox")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic and print"
)]

mod sandbox_client;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use livepeer_gateway::orchestrator::proto::{AuthToken, OrchestratorRequest, SegData};
use mpegts::{AccessUnit, Muxer, Ticks};
use prost::Message;
use sandbox::{
    Failure, Handle, InfoFailure, Options, Role, Sandbox, StartFailure, Target, Timings, Violation,
};
use sandbox_client::{Answer, Client, LIMIT, call, info, info_from};
use serde_json::{Value, json};

fn start(options: Options) -> Handle {
    Sandbox::start(options).unwrap()
}

fn credential(auth_token: Option<AuthToken>) -> String {
    STANDARD.encode(SegData { auth_token, ..SegData::default() }.encode_to_vec())
}

async fn post_job(sandbox: &Handle, credential: &str, body: &str) -> Answer {
    let request = format!(
        "POST /live-video-to-video HTTP/1.1\r\nHost: x\r\nLivepeer-Payment: \r\n\
         Livepeer-Segment: {credential}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    call(sandbox, &request).await
}

/// Starts a job and returns its manifest id.
async fn job(sandbox: &Handle, params: Value) -> String {
    let credential = credential(info(sandbox).await.unwrap().auth_token);
    let body = json!({ "model_id": "m", "params": params }).to_string();
    let answer = post_job(sandbox, &credential, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["manifest_id"].as_str().unwrap().to_owned()
}

/// Makes valid segments of one frame each.
fn segments(count: u64) -> Vec<Vec<u8>> {
    segments_at(1..=count)
}

/// Makes valid segments of one frame each, whose timestamps are these seconds.
fn segments_at(seconds: impl IntoIterator<Item = u64>) -> Vec<Vec<u8>> {
    let mut muxer = Muxer::new();
    let idr = [
        &[0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0xd9][..],
        &[0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80],
        &[0, 0, 0, 1, 0x65, 0x88, 0x84, 0x21],
        &[7; 2000],
    ]
    .concat();
    let mux = |second| {
        let at = Ticks::new(90_000 * second);
        let unit = AccessUnit { bytes: &idr, pts: at, dts: at, is_key: true };
        muxer.mux(&unit, true).to_vec()
    };
    seconds.into_iter().map(mux).collect()
}

async fn publish(sandbox: &Handle, channel: &str, seq: u64, body: &[u8]) -> Answer {
    let mut client = Client::connect(sandbox).await;
    client.post(channel, seq, "").await;
    client.chunk(body).await;
    client.end().await;
    client.answer().await
}

#[tokio::test]
async fn info_comes_over_grpc_with_a_fresh_token() {
    let sandbox = start(Options { models: vec!["a".to_owned()], ..Options::default() });
    let (first, second) = (info(&sandbox).await.unwrap(), info(&sandbox).await.unwrap());
    assert_eq!(first.transcoder, sandbox.url());
    assert_ne!(first.auth_token.unwrap().token, second.auth_token.unwrap().token);
    let constraints = first.capabilities.unwrap().constraints.unwrap();
    assert!(constraints.per_capability[&35].models["a"].warm);
    assert_eq!(sandbox.look(|r| r.requests().filter(|r| r.target == Target::Info).count()), 2);
}

#[tokio::test]
async fn an_info_fails_as_scripted() {
    let sandbox = start(Options::default());
    let failure = |failure| sandbox.once(Failure::Info(failure));
    failure(InfoFailure::Refuse { code: 14, message: "busy".to_owned() });
    assert_eq!(info(&sandbox).await.unwrap_err(), (14, "busy".to_owned()));
    failure(InfoFailure::NoToken);
    assert_eq!(info(&sandbox).await.unwrap().auth_token, None);
    failure(InfoFailure::Garbage);
    assert_eq!(info(&sandbox).await.unwrap_err().1, "no protobuf");
    failure(InfoFailure::Reset);
    assert_eq!(info(&sandbox).await.unwrap_err().1, "reset");
    assert!(info(&sandbox).await.is_ok());
    let request = OrchestratorRequest::default();
    let method = "/net.Orchestrator/TranscodeSegment";
    assert_eq!(info_from(&sandbox, method, &request).await.unwrap_err().0, 12);
}

#[tokio::test]
async fn jobs_start_only_with_json_credentials_and_capacity() {
    let options = Options { models: vec!["m".to_owned()], capacity: 1, ..Options::default() };
    let sandbox = start(options);
    let credential = credential(info(&sandbox).await.unwrap().auth_token);
    let model = |m: &str| json!({ "model_id": m }).to_string();
    for (credential, body, status) in [
        (credential.as_str(), "{", 400),
        (credential.as_str(), "{}", 400),
        ("", &model("m"), 403),
        ("AAAA", &model("m"), 403),
        (credential.as_str(), &model("other"), 503),
        (credential.as_str(), &model("m"), 200),
        (credential.as_str(), &model("m"), 503),
    ] {
        assert_eq!(post_job(&sandbox, credential, body).await.status, status, "{body}");
    }
    let long = "x".repeat((1 << 20) + 1);
    assert_eq!(post_job(&sandbox, &credential, &long).await.status, 413);
    assert_eq!(sandbox.manifests().len(), 1);
    let body =
        sandbox.look(|r| r.requests().find(|r| r.target == Target::Start).unwrap().body.clone());
    assert_eq!(body, b"{");
}

/// Reads the event of a job with this `seq`.
async fn event(sandbox: &Handle, job: &str, seq: u64) -> Value {
    let request = format!("GET /ai/trickle/{job}-events/{seq} HTTP/1.1\r\n\r\n");
    call(sandbox, &request).await.json()
}

#[tokio::test]
async fn the_size_of_a_stream_can_only_be_set_alone_and_before_the_stream_starts() {
    let sandbox = start(Options { capacity: 1, ..Options::default() });
    let credential = credential(info(&sandbox).await.unwrap().auth_token);
    let size = json!({ "width": 768, "height": 768 });
    let job = job(&sandbox, size.clone()).await;
    let refusal = event(&sandbox, &job, 0).await;
    assert_eq!(refusal["queue_event_type"], "ai_stream_events");
    assert_eq!(refusal["event"]["type"], "error");
    let words = refusal["event"]["message"].as_str().unwrap();
    assert!(words.contains("Cannot change output resolution mid-stream"), "{words}");
    let status = event(&sandbox, &job, 1).await;
    assert_eq!(status["state"], "DEGRADED_INFERENCE");
    assert_eq!(status["inference_status"]["last_error"], words);
    assert_eq!(status["inference_status"]["last_params"], json!({}), "nothing is set");
    sandbox.delete_channel(&job);
    assert!(sandbox.wait(LIMIT, || sandbox.manifests().is_empty()).await);

    let body = json!({ "model_id": "m", "params": size, "gateway_request_id": "r1" });
    let answer = post_job(&sandbox, &credential, &body.to_string()).await.json();
    let job = answer["manifest_id"].as_str().unwrap();
    let status = event(&sandbox, job, 0).await;
    assert_eq!(status["inference_status"]["last_params"], size);
    // The size cannot change within a stream, and an update without a size requests the default size, so this update is
    // refused too.
    publish(&sandbox, &format!("{job}-control"), 0, br#"{"prompt":"a cat"}"#).await;
    assert_eq!(event(&sandbox, job, 1).await["event"]["type"], "error");
}

#[tokio::test]
async fn an_old_token_is_refused() {
    let timings = Timings { token: Duration::ZERO, ..Timings::default() };
    let sandbox = start(Options { timings, ..Options::default() });
    let credential = credential(info(&sandbox).await.unwrap().auth_token);
    let answer = post_job(&sandbox, &credential, r#"{"model_id":"m"}"#).await;
    assert_eq!((answer.status, answer.text().contains("expired")), (403, true));
}

#[tokio::test]
async fn a_start_fails_as_scripted() {
    let sandbox = start(Options::default());
    let answer = StartFailure::Answer { status: 200, body: "<html>".to_owned() };
    sandbox.once(Failure::Start(answer));
    let answer = post_job(&sandbox, "", "{}").await;
    assert_eq!((answer.status, answer.text()), (200, "<html>".to_owned()));
    sandbox.once(Failure::Start(StartFailure::Reset));
    let mut client = Client::connect(&sandbox).await;
    client.send("POST /live-video-to-video HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}").await;
    client.broken().await;
    assert_eq!(sandbox.manifests().len(), 0);
}

#[tokio::test]
async fn video_is_returned_unchanged_while_it_arrives() {
    let sandbox = start(Options::default());
    let job = job(&sandbox, Value::Null).await;
    let segments = segments(3);
    let mut subscriber = Client::connect(&sandbox).await;
    subscriber.send(&format!("GET /ai/trickle/{job}-out/0 HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    let mut publisher = Client::connect(&sandbox).await;
    publisher.post(&job, 0, "").await;
    let (first, second) = segments[0].split_at(500);
    publisher.chunk(first).await;
    // The first part arrives before the rest is sent.
    let head = subscriber.head().await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: video/MP2T\r\n"), "{head}");
    assert_eq!(subscriber.next_chunk().await, first);
    publisher.chunk(second).await;
    assert_eq!(subscriber.next_chunk().await, second);
    publisher.end().await;
    assert_eq!(publisher.answer().await.status, 200);
    assert_eq!(subscriber.next_chunk().await, b"");
    for (seq, segment) in (1..).zip(&segments[1..]) {
        assert_eq!(publish(&sandbox, &job, seq, segment).await.status, 200);
        let get = format!("GET /ai/trickle/{job}-out/{seq} HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(&call(&sandbox, &get).await.body, segment);
    }
    assert!(sandbox.until(LIMIT, |r| r.counters.segments == 3).await);
    let counters = sandbox.counters();
    assert_eq!((counters.access_units, counters.outputs), (3, 3));
    assert_eq!((counters.jobs, counters.truncated), (1, 0));
    assert_eq!(counters.bytes, segments.iter().map(|s| s.len() as u64).sum::<u64>());
    assert_eq!(sandbox.violations().list(), []);
}

#[tokio::test]
async fn continuity_counters_of_returned_video_restart_in_each_segment_if_configured() {
    let sandbox = start(Options { restarts_counters: true, ..Options::default() });
    let job = job(&sandbox, Value::Null).await;
    for (seq, segment) in (0..).zip(&segments(3)) {
        assert_eq!(publish(&sandbox, &job, seq, segment).await.status, 200);
        let get = format!("GET /ai/trickle/{job}-out/{seq} HTTP/1.1\r\nHost: x\r\n\r\n");
        let returned = call(&sandbox, &get).await.body;
        // Packets without payload contain only the clock, and do not advance the counter.
        let counted = returned.chunks(188).filter(|packet| packet[3] & 0x10 != 0);
        let counters: Vec<u8> = counted.map(|packet| packet[3] & 0x0f).collect();
        // The packets are PAT, PMT, and three of the picture.
        assert_eq!(counters[..5], [0, 0, 0, 1, 2], "segment {seq}");
        assert_eq!(returned.len(), segment.len());
    }
}

/// libav in the real runner can follow timestamps, also over a wrap, only up to 26.5 h after the first timestamp of the
/// job.
#[tokio::test]
async fn a_job_of_a_day_loses_its_video_after_the_wrap_of_timestamps_and_a_later_job_does_not() {
    let sandbox = start(Options::default());
    let (old, new) = (job(&sandbox, Value::Null).await, job(&sandbox, Value::Null).await);
    let wrap = (1 << 33) / 90_000;
    let seconds = [1, 40_000, 80_000, wrap, wrap + 1, wrap + 2, wrap + 3];
    for (seq, segment) in (0..).zip(&segments_at(seconds)) {
        assert_eq!(publish(&sandbox, &old, seq, segment).await.status, 200);
    }
    assert!(sandbox.until(LIMIT, |r| r.counters.segments == 7).await);
    let counters = sandbox.counters();
    // The sandbox reports the step back when the segment is complete.
    assert_eq!((counters.access_units, counters.dropped, counters.outputs), (7, 3, 5));
    let found = sandbox.violations();
    assert_eq!(found.count(), 2, "{found:?}");
    assert!(found.list().iter().all(|v| matches!(v, Violation::TimeBack { seq: 4, .. })));

    for (seq, segment) in (0..).zip(&segments_at(seconds[2..].iter().copied())) {
        assert_eq!(publish(&sandbox, &new, seq, segment).await.status, 200);
    }
    assert!(sandbox.until(LIMIT, |r| r.counters.segments == 12).await);
    assert_eq!((sandbox.counters().dropped, sandbox.counters().outputs), (3, 10));
    assert_eq!(sandbox.violations().count(), 2);
}

#[tokio::test]
async fn events_report_the_state_and_control_changes_it() {
    let status_every = Duration::from_millis(20);
    let timings = Timings { status_every, ..Timings::default() };
    let sandbox = start(Options { timings, ..Options::default() });
    let job = job(&sandbox, json!({ "prompt": "a cat" })).await;
    let event = format!("GET /ai/trickle/{job}-events/-2 HTTP/1.1\r\nHost: x\r\n\r\n");
    let event = call(&sandbox, &event).await.json();
    assert_eq!(event["type"], "status");
    assert_eq!(event["inference_status"]["last_params"]["prompt"], "a cat");
    let control = format!("{job}-control");
    publish(&sandbox, &control, 0, br#"{"keep":"alive"}"#).await;
    publish(&sandbox, &control, 1, br#"{"prompt":"a dog"}"#).await;
    publish(&sandbox, &control, 2, b"no json").await;
    assert!(sandbox.until(LIMIT, |r| r.controls().count() == 3).await);
    let counters = sandbox.counters();
    assert_eq!((counters.keep_alives, counters.updates), (1, 1));
    assert_eq!(sandbox.violations().list(), [Violation::BadControl { seq: 2 }]);
    let events = sandbox.counters().events;
    assert!(sandbox.until(LIMIT, |r| r.counters.events > events).await);
    let event = format!("GET /ai/trickle/{job}-events/-2 HTTP/1.1\r\nHost: x\r\n\r\n");
    let event = call(&sandbox, &event).await.json();
    assert_eq!(event["inference_status"]["last_params"]["prompt"], "a dog");
}

#[tokio::test]
async fn deleting_the_publish_channel_ends_the_job() {
    let sandbox = start(Options::default());
    let job = job(&sandbox, Value::Null).await;
    let mut waiting = Client::connect(&sandbox).await;
    waiting.send(&format!("GET /ai/trickle/{job}-out/0 HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    let arrived = |r: &sandbox::Record| {
        r.requests().any(|r| matches!(r.target, Target::Segment(Role::Output, _)))
    };
    assert!(sandbox.until(LIMIT, arrived).await);
    let delete = format!("DELETE /ai/trickle/{job} HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(call(&sandbox, &delete).await.status, 200);
    let answer = waiting.answer().await;
    assert!(answer.head.contains("Lp-Trickle-Closed: terminated"), "{}", answer.head);
    for suffix in ["", "-out", "-control", "-events"] {
        let next = format!("GET /ai/trickle/{job}{suffix}/next HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(call(&sandbox, &next).await.status, 404, "{suffix}");
    }
    assert_eq!(sandbox.manifests(), [""; 0]);
}

#[tokio::test]
async fn violations_by_a_gateway_are_recorded() {
    let sandbox = start(Options::default());
    let job = job(&sandbox, Value::Null).await;
    let segments = segments(3);
    publish(&sandbox, &job, 0, &segments[0]).await;
    publish(&sandbox, &job, 1, &segments[1][2 * 188..]).await;
    assert!(sandbox.until(LIMIT, |r| r.counters.segments == 2).await);
    let found = sandbox.violations();
    assert!(found.list().contains(&Violation::NoTables { seq: 1 }), "{found:?}");
    let before = found.count();
    publish(&sandbox, &job, 0, &segments[0]).await;
    let found = sandbox.violations();
    assert_eq!(found.count(), before + 1);
    assert_eq!(found.list().last(), Some(&Violation::ReusedSeq { role: Role::Publish, seq: 0 }));
}

#[tokio::test]
async fn an_app_configured_without_events_sends_none() {
    let timings = Timings { status_every: Duration::from_millis(5), ..Timings::default() };
    let sandbox = start(Options { timings, ..Options::default() });
    sandbox.always(Failure::Mute(Role::Events));
    sandbox.always(Failure::Mute(Role::Output));
    let job = job(&sandbox, Value::Null).await;
    publish(&sandbox, &job, 0, &segments(1)[0]).await;
    assert!(sandbox.until(LIMIT, |r| r.counters.segments == 1).await);
    assert_eq!((sandbox.counters().events, sandbox.counters().outputs), (0, 0));
    sandbox.clear_failures();
    assert!(sandbox.until(LIMIT, |r| r.counters.events > 0).await);
}
