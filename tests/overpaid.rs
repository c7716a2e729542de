//! No job is overpaid: compares the payments with the ledger of the sandbox, which rounds, counts and refuses like the
//! real signer and orchestrator. The clocks of payer and sandbox are advanced together, so that hours pass in a moment.
//!
//! Does not: test the video of paid jobs; `paid` does.
#![cfg(feature = "sandbox")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod sandbox_client;

use std::time::{Duration, Instant};

use http::HeaderMap;
use livepeer_gateway::http::Url;
use livepeer_gateway::job::{JobError, JobOptions, JobPayments, LiveVideoJob, StartedJob};
use livepeer_gateway::payment::io::{
    Payer, PayerEvent, PaymentOutcome, TermsFuture, TermsRefresh, TermsSource,
};
use livepeer_gateway::payment::{
    Challenge, PaymentError, PaymentKind, PaymentSession, SessionOptions,
};
use livepeer_gateway::price::PriceUnit;
use livepeer_gateway::session::{Network, OrchestratorSession};
use resilience::fault::Fault;
use sandbox::{
    Account, CallFailure, Endpoint, Failure, Handle, Options, RunnerOptions, Sandbox,
    SignerOptions, Target,
};
use sandbox_client::{network, post, seconds};

const PAYER_HEADER: &str = "Livepeer-Payer-Address";
const RESERVE: &str = "/apps/r0/session";

/// The payments of one job or session. The clock is advanced together with that of the sandbox.
struct Paying {
    sandbox: Handle,
    payer: Payer,
    url: Url,
    manifest: String,
    began: Instant,
    ahead: Duration,
}

impl Paying {
    fn new(sandbox: Handle, payer: Payer, url: Url, manifest: String) -> Self {
        Self { sandbox, payer, url, manifest, began: Instant::now(), ahead: Duration::ZERO }
    }

    fn now(&self) -> Instant {
        Instant::now() + self.ahead
    }

    /// The time since the job began.
    fn used(&self) -> Duration {
        self.now() - self.began
    }

    fn account(&self) -> Account {
        self.sandbox.ledger().account(&self.manifest).unwrap().clone()
    }

    /// Advances to the next event, which is a segment of media each second or a due payment. Returns the outcome.
    async fn step(&mut self) -> PaymentOutcome {
        let media = self.now() + seconds(1);
        let due = self.payer.poll_timeout().filter(|due| *due < media);
        let next = due.unwrap_or(media);
        let wait = next.saturating_duration_since(self.now());
        self.sandbox.advance(wait);
        self.ahead += wait;
        let event = if due.is_some() { PayerEvent::Tick } else { PayerEvent::Media };
        self.payer.turn(&self.url, event, self.now(), 0.5).await
    }

    /// Advances by `time`. Asserts that every payment succeeds.
    async fn go_on(&mut self, time: Duration) {
        let end = self.now() + time;
        while self.now() < end {
            let outcome = self.step().await;
            assert!(
                matches!(outcome, PaymentOutcome::NotYet | PaymentOutcome::Paid),
                "{outcome:?}"
            );
        }
    }
}

fn paying() -> Options {
    Options {
        price: Some(10),
        signer: Some(SignerOptions::default()),
        ticket: seconds(1),
        ..Options::default()
    }
}

async fn start(network: &Network, sandbox: &Handle) -> Result<StartedJob, JobError> {
    let url = Url::parse_base(&sandbox.url(), 0).unwrap();
    let capability = "live-video-to-video/m".parse().unwrap();
    let session = OrchestratorSession::open(network, &url, &capability).await.unwrap();
    let options = JobOptions { model: "m".to_owned(), ..JobOptions::default() };
    LiveVideoJob::start(session, &options, 0.5).await
}

/// A live video job.
async fn job(options: Options) -> Paying {
    let sandbox = Sandbox::start(options).unwrap();
    let mut job = start(&network(&sandbox, SessionOptions::default()), &sandbox).await.unwrap();
    let manifest = job.channels().manifest_id.clone();
    let JobPayments { payer, url } = job.take_payments().unwrap();
    Paying::new(sandbox, payer, url, manifest)
}

/// Fetches fresh terms of a session on a runner.
struct Again(TermsRefresh);

impl TermsSource for Again {
    fn fresh_terms<'a>(&'a mut self, manifest_id: Option<&'a str>) -> TermsFuture<'a> {
        let terms = self.0.terms(manifest_id.unwrap());
        Box::pin(async move { terms.await.map_err(|error| error.failure()) })
    }
}

