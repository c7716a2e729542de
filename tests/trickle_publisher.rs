//! The publisher against a peer that answers like the real server, and against faulty peers.
//!
//! The answers of the peer are taken from `fixtures/trickle-transcripts.txt`.
//!
//! Does not: test each decision; the unit tests of `trickle::publication` do.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

mod trickle_raw;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderValue;
use livepeer_gateway::segment::{PiecePlace, Pieces};
use livepeer_gateway::trickle::io::{
    MessageSender, PublishTimes, Publisher, PublisherCounters, messages,
};
use livepeer_gateway::trickle::{ChannelEnd, ChannelKind, TrickleError};
use resilience::fault::Fault;
use resilience::stop::{Stop, Stopper};
use tokio::task::JoinHandle;

use trickle_raw::{Feeder, PATIENCE, Peer, Raw, connector, feed, soon};

const DONE: &str = "HTTP/1.1 200 OK\r\nLp-Trickle-Seq: 0\r\nContent-Length: 0\r\n\r\n";
const EARLY: &str =
    "HTTP/1.1 200 OK\r\nConnection: close\r\nLp-Trickle-Seq: 0\r\nContent-Length: 0\r\n\r\n";
const CLOSED: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nLp-Trickle-Closed: terminated\r\nLp-Trickle-Seq: 8\r\nContent-Length: 0\r\n\r\n";
const MISSING: &str = "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: 17\r\n\r\nStream not found\n";
const SERVER_ERROR: &str = "HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: 13\r\nConnection: close\r\n\r\nServer error\n";

type Running = JoinHandle<Result<ChannelEnd, TrickleError>>;

fn quick() -> PublishTimes {
    PublishTimes {
        chunk: Duration::from_millis(400),
        answer: Duration::from_millis(1500),
        stop: Duration::from_millis(600),
        slow: Duration::from_millis(300),
        ..PublishTimes::default()
    }
}

/// Like [`quick`], with a short limit for outages ([`LEAVE`]).
fn impatient() -> PublishTimes {
    PublishTimes { leave: LEAVE, ..quick() }
}

const LEAVE: Duration = Duration::from_millis(250);
/// A wait that is longer than [`LEAVE`].
const LATER: Duration = Duration::from_millis(600);

/// A publisher under test, with its peer.
struct Bench {
    raw: Raw,
    running: Running,
    stopper: Stopper,
    counters: Arc<PublisherCounters>,
}

impl Bench {
    async fn new(pieces: impl Pieces + 'static) -> Self {
        Self::with(Raw::new().await, pieces, quick())
    }

    fn with(raw: Raw, pieces: impl Pieces + 'static, times: PublishTimes) -> Self {
        let counters = Arc::new(PublisherCounters::default());
        let channel = raw.channel(ChannelKind::Publish);
        let mime = HeaderValue::from_static("video/mp2t");
        let publisher =
            Publisher::new(connector(), channel, mime, Arc::clone(&counters)).with_times(times);
        let (stopper, stop) = Stop::new();
        let running = tokio::spawn(publisher.run(pieces, stop));
        Self { raw, running, stopper, counters }
    }

    /// Starts a publisher, and waits for the POST of seq 7, which it pre-connects on the connection of `/next`.
    async fn ready(pieces: impl Pieces + 'static) -> (Self, Peer) {
        Self::new(pieces).await.until_ready().await
    }

    async fn until_ready(self) -> (Self, Peer) {
        let bench = self;
        let mut peer = bench.raw.accept().await;
        assert!(peer.head().await.starts_with("get /ai/trickle/ch/next http/1.1\r\n"));
        peer.send("HTTP/1.1 200 OK\r\nLp-Trickle-Latest: 7\r\nContent-Length: 1\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n7").await;
        check_post(&mut peer, 7, true).await;
        (bench, peer)
    }

    /// Starts a publisher, and waits for the first piece of seq 7. Seq 8 is pre-connected on another connection.
    async fn under_way() -> (Self, Feeder, Peer, Peer) {
        Self::under_way_with(Raw::new().await, quick()).await
    }

    async fn under_way_with(raw: Raw, times: PublishTimes) -> (Self, Feeder, Peer, Peer) {
        let (feeder, pieces) = feed();
        let (bench, mut peer) = Self::with(raw, pieces, times).until_ready().await;
        feeder.begin("seven").await;
        let mut ahead = bench.raw.accept().await;
        check_post(&mut ahead, 8, false).await;
        assert_eq!(peer.chunk().await.as_deref(), Some(&b"seven"[..]));
        (bench, feeder, peer, ahead)
    }

