//! Which peers the program trusts. The rules are the same over its three protocols: gRPC, JSON calls and trickle
//! streams. Hosts may be names or IP addresses.
//!
//! Does not: test every combination of pins and certificates; the unit tests of `orchestrator::trust` do.
#![cfg(feature = "sandbox")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod edge;
mod peers;
mod skip;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use edge::{Edge, LIMIT, SMALL, temporary};
use livepeer_gateway::http::io::{Alpn, Client, Connector, HttpRequest};
use livepeer_gateway::http::{
    AnsweringPeer, Authority, CaVerdict, Distrust, Fingerprint, TrustPolicy, Url, Zone, follow,
};
use livepeer_gateway::limits::CALL_TIME;
use livepeer_gateway::orchestrator::{Capability, OnChange, Pipeline, TrustOptions};
use livepeer_gateway::segment::Seq;
use livepeer_gateway::session::{Network, OrchestratorSession};
use livepeer_gateway::trickle::io::{SegmentSink, Subscriber};
use livepeer_gateway::trickle::{Channel, ChannelKind};
use peers::{self_signed, serve_tls, signed};
use resilience::fault::{Fault, chain};
use resilience::stop::Stop;
use sandbox::{Handle, Options, Sandbox};

const TOFU: TrustOptions = TrustOptions::Tofu { on_change: OnChange::Follow };
const STRICT: TrustOptions = TrustOptions::Tofu { on_change: OnChange::Refuse };

fn sandbox() -> Handle {
    Sandbox::start(Options::default()).unwrap()
}

fn url(sandbox: &Handle) -> Url {
    Url::parse(&sandbox.url()).unwrap()
}

fn pin(sandbox: &Handle, print: Fingerprint) -> TrustOptions {
    TrustOptions::Pin(BTreeMap::from([(url(sandbox).authority().clone(), print)]))
}

struct Nothing;

impl SegmentSink for Nothing {
    fn begin(&mut self, _: Seq, _: &str) {}
    fn bytes(&mut self, _: &Bytes) {}
    fn end(&mut self, _: bool) {}
}

fn capability() -> Capability {
    Capability { pipeline: Pipeline::LIVE_VIDEO_TO_VIDEO, model: "any".to_owned() }
}

/// Connects over the three protocols, each with its own `Network`. Returns for each protocol the error, or `None`.
async fn ways(trust: &TrustOptions, state: Option<&Path>, url: &Url) -> [Option<String>; 3] {
    let network = || Network::new(trust.clone(), state, None);
    let session = OrchestratorSession::open(&network(), url, &capability()).await;
    let call =
        network().client.call(HttpRequest::get(url.join("/nothing")).within(CALL_TIME)).await;
    // The channel does not exist, which ends the subscription without an error.
    let channel = Channel::parse(&format!("{url}/ai/trickle/x"), ChannelKind::Events).unwrap();
    let channel = channel.followed(|channel| Ok::<_, ()>(channel.with_reach(url.reach()))).unwrap();
    let (_hold, stop) = Stop::new();
    let subscriber = Subscriber::new(Arc::clone(&network().connector), channel);
    let stream = subscriber.run(Nothing, stop).await;
    [
        session.err().map(|error| chain(&error)),
        call.err().map(|error| chain(&error)),
        stream.err().map(|error| chain(&error)),
    ]
}

/// Asserts that each protocol connects.
#[track_caller]
fn check_trusts(ways: [Option<String>; 3]) {
    assert_eq!(ways, [None, None, None]);
}

/// Asserts that each protocol fails with this error.
#[track_caller]
fn check_refuses(ways: [Option<String>; 3], url: &Url, words: &str) {
    for way in ways {
        let way = way.unwrap_or_else(|| panic!("trusted, but {words:?} was expected"));
        assert!(way.contains(&url.authority().to_string()) && way.contains(words), "{way}");
    }
}

#[tokio::test]
async fn the_first_certificate_of_a_host_is_pinned_over_each_protocol() {
    let (sandbox, state) = (sandbox(), temporary("pins"));
    let url = url(&sandbox);
    check_trusts(ways(&STRICT, Some(&state), &url).await);
    let (old, new) = (sandbox.fingerprint(), sandbox.change_certificate().unwrap());
    let pins = || std::fs::read_to_string(state.join("certificates")).unwrap();
    assert_eq!(pins(), format!("{} {old}\n", url.authority()));

    let words = format!("certificate {new} is not the pinned one {old}");
    check_refuses(ways(&STRICT, Some(&state), &url).await, &url, &words);
    assert_eq!(pins(), format!("{} {old}\n", url.authority()));
    check_trusts(ways(&TOFU, Some(&state), &url).await);
    assert_eq!(pins(), format!("{} {new}\n", url.authority()));
    check_trusts(ways(&STRICT, Some(&state), &url).await);
}

