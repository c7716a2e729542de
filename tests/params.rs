//! Parameters of a running job, changed through `Control`, and the events that report whether they arrived and whether
//! the model accepted them.
//!
//! Does not: test single decisions; the unit tests of `agent::control` and of the parameter delivery do.
#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod small_plan;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use livepeer_edge::agent::{
    Agent, Change, Control, ControlError, Edit, JobSpec, KeptParams, ParamsState,
};
use livepeer_edge::events::{Bus, Event, Kind, Subscription, WAITING};
use livepeer_edge::status::Status;
use livepeer_gateway::job::JobOptions;
use resilience::stop::{Stop, Stopper};
use sandbox::{Handle, Role, Sandbox, Target, Timings};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The time limit of each wait: a longer wait means that the test hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// A running agent, its `Control` and its events.
struct Running {
    control: Control,
    changes: mpsc::Sender<Change>,
    events: Subscription,
    bus: Bus,
    stopper: Option<Stopper>,
    task: JoinHandle<()>,
}

/// A sandbox whose model reports its status at this interval.
fn sandbox(status_every: Duration) -> Handle {
    let timings = Timings { status_every, ..Timings::default() };
    Sandbox::start(sandbox::Options { timings, ..sandbox::Options::default() }).unwrap()
}

fn often() -> Handle {
    sandbox(Duration::from_millis(100))
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

/// Starts an agent with these configured parameters. Parameters that are set later are saved in the directory `state`.
fn start(at: &[&Handle], configured: &Value, state: Option<&Path>) -> Running {
    let kept = KeptParams::open(state, "test", "m", object(configured));
    let (model, params) = ("m".to_owned(), kept.params());
    let mut options = small_plan::options(at);
    options.job.spec = JobSpec::LiveVideo(JobOptions { model, params, ..JobOptions::default() });
    options.job.kept = kept;
    let (bus, (sender, changes)) = (Bus::new("test"), mpsc::channel(1));
    let events = bus.subscribe();
    let (stopper, stop) = Stop::new();
    let agent = Agent::new(options, Status::default(), Vec::new());
    let agent = agent.with_changes(changes).with_events(bus.clone());
    let task = tokio::spawn(async move { agent.run(stop).await.unwrap() });
    let (control, changes) = (Control::new(sender.clone()), sender);
    Running { control, changes, events, bus, stopper: Some(stopper), task }
}

impl Running {
    /// Waits for the next event of this type. Returns it with its JSON.
    async fn hear(&mut self, name: &str) -> (Arc<Event>, Value) {
        let hear = async {
            loop {
                let event = self.events.next().await.unwrap();
                if event.kind().name() == name {
                    let json = serde_json::from_str(event.line()).unwrap();
                    return (event, json);
                }
            }
        };
        timeout(LIMIT, hear).await.unwrap_or_else(|_| panic!("no {name}"))
    }

    async fn edit(&self, params: &Value, edit: Edit) -> livepeer_edge::agent::Parameters {
        self.control.params(object(params), edit).await.unwrap()
    }

    async fn state(&self) -> ParamsState {
        self.control.parameters().await.unwrap().state
    }

    async fn stop(mut self) {
        self.stopper.take();
        self.hear("stopping").await;
        self.task.await.unwrap();
    }
}

/// The parameters of each start of a job.
fn starts(at: &Handle) -> Vec<Value> {
    at.look(|record| {
        let starts = record.requests().filter(|request| request.target == Target::Start);
        let params = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap()["params"].take();
        starts.map(|request| params(&request.body)).collect()
    })
}

/// A state directory that does not exist yet.
fn state(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()))
}

