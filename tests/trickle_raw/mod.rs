//! A peer on a real socket that sends exactly the bytes of the test; also a source of pieces for a publisher, and a
//! sink for a subscriber.
//!
//! Every wait has a limit, so that a test fails with a message and does not hang.
//!
//! Does not: parse HTTP; it finds the end of a head and the length of a chunk.
#![allow(dead_code, reason = "each test program uses a part of this module")]
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

#[path = "../http_reader/mod.rs"]
mod http_reader;
#[path = "../trusting/mod.rs"]
mod trusting;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use livepeer_gateway::segment::{Piece, PiecePlace, Pieces, Seq};
use livepeer_gateway::trickle::io::SegmentSink;
use livepeer_gateway::trickle::{Channel, ChannelKind};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;

use http_reader::Unread;
pub(crate) use trusting::connector;

/// The time limit of each wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Waits for `future`. Panics after [`PATIENCE`] with `what` and the caller's line.
#[track_caller]
pub(crate) fn soon<T>(what: &str, future: impl Future<Output = T>) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    let what = what.to_owned();
    async move {
        match tokio::time::timeout(PATIENCE, future).await {
            Ok(done) => done,
            Err(_) => panic!("{place}: no {what} within the time limit"),
        }
    }
}

/// A listener on a free port.
pub(crate) struct Raw {
    listener: TcpListener,
}

impl Raw {
    pub(crate) async fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.expect("a port") }
    }

    /// A listener whose backlog holds two connections.
    pub(crate) fn narrow() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        Self { listener: socket.listen(1).expect("a listener") }
    }

    /// Fills the backlog, so that further connections hang as if the link were lost.
    pub(crate) async fn fill(&self) -> Vec<TcpStream> {
        let address = self.listener.local_addr().expect("an address");
        let mut queue = Vec::new();
        let a_while = Duration::from_millis(100);
        while let Ok(stream) = tokio::time::timeout(a_while, TcpStream::connect(address)).await {
            queue.push(stream.expect("a connection"));
        }
        queue
    }

    pub(crate) fn channel(&self, purpose: ChannelKind) -> Channel {
        let address = self.listener.local_addr().expect("an address");
        Channel::parse(&format!("http://{address}/ai/trickle/ch"), purpose).expect("a channel")
    }

    #[track_caller]
    pub(crate) fn accept(&self) -> impl Future<Output = Peer> {
        let accepted = soon("a connection", self.listener.accept());
        async move {
            let (socket, _) = accepted.await.expect("a connection");
            socket.set_nodelay(true).expect("no delay");
            Peer { socket, unread: Unread::default() }
        }
    }
}

/// One accepted connection.
pub(crate) struct Peer {
    pub(crate) socket: TcpStream,
    unread: Unread,
}

impl Peer {
    /// Reads the head of the next request, in lower case.
    pub(crate) async fn head(&mut self) -> String {
        self.unread.head(&mut self.socket).await.to_ascii_lowercase()
    }

    /// Reads the next chunk of a body; `None` at the end of the body.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let chunk = self.unread.chunk(&mut self.socket).await;
        (!chunk.is_empty()).then_some(chunk)
    }

    pub(crate) async fn send(&mut self, bytes: &str) {
        soon("room", self.socket.write_all(bytes.as_bytes())).await.expect("an open connection");
    }

    /// Waits until the other side closes the connection. Returns the bytes that the test did not read.
    pub(crate) async fn closed(&mut self) -> Vec<u8> {
        while self.unread.more(&mut self.socket).await {}
        self.unread.take()
    }

    /// Whether no byte comes within 60 ms.
    pub(crate) async fn is_silent(&mut self) -> bool {
        let mut byte = [0];
        let waited = Duration::from_millis(60);
        self.unread.is_empty()
            && tokio::time::timeout(waited, self.socket.peek(&mut byte)).await.is_err()
    }

    /// Ends the connection with RST.
    pub(crate) fn reset(self) {
        #[allow(
            deprecated,
            reason = "`set_linger` is deprecated because it can block, but it does not with 0"
        )]
        self.socket.set_linger(Some(Duration::ZERO)).expect("linger");
    }
}

/// A source of pieces, which the test gives one by one with [`Feeder`]. Each resync is reported to the test.
pub(crate) struct Feed {
    pieces: mpsc::Receiver<Piece>,
    resyncs: mpsc::UnboundedSender<()>,
}

pub(crate) struct Feeder {
    pieces: mpsc::Sender<Piece>,
    resyncs: mpsc::UnboundedReceiver<()>,
}

pub(crate) fn feed() -> (Feeder, Feed) {
    let (give, take) = mpsc::channel(1);
    let (sender, receiver) = mpsc::unbounded_channel();
    (Feeder { pieces: give, resyncs: receiver }, Feed { pieces: take, resyncs: sender })
}

impl Feeder {
    pub(crate) async fn give(&self, place: PiecePlace, bytes: impl Into<Bytes>) {
        let piece = Piece { place, bytes: bytes.into() };
        soon("the publisher to take a piece", self.pieces.send(piece)).await.expect("a publisher");
    }

    pub(crate) async fn begin(&self, text: &'static str) {
        self.give(PiecePlace::Begin, text).await;
    }

    pub(crate) async fn go_on(&self, text: &'static str) {
        self.give(PiecePlace::Continue, text).await;
    }

    pub(crate) async fn resynced(&mut self) {
        soon("a resync", self.resyncs.recv()).await.expect("a publisher");
    }
}

impl Pieces for Feed {
    async fn next(&mut self) -> Option<Piece> {
        self.pieces.recv().await
    }

    fn resync(&mut self) {
        let _ = self.resyncs.send(());
    }
}

/// A call of one of the sink's functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sunk {
    Begin(u64, String),
    Bytes(String),
    End(bool),
}

/// A sink that passes each call on to the test.
pub(crate) struct Sink(mpsc::UnboundedSender<Sunk>);

pub(crate) struct Sinked(mpsc::UnboundedReceiver<Sunk>);

pub(crate) fn sink() -> (Sink, Sinked) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Sink(sender), Sinked(receiver))
}

impl Sinked {
    #[track_caller]
    pub(crate) fn next(&mut self) -> impl Future<Output = Sunk> {
        let next = soon("the sink", self.0.recv());
        async move { next.await.expect("a sink") }
    }

    /// Waits for the end of the subscriber. Returns the calls until then.
    pub(crate) async fn rest(mut self) -> Vec<Sunk> {
        let mut rest = Vec::new();
        while let Some(sunk) = soon("the sink's end", self.0.recv()).await {
            rest.push(sunk);
        }
        rest
    }
}

impl SegmentSink for Sink {
    fn begin(&mut self, seq: Seq, content_type: &str) {
        let _ = self.0.send(Sunk::Begin(seq.0, content_type.to_owned()));
    }

    fn bytes(&mut self, bytes: &Bytes) {
        let _ = self.0.send(Sunk::Bytes(String::from_utf8_lossy(bytes).into_owned()));
    }

    fn end(&mut self, complete: bool) {
        let _ = self.0.send(Sunk::End(complete));
    }
}
