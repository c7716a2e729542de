//! The sandbox as a signer, and as an orchestrator that demands payment: a gateway written for these tests triggers
//! each of their checks, over real sockets.
//!
//! Does not: test runners; `sandbox_runner` does.
#![cfg(feature = "sandbox")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic and print"
)]

mod sandbox_client;

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use livepeer_gateway::http::Url;
use livepeer_gateway::http::io::Alpn;
use livepeer_gateway::job::{JobOptions, JobPayments, LiveVideoJob, StartedJob};
use livepeer_gateway::orchestrator::proto::{OrchestratorInfo, OrchestratorRequest, PaymentResult};
use livepeer_gateway::payment::SessionOptions;
use livepeer_gateway::payment::io::{PayerEvent, PaymentOutcome};
use livepeer_gateway::session::OrchestratorSession;
use prost::Message;
use sandbox::{
    CallFailure, Credential, Endpoint, Failure, Handle, InfoFailure, Ledger, Options, Record, Role,
    Sandbox, SignerOptions, StartFailure, Target, Timings, Violation,
};
use sandbox_client::{Answer, Client, LIMIT, call, connect_to, info_bytes, network, post, seconds};
use serde_json::{Value, json};

const GET_ORCHESTRATOR: &str = "/net.Orchestrator/GetOrchestrator";

/// The options of a sandbox with a signer, and a price of ten wei per pixel.
fn paying() -> Options {
    Options {
        price: Some(10),
        signer: Some(SignerOptions::default()),
        is_frozen: true,
        ..Options::default()
    }
}

/// A gateway that builds each request itself.
struct Gateway {
    sandbox: Handle,
    request: Value,
    manifest: String,
}

/// The two headers of a payment.
#[derive(Clone)]
struct Paid(String);

impl Gateway {
    async fn new(options: Options) -> Self {
        let sandbox = Sandbox::start(options).unwrap();
        let info = Self::info(&sandbox).await.unwrap();
        let request = json!({ "orchestrator": STANDARD.encode(info), "type": "lv2v" });
        Self { sandbox, request, manifest: String::new() }
    }

    /// Requests the info with a signature of the signer.
    async fn info(sandbox: &Handle) -> Result<Vec<u8>, (u32, String)> {
        let url = sandbox.signer_url().unwrap();
        let signed = post(&url, "/sign-orchestrator-info", "", b"{}").await.json();
        let bytes = |key: &str| {
            let text = &signed[key].as_str().unwrap()[2..];
            let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
            Bytes::from((0..text.len()).step_by(2).map(byte).collect::<Vec<u8>>())
        };
        let request = OrchestratorRequest {
            address: bytes("address"),
            sig: bytes("signature"),
            ..OrchestratorRequest::default()
        };
        info_bytes(sandbox, GET_ORCHESTRATOR, &request).await
    }

    async fn refresh(&mut self) {
        let info = Self::info(&self.sandbox).await.unwrap();
        self.request["orchestrator"] = json!(STANDARD.encode(info));
    }

    /// Requests fresh terms for a job. Returns the status.
    async fn refresh_payment(&mut self, manifest: &str) -> u16 {
        let url = self.sandbox.signer_url().unwrap();
        let signed = post(&url, "/sign-orchestrator-info", "", b"").await.json();
        let body = json!({ "sender": signed["address"], "manifest_id": manifest });
        let body = body.to_string();
        let answer = post(&self.sandbox.url(), "/refresh-payment", "", body.as_bytes()).await;
        if answer.status == 200 {
            self.request["orchestrator"] = answer.json()["payment_params"].clone();
        }
        answer.status
    }

    async fn ask(&self) -> Answer {
        let url = self.sandbox.signer_url().unwrap();
        post(&url, "/generate-live-payment", "", self.request.to_string().as_bytes()).await
    }

    /// Requests a payment from the signer, and puts the returned state into the next request.
    async fn sign(&mut self) -> Paid {
        let answer = self.ask().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let json = answer.json();
        self.request["state"] = json["state"].clone();
        let text = |key: &str| json[key].as_str().unwrap().to_owned();
        let (payment, segment) = (text("payment"), text("segCreds"));
        Paid(format!("Livepeer-Payment: {payment}\r\nLivepeer-Segment: {segment}\r\n"))
    }

