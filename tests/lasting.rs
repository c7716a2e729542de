//! The command `run` after the loss of a job, an orchestrator or a camera, and after a change of the configuration.
//!
//! Does not: measure times; `tests/faults` does.
#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod edge;
mod peers;

use std::fs;
use std::path::Path;
use std::time::Duration;

use edge::{Edge, LIMIT, Manager, SMALL, temporary};
use sandbox::{Break, Failure, Handle, Options, Request, Role, Sandbox, Target};
use serde_json::{Value, json};

fn sandbox() -> Handle {
    Sandbox::start(Options::default()).unwrap()
}

/// Starts an agent with a small job on these orchestrators.
fn start(at: &[&Handle], more: &[&str]) -> Edge {
    let urls: Vec<String> = at.iter().map(|sandbox| sandbox.url()).collect();
    let job = ["run", "--job.model", "m", "--orchestrator.urls", &urls.join(",")];
    Edge::start(&[&job[..], &SMALL, more].concat())
}

/// Waits until the orchestrator has received `count` complete segments.
async fn segments(sandbox: &Handle, count: u64) {
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= count).await, "{count}");
}

/// The parameters with which jobs were started.
fn params(sandbox: &Handle) -> Vec<Value> {
    sandbox.look(|record| {
        let starts = record.requests().filter(|request| request.target == Target::Start);
        let params = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap()["params"].clone();
        starts.map(|start| params(&start.body)).collect()
    })
}

/// Stops the agent with a signal. Asserts that no orchestrator saw a violation. Returns the log.
fn stop(edge: Edge, at: &[&Handle]) -> String {
    edge.signal("TERM");
    let ended = edge.end().with_code(0);
    for sandbox in at {
        assert_eq!((sandbox.violations().list(), sandbox.manifests().len()), (&[][..], 0));
    }
    ended.stderr
}

