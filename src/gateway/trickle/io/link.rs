//! One HTTP/1.1 connection to a channel's host, reused while it can carry another request.
//!
//! Does not: pool connections; its owner keeps one or two spare ones.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::http::io::{Alpn, Congestion, Connector, Gauge, Gauges, Http1, http1_request};
use crate::limits::RESPONSE_HEAD;
use crate::segment::Seq;
use crate::trickle::io::post::RequestBody;
use crate::trickle::{Channel, LinkError, is_gone};

/// The largest response head on a connection that sends, in bytes. hyper buffers as many bytes of a request while the
/// socket is full. Those bytes are not counted in the media queue and cannot be dropped when they are old, so this is
/// the minimum that hyper accepts.
const SENDER_BUFFER: usize = 8 << 10;

/// The largest body, in bytes, that is read just to reuse the connection.
const SHORT_BODY: usize = 4 << 10;
/// The time limit for reading that body.
const SHORT_BODY_TIME: Duration = Duration::from_millis(250);
/// The time limit for the DELETE of a segment that may not have arrived.
const CLOSE_TIME: Duration = Duration::from_secs(2);
/// The maximum number of header lines in an answer; the real server sends at most 7.
const HEADER_LINES: usize = 64;

/// Makes the requests of one channel.
#[derive(Debug)]
pub(super) struct ChannelRoute {
    connector: Arc<Connector>,
    pub(super) channel: Channel,
    /// Set for a publisher, whose connections are measured here and must be acknowledged in time.
    sends: Option<Arc<Gauges>>,
    /// When the last connection was made.
    opened: Mutex<Option<Instant>>,
}

impl ChannelRoute {
    pub(super) fn new(
        connector: Arc<Connector>,
        channel: Channel,
        sends: Option<Arc<Gauges>>,
    ) -> Self {
        Self { connector, channel, sends, opened: Mutex::new(None) }
    }

    /// Whether a connection was made after `time`, so that the peer is known to be reachable.
    pub(super) fn has_opened_since(&self, time: Instant) -> bool {
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) > Some(time)
    }

    /// A request to `path` on the channel's host.
    pub(super) fn request(
        &self,
        method: Method,
        path: &str,
        body: RequestBody,
    ) -> Request<RequestBody> {
        http1_request(method, self.channel.expose(), path, HeaderMap::new(), body)
    }

    /// Sends `request` over `spare`, or over a new connection if `spare` is `None` or closed, and waits for the head of
    /// the final answer. The answer may come while the request's body is open.
    pub(super) async fn exchange(
        &self,
        spare: Option<ChannelConnection>,
        mut request: Request<RequestBody>,
    ) -> Result<(ChannelConnection, Response<Incoming>), LinkError> {
        if let Some(mut link) = spare {
            if let Some(congestion) = &link.congestion {
                // If this fails, the segment starts at the sending rate of the segment before it.
                let _ = congestion.forget();
            }
            match link.http.send(request).await {
                Ok(response) => return Ok((link, response)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(link.broken(error.into_error())),
                },
            }
        }
        let mut link = self.open().await?;
        match link.http.send(request).await {
            Ok(response) => Ok((link, response)),
            Err(error) => Err(link.broken(error.into_error())),
        }
    }

    /// Deletes the channel. Returns whether the peer confirmed that it does not exist any more.
    pub(super) async fn delete_channel(
        &self,
        spare: Option<ChannelConnection>,
        within: Duration,
    ) -> bool {
        let request = self.request(Method::DELETE, self.channel.expose().path(), RequestBody::None);
        let answer = tokio::time::timeout(within, self.exchange(spare, request)).await;
        let is_deleted =
            matches!(&answer, Ok(Ok((_, answer))) if is_gone(answer.status().as_u16()));
        log::debug!("{}: deleted: {is_deleted}", self.channel);
        is_deleted
    }

    /// Deletes a segment that may not have arrived. A failure is ignored, because readers later skip a lost segment by
    /// themselves.
    pub(super) async fn close_segment(&self, seq: Seq) {
        let path = self.channel.segment_path(seq);
        let request = self.request(Method::DELETE, &path, RequestBody::None);
        let _ = tokio::time::timeout(CLOSE_TIME, self.exchange(None, request)).await;
    }

    async fn open(&self) -> Result<ChannelConnection, LinkError> {
        let stream = self
            .connector
            .connect(self.channel.expose(), Alpn::Http1)
            .await
            .map_err(|error| LinkError::Connect(Box::new(error)))?;
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let congestion = self.sends.as_ref().and_then(|_| Congestion::of(&stream).ok());
        let gauge = self.sends.as_ref().and_then(|gauges| {
            // If this fails, the loss of the network is noticed later.
            let _ = stream.expect_acknowledgement();
            gauges.add(&stream).ok()
        });
        let buffer = if self.sends.is_some() { SENDER_BUFFER } else { RESPONSE_HEAD };
        let http = Http1::handshake(stream, buffer, HEADER_LINES).await;
        let http = http.map_err(LinkError::Broken)?;
        Ok(ChannelConnection { http, congestion, _gauge: gauge })
    }
}

/// An open connection. Dropping it closes its socket at once, even during a request.
#[derive(Debug)]
pub(super) struct ChannelConnection {
    http: Http1<RequestBody>,
    /// Set for a publisher.
    congestion: Option<Congestion>,
    _gauge: Option<Gauge>,
}

impl ChannelConnection {
    /// Converts an error to the reason why no answer came.
    fn broken(&self, error: hyper::Error) -> LinkError {
        if self.http.is_flooded() { LinkError::Flood } else { LinkError::Broken(error) }
    }

    /// Reads the rest of a short answer. Returns the body, and the connection if it can carry another request.
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
            self.http.ready().await
        };
        let reusable = tokio::time::timeout(SHORT_BODY_TIME, read).await.unwrap_or(false);
        (bytes, reusable.then_some(self))
    }

    /// The connection after an answer that was read to its end, if it can carry another request.
    pub(super) async fn reuse(mut self) -> Option<Self> {
        let ready = tokio::time::timeout(SHORT_BODY_TIME, self.http.ready()).await;
        ready.unwrap_or(false).then_some(self)
    }
}
