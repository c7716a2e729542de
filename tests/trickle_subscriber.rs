//! The subscriber against a peer that answers like the real server, and against faulty peers.
//!
//! The answers of the peer are taken from `fixtures/trickle-transcripts.txt`.
//!
//! Does not: test each decision; the unit tests of `trickle::subscription` do.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

mod trickle_raw;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use livepeer_gateway::trickle::io::{Documents, SegmentSink, SubscribeTimes, Subscriber};
use livepeer_gateway::trickle::{ChannelEnd, ChannelKind, TrickleError};
use resilience::fault::Fault;
use resilience::stop::{Stop, Stopper};
use tokio::task::JoinHandle;

use trickle_raw::Sunk::{Begin, Bytes, End as Ended};
use trickle_raw::{PATIENCE, Peer, Raw, Sinked, Sunk, connector, sink, soon};

const CLOSED: &str = "HTTP/1.1 200 OK\r\nLp-Trickle-Closed: terminated\r\nLp-Trickle-Latest: 1\r\nLp-Trickle-Seq: 1\r\nContent-Length: 0\r\n\r\n";
const MISSING: &str = "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: 17\r\n\r\nStream not found\n";

/// Time limits that are too long to be reached in these tests.
fn patient() -> SubscribeTimes {
    SubscribeTimes::default()
}

fn segment(seq: u64, chunks: &[&str]) -> String {
    let mut text = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: video/MP2T\r\nLp-Trickle-Seq: {seq}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    for chunk in chunks {
        text += &format!("{:x}\r\n{chunk}\r\n", chunk.len());
    }
    text
}

fn whole(seq: u64, chunk: &str) -> String {
    segment(seq, &[chunk]) + "0\r\n\r\n"
}

fn empty(seq: u64) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nLp-Trickle-Latest: 9\r\nLp-Trickle-Seq: {seq}\r\nContent-Length: 0\r\n\r\n"
    )
}

fn no_entry(seq: u64, latest: u64) -> String {
    format!(
        "HTTP/1.1 470 status code 470\r\nLp-Trickle-Latest: {latest}\r\nLp-Trickle-Seq: {seq}\r\nContent-Length: 15\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nEntry not found"
    )
}

fn copied(seq: u64, text: &str) -> [Sunk; 3] {
    [Begin(seq, "video/MP2T".into()), Bytes(text.into()), Ended(true)]
}

/// A subscriber under test, with its peer.
struct Bench {
    raw: Raw,
    running: JoinHandle<Result<ChannelEnd, TrickleError>>,
    stopper: Stopper,
}

impl Bench {
    async fn new(times: SubscribeTimes, sink: impl SegmentSink + 'static) -> Self {
        let raw = Raw::new().await;
        let channel = raw.channel(ChannelKind::Subscribe);
        let (stopper, stop) = Stop::new();
        let subscriber = Subscriber::new(connector(), channel).with_times(times);
        let running = tokio::spawn(subscriber.run(sink, stop));
        Self { raw, running, stopper }
    }

    /// Starts a subscriber, and waits for its first GET.
    async fn started(times: SubscribeTimes) -> (Self, Sinked, Peer) {
        let (sink, sinked) = sink();
        let bench = Self::new(times, sink).await;
        let mut peer = bench.raw.accept().await;
        check_get(&mut peer, "-2").await;
        (bench, sinked, peer)
    }

    /// Starts a subscriber, and sends the first bytes of seq 3. Seq 4 is requested on another connection.
    async fn reading(times: SubscribeTimes) -> (Self, Sinked, Peer, Peer) {
        let (bench, mut sinked, mut peer) = Self::started(times).await;
        peer.send(&segment(3, &["three"])).await;
        assert_eq!(sinked.next().await, Begin(3, "video/MP2T".into()));
        assert_eq!(sinked.next().await, Bytes("three".into()));
        let mut ahead = bench.raw.accept().await;
        check_get(&mut ahead, "4").await;
        (bench, sinked, peer, ahead)
    }

    async fn end(self) -> Result<ChannelEnd, TrickleError> {
        soon("the subscriber's end", self.running).await.expect("no panic")
    }
}

async fn check_get(peer: &mut Peer, segment: &str) {
    let head = peer.head().await;
    assert!(head.starts_with(&format!("get /ai/trickle/ch/{segment} http/1.1\r\n")), "{head}");
    assert!(head.contains("\r\nhost: 127.0.0.1:"), "{head}");
}

