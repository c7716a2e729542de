//! Tests payments over real sockets on loopback, with scripted signers and orchestrators.
//!
//! Does not: check what the pure files decide; their own tests do.

mod budget;
mod peer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use self::peer::{Peer, RecordedRequest, ScriptedReply, client, nobody};
use super::*;
use crate::http::Url;
use crate::payment::{PaymentError, PaymentKind, PaymentSession, Refusal, SessionOptions, Terms};
use resilience::fault::{Failure, Fault, chain};
use resilience::secret::{Secret, SecretSource};

fn signers(urls: &[&Url]) -> Arc<Signers> {
    let secret = SecretSource::Given(Secret::new("Bearer hunter2"));
    let options = SignerOptions {
        urls: urls.iter().map(|url| (*url).clone()).collect(),
        headers: vec![(http::header::AUTHORIZATION, secret)],
        allow_plain_http: false,
    };
    Arc::new(Signers::new(client(), options).unwrap())
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn payment(state: &str) -> ScriptedReply {
    let state = json!({"State": state, "Sig": "c2ln"});
    (
        200,
        "",
        json!({"payment": "cGF5", "segCreds": "c2Vn", "state": state}).to_string().into_bytes(),
    )
}

fn refusal(status: u16, message: &str) -> ScriptedReply {
    (status, "", json!({"error": {"message": message}}).to_string().into_bytes())
}

fn signature() -> ScriptedReply {
    let body = json!({"address": format!("0x{}", "ab".repeat(20)), "signature": format!("0x{}", "01".repeat(65))});
    (200, "", body.to_string().into_bytes())
}

fn session(kind: PaymentKind) -> PaymentSession {
    let terms = Terms::Params("b2xk".into());
    PaymentSession::new(kind, terms, Some("m".into()), SessionOptions::default()).unwrap()
}

/// A source of scripted fresh terms.
struct ScriptedTerms(Vec<Terms>);

impl TermsSource for ScriptedTerms {
    fn fresh_terms<'a>(&'a mut self, manifest_id: Option<&'a str>) -> TermsFuture<'a> {
        assert_eq!(manifest_id, Some("m"));
        let terms = self.0.pop().ok_or(Failure::of_peer("no more", Fault::Retry));
        Box::pin(std::future::ready(terms))
    }
}

fn fresh() -> Terms {
    Terms::Params("bmV3".into())
}

fn payer(signer: &Peer, kind: PaymentKind, fresh: Vec<Terms>, now: Instant) -> Payer {
    Payer::new(signers(&[&signer.url]), client(), session(kind), None, ScriptedTerms(fresh), now)
}

#[tokio::test]
async fn the_signature_is_requested_once_with_the_headers() {
    let signer = Peer::script(vec![signature()]).await;
    let signers = signers(&[&signer.url]);
    let (one, two) = tokio::join!(signers.signature(), signers.signature());
    assert_eq!(one.unwrap(), two.unwrap());
    let seen = signer.seen();
    assert_eq!((seen.len(), seen[0].path()), (1, "/sign-orchestrator-info"));
    assert_eq!(seen[0].body, b"{}");
    assert_eq!(seen[0].header("authorization"), Some("Bearer hunter2"));
}

#[tokio::test]
async fn a_signer_on_another_computer_needs_https() {
    let check = |text: &str, allow_plain_http: bool, ok: bool| {
        let options = SignerOptions {
            urls: vec![Url::parse(text).unwrap()],
            headers: vec![],
            allow_plain_http,
        };
        assert_eq!(Signers::new(client(), options).is_ok(), ok, "{text}");
    };
    check("http://192.0.2.1:1", false, false);
    check("http://192.0.2.1:1", true, true);
    check("https://192.0.2.1:1", false, true);
    check("http://localhost:1", false, true);
    check("http://[::1]:1", false, true);
    let none = Signers::new(client(), SignerOptions::default()).unwrap_err();
    assert_eq!(none.fault(), Fault::GiveUp);
}

#[tokio::test]
async fn the_next_signer_takes_over_from_one_that_is_down_and_keeps_the_session() {
    let gone = nobody().await;
    let down = Peer::script(vec![refusal(503, "starting")]).await;
    let up = Peer::script(vec![payment("one"), payment("two")]).await;
    let signers = signers(&[&gone, &down.url, &up.url]);
    let mut session = session(PaymentKind::Live);
    assert!(signers.payment(&mut session, Instant::now()).await.unwrap().made.opens);
    assert!(!signers.payment(&mut session, Instant::now()).await.unwrap().made.opens);
    assert_eq!(down.seen().len(), 1, "the one that answered is asked first from then on");
    let seen = up.seen();
    assert_eq!(seen[0].json()["state"], Value::Null);
    assert_eq!(seen[1].json()["state"]["State"], "one");
}

#[tokio::test]
async fn a_session_survives_failures_of_all_signers() {
    let broken = || refusal(500, "broken");
    let one = Peer::script(vec![payment("one"), broken(), payment("two")]).await;
    let two = Peer::script(vec![broken()]).await;
    let signers = signers(&[&one.url, &two.url]);
    let mut session = session(PaymentKind::Live);
    let now = Instant::now();
    assert!(signers.payment(&mut session, now).await.unwrap().made.opens);
    let error = signers.payment(&mut session, now).await.unwrap_err();
    assert!(matches!(error, PaymentError::Refused { status: 500, .. }), "{error}");
    let later = now + error.retry_after().unwrap();
    let made = signers.payment(&mut session, later + Duration::from_secs(1)).await.unwrap();
    assert!(!made.made.opens, "nothing was dropped");
    assert_eq!((one.seen().len(), two.seen().len()), (3, 1));
    assert_eq!(one.seen()[2].json()["state"]["State"], "one");
}

#[tokio::test]
async fn the_error_names_the_signer_without_a_secret() {
    let signer = Peer::script(vec![
        refusal(483, "account of Bearer hunter2 is empty"),
        (401, "", b"who is hunter2?".to_vec()),
        (200, "", br#"{"payment":"hunter2"}"#.to_vec()),
    ])
    .await;
    let mut session = session(PaymentKind::Lv2v);
    let host = signer.url.authority();
    for expected in [
        format!(
            "signer {host} has no balance left for this credential; fill it up (status 483: account of *** is empty)"
        ),
        format!(
            "signer {host} refuses the credential, or wants one; check signer.headers (status 401: who is ***?)"
        ),
        format!("signer {host}: answer has no usable `segCreds`"),
    ] {
        let asked = signers(&[&signer.url]);
        let error = asked.payment(&mut session, Instant::now()).await.unwrap_err();
        assert_eq!((error.to_string(), error.fault()), (expected, Fault::Retry));
        assert!(!format!("{error:?}").contains("hunter2"));
    }
    let gone = nobody().await;
    let error = signers(&[&gone]).payment(&mut session, Instant::now()).await.unwrap_err();
    assert_eq!(error.refusal(), Refusal::Down);
    assert!(chain(&error).ends_with("connection refused; nothing listens on this port"), "{error}");
}

#[tokio::test]
async fn an_hour_of_live_video_is_paid_in_order() {
    let mut calls = 0;
    let signer = Peer::start(move |request| {
        let json = request.json();
        let state = &json["state"]["State"];
        assert_eq!(*state, if calls == 0 { Value::Null } else { json!(calls.to_string()) });
        calls += 1;
        payment(&calls.to_string())
    })
    .await;
    let orchestrator = Peer::script(vec![(200, "", vec![0x82, 0x01, 3, b'n', b'e', b'w'])]).await;
    let url = orchestrator.url.join("/payment");
    let mut now = Instant::now();
    let info = Terms::Info(b"old"[..].into());
    let session =
        PaymentSession::new(PaymentKind::Lv2v, info, None, SessionOptions::default()).unwrap();
    let fresh = ScriptedTerms(vec![]);
    let mut payer = Payer::new(signers(&[&signer.url]), client(), session, None, fresh, now);
    let _headers = payer.open(now, 0.5).await.unwrap();
    payer.opened("job", now).unwrap();
    for _ in 0..720 {
        now += Duration::from_secs(6);
        assert!(matches!(
            payer.turn(&url, PayerEvent::Media, now, 0.5).await,
            PaymentOutcome::Paid
        ));
        let left = payer.paid_for(now).unwrap();
        assert!((58..=60).contains(&left.as_secs()), "{left:?}");
    }
    let (asked, paid) = (signer.seen(), orchestrator.seen());
    assert_eq!((asked.len(), paid.len()), (721, 720));
    let keys = |request: &RecordedRequest| {
        request.json().as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(keys(&asked[0]), ["orchestrator", "type"]);
    assert_eq!(keys(&asked[1]), ["ManifestID", "orchestrator", "state", "type"]);
    assert_eq!(asked[1].json()["orchestrator"], "b2xk");
    assert_eq!(asked[2].json()["orchestrator"], "b2xk", "and not the info of the answer");
    assert_eq!(paid[0].header("livepeer-payment"), Some("cGF5"));
    assert_eq!(paid[0].header("livepeer-segment"), Some("c2Vn"));
    assert_eq!((paid[0].path(), paid[0].body.len()), ("/payment", 0));
    assert_eq!(paid[0].header("authorization"), None, "that is for the signer alone");
}

#[tokio::test]
async fn expired_terms_are_fetched_again() {
    let signer =
        Peer::script(vec![refusal(480, "refresh"), refusal(480, "refresh"), payment("one")]).await;
    let orchestrator = Peer::script(vec![(200, "", vec![])]).await;
    let now = Instant::now();
    let mut payer = payer(&signer, PaymentKind::Live, vec![fresh(), fresh()], now);
    assert!(matches!(
        payer.turn(&orchestrator.url, PayerEvent::Tick, now, 0.5).await,
        PaymentOutcome::Paid
    ));
    let terms: Vec<Value> =
        signer.seen().iter().map(|r| r.json()["orchestrator"].clone()).collect();
    assert_eq!(terms, ["b2xk", "bmV3", "bmV3"]);
}

#[tokio::test]
async fn terms_that_stay_expired_lead_to_the_next_orchestrator() {
    let signer = Peer::script(vec![refusal(480, "refresh")]).await;
    let now = Instant::now();
    let mut payer = payer(&signer, PaymentKind::Live, (0..9).map(|_| fresh()).collect(), now);
    let outcome = payer.turn(&signer.url, PayerEvent::Tick, now, 0.5).await;
    assert!(matches!(outcome, PaymentOutcome::Leave(_)), "{outcome:?}");
    assert_eq!(signer.seen().len(), 4);
}

#[tokio::test]
async fn a_failed_refresh_is_tried_again_later() {
    let signer = Peer::script(vec![refusal(480, "refresh")]).await;
    let now = Instant::now();
    let mut payer = payer(&signer, PaymentKind::Live, vec![], now);
    let outcome = payer.turn(&signer.url, PayerEvent::Tick, now, 0.5).await;
    assert!(matches!(outcome, PaymentOutcome::Later(PaymentError::NoFreshTerms(_))), "{outcome:?}");
    assert!(payer.poll_timeout().unwrap() > now);
}

/// Checks the outcome of a turn after a single refusal of the signer.
async fn check(status: u16, expected: &str) {
    let signer = Peer::script(vec![refusal(status, "because")]).await;
    let now = Instant::now();
    let mut payer = payer(&signer, PaymentKind::Lv2v, vec![], now);
    let outcome = format!("{:?}", payer.turn(&signer.url, PayerEvent::Tick, now, 0.5).await);
    assert!(outcome.starts_with(expected), "{status}: {outcome}");
    assert_eq!(signer.seen().len(), 1, "{status}: asked once");
}

#[tokio::test]
async fn each_status_of_the_signer_has_its_outcome() {
    check(400, "Failed").await;
    check(401, "Later").await;
    check(402, "Later").await;
    check(403, "Later").await;
    check(404, "Later").await;
    check(429, "Later").await;
    check(481, "Leave").await;
    check(482, "Skipped").await;
    check(483, "Later").await;
    check(500, "Later").await;
    check(503, "Later").await;
    check(302, "Later").await;
}

/// A file with a credential, which is removed when this value is dropped.
struct KeyFile(std::path::PathBuf);

impl KeyFile {
    fn new(name: &str) -> Self {
        let file = Self(std::env::temp_dir().join(format!("{name}-{}", std::process::id())));
        file.write("one");
        file
    }

    fn write(&self, key: &str) {
        std::fs::write(&self.0, format!("{key}\n")).unwrap();
    }

    fn signers(&self, signer: &Peer) -> Arc<Signers> {
        let options = SignerOptions {
            urls: vec![signer.url.clone()],
            headers: vec![(http::header::AUTHORIZATION, SecretSource::File(self.0.clone()))],
            allow_plain_http: false,
        };
        Arc::new(Signers::new(client(), options).unwrap())
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn a_changed_credential_is_used_and_an_unreadable_state_is_dropped() {
    let key = KeyFile::new("signer-key");
    let signer = Peer::script(vec![
        payment("one"),
        refusal(401, "expired"),
        refusal(500, "remote signer auth ID changed"),
        payment("two"),
    ])
    .await;
    let orchestrator = Peer::script(vec![(200, "", vec![])]).await;
    let mut now = Instant::now();
    let fresh = ScriptedTerms(vec![]);
    let (signers, session) = (key.signers(&signer), session(PaymentKind::Lv2v));
    let mut payer = Payer::new(signers, client(), session, None, fresh, now);
    let url = &orchestrator.url;
    assert!(matches!(payer.turn(url, PayerEvent::Tick, now, 0.5).await, PaymentOutcome::Paid));
    key.write("two");
    now += Duration::from_secs(6);
    assert!(matches!(payer.turn(url, PayerEvent::Media, now, 0.5).await, PaymentOutcome::Paid));
    let seen = signer.seen();
    let told: Vec<_> = seen
        .iter()
        .map(|r| (r.header("authorization").unwrap(), r.json()["state"]["State"].clone()))
        .collect();
    let one = json!("one");
    assert_eq!(
        told,
        [("one", Value::Null), ("one", one.clone()), ("two", one), ("two", Value::Null)]
    );
}

#[tokio::test]
async fn a_refused_credential_is_not_sent_again_until_it_changes() {
    let key = KeyFile::new("refused-key");
    let signer = Peer::start(|request| match request.header("authorization") {
        Some("two") => payment("one"),
        _ => refusal(401, "expired"),
    })
    .await;
    let (signers, mut session) = (key.signers(&signer), session(PaymentKind::Lv2v));
    let now = Instant::now();
    for second in 0..10 {
        let error = signers.payment(&mut session, now + seconds(second)).await.unwrap_err();
        assert_eq!((error.refusal(), error.fault()), (Refusal::Credential, Fault::Retry));
        assert!(error.retry_after().unwrap() <= seconds(15), "the credential is read again");
    }
    assert_eq!(signer.seen().len(), 1);
    key.write("two");
    assert!(signers.payment(&mut session, now + seconds(10)).await.is_ok());
    assert_eq!(signer.seen().len(), 2);
}

#[tokio::test]
async fn a_rate_limited_signer_is_asked_once_for_all_sessions() {
    let wait = (429, "Retry-After: 600\r\n", b"slow down".to_vec());
    let signer = Peer::script(vec![signature(), wait]).await;
    let signers = signers(&[&signer.url]);
    signers.signature().await.unwrap();
    let began = Instant::now();
    // Five orchestrators, each tried every second for ten minutes.
    for second in 0..600 {
        let now = began + seconds(second);
        for _ in 0..5 {
            let (signers, session) = (Arc::clone(&signers), session(PaymentKind::Lv2v));
            let mut payer =
                Payer::new(signers, client(), session, None, ScriptedTerms(vec![]), now);
            let Err(PaymentOutcome::Later(error)) = payer.open(now, 0.5).await else {
                panic!("a payment")
            };
            let PaymentError::Refused { status: 429, retry_after: Some(left), .. } = error else {
                panic!("{error}")
            };
            // Jitter adds up to a tenth.
            let least = seconds(600 - second);
            assert!((least - seconds(1)..=least + seconds(60)).contains(&left), "{left:?}");
        }
    }
    assert_eq!(signer.seen().len(), 2);
    // During that time no orchestrator is asked either, because no payment is possible.
    let error = signers.signature().await.unwrap_err();
    assert_eq!((error.refusal(), error.fault()), (Refusal::Limited, Fault::Retry));
    assert!(error.retry_after().unwrap() > seconds(590), "{error}");
}

#[tokio::test]
async fn a_signer_that_is_down_is_tried_by_one_session_of_many() {
    let signer = Peer::script(vec![refusal(503, "starting")]).await;
    let signers = signers(&[&signer.url]);
    let began = Instant::now();
    for tenth in 0..600 {
        let now = began + seconds(1) * tenth / 10;
        let error = signers.payment(&mut session(PaymentKind::Live), now).await.unwrap_err();
        assert!(error.retry_after().unwrap() <= seconds(10), "{error}");
    }
    // The pauses are 1, 2, 4, 8, 10, 10, 10, 10 s, or with jitter down to half of that.
    let calls = signer.seen().len();
    assert!((7..=16).contains(&calls), "{calls} calls in a minute");
}

#[tokio::test]
async fn a_payment_that_was_never_sent_is_sent_before_a_new_one_is_made() {
    let signer = Peer::script(vec![payment("one")]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = Url::parse(&format!("http://{address}")).unwrap();
    let now = Instant::now();
    let mut payer = payer(&signer, PaymentKind::Lv2v, vec![], now);
    let outcome = payer.turn(&url, PayerEvent::Tick, now, 0.5).await;
    assert!(matches!(outcome, PaymentOutcome::Later(PaymentError::NotDelivered(_))), "{outcome:?}");
    let orchestrator =
        Peer::serve(TcpListener::bind(address).await.unwrap(), |_| (200, "", vec![]));
    let later = now + Duration::from_secs(60);
    assert!(matches!(
        payer.turn(&orchestrator.url, PayerEvent::Tick, later, 0.5).await,
        PaymentOutcome::Paid
    ));
    assert_eq!((signer.seen().len(), orchestrator.seen().len()), (1, 1));
    assert_eq!(payer.paid_for(later).map(|left| left.as_secs() >= 59), Some(true));
}

/// Checks the outcome of a turn after this status of the orchestrator, which gives no fresh terms.
async fn check_delivery(status: u16, expected: &str) {
    let signer = Peer::script(vec![payment("one")]).await;
    let orchestrator = Peer::script(vec![(status, "", b"because of cGF5".to_vec())]).await;
    let now = Instant::now();
    let mut payer = payer(&signer, PaymentKind::Lv2v, vec![], now);
    let outcome = payer.turn(&orchestrator.url, PayerEvent::Tick, now, 0.5).await;
    let outcome = format!("{outcome:?}");
    assert!(outcome.starts_with(expected) && !outcome.contains("cGF5"), "{status}: {outcome}");
    assert_eq!(payer.paid_for(now), Some(Duration::ZERO), "{status}");
}

#[tokio::test]
async fn a_payment_that_is_not_accepted_pays_for_nothing() {
    check_delivery(404, "Failed(NotAccepted").await;
    check_delivery(500, "Later(NotAccepted").await;
    check_delivery(400, "Later(NoFreshTerms").await;
    check_delivery(403, "Later(NoFreshTerms").await;
}

#[tokio::test]
async fn a_partly_refused_payment_is_not_made_again() {
    let signer = Peer::script(vec![payment("one"), payment("two")]).await;
    let too_many = b"invalid ticket senderNonce: too many values".to_vec();
    let orchestrator = Peer::script(vec![(400, "", too_many), (200, "", vec![])]).await;
    let mut now = Instant::now();
    let mut payer = payer(&signer, PaymentKind::Lv2v, vec![fresh()], now);
    let outcome = payer.turn(&orchestrator.url, PayerEvent::Tick, now, 0.5).await;
    assert!(
        matches!(outcome, PaymentOutcome::Later(PaymentError::NotAccepted { .. })),
        "{outcome:?}"
    );
    assert_eq!(signer.seen().len(), 1);
    now += seconds(6);
    assert!(matches!(
        payer.turn(&orchestrator.url, PayerEvent::Media, now, 0.5).await,
        PaymentOutcome::Paid
    ));
    let seen = signer.seen();
    assert_eq!(seen.len(), 2);
    // With fresh terms, the signer continues from its own count.
    assert_eq!(
        (&seen[1].json()["orchestrator"], &seen[1].json()["state"]["State"]),
        (&json!("bmV3"), &json!("one"))
    );
}

#[tokio::test]
async fn a_signer_that_floods_is_cut_off() {
    let signer = Peer::script(vec![(200, "", vec![b'['; 2 << 20])]).await;
    let error = signers(&[&signer.url])
        .payment(&mut session(PaymentKind::Lv2v), Instant::now())
        .await
        .unwrap_err();
    assert!(chain(&error).contains("longer than 1048576 bytes"), "{error}");
}

#[tokio::test]
async fn a_running_payer_pays_and_ends_with_its_session() {
    let signer = Peer::script(vec![payment("one")]).await;
    let orchestrator = Peer::script(vec![(200, "", vec![])]).await;
    let (media, flows) = watch::channel(());
    let (outcomes, mut told) = mpsc::channel(1);
    let payer = payer(&signer, PaymentKind::Fixed, vec![], Instant::now());
    let task = tokio::spawn(payer.run(orchestrator.url.clone(), flows, outcomes));
    assert!(matches!(told.recv().await, Some(PayerReport { outcome: PaymentOutcome::Paid, .. })));
    media.send(()).unwrap();
    drop(media);
    task.await.unwrap();
    assert!(told.recv().await.is_none());
}

#[tokio::test]
async fn a_running_payer_leaves_when_the_price_is_too_high() {
    let signer = Peer::script(vec![refusal(481, "too much")]).await;
    let (_media, flows) = watch::channel(());
    let (outcomes, mut told) = mpsc::channel(1);
    let payer = payer(&signer, PaymentKind::Lv2v, vec![], Instant::now());
    let task = tokio::spawn(payer.run(signer.url.clone(), flows, outcomes));
    assert!(matches!(
        told.recv().await,
        Some(PayerReport { outcome: PaymentOutcome::Leave(_), .. })
    ));
    task.await.unwrap();
}
