//! Reads an HTTP/1.1 connection by hand: heads, chunks, and bodies of a known length.
//!
//! Every wait has a limit. Does not: parse a head.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]
#![allow(dead_code, reason = "each test program uses a part of this module")]

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

/// The longest wait for bytes.
const LIMIT: Duration = Duration::from_secs(5);

/// The bytes of a connection that were received but not taken yet.
#[derive(Default)]
pub(crate) struct Unread(Vec<u8>);

impl Unread {
    /// Whether all received bytes were taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes all received bytes.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }

    /// The received bytes as text, for messages.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }

    /// Receives more; false if the connection ended or broke.
    pub(crate) async fn more(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> bool {
        let read = timeout(LIMIT, stream.read_buf(&mut self.0)).await;
        read.unwrap_or_else(|_| panic!("no byte comes after {:?}", self.text())).unwrap_or(0) > 0
    }

    /// Takes all bytes up to and including `end`.
    pub(crate) async fn up_to(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        end: &[u8],
    ) -> Vec<u8> {
        loop {
            if let Some(at) = self.0.windows(end.len()).position(|w| w == end) {
                return self.0.drain(..at + end.len()).collect();
            }
            assert!(self.more(stream).await, "the connection ended after {:?}", self.text());
        }
    }

    /// Takes `length` bytes.
    pub(crate) async fn exactly(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        length: usize,
    ) -> Vec<u8> {
        while self.0.len() < length {
            assert!(self.more(stream).await, "the connection ended after {:?}", self.text());
        }
        self.0.drain(..length).collect()
    }

    /// Takes the next head.
    pub(crate) async fn head(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> String {
        String::from_utf8(self.up_to(stream, b"\r\n\r\n").await).expect("a head in UTF-8")
    }

    /// Takes the next chunk of a body; the last one is empty.
    pub(crate) async fn chunk(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
        let line = String::from_utf8(self.up_to(stream, b"\r\n").await).expect("a size in UTF-8");
        let length = usize::from_str_radix(line.trim(), 16).expect("a size");
        let mut chunk = self.exactly(stream, length + 2).await;
        assert_eq!(chunk.split_off(length), b"\r\n");
        chunk
    }
}
