//! Counts the bytes that this process sends and receives over its connections to orchestrators, runners, signers and
//! lists.
//!
//! Counted is what the connections carry. On the wire it is more, by TLS records, TCP and IP headers and
//! acknowledgements: [`Traffic::on_wire`] adds [`OVERHEAD_PERCENT`].
//!
//! Does not: count what other programs or libraries send, such as GStreamer's outputs to the network, or look-ups of
//! names.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

/// Full segments of 1448 bytes have 52 bytes of TCP and IPv4 headers and 14 of Ethernet: 4.6 %. TLS adds 0.1 %.
/// Acknowledgements are counted in the other direction: at most 2.3 % of it.
const OVERHEAD_PERCENT: u64 = 6;

/// This is a static, because every connection of the process counts.
static SENT: AtomicU64 = AtomicU64::new(0);
static RECEIVED: AtomicU64 = AtomicU64::new(0);

/// Bytes in both directions, since the start of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
}

impl Traffic {
    /// What the connections of this process have carried so far.
    pub fn now() -> Self {
        Self { sent: SENT.load(Ordering::Relaxed), received: RECEIVED.load(Ordering::Relaxed) }
    }

    /// An estimate of the bytes on the wire.
    #[must_use]
    pub fn on_wire(self) -> Self {
        let with_overhead = |bytes: u64| bytes.saturating_add(bytes / 100 * OVERHEAD_PERCENT);
        Self { sent: with_overhead(self.sent), received: with_overhead(self.received) }
    }

    /// What was added since `before`. A counter that is lower than before has begun again from 0.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        let since = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
        Self {
            sent: since(self.sent, before.sent),
            received: since(self.received, before.received),
        }
    }
}

/// Counts what a write has sent.
pub(super) fn on_written(written: &Poll<io::Result<usize>>) {
    if let Poll::Ready(Ok(bytes)) = written {
        SENT.fetch_add(*bytes as u64, Ordering::Relaxed);
    }
}

/// Counts bytes that were read.
pub(super) fn on_received(bytes: usize) {
    RECEIVED.fetch_add(bytes as u64, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::http::io::MaybeTlsStream;

    #[tokio::test]
    async fn what_a_connection_carries_is_counted_in_both_directions() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut stream, mut peer) =
            (MaybeTlsStream::Plain(stream), listener.accept().await.unwrap().0);
        let before = Traffic::now();
        stream.write_all(&[7; 50_000]).await.unwrap();
        peer.write_all(&[7; 3000]).await.unwrap();
        stream.read_exact(&mut [0; 3000]).await.unwrap();
        // Other tests may have connections at the same time.
        let since = Traffic::now().since(before);
        assert!(since.sent >= 50_000 && since.received >= 3000, "{since:?}");
    }

    #[test]
    fn a_counter_that_begins_again_loses_nothing() {
        let of = |sent, received| Traffic { sent, received };
        assert_eq!(of(7, 9).since(of(5, 9)), of(2, 0));
        assert_eq!(of(7, 9).since(of(50, 1)), of(7, 8));
        assert_eq!(of(1000, 0).on_wire(), of(1060, 0));
    }
}
