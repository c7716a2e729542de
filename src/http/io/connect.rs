//! Opens TCP and TLS connections, each within [`CONNECT_TIME`](crate::capacity::CONNECT_TIME), under the one policy of trust.
//!
//! TLS settings are kept per peer and protocol, so that a second connection resumes the session of the
//! first. Trickle offers `http/1.1` only: with h2 every `Connection: close` answer ends the whole
//! connection (protocol.md, section 1).
//!
//! Does not: keep connections; each belongs to whoever asked for it.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig, RootCertStore};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::capacity::{
    ACKNOWLEDGE_TIME, ADDRESSES, ALIVE_AFTER, ALIVE_EVERY, ALIVE_TRIES, CONNECT_TIME,
    FIRST_CONNECT_TIME, SEND_BUFFER, TLS_PEERS, UNSENT,
};
use crate::fault::Fault;
use crate::http::io::authorities;
use crate::http::{Authority, Distrust, Judge, Scheme, TlsPeer, Url};
use crate::words;

/// The protocol offered in the TLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alpn {
    /// HTTP/1.1: trickle and JSON calls.
    Http1,
    /// HTTP/2: gRPC.
    Http2,
}

/// Why there is no connection.
#[derive(Debug)]
pub enum ConnectError {
    /// The name has no address.
    Resolve(Authority, io::Error),
    /// Nobody answers at the address, or the connection broke while it was made.
    Connect(Authority, io::Error),
    /// Not within the time limit.
    Timeout(Authority),
    /// The peer's certificate is refused.
    Distrust(Authority, Distrust),
    /// The peer does not speak TLS on this port.
    NotTls(Authority),
    /// The peer closes the connection while TLS begins: it speaks something else, or has just died.
    HungUp(Authority),
    /// TLS failed for another reason.
    Tls(Authority, String),
    /// The peer has TLS, but not HTTP/2.
    NoHttp2(Authority),
}

impl ConnectError {
    /// Whether the host is there, but nobody listens on the port.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Connect(_, error) if error.kind() == io::ErrorKind::ConnectionRefused)
    }

    /// What comes next.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Resolve(..) | Self::Connect(..) | Self::Timeout(_) | Self::HungUp(_) => {
                Fault::Retry
            }
            Self::Distrust(..) | Self::NotTls(_) | Self::Tls(..) | Self::NoHttp2(_) => {
                Fault::NextPeer
            }
        }
    }

    /// Sorts an error that came out of a TLS handshake.
    pub(super) fn from_tls(peer: &Authority, alpn: Alpn, error: io::Error) -> Self {
        let peer = peer.clone();
        let Some(tls) = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) else {
            return if error.kind() == io::ErrorKind::UnexpectedEof {
                Self::HungUp(peer)
            } else {
                Self::Connect(peer, error)
            };
        };
        if let rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) = tls {
            if let Some(distrust) = other.0.downcast_ref::<Distrust>() {
                return Self::Distrust(peer, distrust.clone());
            }
        }
        if let rustls::Error::InvalidMessage(_) = tls {
            return Self::NotTls(peer);
        }
        let refused = rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol);
        if *tls == refused && alpn == Alpn::Http2 {
            return Self::NoHttp2(peer);
        }
        // It may quote names out of the certificate.
        Self::Tls(peer, words::shown(&tls.to_string()))
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(peer, _) => {
                write!(f, "{peer}: the name has no address; check it and the DNS server")
            }
            Self::Connect(peer, error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                write!(f, "{peer}: connection refused; nothing listens on this port")
            }
            Self::Connect(peer, _) => write!(f, "{peer}: no connection"),
            Self::Timeout(peer) => {
                write!(f, "{peer}: no connection within {} s", CONNECT_TIME.as_secs())
            }
            Self::Distrust(peer, _) => write!(f, "{peer}: not trusted"),
            Self::NotTls(peer) => {
                write!(f, "{peer}: does not speak TLS on this port; check the port")
            }
            Self::HungUp(peer) => {
                write!(f, "{peer}: closes the connection instead of speaking TLS; check the port")
            }
            Self::Tls(peer, reason) => write!(f, "{peer}: TLS failed: {reason}"),
            Self::NoHttp2(peer) => {
                write!(f, "{peer}: does not speak HTTP/2, so it is no orchestrator; check the port")
            }
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect(_, error) if error.kind() == io::ErrorKind::ConnectionRefused => None,
            Self::Resolve(_, error) | Self::Connect(_, error) => Some(error),
            Self::Distrust(_, distrust) => Some(distrust),
            Self::Timeout(_)
            | Self::NotTls(_)
            | Self::HungUp(_)
            | Self::Tls(..)
            | Self::NoHttp2(_) => None,
        }
    }
}

/// Makes connections under one policy of trust.
#[derive(Debug)]
pub struct Connector {
    judge: Arc<dyn Judge>,
    provider: Arc<CryptoProvider>,
    authorities: OnceLock<Option<Arc<WebPkiServerVerifier>>>,
    configs: Mutex<HashMap<(Authority, Alpn), Arc<ClientConfig>>>,
}

impl Connector {
    /// Connections that `judge` decides about.
    pub fn new(judge: Arc<dyn Judge>) -> Self {
        Self {
            judge,
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            authorities: OnceLock::new(),
            configs: Mutex::new(HashMap::new()),
        }
    }

