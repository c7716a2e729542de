//! A client for the tests of the sandbox: HTTP/1.1 written by hand, and HTTP/2 by the crate h2, over TLS that accepts
//! every certificate.
//!
//! Does not: use the project's own clients, except for their connector.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic and print"
)]
#![allow(dead_code, reason = "each test program uses a part of this module")]

#[path = "../http_reader/mod.rs"]
mod http_reader;
#[path = "../trusting/mod.rs"]
mod trusting;

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use livepeer_gateway::http::io::{Alpn, Connector, MaybeTlsStream, service_client};
use livepeer_gateway::http::{Fingerprint, ServiceTrust, Url};
use livepeer_gateway::orchestrator::TrustOptions;
use livepeer_gateway::orchestrator::proto::{OrchestratorInfo, OrchestratorRequest};
use livepeer_gateway::payment::SessionOptions;
use livepeer_gateway::payment::io::{SignerOptions, Signers};
use livepeer_gateway::session::{Network, PaymentSetup};
use prost::Message;
use sandbox::Handle;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use http_reader::Unread;
use trusting::Trusting;

/// The time limit of each wait.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Connects to the sandbox. Returns the connection and the fingerprint of the certificate.
pub(crate) async fn connect(sandbox: &Handle, alpn: Alpn) -> (MaybeTlsStream, Fingerprint) {
    connect_to(&sandbox.url(), alpn).await
}

/// Connects to any URL. Without TLS, the returned fingerprint has no meaning.
pub(crate) async fn connect_to(url: &str, alpn: Alpn) -> (MaybeTlsStream, Fingerprint) {
    let judge = Arc::new(Trusting::default());
    let connector = Connector::new(judge.clone());
    let url = Url::parse_base(url, 0).unwrap();
    let stream = connector.connect(&url, alpn).await.unwrap();
    let seen = judge.seen.lock().unwrap().unwrap_or(Fingerprint::of(b"none"));
    (stream, seen)
}

/// An HTTP/1.1 answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// An HTTP/1.1 connection.
pub(crate) struct Client {
    stream: MaybeTlsStream,
    unread: Unread,
}

impl Client {
    pub(crate) async fn connect(sandbox: &Handle) -> Self {
        Self { stream: connect(sandbox, Alpn::Http1).await.0, unread: Unread::default() }
    }

    pub(crate) async fn connect_to(url: &str) -> Self {
        Self { stream: connect_to(url, Alpn::Http1).await.0, unread: Unread::default() }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.bytes(text.as_bytes()).await;
    }

    pub(crate) async fn bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Sends a POST with its whole body.
    pub(crate) async fn post_body(&mut self, path: &str, headers: &str, body: &[u8]) {
        let length = body.len();
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n"
        ))
        .await;
        self.bytes(body).await;
    }

    /// Sends the head of a POST with a chunked body.
    pub(crate) async fn post(&mut self, channel: &str, seq: u64, headers: &str) {
        self.send(&format!(
            "POST /ai/trickle/{channel}/{seq} HTTP/1.1\r\nHost: x\r\nContent-Type: video/mp2t\r\n\
             Transfer-Encoding: chunked\r\n{headers}\r\n"
        ))
        .await;
    }

    pub(crate) async fn chunk(&mut self, bytes: &[u8]) {
        let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
        framed.extend_from_slice(bytes);
        framed.extend_from_slice(b"\r\n");
        self.bytes(&framed).await;
    }

    pub(crate) async fn end(&mut self) {
        self.send("0\r\n\r\n").await;
    }

    /// Asserts that the server ends or breaks the connection without another byte.
    pub(crate) async fn broken(&mut self) {
        assert!(!self.unread.more(&mut self.stream).await, "{}", self.unread.text());
    }

    /// Asserts that the server sends nothing for `time`.
    pub(crate) async fn silent(&mut self, time: Duration) {
        let mut byte = [0];
        let read = timeout(time, self.stream.read(&mut byte)).await;
        assert!(read.is_err(), "{read:?}: {byte:?}");
    }

    /// Reads the head of the next answer.
    pub(crate) async fn head(&mut self) -> String {
        self.unread.head(&mut self.stream).await
    }

    /// Reads the next chunk of a body; the last one is empty.
    pub(crate) async fn next_chunk(&mut self) -> Vec<u8> {
        self.unread.chunk(&mut self.stream).await
    }

    /// Reads the next answer with its whole body.
    pub(crate) async fn answer(&mut self) -> Answer {
        let head = self.head().await;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut body = Vec::new();
        if head.contains("Transfer-Encoding: chunked") {
            loop {
                match self.next_chunk().await {
                    chunk if chunk.is_empty() => break,
                    chunk => body.extend(chunk),
                }
            }
        } else if let Some((_, rest)) = head.split_once("Content-Length: ") {
            let length = rest.lines().next().unwrap().trim().parse().unwrap();
            body = self.unread.exactly(&mut self.stream, length).await;
        }
        Answer { status, head, body }
    }
}