#[tokio::test]
async fn parameters_are_sent_and_confirmed_once_the_model_reports_them() {
    let at = often();
    let mut agent = start(&[&at], &json!({ "prompt": "a cat", "steps": 2 }), None);
    let (_, started) = agent.hear("started").await;
    assert_eq!((&started["instance"], &started["number"]), (&json!("test"), &json!(0)));
    let (_, job) = agent.hear("job_started").await;
    let expected = (json!(at.address().to_string()), json!("model m"));
    assert_eq!((&job["at"], &job["work"]), (&expected.0, &expected.1));
    let (_, sent) = agent.hear("parameters_sent").await;
    assert_eq!(sent["parameters"], json!({ "prompt": "a cat", "steps": 2 }));
    let (_, applied) = agent.hear("parameters_applied").await;
    assert_eq!(applied["change"], 0);

    let answer = agent.edit(&json!({ "prompt": "a dog" }), Edit::Merge).await;
    let all = json!({ "prompt": "a dog", "steps": 2 });
    assert_eq!((Value::Object(answer.params), answer.change), (all.clone(), 1));
    let (_, sent) = agent.hear("parameters_sent").await;
    assert_eq!((&sent["parameters"], &sent["change"]), (&all, &json!(1)));
    let message = all.to_string();
    assert!(at.until(LIMIT, |record| record.controls().any(|sent| sent == message)).await);
    agent.hear("parameters_applied").await;
    assert_eq!(agent.state().await, ParamsState::Applied);
    agent.stop().await;
}

#[tokio::test]
async fn a_refusal_of_parameters_has_the_text_of_the_model() {
    let at = often();
    let mut agent = start(&[&at], &json!({ "prompt": "a cat" }), None);
    agent.hear("parameters_applied").await;
    agent.edit(&json!({ "width": 768 }), Edit::Merge).await;
    let (_, refused) = agent.hear("parameters_refused").await;
    let reason = refused["reason"].as_str().unwrap();
    assert!(reason.contains("Cannot change output resolution mid-stream"), "{reason}");
    assert_eq!(refused["change"], 1);
    assert_eq!(agent.state().await, ParamsState::Refused(reason.to_owned()));
    agent.edit(&json!({ "prompt": "a dog", "width": null }), Edit::Merge).await;
    agent.hear("parameters_applied").await;
    agent.stop().await;
}

#[tokio::test]
async fn parameters_that_are_too_long_change_nothing() {
    let at = often();
    let mut agent = start(&[&at], &json!({ "prompt": "a cat" }), None);
    agent.hear("parameters_applied").await;
    let long = object(&json!({ "prompt": "x".repeat(1 << 20) }));
    let refused = agent.control.params(long, Edit::Merge).await;
    assert!(matches!(refused, Err(ControlError::TooLong(_))), "{refused:?}");
    let present = agent.control.parameters().await.unwrap();
    assert_eq!((Value::Object(present.params), present.change), (json!({ "prompt": "a cat" }), 0));
    agent.stop().await;
}

#[tokio::test]
async fn jobs_started_after_a_loss_or_on_request_get_the_last_parameters() {
    let at = often();
    let mut agent = start(&[&at], &json!({ "prompt": "a cat" }), None);
    agent.hear("parameters_applied").await;
    agent.edit(&json!({ "prompt": "a dog" }), Edit::Replace).await;
    agent.hear("parameters_applied").await;

    at.close_channels(Role::Output);
    let (_, ended) = agent.hear("job_ended").await;
    assert_eq!(ended["at"], json!(at.address().to_string()));
    assert!(ended["reason"].as_str().unwrap().contains("output"), "{ended}");
    agent.hear("parameters_applied").await;
    agent.control.restart().await.unwrap();
    agent.hear("job_started").await;
    agent.hear("parameters_applied").await;
    assert_eq!(starts(&at)[1..], vec![json!({ "prompt": "a dog" }); 2]);
    agent.stop().await;
    assert_eq!(at.violations().list(), []);
}

#[tokio::test]
async fn a_job_keeps_its_parameters_on_another_orchestrator() {
    let (first, second) = (often(), often());
    let mut agent = start(&[&first, &second], &json!({}), None);
    let (_, job) = agent.hear("job_started").await;
    agent.edit(&json!({ "prompt": "a dog" }), Edit::Merge).await;
    agent.hear("parameters_applied").await;
    let (from, to) = match job["at"] == json!(first.address().to_string()) {
        true => (first, second),
        false => (second, first),
    };
    from.always(sandbox::Failure::Start(sandbox::StartFailure::Reset));
    from.close_channels(Role::Publish);
    agent.hear("job_ended").await;
    let (_, moved) = agent.hear("job_moved").await;
    let hosts = [from.address(), to.address()].map(|address| json!(address.to_string()));
    assert_eq!([&moved["from"], &moved["to"]], [&hosts[0], &hosts[1]]);
    agent.hear("parameters_applied").await;
    assert_eq!(starts(&to), [json!({ "prompt": "a dog" })]);
    agent.stop().await;
}

