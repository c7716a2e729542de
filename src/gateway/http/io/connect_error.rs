//! Why a connection could not be made.
//!
//! Does not: make connections.

use std::io;
use std::net::IpAddr;

use rustls::AlertDescription;

use crate::http::io::Alpn;
use crate::http::{Authority, Distrust, Url, Zone};
use crate::limits::CONNECT_TIME;
use resilience::fault::Fault;
use resilience::sanitize;

/// Why a connection could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The look-up of the name found no address.
    #[error("{0}: no address found for the name; check it and the DNS server")]
    Resolve(Authority, #[source] io::Error),
    /// The look-up of the name took too long.
    #[error("{0}: no address of the name within {limit} s; check the DNS server", limit = CONNECT_TIME.as_secs())]
    ResolveTimeout(Authority),
    /// The address is in a nearer zone than the URL may lead to.
    #[error("{}", too_near(.0, *.1))]
    TooNear(Box<Url>, IpAddr),
    /// The address does not answer, or the connection broke while it was made.
    #[error("{0}: no connection")]
    Connect(Authority, #[source] io::Error),
    /// The host refused the connection: nothing listens on the port.
    #[error("{0}: connection refused; nothing listens on this port")]
    Refused(Authority),
    /// The time limit passed.
    #[error("{0}: no connection within {limit} s", limit = CONNECT_TIME.as_secs())]
    Timeout(Authority),
    /// The peer's certificate is refused.
    #[error("{0}: not trusted")]
    Distrust(Authority, #[source] Distrust),
    /// The peer does not speak TLS on this port.
    #[error("{0}: does not speak TLS on this port; check the port")]
    NotTls(Authority),
    /// The peer closed the connection during the TLS handshake: it speaks another protocol, or has just stopped.
    #[error("{0}: closed the connection during the TLS handshake; check the port")]
    HungUp(Authority),
    /// TLS failed for another reason.
    #[error("{0}: TLS failed: {1}")]
    Tls(Authority, String),
    /// The peer speaks TLS, but not HTTP/2.
    #[error("{0}: does not speak HTTP/2, so it is not an orchestrator; check the port")]
    NoHttp2(Authority),
}

impl ConnectError {
    /// Whether the host refused the connection: nothing listens on the port.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    /// The error of a look-up of the name of `peer`.
    pub(super) fn resolving(peer: &Authority, error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::TimedOut {
            return Self::ResolveTimeout(peer.clone());
        }
        Self::Resolve(peer.clone(), error)
    }

    /// The error of a connection to `peer`.
    pub(super) fn connecting(peer: &Authority, error: io::Error) -> Self {
        let kind = error.kind();
        if kind == io::ErrorKind::TimedOut {
            return Self::Timeout(peer.clone());
        }
        if kind == io::ErrorKind::ConnectionRefused {
            return Self::Refused(peer.clone());
        }
        Self::Connect(peer.clone(), error)
    }

    /// The error for a `url` that leads to this address although it must not.
    pub(super) fn too_near(url: &Url, address: IpAddr) -> Self {
        Self::TooNear(Box::new(url.origin()), address)
    }

    /// How the caller must react.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Resolve(..)
            | Self::ResolveTimeout(_)
            | Self::Connect(..)
            | Self::Refused(_)
            | Self::Timeout(_)
            | Self::HungUp(_) => Fault::Retry,
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

fn too_near(url: &Url, address: IpAddr) -> String {
    let (peer, zone) = (url.authority(), Zone::of(address));
    let giver = match url.under() {
        Some(under) => format!("{under}, which is farther away, named it"),
        None => "a peer that is farther away named it".to_owned(),
    };
    format!(
        "{peer}: leads to {address}, which is {zone}; refused, because {giver}; if the host is yours, name it in your configuration"
    )
}
