//! Hostile trickle servers: every attack ends a publisher or a subscriber within a time limit, at a bounded cost, with
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
mod trickle_raw;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use attack::{Attacker, Begin, Part, bytes, drip, forever};
use bytes::Bytes;
use http::HeaderValue;
use livepeer_gateway::segment::{Piece, PiecePlace, Pieces, Seq};
use livepeer_gateway::trickle::io::{
    PublishTimes, Publisher, SegmentSink, SubscribeTimes, Subscriber,
};
use livepeer_gateway::trickle::{Channel, ChannelEnd, ChannelKind, TrickleError};
use resilience::fault::{Fault, chain};
use resilience::sanitize::MESSAGE_CHARS;
use resilience::sanitize::is_harmful;
use resilience::stop::Stop;
use tokio::sync::Notify;
use trickle_raw::connector;

/// The time limit of one request in these tests.
const TIME: Duration = Duration::from_millis(200);
/// The maximum time of five attempts with pauses of at most 500 ms, including 3 s or more for a busy machine.
const ALL_TRIES: Duration = Duration::from_secs(6);
/// The largest segment.
const BODY: u64 = 1 << 20;

const OK: &str = "HTTP/1.1 200 OK\r\nLp-Trickle-Seq: 0\r\n";
const HUNDRED: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const NEXT: &str = "HTTP/1.1 200 OK\r\nLp-Trickle-Latest: 0\r\nContent-Length: 1\r\n\r\n0";

fn channel(attacker: &Attacker, purpose: ChannelKind) -> Channel {
    Channel::parse(&format!("{}/ai/trickle/s3cret", attacker.http()), purpose).unwrap()
}

/// Asserts that the error is one short line that contains `words` and nothing harmful or secret, and that it came
/// within [`ALL_TRIES`]. Returns its fault.
#[track_caller]
fn check(ended: Result<ChannelEnd, TrickleError>, began: Instant, words: &str) -> Fault {
    let error = ended.unwrap_err();
    let line = chain(&error);
    assert!(began.elapsed() < ALL_TRIES, "{:?}: {line:?}", began.elapsed());
    assert!(line.contains(words), "{words:?} in {line:?}");
    assert!(!line.contains(is_harmful) && !line.contains("s3cret"), "{line:?}");
    assert!(line.chars().count() < 2 * MESSAGE_CHARS, "{line:?}");
    error.fault()
}

/// An endless camera: segments of three pieces.
struct Endless(u64);

impl Pieces for Endless {
    async fn next(&mut self) -> Option<Piece> {
        // 5 ms a piece: 67 segments a second, faster than any camera.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let place = if self.0.is_multiple_of(3) { PiecePlace::Begin } else { PiecePlace::Continue };
        self.0 += 1;
        Some(Piece { place, bytes: Bytes::from_static(&[7; 1880]) })
    }

    fn resync(&mut self) {
        self.0 = 0;
    }
}

async fn publish(attacker: &Attacker) -> Result<ChannelEnd, TrickleError> {
    let (_hold, stop) = Stop::new();
    let mime = HeaderValue::from_static("video/mp2t");
    let channel = channel(attacker, ChannelKind::Publish);
    let times = PublishTimes { chunk: TIME, answer: TIME, stop: TIME, ..PublishTimes::default() };
    let publisher = Publisher::new(connector(), channel, mime, Arc::default()).with_times(times);
    publisher.run(Endless(0), stop).await
}

/// Answers the request for the first seq with the attack.
async fn check_next(words: &str, parts: &[Part]) -> Fault {
    let attacker = Attacker::start(Begin::Http, parts.to_vec());
    let began = Instant::now();
    check(publish(&attacker).await, began, words)
}

/// Answers every POST with the attack.
async fn check_post(words: &str, parts: &[Part]) -> Fault {
    let parts = parts.to_vec();
    let attacker = Attacker::answering(Begin::Http, move |head| match head.starts_with("GET") {
        true => vec![bytes(NEXT)],
        false => parts.clone(),
    });
    let began = Instant::now();
    check(publish(&attacker).await, began, words)
}

