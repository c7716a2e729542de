//! A peer on a real socket that does exactly what the test says, byte by byte, and the two ends that trickle needs beside it.
//!
//! Every wait has a limit, so that a test fails with a sentence and does not hang.
//!
//! Does not: know HTTP beyond the end of a head and the length of a chunk.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use livepeer_gateway::http::io::Connector;
use livepeer_gateway::http::{Authority, CaVerdict, Distrust, Fingerprint, Judge};
use livepeer_gateway::segment::{Piece, Pieces, Place, Seq};
use livepeer_gateway::trickle::io::SegmentSink;
use livepeer_gateway::trickle::{Channel, Purpose};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;

/// The longest that a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Waits for `future`, but not for ever.
#[track_caller]
pub(crate) fn soon<T>(what: &str, future: impl Future<Output = T>) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    let what = what.to_owned();
    async move {
        match tokio::time::timeout(PATIENCE, future).await {
            Ok(done) => done,
            Err(_) => panic!("{place}: waited in vain for {what}"),
        }
    }
}

/// Trusts everybody: the self-signed servers of the tests.
#[derive(Debug)]
pub(crate) struct TrustAll;

impl Judge for TrustAll {
    fn judge(
        &self,
        _: &Authority,
        _: Option<&Authority>,
        _: &Fingerprint,
        _: &CaVerdict,
    ) -> Result<(), Distrust> {
        Ok(())
    }
}

pub(crate) fn connector() -> Arc<Connector> {
    Arc::new(Connector::new(Arc::new(TrustAll)))
}

/// Listens on a port of its own.
pub(crate) struct Raw {
    listener: TcpListener,
}

impl Raw {
    pub(crate) async fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.expect("a port") }
    }

    /// One whose queue of connections that were not accepted holds two.
    pub(crate) fn narrow() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        Self { listener: socket.listen(1).expect("a listener") }
    }

    /// Fills that queue, so that further connections hang, as over a link that is gone.
    pub(crate) async fn fill(&self) -> Vec<TcpStream> {
        let address = self.listener.local_addr().expect("an address");
        let mut queue = Vec::new();
        let a_while = Duration::from_millis(100);
        while let Ok(stream) = tokio::time::timeout(a_while, TcpStream::connect(address)).await {
            queue.push(stream.expect("a connection"));
        }
        queue
    }

    pub(crate) fn channel(&self, purpose: Purpose) -> Channel {
        let address = self.listener.local_addr().expect("an address");
        Channel::parse(&format!("http://{address}/ai/trickle/ch"), purpose).expect("a channel")
    }

    #[track_caller]
    pub(crate) fn accept(&self) -> impl Future<Output = Peer> {
        let accepted = soon("a connection", self.listener.accept());
        async move {
            let (socket, _) = accepted.await.expect("a connection");
            socket.set_nodelay(true).expect("no delay");
            Peer { socket, unread: Vec::new() }
        }
    }
}

/// One accepted connection.
pub(crate) struct Peer {
    pub(crate) socket: TcpStream,
    unread: Vec<u8>,
}

impl Peer {
    async fn more(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        let n = soon("bytes", self.socket.read(&mut buffer)).await.unwrap_or(0);
        self.unread.extend_from_slice(&buffer[..n]);
        n > 0
    }

    async fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|w| w == end) {
                return self.unread.drain(..at + end.len()).collect();
            }
            assert!(self.more().await, "closed after {:?}", String::from_utf8_lossy(&self.unread));
        }
    }

    /// The head of the next request, in lower case.
    pub(crate) async fn head(&mut self) -> String {
        let head = self.until(b"\r\n\r\n").await;
        String::from_utf8(head).expect("a head").to_ascii_lowercase()
    }

    /// The next chunk of a body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = String::from_utf8(self.until(b"\r\n").await).expect("a size");
        let size = usize::from_str_radix(size.trim(), 16).expect("a size");
        while self.unread.len() < size + 2 {
            assert!(self.more().await, "closed in mid-chunk");
        }
        let chunk: Vec<u8> = self.unread.drain(..size).collect();
        assert_eq!(self.unread.drain(..2).collect::<Vec<u8>>(), b"\r\n");
        (size > 0).then_some(chunk)
    }

    pub(crate) async fn send(&mut self, bytes: &str) {
        soon("room", self.socket.write_all(bytes.as_bytes())).await.expect("an open connection");
    }

    /// Waits until the other side closed, and tells what it still sent.
    pub(crate) async fn closed(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.unread)
    }

    /// Whether nothing comes for a moment.
    pub(crate) async fn is_silent(&mut self) -> bool {
        let mut byte = [0];
        let waited = Duration::from_millis(60);
        self.unread.is_empty()
            && tokio::time::timeout(waited, self.socket.peek(&mut byte)).await.is_err()
    }

    /// Ends the connection with RST.
    pub(crate) fn reset(self) {
        #[allow(deprecated, reason = "with 0 it does not block, which is why it is deprecated")]
        self.socket.set_linger(Some(Duration::ZERO)).expect("linger");
    }
}

/// Pieces that the test gives one by one; tells how often they were resynced.
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
    let (tell, told) = mpsc::unbounded_channel();
    (Feeder { pieces: give, resyncs: told }, Feed { pieces: take, resyncs: tell })
}

impl Feeder {
    pub(crate) async fn give(&self, place: Place, bytes: impl Into<Bytes>) {
        let piece = Piece { place, bytes: bytes.into() };
        soon("the publisher to take a piece", self.pieces.send(piece)).await.expect("a publisher");
    }

    pub(crate) async fn begin(&self, text: &'static str) {
        self.give(Place::Begin, text).await;
    }

    pub(crate) async fn go_on(&self, text: &'static str) {
        self.give(Place::Continue, text).await;
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

/// What a sink was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sunk {
    Begin(u64, String),
    Bytes(String),
    End(bool),
}

/// A sink that tells the test everything.
pub(crate) struct Sink(mpsc::UnboundedSender<Sunk>);

pub(crate) struct Sinked(mpsc::UnboundedReceiver<Sunk>);

pub(crate) fn sink() -> (Sink, Sinked) {
    let (tell, told) = mpsc::unbounded_channel();
    (Sink(tell), Sinked(told))
}

impl Sinked {
    #[track_caller]
    pub(crate) fn next(&mut self) -> impl Future<Output = Sunk> {
        let next = soon("the sink", self.0.recv());
        async move { next.await.expect("a sink") }
    }

    /// What was told until the subscriber ended.
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
