//! Jobs on runners over real sockets: reservation, payment, start, update, stop, and the failures of each.
//!
//! Does not: send media.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod peer;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use livepeer_gateway::http::ServiceTrust;
use livepeer_gateway::http::io::service_client;
use livepeer_gateway::job::runner::{
    AppApi, CallOptions, RunnerError, RunnerJob, SingleShotCall, find_runners,
};
use livepeer_gateway::job::{JobError, StartedJob};
use livepeer_gateway::orchestrator::{DiscoveryList, Runner, TrustOptions};
use livepeer_gateway::payment::io::{PaymentOutcome, SignerOptions, Signers};
use livepeer_gateway::payment::{PaymentError, SessionOptions};
use livepeer_gateway::session::{Network, PaymentSetup};
use peer::{Body, Peer, Reply, Request, Scratch, body, edge, json, moved, nobody, text};
use resilience::fault::{Fault, chain};
use serde_json::{Map, Value, json as value};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

const PAYER: &str = "0x00112233445566778899aabbccddeeff00112233";

// ---------------------------------------------------------------------------------------------
// Signer, runner and orchestrator
// ---------------------------------------------------------------------------------------------

/// A signer that answers payments with these statuses in turn, then with 200.
async fn signer<const N: usize>(statuses: [u16; N]) -> Peer {
    let mut statuses = statuses.into_iter();
    let mut count = 0;
    Peer::start(move |request| {
        if request.line() == "POST /sign-orchestrator-info" {
            let signature = format!("0x{}", "11".repeat(65));
            return json(200, &value!({ "address": PAYER, "signature": signature }));
        }
        assert_eq!(request.line(), "POST /generate-live-payment");
        match statuses.next() {
            Some(status) if status != 200 => text(status, r#"{"error":{"message":"no"}}"#),
            _ => {
                count += 1;
                json(200, &value!({"payment": "cGF5", "segCreds": "c2Vn", "state": {"State": count, "Sig": "x"}}))
            }
        }
    })
    .await
}

fn network(signer: Option<&Peer>) -> Network {
    let payments = signer.map(|signer| {
        let options = SignerOptions { urls: vec![signer.url.clone()], ..SignerOptions::default() };
        let client = service_client(ServiceTrust::default()).expect("no file is needed");
        let signers = Arc::new(Signers::new(client, options).expect("a signer"));
        PaymentSetup {
            signers,
            options: SessionOptions { app: Some("edge".into()), ..SessionOptions::default() },
        }
    });
    Network::new(TrustOptions::Ca, None, payments)
}

/// A runner of the app `echo`. The function `change` gives its answers; where it returns `None`, the answer is correct.
struct World {
    orchestrator: Peer,
    runner: Runner,
}

impl World {
    async fn new(
        price: Option<&str>,
        change: impl FnMut(&Request) -> Option<Reply> + Send + 'static,
    ) -> Self {
        let (listener, base) = Peer::bind().await;
        Self::serve(listener, &base, price, change)
    }

    fn serve(
        listener: TcpListener,
        base: &str,
        price: Option<&str>,
        mut change: impl FnMut(&Request) -> Option<Reply> + Send + 'static,
    ) -> Self {
        let runner = runner(base, price);
        let (base, price) = (base.to_owned(), price.is_some());
        let orchestrator = Peer::serve(listener, move |request| {
            change(request).unwrap_or_else(|| good(&base, price, request))
        });
        Self { orchestrator, runner }
    }

    async fn start(&self, network: &Network) -> Result<StartedJob, JobError> {
        RunnerJob::start(network, self.runner.clone(), AppApi::echo(), &params()).await
    }

    fn count(&self, line: &str) -> usize {
        self.orchestrator.lines().iter().filter(|seen| *seen == line).count()
    }
}

fn params() -> Map<String, Value> {
    Map::from_iter([("mode".to_owned(), value!("gray"))])
}

fn runner(base: &str, unit: Option<&str>) -> Runner {
    let mut runner = value!({ "url": format!("{base}/apps/r/session"), "app": "echo" });
    if let Some(unit) = unit {
        runner["price_info"] = value!({ "price": 5, "currency": "wei", "unit": unit });
    }
    let list = value!([{ "address": base, "runners": [runner] }]);
    let list = DiscoveryList::parse(list.to_string().as_bytes()).expect("a list");
    list.entries[0].runners[0].clone()
}

fn challenge(base: &str) -> Value {
    value!({
        "payment_params": "cGFyYW1z", "manifest_id": "s1", "orchestrator": base,
        "payment_url": format!("{base}/apps/r/session/s1/payment"), "payment_interval_ms": 1000
    })
}

/// The answers of a correct orchestrator.
fn good(base: &str, priced: bool, request: &Request) -> Reply {
    match request.line().as_str() {
        "POST /apps/r/session" if priced && request.header("livepeer-payment").is_none() => {
            json(402, &challenge(base))
        }
        "POST /apps/r/session" => json(
            200,
            &value!({ "session_id": "s1", "app_url": format!("{base}/apps/r/session/s1/app") }),
        ),
        "POST /apps/r/session/s1/app/echo" => json(
            200,
            &value!({ "in": format!("{base}/t/s3cret"), "out": format!("{base}/t/s3cret-out") }),
        ),
        "POST /apps/r/session/s1/app/update" | "POST /apps/r/session/s1/payment" => text(200, ""),
        "POST /apps/r/session/s1/stop" => text(204, ""),
        "POST /refresh-payment" => json(200, &challenge(base)),
        other => panic!("{other}"),
    }
}

const RESERVE: &str = "POST /apps/r/session";
const START: &str = "POST /apps/r/session/s1/app/echo";
const PAYMENT: &str = "POST /apps/r/session/s1/payment";
const REFRESH: &str = "POST /refresh-payment";
const STOP: &str = "POST /apps/r/session/s1/stop";
const SIGN: &str = "POST /generate-live-payment";

fn runner_error(error: JobError) -> RunnerError {
    let JobError::Runner(error) = error else { panic!("{error}") };
    *error
}

// ---------------------------------------------------------------------------------------------
// Jobs
// ---------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_free_job_is_reserved_started_updated_and_stopped() {
    let world = World::new(None, |_| None).await;
    let mut job = world.start(&network(None)).await.expect("a job");
    assert_eq!(job.channels().manifest_id, "s1");
    assert_eq!(job.channels().publish.expose().path(), "/t/s3cret");
    assert!(job.take_payments().is_none());
    job.update(&params()).unwrap().await.expect("an update");
    assert!(!format!("{job:?}").contains("s3cret"));
    job.stop().await;
    let lines = [RESERVE, START, "POST /apps/r/session/s1/app/update", STOP];
    assert_eq!(world.orchestrator.lines(), lines);
    let seen = world.orchestrator.seen();
    assert_eq!(seen[1].json(), value!({ "mode": "gray" }));
    assert_eq!(seen[0].header("livepeer-payer-address"), None);
}

