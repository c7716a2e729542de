//! Discovery over real sockets: each strategy, each refusal, and the stored list that is used while its endpoint is
//! down.
//!
//! Does not: check the capabilities of orchestrators.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

mod peer;

use std::path::Path;

use livepeer_gateway::http::io::{Client, service_client};
use livepeer_gateway::http::{ServiceTrust, Url};
use livepeer_gateway::orchestrator::io::{FindError, Finder, FoundList, ListSource};
use livepeer_gateway::orchestrator::{DiscoveryQuery, Endpoints, Headers};
use peer::{Body, Peer, Reply, Scratch, body, edge, json, nobody, text};
use resilience::secret::{Secret, SecretSource};
use serde_json::json as value;

fn client() -> Client {
    service_client(ServiceTrust::default()).expect("no file is needed")
}

fn wanted() -> DiscoveryQuery {
    DiscoveryQuery {
        capabilities: vec!["live-video-to-video/noop".parse().expect("a capability")],
        apps: vec!["livepeer-example/echo".into()],
    }
}

fn finder(endpoints: Endpoints, directory: Option<&Path>) -> Finder {
    Finder::new(client(), endpoints, wanted(), directory, false)
}

fn at(discovery: &Url) -> Endpoints {
    Endpoints { discovery: Some(discovery.join("/list")), ..Endpoints::default() }
}

fn header(name: &'static str, value: &str) -> Headers {
    let source = SecretSource::Given(Secret::new(value));
    vec![(http::HeaderName::from_static(name), source)]
}

fn one(host: &str) -> Reply {
    json(200, &value!([{ "address": host }]))
}

fn hosts(listed: &FoundList) -> Vec<&str> {
    listed.list.entries.iter().map(|entry| entry.address.authority().host()).collect()
}

#[tokio::test]
async fn discovery_strategies_are_used_in_order() {
    let discovery = Peer::start(|_| one("d")).await;
    let signer = Peer::start(|_| one("s")).await;
    let second = Peer::start(|_| one("t")).await;
    let mut finder = finder(
        Endpoints {
            orchestrators: vec![Url::parse("https://n:8935").expect("a URL")],
            signers: vec![signer.url.clone(), second.url.clone()],
            signer_headers: header("authorization", "Bearer s"),
            discovery: Some(Url::parse(&format!("{}/list?key=1", discovery.url)).expect("a URL")),
            discovery_headers: header("x-key", "d"),
        },
        None,
    );
    let mut found = Vec::new();
    while let Some(listed) = finder.next().await {
        let listed = listed.expect("a list");
        found.push((listed.source.clone(), hosts(&listed).join(",")));
    }
    let peer = |peer: &Peer| peer.url.authority().clone();
    assert_eq!(
        found,
        [
            (ListSource::Named, "n".to_owned()),
            (ListSource::Discovery(peer(&discovery)), "d".to_owned()),
            (ListSource::Signer(peer(&signer)), "s".to_owned()),
        ]
    );
    let query = "caps=live-video-to-video/noop&app=livepeer-example/echo";
    assert_eq!(discovery.lines(), [format!("GET /list?key=1&{query}")]);
    assert_eq!(discovery.seen()[0].header("x-key"), Some("d"));
    assert_eq!(discovery.seen()[0].header("authorization"), None);
    assert_eq!(signer.lines(), [format!("GET /discover-orchestrators?{query}")]);
    assert_eq!(signer.seen()[0].header("authorization"), Some("Bearer s"));
    assert!(
        second.lines().is_empty(),
        "the second signer is not asked, since it has the same list"
    );
}