#[tokio::test]
async fn parameters_set_at_run_time_survive_a_restart_and_a_crash() {
    let (at, state) = (often(), state("survive"));
    let configured = json!({ "prompt": "configured" });
    let mut agent = start(&[&at], &configured, Some(&state));
    agent.hear("job_started").await;
    agent.edit(&json!({ "prompt": "a dog" }), Edit::Merge).await;
    agent.stop().await;

    let mut agent = start(&[&at], &configured, Some(&state));
    agent.hear("job_started").await;
    agent.edit(&json!({ "prompt": "a bird" }), Edit::Merge).await;
    let file = state.join("parameters-test.json");
    let is_kept = || std::fs::read_to_string(&file).is_ok_and(|text| text.contains("a bird"));
    assert!(at.wait(LIMIT, is_kept).await, "not kept");
    // The agent is aborted, as in a crash.
    agent.task.abort();
    let _ = agent.task.await;

    let mut agent = start(&[&at], &configured, Some(&state));
    agent.hear("job_started").await;
    agent.stop().await;
    let mut agent = start(&[&at], &json!({ "prompt": "changed meanwhile" }), Some(&state));
    agent.hear("job_started").await;
    agent.stop().await;
    let prompts = ["configured", "a dog", "a bird", "changed meanwhile"];
    assert_eq!(starts(&at), prompts.map(|prompt| json!({ "prompt": prompt })));
    std::fs::remove_dir_all(state).unwrap();
}

#[tokio::test]
async fn parameters_of_a_changed_configuration_replace_those_set_at_run_time() {
    let (at, state) = (often(), state("changed"));
    let mut agent = start(&[&at], &json!({ "prompt": "configured" }), Some(&state));
    agent.hear("parameters_applied").await;
    agent.edit(&json!({ "prompt": "a dog" }), Edit::Merge).await;
    agent.hear("parameters_applied").await;
    let new = object(&json!({ "prompt": "changed" }));
    agent.changes.send(Change::Params(new.clone())).await.unwrap();
    let (_, sent) = agent.hear("parameters_sent").await;
    assert_eq!(
        (&sent["parameters"], &sent["change"]),
        (&json!({ "prompt": "changed" }), &json!(2))
    );
    agent.hear("parameters_applied").await;
    agent.stop().await;

    let mut agent = start(&[&at], &json!({ "prompt": "changed" }), Some(&state));
    agent.hear("parameters_applied").await;
    assert_eq!(agent.control.parameters().await.unwrap().params, new);
    agent.stop().await;
    std::fs::remove_dir_all(state).unwrap();
}

#[tokio::test]
async fn of_many_changes_at_once_the_newest_reaches_the_job() {
    let at = often();
    let mut agent = start(&[&at], &json!({ "prompt": "a cat" }), None);
    agent.hear("parameters_applied").await;
    for change in 1..=100 {
        let answer = agent.edit(&json!({ "prompt": format!("cat {change}") }), Edit::Merge).await;
        assert_eq!((answer.change, answer.state), (change, ParamsState::Sending));
    }
    let (_, applied) = agent.hear("parameters_applied").await;
    assert_eq!(applied["change"], 100);
    let newest = at.look(|record| record.controls().last().map(str::to_owned));
    assert_eq!(newest.as_deref(), Some(r#"{"prompt":"cat 100"}"#));
    agent.stop().await;
}

#[tokio::test]
async fn a_flood_of_model_events_drops_the_oldest_of_a_slow_subscriber_and_does_not_affect_the_job()
{
    let at = sandbox(Duration::from_millis(1));
    let mut agent = start(&[&at], &json!({ "prompt": "see https://o/s3cret \u{202e}" }), None);
    let mut slow = agent.bus.subscribe();
    for _ in 0..WAITING + 20 {
        let (_, model) = agent.hear("model").await;
        let line = model.to_string();
        assert!(!line.contains("s3cret") && !line.contains('\u{202e}'), "{line}");
    }
    let first = slow.next().await.unwrap();
    let Kind::EventsLost { count } = *first.kind() else { panic!("{}", first.line()) };
    assert!(count > 0, "{count}");
    assert!(at.until(LIMIT, |record| record.counters.segments >= 2).await);
    agent.stop().await;
    assert_eq!(at.counters().jobs, 1);
}
