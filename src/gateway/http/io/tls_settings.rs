//! TLS settings for each peer and protocol. They are kept until the set of trusted peers changes, so that a second
//! connection resumes the session of the first.
//!
//! Does not: open connections.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};

use crate::http::io::{Alpn, ConnectError, authorities};
use crate::http::{Authority, TlsPeer, TrustPolicy, Url, WallClock};

/// Peers whose TLS settings (and session tickets) are kept.
const TLS_PEERS: usize = 32;

/// The settings under one trust policy.
#[derive(Debug)]
pub(super) struct TlsSettings {
    judge: Arc<dyn TrustPolicy>,
    clock: Arc<WallClock>,
    provider: Arc<CryptoProvider>,
    authorities: OnceLock<Option<Arc<WebPkiServerVerifier>>>,
    configs: Mutex<EpochConfigs>,
}

/// The settings of one epoch, with the sessions that may be resumed.
#[derive(Debug, Default)]
struct EpochConfigs {
    epoch: u64,
    of: HashMap<ConfigKey, Arc<ClientConfig>>,
}

/// A peer, the orchestrator that named it, and the protocol.
type ConfigKey = (Authority, Option<Authority>, Alpn);

impl TlsSettings {
    /// Settings under the trust policy `judge`.
    pub(super) fn new(judge: Arc<dyn TrustPolicy>, clock: Arc<WallClock>) -> Self {
        Self {
            judge,
            clock,
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            authorities: OnceLock::new(),
            configs: Mutex::default(),
        }
    }

    /// Uses `roots` instead of the system's authorities.
    pub(super) fn with_authorities(self, roots: RootCertStore) -> Self {
        let authorities = OnceLock::from(self.verifier(roots));
        Self { authorities, ..self }
    }

    /// The shared record of what certificates show about this computer's clock.
    pub(super) fn clock(&self) -> &Arc<WallClock> {
        &self.clock
    }

