//! What the kernel knows of connections that send: how much was acknowledged, what waits in it, how long a round trip
//! takes.
//!
//! It is asked by sock_diag(7), which answers at once. Where it does not, as on a kernel without that or in a
//! container that forbids it, nothing is known.
//!
//! Does not: judge; `rate` does.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr as NetlinkAddr};

use crate::http::io::Stream;
use crate::http::sock_diag::{TcpInfo, request, tcp_info};

/// An answer is some 500 bytes.
const ANSWER: usize = 4096;

/// What is known of all connections together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionStats {
    /// Bytes that the peers have acknowledged so far, also over connections that are closed now.
    pub acknowledged: u64,
    /// Bytes that the kernel has taken and not sent.
    pub unsent: u64,
    /// What round trips took of late, on the connection on which one was seen last.
    pub round_trip: Duration,
}

/// Connections that are looked at.
#[derive(Debug, Default)]
pub(crate) struct Gauges(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    connections: Vec<Connection>,
    /// Bytes acknowledged over connections that are closed now, and over those that are not.
    acknowledged: u64,
    kernel: Option<Socket>,
    /// What was told last.
    told: Option<ConnectionStats>,
}

#[derive(Debug)]
struct Connection {
    gauge: Weak<()>,
    ends: [SocketAddr; 2],
    acknowledged: u64,
}

/// A connection is looked at for as long as its gauge lives.
#[derive(Debug)]
pub(crate) struct Gauge(#[expect(dead_code, reason = "its end is what counts")] Arc<()>);

impl Gauges {
    /// Looks at `stream` from now on.
    pub(crate) fn add(&self, stream: &Stream) -> io::Result<Gauge> {
        let tcp = stream.tcp();
        let ends = [tcp.local_addr()?, tcp.peer_addr()?];
        let gauge = Arc::new(());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.connections.retain(|connection| connection.gauge.strong_count() > 0);
        let connection = Connection { gauge: Arc::downgrade(&gauge), ends, acknowledged: 0 };
        known.connections.push(connection);
        Ok(Gauge(gauge))
    }

    /// What is known now. Without a connection nothing more is acknowledged. `None` if the kernel has told nothing
    /// so far.
    pub(crate) fn read(&self) -> Option<ConnectionStats> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { connections, acknowledged, kernel, told } = &mut *known;
        connections.retain(|connection| connection.gauge.strong_count() > 0);
        if kernel.is_none() {
            *kernel = Some(ask_kernel().ok()?);
        }
        let kernel = kernel.as_ref()?;
        let mut latest: Option<TcpInfo> = None;
        let mut unsent = 0;
        for connection in connections {
            let Some(info) = info(kernel, connection.ends) else { continue };
            // What came out of order waits for what was lost, but has arrived.
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
        if let Some(round_trip) = round_trip.or(told.map(|told| told.round_trip)) {
            *told = Some(ConnectionStats { acknowledged: *acknowledged, unsent, round_trip });
        }
        *told
    }
}

fn ask_kernel() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.connect(&NetlinkAddr::new(0, 0))?;
    socket.set_non_blocking(true)?;
    Ok(socket)
}

/// What the kernel says of the connection between these ends.
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

    async fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        connected(listener).await
    }

    async fn connected(listener: TcpListener) -> (Stream, TcpStream) {
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Stream::Plain(stream), listener.accept().await.unwrap().0)
    }

    /// So many bytes arrive at the peer.
    async fn carry(stream: &mut Stream, peer: &mut TcpStream, bytes: usize) {
        stream.write_all(&vec![7; bytes]).await.unwrap();
        peer.read_exact(&mut vec![0; bytes]).await.unwrap();
        // The peer's kernel has said so, as soon as its answer is here.
        peer.write_all(b"!").await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
    }

    #[tokio::test]
    async fn what_peers_acknowledged_is_counted_over_all_connections() {
        let gauges = Gauges::default();
        assert_eq!(gauges.read(), None, "there is no connection");
        let mut acknowledged = 0;
        for _ in 0..2 {
            let (mut stream, mut peer) = pair().await;
            let _gauge = gauges.add(&stream).unwrap();
            carry(&mut stream, &mut peer, 50_000).await;
            let flow = gauges.read().expect("the kernel tells");
            // The connection's beginning counts as a byte.
            assert!((50_000..=50_001).contains(&(flow.acknowledged - acknowledged)), "{flow:?}");
            assert_eq!(flow.unsent, 0);
            assert!(flow.round_trip > Duration::ZERO);
            acknowledged = flow.acknowledged;
        }
        let flow = gauges.read().expect("both are closed, and nothing is forgotten");
        assert_eq!((flow.acknowledged, flow.unsent), (acknowledged, 0));
    }

    #[tokio::test]
    async fn what_a_peer_does_not_take_is_not_acknowledged() {
        let gauges = Gauges::default();
        let (mut stream, _peer) = pair().await;
        let _gauge = gauges.add(&stream).unwrap();
        let mut written = 0_u64;
        let step = Duration::from_millis(200);
        while let Ok(bytes) = tokio::time::timeout(step, stream.write(&[7; 65_536])).await {
            written += bytes.unwrap() as u64;
        }
        let flow = gauges.read().expect("the kernel tells");
        assert!(flow.unsent > 0 && flow.acknowledged < written, "{flow:?} of {written}");
    }

    #[tokio::test]
    async fn a_connection_of_ipv6_is_found_too() {
        // Where there is none, there is nothing to look at.
        let Ok(listener) = TcpListener::bind("[::1]:0").await else { return };
        let (mut stream, mut peer) = connected(listener).await;
        let gauges = Gauges::default();
        let _gauge = gauges.add(&stream).unwrap();
        carry(&mut stream, &mut peer, 1000).await;
        let flow = gauges.read().expect("the kernel tells");
        assert!((1000..=1001).contains(&flow.acknowledged), "{flow:?}");
    }

    #[test]
    fn a_connection_that_the_kernel_does_not_know_tells_nothing() {
        let kernel = ask_kernel().unwrap();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        assert!(info(&kernel, [nowhere, nowhere]).is_none());
    }
}