    async fn end(self) -> Result<ChannelEnd, TrickleError> {
        soon("the publisher's end", self.running).await.expect("no panic")
    }

    /// Waits until the publisher has received the final answers to `segments` segments.
    #[track_caller]
    fn answered(&self, segments: u64) -> impl Future<Output = ()> {
        soon("a final answer at the publisher", async move {
            while self.count().0 < segments {
                tokio::task::yield_now().await;
            }
        })
    }

    fn count(&self) -> (u64, u64, u64) {
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let PublisherCounters { segments, lost, in_flight, .. } = &*self.counters;
        (segments.count(), read(lost), read(in_flight))
    }
}

async fn check_post(peer: &mut Peer, seq: u64, reset: bool) {
    let head = peer.head().await;
    assert!(head.starts_with(&format!("post /ai/trickle/ch/{seq} http/1.1\r\n")), "{head}");
    assert!(head.contains("\r\ntransfer-encoding: chunked\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: video/mp2t\r\n"), "{head}");
    assert!(head.contains("\r\nhost: 127.0.0.1:"), "{head}");
    assert_eq!(head.contains("\r\nlp-trickle-reset: 1\r\n"), reset, "{head}");
}

#[tokio::test]
async fn each_piece_is_a_chunk_and_segments_alternate_between_connections() {
    let (bench, feeder, mut a, mut b) = Bench::under_way().await;
    feeder.go_on("seven again").await;
    assert_eq!(a.chunk().await.as_deref(), Some(&b"seven again"[..]));
    feeder.begin("eight").await;
    assert_eq!(a.chunk().await, None);
    assert_eq!(b.chunk().await.as_deref(), Some(&b"eight"[..]));
    // The answer to seq 7 is still missing, so seq 9 needs a third connection.
    let mut c = bench.raw.accept().await;
    check_post(&mut c, 9, false).await;
    a.send(DONE).await;
    bench.answered(1).await;
    feeder.begin("nine").await;
    assert_eq!(b.chunk().await, None);
    assert_eq!(c.chunk().await.as_deref(), Some(&b"nine"[..]));
    // The first connection has had its answer and is used again.
    check_post(&mut a, 10, false).await;
    b.send(DONE).await;
    drop(feeder);
    assert_eq!(c.chunk().await, None);
    c.send(DONE).await;
    assert!(a.closed().await.is_empty(), "an unused pre-connect sends nothing");
    let delete = c.head().await;
    assert!(delete.starts_with("delete /ai/trickle/ch http/1.1\r\n"), "{delete}");
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(bench.count().1, 0);
    let counters = Arc::clone(&bench.counters);
    assert!(matches!(bench.end().await, Ok(ChannelEnd::Finished)));
    assert_eq!(counters.segments.count(), 3);
    assert_eq!(counters.bytes.count(), 25);
    assert_eq!(counters.uploads.read(Instant::now()).count, 3);
}

#[tokio::test]
async fn an_early_404_ends_the_publisher_at_once_although_the_peer_keeps_the_connection() {
    let (_feeder, pieces) = feed();
    let (bench, mut peer) = Bench::ready(pieces).await;
    let began = Instant::now();
    peer.send(MISSING).await;
    assert!(matches!(bench.end().await, Ok(ChannelEnd::Missing)));
    // The publisher must not wait for the peer, which never closes the connection.
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    assert!(
        peer.closed().await.is_empty(),
        "the publisher closes the connection without sending more"
    );
}

#[tokio::test]
async fn a_closed_channel_reported_on_the_pre_connect_ends_the_current_segment() {
    let (bench, _feeder, mut a, mut b) = Bench::under_way().await;
    b.send(CLOSED).await;
    assert!(matches!(bench.end().await, Ok(ChannelEnd::Closed)));
    assert!(a.closed().await.is_empty(), "an incomplete segment gets no last chunk");
}

