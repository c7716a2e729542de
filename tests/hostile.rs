//! Hostile peers on real sockets, against each protocol: every attack ends within a time limit, at a bounded cost, with
//! an error of one short line.
//!
//! Does not: test correct answers.
#![cfg(feature = "sandbox")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod attack;
mod peers;

use std::time::{Duration, Instant};

use attack::{Attacker, Begin, Part, bytes, drip, forever, frame, settings, status};
use bytes::Bytes;
use http::{HeaderValue, Method};
use livepeer_gateway::http::Url;
use livepeer_gateway::http::io::{CallError, HttpAnswer, HttpRequest};
use livepeer_gateway::job::runner::{CallOptions, RunnerError, SingleShotCall};
use livepeer_gateway::limits::{CALL_TIME, JSON_BODY, RESPONSE_HEAD};
use livepeer_gateway::orchestrator::io::{Finder, InfoError, fetch_info};
use livepeer_gateway::orchestrator::proto::OrchestratorRequest;
use livepeer_gateway::orchestrator::{DiscoveryQuery, Endpoints, Runner, TrustOptions};
use livepeer_gateway::payment::io::{SignerOptions, Signers};
use livepeer_gateway::session::Network;
use resilience::fault::{Fault, chain};
use resilience::sanitize::MESSAGE_CHARS;
use resilience::sanitize::is_harmful;

/// The time limit of the calls in these tests.
const TIME: Duration = Duration::from_secs(1);
/// The additional time for a busy machine.
const SLACK: Duration = Duration::from_secs(2);
/// The maximum of bytes that an attacker can send before the connection is closed: what the program reads, and what the
/// socket buffers of the loopback device hold.
const BUFFERED: u64 = 16 << 20;

