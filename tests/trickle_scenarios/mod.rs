//! Scenarios in which a publisher and a subscriber use the same channel of any trickle server.
//!
//! Each scenario takes the base URL of a server's channels and the name of a new channel. No other scenario may use
//! this name, so that scenarios can run at the same time.
//!
//! Does not: start a server.
#![allow(dead_code, reason = "not every server runs all scenarios")]
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Method};
use livepeer_gateway::http::Url;
use livepeer_gateway::http::io::{Client, Connector, HttpRequest};
use livepeer_gateway::segment::{Piece, PiecePlace, Pieces, Seq};
use livepeer_gateway::trickle::io::{Publisher, PublisherCounters, SegmentSink, Subscriber};
use livepeer_gateway::trickle::{Channel, ChannelEnd, ChannelKind, TrickleError};
use resilience::stop::{Stop, Stopper};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::trickle_raw::connector;

/// The time limit of each wait, except for waits in media time.
const PATIENCE: Duration = Duration::from_secs(10);

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, future).await;
    waited.unwrap_or_else(|_| panic!("no {what} within the time limit"))
}

/// The bytes of piece `index` of segment `seq`. They differ for each piece, and are about as long as a frame at 2
/// Mbit/s.
fn piece_bytes(seq: u64, index: usize) -> Bytes {
    let length = if index == 0 { 40_000 } else { 4_000 + index * 137 % 6_000 };
    let head = format!("<{seq}/{index}>");
    let fill = usize::try_from(seq).unwrap_or(0) * 31 + index * 7;
    let body = (head.len()..length).map(|at| u8::try_from((fill + at * at) % 251).unwrap_or(0));
    head.bytes().chain(body).collect()
}

fn segment_bytes(seq: u64, pieces: usize) -> Vec<u8> {
    (0..pieces).flat_map(|index| piece_bytes(seq, index)).collect()
}

/// A source of segments whose pieces come at regular intervals.
struct Paced {
    pace: tokio::time::Interval,
    segments: u64,
    pieces: usize,
    at: (u64, usize),
}

impl Paced {
    fn new(pace: Duration, segments: u64, pieces: usize) -> Self {
        Self { pace: tokio::time::interval(pace), segments, pieces, at: (0, 0) }
    }
}

impl Pieces for Paced {
    async fn next(&mut self) -> Option<Piece> {
        self.pace.tick().await;
        let (seq, index) = self.at;
        if seq == self.segments {
            return None;
        }
        self.at = if index + 1 < self.pieces { (seq, index + 1) } else { (seq + 1, 0) };
        let place = if index == 0 { PiecePlace::Begin } else { PiecePlace::Continue };
        Some(Piece { place, bytes: piece_bytes(seq, index) })
    }

    fn resync(&mut self) {
        panic!("segment {:?} was lost", self.at);
    }
}

/// A source of pieces, which the scenario gives one by one with [`Giver`].
struct Given {
    pieces: mpsc::Receiver<Piece>,
    resyncs: watch::Sender<u32>,
}

struct Giver {
    pieces: mpsc::Sender<Piece>,
    resyncs: watch::Receiver<u32>,
}

fn given() -> (Giver, Given) {
    let (give, take) = mpsc::channel(1);
    let (sender, receiver) = watch::channel(0);
    (Giver { pieces: give, resyncs: receiver }, Given { pieces: take, resyncs: sender })
}

impl Giver {
    async fn give(&self, place: PiecePlace, bytes: Bytes) {
        let given = soon("a piece to be taken", self.pieces.send(Piece { place, bytes })).await;
        given.expect("a publisher");
    }

    /// Gives all pieces of a segment. The segment counts as complete when the next one begins.
    async fn segment(&self, seq: u64, pieces: usize) {
        for index in 0..pieces {
            let place = if index == 0 { PiecePlace::Begin } else { PiecePlace::Continue };
            self.give(place, piece_bytes(seq, index)).await;
        }
    }
}

impl Pieces for Given {
    async fn next(&mut self) -> Option<Piece> {
        self.pieces.recv().await
    }

    fn resync(&mut self) {
        self.resyncs.send_modify(|times| *times += 1);
    }
}

/// The received segments: for each seq, the bytes, and whether the segment is complete.
type Copies = BTreeMap<u64, (Vec<u8>, bool)>;