    async fn start(&mut self, paid: &Paid) -> Answer {
        let body = br#"{"model_id":"m"}"#;
        let answer = post(&self.sandbox.url(), "/live-video-to-video", &paid.0, body).await;
        if answer.status == 200 {
            self.manifest = answer.json()["manifest_id"].as_str().unwrap().to_owned();
            self.request["ManifestID"] = json!(self.manifest);
        }
        answer
    }

    /// Creates a gateway and starts its job.
    async fn running(options: Options) -> Self {
        let mut gateway = Self::new(options).await;
        let paid = gateway.sign().await;
        assert_eq!(gateway.start(&paid).await.status, 200);
        gateway
    }

    async fn pay(&self, paid: &Paid) -> Answer {
        post(&self.sandbox.url(), "/payment", &paid.0, b"").await
    }

    /// Makes a payment, and uses the info of its answer from then on.
    async fn turn(&mut self) {
        let paid = self.sign().await;
        let answer = self.pay(&paid).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let info = PaymentResult::decode(answer.body.as_slice()).unwrap().info.unwrap();
        self.request["orchestrator"] = json!(STANDARD.encode(info));
    }

    /// Sends a segment of media up to its first bytes.
    async fn media(&self, seq: u64) {
        let mut client = Client::connect(&self.sandbox).await;
        client.post(&self.manifest, seq, "").await;
        client.chunk(b"x").await;
        client.end().await;
        assert_eq!(client.answer().await.status, 200);
    }

    fn ledger(&self) -> Ledger {
        self.sandbox.ledger()
    }

    /// The endpoint, the status and the reason of the last refusal.
    fn refusal(&self) -> (Endpoint, u16, String) {
        let ledger = self.ledger();
        let last = ledger.refused().last().expect("a refusal").clone();
        (last.endpoint, last.status, last.reason)
    }
}

#[tokio::test]
async fn a_job_that_pays_runs_for_an_hour() {
    let mut gateway = Gateway::running(paying()).await;
    let paid = gateway.ledger().account(&gateway.manifest).unwrap().time_paid();
    assert_eq!(paid, seconds(60));
    let mut refreshed = 0;
    for turn in 0..120 {
        if turn % 20 == 0 {
            gateway.media(turn / 20).await;
        }
        gateway.sandbox.advance(seconds(30));
        loop {
            match gateway.ask().await.status {
                // At this time the auth token is about to expire.
                480 => {
                    refreshed += 1;
                    gateway.refresh().await;
                }
                482 => break,
                _ => break gateway.turn().await,
            }
        }
    }
    gateway.media(6).await;
    gateway.sandbox.advance(seconds(5));
    let ledger = gateway.ledger();
    let account = ledger.account(&gateway.manifest).unwrap();
    assert!(account.is_open && !account.is_unpaid);
    assert!(account.time_debited() >= seconds(3600), "{:?}", account.time_debited());
    let ahead = account.time_paid() - account.time_debited();
    assert!((50..=70).contains(&ahead.as_secs()), "{ahead:?}");
    assert!((2..=3).contains(&refreshed), "{refreshed}");
    assert_eq!(ledger.refused().filter(|refused| refused.status != 480).count(), 0);
}

#[tokio::test]
async fn time_without_media_is_not_debited() {
    let gateway = Gateway::running(paying()).await;
    gateway.sandbox.advance(seconds(600));
    assert_eq!((gateway.ledger().open(), gateway.ledger().debits()), (1, 0));
}

