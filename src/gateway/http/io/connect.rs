//! Opens TCP and TLS connections, each within [`CONNECT_TIME`](crate::limits::CONNECT_TIME), under one trust policy.
//!
//! Trickle offers `http/1.1` only: with h2 every `Connection: close` answer ends the whole
//! connection (protocol.md, section 1).
//!
//! Does not: reuse connections; the caller owns each one.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::RootCertStore;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::http::io::ConnectError;
use crate::http::io::lookup::Lookups;
use crate::http::io::tls_settings::TlsSettings;
use crate::http::io::traffic;
use crate::http::io::tuning::Tuning;
use crate::http::{Scheme, TrustPolicy, Url, WallClock, Zone, within_reach};
use crate::limits::CONNECT_TIME;

/// Maximum bytes that TLS buffers while the socket is full. rustls' default of 64 KiB is half a second at 1 Mbit/s.
const TLS_BUFFER: usize = 8 << 10;
/// Maximum size of a connection's send buffer in the kernel, in bytes (Linux doubles the value for its own
/// bookkeeping). Without a limit the buffer grows to 4 MB on loopback, which is 16 s of video at 2 Mbit/s. This size
/// carries 7 Mbit/s over a round trip of 300 ms.
const SEND_BUFFER: u32 = 256 << 10;
/// Time for the first attempt to connect; a second one follows within [`CONNECT_TIME`]. The kernel repeats its SYN
/// after 1 s, 2 s and 4 s, but a link that returns should be used within 2 s.
const FIRST_CONNECT_TIME: Duration = Duration::from_secs(2);
/// The connection breaks if retransmitted bytes are not acknowledged within this time, about 3 s after the link was
/// lost. A Wi-Fi client that changes its access point needs less.
const ACKNOWLEDGE_TIME: Duration = Duration::from_millis(2300);

/// The protocol offered in the TLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alpn {
    /// HTTP/1.1: trickle and JSON calls.
    Http1,
    /// HTTP/2: gRPC.
    Http2,
    /// No protocol is offered: for services on a port of their own.
    Nothing,
}

/// Makes connections under one trust policy.
#[derive(Debug)]
pub struct Connector {
    tls: TlsSettings,
    lookups: Lookups,
    send_buffer: AtomicU32,
    tuning: Tuning,
}

impl Connector {
    /// A connector with the trust policy `judge`.
    pub fn new(judge: Arc<dyn TrustPolicy>) -> Self {
        Self::by(judge, Arc::default())
    }

    /// Like [`Connector::new`], with a [`WallClock`] that other connectors share.
    pub(crate) fn by(judge: Arc<dyn TrustPolicy>, clock: Arc<WallClock>) -> Self {
        Self {
            tls: TlsSettings::new(judge, clock),
            lookups: Lookups::new(),
            send_buffer: AtomicU32::new(SEND_BUFFER),
            tuning: Tuning::default(),
        }
    }

    /// Sets the send buffer of later connections, in bytes, at most `SEND_BUFFER`. Keep it small: media in it is not
    /// counted in the media queue, and cannot be dropped when it is old.
    pub fn set_send_buffer(&self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(SEND_BUFFER).min(SEND_BUFFER);
        self.send_buffer.store(bytes, Ordering::Relaxed);
    }

    /// The TLS settings, which streams and calls share.
    pub(super) fn tls(&self) -> &TlsSettings {
        &self.tls
    }

    /// The name look-ups, which streams and calls share.
    pub(super) fn lookups(&self) -> Lookups {
        self.lookups.clone()
    }

    /// Uses `roots` instead of the system's authorities.
    pub(super) fn with_authorities(self, roots: RootCertStore) -> Self {
        Self { tls: self.tls.with_authorities(roots), ..self }
    }

    /// The shared record of what certificates show about this computer's clock.
    pub fn clock(&self) -> &Arc<WallClock> {
        self.tls.clock()
    }

