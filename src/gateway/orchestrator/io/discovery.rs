//! Fetches lists of orchestrators, way by way: by name, from the discovery endpoint, from a signer, and, where
//! these failed, from what was kept of the last good list.
//!
//! ```text
//!  named ──▶ discovery endpoint ──▶ signer ──▶ next signer ──▶ kept list ──▶ nothing
//!                  │ good list         │ good list: further signers say the same
//!                  └──────▶ kept ◀─────┘
//! ```
//!
//! Each call of [`Finder::next`] is one way. Whoever gets nothing out of a list goes on to the next.
//!
//! Does not: ask the orchestrators in a list.

use std::fmt;
use std::path::Path;

use crate::http::io::{Call, CallError, Client};
use crate::http::{Authority, Giver, Scheme, Url, UrlError, Zone};
use crate::orchestrator::io::kept::Kept;
use crate::orchestrator::{
    DiscoveryList, DiscoveryQuery, DiscoveryStrategy, Endpoints, Headers, ListError, list_url,
};
use resilience::fault::Fault;
use resilience::secret::io::{SecretError, read_headers};

/// The signer's list (protocol.md, section 4).
const SIGNER_LIST: &str = "/discover-orchestrators";

/// Where a list came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListSource {
    /// The configuration or the token names them.
    Named,
    /// A discovery endpoint.
    Discovery(Authority),
    /// A signer.
    Signer(Authority),
    /// It was kept from an earlier time.
    Kept,
}

impl fmt::Display for ListSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named => f.write_str("configuration"),
            Self::Discovery(peer) => write!(f, "discovery endpoint {peer}"),
            Self::Signer(peer) => write!(f, "signer {peer}"),
            Self::Kept => f.write_str("the list kept from earlier"),
        }
    }
}

/// A list and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundList {
    /// Where it came from.
    pub way: ListSource,
    /// What it says.
    pub list: DiscoveryList,
}

/// Why a way brought no list.
#[derive(Debug)]
pub enum FindError {
    /// Plain HTTP to another machine, which is not allowed.
    PlainHttp(Authority),
    /// What is wanted makes no URL.
    Url(UrlError),
    /// The headers cannot be read.
    Credential(SecretError),
    /// No answer.
    Call(CallError),
    /// The signer has no list yet (503).
    NotYet(Authority),
    /// The credential is refused (401, 403).
    Refused(Authority, u16),
    /// Another status than 200.
    Status(Authority, u16),
    /// The answer is no list.
    List(Authority, ListError),
}

impl FindError {
    /// What comes next.
    pub fn fault(&self) -> Fault {
        match self {
            Self::PlainHttp(_) | Self::Url(_) | Self::Credential(_) => Fault::GiveUp,
            Self::Call(error) => error.fault(),
            Self::NotYet(_) | Self::Refused(..) | Self::Status(..) | Self::List(..) => Fault::Retry,
        }
    }
}

impl fmt::Display for FindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PlainHttp(peer) => write!(
                f,
                "{peer}: discovery on another machine needs https; or set services.allow-plain-http = true"
            ),
            Self::Url(error) => error.fmt(f),
            Self::Credential(error) => error.fmt(f),
            Self::Call(error) => error.fmt(f),
            Self::NotYet(peer) => write!(f, "{peer}: has no list of orchestrators yet (503)"),
            Self::Refused(peer, status) => {
                write!(f, "{peer}: refuses the credential ({status}); check the headers")
            }
            Self::Status(peer, status) => {
                write!(f, "{peer}: gave status {status} for a list of orchestrators")
            }
            Self::List(peer, error) => write!(f, "{peer}: {error}"),
        }
    }
}

impl std::error::Error for FindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Credential(error) => error.source(),
            Self::Call(error) => error.source(),
            Self::PlainHttp(_)
            | Self::Url(_)
            | Self::NotYet(_)
            | Self::Refused(..)
            | Self::Status(..)
            | Self::List(..) => None,
        }
    }
}

