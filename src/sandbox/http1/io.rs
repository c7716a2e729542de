//! Reads heads and bodies of requests from a connection, and writes answers.
//!
//! Reading is cancel safe, so that it can be used in `select!`. At most [`READ_AHEAD`] bytes are read ahead.
//!
//! Does not: interpret requests.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::http1::{Answer, BodyReader, Head};

/// Maximum number of bytes of one read.
const READ: usize = 64 << 10;
/// Maximum number of bytes buffered while an answer is being made.
const READ_AHEAD: usize = 64 << 10;
/// Maximum number of bytes of an unread body to discard before a connection is closed or reused (Go).
const DRAIN: usize = 256 << 10;
/// How long to wait for a peer that does not read.
const WRITE_TIME: Duration = Duration::from_secs(60);

/// Why a request or its body could not be read.
#[derive(Debug)]
pub(crate) enum ConnectionError {
    /// The peer closed its side before the end of a head or body.
    Ended,
    /// The bytes are not HTTP/1.1.
    Malformed,
    /// The connection failed.
    Broken(io::Error),
}

impl From<io::Error> for ConnectionError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// A connection to read from and write to.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> ByteStream for S {}

/// An HTTP/1.1 connection.
pub(crate) struct Wire<S> {
    stream: S,
    unread: BytesMut,
    body: BodyReader,
    linger: Duration,
}

impl<S: ByteStream> Wire<S> {
    /// A new connection, which stays half open for `linger` after its last answer.
    pub(crate) fn new(stream: S, linger: Duration) -> Self {
        Self { stream, unread: BytesMut::new(), body: BodyReader::End, linger }
    }

    /// Reads the head of the next request; `None` if the peer closed its side instead. Read the body with `piece`,
    /// `whole` or `drain` before the next head.
    pub(crate) async fn head(&mut self) -> Result<Option<Head>, ConnectionError> {
        loop {
            match Head::parse(&self.unread) {
                Ok(Some((head, length))) => {
                    self.body = head.body().map_err(|_| ConnectionError::Malformed)?;
                    let _ = self.unread.split_to(length);
                    return Ok(Some(head));
                }
                Ok(None) => {}
                Err(_) => return Err(ConnectionError::Malformed),
            }
            if self.read().await? == 0 {
                return if self.unread.is_empty() { Ok(None) } else { Err(ConnectionError::Ended) };
            }
        }
    }

    /// Waits for the next bytes of the request's body; `None` at its end. Cancel safe.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, ConnectionError> {
        loop {
            let mut piece = BytesMut::new();
            self.body.take(&mut self.unread, &mut piece).map_err(|_| ConnectionError::Malformed)?;
            if !piece.is_empty() {
                return Ok(Some(piece.freeze()));
            }
            if self.body == BodyReader::End {
                return Ok(None);
            }
            if self.read().await? == 0 {
                return Err(ConnectionError::Ended);
            }
        }
    }

    /// Reads the rest of the body; `None` if it is longer than `limit`.
    pub(crate) async fn whole(&mut self, limit: usize) -> Result<Option<Vec<u8>>, ConnectionError> {
        let mut whole = Vec::new();
        while let Some(piece) = self.piece().await? {
            if whole.len() + piece.len() > limit {
                return Ok(None);
            }
            whole.extend_from_slice(&piece);
        }
        Ok(Some(whole))
    }

    /// Waits until the peer has closed its side or the connection failed. Cancel safe.
    pub(crate) async fn gone(&mut self) {
        while self.unread.len() < READ_AHEAD {
            if !matches!(self.read().await, Ok(read) if read > 0) {
                return;
            }
        }
        std::future::pending().await
    }

    /// Writes and flushes `bytes`.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(WRITE_TIME, async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        })
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Discards the rest of the body, then writes an answer. If the rest is too long to discard, the answer closes the
    /// connection.
    pub(crate) async fn answer(&mut self, answer: Answer) -> Result<(), ConnectionError> {
        let answer = if answer.closes() || self.drain().await? { answer } else { answer.close() };
        Ok(self.write(&answer.to_bytes()).await?)
    }

    /// Reads and discards the rest of the body. Returns false if the rest is longer than [`DRAIN`].
    pub(crate) async fn drain(&mut self) -> Result<bool, ConnectionError> {
        let mut drained = 0;
        while let Some(piece) = self.piece().await? {
            drained += piece.len();
            if drained > DRAIN {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Closes our side, and the whole connection after `linger`, so that the peer can read the answer.
    pub(crate) async fn close(mut self) {
        if self.stream.shutdown().await.is_ok() {
            tokio::time::sleep(self.linger).await;
        }
    }

    /// Returns the stream, to reset it.
    pub(crate) fn into_stream(self) -> S {
        self.stream
    }

    async fn read(&mut self) -> io::Result<usize> {
        self.unread.reserve(READ);
        self.stream.read_buf(&mut self.unread).await
    }
}
