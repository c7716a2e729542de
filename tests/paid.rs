//! Paid jobs and budgets: the built program against the sandbox's signer, and its orchestrators and runners that demand payment.
//!
//! Does not: test the schedule for each status; the unit tests of `payment::schedule` do.
#![cfg(feature = "sandbox")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod edge;

use std::path::Path;
use std::time::{Duration, Instant};

use edge::{Edge, SMALL};
use livepeer_gateway::price::PriceUnit;
use sandbox::{
    CallFailure, Credential, Endpoint, Failure, Handle, Options, Record, Request, RunnerOptions,
    Sandbox, SignerOptions, StartFailure, Target, Timings,
};
use serde_json::{Value, json};

/// The time limit of each wait.
const LIMIT: Duration = Duration::from_secs(40);
/// A credential that must not appear in any output.
const SECRET: &str = "Bearer hunter2-hunter2";

fn sandbox(change: impl FnOnce(&mut Options)) -> Handle {
    let credentials = vec![Credential { value: SECRET.to_owned(), owner: "me".to_owned() }];
    let signer = SignerOptions {
        header: Some("Authorization".to_owned()),
        credentials,
        ..SignerOptions::default()
    };
    let mut options = Options { price: Some(10), signer: Some(signer), ..Options::default() };
    change(&mut options);
    Sandbox::start(options).unwrap()
}

/// Runs a job at these orchestrators, paid by the signer of the first.
fn run(at: &[&Handle], more: &[&str]) -> Edge {
    let urls: Vec<String> = at.iter().map(|sandbox| sandbox.url()).collect();
    let (urls, signer) = (urls.join(","), at[0].signer_url().unwrap());
    let mut arguments = vec!["run", "--log.level", "trace"];
    arguments.extend(["--orchestrator.urls", &urls, "--signer.urls", &signer]);
    arguments.extend(["--signer.headers", r#"{"Authorization":"env:SIGNER_KEY"}"#]);
    arguments.extend(SMALL);
    arguments.extend(more);
    Edge::start_with(&arguments, &[("SIGNER_KEY", SECRET)])
}

fn runners() -> Vec<RunnerOptions> {
    vec![RunnerOptions { price: Some((PriceUnit::Seconds, 10)), ..RunnerOptions::default() }]
}

fn model(at: &[&Handle]) -> Edge {
    run(at, &["--job.model", "any"])
}

/// Stops the agent with a signal, and asserts that its log shows no secret.
#[track_caller]
fn stop(edge: Edge) {
    edge.signal("TERM");
    let ended = edge.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    shows_no_secret(&ended.stderr);
}

#[track_caller]
fn shows_no_secret(said: &str) {
    for secret in ["hunter2", "/ai/trickle/", "Livepeer-Payment: ", "livepeer-payment: "] {
        assert!(!said.contains(secret), "{secret:?} in:\n{said}");
    }
}

#[tokio::test]
async fn a_job_is_paid_while_video_flows() {
    let sandbox = sandbox(|_| {});
    let edge = model(&[&sandbox]);
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= 7).await);
    let ledger = sandbox.ledger();
    assert!(ledger.payments() >= 2, "{ledger:?}");
    assert!(ledger.time_paid() >= Duration::from_secs(60), "{ledger:?}");
    assert_eq!(ledger.refused().count(), 0, "{ledger:?}");
    assert_eq!(sandbox.violations().count(), 0);
    stop(edge);
}

#[tokio::test]
async fn a_price_above_the_limit_moves_the_job_to_the_next_orchestrator() {
    let (first, second) = (sandbox(|_| {}), sandbox(|_| {}));
    let edge = model(&[&first, &second]);
    let has_job = |record: &Record| record.counters.jobs > 0;
    let next = tokio::select! {
        started = first.until(LIMIT, has_job) => started.then_some(&second),
        started = second.until(LIMIT, has_job) => started.then_some(&first),
    };
    let next = next.expect("a job starts");
    first.once(Failure::Call(Endpoint::MakePayment, CallFailure::status(481)));
    assert!(next.until(LIMIT, |record| record.counters.segments >= 2).await);
    assert_eq!((first.counters().jobs, second.counters().jobs), (1, 1));
    stop(edge);
}