/// A sink that keeps all segments in a `watch` channel.
struct Keeper {
    copies: watch::Sender<Copies>,
    at: u64,
}

impl SegmentSink for Keeper {
    fn begin(&mut self, seq: Seq, _content_type: &str) {
        self.at = seq.0;
        self.copies.send_modify(|copies| {
            assert!(copies.insert(seq.0, (Vec::new(), false)).is_none(), "{seq} came twice");
        });
    }

    fn bytes(&mut self, bytes: &Bytes) {
        self.copies.send_modify(|copies| {
            copies.entry(self.at).or_default().0.extend_from_slice(bytes);
        });
    }

    fn end(&mut self, complete: bool) {
        self.copies.send_modify(|copies| copies.entry(self.at).or_default().1 = complete);
    }
}

/// A publisher and a subscriber on one channel.
struct Pair {
    connector: Arc<Connector>,
    base: String,
    name: String,
}

type Running = JoinHandle<Result<ChannelEnd, TrickleError>>;

impl Pair {
    fn new(base: &str, name: &str) -> Self {
        Self { connector: connector(), base: base.to_owned(), name: name.to_owned() }
    }

    fn channel(&self, base: &str, purpose: ChannelKind) -> Channel {
        Channel::parse(&format!("{base}/{}", self.name), purpose).expect("a channel")
    }

    fn publish(
        &self,
        base: &str,
        pieces: impl Pieces + 'static,
    ) -> (Running, Stopper, Arc<PublisherCounters>) {
        let counters = Arc::new(PublisherCounters::default());
        let mime = HeaderValue::from_static("video/MP2T");
        let publisher = Publisher::new(
            Arc::clone(&self.connector),
            self.channel(base, ChannelKind::Publish),
            mime,
            Arc::clone(&counters),
        );
        let (stopper, stop) = Stop::new();
        (tokio::spawn(publisher.run(pieces, stop)), stopper, counters)
    }

    fn subscribe(&self) -> (Running, Stopper, watch::Receiver<Copies>) {
        let (copies, kept) = watch::channel(Copies::new());
        let channel = self.channel(&self.base, ChannelKind::Subscribe);
        let subscriber = Subscriber::new(Arc::clone(&self.connector), channel);
        let (stopper, stop) = Stop::new();
        (tokio::spawn(subscriber.run(Keeper { copies, at: 0 }, stop)), stopper, kept)
    }

    /// Deletes the channel, as an orchestrator does at the end of a job.
    async fn delete(&self) {
        let url = Url::parse(&format!("{}/{}", self.base, self.name)).expect("a URL");
        let call = HttpRequest { method: Method::DELETE, ..HttpRequest::get(url) };
        let answer = Client::new(Arc::clone(&self.connector)).call(call).await.expect("an answer");
        assert_eq!(answer.status, 200);
    }
}

async fn finished(what: &str, running: Running) -> Result<ChannelEnd, TrickleError> {
    soon(what, running).await.expect("no panic")
}

/// Asserts that the publisher ends after its last piece, and the subscriber at the end of the channel.
async fn finished_both(publisher: Running, subscriber: Running) {
    let end = finished("the publisher's end", publisher).await;
    assert!(matches!(end, Ok(ChannelEnd::Finished)), "{end:?}");
    ended("the subscriber's end", subscriber).await;
}

/// Deletes the channel. Asserts that publisher and subscriber end within seconds.
async fn deleted_both(pair: &Pair, publisher: Running, subscriber: Running) {
    pair.delete().await;
    let deleted = Instant::now();
    ended("the publisher's end", publisher).await;
    ended("the subscriber's end", subscriber).await;
    assert!(deleted.elapsed() < Duration::from_secs(9), "{:?}", deleted.elapsed());
}

/// Asserts that a publisher or subscriber ends because of the deletion of the channel. A request after the deletion
/// gets 404, which counts as such an end.
async fn ended(what: &str, running: Running) {
    let end = finished(what, running).await;
    assert!(matches!(end, Ok(ChannelEnd::Closed | ChannelEnd::Missing)), "{end:?}");
}

async fn until(kept: &mut watch::Receiver<Copies>, what: &str, test: impl FnMut(&Copies) -> bool) {
    soon(what, kept.wait_for(test)).await.expect("a subscriber");
}

fn has(copies: &Copies, seq: u64, bytes: &[u8]) -> bool {
    copies.get(&seq).is_some_and(|copy| copy.0 == bytes)
}

