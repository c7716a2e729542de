//! The whole agent with hostile peers listed before a good one: the job runs on the good one within a stated time, and
//! memory stays bounded.
//!
//! Does not: test every attack on every protocol; `hostile` and `hostile_streams` do.
#![cfg(feature = "sandbox")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod attack;
mod edge;
mod peers;

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

use attack::{Attacker, Begin, Part, bytes, drip, forever, frame, settings, status};
use bytes::{BufMut, Bytes, BytesMut};
use edge::{Edge, SMALL};
use livepeer_gateway::limits::{ANSWER_TIME, GRPC_MESSAGE};
use livepeer_gateway::orchestrator::proto::{
    AuthToken, Capabilities, CapabilityConstraints, Constraints, ModelConstraint, OrchestratorInfo,
};
use prost::Message;
use sandbox::{Options, Sandbox};
use tokio::io::{AsyncRead, AsyncWrite};

/// The maximum time from the start of the process to the first whole segment of video, if the attackers cause no delay:
/// 2 s on an idle machine, and 8 s more for a busy machine and a debug build.
const LIVE: Duration = Duration::from_secs(10);
/// The maximum by which attackers may increase the agent's memory, in KiB.
const GROWTH: u64 = 12 << 10;

/// The peak memory of the process, in KiB.
fn peak(edge: &Edge) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", edge.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Runs a job with these orchestrators before a good one. Returns the time until the job was live at the good one, the
/// peak memory in KiB, and the log.
async fn run(hostile: &[String]) -> (Duration, u64, String) {
    // The agent asks an orchestrator that has loaded the model first, so the good one has not.
    let good = Sandbox::start(Options { warm: false, ..Options::default() }).unwrap();
    let urls = [hostile, &[good.url()]].concat().join(",");
    let job = ["run", "--orchestrator.urls", &urls, "--job.model", "m"];
    let edge = Edge::start(&[&job[..], &SMALL, &["--log.level", "debug"]].concat());
    let is_live = good.until(edge::LIMIT / 2, |record| record.counters.segments > 0).await;
    if !is_live {
        edge.signal("KILL");
        panic!("not live:\n{}", edge.end().stderr);
    }
    let (time, peak) = (edge.began.elapsed(), peak(&edge));
    edge.signal("TERM");
    (time, peak, edge.end().with_code(0).stderr)
}

/// The memory of the agent without attackers.
async fn usual() -> u64 {
    run(&[]).await.1
}

/// Asserts that no line of the log is long or harmful.
#[track_caller]
fn check_log(log: &str) {
    for line in log.lines() {
        assert!(line.chars().count() < 1100, "{line:?}");
        assert!(!line.contains(resilience::sanitize::is_harmful), "{line:?}");
    }
}

/// An orchestrator whose info is valid, and names `calls` as the address for all calls.
fn lure(calls: String) -> String {
    let models = BTreeMap::from([(
        "m".to_owned(),
        ModelConstraint { warm: true, capacity: 9, ..Default::default() },
    )]);
    let per_capability = BTreeMap::from([(35, CapabilityConstraints { models })]);
    let info = OrchestratorInfo {
        transcoder: calls,
        capabilities: Some(Capabilities {
            bitstring: vec![1 << 35],
            constraints: Some(Constraints { per_capability, ..Default::default() }),
            ..Default::default()
        }),
        auth_token: Some(AuthToken { token: Bytes::from_static(b"t"), ..Default::default() }),
        ..Default::default()
    };
    answers(info.encode_to_vec())
}

/// Starts an orchestrator that answers every request with this message. Returns its URL.
fn answers(message: Vec<u8>) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let acceptor = tokio_rustls::TlsAcceptor::from(attack::tls());
            while let Ok((stream, _)) = listener.accept().await {
                // The agent may close the connection at any time.
                if let Ok(stream) = acceptor.accept(stream).await {
                    let _ = answer(stream, &message).await;
                }
            }
        });
    });
    url
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    message: &[u8],
) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(request) = connection.accept().await {
        let (_, mut respond) = request?;
        let head = http::Response::builder().header("content-type", "application/grpc");
        let mut body = respond.send_response(head.body(()).unwrap(), false)?;
        let mut framed = BytesMut::new();
        framed.put_u8(0);
        framed.put_u32(u32::try_from(message.len()).unwrap());
        framed.put(message);
        body.send_data(framed.freeze(), false)?;
        let trailers = http::HeaderMap::from_iter([(
            http::HeaderName::from_static("grpc-status"),
            http::HeaderValue::from_static("0"),
        )]);
        body.send_trailers(trailers)?;
    }
    Ok(())
}