    /// Connections that `judge` decides about, with `roots` in the place of this system's authorities.
    pub(super) fn with_authorities(judge: Arc<dyn Judge>, roots: RootCertStore) -> Self {
        let connector = Self::new(judge);
        let _ = connector.authorities.set(connector.verifier(roots));
        connector
    }

    /// Opens a connection for a stream to the host and port of `url`.
    pub async fn connect(&self, url: &Url, alpn: Alpn) -> Result<Stream, ConnectError> {
        tokio::time::timeout(CONNECT_TIME, self.connect_once(url, alpn))
            .await
            .unwrap_or_else(|_| Err(ConnectError::Timeout(url.authority().clone())))
    }

    async fn connect_once(&self, url: &Url, alpn: Alpn) -> Result<Stream, ConnectError> {
        let peer = url.authority();
        let failed = |error| ConnectError::Connect(peer.clone(), error);
        let mut last = None;
        let mut tcp = None;
        let addresses = tokio::net::lookup_host((peer.host(), peer.port()))
            .await
            .map_err(|error| ConnectError::Resolve(peer.clone(), error))?;
        let addresses: Vec<SocketAddr> = addresses.take(ADDRESSES).collect();
        'tries: for time in [FIRST_CONNECT_TIME, CONNECT_TIME] {
            for address in &addresses {
                match tokio::time::timeout(time, connect_to(*address)).await {
                    Ok(Ok(stream)) => {
                        tcp = Some(stream);
                        break 'tries;
                    }
                    Ok(Err(error)) => last = Some(error),
                    Err(_) => last = Some(io::ErrorKind::TimedOut.into()),
                }
            }
            // Who refuses does so again.
            if last.as_ref().is_some_and(|error| error.kind() != io::ErrorKind::TimedOut) {
                break;
            }
        }
        let tcp = tcp.ok_or_else(|| {
            failed(last.unwrap_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable)))
        })?;
        tcp.set_nodelay(true).map_err(failed)?;
        if url.scheme() == Scheme::Http {
            return Ok(Stream::Plain(tcp));
        }
        let (config, name) = self.tls(peer, alpn)?;
        let stream = TlsConnector::from(config)
            .connect(name, tcp)
            .await
            .map_err(|error| ConnectError::from_tls(peer, alpn, error))?;
        if alpn == Alpn::Http2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(ConnectError::NoHttp2(peer.clone()));
        }
        Ok(Stream::Tls(Box::new(stream)))
    }

    /// The TLS settings for `peer` and the name to ask for.
    pub(super) fn tls(
        &self,
        peer: &Authority,
        alpn: Alpn,
    ) -> Result<(Arc<ClientConfig>, ServerName<'static>), ConnectError> {
        let tls_error = |reason: String| ConnectError::Tls(peer.clone(), reason);
        let name = ServerName::try_from(peer.host().to_owned())
            .map_err(|error| tls_error(error.to_string()))?;
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (peer.clone(), alpn);
        if let Some(config) = configs.get(&key) {
            return Ok((Arc::clone(config), name));
        }
        let verifier = TlsPeer::new(
            peer.clone(),
            Arc::clone(&self.judge),
            self.authorities(),
            Arc::clone(&self.provider),
        );
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| tls_error(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![match alpn {
            Alpn::Http1 => b"http/1.1".to_vec(),
            Alpn::Http2 => b"h2".to_vec(),
        }];
        config.resumption = rustls::client::Resumption::in_memory_sessions(4);
        let config = Arc::new(config);
        if configs.len() >= TLS_PEERS {
            configs.clear();
        }
        configs.insert(key, Arc::clone(&config));
        Ok((config, name))
    }

    /// The authorities, read when the first TLS connection is made.
    fn authorities(&self) -> Option<Arc<WebPkiServerVerifier>> {
        self.authorities.get_or_init(|| self.verifier(authorities::system())).clone()
    }

    fn verifier(&self, roots: RootCertStore) -> Option<Arc<WebPkiServerVerifier>> {
        let provider = Arc::clone(&self.provider);
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok()
    }
}

/// A TCP connection whose send buffer is small, so that media waits in our own queue, where it can grow
/// stale in sight, and not in the kernel's.
async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_send_buffer_size(SEND_BUFFER)?;
    let stream = socket.connect(address).await?;
    let socket = SockRef::from(&stream);
    socket.set_tcp_notsent_lowat(UNSENT)?;
    let alive = TcpKeepalive::new().with_time(ALIVE_AFTER).with_interval(ALIVE_EVERY);
    socket.set_tcp_keepalive(&alive.with_retries(ALIVE_TRIES))?;
    Ok(stream)
}

/// A connection, with or without TLS.
#[derive(Debug)]
pub enum Stream {
    /// Without TLS.
    Plain(TcpStream),
    /// With TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// From now on the connection breaks when what is sent is not acknowledged within [`ACKNOWLEDGE_TIME`]. For
    /// one that is there to send: the kernel judges one that is silent by the same time.
    pub fn expect_acknowledgement(&self) -> io::Result<()> {
        let tcp = match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        };
        let socket = SockRef::from(tcp);
        socket.set_keepalive(false)?;
        socket.set_tcp_user_timeout(Some(ACKNOWLEDGE_TIME))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
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