#[tokio::test]
async fn segments_are_received_in_order_over_two_connections() {
    let (bench, sinked, mut a, mut b) = Bench::reading(patient()).await;
    // Seq 4 is complete before seq 3 is.
    b.send(&whole(4, "four")).await;
    a.send("6\r\n three\r\n").await;
    a.send("0\r\n\r\n").await;
    check_get(&mut a, "5").await;
    a.send(&whole(5, "five")).await;
    check_get(&mut b, "6").await;
    b.send(CLOSED).await;
    assert!(matches!(bench.end().await, Ok(ChannelEnd::Closed)));
    let mut expected = vec![Bytes(" three".into()), Ended(true)];
    expected.extend(copied(4, "four"));
    expected.extend(copied(5, "five"));
    assert_eq!(sinked.rest().await, expected);
}

#[tokio::test]
async fn after_a_channel_is_deleted_its_last_segment_is_still_received() {
    let (bench, sinked, mut a, mut b) = Bench::reading(patient()).await;
    b.send(CLOSED).await;
    a.send("0\r\n\r\n").await;
    assert!(matches!(bench.end().await, Ok(ChannelEnd::Closed)));
    assert_eq!(sinked.rest().await, [Ended(true)]);
}

#[tokio::test]
async fn a_missing_channel_ends_the_subscriber() {
    let (bench, sinked, mut a) = Bench::started(patient()).await;
    a.send(MISSING).await;
    assert!(matches!(bench.end().await, Ok(ChannelEnd::Missing)));
    assert_eq!(sinked.rest().await, []);
}

#[tokio::test]
async fn an_unwritten_segment_is_skipped_without_a_report() {
    let (_bench, mut sinked, mut a) = Bench::started(patient()).await;
    a.send(&empty(3)).await;
    check_get(&mut a, "4").await;
    a.send(&whole(4, "four")).await;
    for expected in copied(4, "four") {
        assert_eq!(sinked.next().await, expected);
    }
}

#[tokio::test]
async fn a_segment_that_the_server_no_longer_has_is_skipped() {
    let (_bench, _sinked, mut a, mut b) = Bench::reading(patient()).await;
    a.send("0\r\n\r\n").await;
    b.send(&no_entry(4, 9)).await;
    check_get(&mut b, "9").await;
}

#[tokio::test]
async fn a_segment_that_does_not_exist_yet_is_requested_again_after_a_pause() {
    let (_bench, _sinked, mut a) = Bench::started(patient()).await;
    a.send(&empty(3)).await;
    for _ in 0..2 {
        check_get(&mut a, "4").await;
        a.send(&no_entry(4, 3)).await;
        let answered = Instant::now();
        assert!(a.is_silent().await);
        check_get(&mut a, "4").await;
        assert!(answered.elapsed() >= Duration::from_millis(240), "{:?}", answered.elapsed());
        a.send(&no_entry(4, 3)).await;
    }
}

#[tokio::test]
async fn a_get_that_has_waited_for_its_limit_is_sent_again() {
    let (bench, mut sinked, mut a) =
        Bench::started(SubscribeTimes { renew: Duration::from_millis(200), ..patient() }).await;
    assert!(a.closed().await.is_empty());
    let mut again = bench.raw.accept().await;
    check_get(&mut again, "-2").await;
    again.send(&segment(3, &["three"])).await;
    assert_eq!(sinked.next().await, Begin(3, "video/MP2T".into()));
    // The GET for the next segment is renewed as well, and a renewal does not count as a failed attempt.
    for _ in 0..3 {
        let mut ahead = bench.raw.accept().await;
        check_get(&mut ahead, "4").await;
        assert!(ahead.closed().await.is_empty());
    }
}

#[tokio::test]
async fn an_incomplete_segment_is_reported_and_the_next_one_is_read() {
    for reset in [true, false] {
        let (_bench, mut sinked, a, mut b) = Bench::reading(patient()).await;
        if reset {
            a.reset();
        } else {
            drop(a);
        }
        assert_eq!(sinked.next().await, Ended(false));
        b.send(&whole(4, "four")).await;
        for expected in copied(4, "four") {
            assert_eq!(sinked.next().await, expected);
        }
    }
}

#[tokio::test]
async fn a_segment_whose_publisher_stopped_is_given_up_when_the_next_one_begins() {
    let (_bench, mut sinked, mut a, mut b) =
        Bench::reading(SubscribeTimes { stall: Duration::from_millis(150), ..patient() }).await;
    b.send(&whole(4, "four")).await;
    // The publisher sends one more chunk, then nothing.
    a.send("4\r\nlast\r\n").await;
    assert_eq!(sinked.next().await, Bytes("last".into()));
    let silent = Instant::now();
    assert_eq!(sinked.next().await, Ended(false));
    assert!(silent.elapsed() >= Duration::from_millis(100));
    for expected in copied(4, "four") {
        assert_eq!(sinked.next().await, expected);
    }
}