    /// Opens a connection for a stream to the host and port of `url`.
    pub async fn connect(&self, url: &Url, alpn: Alpn) -> Result<MaybeTlsStream, ConnectError> {
        let (peer, by) = (url.authority(), Instant::now() + CONNECT_TIME);
        let late = |_| Err(ConnectError::ResolveTimeout(peer.clone()));
        let addresses = timeout_at(by, self.addresses(url)).await.unwrap_or_else(late)?;
        timeout_at(by, self.connect_to_one(&addresses, url, alpn, by))
            .await
            .unwrap_or_else(|_| Err(ConnectError::Timeout(peer.clone())))
    }

    async fn connect_to_one(
        &self,
        addresses: &[SocketAddr],
        url: &Url,
        alpn: Alpn,
        by: Instant,
    ) -> Result<MaybeTlsStream, ConnectError> {
        let peer = url.authority();
        let failed = |error| ConnectError::connecting(peer, error);
        let tcp = self.connect_to_any(addresses, by).await.map_err(failed)?;
        if url.scheme() == Scheme::Http {
            return Ok(MaybeTlsStream::Plain(tcp));
        }
        let (config, name) = self.tls.of(url, alpn)?;
        let stream = TlsConnector::from(config)
            .connect_with(name, tcp, |tls| tls.set_buffer_limit(Some(TLS_BUFFER)))
            .await
            .map_err(|error| ConnectError::from_tls(peer, alpn, error))?;
        if alpn == Alpn::Http2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(ConnectError::NoHttp2(peer.clone()));
        }
        Ok(MaybeTlsStream::Tls(Box::new(stream)))
    }

    /// Connects to the first address that answers. Each attempt but the last gets at most half of the remaining time,
    /// because one address may be unreachable.
    async fn connect_to_any(&self, addresses: &[SocketAddr], by: Instant) -> io::Result<TcpStream> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        // The kernel repeats its SYN at growing intervals, so a single address is tried twice.
        let tries = addresses.len().max(2);
        for (at, address) in addresses.iter().cycle().take(tries).enumerate() {
            let left = by.saturating_duration_since(Instant::now());
            if at >= addresses.len() && last.kind() != io::ErrorKind::TimedOut {
                break;
            }
            let share = if at + 1 == tries { left } else { FIRST_CONNECT_TIME.min(left / 2) };
            match timeout(share, self.connect_to(*address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::Error::from(io::ErrorKind::TimedOut),
            }
        }
        Err(last)
    }

    async fn connect_to(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        let send_buffer = self.send_buffer.load(Ordering::Relaxed);
        self.tuning.before_connect(&SockRef::from(&socket), send_buffer);
        let stream = socket.connect(address).await?;
        self.tuning.connected(&SockRef::from(&stream));
        Ok(stream)
    }

    /// The addresses of `url` that are within its reach.
    pub(super) async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, ConnectError> {
        let peer = url.authority();
        let addresses = self.lookups.addresses(peer).await;
        let addresses = addresses.map_err(|error| ConnectError::resolving(peer, error))?;
        within_reach(url, addresses).map_err(|address| ConnectError::too_near(url, address))
    }
}

/// A connection, with or without TLS.
#[derive(Debug)]
pub enum MaybeTlsStream {
    /// Without TLS.
    Plain(TcpStream),
    /// With TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl MaybeTlsStream {
    /// Makes the connection break when sent data is not acknowledged within [`ACKNOWLEDGE_TIME`]. Use it for sending
    /// connections only: it turns off keepalive, because the kernel would apply the same limit to idle connections.
    pub(crate) fn expect_acknowledgement(&self) -> io::Result<()> {
        let socket = SockRef::from(self.tcp());
        // Set both, even if one of them fails: each option is useful without the other.
        let keepalive = socket.set_keepalive(false);
        socket.set_tcp_user_timeout(Some(ACKNOWLEDGE_TIME)).and(keepalive)
    }