#[tokio::test]
async fn a_job_that_is_not_paid_ends() {
    let gateway = Gateway::running(paying()).await;
    gateway.media(0).await;
    gateway.sandbox.advance(seconds(58));
    assert_eq!((gateway.ledger().open(), gateway.ledger().debits()), (1, 1));
    gateway.media(1).await;
    let mut waiting = Client::connect(&gateway.sandbox).await;
    let out = format!("GET /ai/trickle/{}-events/-1 HTTP/1.1\r\nHost: x\r\n\r\n", gateway.manifest);
    waiting.send(&out).await;
    let arrived = |r: &Record| {
        r.requests().any(|r| r.target == Target::Segment(Role::Events, "-1".to_owned()))
    };
    assert!(gateway.sandbox.until(LIMIT, arrived).await);
    // Requests are received in order, so the answer to this later request proves that the first one is waiting.
    let next = format!("GET /ai/trickle/{}/next HTTP/1.1\r\nHost: x\r\n\r\n", gateway.manifest);
    assert_eq!(call(&gateway.sandbox, &next).await.status, 200);
    gateway.sandbox.advance(seconds(5));
    assert!(waiting.answer().await.head.contains("Lp-Trickle-Closed: terminated"));
    for suffix in ["", "-out", "-control", "-events"] {
        let next = format!("/ai/trickle/{}{suffix}/next", gateway.manifest);
        let next = format!("GET {next} HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(call(&gateway.sandbox, &next).await.status, 404, "{suffix}");
    }
    assert!(gateway.ledger().account(&gateway.manifest).unwrap().is_unpaid);
    assert!(gateway.sandbox.wait(LIMIT, || gateway.sandbox.manifests().is_empty()).await);
}

#[tokio::test]
async fn debits_happen_without_a_request() {
    let timings = Timings { debit: Duration::from_millis(20), ..Timings::default() };
    let options = Options { timings, is_frozen: false, ..paying() };
    let gateway = Gateway::running(options).await;
    gateway.media(0).await;
    assert!(gateway.sandbox.wait(LIMIT, || gateway.ledger().debits() > 0).await);
}

#[tokio::test]
async fn an_info_needs_a_signed_request() {
    let gateway = Gateway::new(paying()).await;
    let sandbox = &gateway.sandbox;
    let bytes = Gateway::info(sandbox).await.unwrap();
    let info = OrchestratorInfo::decode(bytes.as_slice()).unwrap();
    let price = info.price_info.clone().unwrap();
    assert_eq!((price.price_per_unit, price.pixels_per_unit), (10, 1));
    assert!(info.ticket_params.is_some() && info.auth_token.is_some());
    assert_eq!(info.address.len(), 20);
    assert_ne!(info.encode_to_vec(), bytes, "the info has a field that the gateway does not know");
    for (address, sig) in [(0, 0), (20, 65), (20, 0)] {
        let request = OrchestratorRequest {
            address: vec![1; address].into(),
            sig: vec![1; sig].into(),
            ..OrchestratorRequest::default()
        };
        let refused = info_bytes(sandbox, GET_ORCHESTRATOR, &request).await.unwrap_err();
        assert_eq!(refused, (2, "orchestrator req sig check failed".to_owned()));
    }
}

#[tokio::test]
async fn a_start_must_be_paid() {
    let mut gateway = Gateway::new(paying()).await;
    for (headers, status) in [
        ("", 403),
        ("Livepeer-Payment: %\r\n", 402),
        ("Livepeer-Payment: \r\nLivepeer-Segment: AAAA\r\n", 403),
    ] {
        let paid = Paid(headers.to_owned());
        assert_eq!(gateway.start(&paid).await.status, status, "{headers}");
        assert_eq!(gateway.refusal().0, Endpoint::Start);
    }
    let paid = gateway.sign().await;
    // A request with credentials only is not a payment. A payment with the credentials of another payment is accepted.
    let half = Paid(paid.0.lines().nth(1).unwrap().to_owned() + "\r\n");
    assert_eq!(gateway.start(&half).await.status, 403);
    assert_eq!(gateway.start(&paid).await.status, 200);
    assert_eq!(gateway.start(&paid).await.status, 400);
    assert!(gateway.refusal().2.starts_with("invalid ticket senderNonce: already seen"));
    assert_eq!((gateway.ledger().open(), gateway.sandbox.manifests().len()), (1, 1));
}

#[tokio::test]
async fn a_payment_is_accepted_only_once() {
    let mut gateway = Gateway::running(paying()).await;
    gateway.sandbox.advance(seconds(5));
    let paid = gateway.sign().await;
    assert_eq!(gateway.pay(&paid).await.status, 200);
    assert_eq!(gateway.pay(&paid).await.status, 400);
    assert!(gateway.refusal().2.starts_with("invalid ticket senderNonce: already seen"));
    assert_eq!(gateway.ledger().payments(), 2);
    assert_eq!(gateway.pay(&Paid(String::new())).await.status, 403);
    assert_eq!(gateway.pay(&Paid("Livepeer-Payment: AAAA\r\n".into())).await.status, 402);
}

#[tokio::test]
async fn a_payment_with_another_manifest_id_does_not_pay_the_job() {
    let mut gateway = Gateway::running(paying()).await;
    gateway.sandbox.advance(seconds(5));
    let job = std::mem::replace(&mut gateway.request["ManifestID"], json!("other"));
    gateway.turn().await;
    let ledger = gateway.ledger();
    assert_eq!(ledger.account(job.as_str().unwrap()).unwrap().payments, 1);
    let other = ledger.account("other").unwrap();
    assert!(other.payments == 1 && !other.is_open);
}

#[tokio::test]
async fn old_tickets_and_tokens_are_refused() {
    let mut gateway = Gateway::running(paying()).await;
    gateway.sandbox.advance(seconds(5));
    let paid = gateway.sign().await;
    gateway.sandbox.advance(seconds(20 * 60));
    assert_eq!(gateway.pay(&paid).await.status, 400);
    assert_eq!(gateway.refusal().2, "TicketParams expired");
    gateway.sandbox.advance(seconds(10 * 60));
    assert_eq!(gateway.pay(&paid).await.status, 403);
    assert_eq!(gateway.refusal().2, "auth token has expired");
}

#[tokio::test]
async fn the_terms_of_an_info_expire_as_scripted() {
    for failure in [InfoFailure::OldTerms, InfoFailure::OldToken] {
        let mut gateway = Gateway::new(paying()).await;
        gateway.sandbox.once(Failure::Info(failure.clone()));
        gateway.refresh().await;
        let answer = gateway.ask().await;
        assert_eq!(answer.status, 480, "{failure:?}");
        let url = format!("Livepeer-Orchestrator-URL: {}", gateway.sandbox.url());
        assert!(answer.head.contains(&url), "{}", answer.head);
        gateway.refresh().await;
        assert_eq!(gateway.ask().await.status, 200, "{failure:?}");
    }
}

#[tokio::test]
async fn the_signer_refuses_a_risen_price_and_a_refresh_keeps_the_old_price() {
    let mut gateway = Gateway::running(paying()).await;
    gateway.sandbox.always(Failure::Drift(1));
    gateway.sandbox.advance(seconds(5));
    // The terms in the answer to this payment have a higher price than the job.
    gateway.turn().await;
    gateway.sandbox.advance(seconds(5));
    assert_eq!(gateway.ask().await.status, 481);
    assert!(gateway.refusal().2.contains("initial session price"));
    gateway.refresh().await;
    assert_eq!(gateway.ask().await.status, 481, "the signer refuses the new price");
    assert_eq!(gateway.refresh_payment(&gateway.manifest.clone()).await, 200);
    gateway.turn().await;
    assert_eq!(gateway.refresh_payment("unknown").await, 409);
}

#[tokio::test]
async fn the_payment_of_a_failed_start_is_lost() {
    let mut gateway = Gateway::new(paying()).await;
    let broken = StartFailure::Worker("model is gone".to_owned());
    let full = StartFailure::Answer { status: 503, body: "full".to_owned() };
    for (failure, payments) in [(full, 0), (broken, 1)] {
        gateway.sandbox.once(Failure::Start(failure.clone()));
        let paid = gateway.sign().await;
        gateway.request["state"] = Value::Null;
        assert_ne!(gateway.start(&paid).await.status, 200);
        assert_eq!(gateway.ledger().payments(), payments, "{failure:?}");
    }
    assert_eq!((gateway.ledger().open(), gateway.ledger().debits()), (0, 0));
}

#[tokio::test]
async fn terms_are_valid_for_six_hundred_tickets() {
    // The start takes 100 tickets, and each second nearly two more.
    let ticket = Duration::from_millis(600);
    let mut gateway = Gateway::running(Options { ticket, ..paying() }).await;
    let paid = |gateway: &Gateway| gateway.ledger().account(&gateway.manifest).unwrap().time_paid();
    for _ in 0..6 {
        gateway.sandbox.advance(seconds(48));
        let paid = gateway.sign().await;
        assert_eq!(gateway.pay(&paid).await.status, 200);
    }
    let before = paid(&gateway);
    gateway.sandbox.advance(seconds(48));
    let too_many = gateway.sign().await;
    assert_eq!(gateway.pay(&too_many).await.status, 400);
    assert!(gateway.refusal().2.starts_with("invalid ticket senderNonce: too many values"));
    // The tickets before the refused one are counted: 600 in all.
    assert_eq!((before, paid(&gateway)), (ticket * 580, ticket * 600));
}

#[tokio::test]
async fn after_a_change_of_its_key_the_signer_refuses_earlier_states() {
    let mut gateway = Gateway::running(paying()).await;
    gateway.sandbox.change_signer_key();
    gateway.sandbox.advance(seconds(5));
    assert_eq!(gateway.ask().await.status, 400);
    assert_eq!(gateway.refusal().2, "invalid sig");
    // The signer also refuses ticket parameters that were made for its previous key.
    gateway.request = json!({ "orchestrator": gateway.request["orchestrator"], "type": "lv2v" });
    let paid = gateway.sign().await;
    assert_eq!(gateway.start(&paid).await.status, 400);
    assert!(gateway.refusal().2.starts_with("invalid recipientRand"));
    gateway.refresh().await;
    gateway.request["state"] = Value::Null;
    let paid = gateway.sign().await;
    assert_eq!(gateway.start(&paid).await.status, 200);
}

#[tokio::test]
async fn an_info_must_reach_the_signer_byte_for_byte() {
    let mut gateway = Gateway::running(paying()).await;
    let bytes = STANDARD.decode(gateway.request["orchestrator"].as_str().unwrap()).unwrap();
    let again = OrchestratorInfo::decode(bytes.as_slice()).unwrap().encode_to_vec();
    gateway.request["orchestrator"] = json!(STANDARD.encode(again));
    assert_eq!(gateway.ask().await.status, 400);
    assert!(gateway.refusal().2.contains("differs from the bytes"));
}

#[tokio::test]
async fn the_signer_refuses_states_out_of_order() {
    let mut gateway = Gateway::running(paying()).await;
    let first = gateway.request["state"].clone();
    let terms = gateway.request["orchestrator"].clone();
    gateway.sandbox.advance(seconds(5));
    gateway.turn().await;
    assert_eq!(gateway.sandbox.violations().count(), 0);
    let newest = gateway.request.clone();
    gateway.request["state"] = first.clone();
    gateway.request["orchestrator"] = terms;
    // The signer signs the same tickets again, because it keeps no state; the orchestrator refuses them.
    let paid = gateway.sign().await;
    assert_eq!(gateway.pay(&paid).await.status, 400);
    assert!(gateway.refusal().2.starts_with("invalid ticket senderNonce: already seen"));
    assert_eq!(gateway.sandbox.violations().list(), [Violation::ReusedState]);
    gateway.request = newest;
    gateway.sandbox.advance(seconds(5));
    gateway.turn().await;
    gateway.request["state"] = first;
    assert_eq!(gateway.ask().await.status, 400);
    assert_eq!(gateway.sandbox.violations().list().last(), Some(&Violation::OldState));
}

#[tokio::test]
async fn after_a_lost_answer_the_signer_can_be_asked_again() {
    let mut gateway = Gateway::running(paying()).await;
    gateway.sandbox.advance(seconds(5));
    gateway.sandbox.once(Failure::Call(Endpoint::MakePayment, CallFailure::Lost));
    let mut client = Client::connect_to(&gateway.sandbox.signer_url().unwrap()).await;
    let body = gateway.request.to_string();
    client.post_body("/generate-live-payment", "", body.as_bytes()).await;
    client.broken().await;
    gateway.turn().await;
    assert_eq!(gateway.sandbox.violations().count(), 0);
    // A payment has arrived although its answer was lost.
    gateway.sandbox.advance(seconds(5));
    let paid = gateway.sign().await;
    gateway.sandbox.once(Failure::Call(Endpoint::Payment, CallFailure::Lost));
    let mut client = Client::connect(&gateway.sandbox).await;
    client.post_body("/payment", &paid.0, b"").await;
    client.broken().await;
    assert_eq!(gateway.ledger().payments(), 3);
    assert_eq!(gateway.pay(&paid).await.status, 400);

    // A payment has arrived although its client did not wait for the answer.
    gateway.sandbox.advance(seconds(5));
    let paid = gateway.sign().await;
    let late = CallFailure::Delay(Duration::from_millis(20));
    gateway.sandbox.once(Failure::Call(Endpoint::Payment, late));
    let mut client = Client::connect(&gateway.sandbox).await;
    client.post_body("/payment", &paid.0, b"").await;
    drop(client);
    assert!(gateway.sandbox.wait(LIMIT, || gateway.ledger().payments() == 4).await);
    assert_eq!(gateway.pay(&paid).await.status, 400);
}

#[tokio::test]
async fn two_calls_for_one_session_at_a_time_are_refused() {
    let gateway = Gateway::running(paying()).await;
    gateway.sandbox.advance(seconds(5));
    gateway.sandbox.once(Failure::Call(Endpoint::MakePayment, CallFailure::Delay(seconds(60))));
    let body = gateway.request.to_string();
    let mut slow = Client::connect_to(&gateway.sandbox.signer_url().unwrap()).await;
    slow.post_body("/generate-live-payment", "", body.as_bytes()).await;
    let asked = |r: &Record| {
        r.requests().filter(|r| r.target == Target::Call(Endpoint::MakePayment)).count() == 2
    };
    assert!(gateway.sandbox.until(LIMIT, asked).await);
    assert_eq!(gateway.ask().await.status, 400);
    assert_eq!(gateway.sandbox.violations().list(), [Violation::ConcurrentStates]);
    // A call whose client has closed the connection no longer counts as open.
    drop(slow);
    let limit = tokio::time::Instant::now() + LIMIT;
    while gateway.ask().await.status != 200 {
        assert!(tokio::time::Instant::now() < limit);
    }
}

#[tokio::test]
async fn every_call_to_the_signer_needs_credentials() {
    let credential =
        |value: &str, owner: &str| Credential { value: value.into(), owner: owner.into() };
    let mut options = paying();
    options.signer = Some(SignerOptions {
        header: Some("Authorization".to_owned()),
        credentials: vec![credential("Bearer a", "me"), credential("Bearer b", "me")],
        ..SignerOptions::default()
    });
    let sandbox = Sandbox::start(options).unwrap();
    let url = sandbox.signer_url().unwrap();
    for path in ["/sign-orchestrator-info", "/generate-live-payment"] {
        assert_eq!(post(&url, path, "", b"{}").await.status, 401, "{path}");
        let wrong = "Authorization: Bearer z\r\n";
        assert_eq!(post(&url, path, wrong, b"{}").await.status, 403, "{path}");
        let right = post(&url, path, "authorization: Bearer a\r\n", b"{}").await.status;
        assert_eq!(right, if path.starts_with("/sign") { 200 } else { 400 });
    }
    let list = "GET /discover-orchestrators HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut client = Client::connect_to(&url).await;
    client.send(list).await;
    assert_eq!(client.answer().await.status, 401);
    sandbox.accept_credentials(vec![credential("Bearer c", "me")]);
    let old = post(&url, "/sign-orchestrator-info", "Authorization: Bearer a\r\n", b"{}").await;
    assert_eq!(old.status, 403);
}

#[tokio::test]
async fn the_signer_fails_as_scripted() {
    let gateway = Gateway::new(paying()).await;
    let sandbox = &gateway.sandbox;
    let once = |failure| sandbox.once(Failure::Call(Endpoint::MakePayment, failure));
    for status in [400, 401, 402, 403, 404, 429, 480, 481, 482, 483, 500, 502, 503] {
        once(CallFailure::status(status));
        assert_eq!(gateway.ask().await.status, status);
    }
    once(CallFailure::Answer { status: 429, retry_after: Some("7".to_owned()) });
    let answer = gateway.ask().await;
    assert!(answer.head.contains("Retry-After: 7\r\n"), "{}", answer.head);
    assert!(answer.json()["error"]["message"].is_string());
    once(CallFailure::Garbage);
    assert!(serde_json::from_slice::<Value>(&gateway.ask().await.body).is_err());
    once(CallFailure::Huge(2 << 20));
    assert!(gateway.ask().await.body.len() > 2 << 20);
    once(CallFailure::Delay(Duration::from_millis(1)));
    assert_eq!(gateway.ask().await.status, 200);
    once(CallFailure::Reset);
    let mut client = Client::connect_to(&sandbox.signer_url().unwrap()).await;
    client.post_body("/generate-live-payment", "", b"{}").await;
    client.broken().await;
    assert_eq!(
        gateway.ledger().refused().count(),
        0,
        "scripted failures are not counted as refusals"
    );
    assert_eq!(gateway.ask().await.status, 200, "the signer answers again");
}

#[tokio::test]
async fn the_signer_accepts_tls_and_plain_http_on_one_port() {
    let sandbox = Sandbox::start(paying()).unwrap();
    let (_, seen) = connect_to(&sandbox.signer_tls_url().unwrap(), Alpn::Http1).await;
    assert_eq!(seen, sandbox.signer_fingerprint());
    assert_ne!(seen, sandbox.fingerprint());
    let tls = sandbox.signer_tls_url().unwrap();
    assert_eq!(post(&tls, "/sign-orchestrator-info", "", b"").await.status, 200);
    for (path, status) in [("/", 404), ("/payment", 404), ("/discover-orchestrators", 405)] {
        assert_eq!(post(&tls, path, "", b"").await.status, status, "{path}");
    }
    let long = vec![b'x'; (1 << 20) + 1];
    assert_eq!(post(&tls, "/generate-live-payment", "", &long).await.status, 413);
    assert_eq!(Sandbox::start(Options::default()).unwrap().signer_url(), None);
}

#[tokio::test]
async fn the_list_of_orchestrators_can_be_filtered_by_capability() {
    let mut options = paying();
    options.models = vec!["a".to_owned(), "b".to_owned()];
    options.listed = vec![r#"{"address":7}"#.to_owned()];
    let sandbox = Sandbox::start(options).unwrap();
    let url = sandbox.signer_url().unwrap();
    let list = async |query: &str| {
        let mut client = Client::connect_to(&url).await;
        client
            .send(&format!("GET /discover-orchestrators{query} HTTP/1.1\r\nHost: x\r\n\r\n"))
            .await;
        client.answer().await.json().as_array().unwrap().clone()
    };
    let all = list("").await;
    assert_eq!(all.len(), 2);
    assert_eq!(all[0]["address"], sandbox.url());
    assert_eq!(all[0]["capabilities"][1], "live-video-to-video/b");
    let two = "?caps=live-video-to-video/z&caps=live-video-to-video/b";
    assert_eq!(list(two).await.len(), 2);
    assert_eq!(list("?caps=live-video-to-video/z").await.len(), 1);
    sandbox.list(vec!["{".to_owned()]);
    sandbox.once(Failure::Call(Endpoint::Discover, CallFailure::status(503)));
    let mut client = Client::connect_to(&url).await;
    client.send("GET /discover-orchestrators HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 503);
}

/// Starts a job with the project's own client on a sandbox that demands payment.
async fn own(sandbox: &Handle) -> StartedJob {
    let options = SessionOptions { app: Some("a".to_owned()), ..SessionOptions::default() };
    let network = network(sandbox, options);
    let url = Url::parse_base(&sandbox.url(), 0).unwrap();
    let capability = "live-video-to-video/m".parse().unwrap();
    let session = OrchestratorSession::open(&network, &url, &capability).await.unwrap();
    let options = JobOptions { model: "m".to_owned(), ..JobOptions::default() };
    LiveVideoJob::start(session, &options, 0.5).await.unwrap()
}

#[tokio::test]
async fn the_agents_own_payments_pass_every_check() {
    let sandbox = Sandbox::start(paying()).unwrap();
    let mut job = own(&sandbox).await;
    let manifest = job.channels().manifest_id.clone();
    let JobPayments { mut payer, url } = job.take_payments().unwrap();
    let mut now = Instant::now();
    // 72 payments at the longest interval take more than an hour.
    for _ in 0..72 {
        now += seconds(50);
        sandbox.advance(seconds(50));
        let outcome = payer.turn(&url, PayerEvent::Media, now, 0.5).await;
        assert!(matches!(outcome, PaymentOutcome::Paid), "{outcome:?}");
    }
    let ledger = sandbox.ledger();
    let account = ledger.account(&manifest).unwrap();
    assert_eq!((account.payments, account.is_open), (73, true));
    assert!(account.time_paid() >= seconds(3660), "{:?}", account.time_paid());
    let other: Vec<_> = ledger.refused().filter(|refused| refused.status != 480).collect();
    assert!(other.is_empty(), "{other:?}");
    assert_eq!(sandbox.violations().count(), 0);
}