/// 10 segments of 48 pieces, 20 s of video at 24 frames/s, arrive byte by byte as they were sent; with
/// `pace` between two pieces.
pub(crate) async fn byte_exact(base: &str, name: &str, pace: Duration) {
    let pair = Pair::new(base, name);
    let (subscriber, _hold, kept) = pair.subscribe();
    let (publisher, _stopper, counters) = pair.publish(base, Paced::new(pace, 10, 48));
    let end = publisher.await.expect("no panic");
    assert!(matches!(end, Ok(ChannelEnd::Finished)), "{end:?}");
    // The subscriber ends because the publisher has deleted the channel.
    ended("the subscriber's end", subscriber).await;
    let copies = kept.borrow();
    assert_eq!(copies.keys().copied().collect::<Vec<u64>>(), (0..10).collect::<Vec<u64>>());
    for (seq, (bytes, complete)) in copies.iter() {
        assert!(*complete && *bytes == segment_bytes(*seq, 48), "segment {seq} differs");
    }
    assert_eq!(counters.segments.count(), 10);
    assert_eq!(counters.lost.load(Ordering::Relaxed), 0);
}

/// A pre-connected POST stays open without a byte for `idle`, although provisional answers may arrive.
pub(crate) async fn idle_pre_connect(base: &str, name: &str, idle: Duration) {
    let pair = Pair::new(base, name);
    let (subscriber, _hold, mut kept) = pair.subscribe();
    let (giver, pieces) = given();
    let (publisher, _stopper, counters) = pair.publish(base, pieces);
    // This scenario must wait for time, since it tests an idle connection.
    tokio::time::sleep(idle).await;
    giver.segment(0, 3).await;
    until(&mut kept, "segment 0", |copies| has(copies, 0, &segment_bytes(0, 3))).await;
    tokio::time::sleep(idle / 2).await;
    giver.segment(1, 3).await;
    until(&mut kept, "segment 1", |copies| has(copies, 1, &segment_bytes(1, 3))).await;
    drop(giver);
    finished_both(publisher, subscriber).await;
    assert_eq!(counters.lost.load(Ordering::Relaxed), 0);
}

/// The channel is deleted while a segment is being written: publisher and subscriber end within seconds.
pub(crate) async fn deleted_in_mid_segment(base: &str, name: &str) {
    let pair = Pair::new(base, name);
    let (subscriber, _hold, mut kept) = pair.subscribe();
    let (giver, pieces) = given();
    let (publisher, _stopper, _) = pair.publish(base, pieces);
    giver.segment(0, 5).await;
    until(&mut kept, "segment 0", |copies| has(copies, 0, &segment_bytes(0, 5))).await;
    deleted_both(&pair, publisher, subscriber).await;
}

/// The channel is deleted before there is any media.
pub(crate) async fn deleted_while_pre_connected(base: &str, name: &str) {
    let pair = Pair::new(base, name);
    // No answer shows that the server has received the head of a POST, so the scenario waits for both requests to
    // arrive.
    let (subscriber, _hold, _kept) = pair.subscribe();
    let (_giver, pieces) = given();
    let (publisher, _stopper, _) = pair.publish(base, pieces);
    tokio::time::sleep(Duration::from_millis(300)).await;
    deleted_both(&pair, publisher, subscriber).await;
}

/// The publisher's connections break in mid-segment: the subscriber continues at once, and the next segment has the
/// next seq and is complete.
pub(crate) async fn reset_after_a_broken_upload(base: &str, name: &str) {
    let pair = Pair::new(base, name);
    let cut = Cut::new(base).await;
    let (subscriber, _hold, mut kept) = pair.subscribe();
    let (mut giver, pieces) = given();
    let (publisher, _stopper, counters) = pair.publish(&cut.base, pieces);
    giver.segment(0, 4).await;
    until(&mut kept, "half of segment 0", |copies| has(copies, 0, &segment_bytes(0, 4))).await;
    cut.now();
    let broken = Instant::now();
    soon("a resync", giver.resyncs.wait_for(|times| *times == 1)).await.expect("a publisher");
    giver.give(PiecePlace::Continue, Bytes::from_static(b"the rest of a lost segment")).await;
    giver.segment(1, 4).await;
    until(&mut kept, "segment 1", |copies| has(copies, 1, &segment_bytes(1, 4))).await;
    assert!(broken.elapsed() < Duration::from_secs(6), "{:?}", broken.elapsed());
    giver.segment(2, 4).await;
    until(&mut kept, "segment 2", |copies| has(copies, 2, &segment_bytes(2, 4))).await;
    assert!(has(&kept.borrow(), 0, &segment_bytes(0, 4)), "a lost segment gets no further bytes");
    assert_eq!(counters.lost.load(Ordering::Relaxed), 1);
    drop(giver);
    finished_both(publisher, subscriber).await;
}