#[tokio::test]
async fn the_error_names_an_app_that_takes_no_parameters() {
    for (update, words) in [
        (None, "the app takes no parameters while it runs"),
        (Some("answer:/update"), "the app did not say where parameters go while it runs"),
    ] {
        let world = World::new(None, |_| None).await;
        let api = AppApi { update: update.map(|text| text.parse().unwrap()), ..AppApi::echo() };
        let job = RunnerJob::start(&network(None), world.runner.clone(), api, &params()).await;
        let job = job.expect("a job");
        let error = job
            .update(&params())
            .unwrap()
            .await
            .expect_err("the app has no address for parameters");
        assert_eq!(error.to_string(), words);
        job.stop().await;
    }
}

#[tokio::test]
async fn after_a_challenge_is_paid_the_same_request_is_sent_again() {
    for (unit, kind, goes_on) in
        [("seconds", "live", true), ("720p-pixel-seconds", "lv2v", true), ("fixed", "fixed", false)]
    {
        let signer = signer([]).await;
        let world = World::new(Some(unit), |_| None).await;
        let mut job = world.start(&network(Some(&signer))).await.expect("a job");
        assert_eq!(job.take_payments().is_some(), goes_on, "{unit}");
        job.stop().await;
        assert_eq!(world.orchestrator.lines(), [RESERVE, RESERVE, START, STOP]);
        let seen = world.orchestrator.seen();
        assert_eq!(seen[0].header("livepeer-payer-address"), Some(PAYER));
        assert_eq!(seen[0].header("livepeer-payment"), None);
        assert_eq!(seen[1].header("livepeer-payer-address"), Some(PAYER));
        assert_eq!(seen[1].header("livepeer-payment"), Some("cGF5"));
        assert_eq!(seen[1].header("livepeer-segment"), Some("c2Vn"));
        assert_eq!(
            seen[2].header("livepeer-payment"),
            None,
            "the request to the app has no payment"
        );
        let asked = signer.seen().pop().expect("a payment").json();
        let expected =
            value!({"orchestrator": "cGFyYW1z", "type": kind, "ManifestID": "s1", "app": "edge"});
        assert_eq!(asked, expected);
    }
}

