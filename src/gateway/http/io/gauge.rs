//! The kernel's statistics of sending connections: acknowledged bytes, unsent bytes, round-trip time.
//!
//! sock_diag(7) returns these statistics at once. In a kernel or container without sock_diag there are no statistics.
//!
//! Does not: decide the bitrate; `media::rate` does.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr as NetlinkAddr};

use crate::http::io::MaybeTlsStream;
use crate::http::sock_diag::{TcpInfo, request, tcp_info};

/// The receive buffer, in bytes; an answer has about 500.
const ANSWER: usize = 4096;

/// The statistics of all connections together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionStats {
    /// Bytes that the peers acknowledged, closed connections included.
    pub acknowledged: u64,
    /// Bytes in the kernel's send buffers that have not been sent.
    pub unsent: u64,
    /// The smoothed round-trip time of the connection with the latest acknowledgement.
    pub round_trip: Duration,
}

/// Measures the connections that are added to it.
#[derive(Debug, Default)]
pub(crate) struct Gauges(Mutex<GaugedConnections>);

#[derive(Debug, Default)]
struct GaugedConnections {
    connections: Vec<GaugedConnection>,
    /// Bytes acknowledged over all connections, closed ones included.
    acknowledged: u64,
    kernel: Option<Socket>,
    /// The last statistics read.
    last: Option<ConnectionStats>,
}

#[derive(Debug)]
struct GaugedConnection {
    gauge: Weak<()>,
    ends: [SocketAddr; 2],
    acknowledged: u64,
}

/// Includes a connection in the statistics until this is dropped.
#[derive(Debug)]
pub(crate) struct Gauge(#[expect(dead_code, reason = "only its drop matters")] Arc<()>);

impl Gauges {
    /// Includes `stream` in the statistics until the returned gauge is dropped.
    pub(crate) fn add(&self, stream: &MaybeTlsStream) -> io::Result<Gauge> {
        let tcp = stream.tcp();
        let ends = [tcp.local_addr()?, tcp.peer_addr()?];
        let gauge = Arc::new(());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.connections.retain(|connection| connection.gauge.strong_count() > 0);
        let connection = GaugedConnection { gauge: Arc::downgrade(&gauge), ends, acknowledged: 0 };
        known.connections.push(connection);
        Ok(Gauge(gauge))
    }

    /// The current statistics. Without a connection they keep their last values. `None` until the kernel gave a first
    /// answer.
    pub(crate) fn read(&self) -> Option<ConnectionStats> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let GaugedConnections { connections, acknowledged, kernel, last } = &mut *known;
        connections.retain(|connection| connection.gauge.strong_count() > 0);
        if kernel.is_none() {
            *kernel = Some(ask_kernel().ok()?);
        }
        let kernel = kernel.as_ref()?;
        let mut latest: Option<TcpInfo> = None;
        let mut unsent = 0;
        for connection in connections {
            let Some(info) = info(kernel, connection.ends) else { continue };
            // Count packets that arrived behind a lost one.
            let arrived = info.acknowledged + u64::from(info.sacked) * u64::from(info.packet);
            *acknowledged += arrived.saturating_sub(connection.acknowledged);
            connection.acknowledged = connection.acknowledged.max(arrived);
            unsent += u64::from(info.unsent);
            if latest.as_ref().is_none_or(|latest| info.acknowledged_ago < latest.acknowledged_ago)
            {
                latest = Some(info);
            }
        }
        let round_trip = latest.map(|latest| Duration::from_micros(latest.round_trip.into()));
        if let Some(round_trip) = round_trip.or(last.map(|last| last.round_trip)) {
            *last = Some(ConnectionStats { acknowledged: *acknowledged, unsent, round_trip });
        }
        *last
    }
}

fn ask_kernel() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.connect(&NetlinkAddr::new(0, 0))?;
    socket.set_non_blocking(true)?;
    Ok(socket)
}

/// The kernel's statistics of the connection between these addresses.
fn info(kernel: &Socket, [local, peer]: [SocketAddr; 2]) -> Option<TcpInfo> {
    kernel.send(&request(local, peer), 0).ok()?;
    let mut answer = Vec::with_capacity(ANSWER);
    kernel.recv(&mut answer, 0).ok()?;
    tcp_info(&answer)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn pair() -> (MaybeTlsStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        connected(listener).await
    }

    async fn connected(listener: TcpListener) -> (MaybeTlsStream, TcpStream) {
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (MaybeTlsStream::Plain(stream), listener.accept().await.unwrap().0)
    }

    /// Sends this many bytes, and waits until the peer has them.
    async fn carry(stream: &mut MaybeTlsStream, peer: &mut TcpStream, bytes: usize) {
        stream.write_all(&vec![7; bytes]).await.unwrap();
        peer.read_exact(&mut vec![0; bytes]).await.unwrap();
        // The peer's answer carries its acknowledgement.
        peer.write_all(b"!").await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
    }

    #[tokio::test]
    async fn acknowledged_bytes_are_counted_over_all_connections() {
        let gauges = Gauges::default();
        assert_eq!(gauges.read(), None, "there is no connection");
        let mut acknowledged = 0;
        for _ in 0..2 {
            let (mut stream, mut peer) = pair().await;
            let _gauge = gauges.add(&stream).unwrap();
            carry(&mut stream, &mut peer, 50_000).await;
            let flow = gauges.read().expect("statistics");
            // The SYN counts as a byte.
            assert!((50_000..=50_001).contains(&(flow.acknowledged - acknowledged)), "{flow:?}");
            assert_eq!(flow.unsent, 0);
            assert!(flow.round_trip > Duration::ZERO);
            acknowledged = flow.acknowledged;
        }
        let flow = gauges.read().expect("statistics of closed connections");
        assert_eq!((flow.acknowledged, flow.unsent), (acknowledged, 0));
    }

    #[tokio::test]
    async fn bytes_that_a_peer_does_not_read_are_not_acknowledged() {
        let gauges = Gauges::default();
        let (mut stream, _peer) = pair().await;
        let _gauge = gauges.add(&stream).unwrap();
        let mut written = 0_u64;
        let step = Duration::from_millis(200);
        while let Ok(bytes) = tokio::time::timeout(step, stream.write(&[7; 65_536])).await {
            written += bytes.unwrap() as u64;
        }
        let flow = gauges.read().expect("statistics");
        assert!(flow.unsent > 0 && flow.acknowledged < written, "{flow:?} of {written}");
    }

    #[tokio::test]
    async fn an_ipv6_connection_is_found() {
        // A computer without IPv6 cannot run this test.
        let Ok(listener) = TcpListener::bind("[::1]:0").await else { return };
        let (mut stream, mut peer) = connected(listener).await;
        let gauges = Gauges::default();
        let _gauge = gauges.add(&stream).unwrap();
        carry(&mut stream, &mut peer, 1000).await;
        let flow = gauges.read().expect("statistics");
        assert!((1000..=1001).contains(&flow.acknowledged), "{flow:?}");
    }

    #[test]
    fn an_unknown_connection_has_no_statistics() {
        let kernel = ask_kernel().unwrap();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        assert!(info(&kernel, [nowhere, nowhere]).is_none());
    }
}