/// Sends a request on a new connection. Returns the answer.
pub(crate) async fn call(sandbox: &Handle, request: &str) -> Answer {
    let mut client = Client::connect(sandbox).await;
    client.send(request).await;
    client.answer().await
}

/// Sends a POST to any URL on a new connection. `headers` are whole lines. Returns the answer.
pub(crate) async fn post(url: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
    let mut client = Client::connect_to(url).await;
    client.post_body(path, headers, body).await;
    client.answer().await
}

/// Requests the orchestrator's info. An error is the gRPC status and message.
pub(crate) async fn info(sandbox: &Handle) -> Result<OrchestratorInfo, (u32, String)> {
    let request = OrchestratorRequest::default();
    info_from(sandbox, "/net.Orchestrator/GetOrchestrator", &request).await
}

/// Makes a unary gRPC call.
pub(crate) async fn info_from(
    sandbox: &Handle,
    method: &str,
    request: &OrchestratorRequest,
) -> Result<OrchestratorInfo, (u32, String)> {
    let bytes = info_bytes(sandbox, method, request).await?;
    OrchestratorInfo::decode(bytes.as_slice()).map_err(|_| (0, "no protobuf".to_owned()))
}

/// Like [`info_from`], but returns the message as bytes.
pub(crate) async fn info_bytes(
    sandbox: &Handle,
    method: &str,
    request: &OrchestratorRequest,
) -> Result<Vec<u8>, (u32, String)> {
    let (stream, _) = connect(sandbox, Alpn::Http2).await;
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let answer = timeout(LIMIT, unary(client, method, request)).await.expect("no answer");
    connection.abort();
    answer
}

async fn unary(
    client: h2::client::SendRequest<Bytes>,
    method: &str,
    request: &OrchestratorRequest,
) -> Result<Vec<u8>, (u32, String)> {
    let head = http::Request::post(format!("https://x{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let mut client = client.ready().await.unwrap();
    let (answer, mut body) = client.send_request(head, false).unwrap();
    let message = request.encode_to_vec();
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.put_slice(&message);
    body.send_data(framed.freeze(), true).unwrap();
    let reset = |_: h2::Error| (99, "reset".to_owned());
    let answer = answer.await.map_err(reset)?;
    let status = |headers: &http::HeaderMap| {
        let status = headers.get("grpc-status")?.to_str().unwrap().parse::<u32>().unwrap();
        let message = headers.get("grpc-message").map(|m| m.to_str().unwrap().to_owned());
        Some((status, message.unwrap_or_default()))
    };
    if let Some(status) = status(answer.headers()) {
        return Err(status);
    }
    let mut body = answer.into_body();
    let mut message = Vec::new();
    while let Some(part) = body.data().await {
        message.extend_from_slice(&part.map_err(reset)?);
    }
    let trailers = body.trailers().await.map_err(reset)?.expect("trailers");
    assert_eq!(status(&trailers), Some((0, String::new())));
    assert_eq!(message[..5], [&[0][..], &(message.len() as u32 - 5).to_be_bytes()].concat());
    Ok(message.split_off(5))
}

/// The project's own [`Network`], which pays with the sandbox's signer.
pub(crate) fn network(sandbox: &Handle, options: SessionOptions) -> Network {
    let signer = Url::parse_base(&sandbox.signer_url().unwrap(), 0).unwrap();
    let client = service_client(ServiceTrust::default()).unwrap();
    let peers = SignerOptions { urls: vec![signer], ..SignerOptions::default() };
    let signers = Arc::new(Signers::new(client, peers).unwrap());
    Network::new(TrustOptions::default(), None, Some(PaymentSetup { signers, options }))
}