#[tokio::test]
async fn a_changed_certificate_is_followed_over_each_protocol() {
    let sandbox = sandbox();
    let (url, network) = (url(&sandbox), Network::new(TOFU, None, None));
    let call = || network.client.call(HttpRequest::get(url.join("/nothing")));
    OrchestratorSession::open(&network, &url, &capability()).await.unwrap();
    assert_eq!(call().await.unwrap().status, 404);
    sandbox.change_certificate().unwrap();
    assert_eq!(call().await.unwrap().status, 404);
    OrchestratorSession::open(&network, &url, &capability()).await.unwrap();
}

#[tokio::test]
async fn a_remote_peer_cannot_direct_the_program_to_an_address_of_its_own_computer() {
    let sandbox = sandbox();
    let url = url(&sandbox);
    check_trusts(ways(&TrustOptions::Insecure, None, &url).await);
    for reach in [Zone::Private, Zone::Public] {
        let given = url.clone().with_reach(reach);
        let words = "leads to 127.0.0.1, which is on this computer; refused";
        check_refuses(ways(&TrustOptions::Insecure, None, &given).await, &url, words);
    }
}

/// Accepts every certificate, and lists the peers, each with the orchestrator that named it.
#[derive(Debug, Default)]
struct Listing(Mutex<Vec<(String, Option<String>)>>);

impl TrustPolicy for Listing {
    fn judge(
        &self,
        peer: &Authority,
        under: Option<&Authority>,
        _: &Fingerprint,
        _: &CaVerdict,
    ) -> Result<(), Distrust> {
        let under = under.map(ToString::to_string);
        self.0.lock().unwrap().push((peer.to_string(), under));
        Ok(())
    }
}

#[tokio::test]
async fn a_certificate_is_judged_with_the_orchestrator_that_named_the_host_over_each_protocol() {
    let (certificate, key) = self_signed();
    let host =
        Url::parse(&format!("https://127.0.0.1:{}", serve_tls(vec![certificate], &key, &[])));
    let host = host.unwrap();
    let named_by = |orchestrator: &str| {
        let orchestrator = Url::parse(orchestrator).unwrap();
        follow(AnsweringPeer { url: &orchestrator, zone: Zone::ThisComputer }, host.clone())
            .unwrap()
    };
    let judge = Arc::new(Listing::default());
    let connector = Arc::new(Connector::new(judge.clone()));
    let client = Client::new(Arc::clone(&connector));
    let mut expected = Vec::new();
    for (url, under) in [
        (host.clone(), None),
        (named_by("https://localhost:1"), Some("localhost:1".to_owned())),
        (named_by("https://localhost:2"), Some("localhost:2".to_owned())),
    ] {
        drop(connector.connect(&url, Alpn::Http1).await.unwrap());
        // This call fails, because the answer is not HTTP.
        let _ = client.call(HttpRequest::get(url.clone()).within(CALL_TIME)).await;
        expected.extend([(); 2].map(|()| (url.authority().to_string(), under.clone())));
    }
    assert_eq!(*judge.0.lock().unwrap(), expected);
    assert_eq!(
        named_by(&host.to_string()).under(),
        None,
        "an orchestrator of the configuration is named by no other"
    );
}

#[tokio::test]
async fn only_the_pinned_certificate_is_accepted() {
    let sandbox = sandbox();
    let url = url(&sandbox);
    let print = sandbox.fingerprint();
    check_trusts(ways(&pin(&sandbox, print), None, &url).await);
    let other = Fingerprint([7; 32]);
    let words = format!("certificate {print} is not the pinned one {other}");
    check_refuses(ways(&pin(&sandbox, other), None, &url).await, &url, &words);
    let nobody = TrustOptions::Pin(BTreeMap::new());
    let words = format!("no certificate is pinned for this peer; it shows {print}");
    check_refuses(ways(&nobody, None, &url).await, &url, &words);
}

#[tokio::test]
async fn with_trust_ca_only_a_certificate_of_an_authority_is_accepted() {
    let sandbox = sandbox();
    let url = url(&sandbox);
    let words = "certificate is not signed by a known authority (";
    check_refuses(ways(&TrustOptions::Ca, None, &url).await, &url, words);
}

#[tokio::test]
async fn without_checks_every_certificate_is_accepted() {
    let sandbox = sandbox();
    let url = url(&sandbox);
    check_trusts(ways(&TrustOptions::Insecure, None, &url).await);
    sandbox.change_certificate().unwrap();
    check_trusts(ways(&TrustOptions::Insecure, None, &url).await);
}

#[tokio::test]
async fn a_copied_certificate_without_its_key_is_never_trusted() {
    let (certificate, _) = self_signed();
    let (_, other_key) = self_signed();
    let print = Fingerprint::of(&certificate);
    let port = serve_tls(vec![certificate], &other_key, &[]);
    let url = Url::parse(&format!("https://127.0.0.1:{port}")).unwrap();
    let pinned = TrustOptions::Pin(BTreeMap::from([(url.authority().clone(), print)]));
    for trust in [pinned, TOFU, TrustOptions::Insecure] {
        check_refuses(ways(&trust, None, &url).await, &url, "TLS failed: invalid peer certificate");
    }
}

