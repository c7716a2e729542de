//! Peers that are not orchestrators, on free local ports, each with another fault.
//!
//! Does not: stop; each peer runs until its test program ends.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]
#![allow(dead_code, reason = "each test program uses a part of this module")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const THIS_MACHINE: [&str; 2] = ["localhost", "127.0.0.1"];

/// A port that nothing listens on.
pub(crate) fn nobody() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Serves every connection, one after the other.
fn serve(mut each: impl FnMut(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(&mut each));
    port
}

/// A web server without TLS.
pub(crate) fn plain_http() -> u16 {
    serve(|mut stream| {
        // Every request gets this answer. An error means that the client has closed the connection.
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    })
}

/// Accepts connections, and sends nothing.
pub(crate) fn silent() -> u16 {
    let mut held = Vec::new();
    serve(move |stream| held.push(stream))
}

/// Accepts connections, and closes them.
pub(crate) fn closing() -> u16 {
    serve(drop)
}

/// A web server with TLS that offers these protocols.
pub(crate) fn tls(alpn: &'static [&'static [u8]]) -> u16 {
    let (certificate, key) = self_signed();
    serve_tls(vec![certificate], &key, alpn)
}

/// Creates a self-signed certificate for this computer. Returns it with its key.
pub(crate) fn self_signed() -> (CertificateDer<'static>, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(THIS_MACHINE.map(str::to_owned)).unwrap();
    (params.self_signed(&key).unwrap().into(), key)
}

/// Creates an authority, and a certificate for this computer that it signed. Returns the authority as PEM, the
/// certificate and its key.
pub(crate) fn signed() -> (String, CertificateDer<'static>, KeyPair) {
    let authority = Authority::new("an authority of the tests");
    let (certificate, key) = authority.sign(&THIS_MACHINE);
    (authority.pem(), certificate, key)
}

/// DER as PEM, in lines, which OpenSSL needs.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A certificate authority that is unknown unless a test installs it.
pub(crate) struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().into();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// The certificate of the authority as PEM.
    pub(crate) fn pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    /// A certificate for these names and addresses, valid since an hour ago, and its key.
    pub(crate) fn sign(&self, names: &[&str]) -> (CertificateDer<'static>, KeyPair) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let since = date_time_ymd(1970, 1, 1) + (now - Duration::from_secs(3600));
        self.sign_with(names, |params| params.not_before = since)
    }

    /// Like [`Self::sign`], but valid from 2012 to 2015.
    pub(crate) fn sign_ended(&self, names: &[&str]) -> (CertificateDer<'static>, KeyPair) {
        self.sign_with(names, |params| {
            params.not_before = date_time_ymd(2012, 1, 1);
            params.not_after = date_time_ymd(2015, 1, 1);
        })
    }

    fn sign_with(
        &self,
        names: &[&str],
        set: impl FnOnce(&mut CertificateParams),
    ) -> (CertificateDer<'static>, KeyPair) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        set(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().into(), key)
    }
}

/// A web server with TLS that shows this certificate, whether or not the key is the certificate's own.
pub(crate) fn serve_tls(
    certificates: Vec<CertificateDer<'static>>,
    key: &KeyPair,
    alpn: &'static [&'static [u8]],
) -> u16 {
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    let shown = Shown(Arc::new(CertifiedKey::new(certificates, key)));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let config = Arc::new(config);
    serve(move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        stream.conn.send_close_notify();
        let _ = stream.flush();
    })
}

#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}