#[tokio::test]
async fn a_lost_job_continues_on_another_orchestrator_with_the_same_parameters() {
    let (one, other) = (sandbox(), sandbox());
    let mut edge = start(&[&one, &other], &["--job.params", r#"{"prompt":"a cat"}"#]);
    let line = edge.hear("started, model m");
    let is_first = line.contains(&one.address().to_string());
    let (first, spare) = if is_first { (&one, &other) } else { (&other, &one) };
    segments(first, 1).await;
    assert!(first.delete_channel(&first.manifests()[0]));
    let line = edge.hear("the job was lost: the ");
    assert!(line.starts_with("WARN ") && line.contains(&first.address().to_string()), "{line}");
    segments(spare, 2).await;
    assert_eq!(params(spare), [json!({ "prompt": "a cat" })]);
    edge.hear("the job runs again");
    stop(edge, &[&one, &other]);
}

#[tokio::test]
async fn each_start_has_a_new_request_id_and_its_parameters_may_set_the_size() {
    let only = sandbox();
    let first = r#"{"width":768,"height":512}"#;
    let edge = start(&[&only], &["--job.params", first, "--log.level", "debug"]);
    segments(&only, 1).await;
    assert!(only.delete_channel(&only.manifests()[0]));
    assert!(only.until(LIMIT, |record| record.counters.jobs == 2).await);
    let before = only.counters().segments;
    segments(&only, before + 1).await;
    let said = stop(edge, &[&only]);
    assert!(!said.contains("event error"), "{said}");
    let id = |body: &[u8]| {
        let id = &serde_json::from_slice::<Value>(body).unwrap()["gateway_request_id"];
        id.as_str().unwrap().to_owned()
    };
    let ids: Vec<String> = only.look(|record| {
        let starts = record.requests().filter(|request| request.target == Target::Start);
        starts.map(|start| id(&start.body)).collect()
    });
    assert!(ids.len() == 2 && ids[0] != ids[1] && ids[0].len() == 32, "{ids:?}");
}

#[tokio::test]
async fn a_lost_job_is_started_again_on_the_only_orchestrator() {
    let only = sandbox();
    let mut edge = start(&[&only], &[]);
    for lost in 1..=2 {
        segments(&only, 2 * lost).await;
        assert!(only.delete_channel(&only.manifests()[0]));
        edge.hear("the job ");
    }
    segments(&only, 6).await;
    assert_eq!(only.counters().jobs, 3);
    stop(edge, &[&only]);
}

#[tokio::test]
async fn an_orchestrator_that_becomes_reachable_later_gets_the_job() {
    let address = {
        let gone = sandbox();
        gone.address()
    };
    let url = format!("https://{address}");
    let job = ["run", "--job.model", "m", "--orchestrator.urls", &url];
    let mut edge = Edge::start(&[&job[..], &SMALL].concat());
    edge.hear("connection refused");
    let back = Sandbox::start(Options { listen: address, ..Options::default() }).unwrap();
    segments(&back, 1).await;
    edge.hear("the job runs again");
    stop(edge, &[&back]);
}

#[tokio::test]
async fn a_camera_that_fails_is_opened_again_and_the_job_continues() {
    let only = sandbox();
    let mortal = "videotestsrc is-live=true num-buffers=60 ! video/x-raw,width=320,height=180,framerate=24/1";
    let more = ["--source.kind", "pipeline", "--source.fragment", mortal];
    let mut edge = start(&[&only], &more);
    let line = edge.hear("the source gives no video: ");
    assert!(line.starts_with("WARN "), "{line}");
    let line = edge.hear("the source gives video again");
    assert!(line.starts_with("INFO "), "{line}");
    // Each capture ends after two and a half segments.
    segments(&only, 7).await;
    assert_eq!(only.counters().jobs, 1);
    stop(edge, &[&only]);
}

#[tokio::test]
async fn with_on_camera_loss_stop_a_lost_camera_ends_the_job_at_once() {
    let only = sandbox();
    // The pipeline also writes to `file`, so it cannot be opened while `file` is a directory.
    let file = temporary("once");
    let fragment = format!(
        "videotestsrc is-live=true num-buffers=60 ! video/x-raw,width=320,height=180,framerate=24/1 \
         ! tee name=t ! queue ! filesink location={} t. ! queue",
        file.display()
    );
    let more = ["--source.kind", "pipeline", "--source.on-camera-loss", "stop"];
    let mut edge = start(&[&only], &[&more[..], &["--source.fragment", &fragment]].concat());
    segments(&only, 1).await;
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    edge.hear("the source gives no video: ");
    fs::remove_dir(&file).unwrap();
    assert!(only.until(LIMIT, |record| record.counters.jobs == 2).await);
    stop(edge, &[&only]);
}

#[tokio::test]
async fn no_job_is_started_before_the_camera_gives_video() {
    let only = sandbox();
    let file = temporary("not-yet");
    fs::create_dir(&file).unwrap();
    let fragment = format!(
        "videotestsrc is-live=true ! video/x-raw,width=320,height=180,framerate=24/1 \
         ! tee name=t ! queue ! filesink location={} t. ! queue",
        file.display()
    );
    let more = ["--source.kind", "pipeline", "--source.fragment", &fragment];
    let mut edge = start(&[&only], &more);
    let line = edge.hear("the source gives no video: ");
    assert!(line.contains("not-yet"), "{line}");
    assert_eq!(only.counters().connections, 0);
    fs::remove_dir(&file).unwrap();
    edge.hear("the source gives video again");
    segments(&only, 2).await;
    stop(edge, &[&only]);
}

#[tokio::test]
async fn a_reload_to_a_camera_that_does_not_open_starts_no_job_until_it_opens() {
    let only = sandbox();
    let (file, blocked) = (temporary("edge-no-camera.toml"), temporary("blocked"));
    fs::create_dir(&blocked).unwrap();
    let camera = |more: &str| {
        format!(
            "[audio]\nkind = \"none\"\n[source]\nkind = \"pipeline\"\non-camera-loss = \"stop\"\n\
             fragment = \"videotestsrc is-live=true ! video/x-raw,framerate=24/1{more}\"\n"
        )
    };
    write(&file, &only, &camera(""));
    let mut edge = Edge::start(&["run", "--config", file.to_str().unwrap()]);
    segments(&only, 1).await;

    let location = blocked.display();
    let tee = format!(" ! tee name=t ! queue ! filesink location={location} t. ! queue");
    write(&file, &only, &camera(&tee));
    edge.signal("HUP");
    edge.hear("the source gives no video: ");
    let is_end = |request: &Request| request.method == "DELETE";
    assert!(only.until(LIMIT, |record| record.requests().any(is_end)).await, "the job ends");
    fs::remove_dir(&blocked).unwrap();
    edge.hear("the source gives video again");
    assert!(only.until(LIMIT, |record| record.counters.jobs == 2).await);
    let before = only.counters().segments;
    segments(&only, before + 2).await;
    assert_eq!(only.counters().jobs, 2, "no job was started without a camera");
    stop(edge, &[&only]);
}

#[tokio::test]
async fn refused_parameters_are_logged_and_shown_in_the_status() {
    let (only, manager) = (sandbox(), Manager::new());
    let file = temporary("model.toml");
    write(&file, &only, "params = { effect = \"filesink location=x\" }\n");
    let arguments = ["run", "--config", file.to_str().unwrap()];
    let mut edge = Edge::start_with(&arguments, &[("NOTIFY_SOCKET", manager.path())]);
    let words = "the model reports an error: effect `filesink` is not allowed";
    let line = edge.hear(words);
    assert!(line.starts_with("WARN ") && line.contains(&only.address().to_string()), "{line}");
    let live = format!("live at {}", only.address());
    manager.status(|status| *status == format!("{live}; {words}"));
    // After a refusal, changed parameters are sent.
    write(&file, &only, "params = { effect = \"none\" }\n");
    edge.signal("HUP");
    manager.status(|status| status == live);
    segments(&only, 1).await;
    fs::remove_file(&file).unwrap();
    stop(edge, &[&only]);
}

#[tokio::test]
async fn parameters_that_change_while_a_job_is_started_are_sent_once_it_runs() {
    let options = Options { start_delay: Duration::from_secs(2), ..Options::default() };
    let only = Sandbox::start(options).unwrap();
    let file = temporary("meanwhile.toml");
    write(&file, &only, "params = { prompt = \"a cat\" }\n");
    let mut edge = Edge::start(&["run", "--config", file.to_str().unwrap()]);
    let is_start = |request: &Request| request.target == Target::Start;
    assert!(only.until(LIMIT, |record| record.requests().any(is_start)).await);
    write(&file, &only, "params = { prompt = \"a dog\" }\n");
    edge.signal("HUP");
    edge.hear("SIGHUP: parameters changed");
    edge.hear("no job runs: the next one gets the parameters");
    assert_eq!(only.counters().jobs, 0, "the job is still being started");
    // The log only says that the parameters are queued, since their arrival is not known yet.
    edge.hear("parameters queued for the job's control channel");
    let sent = |message: &str| message.contains("a dog");
    assert!(only.until(LIMIT, |record| record.controls().any(sent)).await);
    fs::remove_file(&file).unwrap();
    stop(edge, &[&only]);
}

#[test]
fn the_status_of_a_service_without_a_job_has_the_reason() {
    let manager = Manager::new();
    let url = format!("https://127.0.0.1:{}", peers::nobody());
    let job = ["run", "--orchestrator.urls", &url, "--job.model", "m"];
    let edge = Edge::start_with(&[&job[..], &SMALL].concat(), &[("NOTIFY_SOCKET", manager.path())]);
    let status = manager.status(|status| status.starts_with("no job: "));
    assert!(status.contains("connection refused"), "{status}");
    edge.signal("TERM");
    edge.end().with_code(0);
}

fn write(file: &Path, at: &Handle, more: &str) {
    let text = format!(
        "[orchestrator]\nurls = [\"{}\"]\n[video]\nwidth = 320\nheight = 180\nsegment = \"1s\"\n\
         [encoder]\nspeed = \"ultrafast\"\n[job]\nmodel = \"m\"\n{more}",
        at.url()
    );
    fs::write(file, text).unwrap();
}

#[tokio::test]
async fn a_reload_restarts_only_changed_parts_and_a_wrong_configuration_none() {
    let (one, other) = (sandbox(), sandbox());
    let file = temporary("edge.toml");
    write(&file, &one, "params = { prompt = \"a cat\" }\n");
    let mut edge = Edge::start(&["run", "--config", file.to_str().unwrap()]);
    segments(&one, 1).await;

    edge.signal("HUP");
    edge.hear("SIGHUP: the configuration is the same as before");
    fs::write(&file, "[video]\nfps = 900\n").unwrap();
    edge.signal("HUP");
    let line = edge.hear("SIGHUP: the previous configuration stays: ");
    assert!(line.starts_with("WARN ") && line.contains("video.fps"), "{line}");

    write(&file, &one, "params = { prompt = \"a dog\" }\n");
    edge.signal("HUP");
    edge.hear("SIGHUP: parameters changed");
    let sent = |c: &str| c.contains("a dog");
    assert!(one.until(LIMIT, |record| record.controls().any(sent)).await);

    let camera = "params = { prompt = \"a dog\" }\n[audio]\nkind = \"none\"\n[source]\nkind = \"pipeline\"\n\
                  fragment = \"videotestsrc is-live=true ! video/x-raw,framerate=24/1\"\n";
    write(&file, &one, camera);
    edge.signal("HUP");
    edge.hear("SIGHUP: camera changed");
    let before = one.counters().segments;
    segments(&one, before + 3).await;
    assert_eq!(one.counters().jobs, 1, "the job still runs");

    write(&file, &other, camera);
    edge.signal("HUP");
    edge.hear("SIGHUP: job changed");
    segments(&other, 2).await;
    assert_eq!(params(&other), [json!({ "prompt": "a dog" })]);
    let said = stop(edge, &[&one, &other]);
    assert!(!said.contains("the source gives no video"), "{said}");
}

#[tokio::test]
async fn parameters_whose_posts_fail_arrive_in_order_and_the_job_continues() {
    let only = sandbox();
    let control = |then| Failure::Post { role: Role::Control, after: 1, then };
    only.once(control(Break::Reset));
    only.once(control(Break::Answer(500)));
    let file = temporary("edge.toml");
    write(&file, &only, "params = { prompt = \"a cat\" }\n");
    let mut edge = Edge::start(&["run", "--config", file.to_str().unwrap()]);
    segments(&only, 1).await;
    for prompt in ["a dog", "a cow"] {
        write(&file, &only, &format!("params = {{ prompt = \"{prompt}\" }}\n"));
        edge.signal("HUP");
        edge.hear("SIGHUP: parameters changed");
    }
    assert!(only.until(LIMIT, |record| record.counters.updates == 2).await);
    let sent: Vec<String> = only.look(|record| record.controls().map(str::to_owned).collect());
    let updates: Vec<&String> = sent.iter().filter(|text| text.contains("prompt")).collect();
    assert!(updates[0].contains("a dog") && updates[1].contains("a cow"), "{updates:?}");
    // Six segments take longer than a channel may fail before the job is given up.
    let before = only.counters().segments;
    segments(&only, before + 6).await;
    assert_eq!(only.counters().jobs, 1);
    stop(edge, &[&only]);
}