#[tokio::test]
async fn after_an_expired_challenge_a_new_one_is_requested_at_most_three_times() {
    let signer_480 = signer([480, 480, 480]).await;
    let world = World::new(Some("seconds"), |_| None).await;
    let job = world.start(&network(Some(&signer_480))).await.expect("a job");
    job.stop().await;
    assert_eq!(world.count(RESERVE), 5);
    assert_eq!(world.count(REFRESH), 0, "there is no session to refresh yet");

    let signer_480 = signer([480, 480, 480, 480]).await;
    let world = World::new(Some("seconds"), |_| None).await;
    let error = world.start(&network(Some(&signer_480))).await.expect_err("no job");
    assert!(matches!(runner_error(error), RunnerError::NoEnd(_)));
    assert_eq!(world.orchestrator.lines(), [RESERVE; 4], "no payment and no stop");
}

#[tokio::test]
async fn each_refusal_of_the_signer_ends_the_start_with_its_own_error() {
    for (status, fault) in [
        (400, Fault::NextPeer),
        (401, Fault::Retry),
        (402, Fault::Retry),
        (403, Fault::Retry),
        (429, Fault::Retry),
        (481, Fault::NextPeer),
        (482, Fault::NextPeer),
        (483, Fault::Retry),
        (500, Fault::Retry),
        (503, Fault::Retry),
    ] {
        let signer = signer([status]).await;
        let world = World::new(Some("seconds"), |_| None).await;
        let error = world.start(&network(Some(&signer))).await.expect_err("no job");
        assert_eq!(error.fault(), fault, "{status}: {error}");
        assert_eq!(world.orchestrator.lines(), [RESERVE], "{status}");
    }
}

#[tokio::test]
async fn each_status_of_a_reservation_has_its_own_error_and_leaves_no_session() {
    for (status, words) in [
        (404, "no such runner"),
        (409, "in use"),
        (503, "no capacity"),
        (481, "price too high"),
        (400, "bad request"),
        (403, "not allowed"),
        (500, "it failed"),
        (302, "no success"),
    ] {
        let world = World::new(None, move |_| Some(text(status, "busy now"))).await;
        let error = world.start(&network(None)).await.expect_err("no job");
        let line = error.to_string();
        assert!(line.contains(words) && line.contains("busy now"), "{line}");
        assert_eq!(error.fault(), Fault::NextPeer);
        assert_eq!(world.orchestrator.lines(), [RESERVE]);
    }
    let world = World::new(None, |_| Some(text(480, ""))).await;
    assert!(world.start(&network(None)).await.is_err());
    assert_eq!(world.orchestrator.lines(), [RESERVE; 4]);
}