/// A sink that counts bytes.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl SegmentSink for Count {
    fn begin(&mut self, _: Seq, _: &str) {}
    fn bytes(&mut self, bytes: &Bytes) {
        self.0.fetch_add(bytes.len(), Ordering::Relaxed);
    }
    fn end(&mut self, _: bool) {}
}

/// Answers every GET with the attack.
async fn check_get(words: &str, parts: &[Part]) -> Fault {
    let attacker = Attacker::start(Begin::Http, parts.to_vec());
    let (_hold, stop) = Stop::new();
    let times = SubscribeTimes { renew: TIME, segment: TIME, stall: TIME, body: BODY };
    let channel = channel(&attacker, ChannelKind::Subscribe);
    let began = Instant::now();
    let subscriber = Subscriber::new(connector(), channel).with_times(times);
    let sink = Count::default();
    let fault = check(subscriber.run(sink.clone(), stop).await, began, words);
    assert!(sink.0.load(Ordering::Relaxed) as u64 <= 5 * BODY);
    fault
}

/// Asserts that the attack ends the request for the first seq, POSTs and GETs.
async fn check_all(words: &str, expected: Fault, parts: &[Part]) {
    assert_eq!(check_next(words, parts).await, expected, "next: {parts:?}");
    assert_eq!(check_post(words, parts).await, expected, "post: {parts:?}");
    assert_eq!(check_get(words, parts).await, expected, "get: {parts:?}");
}

#[tokio::test]
async fn streams_end_at_an_endless_head() {
    for endless in ["X-Attack: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", "a"] {
        check_all("the answer is not HTTP", Fault::NextPeer, &[bytes(OK), forever(endless)]).await;
    }
    let lines = "X: a\r\n".repeat(65);
    let parts = [bytes(format!("{OK}{lines}\r\n")), Part::Silence];
    check_all("the answer is not HTTP", Fault::NextPeer, &parts).await;
}

#[tokio::test]
async fn streams_end_at_a_flood_of_interim_answers() {
    let words = "the peer sends too many interim answers (1xx)";
    check_all(words, Fault::NextPeer, &[forever(HUNDRED)]).await;
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    check_all(words, Fault::NextPeer, &[forever(hints)]).await;
    let then = format!("{OK}Content-Length: 0\r\n\r\n");
    let ten_thousand = Part::Times(10_000, HUNDRED.as_bytes().to_vec());
    check_all(words, Fault::NextPeer, &[ten_thousand, bytes(then)]).await;
}

#[tokio::test]
async fn a_few_interim_answers_are_accepted() {
    let attacker = Attacker::answering(Begin::Http, |head| {
        let last = match head.starts_with("GET") {
            true => NEXT,
            // The real server answers like this once the channel is closed.
            false => {
                "HTTP/1.1 200 OK\r\nLp-Trickle-Closed: terminated\r\nContent-Length: 0\r\n\r\n"
            }
        };
        vec![Part::Times(10, HUNDRED.as_bytes().to_vec()), bytes(last), Part::Silence]
    });
    assert_eq!(publish(&attacker).await.unwrap(), ChannelEnd::Closed);
}

