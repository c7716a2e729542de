//! Fetches fresh terms of a session from its orchestrator's `/refresh-payment`: at the session's own price.
//!
//! Does not: know where terms come from before there is a session.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::http::io::{Call, CallError, Client};
use crate::http::{Authority, Url};
use crate::payment::challenge::{refresh_request, refreshed_terms};
use crate::payment::{Terms, WireError};
use resilience::fault::{Failure, Fault, Scope, chain};

/// Where fresh terms come from.
pub trait TermsSource: Send + Sync {
    /// The terms as they are now for the session of this id, which is not known before there is a session.
    fn fresh_terms<'a>(&'a mut self, manifest_id: Option<&'a str>) -> TermsFuture<'a>;
}

/// Fresh terms that are being fetched.
pub type TermsFuture<'a> = Pin<Box<dyn Future<Output = Result<Terms, Failure>> + Send + 'a>>;

/// Why there are no fresh terms.
#[derive(Debug)]
pub enum RefreshError {
    /// No answer.
    NoAnswer(CallError),
    /// The orchestrator knows no such session, or no such call.
    Refused(Authority, u16),
    /// Its answer makes no sense.
    Answer(Authority, WireError),
}

impl RefreshError {
    /// All that decides what comes next.
    pub fn failure(&self) -> Failure {
        let fault = match self {
            Self::NoAnswer(_) | Self::Refused(_, 500..) => Fault::Retry,
            Self::Refused(..) | Self::Answer(..) => Fault::NextPeer,
        };
        Failure { text: chain(self), fault, scope: Scope::Peer, retry_after: None }
    }
}

impl fmt::Display for RefreshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(error) => error.fmt(f),
            Self::Refused(peer, status) => write!(f, "{peer}: no fresh terms, status {status}"),
            Self::Answer(peer, error) => write!(f, "{peer}: {error}"),
        }
    }
}

impl std::error::Error for RefreshError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoAnswer(error) => error.source(),
            Self::Refused(..) | Self::Answer(..) => None,
        }
    }
}

/// The `/refresh-payment` of an orchestrator.
#[derive(Debug)]
pub struct TermsRefresh {
    client: Client,
    url: Url,
    payer: String,
}

impl TermsRefresh {
    /// That of the orchestrator with this base URL, for the payer with this address, as `0x…`.
    pub fn new(client: Client, orchestrator: &Url, payer: String) -> Self {
        Self { client, url: orchestrator.join("/refresh-payment"), payer }
    }

    /// The terms of the session with this id as they are now.
    pub async fn terms(&self, manifest_id: &str) -> Result<Terms, RefreshError> {
        let body = refresh_request(&self.payer, manifest_id);
        let answer = self.client.call(Call::post_json(self.url.clone(), body)).await;
        let answer = answer.map_err(|error| RefreshError::NoAnswer(error.without_path()))?;
        let peer = self.url.authority();
        // A challenge: some orchestrators send it with the status that challenges have.
        if !matches!(answer.status, 200..=299 | 402) {
            return Err(RefreshError::Refused(peer.clone(), answer.status));
        }
        refreshed_terms(&answer.body).map_err(|error| RefreshError::Answer(peer.clone(), error))
    }
}