/// Finds orchestrators, one way after the other.
#[derive(Debug)]
pub struct Finder {
    client: Client,
    endpoints: Endpoints,
    wanted: DiscoveryQuery,
    kept: Option<Kept>,
    allow_plain_http: bool,
    /// The next of the ways.
    nth: usize,
    /// A signer gave its list.
    signer_done: bool,
    /// Where lists were asked for in vain.
    failed: Vec<Url>,
}

impl Finder {
    /// Looks for what is `wanted` by calls of `client`. Good lists are kept in `directory`, if there is one.
    pub fn new(
        client: Client,
        endpoints: Endpoints,
        wanted: DiscoveryQuery,
        directory: Option<&Path>,
        allow_plain_http: bool,
    ) -> Self {
        let kept = directory.map(Kept::new);
        let (nth, signer_done, failed) = (0, false, Vec::new());
        Self { client, endpoints, wanted, kept, allow_plain_http, nth, signer_done, failed }
    }

    /// What the next way brings; `None` when there is no further way. An error is no reason to stop.
    pub async fn next(&mut self) -> Option<Result<FoundList, FindError>> {
        let endpoints = self.endpoints.clone();
        loop {
            let ways = endpoints.strategies();
            let Some(way) = ways.get(self.nth) else { return self.kept().map(Ok) };
            self.nth += 1;
            let (way, url, headers) = match way {
                DiscoveryStrategy::Named(urls) => {
                    let list = DiscoveryList::named(urls);
                    return Some(Ok(FoundList { way: ListSource::Named, list }));
                }
                DiscoveryStrategy::Discovery(url, headers) => {
                    (ListSource::Discovery(url.authority().clone()), (*url).clone(), *headers)
                }
                DiscoveryStrategy::Signer(..) if self.signer_done => continue,
                DiscoveryStrategy::Signer(url, headers) => {
                    (ListSource::Signer(url.authority().clone()), url.join(SIGNER_LIST), *headers)
                }
            };
            return Some(self.ask(way, &url, headers).await);
        }
    }

    async fn ask(
        &mut self,
        way: ListSource,
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
            "{way}: {} orchestrators, {} entries malformed, {} beyond the bounds",
            list.entries.len(),
            list.malformed,
            list.beyond
        );
        warn_of_strays(&way, &list);
        self.signer_done |= matches!(way, ListSource::Signer(_));
        self.failed.clear();
        if let Some(kept) = self.kept.clone().filter(|_| !list.entries.is_empty()) {
            let copy = list.clone();
            // Flash memory may take its time.
            let _ =
                tokio::task::spawn_blocking(move || kept.write(Giver { url: &url, zone }, &copy))
                    .await;
        }
        Ok(FoundList { way, list })
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
        let mut call = Call::get(url.clone());
        call.headers = read_headers(headers).map_err(FindError::Credential)?;
        // A discovery URL may hold a credential in its query.
        let answer = self.client.call(call).await;
        let answer = answer.map_err(|error| FindError::Call(error.without_path()))?;
        match answer.status {
            200 => {
                let list = DiscoveryList::parse(&answer.body);
                let list = list.map_err(|error| FindError::List(peer.clone(), error))?;
                Ok((list.followed(answer.giver(url)), answer.zone))
            }
            503 => Err(FindError::NotYet(peer.clone())),
            status @ (401 | 403) => Err(FindError::Refused(peer.clone(), status)),
            status => Err(FindError::Status(peer.clone(), status)),
        }
    }

    /// The list kept from one of the endpoints that failed, once.
    fn kept(&mut self) -> Option<FoundList> {
        let failed = std::mem::take(&mut self.failed);
        let list = self.kept.as_ref()?.read(&failed)?;
        log::warn!("discovery failed; going on with the list kept from earlier");
        Some(FoundList { way: ListSource::Kept, list })
    }
}

/// Says once for a list that it names what it must not.
fn warn_of_strays(way: &ListSource, list: &DiscoveryList) {
    if let [stray, ..] = list.strays.as_slice() {
        let count = list.strays.len();
        log::warn!("{way}: {count} of its URLs are left out; the first {stray}");
    }
}