#[tokio::test]
async fn three_hundred_provisional_answers_do_not_count_as_an_answer() {
    let (feeder, pieces) = feed();
    let (bench, mut peer) = Bench::ready(pieces).await;
    for _ in 0..301 {
        peer.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    }
    assert!(peer.is_silent().await);
    feeder.begin("late").await;
    assert_eq!(peer.chunk().await.as_deref(), Some(&b"late"[..]));
    let _ahead = bench.raw.accept().await;
    drop(feeder);
    assert_eq!(peer.chunk().await, None);
    peer.send(DONE).await;
    assert!(peer.head().await.starts_with("delete /ai/trickle/ch "));
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert!(matches!(bench.end().await, Ok(ChannelEnd::Finished)));
}

/// Asserts that after the loss of the current segment, seq 8 is sent with a reset on a new connection.
async fn check_goes_on(bench: Bench, mut feeder: Feeder, mut ahead: Peer) {
    feeder.resynced().await;
    assert!(ahead.closed().await.is_empty(), "the pre-connect without the reset is dropped");
    let mut next = bench.raw.accept().await;
    check_post(&mut next, 8, true).await;
    feeder.go_on("rest of seven").await;
    assert!(next.is_silent().await, "the rest of a lost segment is dropped");
    feeder.begin("eight").await;
    assert_eq!(next.chunk().await.as_deref(), Some(&b"eight"[..]));
    let mut after = bench.raw.accept().await;
    check_post(&mut after, 9, false).await;
    assert_eq!(bench.count(), (0, 1, 1));
}

#[tokio::test]
async fn an_early_200_loses_the_segment() {
    let (bench, feeder, mut a, b) = Bench::under_way().await;
    a.send(EARLY).await;
    check_goes_on(bench, feeder, b).await;
}

#[tokio::test]
async fn an_early_500_loses_the_segment() {
    let (bench, feeder, mut a, b) = Bench::under_way().await;
    a.send(SERVER_ERROR).await;
    check_goes_on(bench, feeder, b).await;
}

#[tokio::test]
async fn a_reset_connection_loses_the_segment() {
    let (bench, feeder, a, b) = Bench::under_way().await;
    a.reset();
    check_goes_on(bench, feeder, b).await;
}

#[tokio::test]
async fn a_half_closed_connection_loses_the_segment() {
    let (bench, feeder, mut a, b) = Bench::under_way().await;
    tokio::io::AsyncWriteExt::shutdown(&mut a.socket).await.expect("half closed");
    check_goes_on(bench, feeder, b).await;
}

#[tokio::test]
async fn a_peer_that_stops_reading_loses_the_segment_after_the_chunk_time() {
    let (bench, feeder, a, b) = Bench::under_way().await;
    let began = Instant::now();
    let megabyte = Bytes::from(vec![0; 1 << 20]);
    let filled = async {
        // The socket buffers fill up, and then the publisher stops taking pieces.
        for _ in 0..64 {
            feeder.give(PiecePlace::Continue, megabyte.clone()).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_millis(350), filled).await.is_err());
    check_goes_on(bench, feeder, b).await;
    assert!(began.elapsed() >= Duration::from_millis(400));
    drop(a);
}

#[tokio::test]
async fn a_seq_that_the_peer_reports_as_used_is_skipped() {
    let (bench, feeder, mut a, mut b) = Bench::under_way().await;
    b.send(EARLY).await;
    let mut c = bench.raw.accept().await;
    check_post(&mut c, 9, false).await;
    feeder.go_on("more").await;
    assert_eq!(a.chunk().await.as_deref(), Some(&b"more"[..]));
    feeder.begin("nine").await;
    assert_eq!(a.chunk().await, None);
    assert_eq!(c.chunk().await.as_deref(), Some(&b"nine"[..]));
}

#[tokio::test]
async fn after_a_broken_pre_connect_the_same_seq_is_connected_again() {
    let (bench, feeder, mut a, b) = Bench::under_way().await;
    b.reset();
    let mut again = bench.raw.accept().await;
    check_post(&mut again, 8, false).await;
    feeder.begin("eight").await;
    assert_eq!(a.chunk().await, None);
    assert_eq!(again.chunk().await.as_deref(), Some(&b"eight"[..]));
    assert_eq!(bench.count().1, 0);
}

#[tokio::test]
async fn a_spare_connection_that_the_peer_closed_is_replaced() {
    let (bench, feeder, mut a, mut b) = Bench::under_way().await;
    feeder.begin("eight").await;
    assert_eq!(a.chunk().await, None);
    let _c = bench.raw.accept().await;
    a.send(DONE).await;
    bench.answered(1).await;
    assert_eq!(b.chunk().await.as_deref(), Some(&b"eight"[..]));
    drop(a);
    feeder.begin("nine").await;
    let mut d = bench.raw.accept().await;
    check_post(&mut d, 10, false).await;
    assert_eq!(bench.count().1, 0);
}

