//! Reads certificate authorities from the system, or from a file if one is configured.
//!
//! Does not: verify certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::http::io::{Client, Connector};
use crate::http::{ServiceTrust, WallClock};

/// Why a file of authorities cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: no certificate authorities in PEM form: {reason}", path.display())]
pub struct CaFileError {
    path: PathBuf,
    reason: String,
}

/// A client for signers and discovery endpoints, under their trust policy.
pub fn service_client(trust: ServiceTrust) -> Result<Client, CaFileError> {
    service_client_by(trust, Arc::default())
}

/// Like [`service_client`], with a [`WallClock`] that other clients share.
pub fn service_client_by(
    trust: ServiceTrust,
    clock: Arc<WallClock>,
) -> Result<Client, CaFileError> {
    Ok(Client::new(Arc::new(service_connector(trust, clock)?)))
}

/// A connector to services that speak another protocol than HTTP, under their trust policy. It shares `clock` with other
/// clients.
pub fn service_connector(
    trust: ServiceTrust,
    clock: Arc<WallClock>,
) -> Result<Connector, CaFileError> {
    let roots = trust.ca_file.as_deref().map(read).transpose()?;
    let connector = Connector::by(Arc::new(trust), clock);
    Ok(match roots {
        Some(roots) => connector.with_authorities(roots),
        None => connector,
    })
}

/// The authorities of this system.
pub(super) fn system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn read(path: &Path) -> Result<RootCertStore, CaFileError> {
    let failed = |reason: String| CaFileError { path: path.to_owned(), reason };
    let certificates = CertificateDer::pem_file_iter(path).map_err(|e| failed(e.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let certificate = certificate.map_err(|e| failed(e.to_string()))?;
        roots.add(certificate).map_err(|e| failed(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(failed("the file has no certificate".to_owned()));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, content: &[u8], reason: &str) {
        let path = std::env::temp_dir().join(format!("ca-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        let trust = ServiceTrust { ca_file: Some(path.clone()), ..ServiceTrust::default() };
        let error = service_client(trust).unwrap_err().to_string();
        std::fs::remove_file(&path).unwrap();
        assert!(error.contains(name) && error.contains(reason), "{error}");
    }

    #[test]
    fn a_file_without_authorities_is_refused() {
        check("empty", b"", "has no certificate");
        check("text", b"hello\n", "has no certificate");
        check("torn", b"-----BEGIN CERTIFICATE-----\nAAAA\n", "");
        check("no-der", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "");
        let trust =
            ServiceTrust { ca_file: Some("/nowhere/ca.pem".into()), ..ServiceTrust::default() };
        assert!(service_client(trust).unwrap_err().to_string().starts_with("/nowhere/ca.pem: "));
    }
}
