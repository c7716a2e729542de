//! Scopes over real sockets: an orchestrator that sends its info over gRPC, and a scripted peer whose address the info
//! gives for all other calls.
//!
//! Does not: send media.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

mod peer;

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use livepeer_gateway::http::io::service_client;
use livepeer_gateway::http::{ServiceTrust, Url};
use livepeer_gateway::job::{JobError, ScopeJob};
use livepeer_gateway::orchestrator::proto::{AuthToken, OrchestratorInfo};
use livepeer_gateway::orchestrator::{Capability, Pipeline, TrustOptions};
use livepeer_gateway::payment::SessionOptions;
use livepeer_gateway::payment::io::{SignerOptions, Signers};
use livepeer_gateway::session::{Network, OrchestratorSession, PaymentSetup};
use peer::{Peer, Reply, Request, json, text};
use prost::Message;
use resilience::fault::Fault;
use serde_json::{Map, json as value};
use tokio::net::TcpListener;

/// Answers every `GetOrchestrator` with an info that names `calls` as the address of all other calls.
async fn orchestrator(calls: &Url) -> Url {
    let info = OrchestratorInfo {
        transcoder: calls.to_string(),
        auth_token: Some(AuthToken { session_id: "a1".into(), ..AuthToken::default() }),
        ..OrchestratorInfo::default()
    };
    let message = info.encode_to_vec();
    let mut body = BytesMut::new();
    body.put_u8(0);
    body.put_u32(u32::try_from(message.len()).expect("a short info"));
    body.put_slice(&message);
    let body = body.freeze();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(answer(socket, body.clone()));
        }
    });
    Url::parse_base(&url, 80).expect("a URL")
}

async fn answer(socket: tokio::net::TcpStream, body: Bytes) {
    let mut connection = h2::server::handshake(socket).await.expect("HTTP/2");
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let head = http::Response::builder().header("content-type", "application/grpc");
        let head = head.body(()).expect("a head");
        let mut stream = respond.send_response(head, false).expect("a stream");
        stream.send_data(body.clone(), false).expect("an open stream");
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        stream.send_trailers(trailers).expect("an open stream");
    }
}

async fn signer() -> Peer {
    Peer::start(|request| match request.line().as_str() {
        "POST /sign-orchestrator-info" => json(
            200,
            &value!({ "address": format!("0x{}", "ab".repeat(20)), "signature": format!("0x{}", "11".repeat(65)) }),
        ),
        _ => json(200, &value!({"payment": "cGF5", "segCreds": "c2Vn", "state": {"State": "1"}})),
    })
    .await
}

/// Starts a scope at an orchestrator whose other calls go to `calls`.
async fn start(calls: &Peer, signer: Option<&Peer>) -> Result<ScopeJob, JobError> {
    let payments = signer.map(|signer| {
        let options = SignerOptions { urls: vec![signer.url.clone()], ..SignerOptions::default() };
        let client = service_client(ServiceTrust::default()).expect("no file is needed");
        let signers = Arc::new(Signers::new(client, options).expect("a signer"));
        PaymentSetup { signers, options: SessionOptions::default() }
    });
    let network = Network::new(TrustOptions::Ca, None, payments);
    let capability = Capability { pipeline: Pipeline::LIVE_VIDEO_TO_VIDEO, model: "scope".into() };
    let url = orchestrator(&calls.url).await;
    let session = OrchestratorSession::open(&network, &url, &capability).await.expect("a session");
    ScopeJob::start(session, &Map::new()).await
}

fn channels(request: &Request) -> Reply {
    assert_eq!(request.line(), "POST /scope");
    let (body, id) = (request.json(), &request.json()["gateway_request_id"]);
    assert_eq!(body, value!({ "model_id": "scope", "gateway_request_id": id }));
    assert_eq!(id.as_str().map(str::len), Some(32), "{id}");
    let url = |name: &str| format!("http://{}/t/{name}", request.header("host").expect("a host"));
    json(200, &value!({ "manifest_id": "m", "control_url": url("c"), "events_url": url("e") }))
}

#[tokio::test]
async fn off_chain_the_auth_token_is_the_credential() {
    let calls = Peer::start(channels).await;
    let mut scope = start(&calls, None).await.expect("a scope");
    assert_eq!(scope.channels().manifest_id, "m");
    assert!(scope.take_payments().is_none());
    let seen = calls.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].header("livepeer-payment"), Some(""));
    assert!(seen[0].header("livepeer-segment").is_some_and(|segment| !segment.is_empty()));
}

#[tokio::test]
async fn a_challenge_is_paid_and_payments_continue() {
    let signer = signer().await;
    let calls = Peer::start(|request| match request.header("livepeer-payment") {
        None => json(
            402,
            &value!({ "payment_params": "cGFyYW1z", "manifest_id": "m", "payment_url": "http://127.0.0.1:1/p" }),
        ),
        Some(_) => channels(request),
    })
    .await;
    let mut scope = start(&calls, Some(&signer)).await.expect("a scope");
    assert!(scope.take_payments().is_some());
    let seen = calls.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].header("livepeer-payer-address"), seen[1].header("livepeer-payer-address"));
    assert_eq!(seen[1].header("livepeer-payment"), Some("cGF5"));
    let asked = signer.seen().pop().expect("a payment").json();
    assert_eq!((&asked["type"], &asked["ManifestID"]), (&value!("lv2v"), &value!("m")));
}

#[tokio::test]
async fn a_scope_that_fails_to_start_has_a_reason() {
    for (status, body, words) in [
        (503, "full", "start of the scope refused: no capacity (503: full)"),
        (404, "", "start of the scope refused: it starts no scopes"),
        (402, "{}", "set signer.urls"),
        (200, "{}", "`manifest_id` is missing"),
        (200, r#"{"manifest_id":"m","control_url":"http://192.0.2.1/s3cret"}"#, "plain HTTP"),
    ] {
        let calls = Peer::start(move |_| text(status, body)).await;
        let error = start(&calls, None).await.expect_err("no scope");
        assert_eq!(error.fault(), Fault::NextPeer);
        let line = error.to_string();
        assert!(line.contains(words) && !line.contains("s3cret"), "{line}");
    }
}