#[tokio::test]
async fn three_lost_segments_in_a_row_are_an_error() {
    let (bench, mut feeder, mut peer, _ahead) = Bench::under_way().await;
    for seq in 8..10 {
        peer.send(EARLY).await;
        feeder.resynced().await;
        peer = bench.raw.accept().await;
        check_post(&mut peer, seq, true).await;
        feeder.begin("again").await;
        let _ahead = bench.raw.accept().await;
        assert_eq!(peer.chunk().await.as_deref(), Some(&b"again"[..]));
    }
    peer.send(EARLY).await;
    let error = bench.end().await.expect_err("lost");
    assert!(matches!(error, TrickleError::Lost(..)));
    assert_eq!(error.fault(), Fault::Retry);
    let text = error.to_string();
    assert!(text.starts_with("publish channel at http://127.0.0.1:"), "{text}");
    assert!(text.ends_with(": 3 segments in a row did not get through"), "{text}");
    let cause = std::error::Error::source(&error).expect("a cause").to_string();
    assert_eq!(cause, "the peer answered before the segment was complete");
}

#[tokio::test]
async fn a_fourth_segment_without_an_answer_ends_the_publisher() {
    let (bench, feeder, mut a, mut b) = Bench::under_way().await;
    feeder.begin("eight").await;
    let mut c = bench.raw.accept().await;
    feeder.begin("nine").await;
    let _d = bench.raw.accept().await;
    assert_eq!((a.chunk().await, b.chunk().await.is_some()), (None, true));
    check_post(&mut c, 9, false).await;
    assert_eq!(c.chunk().await.as_deref(), Some(&b"nine"[..]));
    assert_eq!(bench.count(), (0, 0, 3));
    feeder.begin("ten").await;
    let mut delete = bench.raw.accept().await;
    assert!(delete.head().await.starts_with("delete /ai/trickle/ch "));
    delete.send(DONE).await;
    let error = bench.end().await.expect_err("too slow");
    assert!(matches!(error, TrickleError::TooSlow(_)));
    assert_eq!(error.fault(), Fault::NextPeer);
}

#[tokio::test]
async fn a_segment_without_an_answer_is_closed_and_the_next_one_is_sent() {
    let (bench, feeder, mut a, mut b) = Bench::under_way().await;
    feeder.begin("eight").await;
    assert_eq!(a.chunk().await, None);
    let _c = bench.raw.accept().await;
    let mut delete = bench.raw.accept().await;
    assert!(delete.head().await.starts_with("delete /ai/trickle/ch/7 http/1.1\r\n"));
    assert_eq!(b.chunk().await.as_deref(), Some(&b"eight"[..]));
    feeder.go_on("more of eight").await;
    assert_eq!(b.chunk().await.as_deref(), Some(&b"more of eight"[..]));
    assert_eq!(bench.count(), (0, 1, 1));
}

/// Starts the publisher of a control channel, queues `first`, and waits for the POSTs of seq 7 and 8. Returns the
/// bench, the queue of messages, and the connections of the two POSTs.
async fn control(times: PublishTimes, first: &'static [u8]) -> (Bench, MessageSender, Peer, Peer) {
    let (sender, queue) = messages();
    let (bench, mut peer) = Bench::with(Raw::new().await, queue, times).until_ready().await;
    sender.try_send(Bytes::from_static(first)).expect("room");
    check_message(&mut peer, first).await;
    let mut ahead = bench.raw.accept().await;
    check_post(&mut ahead, 8, false).await;
    (bench, sender, peer, ahead)
}

async fn check_message(peer: &mut Peer, expected: &[u8]) {
    assert_eq!(peer.chunk().await.as_deref(), Some(expected));
    assert_eq!(peer.chunk().await, None, "the segment of a message ends with the message");
}