#[tokio::test]
async fn streams_end_at_garbage() {
    for garbage in [&b"\x00\xff\x1b[2J\r\n\r\n"[..], b"<html>\r\n\r\n", b"HTTP/9.9 200 OK\r\n\r\n"]
    {
        let parts = [bytes(garbage), Part::Silence];
        check_all("the answer is not HTTP", Fault::NextPeer, &parts).await;
    }
    let parts = [bytes("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), Part::Silence];
    check_all("the answer is not HTTP", Fault::NextPeer, &parts).await;
}

#[tokio::test]
async fn streams_do_not_follow_a_redirect() {
    let redirect = "Location: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n";
    let parts = [bytes(format!("HTTP/1.1 307 x\r\n{redirect}")), Part::Silence];
    assert_eq!(check_next("status 307", &parts).await, Fault::NextPeer);
    assert_eq!(check_get("status 307", &parts).await, Fault::NextPeer);
    // Each POST loses its segment, and after several losses the publisher ends.
    check_post("", &parts).await;
}

#[tokio::test]
async fn a_publisher_ends_at_a_server_that_drips_or_is_silent() {
    assert_eq!(check_next("", &[drip("HTTP/1.1 200 OK\r\nX: a")]).await, Fault::Retry);
    assert_eq!(check_next("", &[Part::Silence]).await, Fault::Retry);
    check_post("", &[drip("HTTP/1.1 200 OK\r\nX: a")]).await;
    check_post("", &[Part::Silence]).await;
}

#[tokio::test]
async fn a_publisher_ends_at_a_nonsensical_next_seq() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}", "9".repeat(20)),
        "HTTP/1.1 200 OK\r\nLp-Trickle-Latest: -5\r\nContent-Length: 0\r\n\r\n".to_owned(),
    ] {
        let words = "does not number its segments";
        let fault = check_next(words, &[bytes(answer), forever("a")]).await;
        assert_eq!(fault, Fault::NextPeer);
    }
}

#[tokio::test]
async fn a_subscriber_ends_at_a_segment_that_is_too_large() {
    let words = format!("a segment is larger than {BODY} bytes");
    let chunked = format!("{OK}Transfer-Encoding: chunked\r\n\r\n");
    let length = format!("{OK}Content-Length: 1099511627776\r\n\r\n");
    for parts in [
        [bytes(length), forever([b'a'; 4096])],
        [bytes(format!("{OK}\r\n")), forever([b'a'; 4096])],
        [bytes(format!("{chunked}ffffffffff\r\n")), forever([b'a'; 4096])],
    ] {
        assert_eq!(check_get(&words, &parts).await, Fault::NextPeer);
    }
}

#[tokio::test]
async fn a_subscriber_pauses_between_segments_that_come_without_end() {
    const SEGMENTS: u32 = 50;
    let (asked, enough) = (AtomicUsize::new(0), Arc::new(Notify::new()));
    let notify = Arc::clone(&enough);
    let attacker = Attacker::answering(Begin::Http, move |_| {
        let seq = asked.fetch_add(1, Ordering::Relaxed);
        if seq == SEGMENTS as usize {
            notify.notify_one();
        }
        let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n";
        vec![bytes(format!("{head}Lp-Trickle-Seq: {seq}\r\n\r\n."))]
    });
    let (hold, stop) = Stop::new();
    let subscriber = Subscriber::new(connector(), channel(&attacker, ChannelKind::Events));
    let began = Instant::now();
    let over = async {
        enough.notified().await;
        drop(hold);
    };
    let (end, ()) = tokio::join!(subscriber.run(Count::default(), stop), over);
    assert_eq!(end.unwrap(), ChannelEnd::Finished);
    // The subscriber must pause 5 ms after each segment, however fast the computer; timers may be 1 ms early.
    let least = Duration::from_millis(4) * SEGMENTS;
    assert!(began.elapsed() >= least, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_subscriber_ends_at_a_body_that_drips_or_has_a_wrong_length() {
    let chunked = format!("{OK}Transfer-Encoding: chunked\r\n\r\n");
    for parts in [
        vec![bytes(&chunked), drip("1\r\na\r\n")],
        vec![bytes(format!("{chunked}1;")), forever("x")],
        vec![bytes(format!("{chunked}zz\r\n")), Part::Silence],
        vec![bytes(format!("{chunked}fffffffffffffffff\r\n")), Part::Silence],
        vec![bytes(format!("{chunked}0\r\n")), forever("X-Attack: a\r\n")],
        vec![bytes(format!("{OK}Content-Length: 10\r\n\r\nshort"))],
        vec![bytes(format!("{OK}Content-Length: 10\r\n\r\n")), Part::Silence],
    ] {
        check_get("", &parts).await;
    }
}