#[tokio::test]
async fn a_challenge_that_cannot_be_paid_is_named() {
    let world = World::new(Some("seconds"), |_| None).await;
    let error = runner_error(world.start(&network(None)).await.expect_err("no job"));
    assert!(matches!(error, RunnerError::NeedsSigner(_)), "{error}");

    let signer = signer([]).await;
    let network = network(Some(&signer));
    let mut free = World::new(Some("seconds"), |_| None).await;
    free.runner.price = None;
    let error = runner_error(free.start(&network).await.expect_err("no job"));
    assert!(matches!(error, RunnerError::NoPrice(_)), "{error}");

    for (key, url, stray) in [
        ("payment_url", "http://192.0.2.1/s3cret", "192.0.2.1:80 over plain HTTP"),
        ("orchestrator", "http://192.0.2.1/s3cret", "192.0.2.1:80 over plain HTTP"),
    ] {
        let world = World::new(Some("seconds"), move |_| {
            let mut challenge = challenge("http://127.0.0.1:1");
            challenge[key] = value!(url);
            Some(json(402, &challenge))
        })
        .await;
        let error = runner_error(world.start(&network).await.expect_err("no job"));
        assert!(
            matches!(&error, RunnerError::Stray(_, k, s) if *k == key && s.to_string().contains(stray))
        );
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    for body in ["", "{}", "[]", "<html>", r#"{"payment_params":"x","manifest_id":""}"#] {
        let world = World::new(Some("seconds"), move |_| Some(text(402, body))).await;
        let error = runner_error(world.start(&network).await.expect_err("no job"));
        assert!(matches!(error, RunnerError::Challenge(..)), "{error}");
    }
    assert!(!signer.lines().contains(&SIGN.to_owned()), "nothing was paid");
}

// ---------------------------------------------------------------------------------------------
// The stop
// ---------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_session_whose_app_does_not_start_is_stopped() {
    type Answer = fn() -> Reply;
    let answers: [(Answer, &str); 7] = [
        (|| text(500, "boom"), "start of the app refused: it failed (500: boom)"),
        (
            || text(404, ""),
            "start of the app refused: the app has no such path; check runner.start (404)",
        ),
        (|| text(200, "<html>"), "it is not JSON"),
        (|| text(200, "{}"), "`/in` is missing"),
        (|| text(200, r#"{"in":"http://192.0.2.1/s3cret"}"#), "plain HTTP"),
        (|| body(Body::Hangup), "start of the app failed: "),
        (|| text(200, &" ".repeat(2 << 20)), "longer than"),
    ];
    for (answer, words) in answers {
        let world = World::new(None, move |r| r.line().ends_with("/echo").then(answer)).await;
        let error = chain(&world.start(&network(None)).await.expect_err("no job"));
        assert!(error.contains(words), "{error}");
        assert!(!error.contains("s3cret") && !error.contains("/s1/"), "{error}");
        assert_eq!(world.orchestrator.lines(), [RESERVE, START, STOP]);
    }
}

#[tokio::test]
async fn a_session_with_an_unusable_app_url_is_stopped() {
    let world = World::new(None, |request| {
        let answer = value!({"session_id": "s1", "app_url": "http://192.0.2.1/s3cret"});
        (request.line() == RESERVE).then(|| json(200, &answer))
    })
    .await;
    let error = world.start(&network(None)).await.expect_err("no job").to_string();
    assert!(error.contains("plain HTTP") && !error.contains("s3cret"), "{error}");
    assert_eq!(world.orchestrator.lines(), [RESERVE, STOP]);
}

#[tokio::test]
async fn a_paid_reservation_without_an_answer_is_stopped() {
    let signer = signer([]).await;
    let world = World::new(Some("seconds"), |request| {
        request.header("livepeer-payment").is_some().then(|| body(Body::Hangup))
    })
    .await;
    let error = world.start(&network(Some(&signer))).await.expect_err("no job");
    assert!(error.to_string().starts_with("reservation failed"), "{error}");
    assert_eq!(world.orchestrator.lines(), [RESERVE, RESERVE, STOP]);
}

#[tokio::test]
async fn a_dropped_job_stops_its_session() {
    let world = World::new(None, |_| None).await;
    drop(world.start(&network(None)).await.expect("a job"));
    world.orchestrator.asked(STOP).await;
    assert_eq!(world.count(STOP), 1);
}

#[tokio::test]
async fn a_session_is_stopped_if_the_task_of_the_job_panics_or_is_aborted() {
    let world = World::new(None, |_| None).await;
    let job = world.start(&network(None)).await.expect("a job");
    let task = tokio::spawn(async move {
        let _held = job;
        panic!("a part panics");
    });
    assert!(task.await.is_err());
    world.orchestrator.asked(STOP).await;

    let silent = World::new(None, |r| r.line().ends_with("/echo").then(|| body(Body::Silence)));
    let silent = silent.await;
    let (network, runner) = (network(None), silent.runner.clone());
    let starting = tokio::spawn(async move {
        RunnerJob::start(&network, runner, AppApi::echo(), &params()).await.map(drop)
    });
    silent.orchestrator.asked(START).await;
    starting.abort();
    silent.orchestrator.asked(STOP).await;
}

#[tokio::test]
async fn a_stop_is_tried_twice_and_404_means_that_the_session_has_ended() {
    for (status, count) in [(204, 1), (200, 1), (404, 1), (500, 2), (503, 2)] {
        let world =
            World::new(None, move |r| r.line().ends_with("/stop").then(|| text(status, "")));
        let world = world.await;
        world.start(&network(None)).await.expect("a job").stop().await;
        assert_eq!(world.count(STOP), count, "{status}");
    }
}

// ---------------------------------------------------------------------------------------------
// Payments
// ---------------------------------------------------------------------------------------------

/// Runs the payments of a job until there are `count` outcomes. Returns the outcomes.
async fn pay(job: &mut StartedJob, count: usize) -> Vec<PaymentOutcome> {
    let payments = job.take_payments().expect("payments");
    let (media, flows) = watch::channel(());
    let (outcomes, mut came) = mpsc::channel(4);
    let mut all = Vec::new();
    let run = payments.run(flows, outcomes);
    let collect = async {
        media.send_replace(());
        while all.len() < count {
            all.push(came.recv().await.expect("an outcome").outcome);
        }
        drop(media);
    };
    let both = async { tokio::join!(run, collect) };
    tokio::time::timeout(Duration::from_secs(10), both).await.expect("outcomes in time");
    all
}

#[tokio::test]
async fn a_session_is_paid_by_the_interval_of_its_challenge() {
    let signer = signer([]).await;
    let world = World::new(Some("seconds"), |_| None).await;
    let mut job = world.start(&network(Some(&signer))).await.expect("a job");
    let outcomes = pay(&mut job, 1).await;
    assert!(matches!(outcomes[..], [PaymentOutcome::Paid]), "{outcomes:?}");
    job.stop().await;
    let seen = world.orchestrator.seen();
    let payment = seen.iter().find(|r| r.line() == PAYMENT).expect("a payment");
    assert_eq!(payment.header("livepeer-payment"), Some("cGF5"));
    assert!(payment.body.is_empty());
    let states: Vec<Value> = signer
        .seen()
        .iter()
        .filter(|r| r.line() == SIGN)
        .map(|r| r.json()["state"].clone())
        .collect();
    assert_eq!(states, [value!(null), value!({"State": 1, "Sig": "x"})]);
}

#[tokio::test]
async fn a_challenge_without_a_payment_url_is_paid_below_the_runner() {
    let signer = signer([]).await;
    let (listener, base) = Peer::bind().await;
    let mut bare = challenge(&base);
    bare["payment_url"] = value!(null);
    bare["orchestrator"] = value!("");
    let world = World::serve(listener, &base, Some("seconds"), move |request| {
        let wanted = request.line() == RESERVE && request.header("livepeer-payment").is_none();
        wanted.then(|| json(402, &bare))
    });
    let mut job = world.start(&network(Some(&signer))).await.expect("a job");
    assert!(matches!(pay(&mut job, 1).await[..], [PaymentOutcome::Paid]));
    assert_eq!(world.count(PAYMENT), 1);
    job.stop().await;
}

#[tokio::test]
async fn expired_terms_are_refreshed_at_the_orchestrator() {
    let signer = signer([200, 480]).await;
    let (listener, base) = Peer::bind().await;
    let mut fresh = challenge(&base);
    fresh["payment_params"] = value!("ZnJlc2g=");
    fresh["payment_url"] = value!("http://127.0.0.1:1/elsewhere");
    let world = World::serve(listener, &base, Some("seconds"), move |request| {
        (request.line() == REFRESH).then(|| json(200, &fresh))
    });
    let mut job = world.start(&network(Some(&signer))).await.expect("a job");
    assert!(matches!(pay(&mut job, 1).await[..], [PaymentOutcome::Paid]));
    job.stop().await;
    let seen = world.orchestrator.seen();
    let refresh = seen.iter().find(|r| r.line() == REFRESH).expect("a refresh");
    assert_eq!(refresh.json(), value!({ "sender": PAYER, "manifest_id": "s1" }));
    assert_eq!(world.count(PAYMENT), 1, "the payment URL is that of the first challenge");
    let last = signer.seen().pop().expect("a payment").json();
    assert_eq!(last["orchestrator"], "ZnJlc2g=");
    assert_eq!(last["state"], value!({"State": 1, "Sig": "x"}), "the signer's state is unchanged");
}

#[tokio::test]
async fn payments_end_if_the_session_no_longer_exists() {
    let signer = signer([]).await;
    let world = World::new(Some("seconds"), |r| (r.line() == PAYMENT).then(|| text(404, ""))).await;
    let mut job = world.start(&network(Some(&signer))).await.expect("a job");
    let outcomes = pay(&mut job, 1).await;
    let [PaymentOutcome::Failed(PaymentError::NotAccepted { status: 404, .. })] = outcomes[..]
    else {
        panic!("{outcomes:?}")
    };
    job.stop().await;
}

#[tokio::test]
async fn payments_that_are_due_while_the_app_starts_are_made() {
    let signer = signer([]).await;
    let (end, chunks) = mpsc::unbounded_channel();
    let mut chunks = Some(chunks);
    let (listener, base) = Peer::bind().await;
    let answer = value!({ "in": format!("{base}/t/in") }).to_string().into_bytes();
    let world = World::serve(listener, &base, Some("seconds"), move |request| {
        let slow = request.line() == START;
        slow.then(|| body(Body::Chunks(chunks.take().expect("one start"))))
    });
    let network = network(Some(&signer));
    let finish = async {
        world.orchestrator.asked(PAYMENT).await;
        end.send(answer).expect("the start waits");
        drop(end);
    };
    let (job, ()) = tokio::join!(world.start(&network), finish);
    job.expect("a job").stop().await;
    assert!(world.count(PAYMENT) >= 1);
}

#[tokio::test]
async fn a_start_is_given_up_and_its_session_stopped_if_a_payment_fails_permanently() {
    let signer = signer([]).await;
    let world = World::new(Some("seconds"), |request| match request.line().as_str() {
        START => Some(body(Body::Silence)),
        PAYMENT => Some(text(404, "")),
        _ => None,
    })
    .await;
    let error = world.start(&network(Some(&signer))).await.expect_err("no job");
    assert!(matches!(runner_error(error), RunnerError::NotPaid(_)));
    assert_eq!(world.count(STOP), 1);
}

// ---------------------------------------------------------------------------------------------
// Discovery and choice of a runner
// ---------------------------------------------------------------------------------------------

/// A discovery list of these runners, each at another orchestrator.
async fn list_of(runners: &[&Runner]) -> Peer {
    let entry = |runner: &Runner| {
        let mut named = value!({ "url": runner.url.to_string(), "app": "echo" });
        if runner.price.is_some() {
            named["price_info"] = value!({ "price": 5, "currency": "wei", "unit": "seconds" });
        }
        value!({ "address": runner.url.origin().to_string(), "runners": [named] })
    };
    let list = Value::Array(runners.iter().map(|runner| entry(runner)).collect());
    Peer::start(move |_| json(200, &list)).await
}

/// Runs a job of the app `echo` on the runners of `list`, until the job is lost or every runner has refused the job.
async fn run(name: &str, list: &Peer) -> (Option<i32>, String) {
    run_with(name, list, &[]).await
}

async fn run_with(name: &str, list: &Peer, more: &[&str]) -> (Option<i32>, String) {
    let scratch = Scratch::new(name);
    let url = list.url.to_string();
    let job = ["run", "--runner.app", "echo", "--discovery.url", &url, "--job.on-loss", "exit"];
    let small = ["--video.width", "320", "--video.height", "180", "--encoder.speed", "ultrafast"];
    let (code, _, err) = edge(&scratch, &[&job[..], &small[..], more].concat()).await;
    (code, err)
}

#[tokio::test]
async fn a_job_is_tried_on_each_runner_and_the_error_names_all_of_them() {
    let full = World::new(None, |_| Some(text(503, "full"))).await;
    let broken = World::new(None, |r| r.line().ends_with("/echo").then(|| text(500, ""))).await;
    let dead = runner(nobody().await.to_string().trim_end_matches('/'), None);
    let unusable = [&dead, &full.runner, &broken.runner];
    // The runner accepts one session, and deletes its channels right after the start.
    let mut sessions = 0;
    let good = World::new(None, move |request| {
        sessions += usize::from(request.line() == RESERVE);
        match request.line() {
            line if line.contains(" /t/") => Some(text(404, "")),
            _ if sessions > 1 => Some(text(503, "full")),
            _ => None,
        }
    })
    .await;
    let list = list_of(&[&unusable[..], &[&good.runner]].concat()).await;
    let (code, err) = run("next", &list).await;
    assert_eq!(code, Some(1), "{err}");
    assert!(broken.orchestrator.lines().starts_with(&[RESERVE, START, STOP].map(str::to_owned)));
    let mut good = good.orchestrator.lines();
    good.retain(|line| !line.contains(" /t/"));
    assert_eq!(good, [RESERVE, START, STOP, RESERVE], "{err}");

    let list = list_of(&unusable).await;
    let (code, err) = run("none", &list).await;
    assert_eq!(code, Some(1), "{err}");
    let last = err.lines().last().expect("the reason");
    for words in ["connection refused", "no capacity (503: full)", "start of the app refused"] {
        assert!(last.contains(words), "{err}");
    }
}

#[tokio::test]
async fn a_signer_that_is_down_ends_the_search_for_a_runner() {
    let signer = signer([503]).await;
    let (first, second) =
        (World::new(Some("seconds"), |_| None).await, World::new(Some("seconds"), |_| None).await);
    let list = list_of(&[&first.runner, &second.runner]).await;
    let (code, err) = run_with("unpaid", &list, &["--signer.urls", &signer.url.to_string()]).await;
    assert_eq!(code, Some(1), "{err}");
    assert!(second.orchestrator.lines().is_empty(), "{err}");
}

#[tokio::test]
async fn orchestrators_without_listed_runners_are_asked_for_their_runners() {
    let (listener, base) = Peer::bind().await;
    let own = value!([{ "runners": [
        { "url": format!("{base}/apps/r/session"), "app": "echo" },
        { "url": "nonsense", "app": "echo" },
    ]}]);
    let with = Peer::serve(listener, move |_| json(200, &own));
    let without = Peer::start(|_| text(404, "")).await;
    let named = World::new(None, |_| None).await;
    let dead = nobody().await;
    let mut list = DiscoveryList::named(&[
        with.url.clone(),
        without.url.clone(),
        dead.clone(),
        named.orchestrator.url.clone(),
    ]);
    list.entries[3].runners.push(named.runner.clone());
    let network = Network::new(TrustOptions::Ca, None, None);
    let mut rejected: Vec<String> = find_runners(&network, &mut list)
        .await
        .iter()
        .map(|rejection| format!("{} {}", rejection.candidate.authority(), rejection.reason))
        .collect();
    rejected.sort();
    assert_eq!(list.entries[0].runners.len(), 1);
    assert_eq!(list.malformed, 1);
    assert_eq!(with.lines(), ["GET /discovery"]);
    assert!(
        named.orchestrator.lines().is_empty(),
        "an orchestrator whose runners are listed is not asked"
    );
    assert_eq!(rejected.len(), 2, "{rejected:?}");
    assert!(rejected.iter().any(|r| r.contains("has no runners (404)")), "{rejected:?}");
    assert!(rejected.iter().any(|r| r.contains("connection refused")), "{rejected:?}");
}

// ---------------------------------------------------------------------------------------------
// Single-shot calls
// ---------------------------------------------------------------------------------------------

fn data() -> CallOptions {
    CallOptions {
        path: None,
        body: Bytes::from_static(b"hello"),
        content_type: HeaderValue::from_static("text/plain"),
    }
}

#[tokio::test]
async fn an_answer_is_returned_chunk_by_chunk() {
    let (send, chunks) = mpsc::unbounded_channel();
    let mut chunks = Some(chunks);
    let world =
        World::new(None, move |_| Some(body(Body::Chunks(chunks.take().expect("one call"))))).await;
    let mut call =
        SingleShotCall::start(&network(None), &world.runner, data()).await.expect("an answer");
    assert_eq!(call.content_type().expect("a type"), "text/event-stream");
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        send.send(event.as_bytes().to_vec()).expect("the reader waits");
        assert_eq!(call.next().await.expect("no error").expect("a piece"), event);
    }
    drop(send);
    assert!(call.next().await.expect("no error").is_none());
    let seen = world.orchestrator.seen();
    assert_eq!(
        (seen[0].body.as_slice(), seen[0].header("content-type")),
        (&b"hello"[..], Some("text/plain"))
    );
}

#[tokio::test]
async fn a_call_is_paid_before_and_while_it_answers() {
    let signer = signer([480]).await;
    let (send, chunks) = mpsc::unbounded_channel();
    let mut chunks = Some(chunks);
    let world = World::new(Some("seconds"), move |request| {
        let granted = request.line() == RESERVE && request.header("livepeer-payment").is_some();
        granted.then(|| body(Body::Chunks(chunks.take().expect("one answer"))))
    })
    .await;
    let network = network(Some(&signer));
    let mut call = SingleShotCall::start(&network, &world.runner, data()).await.expect("an answer");
    assert_eq!(world.orchestrator.lines(), [RESERVE; 3]);
    assert!(world.orchestrator.seen().iter().all(|r| r.body == b"hello"));
    let finish = async {
        world.orchestrator.asked(PAYMENT).await;
        send.send(b"done".to_vec()).expect("the reader waits");
        drop(send);
    };
    let (piece, ()) = tokio::join!(call.next(), finish);
    assert_eq!(piece.expect("no error").expect("a piece"), "done");
    assert!(call.next().await.expect("no error").is_none());
}

#[tokio::test]
async fn a_redirect_to_the_same_peer_is_followed_with_headers_and_body() {
    for status in [301, 307, 308] {
        let signer = signer([]).await;
        let world = World::new(Some("fixed"), move |request| {
            let paid = request.header("livepeer-payment").is_some();
            match request.line().as_str() {
                // The runner's HTTP router redirects before the runner demands a payment.
                RESERVE => Some(moved(status, "/apps/r/session/")),
                "POST /apps/r/session/" if paid => Some(text(200, "done")),
                _ => {
                    let host = request.header("host").expect("a host");
                    Some(json(402, &challenge(&format!("http://{host}"))))
                }
            }
        })
        .await;
        let network = network(Some(&signer));
        let mut call =
            SingleShotCall::start(&network, &world.runner, data()).await.expect("an answer");
        assert_eq!(call.next().await.expect("no error").expect("a piece"), "done");
        let moved_to = "POST /apps/r/session/";
        assert_eq!(world.orchestrator.lines(), [RESERVE, moved_to, moved_to]);
        assert!(world.orchestrator.seen().iter().all(|r| r.body == b"hello"));
        let paid = signer.lines().iter().filter(|line| *line == SIGN).count();
        assert_eq!(paid, 1, "{status}");
    }
}

#[tokio::test]
async fn a_redirected_call_is_paid_once() {
    let signer = signer([]).await;
    let world = World::new(Some("fixed"), |request| {
        let paid = request.header("livepeer-payment").is_some();
        match request.line().as_str() {
            RESERVE if paid => Some(moved(308, "/elsewhere")),
            "POST /elsewhere" if paid => Some(text(200, "done")),
            _ => None,
        }
    })
    .await;
    SingleShotCall::start(&network(Some(&signer)), &world.runner, data()).await.expect("an answer");
    assert_eq!(world.orchestrator.lines(), [RESERVE, RESERVE, "POST /elsewhere"]);
    assert_eq!(signer.lines().iter().filter(|line| *line == SIGN).count(), 1);
}

#[tokio::test]
async fn a_redirect_to_another_host_gets_neither_data_nor_payment() {
    let other = Peer::start(|_| text(200, "mine")).await;
    let elsewhere = other.url.join("/apps/r/app/").to_string();
    let world = World::new(None, move |_| Some(moved(307, &elsewhere))).await;
    let error = SingleShotCall::start(&network(None), &world.runner, data())
        .await
        .expect_err("another place");
    assert!(error.to_string().contains("the call is redirected to another host"), "{error}");
    assert_eq!(error.fault(), Fault::NextPeer);
    assert_eq!(other.lines().len(), 0);

    let world = World::new(None, |_| Some(moved(307, "/again"))).await;
    let error =
        SingleShotCall::start(&network(None), &world.runner, data()).await.expect_err("no end");
    assert!(error.to_string().contains("again and again"), "{error}");
    assert_eq!(world.orchestrator.lines().len(), 5);
}

#[tokio::test]
async fn a_failed_call_has_a_reason() {
    #[track_caller]
    fn check(error: &RunnerError, words: &str) {
        let text = chain(error);
        assert!(text.contains(words) && !text.contains("/apps/"), "{text}");
    }
    let network = network(None);
    let world = World::new(None, |_| Some(text(503, r#"{"error":{"message":"full"}}"#))).await;
    let error =
        SingleShotCall::start(&network, &world.runner, data()).await.expect_err("no answer");
    check(&error, "call refused: no capacity (503: full)");
    let world = World::new(None, |_| Some(body(Body::Hangup))).await;
    let error =
        SingleShotCall::start(&network, &world.runner, data()).await.expect_err("no answer");
    check(&error, "no HTTP answer");
    let gone = runner(nobody().await.to_string().trim_end_matches('/'), None);
    let error = SingleShotCall::start(&network, &gone, data()).await.expect_err("no answer");
    check(&error, "connection refused");
}

/// A discovery list that names the runner of `world` as a single-shot runner.
async fn single_shot(world: &World) -> Peer {
    let list = value!([{ "address": world.orchestrator.url.to_string(), "runners": [{
        "url": world.runner.url.to_string(), "app": "echo", "mode": "single-shot",
        "price_info": { "price": 5, "currency": "wei", "unit": "fixed" }
    }]}]);
    Peer::start(move |_| json(200, &list)).await
}

#[tokio::test]
async fn the_command_call_pays_sends_the_body_and_prints_the_answer() {
    let scratch = Scratch::new("call");
    std::fs::create_dir_all(&*scratch).expect("a directory");
    let data = scratch.join("data.txt");
    std::fs::write(&data, "hello").expect("a file");
    let signer = signer([]).await;
    let world = World::new(Some("fixed"), |request| {
        let paid = request.header("livepeer-payment").is_some();
        paid.then(|| text(200, &format!("{}!", String::from_utf8_lossy(&request.body))))
    })
    .await;
    let list = single_shot(&world).await;
    let (list, signer_url) = (list.url.to_string(), signer.url.to_string());
    let data = data.to_str().expect("UTF-8");
    let common = ["--discovery.url", &list, "--signer.urls", &signer_url];
    let call = ["call", "--app", "echo", "--data", data, "--type", "text/plain"];
    let (code, out, err) = edge(&scratch, &[&call[..], &common[..]].concat()).await;
    assert_eq!((code, out.as_str()), (Some(0), "hello!"), "{err}");
    assert!(!err.contains("cGF5"), "{err}");
    assert_eq!(signer.seen().pop().expect("a payment").json()["type"], "fixed");

    let limit = ["--payment.max-price", "4 wei per call"];
    let (code, out, err) = edge(&scratch, &[&call[..], &common[..], &limit[..]].concat()).await;
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("over max-price"), "{err}");
    let astray = ["call", "--app", "echo", "--path", "predict", "--data", data];
    let (code, _, err) = edge(&scratch, &[&astray[..], &common[..]].concat()).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("--path: `predict` is not a path; write one such as /v1/images"), "{err}");
    let other = ["call", "--app", "other", "--data", data];
    let (code, _, err) = edge(&scratch, &[&other[..], &common[..]].concat()).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("no runner of app `other` is known"), "{err}");
    let (code, _, err) = edge(&scratch, &["call", "--data", data, "--discovery.url", &list]).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("no app to call"), "{err}");
    let (code, _, err) =
        edge(&scratch, &["call", "--app", "echo", "--data", "/nowhere", "--discovery.url", &list])
            .await;
    assert_eq!(code, Some(1));
    assert!(err.contains("cannot read /nowhere"), "{err}");
}