/// A session on a runner that is paid by the second.
async fn session(ticket: Duration) -> Paying {
    let runner =
        RunnerOptions { price: Some((PriceUnit::Seconds, 1000)), ..RunnerOptions::default() };
    let sandbox = Sandbox::start(Options { ticket, runners: vec![runner], ..paying() }).unwrap();
    let network = network(&sandbox, SessionOptions::default());
    let signers = network.payments.unwrap().signers;
    let payer = signers.signature().await.unwrap();
    let headers = format!("{PAYER_HEADER}: {}\r\n", payer.payer());
    let challenged = post(&sandbox.url(), RESERVE, &headers, b"{}").await;
    let challenge = Challenge::parse(&challenged.body).unwrap();
    let manifest = challenge.manifest_id.clone();
    let options = SessionOptions::default();
    let session =
        PaymentSession::new(PaymentKind::Live, challenge.terms, Some(manifest.clone()), options);
    let base = Url::parse_base(&sandbox.url(), 0).unwrap();
    let fresh = Again(TermsRefresh::new(network.client.clone(), &base, payer.payer()));
    let now = Instant::now();
    let session = session.unwrap().paid_by(payer.address());
    let mut payer = Payer::new(signers, network.client, session, challenge.interval, fresh, now);
    let mut paid = HeaderMap::new();
    payer.open(now, 0.5).await.unwrap().insert_into(&mut paid);
    let lines = paid.iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()));
    let reserved = post(&sandbox.url(), RESERVE, &lines.collect::<String>(), b"{}").await;
    assert_eq!(reserved.status, 200, "{}", reserved.text());
    payer.opened(&manifest, Instant::now()).unwrap();
    Paying::new(sandbox, payer, challenge.payment_url.unwrap(), manifest)
}

fn calls(sandbox: &Handle, endpoint: Endpoint) -> usize {
    let is_it = |target: &Target| *target == Target::Call(endpoint);
    sandbox.look(|record| record.requests().filter(|request| is_it(&request.target)).count())
}

/// All refusals except those of expired terms.
fn refusals(sandbox: &Handle) -> Vec<(u16, String)> {
    let ledger = sandbox.ledger();
    let other = ledger.refused().filter(|refused| refused.status != 480);
    other.map(|refused| (refused.status, refused.reason.clone())).collect()
}

#[tokio::test]
async fn a_slowly_rising_price_does_not_change_a_running_job() {
    let mut job = job(paying()).await;
    job.sandbox.always(Failure::Drift(1));
    job.go_on(seconds(1800)).await;
    assert_eq!(refusals(&job.sandbox), []);
    // Terms are valid for 8 minutes, or 600 tickets.
    let calls = calls(&job.sandbox, Endpoint::Refresh);
    assert!((3..=5).contains(&calls), "{calls}");
    let (paid, used) = (job.account().time_paid(), job.used());
    assert!((used + seconds(54)..=used + seconds(62)).contains(&paid), "{paid:?} of {used:?}");
}

#[tokio::test]
async fn an_orchestrator_without_a_refresh_call_is_asked_for_its_info_even_when_it_is_full() {
    let mut job = job(Options { capacity: 1, ..paying() }).await;
    job.sandbox.always(Failure::Call(Endpoint::Refresh, CallFailure::status(404)));
    job.go_on(seconds(1800)).await;
    assert_eq!(refusals(&job.sandbox), []);
    assert!(calls(&job.sandbox, Endpoint::Refresh) >= 3);
}

#[tokio::test]
async fn terms_are_fetched_before_their_tickets_run_out() {
    // The start takes 50 tickets, and each payment 25, so the 600th ticket is due after two minutes.
    let mut session = session(Duration::from_millis(200)).await;
    session.go_on(seconds(900)).await;
    assert_eq!(refusals(&session.sandbox), []);
    assert!(calls(&session.sandbox, Endpoint::Refresh) >= 8);
    let (paid, used) = (session.account().time_paid(), session.used());
    assert!(paid <= used + seconds(10) + used / 50, "{paid:?} of {used:?}");
}

#[tokio::test]
async fn if_the_signer_rounds_up_to_seconds_payments_are_just_before_a_full_second() {
    let mut session = session(seconds(1)).await;
    session.go_on(seconds(600)).await;
    let account = session.account();
    let (paid, used) = (account.time_paid(), session.used());
    assert!(account.is_open && account.payments >= 115, "{account:?}");
    // The limit is 10 s paid ahead, and 2 % for margins, which are 0.5 % on this link. Rounding each 5.0005 s up to 6 s
    // would add 120 s.
    assert!((used..=used + seconds(10) + used / 50).contains(&paid), "{paid:?} of {used:?}");
}

#[tokio::test]
async fn a_changed_signer_key_ends_the_job_and_pays_for_the_next_one() {
    let sandbox = Sandbox::start(paying()).unwrap();
    let network = network(&sandbox, SessionOptions::default());
    let mut first = start(&network, &sandbox).await.unwrap();
    let JobPayments { payer, url } = first.take_payments().unwrap();
    let mut job = Paying::new(sandbox, payer, url, first.channels().manifest_id.clone());
    job.sandbox.change_signer_key();
    let mut failed = PaymentOutcome::NotYet;
    while matches!(failed, PaymentOutcome::NotYet) {
        failed = job.step().await;
    }
    let PaymentOutcome::Failed(error @ PaymentError::OtherKey(_)) = failed else {
        panic!("{failed:?}")
    };
    assert_eq!(error.fault(), Fault::Retry);
    // The next job uses the other key from its first payment.
    start(&network, &job.sandbox).await.unwrap();
    assert_eq!(calls(&job.sandbox, Endpoint::SignInfo), 2);
    assert_eq!(refusals(&job.sandbox), [(400, "invalid sig".to_owned())]);
}