#[tokio::test]
async fn a_peer_that_closes_the_connection_is_retried_and_one_with_another_protocol_is_not() {
    let fault = async |port: u16| {
        let network = Network::new(TOFU, None, None);
        let url = Url::parse(&format!("https://127.0.0.1:{port}")).unwrap();
        network.connector.connect(&url, Alpn::Http1).await.map(drop).unwrap_err().fault()
    };
    assert_eq!(fault(peers::nobody()).await, Fault::Retry);
    assert_eq!(fault(peers::closing()).await, Fault::Retry);
    assert_eq!(fault(peers::plain_http()).await, Fault::NextPeer);
}

/// Asserts that an orchestrator that listens on `listen` can be reached by the name `host`, or else by its address.
async fn check_host(listen: &str, host: Option<&str>) {
    let listen: SocketAddr = listen.parse().unwrap();
    let host = host.map(str::to_owned);
    let sandbox = Sandbox::start(Options { listen, host, ..Options::default() }).unwrap();
    let pinned = pin(&sandbox, sandbox.fingerprint());
    check_trusts(ways(&pinned, None, &url(&sandbox)).await);
}

#[tokio::test]
async fn a_host_may_be_a_name_or_an_address() {
    for host in [None, Some("localhost"), Some("LocalHost")] {
        check_host("127.0.0.1:0", host).await;
    }
}

#[tokio::test]
async fn a_host_may_be_an_ipv6_address() {
    if TcpListener::bind("[::1]:0").is_err() {
        return skip::skip("this computer has no IPv6 address ::1");
    }
    check_host("[::1]:0", None).await;
}

/// Starts a job. Several calls may share the state directory, one after another.
fn start(urls: &str, state: &Path, more: &[&str]) -> Edge {
    let job = ["run", "--orchestrator.urls", urls, "--job.model", "m"];
    let state = ["--state.directory", state.to_str().unwrap()];
    Edge::start(&[&job[..], &SMALL, &state, more].concat())
}

#[test]
fn the_system_authorities_are_trusted() {
    let (authority, certificate, key) = signed();
    let file = temporary("authorities.pem");
    std::fs::write(&file, authority).unwrap();
    let port = serve_tls(vec![certificate], &key, &[]);
    let job = |authorities: &Path| {
        let url = format!("https://127.0.0.1:{port}");
        let arguments = ["run", "--orchestrator.urls", &url, "--job.model", "m"];
        let more = ["--orchestrator.trust", "ca", "--job.on-loss", "exit"];
        let environment = [("SSL_CERT_FILE", authorities.to_str().unwrap())];
        Edge::start_with(&[&arguments[..], &SMALL, &more].concat(), &environment).end().with_code(1)
    };
    assert!(
        job(&file).error().contains(": does not speak HTTP/2"),
        "TLS succeeds, and only the protocol is wrong"
    );
    let unknown = job(Path::new("/dev/null"));
    assert!(unknown.error().contains(": not trusted: certificate is not signed by a known"));
}

#[tokio::test]
async fn a_changed_certificate_is_followed_with_a_warning_also_while_a_job_runs() {
    let (sandbox, state) = (sandbox(), temporary("pins"));
    let old = sandbox.fingerprint();
    let mut edge = start(&sandbox.url(), &state, &[]);
    let line = edge.hear(": first certificate ");
    assert!(line.starts_with("INFO ") && line.contains(&old.to_string()), "{line}");
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= 1).await);
    let new = sandbox.change_certificate().unwrap();
    let line = edge.hear("certificate changed from ");
    assert!(line.starts_with("WARN "), "{line}");
    assert!(line.ends_with(&format!("from {old} to {new}; pinned the new one")), "{line}");
    let before = sandbox.counters().segments;
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= before + 3).await);
    edge.signal("TERM");
    edge.end().with_code(0);
    assert_eq!((sandbox.counters().jobs, sandbox.violations().list()), (1, &[][..]));

    // The next run has the new certificate pinned, and refuses a third one.
    let third = sandbox.change_certificate().unwrap();
    let refuse = ["--orchestrator.on-change", "refuse", "--job.on-loss", "exit"];
    let ended = start(&sandbox.url(), &state, &refuse).end().with_code(1);
    let authority = sandbox.address();
    let words =
        format!("error: {authority}: not trusted: certificate {third} is not the pinned one {new}");
    assert_eq!(ended.error(), words);
}

#[tokio::test]
async fn disabled_certificate_checks_are_a_warning() {
    let (sandbox, state) = (sandbox(), temporary("pins"));
    let mut edge = start(&sandbox.url(), &state, &["--orchestrator.trust", "insecure"]);
    let line = edge.hear("insecure");
    assert!(line.starts_with("WARN ") && line.contains("NOT checked"), "{line}");
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= 1).await);
    edge.signal("TERM");
    edge.end().with_code(0);
    assert!(!state.join("certificates").exists(), "nothing is pinned");
}
