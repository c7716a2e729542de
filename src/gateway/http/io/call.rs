//! Calls with short bodies, by ureq on the runtime's blocking threads, under the trust policy of a [`Connector`].
//!
//! Redirects are not followed: a peer must not redirect payments. Proxies of the environment are not used.
//!
//! Does not: stream; use [`Connector`] for streams.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::http::io::agents::Agents;
use crate::http::io::origin::with_origin;
use crate::http::io::pace::TOO_SLOW;
use crate::http::io::{ConnectError, Connector};
use crate::http::{AnsweringPeer, Url, Zone};
use crate::limits::{ANSWER_TIME, CALL_TIME, JSON_BODY};
use resilience::fault::Fault;
use resilience::sanitize;

/// One request. Mark header values that hold secrets as sensitive. Headers are never logged.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// The method: GET, POST or DELETE.
    pub method: Method,
    /// The URL to call.
    pub url: Url,
    /// Headers in addition to those that every request has.
    pub headers: HeaderMap<HeaderValue>,
    /// The body; may be empty.
    pub body: Vec<u8>,
    /// The time limit for the whole call.
    pub time: Duration,
    /// The largest body of the answer, in bytes.
    pub limit: usize,
}

impl HttpRequest {
    /// A GET without headers, with the default limits.
    pub fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Vec::new(),
            time: CALL_TIME,
            limit: JSON_BODY,
        }
    }

    /// A POST of a JSON body, with the default limits.
    pub(crate) fn post_json(url: Url, body: Vec<u8>) -> Self {
        let call = Self { method: Method::POST, body, ..Self::get(url) };
        call.header(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    /// The same call with one more header.
    #[must_use]
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same call with another time limit.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }
}

/// The answer to a call, of any status.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap<HeaderValue>,
    /// The body, within the call's limit.
    pub body: Vec<u8>,
    /// The zone of the peer that sent the answer.
    pub(crate) zone: Zone,
}

impl HttpAnswer {
    /// The peer that named the URLs in this answer to a call to `url`; pass it to [`crate::http::follow`].
    pub(crate) fn answering_peer<'a>(&self, url: &'a Url) -> AnsweringPeer<'a> {
        AnsweringPeer { url, zone: self.zone }
    }
}

/// Why a call got no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No connection.
    #[error(transparent)]
    Connect(ConnectError),
    /// The answer was not complete within the time limit.
    #[error("{0}: no complete answer within {time} s", time = .1.as_secs())]
    Timeout(Url, Duration),
    /// The body is longer than this limit in bytes.
    #[error("{0}: the answer is longer than {1} bytes")]
    TooLarge(Url, usize),
    /// The answer is not HTTP, or the connection broke.
    #[error("{0}: no HTTP answer: {1}")]
    Broken(Url, String),
}

impl CallError {
    /// The same error without the path of its URL. Use it for URLs that are credentials.
    #[must_use]
    pub fn without_path(self) -> Self {
        match self {
            Self::Connect(error) => Self::Connect(error),
            Self::Timeout(url, time) => Self::Timeout(url.origin(), time),
            Self::TooLarge(url, limit) => Self::TooLarge(url.origin(), limit),
            Self::Broken(url, reason) => Self::Broken(url.origin(), reason),
        }
    }

    /// How the caller must react.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Connect(error) => error.fault(),
            Self::Timeout(..) | Self::Broken(..) => Fault::Retry,
            Self::TooLarge(..) => Fault::NextPeer,
        }
    }
}

/// Makes calls.
#[derive(Debug, Clone)]
pub struct Client {
    agents: Agents,
}

impl Client {
    /// A client with the trust policy and the look-ups of `connector`.
    pub fn new(connector: Arc<Connector>) -> Self {
        Self { agents: Agents::new(connector) }
    }

    /// Makes `call` on a blocking thread. The result is `Ok` for every HTTP status; an error means that no answer came.
    pub async fn call(&self, call: HttpRequest) -> Result<HttpAnswer, CallError> {
        let agent = self.agents.agent(&call.url);
        let url = call.url.clone();
        tokio::task::spawn_blocking(move || call_blocking(&agent, &call))
            .await
            .unwrap_or_else(|error| Err(CallError::Broken(url, error.to_string())))
    }

    /// Makes `call` on the current thread, which must be allowed to block. Any status is an answer.
    pub fn call_blocking(&self, call: &HttpRequest) -> Result<HttpAnswer, CallError> {
        call_blocking(&self.agents.agent(&call.url), call)
    }
}

fn call_blocking(agent: &ureq::Agent, call: &HttpRequest) -> Result<HttpAnswer, CallError> {
    let (answer, zone) = with_origin(|| answer(agent, call));
    answer.map(|answer| HttpAnswer { zone, ..answer })
}

fn answer(agent: &ureq::Agent, call: &HttpRequest) -> Result<HttpAnswer, CallError> {
    let failed = |error: ureq::Error| sort(call, error);
    let mut request = http::Request::builder().method(&call.method).uri(call.url.to_string());
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    let broken = |error: http::Error| CallError::Broken(call.url.clone(), error.to_string());
    let response = if call.body.is_empty() && call.method != Method::POST {
        let request = request.body(()).map_err(broken)?;
        run(agent, request, call.time)
    } else {
        let request = request.body(call.body.as_slice()).map_err(broken)?;
        run(agent, request, call.time)
    };
    let (parts, mut body) = response.map_err(failed)?.into_parts();
    let limit = u64::try_from(call.limit).unwrap_or(u64::MAX);
    let body = body.with_config().limit(limit).read_to_vec().map_err(failed)?;
    let (status, headers, zone) = (parts.status.as_u16(), parts.headers, Zone::Public);
    Ok(HttpAnswer { status, headers, body, zone })
}

fn run<B: ureq::AsSendBody>(
    agent: &ureq::Agent,
    request: http::Request<B>,
    time: Duration,
) -> Result<http::Response<ureq::Body>, ureq::Error> {
    let request = agent.configure_request(request).timeout_global(Some(time)).build();
    agent.run(request)
}

fn sort(call: &HttpRequest, error: ureq::Error) -> CallError {
    let url = call.url.clone();
    let peer = url.authority();
    if let ureq::Error::Timeout(kind) = &error {
        if *kind == ureq::Timeout::Resolve {
            return CallError::Connect(ConnectError::ResolveTimeout(peer.clone()));
        }
        if *kind == ureq::Timeout::Connect {
            return CallError::Connect(ConnectError::Timeout(peer.clone()));
        }
        let time = if *kind == TOO_SLOW { ANSWER_TIME } else { call.time };
        return CallError::Timeout(url, time);
    }
    if let ureq::Error::BodyExceedsLimit(_) = error {
        return CallError::TooLarge(url, call.limit);
    }
    if let ureq::Error::HostNotFound = error {
        let error = io::Error::from(io::ErrorKind::NotFound);
        return CallError::Connect(ConnectError::Resolve(peer.clone(), error));
    }
    let broken = |url, reason: &str| CallError::Broken(url, sanitize::message(reason));
    let ureq::Error::Io(error) = error else { return broken(url, &error.to_string()) };
    if matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    ) {
        return CallError::Connect(ConnectError::connecting(peer, error));
    }
    // Errors of our TLS link pass through ureq as I/O errors.
    match error.downcast::<ConnectError>() {
        Ok(error) => CallError::Connect(error),
        Err(error) => broken(url, &error.to_string()),
    }
}