/// A server that can be killed, and started again at the same address with the same channels, without their content.
pub(crate) trait Mortal {
    /// The base URL of the channels.
    fn base(&self) -> String;
    /// Ends the server without closing its channels.
    async fn kill(&mut self);
    /// Starts the server again.
    async fn restart(&mut self);
}

/// The server is killed in mid-segment and started again half a second later: the publisher continues with the next
/// seq, and the subscriber receives that segment.
pub(crate) async fn killed_and_restarted(server: &mut impl Mortal, name: &str) {
    let base = server.base();
    let pair = Pair::new(&base, name);
    let (subscriber, _hold, mut kept) = pair.subscribe();
    let (mut giver, pieces) = given();
    let (publisher, _stopper, _) = pair.publish(&base, pieces);
    giver.segment(0, 4).await;
    giver.segment(1, 4).await;
    until(&mut kept, "segment 1", |copies| has(copies, 1, &segment_bytes(1, 4))).await;
    server.kill().await;
    soon("a resync", giver.resyncs.wait_for(|times| *times == 1)).await.expect("a publisher");
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.restart().await;
    giver.segment(2, 4).await;
    until(&mut kept, "segment 2", |copies| has(copies, 2, &segment_bytes(2, 4))).await;
    drop(giver);
    finished_both(publisher, subscriber).await;
    assert!(kept.borrow().get(&1).is_some_and(|copy| !copy.1), "segment 1 was torn");
}

/// The server is killed and does not return: publisher and subscriber fail within 4 s.
pub(crate) async fn killed_for_good(server: &mut impl Mortal, name: &str) {
    let base = server.base();
    let pair = Pair::new(&base, name);
    let (subscriber, _hold, mut kept) = pair.subscribe();
    let (giver, pieces) = given();
    let (publisher, _stopper, _) = pair.publish(&base, pieces);
    giver.segment(0, 4).await;
    until(&mut kept, "segment 0", |copies| has(copies, 0, &segment_bytes(0, 4))).await;
    server.kill().await;
    let killed = Instant::now();
    let end = finished("the publisher's end", publisher).await;
    assert!(matches!(end, Err(TrickleError::Unreachable(..))), "{end:?}");
    let end = finished("the subscriber's end", subscriber).await;
    assert!(matches!(end, Err(TrickleError::Unreachable(..))), "{end:?}");
    assert!(killed.elapsed() < Duration::from_secs(9), "{:?}", killed.elapsed());
}

/// A proxy between a publisher and a server, which can break all connections.
struct Cut {
    base: String,
    cut: watch::Sender<u32>,
    _serving: Serving,
}

struct Serving(JoinHandle<()>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Cut {
    async fn new(base: &str) -> Self {
        let url = Url::parse(base).expect("a URL");
        let server = url.authority().to_string();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (cut, cuts) = watch::channel(0);
        let serving = Serving(tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.expect("a server");
                tokio::spawn(carry(client, server, cuts.clone()));
            }
        }));
        let base = base.replacen(&url.authority().to_string(), &address.to_string(), 1);
        Self { base, cut, _serving: serving }
    }

    fn now(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}

/// Copies bytes in both directions until a side closes. At a cut, both sides get an RST.
async fn carry(mut client: TcpStream, mut server: TcpStream, mut cuts: watch::Receiver<u32>) {
    cuts.mark_unchanged();
    let nodelay = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
    nodelay.expect("no delay");
    let is_cut = tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => false,
        _ = cuts.changed() => true,
    };
    if is_cut {
        for socket in [client, server] {
            #[allow(
                deprecated,
                reason = "`set_linger` is deprecated because it can block, but it does not with 0"
            )]
            let _ = socket.set_linger(Some(Duration::ZERO));
        }
    }
}
