//! The sandbox's runners and scopes: a gateway written for these tests triggers each of their checks, over real
//! sockets.
//!
//! Does not: test the signer; `sandbox_pay` does.
#![cfg(feature = "sandbox")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic and print"
)]

mod sandbox_client;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use livepeer_gateway::job::runner::{AppApi, CallOptions, RunnerJob, SingleShotCall};
use livepeer_gateway::orchestrator::DiscoveryList;
use livepeer_gateway::orchestrator::proto::PaymentResult;
use livepeer_gateway::payment::SessionOptions;
use livepeer_gateway::price::PriceUnit;
use livepeer_gateway::session::Network;
use prost::Message;
use sandbox::{
    CallFailure, Endpoint, Failure, Handle, Options, RunnerOptions, Sandbox, SignerOptions,
    SingleShot,
};
use sandbox_client::{Answer, Client, LIMIT, call, network, post, seconds};
use serde_json::{Value, json};

const RESERVE: &str = "/apps/r0/session";
const SINGLE: &str = "/apps/r0/app/";

fn options(runner: RunnerOptions) -> Options {
    Options {
        runners: vec![runner],
        signer: Some(SignerOptions::default()),
        is_frozen: true,
        ..Options::default()
    }
}

/// A gateway that uses one runner.
struct Gateway {
    sandbox: Handle,
    payer: String,
    request: Value,
    session: String,
}

impl Gateway {
    async fn new(options: Options) -> Self {
        let sandbox = Sandbox::start(options).unwrap();
        let url = sandbox.signer_url().unwrap();
        let signed = post(&url, "/sign-orchestrator-info", "", b"{}").await.json();
        let payer = format!("Livepeer-Payer-Address: {}\r\n", signed["address"].as_str().unwrap());
        Self { sandbox, payer, request: json!({}), session: String::new() }
    }

    async fn of(price: Option<(PriceUnit, u32)>) -> Self {
        Self::new(options(RunnerOptions { price, capacity: 2, ..RunnerOptions::default() })).await
    }

    /// Creates a gateway, and reserves a session that is paid by the second.
    async fn reserved() -> Self {
        let mut gateway = Self::of(Some((PriceUnit::Seconds, 10))).await;
        let challenge = gateway.challenge(RESERVE).await;
        assert_eq!(gateway.session, challenge["manifest_id"]);
        let paid = gateway.sign("live").await;
        let answer = gateway.post(RESERVE, &paid).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        gateway
    }

    async fn post(&self, path: &str, headers: &str) -> Answer {
        self.send(path, headers, &json!({})).await
    }

    async fn send(&self, path: &str, headers: &str, body: &Value) -> Answer {
        post(&self.sandbox.url(), path, headers, body.to_string().as_bytes()).await
    }

    /// Sends a request without payment, and puts the challenge of the answer into the next request to the signer.
    async fn challenge(&mut self, path: &str) -> Value {
        let answer = self.send(path, &self.payer, &json!({ "model_id": "scope" })).await;
        assert_eq!(answer.status, 402, "{}", answer.text());
        let challenge = answer.json();
        self.take(&challenge);
        challenge
    }

    fn take(&mut self, challenge: &Value) {
        self.session = challenge["manifest_id"].as_str().unwrap().to_owned();
        self.request["orchestrator"] = challenge["payment_params"].clone();
        self.request["ManifestID"] = challenge["manifest_id"].clone();
    }

