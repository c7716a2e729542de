//! One HTTP/1.1 connection to a channel's host: opened when asked for, kept while it can carry another request.
//!
//! hyper, not ureq: an answer must be seen while the body is still open, and the request's head must be on
//! the wire before its first byte.
//!
//! Does not: pool; its owner keeps the one or two spare ones.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;

use crate::http::io::{Allowance, Alpn, Congestion, Connector, Gauge, Gauges, Guarded};
use crate::limits::RESPONSE_HEAD;
use crate::segment::Seq;
use crate::trickle::io::post::Body;
use crate::trickle::{Channel, LinkError};

/// The same on a connection that is there to send, where hyper keeps as many bytes back that the connection does not
/// take: seen nowhere, and not dropped when they are old. The least that hyper has.
const SENDER_BUFFER: usize = 8 << 10;

/// The largest body of an answer that is read only to keep the connection, in bytes.
const SHORT_BODY: usize = 4 << 10;
/// The time for that.
const SHORT_BODY_TIME: Duration = Duration::from_millis(250);
/// The time for the DELETE of a segment whose fate is unknown.
const CLOSE_TIME: Duration = Duration::from_secs(2);
/// Header lines in an answer; the real server sends at most 7.
const HEADER_LINES: usize = 64;

/// A task that ends with its owner. As a future it is `None` if the task did not come to its end.
#[derive(Debug)]
pub(super) struct Task<T>(JoinHandle<T>);

impl<T: Send + 'static> Task<T> {
    pub(super) fn spawn(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }
}

impl<T> Future for Task<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.0).poll(cx).map(Result::ok)
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Where the requests of one channel go.
#[derive(Debug)]
pub(super) struct Route {
    connector: Arc<Connector>,
    pub(super) channel: Channel,
    /// It is there to send: what is sent has to be acknowledged in time, and is looked at.
    sends: Option<Arc<Gauges>>,
    /// When the last connection was made.
    opened: Mutex<Option<Instant>>,
}

impl Route {
    pub(super) fn new(
        connector: Arc<Connector>,
        channel: Channel,
        sends: Option<Arc<Gauges>>,
    ) -> Self {
        Self { connector, channel, sends, opened: Mutex::new(None) }
    }

    /// Whether a connection was made after `time`: the peer can be reached.
    pub(super) fn has_opened_since(&self, time: Instant) -> bool {
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) > Some(time)
    }

    /// A request to `path` on the channel's host.
    pub(super) fn request(&self, method: Method, path: &str, body: Body) -> Request<Body> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        // A path made from a parsed URL and a number is always a URI; were it not, the peer answers 404.
        *request.uri_mut() = path.parse().unwrap_or_default();
        let headers = request.headers_mut();
        if let Ok(host) = HeaderValue::try_from(self.channel.authority().to_string()) {
            headers.insert(header::HOST, host);
        }
        let agent = concat!("livepeer-edge/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        request
    }

    /// Sends `request` over `spare`, or over a new connection if there is none or it has ended meanwhile,
    /// and waits for the head of the final answer. That may come while the request's body is open.
    pub(super) async fn exchange(
        &self,
        spare: Option<Link>,
        mut request: Request<Body>,
    ) -> Result<(Link, Response<Incoming>), LinkError> {
        if let Some(mut link) = spare {
            if let Some(congestion) = &link.congestion {
                // Without it, the segment goes at the pace of the last one.
                let _ = congestion.forget();
            }
            link.left.end_at_flood(&mut request);
            match link.requests.try_send_request(request).await {
                Ok(response) => return Ok((link, response)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(link.broken(error.into_error())),
                },
            }
        }
        let mut link = self.open().await?;
        link.left.end_at_flood(&mut request);
        match link.requests.send_request(request).await {
            Ok(response) => Ok((link, response)),
            Err(error) => Err(link.broken(error)),
        }
    }

    /// Deletes the channel; whether the peer has confirmed that it is gone.
    pub(super) async fn delete_channel(&self, spare: Option<Link>, within: Duration) -> bool {
        let request = self.request(Method::DELETE, self.channel.expose().path(), Body::None);
        let answer = tokio::time::timeout(within, self.exchange(spare, request)).await;
        let is_deleted = matches!(&answer, Ok(Ok((_, answer)))
            if answer.status().is_success() || answer.status() == StatusCode::NOT_FOUND);
        log::debug!("{}: deleted: {is_deleted}", self.channel);
        is_deleted
    }

    /// Deletes a segment whose fate is unknown. Nothing depends on it: readers get over a lost segment by
    /// themselves, only later.
    pub(super) async fn close_segment(&self, seq: Seq) {
        let path = self.channel.segment_path(seq);
        let request = self.request(Method::DELETE, &path, Body::None);
        let _ = tokio::time::timeout(CLOSE_TIME, self.exchange(None, request)).await;
    }

    async fn open(&self) -> Result<Link, LinkError> {
        let stream = self
            .connector
            .connect(self.channel.expose(), Alpn::Http1)
            .await
            .map_err(|error| LinkError::Connect(Box::new(error)))?;
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let congestion = self.sends.as_ref().and_then(|_| Congestion::of(&stream).ok());
        let gauge = self.sends.as_ref().and_then(|gauges| {
            // Without it, a link that is gone is noticed later.
            let _ = stream.expect_acknowledgement();
            gauges.add(&stream).ok()
        });
        // Segments have limits of their own.
        let left = Allowance::new(usize::MAX);
        let stream = Guarded::new(stream, left.clone());
        let (requests, connection) = http1::Builder::new()
            .max_buf_size(if self.sends.is_some() { SENDER_BUFFER } else { RESPONSE_HEAD })
            .max_headers(HEADER_LINES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(LinkError::Broken)?;
        let connection = Task::spawn(async move {
            // Its error reaches whoever waits for the answer.
            let _ = connection.await;
        });
        Ok(Link { requests, left, congestion, _gauge: gauge, _connection: connection })
    }
}

/// An open connection. Dropping it closes its socket at once, whatever is under way.
#[derive(Debug)]
pub(super) struct Link {
    requests: http1::SendRequest<Body>,
    /// What the peer may still send; nothing more after a flood.
    left: Allowance,
    /// Of one that sends.
    congestion: Option<Congestion>,
    _gauge: Option<Gauge>,
    _connection: Task<()>,
}

impl Link {
    /// Why no answer came.
    fn broken(&self, error: hyper::Error) -> LinkError {
        if self.left.is_spent() { LinkError::Flood } else { LinkError::Broken(error) }
    }

    /// Reads the rest of a short answer and gives back the connection, if it can carry another request.
    pub(super) async fn finish(mut self, mut body: Incoming) -> (Vec<u8>, Option<Self>) {
        let mut bytes = Vec::new();
        let read = async {
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else { return false };
                let data = frame.into_data().unwrap_or_default();
                if bytes.len() + data.len() > SHORT_BODY {
                    return false;
                }
                bytes.extend_from_slice(&data);
            }
            self.requests.ready().await.is_ok()
        };
        let reusable = tokio::time::timeout(SHORT_BODY_TIME, read).await.unwrap_or(false);
        (bytes, reusable.then_some(self))
    }

    /// Gives back the connection after an answer that was read to its end, if it can carry another request.
    pub(super) async fn reuse(mut self) -> Option<Self> {
        let ready = tokio::time::timeout(SHORT_BODY_TIME, self.requests.ready()).await;
        matches!(ready, Ok(Ok(()))).then_some(self)
    }
}
