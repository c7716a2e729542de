//! The sandbox's scripted failures, its refusals, and its stop.
//!
//! Does not: test the agent's reaction; the tests of the agent do.
#![cfg(feature = "sandbox")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic and print"
)]

mod sandbox_client;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use livepeer_gateway::http::io::Alpn;
use livepeer_gateway::orchestrator::proto::SegData;
use prost::Message;
use sandbox::{
    Break, CallFailure, Endpoint, Failure, Handle, Options, Record, Role, RunnerOptions, Sandbox,
    StartError, Target, Timings,
};
use sandbox_client::{Client, LIMIT, call, connect, info};

fn start() -> Handle {
    let timings = Timings { linger: Duration::from_millis(5), ..Timings::default() };
    let sandbox = Sandbox::start(Options { timings, ..Options::default() }).unwrap();
    sandbox.create_channel("a", "video/mp2t");
    sandbox
}

/// Scripts a failure of a POST after `after` bytes, then starts a POST and sends 4 bytes.
async fn failing_post(sandbox: &Handle, after: u64, then: Break) -> Client {
    sandbox.once(Failure::Post { role: Role::Publish, after, then });
    let mut client = Client::connect(sandbox).await;
    client.post("a", 0, "Lp-Trickle-Reset: 1\r\n").await;
    if after > 0 {
        client.chunk(b"abcd").await;
    }
    client
}

/// Scripts a failure of a GET after `after` bytes, then starts a GET of a segment that has 4 bytes so far. Returns the
/// subscriber and the publisher of the segment.
async fn failing_get(sandbox: &Handle, after: u64, then: Break) -> (Client, Client) {
    sandbox.once(Failure::Get { role: Role::Publish, after, then });
    let mut publisher = Client::connect(sandbox).await;
    publisher.post("a", 0, "").await;
    publisher.chunk(b"abcd").await;
    let mut subscriber = Client::connect(sandbox).await;
    subscriber.send("GET /ai/trickle/a/0 HTTP/1.1\r\n\r\n").await;
    (publisher, subscriber)
}

async fn next(sandbox: &Handle) -> u16 {
    call(sandbox, "GET /ai/trickle/a/next HTTP/1.1\r\n\r\n").await.status
}

#[tokio::test]
async fn a_post_fails_as_scripted() {
    for after in [0, 4] {
        for then in [Break::Reset, Break::Close] {
            failing_post(&start(), after, then).await.broken().await;
        }
        let sandbox = start();
        let mut client = failing_post(&sandbox, after, Break::Answer(500)).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 500);
        assert!(answer.head.contains("Connection: close"));
        let mut client = failing_post(&sandbox, after, Break::Stall).await;
        client.chunk(b"efgh").await;
        client.end().await;
        client.silent(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_channel_is_deleted_during_a_post_as_scripted() {
    let sandbox = start();
    let mut client = failing_post(&sandbox, 0, Break::DeleteChannel).await;
    assert!(client.answer().await.head.contains("Lp-Trickle-Closed: terminated"));
    assert_eq!(next(&sandbox).await, 404);
    // In mid-segment the publisher gets no answer, as from the real server.
    let sandbox = start();
    let mut client = failing_post(&sandbox, 4, Break::DeleteChannel).await;
    client.chunk(b"efgh").await;
    client.end().await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.head.contains("Closed")), (200, false));
    assert_eq!(next(&sandbox).await, 404);
}

#[tokio::test]
async fn a_get_fails_as_scripted() {
    for then in [Break::Reset, Break::Close] {
        let sandbox = start();
        let (_publisher, mut subscriber) = failing_get(&sandbox, 0, then).await;
        subscriber.broken().await;
        let (mut publisher, mut subscriber) = failing_get(&sandbox, 4, then).await;
        subscriber.head().await;
        assert!(!subscriber.next_chunk().await.is_empty());
        subscriber.broken().await;
        publisher.end().await;
    }
    let sandbox = start();
    let (_publisher, mut subscriber) = failing_get(&sandbox, 0, Break::Answer(503)).await;
    assert_eq!(subscriber.answer().await.status, 503);
    let (mut publisher, mut subscriber) = failing_get(&sandbox, 4, Break::Stall).await;
    subscriber.head().await;
    assert!(!subscriber.next_chunk().await.is_empty());
    publisher.end().await;
    subscriber.silent(Duration::from_millis(50)).await;
}

#[tokio::test]
async fn permanent_failures_last_until_they_are_cleared() {
    let sandbox = start();
    let then = Break::Answer(500);
    sandbox.always(Failure::Post { role: Role::Publish, after: 0, then });
    for status in [500, 500, 200] {
        if status == 200 {
            sandbox.clear_failures();
        }
        let mut client = Client::connect(&sandbox).await;
        client.post("a", 0, "").await;
        client.chunk(b"x").await;
        client.end().await;
        assert_eq!(client.answer().await.status, status);
    }
}