    /// The zone of the peer.
    pub fn zone(&self) -> Zone {
        // A connection that has just broken has no peer address.
        self.tcp().peer_addr().map_or(Zone::Public, |address| Zone::of(address.ip()))
    }

    /// The TCP connection below TLS, if there is TLS.
    pub(super) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }
}

impl AsyncRead for MaybeTlsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        traffic::on_received(buf.filled().len() - before);
        read
    }
}

impl AsyncWrite for MaybeTlsStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        };
        traffic::on_written(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        };
        traffic::on_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;
    use crate::http::io::lookup::Resolve;
    use crate::http::io::{Client, HttpRequest};
    use crate::http::{Authority, Distrust};
    use crate::http::{CaVerdict, Fingerprint};
    use resilience::fault::Fault;

    #[derive(Debug)]
    struct TrustAll;

    impl TrustPolicy for TrustAll {
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

    /// A connector that resolves names by `resolve`.
    fn connector(resolve: Resolve) -> Arc<Connector> {
        let lookups = Lookups::by(resolve);
        Arc::new(Connector { lookups, ..Connector::new(Arc::new(TrustAll)) })
    }

    fn url(host: &str) -> Url {
        Url::parse(&format!("http://{host}:1")).unwrap()
    }

    async fn connect(connector: &Connector, host: &str) -> Result<SocketAddr, ConnectError> {
        let MaybeTlsStream::Plain(stream) = connector.connect(&url(host), Alpn::Http1).await?
        else {
            panic!("plain HTTP")
        };
        Ok(stream.peer_addr().unwrap())
    }

    #[tokio::test]
    async fn a_name_that_changes_its_address_is_resolved_again() {
        static PLACES: OnceLock<[SocketAddr; 2]> = OnceLock::new();
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let listeners = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let places = PLACES.get_or_init(|| listeners.each_ref().map(|l| l.local_addr().unwrap()));
        let connector = connector(|_, _| {
            let nth = ASKED.fetch_add(1, Ordering::Relaxed);
            Ok(vec![PLACES.get().unwrap()[nth % 2]])
        });
        for nth in [0, 1, 0] {
            assert_eq!(connect(&connector, "moves.example").await.unwrap(), places[nth]);
        }
        // Calls resolve the name again too, once their connection is closed.
        for (listener, said) in listeners.into_iter().zip(["first", "second"]) {
            thread::spawn(move || {
                for mut stream in listener.incoming().map_while(Result::ok) {
                    use std::io::{Read, Write};
                    let _ = stream.read(&mut [0; 1000]);
                    let length = said.len();
                    let _ = write!(
                        stream,
                        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{said}"
                    );
                }
            });
        }
        let client = Client::new(connector);
        for expected in ["second", "first", "second"] {
            let answer = client.call(HttpRequest::get(url("moves.example"))).await.unwrap();
            assert_eq!(answer.body, expected.as_bytes());
        }
    }

    #[tokio::test]
    async fn a_hanging_look_up_does_not_delay_other_names() {
        static PLACE: OnceLock<SocketAddr> = OnceLock::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        PLACE.set(listener.local_addr().unwrap()).unwrap();
        let connector = connector(|host, _| {
            if host.starts_with("hangs") {
                thread::sleep(Duration::from_secs(60));
            }
            Ok(vec![*PLACE.get().unwrap()])
        });
        let client = Client::new(Arc::clone(&connector));
        let began = Instant::now();
        let stream = connect(&connector, "hangs.example");
        let call = client.call(HttpRequest::get(url("hangs-too.example")));
        let other = async {
            connect(&connector, "other.example").await.unwrap();
            began.elapsed()
        };
        let (stream, call, other) = tokio::join!(stream, call, other);
        assert!(other < CONNECT_TIME / 2, "{other:?}");
        assert!(began.elapsed() < CONNECT_TIME * 2, "{:?}", began.elapsed());
        let words = "no address of the name within 5 s; check the DNS server";
        assert_eq!(stream.unwrap_err().to_string(), format!("hangs.example:1: {words}"));
        assert_eq!(call.unwrap_err().to_string(), format!("hangs-too.example:1: {words}"));
    }

    #[tokio::test]
    async fn an_unreachable_address_leaves_time_for_the_next() {
        static PLACES: OnceLock<[SocketAddr; 2]> = OnceLock::new();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let dead = socket.listen(1).unwrap();
        let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let places = [dead.local_addr().unwrap(), good.local_addr().unwrap()];
        PLACES.set(places).unwrap();
        // The listener does not accept, so further connections to it hang.
        let mut full = Vec::new();
        let moment = Duration::from_millis(100);
        while let Ok(stream) = timeout(moment, TcpStream::connect(places[0])).await {
            full.push(stream.unwrap());
        }
        let connector = connector(|_, _| Ok(PLACES.get().unwrap().to_vec()));
        let began = Instant::now();
        assert_eq!(connect(&connector, "two.example").await.unwrap(), places[1]);
        assert!(began.elapsed() < CONNECT_TIME, "{:?}", began.elapsed());
    }

    /// A server on loopback that answers every request, and its port.
    fn server() -> u16 {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || {
                    use std::io::{Read, Write};
                    while stream.read(&mut [0; 1000]).is_ok_and(|read| read > 0) {
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                    }
                });
            }
        });
        port
    }

    #[tokio::test]
    async fn a_name_given_by_a_remote_peer_must_not_lead_to_this_computer() {
        let port = server();
        let connector = connector(|_, port| Ok(vec![SocketAddr::new([127, 0, 0, 1].into(), port)]));
        let client = Client::new(Arc::clone(&connector));
        let own = Url::parse(&format!("http://rebind.example:{port}/x")).unwrap();
        // A URL of the user is called first. The call leaves an open connection, which a call to the peer's URL must
        // not reuse.
        let answer = client.call(HttpRequest::get(own.clone())).await.unwrap();
        assert_eq!((answer.status, answer.zone), (200, Zone::ThisComputer));
        assert_eq!(connector.connect(&own, Alpn::Http1).await.unwrap().zone(), Zone::ThisComputer);
        let orchestrator = Url::parse("https://o.example:8935").unwrap().authority().clone();
        for reach in [Zone::Private, Zone::Public] {
            let given = own.clone().with_reach(reach).with_under(Some(orchestrator.clone()));
            let stream = connector.connect(&given, Alpn::Http1).await.unwrap_err();
            let call = client.call(HttpRequest::get(given.clone())).await.unwrap_err();
            let words = "leads to 127.0.0.1, which is on this computer; refused, because o.example:8935, which is farther away";
            for error in [stream.to_string(), call.to_string()] {
                assert!(error.contains("rebind.example") && error.contains(words), "{error}");
            }
            assert_eq!((stream.fault(), call.fault()), (Fault::NextPeer, Fault::NextPeer));
            let until = connector.until_reachable(vec![given]);
            assert!(timeout(Duration::from_millis(50), until).await.is_err());
        }
    }

    #[tokio::test]
    async fn only_addresses_within_reach_are_tried() {
        static PORT: AtomicUsize = AtomicUsize::new(0);
        PORT.store(server().into(), Ordering::Relaxed);
        let connector = connector(|_, _| {
            let port = u16::try_from(PORT.load(Ordering::Relaxed)).unwrap();
            // The first address belongs to no host (RFC 5737).
            Ok(vec![SocketAddr::new([127, 0, 0, 1].into(), port), "192.0.2.1:1".parse().unwrap()])
        });
        let given = url("two.example").with_reach(Zone::Public);
        let addresses = connector.addresses(&given).await.unwrap();
        assert_eq!(addresses, ["192.0.2.1:1".parse().unwrap()]);
        // The zone of an answer is the farthest of the addresses that were tried.
        let answer =
            Client::new(connector).call(HttpRequest::get(url("two.example"))).await.unwrap();
        assert_eq!(answer.zone, Zone::Public);
    }
}