#[tokio::test]
async fn each_message_is_a_whole_segment_and_waits_for_the_answer_to_the_one_before() {
    let (bench, sender, mut peer, mut ahead) = control(quick(), b"{\"n\":0}").await;
    for n in 1..6 {
        sender.try_send(Bytes::from(format!("{{\"n\":{n}}}"))).expect("room");
    }
    for n in 1..6 {
        assert!(ahead.is_silent().await, "the next message waits for the answer");
        peer.send(DONE).await;
        check_message(&mut ahead, format!("{{\"n\":{n}}}").as_bytes()).await;
        check_post(&mut peer, 8 + n, false).await;
        (peer, ahead) = (ahead, peer);
    }
    assert_eq!(bench.count().1, 0);
}

#[tokio::test]
async fn a_message_lost_by_a_reset_is_sent_again_with_a_new_seq_before_later_messages() {
    let leave = Duration::from_secs(1);
    let (bench, sender, peer, mut ahead) = control(PublishTimes { leave, ..quick() }, b"one").await;
    sender.try_send(Bytes::from_static(b"two")).expect("room");
    peer.reset();
    assert!(ahead.closed().await.is_empty(), "a connection from before the failure is not used");
    let (mut one, mut other) = (bench.raw.accept().await, bench.raw.accept().await);
    let (heads, seven) = ([one.head().await, other.head().await], "delete /ai/trickle/ch/7 ");
    let mut again = if heads[0].starts_with(seven) { other } else { one };
    assert!(heads.iter().any(|head| head.starts_with(seven)), "{heads:?}");
    assert!(heads.iter().any(|head| head.starts_with("post /ai/trickle/ch/8 ")), "{heads:?}");
    check_message(&mut again, b"one").await;
    let mut next = bench.raw.accept().await;
    check_post(&mut next, 9, false).await;
    assert!(next.is_silent().await);
    again.send(DONE).await;
    check_message(&mut next, b"two").await;
    next.send(DONE).await;
    bench.answered(2).await;
    // The outage is over, so its failures must not count any more.
    tokio::time::sleep(leave + LEAVE).await;
    sender.try_send(Bytes::from_static(b"three")).expect("a publisher");
}

#[tokio::test]
async fn a_message_may_be_refused_several_times() {
    let times = PublishTimes { leave: Duration::from_secs(5), ..quick() };
    let (bench, _sender, mut peer, mut ahead) = control(times, b"one").await;
    for seq in 8..12 {
        peer.send(SERVER_ERROR).await;
        let mut closer = bench.raw.accept().await;
        let head = closer.head().await;
        let closed = format!("delete /ai/trickle/ch/{} ", seq - 1);
        assert!(head.starts_with(&closed), "{head}");
        check_message(&mut ahead, b"one").await;
        peer = ahead;
        ahead = bench.raw.accept().await;
        check_post(&mut ahead, seq + 1, false).await;
    }
    peer.send(DONE).await;
    bench.answered(1).await;
    assert_eq!(bench.count(), (1, 4, 0));
}

#[tokio::test]
async fn a_message_that_never_arrives_ends_the_publication_with_its_error() {
    let times = PublishTimes { leave: LATER, ..quick() };
    let (bench, _sender, mut peer, ahead) = control(times, b"one").await;
    let began = Instant::now();
    peer.send(SERVER_ERROR).await;
    let delete = async {
        let mut closer = bench.raw.accept().await;
        closer.head().await;
        let mut ahead = ahead;
        check_message(&mut ahead, b"one").await;
        ahead.send(SERVER_ERROR).await;
        ahead
    };
    delete.await;
    let error = bench.end().await.expect_err("stalled");
    assert!(began.elapsed() >= LATER);
    assert_eq!(error.fault(), Fault::Retry);
    let text = resilience::fault::chain(&error);
    let expected = "nothing was delivered for 0.6 s: \
                    the peer answered with status 500";
    assert!(text.ends_with(expected), "{text}");
}

#[tokio::test]
async fn a_lost_keep_alive_is_not_sent_again_and_is_not_a_failure() {
    let (sender, queue) = messages();
    let bench = Bench::with(Raw::new().await, queue, impatient());
    let (bench, mut peer) = bench.until_ready().await;
    sender.try_send_once(Bytes::from_static(b"alive")).expect("room");
    check_message(&mut peer, b"alive").await;
    let _ahead = bench.raw.accept().await;
    peer.reset();
    let (mut one, mut other) = (bench.raw.accept().await, bench.raw.accept().await);
    let is_post = one.head().await.starts_with("post /ai/trickle/ch/8 ");
    let mut ahead = if is_post {
        one
    } else {
        other.head().await;
        other
    };
    tokio::time::sleep(LATER).await;
    assert!(ahead.is_silent().await);
    sender.try_send(Bytes::from_static(b"one")).expect("a publisher");
    check_message(&mut ahead, b"one").await;
    ahead.send(DONE).await;
    bench.answered(1).await;
}