#[track_caller]
fn check(error: FindError, expected: &str) {
    let text = error.to_string();
    assert!(text.contains(expected), "{text}");
    assert!(!text.contains("list?") && !text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn every_refusal_has_its_own_message_without_the_url() {
    type Refusal = (fn() -> Reply, &'static str);
    let table: [Refusal; 9] = [
        (|| text(503, ""), "no list of orchestrators now"),
        (|| text(401, "hunter2"), "refuses the credential, or wants one (401)"),
        (|| text(403, ""), "refuses the credential, or wants one (403)"),
        (|| text(404, ""), "gave status 404"),
        (|| text(302, ""), "gave status 302"),
        (|| text(200, "<html>"), "not a JSON list"),
        (|| text(200, "{}"), "not a JSON list"),
        (|| text(200, &" ".repeat(2 << 20)), "longer than"),
        (|| body(Body::Hangup), "no HTTP answer"),
    ];
    for (reply, expected) in table {
        let peer = Peer::start(move |_| reply()).await;
        let endpoint = Url::parse(&format!("{}/list?key=hunter2", peer.url)).expect("a URL");
        let endpoints = Endpoints { discovery: Some(endpoint), ..Endpoints::default() };
        let mut finder = finder(endpoints, None);
        check(finder.next().await.expect("a strategy").expect_err("no list"), expected);
        assert!(finder.next().await.is_none());
    }
    let mut finder = finder(at(&nobody().await), None);
    check(finder.next().await.expect("a strategy").expect_err("no list"), "connection refused");
}

#[tokio::test]
async fn plain_http_is_refused_to_other_computers_unless_allowed() {
    let far = Url::parse("http://192.0.2.1:1").expect("a URL");
    let refused = finder(at(&far), None).next().await.expect("a strategy").expect_err("no list");
    assert!(matches!(refused, FindError::PlainHttp(_)));
}

#[tokio::test]
async fn a_missing_credential_is_named() {
    let source = SecretSource::Environment("LIVEPEER_EDGE_NOT_SET".into());
    let headers = vec![(http::header::AUTHORIZATION, source)];
    let endpoints = Endpoints { discovery_headers: headers, ..at(&nobody().await) };
    let error = finder(endpoints, None).next().await.expect("a strategy").expect_err("no list");
    assert!(error.to_string().contains("LIVEPEER_EDGE_NOT_SET"), "{error}");
}

#[tokio::test]
async fn the_last_list_is_used_while_its_endpoint_is_down() {
    let scratch = Scratch::new("kept");
    let mut replies = vec![text(500, ""), text(200, "[]"), text(500, ""), one("a")];
    let discovery = Peer::start(move |_| replies.pop().unwrap_or_else(|| text(500, ""))).await;
    let new = || finder(at(&discovery.url), Some(&*scratch));

    let good = new().next().await.expect("a strategy").expect("a list");
    assert_eq!(hosts(&good), ["a"]);

    let mut down = new();
    assert!(down.next().await.expect("a strategy").is_err());
    let kept = down.next().await.expect("the stored list").expect("a list");
    assert_eq!((kept.source.clone(), hosts(&kept)), (ListSource::Cache, vec!["a"]));
    assert!(down.next().await.is_none());

    let mut empty = new();
    let listed = empty.next().await.expect("a strategy").expect("a list");
    assert!(listed.list.entries.is_empty());
    assert!(empty.next().await.is_none(), "the stored list is not used after an empty list");

    let mut down = new();
    assert!(down.next().await.expect("a strategy").is_err());
    let kept = down.next().await.expect("an empty list does not replace a good one");
    assert_eq!(hosts(&kept.expect("a list")), ["a"]);

    let mut other = finder(at(&nobody().await), Some(&*scratch));
    assert!(other.next().await.expect("a strategy").is_err());
    assert!(other.next().await.is_none(), "the stored list belongs to another endpoint");
}

#[tokio::test]
async fn the_list_of_a_later_strategy_replaces_the_stored_one() {
    let scratch = Scratch::new("later");
    let mut replies = vec![text(500, ""), one("a")];
    let discovery = Peer::start(move |_| replies.pop().expect("two calls")).await;
    finder(at(&discovery.url), Some(&*scratch)).next().await.expect("a strategy").expect("a list");
    let signer = Peer::start(|_| one("s")).await;
    let endpoints = Endpoints { signers: vec![signer.url.clone()], ..at(&discovery.url) };
    let mut finder = finder(endpoints, Some(&*scratch));
    assert!(finder.next().await.expect("a strategy").is_err());
    assert_eq!(hosts(&finder.next().await.expect("a strategy").expect("a list")), ["s"]);
    assert!(finder.next().await.is_none());
}

// ---------------------------------------------------------------------------------------------
// The commands
// ---------------------------------------------------------------------------------------------

/// An orchestrator with one free runner, and a list that names this orchestrator and one that does not answer.
async fn market() -> (Peer, Peer) {
    let (listener, base) = Peer::bind().await;
    let runner = value!({
        "url": format!("{base}/apps/r/session"), "app": "echo", "mode": "persistent", "capacity": 2,
        "capacity_used": 1, "price_info": { "price": 10, "currency": "wei", "unit": "seconds" }
    });
    let own = value!([{ "runners": [runner] }]);
    let orchestrator = Peer::serve(listener, move |request| match request.line().as_str() {
        "GET /discovery" => json(200, &own),
        _ => body(Body::Hangup),
    });
    let list =
        value!([{ "address": base }, { "address": nobody().await.to_string() }, { "address": 7 }]);
    (orchestrator, Peer::start(move |_| json(200, &list)).await)
}

#[tokio::test]
async fn discover_prints_offers_and_rejections_as_json() {
    let scratch = Scratch::new("json");
    let (orchestrator, list) = market().await;
    let url = list.url.to_string();
    let (code, out, err) = edge(&scratch, &["discover", "--json", "--discovery.url", &url]).await;
    assert_eq!(code, Some(0), "{err}");
    let found: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        found["offers"],
        value!([{
            "address": orchestrator.url.to_string(), "app": "echo", "mode": "persistent",
            "price": "10 wei per second", "wei_per_hour": "36000",
            "eth_per_hour": "0.000000000000036", "capacity": 2, "free": 1, "certificate": "plain"
        }])
    );
    let reason = found["rejected"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("connection refused"), "{reason}");
    assert_eq!(
        (found["rejected"].as_array().expect("a list").len(), &found["malformed"]),
        (1, &value!(1))
    );
}

#[tokio::test]
async fn discover_applies_the_rules_of_the_configuration() {
    let scratch = Scratch::new("rules");
    let (_orchestrator, list) = market().await;
    let url = list.url.to_string();
    let arguments =
        ["discover", "--discovery.url", &url, "--payment.max-price", "9 wei per second"];
    let (code, out, err) = edge(&scratch, &arguments).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("ADDRESS"), "{out}");
    let (_, rejected) = out.split_once("Rejected:").expect("rejections");
    assert!(rejected.contains("over max-price 9 wei per second"), "{out}");
}

#[tokio::test]
async fn discover_without_any_list_fails_with_the_reason() {
    let scratch = Scratch::new("none");
    let url = nobody().await.to_string();
    let (code, out, err) = edge(&scratch, &["discover", "--discovery.url", &url]).await;
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("connection refused"), "{err}");
    let (code, _, err) = edge(&scratch, &["discover"]).await;
    assert_eq!(code, Some(2), "{err}");
}