    /// The TLS settings for `url`, and the server name to verify.
    pub(super) fn of(
        &self,
        url: &Url,
        alpn: Alpn,
    ) -> Result<(Arc<ClientConfig>, ServerName<'static>), ConnectError> {
        let peer = url.authority();
        let tls_error = |reason: String| ConnectError::Tls(peer.clone(), reason);
        let name = ServerName::try_from(peer.host().to_owned())
            .map_err(|error| tls_error(error.to_string()))?;
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = self.clock.epoch();
        if configs.epoch != epoch {
            *configs = EpochConfigs { epoch, ..EpochConfigs::default() };
        }
        let configs = &mut configs.of;
        let key = (peer.clone(), url.under().cloned(), alpn);
        if let Some(config) = configs.get(&key) {
            return Ok((Arc::clone(config), name));
        }
        let verifier = TlsPeer::new(
            url,
            Arc::clone(&self.judge),
            Arc::clone(&self.clock),
            self.authorities(),
            Arc::clone(&self.provider),
        );
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| tls_error(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = match alpn {
            Alpn::Http1 => vec![b"http/1.1".to_vec()],
            Alpn::Http2 => vec![b"h2".to_vec()],
            Alpn::Nothing => Vec::new(),
        };
        config.resumption = rustls::client::Resumption::in_memory_sessions(4);
        let config = Arc::new(config);
        if configs.len() >= TLS_PEERS {
            configs.clear();
        }
        configs.insert(key, Arc::clone(&config));
        Ok((config, name))
    }

    /// The authorities, which are read for the first TLS connection.
    fn authorities(&self) -> Option<Arc<WebPkiServerVerifier>> {
        self.authorities.get_or_init(|| self.verifier(authorities::system())).clone()
    }

    fn verifier(&self, roots: RootCertStore) -> Option<Arc<WebPkiServerVerifier>> {
        let provider = Arc::clone(&self.provider);
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use rcgen::{
        BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd,
    };
    use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
    use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned};

    use super::*;
    use crate::clock::BUILT;
    use crate::http::io::{Client, Connector, HttpRequest};
    use crate::http::{CaVerdict, Distrust, Fingerprint, ServiceTrust};

    /// Accepts certificates that an authority has signed.
    #[derive(Debug)]
    struct ByAuthority;

    impl TrustPolicy for ByAuthority {
        fn judge(
            &self,
            _: &Authority,
            _: Option<&Authority>,
            _: &Fingerprint,
            ca: &CaVerdict,
        ) -> Result<(), Distrust> {
            match ca {
                CaVerdict::Valid | CaVerdict::Doubtful(_) => Ok(()),
                CaVerdict::Invalid(reason) => Err(Distrust::NoAuthority(reason.clone())),
                CaVerdict::WrongTime(reason) => Err(Distrust::WrongTime(reason.clone())),
            }
        }
    }

    /// A certificate authority of the tests.
    struct TestAuthority {
        certificate: CertificateDer<'static>,
        issuer: Issuer<'static, KeyPair>,
    }

    impl TestAuthority {
        fn new() -> Self {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, "an authority of the tests");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().unwrap();
            let certificate = params.self_signed(&key).unwrap().into();
            Self { certificate, issuer: Issuer::new(params, key) }
        }

        fn roots(&self) -> RootCertStore {
            let mut roots = RootCertStore::empty();
            roots.add(self.certificate.clone()).unwrap();
            roots
        }

        /// Starts a server whose certificate is valid between two years; counts full handshakes.
        fn serve(&self, from: i32, until: i32) -> (Url, Arc<AtomicUsize>) {
            let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(until, 1, 1);
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &self.issuer).unwrap();
            let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![certificate.into()], key)
                .unwrap();
            let (config, full) = (Arc::new(config), Arc::new(AtomicUsize::new(0)));
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let url = Url::parse(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
            let counted = Arc::clone(&full);
            thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    let (config, full) = (Arc::clone(&config), Arc::clone(&counted));
                    thread::spawn(move || {
                        let connection = ServerConnection::new(config).unwrap();
                        let mut stream = StreamOwned::new(connection, stream);
                        let mut was_counted = false;
                        while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
                            let kind = stream.conn.handshake_kind();
                            let is_full = kind == Some(HandshakeKind::Full) && !was_counted;
                            full.fetch_add(usize::from(is_full), Ordering::Relaxed);
                            was_counted = true;
                            let _ =
                                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                        }
                    });
                }
            });
            (url, full)
        }
    }

    async fn calls(client: &Client, url: &Url) -> Result<u16, String> {
        let answer = client.call(HttpRequest::get(url.clone())).await;
        answer.map(|answer| answer.status).map_err(|error| resilience::fault::chain(&error))
    }

    fn late(clock: &WallClock) -> Vec<(Authority, bool)> {
        clock.take_late().into_iter().map(|late| (late.peer, late.may_be_doubted)).collect()
    }

    /// A client with this policy, authority and clock.
    fn client(
        judge: Arc<dyn TrustPolicy>,
        authority: &TestAuthority,
        clock: &Arc<WallClock>,
    ) -> Client {
        let connector = Connector::by(judge, Arc::clone(clock));
        Client::new(Arc::new(connector.with_authorities(authority.roots())))
    }

    #[tokio::test]
    async fn the_clock_is_doubted_for_one_peer_until_it_is_synchronised() {
        let authority = TestAuthority::new();
        let ((one, full), (other, _)) = (authority.serve(2090, 2095), authority.serve(2092, 2095));
        let clock: Arc<WallClock> = Arc::default();
        let client = client(Arc::new(ByAuthority), &authority, &clock);
        for url in [&one, &other] {
            let error = calls(&client, url).await.unwrap_err();
            assert!(error.contains("not valid now") && error.contains("clock"), "{error}");
            assert_eq!(late(&clock), [(url.authority().clone(), true)]);
        }
        let _ = clock.doubt(&[one.authority().clone()]);
        for _ in 0..2 {
            assert_eq!(calls(&client, &one).await, Ok(200));
        }
        assert_eq!(full.load(Ordering::Relaxed), 1);
        assert!(calls(&client, &other).await.is_err(), "the other one is not doubted");
        // An authority signed a certificate in 2090, so the present time is not earlier.
        assert!(clock.newest().as_secs() > BUILT + 60 * 365 * 86_400);
        // The clock is synchronised. A connection and a session exist, but must not be used.
        clock.trust();
        let error = calls(&client, &one).await.unwrap_err();
        assert!(error.contains("not valid now"), "{error}");
    }

    #[tokio::test]
    async fn a_signer_is_trusted_by_a_right_clock_or_by_a_pin() {
        let authority = TestAuthority::new();
        let (url, _) = authority.serve(2090, 2095);
        let clock: Arc<WallClock> = Arc::default();
        let _ = clock.doubt(&[url.authority().clone()]);
        let by_authority = client(Arc::new(ServiceTrust::default()), &authority, &clock);
        let error = calls(&by_authority, &url).await.unwrap_err();
        assert!(error.contains("not valid now") && error.contains("services.pins"), "{error}");
        assert_eq!(late(&clock), [(url.authority().clone(), false)]);
    }

    #[tokio::test]
    async fn a_certificate_that_expired_before_the_build_is_never_trusted() {
        let authority = TestAuthority::new();
        let (url, _) = authority.serve(2012, 2015);
        let clock: Arc<WallClock> = Arc::default();
        let client = client(Arc::new(ByAuthority), &authority, &clock);
        let _ = clock.doubt(&[url.authority().clone()]);
        let error = calls(&client, &url).await.unwrap_err();
        assert!(error.contains("not signed by a known authority"), "{error}");
        assert_eq!(late(&clock), [], "it is not a matter of the clock");
    }
}