/// Asserts that publishing continues after `lose` has lost a segment, although the next key frame comes later than the
/// limit for outages.
async fn check_late_key(lose: impl AsyncFnOnce(Peer)) {
    let (bench, mut feeder, a, _b) = Bench::under_way_with(Raw::new().await, impatient()).await;
    lose(a).await;
    feeder.resynced().await;
    let mut next = bench.raw.accept().await;
    check_post(&mut next, 8, true).await;
    tokio::time::sleep(LATER).await;
    feeder.begin("eight").await;
    assert_eq!(next.chunk().await.as_deref(), Some(&b"eight"[..]));
    // A segment may also be longer than the limit for outages.
    tokio::time::sleep(LATER).await;
    feeder.go_on("more").await;
    assert_eq!(next.chunk().await.as_deref(), Some(&b"more"[..]));
    assert!(!bench.counters.is_failing.load(Ordering::Relaxed));
}

#[tokio::test]
async fn a_lost_segment_is_not_an_outage_even_if_the_next_one_is_late_or_long() {
    check_late_key(async |peer| peer.reset()).await;
    check_late_key(async |mut peer| peer.send(SERVER_ERROR).await).await;
}

#[tokio::test]
async fn failures_of_the_pre_connect_do_not_count_while_no_segment_waits() {
    let (bench, feeder, mut a, mut b) = Bench::under_way_with(Raw::new().await, impatient()).await;
    for _ in 0..6 {
        b.send(SERVER_ERROR).await;
        b = bench.raw.accept().await;
        check_post(&mut b, 8, false).await;
    }
    feeder.go_on("more").await;
    assert_eq!(a.chunk().await.as_deref(), Some(&b"more"[..]));
    assert_eq!(bench.count(), (0, 0, 1));
}

