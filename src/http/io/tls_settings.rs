//! TLS settings for each peer and protocol, kept so that a second connection resumes the session of the first.
//!
//! Does not: open connections.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};

use crate::capacity::TLS_PEERS;
use crate::http::io::{Alpn, ConnectError, authorities};
use crate::http::{Authority, Judge, TlsPeer, Url};

/// The settings, under one policy of trust.
#[derive(Debug)]
pub(super) struct TlsSettings {
    judge: Arc<dyn Judge>,
    provider: Arc<CryptoProvider>,
    authorities: OnceLock<Option<Arc<WebPkiServerVerifier>>>,
    configs: Mutex<HashMap<Key, Arc<ClientConfig>>>,
}

/// What settings are for: a peer, the orchestrator that named it, and the protocol.
type Key = (Authority, Option<Authority>, Alpn);

impl TlsSettings {
    /// Settings for what `judge` decides about.
    pub(super) fn new(judge: Arc<dyn Judge>) -> Self {
        Self {
            judge,
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            authorities: OnceLock::new(),
            configs: Mutex::new(HashMap::new()),
        }
    }

    /// The same, with `roots` in the place of this system's authorities.
    pub(super) fn with_authorities(judge: Arc<dyn Judge>, roots: RootCertStore) -> Self {
        let settings = Self::new(judge);
        let _ = settings.authorities.set(settings.verifier(roots));
        settings
    }

    /// The TLS settings for `url` and the name to ask for.
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
        let key = (peer.clone(), url.under().cloned(), alpn);
        if let Some(config) = configs.get(&key) {
            return Ok((Arc::clone(config), name));
        }
        let verifier = TlsPeer::new(
            url,
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
