//! The socket side: reads heads and bodies from a connection, writes answers and chunks.
//!
//! Reading is cancel safe, so that it can be awaited beside other events. What is read ahead is bounded
//! by [`READ_AHEAD`].
//!
//! Does not: know what a request means.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::http1::{Answer, BodyReader, Head};

/// Bytes read from a connection at once.
const READ: usize = 64 << 10;
/// Bytes that may wait unread while an answer is under way.
const READ_AHEAD: usize = 64 << 10;
/// Unread bytes of a body that are read and thrown away before a connection is closed or goes on (Go).
const DRAIN: usize = 256 << 10;
/// The longest wait for a peer that does not take what is written.
const WRITE_TIME: Duration = Duration::from_secs(60);

/// Why a request or its body could not be read.
#[derive(Debug)]
pub(crate) enum WireError {
    /// The peer ended its side in the middle.
    Ended,
    /// The bytes are no HTTP/1.1.
    Malformed,
    /// The connection broke.
    Broken(io::Error),
}

impl From<io::Error> for WireError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// A connection that speaks HTTP/1.1.
pub(crate) struct Wire<S> {
    stream: S,
    unread: BytesMut,
    body: BodyReader,
    linger: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// A fresh connection; after its last answer it stays half open for `linger`.
    pub(crate) fn new(stream: S, linger: Duration) -> Self {
        Self { stream, unread: BytesMut::new(), body: BodyReader::End, linger }
    }

    /// The next request's head; `None` when the peer is done.
    pub(crate) async fn head(&mut self) -> Result<Option<Head>, WireError> {
        loop {
            match Head::parse(&self.unread) {
                Ok(Some((head, length))) => {
                    self.body = head.body().map_err(|_| WireError::Malformed)?;
                    let _ = self.unread.split_to(length);
                    return Ok(Some(head));
                }
                Ok(None) => {}
                Err(_) => return Err(WireError::Malformed),
            }
            if self.read().await? == 0 {
                return if self.unread.is_empty() { Ok(None) } else { Err(WireError::Ended) };
            }
        }
    }

    /// The next bytes of the request's body, as soon as there are any; `None` at its end. Cancel safe.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, WireError> {
        loop {
            let mut piece = BytesMut::new();
            self.body.take(&mut self.unread, &mut piece).map_err(|_| WireError::Malformed)?;
            if !piece.is_empty() {
                return Ok(Some(piece.freeze()));
            }
            if self.body == BodyReader::End {
                return Ok(None);
            }
            if self.read().await? == 0 {
                return Err(WireError::Ended);
            }
        }
    }

    /// The whole rest of the body, `None` if it is longer than `limit`.
    pub(crate) async fn whole(&mut self, limit: usize) -> Result<Option<Vec<u8>>, WireError> {
        let mut whole = Vec::new();
        while let Some(piece) = self.piece().await? {
            if whole.len() + piece.len() > limit {
                return Ok(None);
            }
            whole.extend_from_slice(&piece);
        }
        Ok(Some(whole))
    }

    /// Returns when the peer has ended its side or broken the connection.
    pub(crate) async fn gone(&mut self) {
        while self.unread.len() < READ_AHEAD {
            if !matches!(self.read().await, Ok(read) if read > 0) {
                return;
            }
        }
        std::future::pending().await
    }

    /// Writes `bytes` at once.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(WRITE_TIME, async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        })
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Writes an answer; one that leaves the connection open waits until the body has been read.
    pub(crate) async fn answer(&mut self, answer: Answer) -> Result<(), WireError> {
        let answer = if answer.closes() || self.drain().await? { answer } else { answer.close() };
        Ok(self.write(&answer.to_bytes()).await?)
    }

    /// Reads the rest of the body and throws it away; false if it is too long for that.
    pub(crate) async fn drain(&mut self) -> Result<bool, WireError> {
        let mut drained = 0;
        while let Some(piece) = self.piece().await? {
            drained += piece.len();
            if drained > DRAIN {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Ends our side, and the whole connection a little later, so that the answer can be read.
    pub(crate) async fn close(mut self) {
        if self.stream.shutdown().await.is_ok() {
            tokio::time::sleep(self.linger).await;
        }
    }

    /// Gives the stream back, for those who break it.
    pub(crate) fn into_stream(self) -> S {
        self.stream
    }

    async fn read(&mut self) -> io::Result<usize> {
        self.unread.reserve(READ);
        self.stream.read_buf(&mut self.unread).await
    }
}
