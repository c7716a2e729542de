//! Finds orchestrators by one strategy after the other: by name, from the discovery endpoint, from the signers, and, if
//! these failed, from the cached list.
//!
//! ```text
//!  named ──▶ discovery endpoint ──▶ signer ──▶ next signer ──▶ cached list ──▶ end
//!                  │ good list         │ good list: skip further signers
//!                  └─────▶ cache ◀─────┘
//! ```
//!
//! Each call of [`Finder::next`] tries one strategy. Call it again if no orchestrator of a list is usable.
//!
//! Does not: contact the orchestrators in a list.

use std::fmt;
use std::path::Path;

use crate::http::io::{CallError, Client, HttpRequest};
use crate::http::{AnsweringPeer, Authority, Scheme, Url, UrlError, Zone};
use crate::orchestrator::io::cache::ListCache;
use crate::orchestrator::{
    DiscoveryList, DiscoveryQuery, DiscoveryStrategy, Endpoints, Headers, ListError, list_url,
};
use resilience::fault::Fault;
use resilience::secret::io::{SecretError, read_headers};

/// The path of a signer's list (protocol.md, section 4).
const SIGNER_LIST: &str = "/discover-orchestrators";

/// Where a list came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListSource {
    /// The configuration or the token names the orchestrators.
    Named,
    /// A discovery endpoint.
    Discovery(Authority),
    /// A signer.
    Signer(Authority),
    /// The cached list of an earlier discovery.
    Cache,
}

impl fmt::Display for ListSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named => f.write_str("configuration"),
            Self::Discovery(peer) => write!(f, "discovery endpoint {peer}"),
            Self::Signer(peer) => write!(f, "signer {peer}"),
            Self::Cache => f.write_str("cached list"),
        }
    }
}

/// A list and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundList {
    /// Where the list came from.
    pub source: ListSource,
    /// The list.
    pub list: DiscoveryList,
}

/// Why a strategy found no list.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// Plain HTTP to another computer, which is not allowed.
    #[error(
        "{0}: discovery on another computer needs https; or set services.allow-plain-http = true"
    )]
    PlainHttp(Authority),
    /// The endpoint with its query is not a valid URL.
    #[error("{0}")]
    Url(UrlError),
    /// The headers cannot be read.
    #[error(transparent)]
    Credential(SecretError),
    /// The call failed.
    #[error(transparent)]
    Call(CallError),
    /// The signer or discovery endpoint has no list at present (503).
    #[error("{0}: has no list of orchestrators now (503)")]
    NotYet(Authority),
    /// The credential is refused (401, 403).
    #[error("{0}: refuses the credential, or wants one ({1}); check the headers")]
    Refused(Authority, u16),
    /// A status other than 200.
    #[error("{0}: gave status {1} for a list of orchestrators")]
    Status(Authority, u16),
    /// The response is not a list.
    #[error("{0}: {1}")]
    List(Authority, ListError),
}

impl FindError {
    /// How the caller must react.
    pub fn fault(&self) -> Fault {
        match self {
            Self::PlainHttp(_) | Self::Url(_) | Self::Credential(_) => Fault::GiveUp,
            Self::Call(error) => error.fault(),
            Self::NotYet(_) | Self::Refused(..) | Self::Status(..) | Self::List(..) => Fault::Retry,
        }
    }
}

/// Finds orchestrators, one strategy after the other.
#[derive(Debug)]
pub struct Finder {
    client: Client,
    endpoints: Endpoints,
    wanted: DiscoveryQuery,
    cache: Option<ListCache>,
    allow_plain_http: bool,
    /// The index of the next strategy.
    next: usize,
    /// Whether a signer has returned its list.
    signer_done: bool,
    /// URLs from which no list could be fetched.
    failed: Vec<Url>,
}

impl Finder {
    /// Creates a search for what is `wanted`; `client` makes the calls. Good lists are cached in `directory`, if there
    /// is one.
    pub fn new(
        client: Client,
        endpoints: Endpoints,
        wanted: DiscoveryQuery,
        directory: Option<&Path>,
        allow_plain_http: bool,
    ) -> Self {
        let cache = directory.map(ListCache::new);
        let (next, signer_done, failed) = (0, false, Vec::new());
        Self { client, endpoints, wanted, cache, allow_plain_http, next, signer_done, failed }
    }

