//! Calls a single-shot runner: one request, paid if the runner asks for it, with a streamed answer.
//!
//! This module uses hyper and not ureq, because the chunks of the answer (server-sent events or a plain body) are
//! passed on as they arrive.
//!
//! Does not: interpret the answer, whose format is the application's.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;

use super::open::{GrantedRequest, PaidReply, PaidRequest, open};
use super::payments::RunnerPayments;
use crate::http::Url;
use crate::http::io::{Alpn, CallError, Connector, Http1, HttpAnswer, http1_request};
use crate::job::runner::moved::{RedirectCount, RedirectDecision};
use crate::job::runner::{RunnerError, Step};
use crate::limits::{JSON_BODY, RESPONSE_HEAD};
use crate::orchestrator::Runner;
use crate::payment::PaymentKind;
use crate::session::Network;

/// The maximum time until the answer of a single-shot runner begins, and then until each chunk of it.
const SINGLE_SHOT_TIME: Duration = Duration::from_secs(600);

/// The maximum number of header lines in an answer.
const HEADER_LINES: usize = 128;
/// The timeout for reading the body of a refusal.
const REFUSAL_TIME: Duration = Duration::from_secs(15);

/// The request to a single-shot runner.
#[derive(Debug, Clone)]
pub struct CallOptions {
    /// The path below the runner's URL, with its query; `None` for the URL as it was listed.
    pub path: Option<String>,
    /// The body.
    pub body: Bytes,
    /// The `Content-Type` of the body.
    pub content_type: HeaderValue,
}

/// A call that the runner granted; [`SingleShotCall::next`] reads the answer.
#[derive(Debug)]
pub struct SingleShotCall {
    peer: Url,
    answer: Incoming,
    content_type: Option<HeaderValue>,
    payments: Option<RunnerPayments>,
    _connection: Connection,
}

impl SingleShotCall {
    /// Calls `runner`. It may compute for `SINGLE_SHOT_TIME` before its answer begins.
    pub async fn start(
        network: &Network,
        runner: &Runner,
        options: CallOptions,
    ) -> Result<Self, RunnerError> {
        let connector = Arc::clone(&network.connector);
        let url = match &options.path {
            Some(path) => runner.url.join(path),
            None => runner.url.clone(),
        };
        let mut request =
            SingleShotRequest { connector, url, moves: RedirectCount::default(), options };
        let kind = runner.price.map(|price| PaymentKind::of_unit(price.unit()));
        let opened = open(network, &runner.url, Step::Call, kind, &mut request).await?;
        let GrantedRequest { granted: (content_type, answer, connection), payments } = opened;
        let peer = runner.url.origin();
        Ok(Self { peer, answer, content_type, payments, _connection: connection })
    }

    /// The `Content-Type` of the answer.
    pub fn content_type(&self) -> Option<&HeaderValue> {
        self.content_type.as_ref()
    }

    /// Returns the next chunk of the answer, or `None` at its end. Waits for a chunk up to `SINGLE_SHOT_TIME`, and
    /// meanwhile makes the payments that fall due.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RunnerError> {
        loop {
            let frame = tokio::time::timeout(SINGLE_SHOT_TIME, self.answer.frame());
            let frame = match self.payments.as_mut() {
                Some(payments) => payments.during(frame).await?,
                None => frame.await,
            };
            match frame.map_err(|_| late(&self.peer))? {
                None => return Ok(None),
                Some(Err(error)) => return Err(broken(&self.peer, error.to_string())),
                // Trailers are not part of the body.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => return Ok(Some(bytes)),
                    Err(_) => continue,
                },
            }
        }
    }
}

/// `POST {runner url}` with the data.
struct SingleShotRequest {
    connector: Arc<Connector>,
    /// The URL of the next request; a redirect changes it for all later ones.
    url: Url,
    moves: RedirectCount,
    options: CallOptions,
}

impl PaidRequest for SingleShotRequest {
    type Granted = GrantedCall;

    const PAYS_MEANWHILE: bool = true;

    async fn ask(
        &mut self,
        headers: HeaderMap<HeaderValue>,
    ) -> Result<PaidReply<Self::Granted>, RunnerError> {
        loop {
            let answer = match self.once(headers.clone()).await? {
                PaidReply::Refused(answer) => answer,
                granted @ PaidReply::Granted(_) => return Ok(granted),
            };
            let location = answer.headers.get(header::LOCATION).and_then(|at| at.to_str().ok());
            match self.moves.on_answer(&self.url, answer.status, location) {
                RedirectDecision::No => return Ok(PaidReply::Refused(answer)),
                RedirectDecision::To(url) => self.url = url,
                RedirectDecision::Refused(elsewhere) => {
                    let peer = self.url.authority().clone();
                    return Err(RunnerError::Redirected(Step::Call, peer, elsewhere));
                }
            }
        }
    }
}

type Connection = Http1<Full<Bytes>>;
type GrantedCall = (Option<HeaderValue>, Incoming, Connection);

impl SingleShotRequest {
    /// Makes the call once, without following a redirect.
    async fn once(
        &self,
        headers: HeaderMap<HeaderValue>,
    ) -> Result<PaidReply<GrantedCall>, RunnerError> {
        let Self { connector, url, options, .. } = self;
        let stream = connector.connect(url, Alpn::Http1).await;
        let stream =
            stream.map_err(|e| RunnerError::NoAnswer(Step::Call, CallError::Connect(e)))?;
        let zone = stream.zone();
        let mut connection = Http1::handshake(stream, RESPONSE_HEAD, HEADER_LINES)
            .await
            .map_err(|error| broken(url, error.to_string()))?;
        let body = Full::new(options.body.clone());
        let mut request = http1_request(Method::POST, url, url.path(), headers, body);
        request.headers_mut().insert(header::CONTENT_TYPE, options.content_type.clone());
        let response = tokio::time::timeout(SINGLE_SHOT_TIME, connection.send(request))
            .await
            .map_err(|_| late(url))?
            .map_err(|error| broken(url, error.into_error().to_string()))?;
        let (parts, body) = response.into_parts();
        if parts.status.is_success() {
            let content_type = parts.headers.get(header::CONTENT_TYPE).cloned();
            return Ok(PaidReply::Granted((content_type, body, connection)));
        }
        let read = Limited::new(body, JSON_BODY).collect();
        let body = tokio::time::timeout(REFUSAL_TIME, read).await;
        let body = body.ok().and_then(Result::ok).map(|body| body.to_bytes().to_vec());
        let (status, headers) = (parts.status.as_u16(), parts.headers);
        Ok(PaidReply::Refused(HttpAnswer { status, headers, body: body.unwrap_or_default(), zone }))
    }
}

fn late(url: &Url) -> RunnerError {
    RunnerError::NoAnswer(Step::Call, CallError::Timeout(url.origin(), SINGLE_SHOT_TIME))
}

fn broken(url: &Url, reason: String) -> RunnerError {
    RunnerError::NoAnswer(Step::Call, CallError::Broken(url.origin(), reason))
}