#[tokio::test]
async fn tickets_of_a_changed_signer_key_are_signed_once_and_not_sent() {
    let sandbox = Sandbox::start(paying()).unwrap();
    let network = network(&sandbox, SessionOptions::default());
    start(&network, &sandbox).await.unwrap();
    sandbox.change_signer_key();
    let error = start(&network, &sandbox).await.unwrap_err();
    assert!(error.to_string().contains("another key"), "{error}");
    assert_eq!(error.failure().fault, Fault::Retry);
    start(&network, &sandbox).await.unwrap();
    assert_eq!(calls(&sandbox, Endpoint::MakePayment), 3);
    assert_eq!(refusals(&sandbox), [], "no ticket of the other key was sent to the orchestrator");
}

#[tokio::test]
async fn a_free_orchestrator_that_demands_tickets_is_refused_before_the_signer_is_asked() {
    let sandbox = Sandbox::start(Options { price: Some(0), ..paying() }).unwrap();
    let url = Url::parse_base(&sandbox.url(), 0).unwrap();
    let capability = "live-video-to-video/m".parse().unwrap();
    let opened =
        OrchestratorSession::open(&network(&sandbox, SessionOptions::default()), &url, &capability)
            .await;
    let failure = opened.unwrap_err().failure();
    assert!(failure.text.contains("asks no price"), "{failure}");
    assert_eq!(failure.fault, Fault::NextPeer);
    assert_eq!(calls(&sandbox, Endpoint::MakePayment), 0);
}

/// Random numbers. The same seed gives the same numbers.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn of<T: Clone>(&mut self, some: &[T]) -> T {
        some[usize::try_from(self.below(some.len() as u64)).unwrap()].clone()
    }
}

/// A random failure of a payment call.
fn failure(chance: &mut Chance) -> Failure {
    let endpoints =
        [Endpoint::MakePayment, Endpoint::Payment, Endpoint::SessionPayment, Endpoint::Refresh];
    let endpoint = chance.of(&endpoints);
    let mut failures = vec![CallFailure::Lost, CallFailure::Reset, CallFailure::status(500)];
    if endpoint == Endpoint::MakePayment {
        let busy = CallFailure::Answer { status: 429, retry_after: Some("3".to_owned()) };
        failures.extend([CallFailure::Garbage, busy]);
        failures.extend([480, 482, 503].map(CallFailure::status));
    } else {
        failures.extend([400, 403, 503].map(CallFailure::status));
    }
    Failure::Call(endpoint, chance.of(&failures))
}

/// Runs for five minutes, in which about every other payment fails. Asserts that the paid time never exceeds the sum of
/// the used time, the time to pay ahead and one interval, and that it is never less than the agent has counted. Returns
/// the number of payments.
async fn check(mut paying: Paying, ahead: Duration, seed: u64) -> u64 {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15 ^ seed);
    while paying.used() < seconds(300) {
        if chance.below(10) == 0 {
            paying.sandbox.once(failure(&mut chance));
        }
        let outcome = paying.step().await;
        let (paid, used) = (paying.account().time_paid(), paying.used());
        let most = used + ahead + seconds(5);
        assert!(paid <= most, "seed {seed}: {paid:?} of {used:?}, after {outcome:?}");
        let left = paying.payer.paid_for(paying.now()).unwrap();
        let believed = if left.is_zero() { Duration::ZERO } else { used + left };
        // The signer rounds to whole tickets, and by up to half a second in either direction.
        assert!(believed <= paid + seconds(2), "seed {seed}: {believed:?} but {paid:?}");
        if matches!(outcome, PaymentOutcome::Leave(_) | PaymentOutcome::Failed(_)) {
            break;
        }
    }
    assert_eq!(paying.sandbox.violations().count(), 0, "seed {seed}");
    paying.account().payments
}

#[tokio::test]
async fn with_random_failures_no_job_is_overpaid() {
    let mut payments = 0;
    for seed in 0..12 {
        payments += check(job(paying()).await, seconds(60), seed).await;
    }
    assert!(payments > 200, "{payments}");
}

#[tokio::test]
async fn with_random_failures_no_session_is_overpaid() {
    let mut payments = 0;
    for seed in 0..12 {
        payments += check(session(Duration::from_millis(250)).await, seconds(10), seed).await;
    }
    // Some sessions end early, because several failures in a row take longer than the ten seconds paid ahead.
    assert!(payments > 100, "{payments}");
}