#[tokio::test]
async fn starts_that_fail_after_their_payment_are_paid_only_a_few_times() {
    let (first, second) = (sandbox(|_| {}), sandbox(|_| {}));
    for place in [&first, &second] {
        let words = "live-video-to-video container returned 500: out of memory";
        place.always(Failure::Start(StartFailure::Worker(words.to_owned())));
    }
    let mut edge = model(&[&first, &second]);
    edge.hear("out of memory");
    edge.hear("failed starts were charged for more time than has passed");
    // The limit for both orchestrators together is one start and two failovers.
    let payments = first.ledger().payments() + second.ledger().payments();
    assert_eq!(payments, 3, "{:?} {:?}", first.ledger(), second.ledger());
    stop(edge);
}

#[tokio::test]
async fn refused_parameters_are_not_sent_again() {
    let place = sandbox(|_| {});
    place.once(Failure::Start(StartFailure::refused_params()));
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("refused-params.toml");
    let write = |prompt: &str| {
        std::fs::write(&file, format!("[job]\nparams = {{ prompt = \"{prompt}\" }}\n")).unwrap();
    };
    write("a cat");
    let mut edge = run(&[&place], &["--job.model", "any", "--config", file.to_str().unwrap()]);
    let said = edge.hear("WARN");
    assert!(said.contains("payment.max-price is not set"), "{said}");
    let said = edge.hear("WARN");
    assert!(said.contains("refuses the model or its parameters; check job.model and"), "{said}");
    assert_eq!(place.counters().jobs, 0);
    write("a dog");
    edge.signal("HUP");
    assert!(place.until(LIMIT, |record| record.counters.jobs == 1).await);
    assert_eq!(place.ledger().payments(), 2, "{:?}", place.ledger());
    stop(edge);
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn expired_terms_are_refreshed() {
    let sandbox = sandbox(|_| {});
    let edge = model(&[&sandbox]);
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= 1).await);
    sandbox.once(Failure::Call(Endpoint::MakePayment, CallFailure::status(480)));
    let before = sandbox.ledger().payments();
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= 9).await);
    assert!(sandbox.ledger().payments() > before, "{:?}", sandbox.ledger());
    assert_eq!(sandbox.counters().jobs, 1);
    stop(edge);
}

#[tokio::test]
async fn video_continues_without_a_gap_while_the_signer_is_down() {
    let sandbox = sandbox(|_| {});
    let mut edge = model(&[&sandbox]);
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= 1).await);
    sandbox.always(Failure::Call(Endpoint::MakePayment, CallFailure::Reset));
    edge.hear("payment failed: ");
    let before = sandbox.counters().segments;
    // 30 s are half of the time that the first payment pays ahead.
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= before + 29).await);
    sandbox.clear_failures();
    edge.hear("payments work again");
    assert_eq!((sandbox.counters().jobs, sandbox.violations().count()), (1, 0));
    stop(edge);
}

#[tokio::test]
async fn an_unpaid_job_is_closed_and_reported_as_unpaid() {
    let second = Duration::from_secs(1);
    let sandbox = sandbox(|options| {
        options.timings = Timings { debit: second / 4, ..Timings::default() };
    });
    let mut edge = model(&[&sandbox]);
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= 1).await);
    sandbox.always(Failure::Call(Endpoint::MakePayment, CallFailure::status(403)));
    edge.hear("payment failed: ");
    // After this, the prepaid minute is over.
    sandbox.advance(Duration::from_secs(120));
    let line = edge.hear("closed the unpaid job");
    assert!(line.starts_with("WARN"), "{line}");
    // The agent does not end: it starts the job again, which fails for the same reason.
    edge.hear("still failing after ");
    sandbox.clear_failures();
    edge.hear("the job runs again");
    stop(edge);
}