#[tokio::test]
async fn requests_are_recorded_with_their_headers() {
    let sandbox = start();
    let mut client = Client::connect(&sandbox).await;
    client.post("a", 7, "Lp-Trickle-Reset: 1\r\n").await;
    let target = Target::Segment(Role::Publish, "7".to_owned());
    assert!(sandbox.until(LIMIT, |r| r.requests().any(|r| r.target == target)).await);
    sandbox.look(|record| {
        let request = record.requests().last().unwrap();
        assert_eq!(request.header("lp-trickle-reset"), Some("1"));
        assert!(!format!("{request:?}").contains("/a/"), "{request:?}");
    });
    assert!(!sandbox.until(Duration::from_millis(10), |r| r.requests().count() > 1).await);
}

#[tokio::test]
async fn a_changed_certificate_is_shown_to_new_connections() {
    let sandbox = start();
    let (_, first) = connect(&sandbox, Alpn::Http1).await;
    assert_eq!(first, sandbox.fingerprint());
    let changed = sandbox.change_certificate().unwrap();
    assert_ne!(first, changed);
    assert_eq!(connect(&sandbox, Alpn::Http2).await.1, changed);
}

#[tokio::test]
async fn a_publisher_gets_100_continue_over_tls() {
    let timings = Timings { continue_every: Duration::from_millis(10), ..Timings::default() };
    let sandbox = Sandbox::start(Options { timings, ..Options::default() }).unwrap();
    sandbox.create_channel("a", "");
    let mut client = Client::connect(&sandbox).await;
    client.post("a", 0, "").await;
    for _ in 0..3 {
        assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    assert!(sandbox.until(LIMIT, |record| record.counters.continues >= 3).await);
}

#[test]
fn plain_http_is_refused_with_the_answer_of_go() {
    let sandbox = start();
    let mut tcp = TcpStream::connect(sandbox.address()).unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("Client sent an HTTP request to an HTTPS server.\n"), "{answer}");
}

#[tokio::test]
async fn an_invalid_request_is_refused_and_the_next_one_served() {
    let sandbox = start();
    for nonsense in ["nonsense\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"] {
        let mut client = Client::connect(&sandbox).await;
        client.send(nonsense).await;
        assert_eq!(client.answer().await.status, 400);
        client.broken().await;
    }
    assert_eq!(next(&sandbox).await, 200);
}

#[tokio::test]
async fn the_sandbox_stops_at_once_with_open_connections() {
    let sandbox = start();
    let address = sandbox.address();
    let mut client = Client::connect(&sandbox).await;
    client.post("a", 0, "").await;
    let begin = Instant::now();
    sandbox.stop();
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    client.broken().await;
    assert!(TcpStream::connect(address).is_err());
    // Starting another sandbox proves that the port is free.
    drop(Sandbox::start(Options { listen: address, ..Options::default() }).unwrap());
}

#[test]
fn a_port_in_use_is_named() {
    let sandbox = start();
    let error = Sandbox::start(Options { listen: sandbox.address(), ..Options::default() });
    let error = error.map(drop).unwrap_err();
    assert!(matches!(error, StartError::Listen(address, _) if address == sandbox.address()));
    assert!(error.to_string().contains("is in use"), "{error}");
}

/// The handlers of the real server do not notice that the client has closed the connection.
#[tokio::test]
async fn a_delayed_request_is_carried_out_after_its_client_left() {
    let runner = RunnerOptions { price: None, ..RunnerOptions::default() };
    let options = Options {
        start_delay: Duration::from_millis(50),
        runners: vec![runner],
        ..Options::default()
    };
    let sandbox = Sandbox::start(options).unwrap();
    let credential = STANDARD.encode(
        SegData { auth_token: info(&sandbox).await.unwrap().auth_token, ..SegData::default() }
            .encode_to_vec(),
    );
    let headers = format!("Livepeer-Payment: \r\nLivepeer-Segment: {credential}\r\n");
    let leaves = async |path: &str, body: &[u8], target: Target| {
        let mut client = Client::connect(&sandbox).await;
        client.post_body(path, &headers, body).await;
        let asked = |record: &Record| record.requests().any(|request| request.target == target);
        assert!(sandbox.until(LIMIT, asked).await);
    };
    leaves("/live-video-to-video", br#"{"model_id":"m"}"#, Target::Start).await;
    assert_eq!(sandbox.manifests().len(), 0, "the client has left before the job starts");
    assert!(sandbox.until(LIMIT, |record| record.counters.jobs == 1).await);

    let late = CallFailure::Delay(Duration::from_millis(50));
    sandbox.once(Failure::Call(Endpoint::Reserve, late));
    leaves("/apps/r0/session", b"", Target::Call(Endpoint::Reserve)).await;
    assert_eq!(sandbox.sessions().len(), 0, "the client has left before the session exists");
    assert!(sandbox.wait(LIMIT, || sandbox.sessions().len() == 1).await);
}