    /// Requests a payment of this type from the signer. Returns the headers that pay.
    async fn sign(&mut self, kind: &str) -> String {
        self.request["type"] = json!(kind);
        let url = self.sandbox.signer_url().unwrap();
        let body = self.request.to_string();
        let answer = post(&url, "/generate-live-payment", "", body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let json = answer.json();
        self.request["state"] = json["state"].clone();
        let text = |key: &str| json[key].as_str().unwrap().to_owned();
        let (payment, segment) = (text("payment"), text("segCreds"));
        let payer = &self.payer;
        format!("{payer}Livepeer-Payment: {payment}\r\nLivepeer-Segment: {segment}\r\n")
    }

    fn path(&self, end: &str) -> String {
        format!("{RESERVE}/{}/{end}", self.session)
    }

    /// The status and the reason of the last refusal.
    fn refusal(&self) -> (u16, String) {
        let ledger = self.sandbox.ledger();
        let last = ledger.refused().last().expect("a refusal");
        (last.status, last.reason.clone())
    }
}

async fn get(sandbox: &Handle, path: &str) -> Answer {
    call(sandbox, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await
}

#[tokio::test]
async fn a_free_runner_is_reserved_used_and_stopped() {
    let mut gateway = Gateway::of(None).await;
    let answer = gateway.post(RESERVE, "").await.json();
    gateway.session = answer["session_id"].as_str().unwrap().to_owned();
    let app = format!("{}{}", gateway.sandbox.url(), gateway.path("app"));
    assert_eq!(answer["app_url"], app);
    assert_eq!(gateway.sandbox.sessions(), [gateway.session.clone()]);
    let (echo, update) = (gateway.path("app/echo"), gateway.path("app/update"));
    assert_eq!(gateway.post(&update, "").await.status, 409, "the app is not started yet");
    let bad = gateway.send(&echo, "", &json!({ "mode": "format c:" })).await;
    assert_eq!(bad.status, 400);
    let channels = gateway.send(&echo, "", &json!({ "mode": "passthrough" })).await.json();
    assert_eq!(gateway.post(&echo, "").await.status, 409, "it runs already");
    let trickle = format!("{}/ai/trickle/{}", gateway.sandbox.url(), gateway.session);
    assert_eq!(channels, json!({ "in": trickle, "out": format!("{trickle}-out") }));
    // The app returns the video.
    let mut client = Client::connect(&gateway.sandbox).await;
    client.post(&gateway.session, 0, "").await;
    client.chunk(&[0x47; 188]).await;
    client.end().await;
    assert_eq!(client.answer().await.status, 200);
    let out = format!("/ai/trickle/{}-out/0", gateway.session);
    assert_eq!(get(&gateway.sandbox, &out).await.body, [0x47; 188]);
    let blur = json!({ "mode": "blur", "radius": 20 });
    assert_eq!(gateway.send(&update, "", &blur).await.status, 200);
    assert!(gateway.sandbox.until(LIMIT, |r| r.counters.updates == 1).await);
    let stop = gateway.path("stop");
    assert_eq!(gateway.post(&stop, "").await.status, 204);
    assert_eq!(gateway.post(&stop, "").await.status, 404, "gone");
    assert_eq!(gateway.post(&update, "").await.status, 404, "gone");
    assert_eq!(get(&gateway.sandbox, &out).await.status, 404, "gone");
    let counters = gateway.sandbox.counters();
    assert_eq!((counters.reserved, counters.stopped), (1, 1));
    assert!(gateway.sandbox.sessions().is_empty());
}

#[tokio::test]
async fn a_session_runs_while_it_is_paid() {
    let mut gateway = Gateway::reserved().await;
    assert_eq!(gateway.sandbox.ledger().time_paid(), seconds(10));
    for _ in 0..6 {
        gateway.sandbox.advance(seconds(5));
        let paid = gateway.sign("live").await;
        let answer = gateway.post(&gateway.path("payment"), &paid).await;
        let info = PaymentResult::decode(answer.body.as_slice()).unwrap().info.unwrap();
        gateway.request["orchestrator"] = json!(STANDARD.encode(info));
    }
    let ledger = gateway.sandbox.ledger();
    let account = ledger.account(&gateway.session).unwrap();
    assert_eq!(account.time_debited(), seconds(30));
    assert!(account.is_open && account.time_paid() >= seconds(40));
    assert_eq!(ledger.refused().count(), 0);
    assert_eq!(gateway.post(&gateway.path("stop"), "").await.status, 204);
    gateway.sandbox.advance(seconds(600));
    let account = gateway.sandbox.ledger().account(&gateway.session).unwrap().clone();
    assert!(!account.is_unpaid && account.time_debited() == seconds(30), "no more debits");
}

#[tokio::test]
async fn a_session_that_is_not_paid_is_released() {
    let mut gateway = Gateway::reserved().await;
    let channels = gateway.post(&gateway.path("app/echo"), "").await.json();
    assert!(channels["in"].is_string());
    gateway.sandbox.advance(seconds(8));
    assert_eq!(gateway.sandbox.sessions().len(), 1);
    gateway.sandbox.advance(seconds(8));
    assert!(gateway.sandbox.sessions().is_empty());
    assert!(gateway.sandbox.ledger().account(&gateway.session).unwrap().is_unpaid);
    let paid = gateway.sign("live").await;
    for end in ["payment", "app/update", "stop"] {
        assert_eq!(gateway.post(&gateway.path(end), &paid).await.status, 404, "{end}");
    }
    let next = format!("/ai/trickle/{}/next", gateway.session);
    assert_eq!(get(&gateway.sandbox, &next).await.status, 404);
}

#[tokio::test]
async fn a_paid_runner_requires_a_payer_address_and_a_payment() {
    let mut gateway = Gateway::of(Some((PriceUnit::Seconds, 10))).await;
    for headers in ["", "Livepeer-Payer-Address: 0x12\r\n"] {
        let answer = gateway.post(RESERVE, headers).await;
        assert_eq!(answer.status, 402);
        assert!(gateway.refusal().1.contains("signer address"));
    }
    let challenge = gateway.challenge(RESERVE).await;
    assert_eq!(challenge["orchestrator"], gateway.sandbox.url());
    assert_eq!(challenge["payment_interval_ms"], 5000);
    let url = format!("{}{}", gateway.sandbox.url(), gateway.path("payment"));
    assert_eq!(challenge["payment_url"], url);
    let half = "Livepeer-Payment: AAAA\r\n";
    assert_eq!(gateway.post(RESERVE, half).await.status, 402);
    assert_eq!(gateway.post(RESERVE, "Livepeer-Segment: AAAA\r\n").await.status, 403);
    assert!(gateway.sandbox.sessions().is_empty());
}

#[tokio::test]
async fn a_payment_must_be_for_the_session_of_its_challenge() {
    let mut gateway = Gateway::of(Some((PriceUnit::Seconds, 10))).await;
    gateway.challenge(RESERVE).await;
    gateway.request["ManifestID"] = json!("other");
    let paid = gateway.sign("live").await;
    assert_eq!(gateway.post(RESERVE, &paid).await.status, 403);
    assert_eq!(gateway.refusal().1, "mismatched manifest and auth token");
    let mut gateway = Gateway::reserved().await;
    gateway.sandbox.advance(seconds(5));
    let paid = gateway.sign("live").await;
    assert_eq!(gateway.post(&gateway.path("payment"), &paid).await.status, 200);
    assert_eq!(gateway.post(&gateway.path("payment"), &paid).await.status, 400, "again");
    assert_eq!(gateway.post(&gateway.path("payment"), "").await.status, 403);
    gateway.request["ManifestID"] = json!("other");
    gateway.sandbox.advance(seconds(5));
    let paid = gateway.sign("live").await;
    assert_eq!(gateway.post(&gateway.path("payment"), &paid).await.status, 403);
    assert_eq!(gateway.refusal().1, "mismatched session and payment manifest");
}

#[tokio::test]
async fn a_used_payment_cannot_reserve_another_session() {
    let mut gateway = Gateway::of(Some((PriceUnit::Seconds, 10))).await;
    gateway.challenge(RESERVE).await;
    let paid = gateway.sign("live").await;
    assert_eq!(gateway.post(RESERVE, &paid).await.status, 200);
    assert_eq!(gateway.post(RESERVE, &paid).await.status, 409, "the session exists");
    assert_eq!(gateway.post(&gateway.path("stop"), "").await.status, 204);
    assert_eq!(gateway.post(RESERVE, &paid).await.status, 400);
    assert!(gateway.refusal().1.starts_with("invalid ticket senderNonce: already seen"));
    assert!(gateway.sandbox.sessions().is_empty());
}

#[tokio::test]
async fn a_fixed_price_is_paid_once() {
    let mut gateway = Gateway::of(Some((PriceUnit::Fixed, 10))).await;
    gateway.challenge(RESERVE).await;
    let paid = gateway.sign("fixed").await;
    assert_eq!(gateway.post(RESERVE, &paid).await.status, 200);
    gateway.sandbox.advance(seconds(400));
    assert_eq!(gateway.sandbox.sessions().len(), 1);
    let paid = gateway.sign("fixed").await;
    assert_eq!(gateway.post(&gateway.path("payment"), &paid).await.status, 409);
}

#[tokio::test]
async fn terms_of_a_session_can_be_refreshed() {
    let mut gateway = Gateway::reserved().await;
    let payer = gateway.payer.split_whitespace().nth(1).unwrap().to_owned();
    let ask = |sender: &str, id: &str| json!({ "sender": sender, "manifest_id": id });
    let session = gateway.session.clone();
    // The fresh terms are for the same session.
    gateway.sandbox.advance(seconds(2));
    let answer = gateway.send("/refresh-payment", "", &ask(&payer, &session)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    gateway.take(&answer.json());
    assert_eq!(gateway.session, session);
    let paid = gateway.sign("live").await;
    assert_eq!(gateway.post(&gateway.path("payment"), &paid).await.status, 200);
    for (body, status) in [
        (ask("0x12", &session), 400),
        (ask(&payer, "other"), 409),
        (json!([]), 400),
        (json!({ "manifest_id": session }), 400),
    ] {
        assert_eq!(gateway.send("/refresh-payment", "", &body).await.status, status, "{body}");
    }
    assert_eq!(gateway.post(&gateway.path("stop"), "").await.status, 204);
    // After the end of the session, its price is still known for some time.
    let answer = gateway.send("/refresh-payment", "", &ask(&payer, &session)).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_runner_refuses_sessions_above_its_limit() {
    let gateway = Gateway::of(None).await;
    let statuses = [200, 200, 503];
    for status in statuses {
        assert_eq!(gateway.post(RESERVE, "").await.status, status);
    }
    assert_eq!(gateway.post("/apps/r7/session", "").await.status, 404);
    let list = get(&gateway.sandbox, "/discovery").await.json();
    let runner = &list[0]["runners"][0];
    assert_eq!((&runner["capacity_used"], &runner["capacity_available"]), (&json!(2), &json!(0)));
    assert_eq!(gateway.sandbox.lose_sessions(), 2);
    assert_eq!(gateway.post(RESERVE, "").await.status, 200);
    let none = Sandbox::start(Options::default()).unwrap();
    assert_eq!(get(&none, "/discovery").await.status, 404);
}

#[tokio::test]
async fn discovery_lists_name_runners_and_can_be_filtered_by_app() {
    let mut options = options(RunnerOptions {
        price: Some((PriceUnit::PixelSeconds720p, 7)),
        gpu: Some("T4".to_owned()),
        ..RunnerOptions::default()
    });
    options.runners.push(RunnerOptions {
        app: "text".to_owned(),
        shot: Some(SingleShot::Plain),
        ..RunnerOptions::default()
    });
    let sandbox = Sandbox::start(options).unwrap();
    let own = get(&sandbox, "/discovery").await.json();
    assert_eq!(own[0]["runners"].as_array().unwrap().len(), 2);
    let url = sandbox.signer_url().unwrap();
    for (query, count) in [("", 1), ("?app=text", 1), ("?app=other", 0), ("?caps=a/b&app=echo", 1)]
    {
        let mut client = Client::connect_to(&url).await;
        let get = format!("GET /discover-orchestrators{query} HTTP/1.1\r\nHost: x\r\n\r\n");
        client.send(&get).await;
        let list = client.answer().await.json();
        assert_eq!(list.as_array().unwrap().len(), count, "{query}");
        if count > 0 {
            assert_eq!(list[0]["runners"], own[0]["runners"]);
        }
    }
}

#[tokio::test]
async fn single_shot_calls_are_answered_and_free_their_capacity() {
    let shot = |shot| options(RunnerOptions { shot: Some(shot), ..RunnerOptions::default() });
    let gateway = Gateway::new(shot(SingleShot::Plain)).await;
    let answer = gateway.send(SINGLE, "", &json!({ "a": 1 })).await;
    assert_eq!(answer.json(), json!({ "echo": { "a": 1 } }));
    let url = gateway.sandbox.url();
    assert_eq!(post(&url, SINGLE, "", b"no json").await.json(), json!({ "echo": "no json" }));
    let counters = gateway.sandbox.counters();
    assert_eq!((counters.reserved, gateway.sandbox.sessions().len()), (2, 0));
    let gateway = Gateway::new(shot(SingleShot::Events { count: 3, gap: Duration::ZERO })).await;
    let answer = gateway.post(SINGLE, "").await;
    assert!(answer.head.contains("text/event-stream"), "{}", answer.head);
    assert_eq!(answer.text(), "data: {\"n\":0}\n\ndata: {\"n\":1}\n\ndata: {\"n\":2}\n\n");
    assert!(gateway.sandbox.wait(LIMIT, || gateway.sandbox.sessions().is_empty()).await);
    let gateway = Gateway::of(None).await;
    assert_eq!(gateway.post(SINGLE, "").await.status, 400, "it is persistent");
}

#[tokio::test]
async fn an_app_is_reachable_below_its_url_and_at_its_configured_path() {
    let shot = RunnerOptions {
        shot: Some(SingleShot::Plain),
        path: "v1/say".to_owned(),
        price: Some((PriceUnit::Fixed, 10)),
        ..RunnerOptions::default()
    };
    let mut gateway = Gateway::new(options(shot)).await;
    let answer = gateway.post("/apps/r0/app?a=b", "").await;
    assert_eq!(answer.status, 307);
    assert!(answer.head.contains("Location: /apps/r0/app/?a=b\r\n"), "{}", answer.head);
    assert_eq!(gateway.sandbox.ledger().payments(), 0);
    // The app receives the call once the session is paid.
    gateway.challenge(SINGLE).await;
    let paid = gateway.sign("fixed").await;
    assert_eq!(gateway.post(SINGLE, &paid).await.status, 404);
    assert_eq!((gateway.sandbox.ledger().payments(), gateway.sandbox.sessions().len()), (1, 0));
    let path = "/apps/r0/app/v1/say";
    gateway.challenge(path).await;
    let paid = gateway.sign("fixed").await;
    assert_eq!(gateway.post(path, &paid).await.json(), json!({ "echo": {} }));
}

#[tokio::test]
async fn a_paid_single_shot_call_needs_a_challenge_and_a_payment() {
    let runner = RunnerOptions {
        shot: Some(SingleShot::Plain),
        price: Some((PriceUnit::Fixed, 10)),
        ..RunnerOptions::default()
    };
    let mut gateway = Gateway::new(options(runner)).await;
    gateway.challenge(SINGLE).await;
    let paid = gateway.sign("fixed").await;
    let answer = gateway.send(SINGLE, &paid, &json!("x")).await;
    assert_eq!(answer.json(), json!({ "echo": "x" }));
    assert_eq!(gateway.post(SINGLE, &paid).await.status, 400, "one payment is good for one call");
    assert_eq!((gateway.sandbox.ledger().payments(), gateway.sandbox.ledger().open()), (1, 0));
}

#[tokio::test]
async fn a_long_answer_continues_while_it_is_paid() {
    let events = SingleShot::Events { count: 1000, gap: Duration::from_millis(5) };
    let runner = RunnerOptions {
        shot: Some(events),
        price: Some((PriceUnit::Seconds, 10)),
        ..RunnerOptions::default()
    };
    let mut gateway = Gateway::new(options(runner)).await;
    gateway.challenge(SINGLE).await;
    let paid = gateway.sign("live").await;
    let mut client = Client::connect(&gateway.sandbox).await;
    client.post_body(SINGLE, &paid, b"{}").await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 OK"));
    assert_eq!(client.next_chunk().await, b"data: {\"n\":0}\n\n");
    let payment = format!("{RESERVE}/{}/payment", gateway.session);
    gateway.sandbox.advance(seconds(8));
    let paid = gateway.sign("live").await;
    assert_eq!(gateway.post(&payment, &paid).await.status, 200);
    gateway.sandbox.advance(seconds(8));
    assert_eq!(gateway.sandbox.sessions().len(), 1);
    assert_ne!(client.next_chunk().await, b"");
    gateway.sandbox.advance(seconds(8));
    assert!(gateway.sandbox.sessions().is_empty());
    assert_eq!(gateway.post(&payment, &paid).await.status, 404);
}

#[tokio::test]
async fn a_caller_that_closes_the_connection_frees_its_capacity() {
    let events = SingleShot::Events { count: 1, gap: seconds(600) };
    let runner = RunnerOptions { shot: Some(events), ..RunnerOptions::default() };
    let gateway = Gateway::new(options(runner)).await;
    let mut client = Client::connect(&gateway.sandbox).await;
    client.post_body(SINGLE, "", b"{}").await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 OK"));
    assert_eq!(gateway.sandbox.sessions().len(), 1);
    drop(client);
    assert!(gateway.sandbox.wait(LIMIT, || gateway.sandbox.sessions().is_empty()).await);
}

#[tokio::test]
async fn the_start_of_a_scope_returns_a_control_and_an_events_channel() {
    let mut options = options(RunnerOptions::default());
    options.price = Some(10);
    let mut gateway = Gateway::new(options).await;
    assert_eq!(gateway.post("/scope", "").await.status, 400, "no model");
    let challenge = gateway.challenge("/scope").await;
    let url = format!("{}/payment", gateway.sandbox.url());
    assert_eq!(challenge["payment_url"], url);
    let paid = gateway.sign("lv2v").await;
    let answer = gateway.send("/scope", &paid, &json!({ "model_id": "scope" })).await.json();
    assert_eq!(answer["manifest_id"], gateway.session);
    let mut keys: Vec<&String> = answer.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["control_url", "events_url", "manifest_id"]);
    let event = format!("/ai/trickle/{}-events/0", gateway.session);
    let event = get(&gateway.sandbox, &event).await.json();
    let trickle = format!("{}/ai/trickle/{}", gateway.sandbox.url(), gateway.session);
    assert_eq!((&event["type"], &event["in"]), (&json!("channels"), &json!(trickle)));
    // A scope is charged from its start, also without media.
    gateway.sandbox.advance(seconds(30));
    let paid = gateway.sign("lv2v").await;
    assert_eq!(gateway.post("/payment", &paid).await.status, 200);
    gateway.sandbox.advance(seconds(58));
    assert_eq!(gateway.sandbox.ledger().open(), 1);
    gateway.sandbox.advance(seconds(8));
    assert_eq!(gateway.sandbox.ledger().open(), 0);
    assert!(gateway.sandbox.wait(LIMIT, || gateway.sandbox.manifests().is_empty()).await);
}

#[tokio::test]
async fn runners_fail_as_scripted() {
    let gateway = Gateway::of(None).await;
    let once = |endpoint, failure| gateway.sandbox.once(Failure::Call(endpoint, failure));
    for status in [402, 404, 409, 480, 503] {
        once(Endpoint::Reserve, CallFailure::status(status));
        assert_eq!(gateway.post(RESERVE, "").await.status, status);
    }
    once(Endpoint::Discovery, CallFailure::Garbage);
    let list = get(&gateway.sandbox, "/discovery").await;
    assert!(serde_json::from_slice::<Value>(&list.body).is_err());
    // The answer with the session's id is lost.
    once(Endpoint::Reserve, CallFailure::Lost);
    let mut client = Client::connect(&gateway.sandbox).await;
    client.post_body(RESERVE, "", b"{}").await;
    client.broken().await;
    assert_eq!((gateway.sandbox.sessions().len(), gateway.sandbox.counters().reserved), (1, 1));
    assert_eq!(
        gateway.sandbox.ledger().refused().count(),
        0,
        "scripted failures are not counted as refusals"
    );
}

/// The project's own client with the sandbox's signer, and the sandbox's list.
async fn own(sandbox: &Handle) -> (Network, DiscoveryList) {
    let network = network(sandbox, SessionOptions::default());
    let list = get(sandbox, "/discovery").await.body;
    (network, DiscoveryList::parse(&list).unwrap())
}

fn priced(unit: PriceUnit, shot: Option<SingleShot>) -> Options {
    options(RunnerOptions { price: Some((unit, 10)), shot, ..RunnerOptions::default() })
}

#[tokio::test]
async fn the_agents_own_runner_job_passes_every_check() {
    for unit in [PriceUnit::Seconds, PriceUnit::PixelSeconds720p, PriceUnit::Fixed] {
        let sandbox = Sandbox::start(priced(unit, None)).unwrap();
        let (network, list) = own(&sandbox).await;
        let runner = list.entries[0].runners[0].clone();
        let mode = json!({ "mode": "passthrough" }).as_object().unwrap().clone();
        let job = RunnerJob::start(&network, runner, AppApi::echo(), &mode).await.unwrap();
        assert_eq!(sandbox.sessions(), [job.channels().manifest_id.clone()]);
        job.update(&mode).unwrap().await.unwrap();
        assert_eq!((sandbox.ledger().payments(), sandbox.ledger().open()), (1, 1), "{unit:?}");
        job.stop().await;
        assert_eq!((sandbox.sessions().len(), sandbox.counters().stopped), (0, 1));
        assert_eq!(sandbox.ledger().refused().count(), 0, "{:?}", sandbox.ledger());
        assert_eq!(sandbox.violations().count(), 0);
    }
}

#[tokio::test]
async fn the_agents_own_call_passes_every_check() {
    let events = SingleShot::Events { count: 2, gap: Duration::from_millis(1) };
    let sandbox = Sandbox::start(priced(PriceUnit::Seconds, Some(events))).unwrap();
    let (network, list) = own(&sandbox).await;
    let options = CallOptions {
        path: None,
        body: "{}".into(),
        content_type: http::HeaderValue::from_static("application/json"),
    };
    let mut call =
        SingleShotCall::start(&network, &list.entries[0].runners[0], options).await.unwrap();
    assert_eq!(call.content_type().unwrap(), "text/event-stream");
    let mut text = Vec::new();
    while let Some(piece) = call.next().await.unwrap() {
        text.extend_from_slice(&piece);
    }
    assert_eq!(text, b"data: {\"n\":0}\n\ndata: {\"n\":1}\n\n");
    assert!(sandbox.wait(LIMIT, || sandbox.sessions().is_empty()).await);
    assert_eq!(sandbox.ledger().refused().count(), 0, "{:?}", sandbox.ledger());
}

#[tokio::test]
async fn the_agents_own_call_reaches_the_named_path_and_pays_once() {
    let mut setup = priced(PriceUnit::Fixed, Some(SingleShot::Plain));
    setup.runners[0].path = "v1/say".to_owned();
    let sandbox = Sandbox::start(setup).unwrap();
    let (network, list) = own(&sandbox).await;
    let runner = &list.entries[0].runners[0];
    let call = |path: Option<&str>| CallOptions {
        path: path.map(str::to_owned),
        body: "{}".into(),
        content_type: http::HeaderValue::from_static("application/json"),
    };
    let mut answer = SingleShotCall::start(&network, runner, call(Some("/v1/say"))).await.unwrap();
    assert_eq!(answer.next().await.unwrap().unwrap(), "{\"echo\":{}}");
    assert_eq!(sandbox.ledger().payments(), 1);
    // Without a path the call goes to the app's URL without a slash, which the HTTP router redirects to the root of the
    // app.
    let error = SingleShotCall::start(&network, runner, call(None)).await.unwrap_err();
    assert!(error.to_string().contains("404 page not found"), "{error}");
}
