//! Why a connection could not be made.
//!
//! Does not: make connections.

use std::fmt;
use std::io;
use std::net::IpAddr;

use rustls::AlertDescription;

use crate::http::io::Alpn;
use crate::http::{Authority, Distrust, Url, Zone};
use crate::limits::CONNECT_TIME;
use resilience::fault::Fault;
use resilience::sanitize;

/// Why a connection could not be made.
#[derive(Debug)]
pub enum ConnectError {
    /// The name has no address, or its look-up took too long.
    Resolve(Authority, io::Error),
    /// The address is in a nearer zone than the URL may lead to.
    TooNear(Box<Url>, IpAddr),
    /// The address does not answer, or the connection broke while it was made.
    Connect(Authority, io::Error),
    /// The time limit passed.
    Timeout(Authority),
    /// The peer's certificate is refused.
    Distrust(Authority, Distrust),
    /// The peer does not speak TLS on this port.
    NotTls(Authority),
    /// The peer closed the connection during the TLS handshake: it speaks another protocol, or has just stopped.
    HungUp(Authority),
    /// TLS failed for another reason.
    Tls(Authority, String),
    /// The peer speaks TLS, but not HTTP/2.
    NoHttp2(Authority),
}

impl ConnectError {
    /// Whether the host refused the connection: nothing listens on the port.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, Self::Connect(_, error) if error.kind() == io::ErrorKind::ConnectionRefused)
    }

    /// The error for a `url` that leads to this address although it must not.
    pub(super) fn too_near(url: &Url, address: IpAddr) -> Self {
        Self::TooNear(Box::new(url.origin()), address)
    }

    /// How the caller must react.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Resolve(..) | Self::Connect(..) | Self::Timeout(_) | Self::HungUp(_) => {
                Fault::Retry
            }
            Self::TooNear(..)
            | Self::Distrust(..)
            | Self::NotTls(_)
            | Self::Tls(..)
            | Self::NoHttp2(_) => Fault::NextPeer,
        }
    }

    /// The cause of an error of a TLS handshake.
    pub(super) fn from_tls(peer: &Authority, alpn: Alpn, error: io::Error) -> Self {
        let peer = peer.clone();
        let Some(tls) = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) else {
            return if error.kind() == io::ErrorKind::UnexpectedEof {
                Self::HungUp(peer)
            } else {
                Self::Connect(peer, error)
            };
        };
        if let rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) = tls
            && let Some(distrust) = other.0.downcast_ref::<Distrust>()
        {
            return Self::Distrust(peer, distrust.clone());
        }
        if let rustls::Error::InvalidMessage(_) = tls {
            return Self::NotTls(peer);
        }
        let refused = rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol);
        if *tls == refused && alpn == Alpn::Http2 {
            return Self::NoHttp2(peer);
        }
        // The text may contain names from the certificate.
        Self::Tls(peer, sanitize::message(&tls.to_string()))
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(peer, error) if error.kind() == io::ErrorKind::TimedOut => {
                write!(f, "{peer}: no address of the name within ")?;
                write!(f, "{} s; check the DNS server", CONNECT_TIME.as_secs())
            }
            Self::Resolve(peer, _) => {
                write!(f, "{peer}: the name has no address; check it and the DNS server")
            }
            Self::TooNear(url, address) => {
                let (peer, zone) = (url.authority(), Zone::of(*address));
                write!(f, "{peer}: leads to {address}, which is {zone}; refused, ")?;
                match url.under() {
                    Some(under) => write!(f, "as {under} named it, which is farther away")?,
                    None => f.write_str("as a peer named it that is farther away")?,
                }
                f.write_str("; if it is yours, name it in your configuration")
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
                write!(
                    f,
                    "{peer}: does not speak HTTP/2, so it is not an orchestrator; check the port"
                )
            }
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect(_, error) if error.kind() == io::ErrorKind::ConnectionRefused => None,
            Self::Resolve(_, error) if error.kind() == io::ErrorKind::TimedOut => None,
            Self::Resolve(_, error) | Self::Connect(_, error) => Some(error),
            Self::Distrust(_, distrust) => Some(distrust),
            Self::TooNear(..)
            | Self::Timeout(_)
            | Self::NotTls(_)
            | Self::HungUp(_)
            | Self::Tls(..)
            | Self::NoHttp2(_) => None,
        }
    }
}