    /// Tries the next strategy; `None` after the last one. Continue after an error: the next strategy may succeed.
    pub async fn next(&mut self) -> Option<Result<FoundList, FindError>> {
        let endpoints = self.endpoints.clone();
        loop {
            let strategies = endpoints.strategies();
            let Some(strategy) = strategies.get(self.next) else {
                return self.cached().map(Ok);
            };
            self.next += 1;
            let (source, url, headers) = match strategy {
                DiscoveryStrategy::Named(urls) => {
                    let list = DiscoveryList::named(urls);
                    return Some(Ok(FoundList { source: ListSource::Named, list }));
                }
                DiscoveryStrategy::Discovery(url, headers) => {
                    (ListSource::Discovery(url.authority().clone()), (*url).clone(), *headers)
                }
                DiscoveryStrategy::Signer(..) if self.signer_done => continue,
                DiscoveryStrategy::Signer(url, headers) => {
                    (ListSource::Signer(url.authority().clone()), url.join(SIGNER_LIST), *headers)
                }
            };
            return Some(self.ask(source, &url, headers).await);
        }
    }

    async fn ask(
        &mut self,
        source: ListSource,
        url: &Url,
        headers: &Headers,
    ) -> Result<FoundList, FindError> {
        let url = list_url(url, &self.wanted).map_err(FindError::Url)?;
        let (list, zone) = match self.fetch(&url, headers).await {
            Ok(fetched) => fetched,
            Err(error) => {
                self.failed.push(url);
                return Err(error);
            }
        };
        log::debug!(
            "{source}: {} orchestrators, {} entries malformed, {} beyond the bounds",
            list.entries.len(),
            list.malformed,
            list.beyond
        );
        warn_of_strays(&source, &list);
        self.signer_done |= matches!(source, ListSource::Signer(_));
        self.failed.clear();
        if let Some(cache) = self.cache.clone().filter(|_| !list.entries.is_empty()) {
            let copy = list.clone();
            // Writing to flash memory may block.
            let _ = tokio::task::spawn_blocking(move || {
                cache.write(AnsweringPeer { url: &url, zone }, &copy)
            })
            .await;
        }
        Ok(FoundList { source, list })
    }

    async fn fetch(
        &self,
        url: &Url,
        headers: &Headers,
    ) -> Result<(DiscoveryList, Zone), FindError> {
        let peer = url.authority();
        if url.scheme() == Scheme::Http && !peer.is_loopback() && !self.allow_plain_http {
            return Err(FindError::PlainHttp(peer.clone()));
        }
        let mut call = HttpRequest::get(url.clone());
        call.headers = read_headers(headers).map_err(FindError::Credential)?;
        // The query of a discovery URL may contain a credential.
        let answer = self.client.call(call).await;
        let answer = answer.map_err(|error| FindError::Call(error.without_path()))?;
        match answer.status {
            200 => {
                let list = DiscoveryList::parse(&answer.body);
                let list = list.map_err(|error| FindError::List(peer.clone(), error))?;
                Ok((list.followed(answer.answering_peer(url)), answer.zone))
            }
            503 => Err(FindError::NotYet(peer.clone())),
            status @ (401 | 403) => Err(FindError::Refused(peer.clone(), status)),
            status => Err(FindError::Status(peer.clone(), status)),
        }
    }

    /// The cached list of one of the endpoints that failed. Returned once.
    fn cached(&mut self) -> Option<FoundList> {
        let failed = std::mem::take(&mut self.failed);
        let list = self.cache.as_ref()?.read(&failed)?;
        log::warn!("discovery failed; using the cached list");
        Some(FoundList { source: ListSource::Cache, list })
    }
}

/// Logs one warning for all dropped URLs of a list.
fn warn_of_strays(source: &ListSource, list: &DiscoveryList) {
    if let [stray, ..] = list.strays.as_slice() {
        let count = list.strays.len();
        log::warn!("{source}: {count} of its URLs are ignored; the first one {stray}");
    }
}
