//! Fetches fresh terms of a session, at the session's own price, from the orchestrator's `/refresh-payment`.
//!
//! Does not: fetch terms before the session exists.

use std::future::Future;
use std::pin::Pin;

use crate::http::io::{CallError, Client, HttpRequest};
use crate::http::{Authority, Url};
use crate::payment::challenge::{refresh_request, refreshed_terms};
use crate::payment::{Terms, WireError};
use resilience::fault::{Failure, Fault, Scope, chain};

/// A source of fresh terms.
pub trait TermsSource: Send + Sync {
    /// Fetches the current terms of the session with this id; `None` before the session exists.
    fn fresh_terms<'a>(&'a mut self, manifest_id: Option<&'a str>) -> TermsFuture<'a>;
}

/// The future of [`TermsSource::fresh_terms`].
pub type TermsFuture<'a> = Pin<Box<dyn Future<Output = Result<Terms, Failure>> + Send + 'a>>;

/// Why fresh terms could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The call failed.
    #[error(transparent)]
    NoAnswer(CallError),
    /// The orchestrator does not know the session, or does not have the call.
    #[error("{0}: no fresh terms, status {1}")]
    Refused(Authority, u16),
    /// The response is malformed.
    #[error("{0}: {1}")]
    Answer(Authority, WireError),
}

impl RefreshError {
    /// The error as a [`Failure`], with its scope.
    pub fn failure(&self) -> Failure {
        let fault = match self {
            Self::NoAnswer(_) | Self::Refused(_, 500..) => Fault::Retry,
            Self::Refused(..) | Self::Answer(..) => Fault::NextPeer,
        };
        Failure { text: chain(self), fault, scope: Scope::Peer, retry_after: None }
    }
}

/// The `/refresh-payment` call of an orchestrator.
#[derive(Debug)]
pub struct TermsRefresh {
    client: Client,
    url: Url,
    payer: String,
}

impl TermsRefresh {
    /// Creates the call to the orchestrator with this base URL, for the payer with this address (`0x…`).
    pub fn new(client: Client, orchestrator: &Url, payer: String) -> Self {
        Self { client, url: orchestrator.join("/refresh-payment"), payer }
    }

    /// Fetches the current terms of the session with this id.
    pub async fn terms(&self, manifest_id: &str) -> Result<Terms, RefreshError> {
        let body = refresh_request(&self.payer, manifest_id);
        let answer = self.client.call(HttpRequest::post_json(self.url.clone(), body)).await;
        let answer = answer.map_err(|error| RefreshError::NoAnswer(error.without_path()))?;
        let peer = self.url.authority();
        // The response is a challenge; some orchestrators send it with status 402.
        if !matches!(answer.status, 200..=299 | 402) {
            return Err(RefreshError::Refused(peer.clone(), answer.status));
        }
        refreshed_terms(&answer.body).map_err(|error| RefreshError::Answer(peer.clone(), error))
    }
}