#[cfg(feature = "sandbox")]
#[tokio::test]
async fn discover_asks_orchestrators_and_pins_nothing() {
    let scratch = Scratch::new("sandbox");
    let options = sandbox::Options { models: vec!["noop".into()], ..sandbox::Options::default() };
    let sandbox = sandbox::Sandbox::start(options).expect("a sandbox");
    let url = sandbox.url().to_string();
    let arguments = ["discover", "--json", "--orchestrator.urls", &url];
    let (code, out, err) = edge(&scratch, &arguments).await;
    assert_eq!(code, Some(0), "{err}");
    let found: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let offer = &found["offers"][0];
    assert_eq!(
        (&offer["model"], &offer["certificate"]),
        (&value!("noop"), &value!("new")),
        "{out}"
    );
    assert!(offer["answer_ms"].is_u64(), "{out}");
    let (_, pins, _) = edge(&scratch, &["trust", "list"]).await;
    assert_eq!(pins, "");
    let arguments = ["discover", "--orchestrator.urls", &url, "--job.model", "other"];
    let (_, out, _) = edge(&scratch, &arguments).await;
    assert!(out.contains("-: orchestrator is full, or does not have the model"), "{out}");
    let arguments = ["discover", "--orchestrator.urls", &url, "--orchestrator.trust", "ca"];
    let (_, out, _) = edge(&scratch, &arguments).await;
    assert!(out.contains("Rejected:") && out.contains("not signed by a known authority"), "{out}");
}

#[tokio::test]
async fn pins_are_listed_and_deleted() {
    let scratch = Scratch::new("pins");
    std::fs::create_dir_all(&*scratch).expect("a directory");
    let (a, b) = ("ab".repeat(32), "cd".repeat(32));
    let lines = format!("[::1]:8935 {a}\no.example:1 {a}\no.example:2 {b}\n");
    std::fs::write(scratch.join("certificates"), &lines).expect("a file");
    assert_eq!(edge(&scratch, &["trust", "list"]).await, (Some(0), lines, String::new()));
    let (code, out, _) = edge(&scratch, &["trust", "forget", "o.example"]).await;
    assert_eq!((code, out.as_str()), (Some(0), "o.example:1 forgotten\no.example:2 forgotten\n"));
    let (code, _, err) = edge(&scratch, &["trust", "forget", "o.example"]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("no certificate is pinned for `o.example`"), "{err}");
    let left = std::fs::read_to_string(scratch.join("certificates")).expect("the file");
    assert_eq!(left, format!("[::1]:8935 {a}\n"));
}