fn network() -> Network {
    Network::new(TrustOptions::Insecure, None, None)
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

/// Asserts that the error is one short, harmless line that contains `words`.
#[track_caller]
fn check_line(error: &dyn std::error::Error, words: &str) {
    let line = chain(error);
    assert!(line.contains(words), "{words:?} in {line:?}");
    assert!(!line.contains(is_harmful), "{line:?}");
    assert!(line.chars().count() < 2 * MESSAGE_CHARS, "{line:?}");
}

// ---------------------------------------------------------------------------------------------
// Calls with short bodies: job start, discovery, signer, runner, payment
// ---------------------------------------------------------------------------------------------

/// Calls an attacker, and returns the outcome.
async fn call(
    begin: Begin,
    method: Method,
    time: Duration,
    parts: Vec<Part>,
) -> Result<HttpAnswer, CallError> {
    let attacker = Attacker::start(begin, parts);
    let address = if begin == Begin::Http { attacker.http() } else { attacker.https() };
    let call = HttpRequest { method, ..HttpRequest::get(url(&address)) }.within(time);
    let client = network().client;
    let began = Instant::now();
    let answer = client.call(call).await;
    assert!(began.elapsed() < time + SLACK, "{:?}", began.elapsed());
    drop(client);
    let sent = tokio::task::spawn_blocking(move || attacker.ended()).await.unwrap();
    assert!(sent.bytes < BUFFERED, "{sent:?}");
    answer
}

/// Asserts that the attack gives an error with these words, with and without TLS, for GET and POST.
async fn check_call(words: &str, fault: Fault, parts: &[Part]) {
    // Where the test is not about time, a long limit lets a busy machine finish.
    let time = if words.starts_with("no complete answer within") { TIME } else { CALL_TIME };
    for (begin, method) in [(Begin::Http, Method::GET), (Begin::Https, Method::POST)] {
        let error = call(begin, method, time, parts.to_vec()).await.unwrap_err();
        check_line(&error, words);
        assert_eq!(error.fault(), fault, "{error}");
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\n";

#[tokio::test]
async fn a_call_ends_at_an_endless_head() {
    let attacks = [forever("X-Attack: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"), forever("a")];
    for attack in attacks {
        check_call("no HTTP answer", Fault::Retry, &[bytes(OK), attack]).await;
    }
    let line = format!("X: {}\r\n", "a".repeat(RESPONSE_HEAD));
    check_call("no HTTP answer", Fault::Retry, &[bytes(OK), bytes(line), Part::Silence]).await;
}

#[tokio::test]
async fn a_call_ends_at_a_slow_drip() {
    let words = "no complete answer within 1 s";
    check_call(words, Fault::Retry, &[drip("HTTP/1.1 200 OK\r\nX: aaaaaaaaaaaaaaaaaaaaaaaa")])
        .await;
    let head = format!("{OK}Content-Length: 1000\r\n\r\n");
    check_call(words, Fault::Retry, &[bytes(head), drip("a")]).await;
    let head = format!("{OK}Transfer-Encoding: chunked\r\n\r\n");
    check_call(words, Fault::Retry, &[bytes(head), drip("1\r\na\r\n")]).await;
    check_call(words, Fault::Retry, &[Part::Silence]).await;
}

#[tokio::test]
async fn a_tls_handshake_that_drips_ends() {
    // A record of 16 KiB that stays incomplete, and endless handshake messages.
    for attack in [drip("\x16\x03\x03\x3f\u{7f}aaaaaaaaaaaaaaaaaaaaaaaaaaaa"), Part::Silence] {
        let attacker = Attacker::start(Begin::AtOnce, vec![attack]);
        let call = HttpRequest::get(url(&attacker.https())).within(TIME);
        let began = Instant::now();
        let error = network().client.call(call).await.unwrap_err();
        assert!(began.elapsed() < TIME + SLACK, "{:?}: {error}", began.elapsed());
        check_line(&error, "");
    }
}

#[tokio::test]
async fn a_call_ends_at_a_huge_body() {
    let length = |length: &str| bytes(format!("{OK}Content-Length: {length}\r\n\r\n"));
    let words = format!("the answer is longer than {JSON_BODY} bytes");
    check_call(&words, Fault::NextPeer, &[length("1099511627776"), forever("a")]).await;
    check_call(&words, Fault::NextPeer, &[bytes(format!("{OK}\r\n")), forever("a")]).await;
    let chunked = bytes(format!("{OK}Transfer-Encoding: chunked\r\n\r\n"));
    let chunk = [bytes("fffffffffff\r\n"), forever("a")];
    check_call(&words, Fault::NextPeer, &[&[chunked.clone()][..], &chunk].concat()).await;
    check_call(&words, Fault::NextPeer, &[chunked, forever("3\r\nabc\r\n")]).await;
}

#[tokio::test]
async fn a_call_ends_at_chunks_without_end() {
    let chunked = bytes(format!("{OK}Transfer-Encoding: chunked\r\n\r\n"));
    for attack in [
        forever("0"),
        forever("f"),
        bytes("10000000000000000\r\n"),
        bytes("-1\r\n"),
        bytes("zz\r\n"),
    ] {
        let parts = [chunked.clone(), attack, Part::Silence];
        check_call("no HTTP answer", Fault::Retry, &parts).await;
    }
    check_call("no HTTP answer", Fault::Retry, &[chunked.clone(), bytes("1;"), forever("x")]).await;
    // The client discards trailers as they arrive, until the time limit.
    let trailers = vec![chunked, bytes("0\r\n"), forever("X-Attack: a\r\n")];
    let attacker = Attacker::start(Begin::Http, trailers);
    let call = HttpRequest::get(url(&attacker.http())).within(TIME);
    check_line(&network().client.call(call).await.unwrap_err(), "no complete answer within 1 s");
    assert!(attacker.ended().time < TIME + SLACK);
}

#[tokio::test]
async fn a_call_ends_at_wrong_lengths() {
    for (head, body) in [
        ("Content-Length: 10\r\n", "short"),
        ("Content-Length: -1\r\n", "abc"),
        ("Content-Length: 99999999999999999999\r\n", "abc"),
        ("Content-Length: abc\r\n", "abc"),
    ] {
        let answer = bytes(format!("{OK}{head}\r\n{body}"));
        check_call("no HTTP answer", Fault::Retry, &[answer]).await;
    }
    // Bytes after the stated length are not part of the answer.
    let more = bytes(format!("{OK}Content-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\n\r\n"));
    let answer = call(Begin::Http, Method::GET, CALL_TIME, vec![more]).await.unwrap();
    assert_eq!(answer.body, b"abc");
}

#[tokio::test]
async fn a_call_accepts_ten_thousand_interim_answers_and_ends_at_more() {
    let hundred = b"HTTP/1.1 100 Continue\r\n\r\n".to_vec();
    let last = bytes(format!("{OK}Content-Length: 2\r\n\r\nok"));
    for begin in [Begin::Http, Begin::Https] {
        let parts = vec![Part::Times(10_000, hundred.clone()), last.clone()];
        assert_eq!(call(begin, Method::POST, CALL_TIME, parts).await.unwrap().body, b"ok");
    }
}

#[tokio::test]
async fn a_call_ends_at_garbage() {
    for garbage in [
        &b"\x00\xff\x1b[2J\r\n\r\n"[..],
        b"<html>\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nnot a header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\x1b[2J: a\r\n\r\n",
        b"",
    ] {
        check_call("no HTTP answer", Fault::Retry, &[bytes(garbage)]).await;
    }
    check_call("no ", Fault::Retry, &[forever(b"\x00\xff\x01\x80")]).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Attacker::start(Begin::Http, vec![bytes(format!("{OK}\r\n"))]);
    for code in [301, 302, 303, 307, 308] {
        let location = format!("Location: {}/\r\nContent-Length: 0\r\n\r\n", other.http());
        let answer = bytes(format!("HTTP/1.1 {code} x\r\n{location}"));
        let answer = call(Begin::Http, Method::POST, CALL_TIME, vec![answer]).await.unwrap();
        assert_eq!(answer.status, code);
    }
    // A redirect whose head never ends.
    let endless = [bytes("HTTP/1.1 302 x\r\nLocation: /"), forever("a")];
    check_call("no HTTP answer", Fault::Retry, &endless).await;
    assert!(other.is_untouched());
}

// ---------------------------------------------------------------------------------------------
// gRPC
// ---------------------------------------------------------------------------------------------

/// Asserts that the frames give this error, and one of these faults.
async fn check_info(words: &str, fault: Fault, frames: &[Part]) {
    let attacker = Attacker::start(Begin::Http, [&[bytes(settings())], frames].concat());
    let network = network();
    let began = Instant::now();
    let request = OrchestratorRequest::default();
    let fetched = fetch_info(&network.connector, &url(&attacker.http()), &request, TIME).await;
    assert!(began.elapsed() < TIME + SLACK, "{:?}", began.elapsed());
    let error: InfoError = fetched.map(drop).unwrap_err();
    check_line(&error, words);
    assert_eq!(error.fault(), fault, "{error}");
    let sent = tokio::task::spawn_blocking(move || attacker.ended()).await.unwrap();
    assert!(sent.time < TIME + SLACK, "{sent:?}");
}

/// The flag that ends a header block.
const END_HEADERS: u8 = 4;

#[tokio::test]
async fn an_info_ends_at_floods_of_frames() {
    let headers = status("200", END_HEADERS);
    for flood in [
        frame(6, 0, 0, &[7; 8]),              // PING
        settings(),                           // SETTINGS
        frame(8, 0, 0, &1_u32.to_be_bytes()), // WINDOW_UPDATE of the connection
        frame(2, 0, 1, &[0, 0, 0, 0, 9]),     // PRIORITY
        frame(0xbe, 0, 0, b"anything"),       // unknown
        status("103", END_HEADERS),           // informational answers
    ] {
        check_info("", Fault::Retry, &[forever(flood)]).await;
    }
    let empty = frame(0, 0, 1, &[]);
    check_info("", Fault::Retry, &[bytes(headers), forever(empty)]).await;
}

#[tokio::test]
async fn an_info_ends_at_endless_headers() {
    // A header without an index of the HPACK tables: a literal name and value.
    let mut literal = vec![0x00, 10];
    literal.extend(b"x-attacker");
    literal.extend([100]);
    literal.extend([b'a'; 100]);
    let block = literal.repeat(100);
    let begun = frame(1, 0, 1, &block);
    let more = frame(9, 0, 1, &block);
    check_info("no gRPC answer", Fault::Retry, &[bytes(begun.clone()), forever(more)]).await;
    let empty = frame(9, 0, 1, &[]);
    check_info("no gRPC answer", Fault::Retry, &[bytes(begun), forever(empty)]).await;
}

#[tokio::test]
async fn an_info_ends_at_a_body_without_end() {
    let headers = status("200", END_HEADERS);
    let data = frame(0, 0, 1, &[b'a'; 16 << 10]);
    check_info("no gRPC answer", Fault::Retry, &[bytes(headers.clone()), forever(data)]).await;
    check_info("no complete answer within 1 s", Fault::Retry, &[bytes(headers), Part::Silence])
        .await;
}

#[tokio::test]
async fn an_info_ends_at_a_slow_drip() {
    let words = "no complete answer within 1 s";
    check_info(words, Fault::Retry, &[drip(frame(6, 0, 0, &[7; 8]))]).await;
    check_info(words, Fault::Retry, &[drip(frame(1, 0, 1, &[0x88; 16000]))]).await;
    check_info(words, Fault::Retry, &[Part::Silence]).await;
}

#[tokio::test]
async fn an_info_ends_at_garbage_and_at_goaway() {
    for garbage in [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        b"\x00\xff\x1b[2J".repeat(100),
        frame(0, 0, 99, b"a stream that does not exist"),
        frame(5, END_HEADERS, 1, &[0, 0, 0, 2, 0x88]), // PUSH_PROMISE
        frame(3, 0, 1, &[0, 0, 0, 8]),                 // RST_STREAM
        frame(0xff, 0xff, u32::MAX, &[0xff; 16 << 10]),
        [0xff; 9].repeat(1000),
    ] {
        check_info("answer", Fault::Retry, &[bytes(garbage), Part::Silence]).await;
    }
    let mut farewell = vec![0, 0, 0, 0, 0, 0, 0, 11];
    farewell.extend(b"\x1b[2J\r\nINFO all is well ".repeat(500));
    let farewell = bytes(frame(7, 0, 0, &farewell));
    check_info("no gRPC answer", Fault::Retry, &[farewell, Part::Silence]).await;
}

#[tokio::test]
async fn the_text_of_a_grpc_refusal_is_decoded_and_sanitized() {
    let mut block = vec![0x88, 0x00, 11];
    block.extend(b"grpc-status");
    block.extend([2, b'1', b'4']);
    block.extend([0x00, 12]);
    block.extend(b"grpc-message");
    let message = b"no%20room%0d%0aINFO all%1b[2J is well %e2%80%ae";
    block.push(u8::try_from(message.len()).unwrap());
    block.extend(message);
    let words = "refused with gRPC status 14: no room  INFO all [2J is well";
    let headers = bytes(frame(1, END_HEADERS | 1, 1, &block));
    check_info(words, Fault::NextPeer, &[headers, Part::Silence]).await;
}

// ---------------------------------------------------------------------------------------------
// Single-shot runners, discovery, signers
// ---------------------------------------------------------------------------------------------

/// Answers the call of a single-shot job with the attack, and asserts that the outcome contains `words`.
async fn check_single(words: &str, parts: &[Part]) {
    let attacker = Attacker::start(Begin::Http, parts.to_vec());
    let runner = Runner {
        url: url(&attacker.http()).join("/apps/r/session"),
        app: "r".to_owned(),
        version: None,
        mode: None,
        capacity: None,
        free: None,
        gpu: None,
        price: None,
    };
    let content_type = HeaderValue::from_static("application/json");
    let options = CallOptions { path: None, body: Bytes::from_static(b"{}"), content_type };
    let called = async {
        let mut answer = SingleShotCall::start(&network(), &runner, options).await?;
        let mut length = 0;
        while let Some(piece) = answer.next().await? {
            length += piece.len();
        }
        Ok::<usize, RunnerError>(length)
    };
    let called = tokio::time::timeout(CALL_TIME, called).await.expect("the call ends");
    check_line(&called.expect_err("an attack"), words);
}

#[tokio::test]
async fn the_agent_leaves_a_single_shot_runner_that_attacks() {
    let words = "no HTTP answer";
    check_single(words, &[forever("HTTP/1.1 100 Continue\r\n\r\n")]).await;
    check_single(words, &[bytes(OK), forever("X-Attack: a\r\n")]).await;
    check_single(words, &[bytes("\0\x1b[2J\r\n\r\n"), Part::Silence]).await;
    check_single(words, &[bytes(format!("{OK}Content-Length: 10\r\n\r\nshort"))]).await;
    let chunked = bytes(format!("{OK}Transfer-Encoding: chunked\r\n\r\n"));
    check_single(words, &[chunked, bytes("1;"), forever("x")]).await;
    let refusal = bytes("HTTP/1.1 500 x\r\n\r\n");
    check_single("it failed (500", &[refusal.clone(), forever("a")]).await;
    check_single("it failed (500", &[refusal, bytes("\x1b[2J\r\nINFO all is well")]).await;
}

/// Attacks that each fail a call at once, without waiting for its time limit.
fn quick_attacks() -> Vec<Attacker> {
    let chunked = bytes(format!("{OK}Transfer-Encoding: chunked\r\n\r\n"));
    [
        vec![bytes(OK), forever("X-Attack: a\r\n")],
        vec![chunked, bytes("fffffff\r\n"), forever("[")],
        vec![bytes(format!("{OK}\r\n{}", "[".repeat(200_000)))],
        vec![bytes("HTTP/1.1 307 x\r\nLocation: http://127.0.0.1:9/\r\n\r\n")],
        vec![bytes("\x1b[2J\r\n\r\n")],
    ]
    .into_iter()
    .map(|parts| Attacker::start(Begin::Http, parts))
    .collect()
}

#[tokio::test]
async fn after_an_attack_discovery_uses_the_next_strategy() {
    let list = r#"[{"address":"https://good.example"}]"#;
    let good = format!("{OK}Connection: close\r\nContent-Length: {}\r\n\r\n{list}", list.len());
    let good = Attacker::start(Begin::Http, vec![bytes(good)]);
    let attackers = quick_attacks();
    let base = |attacker: &Attacker| Url::parse_base(&attacker.http(), 80).unwrap();
    let signers = attackers.iter().chain([&good]).map(base).collect();
    let endpoints =
        Endpoints { discovery: Some(base(&attackers[0])), signers, ..Endpoints::default() };
    let wanted = DiscoveryQuery { capabilities: Vec::new(), apps: vec!["r".to_owned()] };
    let mut finder = Finder::new(network().client, endpoints, wanted, None, false);
    for _ in 0..=attackers.len() {
        let error = finder.next().await.unwrap().unwrap_err();
        check_line(&error, "127.0.0.1:");
    }
    let listed = finder.next().await.unwrap().unwrap();
    assert_eq!(listed.list.entries[0].address.authority().host(), "good.example");
}

#[tokio::test]
async fn after_an_attack_the_next_signer_is_asked() {
    let signature =
        format!(r#"{{"address":"0x{}","signature":"0x{}"}}"#, "ab".repeat(20), "cd".repeat(65));
    let length = signature.len();
    let good = format!("{OK}Connection: close\r\nContent-Length: {length}\r\n\r\n{signature}");
    let good = Attacker::start(Begin::Http, vec![bytes(good)]);
    let attackers = quick_attacks();
    for attacker in &attackers {
        let base = |attacker: &Attacker| Url::parse_base(&attacker.http(), 80).unwrap();
        let signers = |urls: Vec<Url>| {
            let options = SignerOptions { urls, ..SignerOptions::default() };
            Signers::new(network().client, options).unwrap()
        };
        let error = signers(vec![base(attacker)]).signature().await.unwrap_err();
        check_line(&error, "127.0.0.1:");
        // After a refusal of this session only, no other signer is asked; after any other failure the next one is.
        if error.retry_after().is_some() {
            let signature = signers(vec![base(attacker), base(&good)]).signature().await.unwrap();
            assert!(signature.payer().starts_with("0xabab"));
        }
    }
}
