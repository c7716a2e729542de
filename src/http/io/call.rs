//! Calls with short bodies, by ureq on the runtime's blocking threads, over the connections' own policy of trust.
//!
//! ureq's TLS settings take no verifier of ours, so TLS is a link in its chain of connectors here
//! (its `unversioned` module: the version is fixed in `Cargo.toml`). Redirects are not followed: a peer
//! must not send our payments elsewhere. Proxies of the environment are not used.
//!
//! Does not: stream; see [`Connector`] for that.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use rustls::{ClientConnection, StreamOwned};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector as Link, Either, LazyBuffers, NextTimeout, TcpConnector,
    Transport, TransportAdapter,
};

use crate::capacity::{ANSWER_TIME, CALL_TIME, CONNECT_TIME, JSON_BODY, RESPONSE_HEAD, REUSE_TIME};
use crate::fault::Fault;
use crate::http::Url;
use crate::http::io::pace::{PaceLink, TOO_SLOW};
use crate::http::io::{Alpn, ConnectError, Connector};
use crate::words;

/// ureq's buffers in each direction; its default is 128 KiB for each connection.
const BUFFER: usize = 16 << 10;

/// One request. Header values are marked sensitive where they hold secrets; none is ever logged.
#[derive(Debug, Clone)]
pub struct Call {
    /// GET, POST, DELETE.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Headers beside those that HTTP needs.
    pub headers: HeaderMap<HeaderValue>,
    /// The body; empty for none.
    pub body: Vec<u8>,
    /// The time for all of it.
    pub time: Duration,
    /// The largest body that may come back, in bytes.
    pub limit: usize,
}

impl Call {
    /// A GET without headers, with the usual limits.
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

    /// A POST of a JSON body, with the usual limits.
    pub fn post_json(url: Url, body: Vec<u8>) -> Self {
        let call = Self { method: Method::POST, body, ..Self::get(url) };
        call.header(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    /// The same call with one more header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
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

/// What came back, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap<HeaderValue>,
    /// The body, within the call's limit.
    pub body: Vec<u8>,
}

/// Why no answer came back.
#[derive(Debug)]
pub enum CallError {
    /// No connection.
    Connect(ConnectError),
    /// No whole answer within the time limit.
    Timeout(Url, Duration),
    /// The body is longer than the limit in bytes.
    TooLarge(Url, usize),
    /// What came back is no HTTP, or the connection broke.
    Broken(Url, String),
}

impl CallError {
    /// The same without what stands behind the host: for URLs that are credentials.
    #[must_use]
    pub fn without_path(self) -> Self {
        match self {
            Self::Connect(error) => Self::Connect(error),
            Self::Timeout(url, time) => Self::Timeout(url.origin(), time),
            Self::TooLarge(url, limit) => Self::TooLarge(url.origin(), limit),
            Self::Broken(url, reason) => Self::Broken(url.origin(), reason),
        }
    }

    /// What comes next.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Connect(error) => error.fault(),
            Self::Timeout(..) | Self::Broken(..) => Fault::Retry,
            Self::TooLarge(..) => Fault::NextPeer,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => error.fmt(f),
            Self::Timeout(url, time) => write!(f, "{url}: no answer within {} s", time.as_secs()),
            Self::TooLarge(url, limit) => {
                write!(f, "{url}: the answer is longer than {limit} bytes")
            }
            Self::Broken(url, reason) => write!(f, "{url}: no HTTP answer: {reason}"),
        }
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect(error) => error.source(),
            Self::Timeout(..) | Self::TooLarge(..) | Self::Broken(..) => None,
        }
    }
}

/// Makes calls.
#[derive(Debug, Clone)]
pub struct Client {
    agent: ureq::Agent,
}

impl Client {
    /// Calls over connections that are made and trusted as `connector` does it.
    pub fn new(connector: Arc<Connector>) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_connect(Some(CONNECT_TIME))
            .timeout_resolve(Some(CONNECT_TIME))
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            .max_response_header_size(RESPONSE_HEAD)
            .max_idle_connections(4)
            .max_idle_connections_per_host(2)
            .max_idle_age(REUSE_TIME)
            .user_agent(concat!("livepeer-edge/", env!("CARGO_PKG_VERSION")))
            .build();
        let lookups = connector.lookups();
        let links = TcpConnector::default().chain(TlsLink { connector }).chain(PaceLink);
        Self { agent: ureq::Agent::with_parts(config, links, lookups) }
    }

    /// Makes `call` on a blocking thread. Every status is an answer; an error means that none came.
    pub async fn call(&self, call: Call) -> Result<Answer, CallError> {
        let agent = self.agent.clone();
        let url = call.url.clone();
        tokio::task::spawn_blocking(move || call_blocking(&agent, &call))
            .await
            .unwrap_or_else(|error| Err(CallError::Broken(url, error.to_string())))
    }

    /// Makes `call` on this thread, which must be one that may wait.
    pub fn call_blocking(&self, call: &Call) -> Result<Answer, CallError> {
        call_blocking(&self.agent, call)
    }
}

fn call_blocking(agent: &ureq::Agent, call: &Call) -> Result<Answer, CallError> {
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
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
}

fn run<B: ureq::AsSendBody>(
    agent: &ureq::Agent,
    request: http::Request<B>,
    time: Duration,
) -> Result<http::Response<ureq::Body>, ureq::Error> {
    let request = agent.configure_request(request).timeout_global(Some(time)).build();
    agent.run(request)
}

fn sort(call: &Call, error: ureq::Error) -> CallError {
    let url = call.url.clone();
    let peer = url.authority();
    if let ureq::Error::Timeout(kind) = &error {
        if *kind == ureq::Timeout::Resolve {
            let error = io::Error::from(io::ErrorKind::TimedOut);
            return CallError::Connect(ConnectError::Resolve(peer.clone(), error));
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
    let broken = |url, reason: &str| CallError::Broken(url, words::shown(reason));
    let ureq::Error::Io(error) = error else { return broken(url, &error.to_string()) };
    if matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    ) {
        return CallError::Connect(ConnectError::Connect(peer.clone(), error));
    }
    // What our own TLS link met travels through ureq inside an I/O error.
    match error.downcast::<ConnectError>() {
        Ok(error) => CallError::Connect(error),
        Err(error) => broken(url, &error.to_string()),
    }
}

/// The link of ureq's chain that adds TLS under our own verifier.
#[derive(Debug)]
struct TlsLink {
    connector: Arc<Connector>,
}

impl<In: Transport> Link<In> for TlsLink {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let carry = |error: ConnectError| ureq::Error::Io(io::Error::other(error));
        let url = Url::parse(&details.uri.to_string())
            .map_err(|error| ureq::Error::BadUri(error.to_string()))?;
        let peer = url.authority();
        let (config, name) = self.connector.tls(peer, Alpn::Http1).map_err(carry)?;
        let mut tls = ClientConnection::new(config, name)
            .map_err(|error| carry(ConnectError::Tls(peer.clone(), error.to_string())))?;
        let mut socket =
            TransportAdapter::new(transport.boxed(), Arc::clone(&details.current_time));
        socket.set_timeout(details.timeout);
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)
                .map_err(|error| carry(ConnectError::from_tls(peer, Alpn::Http1, error)))?;
        }
        let buffers = LazyBuffers::new(BUFFER, BUFFER);
        Ok(Some(Either::B(TlsTransport { buffers, stream: StreamOwned::new(tls, socket) })))
    }
}

struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").finish_non_exhaustive()
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.stream.write_all(output)?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}
