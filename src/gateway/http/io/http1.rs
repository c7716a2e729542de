//! The client's side of one HTTP/1.1 connection: the handshake, the heads of requests, and the close.
//!
//! This uses hyper and not ureq, because the head of an answer must be seen while the request's body is still open, and
//! the answer's body must be read piece by piece.
//!
//! Does not: open the connection below it, or choose which connection carries a request.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;

use crate::http::Url;
use crate::http::io::guarded::{Allowance, GuardedStream};
use crate::http::io::{MaybeTlsStream, USER_AGENT};
use resilience::wait::AbortOnDrop;

/// An HTTP/1.1 connection. Dropping it closes its socket at once, even during a request.
#[derive(Debug)]
pub(crate) struct Http1<B> {
    sender: SendRequest<B>,
    /// Breaks the connection after too many interim answers.
    allowance: Allowance,
    _driver: AbortOnDrop<()>,
}

impl<B> Http1<B>
where
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    /// Starts HTTP/1.1 on `stream`, with at most `buffer` bytes in hyper's buffers and at most `header_lines` in the
    /// head of an answer.
    pub(crate) async fn handshake(
        stream: MaybeTlsStream,
        buffer: usize,
        header_lines: usize,
    ) -> Result<Self, hyper::Error> {
        // The caller limits the length of bodies.
        let allowance = Allowance::new(usize::MAX);
        let stream = GuardedStream::new(stream, allowance.clone());
        let (sender, connection) = Builder::new()
            .max_buf_size(buffer)
            .max_headers(header_lines)
            .handshake(TokioIo::new(stream))
            .await?;
        // The task that waits for the answer gets the connection's error.
        let driver = AbortOnDrop::spawn(async move { drop(connection.await) });
        Ok(Self { sender, allowance, _driver: driver })
    }

    /// Sends `request` and waits for the head of the final answer, which may come while the request's body is still
    /// open. The error returns the request if no byte of it was sent.
    pub(crate) async fn send(
        &mut self,
        mut request: Request<B>,
    ) -> Result<Response<Incoming>, TrySendError<Request<B>>> {
        self.allowance.end_at_flood(&mut request);
        self.sender.try_send_request(request).await
    }

    /// Waits until the connection can carry another request; `false` if it never will.
    pub(crate) async fn ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }
}

impl<B> Http1<B> {
    /// Whether the connection broke because the peer sent too many interim answers.
    pub(crate) fn is_flooded(&self) -> bool {
        self.allowance.is_spent()
    }
}

/// A request to `path` on the host of `url`, with `headers` beside those that every request has.
pub(crate) fn http1_request<B>(
    method: Method,
    url: &Url,
    path: &str,
    headers: HeaderMap,
    body: B,
) -> Request<B> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    // A path from a parsed URL is always valid. If it were not, the peer would answer `/` with 404.
    *request.uri_mut() = path.parse().unwrap_or_default();
    *request.headers_mut() = headers;
    let headers = request.headers_mut();
    if let Ok(host) = HeaderValue::try_from(url.authority().to_string()) {
        headers.insert(header::HOST, host);
    }
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    request
}