#[tokio::test]
async fn an_outage_is_reported_and_ends_the_publisher_after_its_limit() {
    let (bench, _feeder, a, _b) = Bench::under_way_with(Raw::narrow(), impatient()).await;
    let _queue = bench.raw.fill().await;
    let began = Instant::now();
    a.reset();
    let counters = Arc::clone(&bench.counters);
    soon("the outage", async {
        while !counters.is_failing.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let error = bench.end().await.expect_err("an outage");
    let took = began.elapsed();
    assert!(took >= LEAVE && took < LEAVE * 4, "{took:?}");
    let text = resilience::fault::chain(&error);
    let expected = "nothing was delivered for 0.25 s: the connection broke";
    assert!(text.contains(expected), "{text}");
}

#[tokio::test]
async fn a_stop_ends_the_segment_and_deletes_the_channel() {
    let (bench, _feeder, mut a, mut b) = Bench::under_way().await;
    drop(bench.stopper);
    assert_eq!(a.chunk().await, None);
    assert!(b.closed().await.is_empty());
    a.send(DONE).await;
    let delete = a.head().await;
    assert!(delete.starts_with("delete /ai/trickle/ch http/1.1\r\n"), "{delete}");
    a.send(DONE).await;
    assert!(matches!(bench.running.await.expect("no panic"), Ok(ChannelEnd::Finished)));
    let (segments, in_flight) = (&bench.counters.segments, &bench.counters.in_flight);
    assert_eq!((segments.count(), in_flight.load(Ordering::Relaxed)), (1, 0));
}

#[tokio::test]
async fn a_stop_with_a_peer_that_does_not_answer_ends_after_its_limit() {
    let (bench, _feeder, _a, _b) = Bench::under_way().await;
    let began = Instant::now();
    drop(bench.stopper);
    assert!(matches!(bench.running.await.expect("no panic"), Ok(ChannelEnd::Finished)));
    let took = began.elapsed();
    // The stop waits 600 ms for the peer, and a busy machine may take twice as long. The limit for an answer, which is
    // longer, must not apply.
    assert!(took >= Duration::from_millis(550) && took < Duration::from_secs(6), "{took:?}");
}

#[tokio::test]
async fn a_dropped_publisher_does_not_complete_its_segment() {
    let (bench, _feeder, mut a, mut b) = Bench::under_way().await;
    bench.running.abort();
    assert!(a.closed().await.is_empty(), "no last chunk");
    assert!(b.closed().await.is_empty());
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_a_fault_of_the_peer() {
    let (bench, _feeder, mut a, _b) = Bench::under_way().await;
    a.send("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n").await;
    let error = bench.end().await.expect_err("garbage");
    assert_eq!(error.fault(), Fault::NextPeer);
    let source = std::error::Error::source(&error).expect("a cause").to_string();
    assert_eq!(source, "the answer is not HTTP");
}

#[tokio::test]
async fn endless_headers_are_bounded() {
    for line in ["X-More: and more\r\n", "X"] {
        let (bench, _feeder, mut a, _b) = Bench::under_way().await;
        a.send("HTTP/1.1 200 OK\r\n").await;
        let mut sent = 0;
        let block = line.repeat(1024 / line.len());
        let peer = async {
            while tokio::io::AsyncWriteExt::write_all(&mut a.socket, block.as_bytes()).await.is_ok()
            {
                sent += block.len();
                tokio::task::yield_now().await;
            }
        };
        let (end, ()) = tokio::join!(bench.end(), peer);
        assert_eq!(end.expect_err("endless").fault(), Fault::NextPeer);
        assert!(sent < 16 << 20, "{sent}");
    }
}

/// Answers `/next` with `answer`, `times` times. Returns the publisher's result, and the time until its end.
async fn answer_next(answer: &str, times: usize) -> (Result<ChannelEnd, TrickleError>, Duration) {
    let (_feeder, pieces) = feed();
    let bench = Bench::new(pieces).await;
    let began = Instant::now();
    for _ in 0..times {
        let mut peer = bench.raw.accept().await;
        assert!(peer.head().await.starts_with("get /ai/trickle/ch/next "));
        peer.send(answer).await;
    }
    (bench.end().await, began.elapsed())
}

#[tokio::test]
async fn without_a_valid_first_seq_the_publisher_fails() {
    let (end, _) = answer_next(MISSING, 1).await;
    assert!(matches!(end, Ok(ChannelEnd::Missing)), "{end:?}");
    let (end, _) = answer_next(CLOSED, 1).await;
    assert!(matches!(end, Ok(ChannelEnd::Closed)), "{end:?}");
    for body in ["<html>", "-1", "", "18446744073709551615"] {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let (end, _) = answer_next(&answer, 1).await;
        assert!(matches!(end, Err(TrickleError::NoSeq(_))), "{end:?}");
    }
    let (end, _) = answer_next("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", 1).await;
    assert!(matches!(end, Err(TrickleError::NoSeq(_))), "{end:?}");
    let (end, _) = answer_next("nonsense\r\n\r\n", 1).await;
    assert_eq!(end.expect_err("garbage").fault(), Fault::NextPeer);
}

#[tokio::test]
async fn a_peer_that_refuses_or_is_unreachable_is_tried_five_times() {
    let (end, took) = answer_next(SERVER_ERROR, 5).await;
    assert!(matches!(end, Err(TrickleError::Refused(_, 500))), "{end:?}");
    assert!(took >= Duration::from_millis(1200) && took < Duration::from_secs(6), "{took:?}");

    let channel = Raw::new().await.channel(ChannelKind::Publish);
    let counters = Arc::new(PublisherCounters::default());
    let publisher =
        Publisher::new(connector(), channel, HeaderValue::from_static("video/mp2t"), counters);
    let (_feeder, pieces) = feed();
    let (_stopper, stop) = Stop::new();
    let error = soon("the end", publisher.run(pieces, stop)).await.expect_err("nobody there");
    assert!(error.to_string().ends_with("given up after 5 tries"), "{error}");
    let source = std::error::Error::source(&error).expect("a cause").to_string();
    assert!(source.ends_with("connection refused; nothing listens on this port"), "{source}");
}

#[tokio::test]
async fn a_stop_ends_the_wait_for_the_first_seq() {
    let (_feeder, pieces) = feed();
    let bench = Bench::new(pieces).await;
    let mut peer = bench.raw.accept().await;
    peer.head().await;
    drop(bench.stopper);
    let end = soon("the end", bench.running).await.expect("no panic");
    assert!(matches!(end, Ok(ChannelEnd::Finished)));
}
