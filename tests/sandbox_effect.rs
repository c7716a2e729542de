//! The sandbox's effects: video is decoded, changed and encoded, and the returned pictures differ.
//!
//! Does not: test every effect; the table in `echo` lists the allowed ones.
#![cfg(feature = "sandbox")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod sandbox_client;
mod stream;

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use livepeer_gateway::orchestrator::proto::SegData;
use media::Video;
use mpegts::{Reader, TsEvent};
use prost::Message;
use sandbox::{Handle, Options, Role, Sandbox, Target, Timings};
use sandbox_client::{Client, LIMIT, call, info};
use serde_json::{Value, json};

const FRAMES: usize = 24;

/// One second of a bright picture, in a transport stream.
fn segment() -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!(
        "{}-{:?}.ts",
        std::process::id(),
        std::thread::current().id()
    ));
    stream::make(&format!(
        "videotestsrc pattern=white num-buffers={FRAMES} \
         ! video/x-raw,format=I420,width=320,height=240,framerate=24/1 \
         ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=24 \
         ! h264parse config-interval=-1 ! mpegtsmux ! filesink location=\"{}\"",
        path.display()
    ));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    bytes
}

/// The mean brightness of each picture.
fn brightness(bytes: &[u8]) -> Vec<u64> {
    let mean = |luma: &[u8]| luma.iter().copied().map(u64::from).sum::<u64>() / luma.len() as u64;
    stream::decode(bytes).iter().map(|picture| mean(&picture.luma)).collect()
}

fn start() -> Handle {
    let timings = Timings { status_every: Duration::from_millis(20), ..Timings::default() };
    let effect_video = Video { width: 320, height: 240, ..Video::default() };
    Sandbox::start(Options { timings, effect_video, ..Options::default() }).unwrap()
}

async fn job(sandbox: &Handle, params: Value) -> String {
    let auth_token = info(sandbox).await.unwrap().auth_token;
    let credential = STANDARD.encode(SegData { auth_token, ..SegData::default() }.encode_to_vec());
    let body = json!({ "model_id": "m", "params": params }).to_string();
    let request = format!(
        "POST /live-video-to-video HTTP/1.1\r\nLivepeer-Segment: {credential}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    call(sandbox, &request).await.json()["manifest_id"].as_str().unwrap().to_owned()
}

async fn publish(sandbox: &Handle, channel: &str, seq: u64, body: &[u8]) {
    let mut client = Client::connect(sandbox).await;
    client.post(channel, seq, "").await;
    for chunk in body.chunks(4000) {
        client.chunk(chunk).await;
    }
    client.end().await;
    assert_eq!(client.answer().await.status, 200);
}

/// Reads the job's output channel from `seq` until the channel is closed. Returns the bytes.
async fn output(sandbox: &Handle, job: &str, mut seq: u64) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let get = format!("GET /ai/trickle/{job}-out/{seq} HTTP/1.1\r\n\r\n");
        let answer = call(sandbox, &get).await;
        if answer.status == 404 || answer.head.contains("Closed") {
            return whole;
        }
        assert_eq!(answer.status, 200, "{}", answer.head);
        whole.extend(answer.body);
        seq += 1;
    }
}

/// Starts to read the job's output channel from `seq`, then ends the job. Returns the bytes.
async fn rest(sandbox: &Handle, job: &str, seq: u64) -> Vec<u8> {
    let asked = Target::Segment(Role::Output, seq.to_string());
    let end = async {
        assert!(sandbox.until(LIMIT, |r| r.requests().any(|r| r.target == asked)).await);
        let delete = format!("DELETE /ai/trickle/{job} HTTP/1.1\r\n\r\n");
        assert_eq!(call(sandbox, &delete).await.status, 200);
    };
    tokio::join!(output(sandbox, job, seq), end).0
}

#[tokio::test]
async fn an_effect_changes_every_picture() {
    let sandbox = start();
    let segment = segment();
    let job = job(&sandbox, json!({ "effect": "videobalance brightness=-1.0" })).await;
    publish(&sandbox, &job, 0, &segment).await;
    let changed = rest(&sandbox, &job, 0).await;
    let bright = brightness(&segment);
    assert!(bright.len() == FRAMES && bright.iter().all(|b| *b > 200), "{bright:?}");
    let dark = brightness(&changed);
    assert!(dark.len() >= FRAMES - 1, "{} pictures were returned", dark.len());
    assert!(dark.iter().all(|b| *b < 40), "{dark:?}");
    let mut keys = Vec::new();
    let mut reader = Reader::new();
    let mut report = |report| {
        if let TsEvent::Unit(unit) = report {
            keys.push(unit.is_key && unit.has_parameters);
        }
    };
    reader.push(&changed, &mut report);
    reader.flush(&mut report);
    assert!(keys[0], "the first picture is not a key frame");
}

#[tokio::test]
async fn a_parameter_update_starts_an_effect_with_the_next_segment() {
    let sandbox = start();
    let segment = segment();
    let job = job(&sandbox, Value::Null).await;
    publish(&sandbox, &job, 0, &segment).await;
    assert!(sandbox.until(LIMIT, |r| r.counters.outputs == 1).await);
    let update = br#"{"effect":"videobalance brightness=-1.0"}"#;
    publish(&sandbox, &format!("{job}-control"), 0, update).await;
    assert!(sandbox.until(LIMIT, |r| r.counters.updates == 1).await);
    publish(&sandbox, &job, 1, &segment).await;
    let get = format!("GET /ai/trickle/{job}-out/0 HTTP/1.1\r\n\r\n");
    assert_eq!(call(&sandbox, &get).await.body, segment);
    let dark = brightness(&rest(&sandbox, &job, 1).await);
    assert!(!dark.is_empty() && dark.iter().all(|b| *b < 40), "{dark:?}");
}

#[tokio::test]
async fn an_effect_that_cannot_run_is_reported_as_an_event_and_the_video_continues() {
    for (effect, word) in
        [("filesink location=x", "filesink"), ("videoflip method=upside-down-and-back", "upside")]
    {
        let sandbox = start();
        let segment = segment();
        let job = job(&sandbox, json!({ "effect": effect })).await;
        publish(&sandbox, &job, 0, &segment).await;
        let get = format!("GET /ai/trickle/{job}-out/0 HTTP/1.1\r\n\r\n");
        assert_eq!(call(&sandbox, &get).await.body, segment);
        let events = sandbox.counters().events;
        assert!(sandbox.until(LIMIT, |r| r.counters.events > events + 1).await);
        let event = format!("GET /ai/trickle/{job}-events/-2 HTTP/1.1\r\n\r\n");
        let event = call(&sandbox, &event).await.json();
        let error = event["inference_status"]["last_error"].as_str().unwrap();
        assert!(error.contains(word), "{error}");
    }
}