#[tokio::test]
async fn a_signer_that_returns_with_another_key_causes_one_new_start() {
    let sandbox = sandbox(|_| {});
    let mut edge = model(&[&sandbox]);
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= 1).await);
    sandbox.change_signer_key();
    edge.hear("has another key now");
    assert!(sandbox.until(LIMIT, |record| record.counters.jobs == 2).await);
    let before = sandbox.counters().segments;
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= before + 3).await);
    let ledger = sandbox.ledger();
    let refused: Vec<_> = ledger.refused().map(|refused| refused.reason.as_str()).collect();
    assert_eq!(refused, ["invalid sig"]);
    stop(edge);
}

#[tokio::test]
async fn a_session_on_a_runner_is_reserved_paid_and_stopped() {
    let sandbox = sandbox(|options| options.runners = runners());
    let edge = run(&[&sandbox], &["--runner.app", "echo"]);
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= 7).await);
    assert_eq!(sandbox.sessions().len(), 1);
    assert!(sandbox.ledger().payments() >= 2, "{:?}", sandbox.ledger());
    stop(edge);
    assert!(sandbox.until(LIMIT, |_| true).await);
    assert_eq!(sandbox.sessions(), Vec::<String>::new());
}

#[tokio::test]
async fn a_lost_session_is_reserved_again() {
    let sandbox = sandbox(|options| options.runners = runners());
    let edge = run(&[&sandbox], &["--runner.app", "echo"]);
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= 2).await);
    let before = sandbox.counters().segments;
    assert_eq!(sandbox.lose_sessions(), 1);
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= before + 3).await);
    assert_eq!(sandbox.sessions().len(), 1);
    stop(edge);
    assert_eq!(sandbox.sessions(), Vec::<String>::new());
}

/// The number of calls to each endpoint of the sandbox's signer.
fn calls(sandbox: &Handle) -> [usize; 3] {
    [Endpoint::Discover, Endpoint::SignInfo, Endpoint::MakePayment].map(|endpoint| {
        let is_it = |request: &&Request| request.target == Target::Call(endpoint);
        sandbox.look(|record| record.requests().filter(is_it).count())
    })
}

/// A sandbox whose signer asks for a pause of ten minutes at every call.
fn refuse(sandbox: &Handle) {
    let refusal = CallFailure::Answer { status: 429, retry_after: Some("600".to_owned()) };
    sandbox.always(Failure::Call(Endpoint::MakePayment, refusal));
}

/// A configuration file whose model can be changed.
struct File(std::path::PathBuf);

impl File {
    fn new() -> Self {
        let file = Self(edge::temporary("config.toml"));
        file.write("one");
        file
    }