#[tokio::test]
async fn the_reception_of_a_segment_has_a_time_limit() {
    let times = SubscribeTimes { segment: Duration::from_millis(600), ..patient() };
    let (_bench, mut sinked, mut a, _b) = Bench::reading(times).await;
    let dripped = Instant::now();
    let drip = async {
        loop {
            a.send("1\r\n.\r\n").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let ended = async { while sinked.next().await != Ended(false) {} };
    tokio::select! {
        () = drip => {}
        () = ended => {}
    }
    let took = dripped.elapsed();
    assert!(took >= Duration::from_millis(500) && took < PATIENCE / 2, "{took:?}");
}

#[tokio::test]
async fn a_segment_above_the_size_limit_is_a_fault_of_the_peer() {
    let times = SubscribeTimes { body: 1000, ..patient() };
    let (bench, sinked, mut a, _b) = Bench::reading(times).await;
    a.send(&format!("3e4\r\n{}\r\n", "x".repeat(996))).await;
    let error = bench.end().await.expect_err("too large");
    assert_eq!(error.fault(), Fault::NextPeer);
    assert_eq!(sinked.rest().await, [Ended(false)]);
}

#[tokio::test]
async fn a_stop_in_mid_segment_reports_the_segment_as_incomplete() {
    let (bench, sinked, mut a, mut b) = Bench::reading(patient()).await;
    drop(bench.stopper);
    let end = soon("the end", bench.running).await.expect("no panic");
    assert!(matches!(end, Ok(ChannelEnd::Finished)));
    assert_eq!(sinked.rest().await, [Ended(false)]);
    assert!(a.closed().await.is_empty() && b.closed().await.is_empty());
}

#[tokio::test]
async fn a_peer_that_breaks_each_connection_is_tried_five_times() {
    let (bench, sinked, mut a) = Bench::started(patient()).await;
    let began = Instant::now();
    for _ in 0..4 {
        drop(a);
        a = bench.raw.accept().await;
        check_get(&mut a, "-2").await;
    }
    drop(a);
    let error = bench.end().await.expect_err("gone");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(1200) && took < Duration::from_secs(6), "{took:?}");
    assert_eq!(error.fault(), Fault::Retry);
    assert!(error.to_string().starts_with("subscribe channel at http://127.0.0.1:"), "{error}");
    assert_eq!(sinked.rest().await, []);
}

#[tokio::test]
async fn hostile_answers_are_bounded_and_reported() {
    for line in ["X-More: and more\r\n", "X", "\0"] {
        let (bench, _sinked, mut a) = Bench::started(patient()).await;
        a.send("HTTP/1.1 200 OK\r\n").await;
        let block = line.repeat(1024 / line.len());
        let mut sent = 0;
        let peer = async {
            while tokio::io::AsyncWriteExt::write_all(&mut a.socket, block.as_bytes()).await.is_ok()
            {
                sent += block.len();
                tokio::task::yield_now().await;
            }
        };
        let (end, ()) = tokio::join!(bench.end(), peer);
        let error = end.expect_err("hostile");
        assert_eq!(error.fault(), Fault::NextPeer, "{line:?}");
        assert!(sent < 16 << 20, "{sent}");
    }
}

#[tokio::test]
async fn each_segment_of_an_events_channel_is_a_json_document() {
    let (documents, mut queue) = Documents::new();
    let dropped = documents.dropped();
    let bench = Bench::new(patient(), documents).await;
    let mut a = bench.raw.accept().await;
    check_get(&mut a, "-2").await;
    a.send(&segment(0, &["{\"type\":", "\"status\"}"])).await;
    let mut b = bench.raw.accept().await;
    check_get(&mut b, "1").await;
    a.send("0\r\n\r\n").await;
    let document = soon("an event", queue.recv()).await.expect("an event");
    assert_eq!(document, "{\"type\":\"status\"}");
    b.send(&segment(1, &["{\"half\":"])).await;
    check_get(&mut a, "2").await;
    drop(b);
    a.send(CLOSED).await;
    assert!(matches!(bench.end().await, Ok(ChannelEnd::Closed)));
    assert_eq!(soon("the end", queue.recv()).await, None);
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}