#[tokio::test]
async fn hostile_infos_do_not_delay_the_job_on_a_good_orchestrator() {
    let flood = |parts: &[Part]| {
        let parts = [&[bytes(settings())], parts].concat();
        Attacker::start(Begin::Https, parts)
    };
    let usual = usual().await;
    for attackers in [
        [
            flood(&[forever(status("103", 4))]),
            flood(&[forever(frame(6, 0, 0, &[7; 8]))]),
            flood(&[bytes(status("200", 4)), forever(frame(0, 0, 1, &[]))]),
            Attacker::start(Begin::Https, vec![forever([0xff; 1000])]),
        ],
        [
            flood(&[drip(frame(1, 0, 1, &[0x88; 16000]))]),
            flood(&[bytes(frame(1, 0, 1, &[0x88; 9])), forever(frame(9, 0, 1, &[0x88; 9]))]),
            Attacker::start(
                Begin::AtOnce,
                vec![drip("\x16\x03\x03\x3f\u{7f}aaaaaaaaaaaaaaaaaaaaaaaaaaaa")],
            ),
            Attacker::start(Begin::AtOnce, vec![Part::Silence]),
        ],
    ] {
        let urls: Vec<String> = attackers.iter().map(Attacker::https).collect();
        let (time, peak, log) = run(&urls).await;
        edge::say(&format!("live after {time:?}, {peak} KiB at most ({usual} KiB without)"));
        assert!(time < LIVE, "{time:?}:\n{log}");
        assert!(peak < usual + GROWTH, "{peak} KiB, {usual} KiB without");
        check_log(&log);
    }
}

#[tokio::test]
async fn messages_that_grow_when_decoded_take_bounded_memory() {
    // Messages full of empty entries, each of which takes much more memory when decoded. The agent takes each message
    // for an offer, and keeps all offers until the job runs on another orchestrator.
    let usual = usual().await;
    for unit in [
        &[0x92, 0x02, 0x00][..],               // nodes: ""
        &[0x8a, 0x02, 0x00],                   // capabilities_prices: {}
        &[0x2a, 0x02, 0x1a, 0x00],             // capabilities: { capacities: {} }
        &[0x2a, 0x04, 0x08, 0x01, 0x10, 0x01], // capabilities: { bitstring, mandatories }
    ] {
        let mut message = b"\x0a\x12https://127.0.0.1:9".to_vec();
        message.extend(unit.repeat((GRPC_MESSAGE - message.len()) / unit.len()));
        let urls: Vec<String> = (0..4).map(|_| answers(message.clone())).collect();
        let (time, peak, log) = run(&urls).await;
        edge::say(&format!("live after {time:?}, {peak} KiB at most ({usual} KiB without)"));
        assert!(time < LIVE, "{time:?}:\n{log}");
        assert!(peak < usual + GROWTH, "{unit:?}: {peak} KiB, {usual} KiB without");
    }
}

/// Asserts that the job is live on the good orchestrator within `most` although an attacker answers its start with
/// these parts.
async fn check_start(most: Duration, parts: Vec<Part>) {
    let usual = usual().await;
    let attacker = Attacker::start(Begin::Http, parts);
    let (time, peak, log) = run(&[lure(attacker.http())]).await;
    edge::say(&format!("live after {time:?}, {peak} KiB at most ({usual} KiB without)"));
    assert!(time < most, "{time:?}:\n{log}");
    assert!(peak < usual + GROWTH, "{peak} KiB, {usual} KiB without");
    check_log(&log);
    attacker.ended();
}

const OK: &str = "HTTP/1.1 200 OK\r\n";

#[tokio::test]
async fn a_start_that_drips_ends_at_the_time_limit_of_an_answer() {
    let parts = vec![drip(format!("{OK}X: aaaaaaaa"))];
    check_start(LIVE + ANSWER_TIME, parts).await;
}

#[tokio::test]
async fn a_start_with_endless_interim_answers_ends_at_the_time_limit_of_an_answer() {
    let parts = vec![forever("HTTP/1.1 100 Continue\r\n\r\n")];
    check_start(LIVE + ANSWER_TIME, parts).await;
}

#[tokio::test]
async fn other_attacks_on_a_start_cause_no_delay() {
    let nested = "[{\"\":".repeat(150_000);
    let nested = format!("{OK}Content-Length: {}\r\n\r\n{nested}", nested.len());
    let escapes = "HTTP/1.1 500 \x1b[2J\r\n\r\n\x1b[2J\r\nINFO all is well";
    for parts in [
        vec![bytes(format!("{OK}\r\n")), forever("{")],
        vec![bytes(nested), Part::Silence],
        vec![bytes(OK), forever("a")],
        vec![bytes(escapes)],
    ] {
        check_start(LIVE, parts).await;
    }
}
