//! The TLS settings of a port. Unless the caller gives a certificate, the sandbox makes one like that of go-livepeer:
//! self-signed, P-256, one name, `IsCA`.
//!
//! A change replaces the whole TLS configuration, so that old sessions cannot be resumed.
//!
//! Does not: store keys on disk.

use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use crate::Certificate;
use livepeer_gateway::http::Fingerprint;

/// The present TLS configuration of a port.
pub(super) struct Tls {
    host: String,
    alpn: &'static [&'static [u8]],
    now: Mutex<(Arc<ServerConfig>, Fingerprint)>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("fingerprint", &self.fingerprint()).finish_non_exhaustive()
    }
}

impl Tls {
    /// Uses the `given` certificate, or makes one for `host`, a name or an IP address. `alpn` lists the offered
    /// protocols. The error is the reason of the failure.
    pub(super) fn new(
        host: &str,
        given: Option<&Certificate>,
        alpn: &'static [&'static [u8]],
    ) -> Result<Self, String> {
        let first = given.cloned().map_or_else(|| fresh(host), Ok)?;
        Ok(Self { host: host.to_owned(), alpn, now: Mutex::new(showing(first, alpn)?) })
    }

    /// Makes a new certificate for later connections.
    pub(super) fn change(&self) -> Result<(), String> {
        let fresh = showing(fresh(&self.host)?, self.alpn)?;
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// The fingerprint of the present certificate.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// The acceptor for the next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&now.0))
    }
}

fn showing(
    Certificate { der, key }: Certificate,
    alpn: &[&[u8]],
) -> Result<(Arc<ServerConfig>, Fingerprint), String> {
    let fingerprint = Fingerprint::of(&der);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(der)], PrivatePkcs8KeyDer::from(key).into())
        .map_err(|error| error.to_string())?;
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok((Arc::new(config), fingerprint))
}

fn fresh(host: &str) -> Result<Certificate, String> {
    self_signed(host).map_err(|error| error.to_string())
}

fn self_signed(host: &str) -> Result<Certificate, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(vec![host.to_owned()])?;
    params.distinguished_name.push(DnType::OrganizationName, "Livepeer sandbox");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key)?;
    Ok(Certificate { der: certificate.der().to_vec(), key: key.serialize_der() })
}