    fn write(&self, model: &str) {
        std::fs::write(&self.0, format!("[job]\nmodel = \"{model}\"\n")).unwrap();
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn the_pause_that_a_signer_requests_is_kept_over_starts_and_reloads() {
    let sandboxes: Vec<Handle> = (0..5).map(|_| sandbox(|_| {})).collect();
    let at: Vec<&Handle> = sandboxes.iter().collect();
    refuse(at[0]);
    let file = File::new();
    let mut edge = run(&at, &["--config", file.path()]);
    edge.hear("limits the rate of requests");
    // The next start fails without a call to the signer.
    edge.hear("limits the rate of requests");
    file.write("two");
    edge.signal("HUP");
    edge.hear("SIGHUP: ");
    edge.hear("limits the rate of requests");
    assert_eq!(calls(at[0]), [0, 1, 1]);
    stop(edge);
}

#[tokio::test]
async fn the_pause_that_a_signer_requests_also_applies_to_its_discovery_list() {
    let sandbox = sandbox(|_| {});
    refuse(&sandbox);
    let file = File::new();
    let mut edge = run(&[&sandbox], &["--config", file.path(), "--orchestrator.urls", ""]);
    edge.hear("limits the rate of requests");
    file.write("two");
    edge.signal("HUP");
    edge.hear("SIGHUP: ");
    edge.hear("limits the rate of requests");
    assert_eq!(calls(&sandbox), [1, 1, 1]);
    stop(edge);
}

/// Runs a job with this state directory and these arguments.
fn run_in(state: &Path, at: &Handle, more: &[&str]) -> Edge {
    let (url, signer) = (at.url(), at.signer_url().unwrap());
    let mut arguments = vec!["run", "--orchestrator.urls", &url, "--signer.urls", &signer];
    arguments.extend(["--signer.headers", r#"{"Authorization":"env:SIGNER_KEY"}"#]);
    arguments.extend(["--job.model", "any"]);
    arguments.extend(SMALL);
    arguments.extend(more);
    let environment = [("SIGNER_KEY", SECRET), ("STATE_DIRECTORY", state.to_str().unwrap())];
    Edge::start_with(&arguments, &environment)
}

/// Runs another command with this state directory, and returns what it prints.
fn command_in(state: &Path, arguments: &[&str]) -> String {
    let environment = [("STATE_DIRECTORY", state.to_str().unwrap())];
    let ended = Edge::start_with(arguments, &environment).end().with_code(0);
    String::from_utf8(ended.stdout).unwrap()
}

/// What was paid this month by the agent's own count: for the orchestrators, and what a crash left reserved.
fn spent_in(state: &Path) -> (u128, u128) {
    let json: Value = serde_json::from_str(&command_in(state, &["spend", "--json"])).unwrap();
    let wei = |part: &Value| part["month"]["wei"].as_str().unwrap().parse::<u128>().unwrap();
    let items = json["items"].as_array().unwrap();
    let reserved: u128 = items.iter().filter(|item| item["reserved"] == true).map(wei).sum();
    (wei(&json) - reserved, reserved)
}

#[tokio::test]
async fn what_was_paid_is_kept_over_restarts_and_crashes() {
    let (sandbox, state) = (sandbox(|_| {}), edge::temporary("spend"));
    let live = async |jobs: u64| {
        let is_live = |record: &Record| record.counters.jobs == jobs;
        assert!(sandbox.until(LIMIT, is_live).await);
        let before = sandbox.counters().segments;
        assert!(sandbox.until(LIMIT, |record| record.counters.segments > before).await);
    };
    for run in 1..=2 {
        let edge = run_in(&state, &sandbox, &[]);
        live(run).await;
        stop(edge);
        assert_eq!(spent_in(&state), (sandbox.ledger().paid(), 0), "to the wei");
    }
    let edge = run_in(&state, &sandbox, &[]);
    live(3).await;
    edge.signal("KILL");
    let _ = edge.end();
    let (counted, reserved) = spent_in(&state);
    let paid = sandbox.ledger().paid();
    assert!(counted <= paid && paid <= counted + reserved, "{counted} {paid} {reserved}");
    let table = command_in(&state, &["spend"]);
    let row = table.lines().find(|line| line.starts_with("127.0.0.1:")).unwrap();
    assert!(row.contains("any") && table.contains("reserved"), "{table}");
    std::fs::remove_dir_all(state).unwrap();
}

#[test]
fn what_was_paid_is_shown_from_the_file() {
    let state = edge::temporary("no-spend");
    let table = command_in(&state, &["spend", "--payment.budget", "7 wei per day"]);
    assert!(table.ends_with("budget: 7 wei per day; 0 wei spent, 7 wei left\n"), "{table}");
    std::fs::create_dir_all(state.join("spend")).unwrap();
    let environment = [("STATE_DIRECTORY", state.to_str().unwrap())];
    let ended = Edge::start_with(&["spend"], &environment).end().with_code(1);
    assert!(ended.error().contains("cannot be read"), "{}", ended.stderr);
    std::fs::remove_dir_all(state).unwrap();
}

#[tokio::test]
async fn a_spent_budget_ends_the_job_until_an_addition_also_over_a_restart() {
    let (sandbox, state) = (sandbox(|_| {}), edge::temporary("budget"));
    let budget = ["--payment.budget", "1 wei per month", "--events.stdout", "true"];
    let mut edge = run_in(&state, &sandbox, &budget);
    edge.hear("the budget of 1 wei per month is spent");
    assert!(sandbox.until(LIMIT, |record| record.counters.jobs == 1).await);
    until_no_job(&sandbox).await;
    assert_eq!(sandbox.ledger().payments(), 1, "exceeded by one payment");
    stop(edge);
    let mut edge = run_in(&state, &sandbox, &budget);
    edge.hear("the budget of 1 wei per month is spent");
    until_status(&state, "the budget of 1 wei per month is spent").await;
    let said = command_in(&state, &["budget", "add", "1ETH"]);
    assert!(said.contains(" of 1.000000000000000001 ETH spent in this month, "), "{said}");
    edge.hear("the budget has something left again");
    assert!(sandbox.until(LIMIT, |record| record.counters.jobs == 2).await);
    edge.signal("TERM");
    let ended = edge.end().with_code(0);
    let events = String::from_utf8(ended.stdout).unwrap();
    for event in ["budget_spent", "budget_open"] {
        assert!(events.contains(&format!("\"type\":\"{event}\"")), "{event} in {events}");
    }
    assert_eq!(spent_in(&state), (sandbox.ledger().paid(), 0), "to the wei");
    std::fs::remove_dir_all(state).unwrap();
}

/// Waits until the status contains this text.
async fn until_status(state: &Path, text: &str) {
    let by = Instant::now() + LIMIT;
    loop {
        let status = command_in(state, &["status"]);
        if status.contains(text) {
            return;
        }
        assert!(Instant::now() < by, "{text}: {status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the sandbox has no open account.
async fn until_no_job(sandbox: &Handle) {
    let by = Instant::now() + LIMIT;
    while sandbox.ledger().open() > 0 {
        assert!(Instant::now() < by, "the job is not closed: {:?}", sandbox.ledger());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_spent_data_budget_pauses_the_job_until_an_addition() {
    let (sandbox, state) = (sandbox(|_| {}), edge::temporary("data"));
    let mut edge = run_in(&state, &sandbox, &["--network.budget", "30 kB per month"]);
    edge.hear("the budget of 30 kB per month is spent");
    until_no_job(&sandbox).await;
    let jobs = sandbox.counters().jobs;
    let said = command_in(&state, &["budget", "add", "1GB"]);
    assert!(said.contains("of 1 GB spent in this month"), "{said}");
    assert!(sandbox.until(LIMIT, |record| record.counters.jobs > jobs).await);
    stop(edge);
    let kept = std::fs::read_to_string(state.join("data")).unwrap();
    assert!(kept.contains("\tlivepeer-edge\tsent\t"), "{kept}");
    std::fs::remove_dir_all(state).unwrap();
}

#[tokio::test]
async fn a_price_that_spends_the_budget_early_is_said_early() {
    let (sandbox, state) = (sandbox(|_| {}), edge::temporary("short"));
    // An hour costs 3600 · 10 · 1280 · 720 · 30 wei, so half a minute is left after the first payment of a minute.
    let budget = ["--payment.budget", "25000000000 wei per month"];
    let mut edge = run_in(&state, &sandbox, &budget);
    let said = edge.hear("the budget of 25000000000 wei per month lasts until ");
    assert!(said.starts_with("WARN"), "{said}");
    until_status(&state, "the budget lasts until ").await;
    edge.hear("80 % of the budget of 25000000000 wei per month is spent; ");
    stop(edge);
    std::fs::remove_dir_all(state).unwrap();
}

/// Asks the agent that keeps its state in `state`, and returns what the command prints.
async fn ask(words: &[&str], state: &str) -> String {
    let all = [words, &["--state.directory", state]].concat();
    let all: Vec<String> = all.into_iter().map(str::to_owned).collect();
    let asked = tokio::task::spawn_blocking(move || {
        edge::run(&all.iter().map(String::as_str).collect::<Vec<_>>()).with_code(0)
    });
    String::from_utf8(asked.await.unwrap().stdout).unwrap()
}

/// Waits until the report of the agent fits, and returns it.
async fn until(state: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let by = Instant::now() + edge::LIMIT;
    loop {
        let report: Value = serde_json::from_str(&ask(&["status", "--json"], state).await).unwrap();
        if fits(&report) {
            return report;
        }
        assert!(Instant::now() < by, "{report:#}");
    }
}

/// Waits until 30 more frames were captured while no job runs, and asserts that nothing was sent or paid meanwhile.
async fn idles(state: &str, sandbox: &Handle) {
    let idle = |report: &Value| report["job"]["stage"] == "dark" && report["camera"]["frames"] != 0;
    let report = until(state, idle).await;
    assert_eq!(sandbox.manifests(), [""; 0]);
    let (requests, payments) = (sandbox.counters().requests, sandbox.ledger().payments());
    let captured = report["camera"]["frames"].as_u64().unwrap();
    let report =
        until(state, |report| report["camera"]["frames"].as_u64() > Some(captured + 30)).await;
    assert_eq!(sandbox.counters().requests, requests);
    assert_eq!(sandbox.ledger().payments(), payments);
    let link = &report["chain"][3];
    assert_eq!((&link["state"], &link["why"]), (&json!("waiting"), &json!("stopped by the owner")));
    assert_eq!((&report["ready"], &report["job"]["wanted"]), (&json!(true), &json!(false)));
}

#[tokio::test]
async fn a_job_that_its_owner_stops_costs_nothing_until_it_is_started_again() {
    let (sandbox, state) = (sandbox(|_| {}), edge::temporary("wish"));
    let state = state.to_str().unwrap();
    let more = ["--job.model", "any", "--api.listen", "127.0.0.1:0", "--state.directory", state];
    let edge = run(&[&sandbox], &more);
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= 2).await);
    assert_eq!(ask(&["job", "stop"], state).await, "no job runs: stopped by the owner\n");
    idles(state, &sandbox).await;
    stop(edge);

    // The wish is kept over a restart.
    let edge = run(&[&sandbox], &more);
    idles(state, &sandbox).await;
    assert_eq!(sandbox.counters().jobs, 1);
    let payments = sandbox.ledger().payments();
    let said = ask(&["job", "start", "--for", "1h"], state).await;
    assert_eq!(said, "a job runs: started by the owner\n");
    assert!(sandbox.until(LIMIT, |record| record.counters.jobs == 2).await);
    until(state, |report| report["job"]["stage"] == "live" && report["ready"] == true).await;
    assert!(sandbox.ledger().payments() > payments);
    assert_eq!(ask(&["job", "auto"], state).await, "a job runs: job.when is always\n");
    assert_eq!(sandbox.counters().jobs, 2, "the same job goes on");
    stop(edge);
    std::fs::remove_dir_all(state).unwrap();
}

#[tokio::test]
async fn a_trigger_starts_a_job_and_ends_it() {
    let (sandbox, state) = (sandbox(|_| {}), edge::temporary("trigger"));
    std::fs::create_dir_all(&state).unwrap();
    let trigger = state.join("trigger");
    let arguments = ["--job.model", "any", "--job.when", "demand", "--job.trigger"];
    let mut edge = run(&[&sandbox], &[&arguments[..], &[trigger.to_str().unwrap()]].concat());
    edge.hear("no job is wanted: waiting for a start by the owner");
    assert_eq!((sandbox.counters().jobs, sandbox.ledger().payments()), (0, 0));
    std::fs::write(&trigger, "1\n").unwrap();
    edge.hear("a job is wanted: started by the trigger");
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= 1).await);
    std::fs::write(&trigger, "0\n").unwrap();
    edge.hear("no job is wanted: waiting for a start by the owner");
    let by = Instant::now() + LIMIT;
    while !sandbox.manifests().is_empty() {
        assert!(Instant::now() < by, "the job ends");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop(edge);
    std::fs::remove_dir_all(state).unwrap();
}
