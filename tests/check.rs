//! `check` over real sockets: a device without faults, each kind of fault, and the side effects that `check` must not
//! have.
//!
//! Does not: need a camera; only a missing one is tested.
#![cfg(feature = "sandbox")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod peer;
mod skip;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use peer::{Body, Peer, Scratch, body, text};
use sandbox::{Handle, Options, Sandbox, SignerOptions, Target};
use serde_json::Value;
use skip::skip;

/// A small picture, so that a trial costs little.
const SMALL: [&str; 4] = ["--video.width", "320", "--video.height", "180"];

fn command(scratch: &Scratch, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_livepeer-edge"));
    command.arg("check").args(SMALL).args(arguments);
    command.env_clear().env("STATE_DIRECTORY", scratch.as_os_str());
    command
}

/// Runs the program on another thread, so that the peers on this runtime can answer it.
async fn output(mut command: Command) -> (Option<i32>, String, String) {
    let run = move || command.output().expect("the binary runs");
    let Output { status, stdout, stderr } = tokio::task::spawn_blocking(run).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// Runs `check`. Returns its exit code and its findings.
async fn check(scratch: &Scratch, arguments: &[&str]) -> (Option<i32>, Found) {
    let (code, out, err) = output(command(scratch, &[arguments, &["--json"]].concat())).await;
    let found = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
    (code, Found(found))
}

/// The findings that `check` printed as JSON.
struct Found(Value);

impl Found {
    /// The verdict, the fact and the advice of the first finding with this id.
    #[track_caller]
    fn of(&self, id: &str) -> (&str, &str, &str) {
        let all = self.0.as_array().unwrap();
        let found = all.iter().find(|one| one["id"] == id);
        let found = found.unwrap_or_else(|| panic!("no {id}: {:#}", self.0));
        let text = |key: &str| found[key].as_str().unwrap_or_default();
        (text("verdict"), text("what"), text("advice"))
    }

    fn ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> =
            self.0.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
        ids.dedup();
        ids
    }

    /// The ids of the findings whose verdict is "failed".
    fn failed(&self) -> Vec<&str> {
        let all = self.0.as_array().unwrap().iter().filter(|one| one["verdict"] == "failed");
        all.map(|one| one["id"].as_str().unwrap()).collect()
    }

    /// Asserts that this check failed, for this reason, with advice.
    #[track_caller]
    fn assert_failed(&self, id: &str, reason: &str) {
        let (verdict, what, advice) = self.of(id);
        assert!(verdict == "failed" && what.contains(reason), "{id}: {verdict}: {what}");
        assert!(!advice.is_empty(), "{id} needs advice");
    }
}

/// An orchestrator that wants 10 wei per pixel, and its signer.
fn paid() -> Handle {
    let options =
        Options { price: Some(10), signer: Some(SignerOptions::default()), ..Options::default() };
    Sandbox::start(options).unwrap()
}

/// An orchestrator that wants nothing.
fn free() -> Handle {
    Sandbox::start(Options::default()).unwrap()
}

fn job<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let job = ["--orchestrator.urls", url, "--job.model", "noop"];
    [&job[..], more].concat()
}

#[tokio::test]
async fn without_a_fault_every_check_is_ok_and_nothing_is_started_paid_or_written() {
    let (scratch, sandbox) = (Scratch::new("check-well"), paid());
    let (url, signer) = (sandbox.url(), sandbox.signer_url().unwrap());
    let more = ["--signer.urls", &signer, "--payment.max-price", "100 wei per 720p-pixel-second"];
    let arguments = job(&url, &more);
    let (code, found) = check(&scratch, &arguments).await;
    assert_eq!((code, found.failed()), (Some(0), Vec::new()), "{:#}", found.0);
    assert_eq!(
        found.ids(),
        [
            "configuration",
            "agent",
            "api",
            "clock",
            "memory",
            "kernel",
            "disk",
            "encoder",
            "camera",
            "signer",
            "discovery",
            "tls",
            "orchestrators",
            "price"
        ]
    );
    for id in ["camera", "encoder", "signer", "discovery", "orchestrators", "price", "disk"] {
        assert_eq!(found.of(id).0, "ok", "{id}: {:#}", found.0);
    }
    let frames = found.of("camera").1;
    assert!(frames.contains("frames came") && frames.contains("encoded here"), "{frames}");
    assert!(found.of("signer").1.starts_with("pays as 0x"), "{:#}", found.0);
    let counters = sandbox.counters();
    assert_eq!((counters.jobs, counters.reserved, counters.segments), (0, 0, 0));
    assert_eq!(sandbox.ledger().payments(), 0);
    let is_paid = |target: &Target| format!("{target:?}").contains("Payment");
    let asked = sandbox.look(|all| all.requests().filter(|one| is_paid(&one.target)).count());
    assert_eq!(asked, 0, "no payment was asked for");
    let kept = std::fs::read_dir(&*scratch).map(Iterator::count).unwrap_or_default();
    assert_eq!(kept, 0, "nothing is kept");
}

#[tokio::test]
async fn the_text_form_has_lines_a_count_and_on_request_the_pipeline() {
    let (scratch, sandbox) = (Scratch::new("check-lines"), free());
    let url = sandbox.url();
    let arguments = job(&url, &["--log.level", "debug"]);
    let (code, out, err) = output(command(&scratch, &arguments)).await;
    assert_eq!(code, Some(0), "{out}{err}");
    let starts = ["ok ", "warning ", "failed ", "   "];
    let lines: Vec<&str> = out.lines().filter(|line| !line.is_empty()).collect();
    let (last, lines) = lines.split_last().unwrap();
    assert!(lines.iter().all(|line| starts.iter().any(|start| line.starts_with(start))), "{out}");
    assert!(last.ends_with(" warnings, 0 failed"), "{last}");
    let pipeline =
        err.lines().find(|line| line.contains("pipeline: videotestsrc name=edge_source"));
    let pipeline = pipeline.unwrap_or_else(|| panic!("{err}"));
    assert!(pipeline.contains("videotestsrc name=edge_source is-live=true"), "{pipeline}");
    assert!(pipeline.ends_with("max-buffers=4"), "the pipeline is printed whole: {pipeline}");
}

#[tokio::test]
async fn a_missing_camera_is_named_and_the_other_checks_still_run() {
    let (scratch, sandbox) = (Scratch::new("check-camera"), free());
    let url = sandbox.url();
    let camera = ["--source.kind", "v4l2", "--source.device", "/dev/video99"];
    let (code, found) = check(&scratch, &job(&url, &camera)).await;
    assert_eq!((code, found.failed()), (Some(1), vec!["camera"]), "{:#}", found.0);
    found.assert_failed("camera", "no camera at /dev/video99: is it plugged in?");
    assert_eq!(found.of("orchestrators").0, "ok");
}

#[tokio::test]
async fn an_encoder_that_does_not_work_is_named() {
    let (scratch, sandbox) = (Scratch::new("check-encoder"), free());
    let url = sandbox.url();
    let (code, found) = check(&scratch, &job(&url, &["--encoder.element", "vah264enc"])).await;
    if code == Some(0) {
        return skip("this computer has that encoder");
    }
    found.assert_failed("encoder", "vah264enc");
}

#[tokio::test]
async fn a_signer_that_refuses_the_credential_is_a_failure() {
    let (scratch, sandbox) = (Scratch::new("check-signer"), free());
    let signer = Peer::start(|_| text(401, "")).await;
    let (url, signer_url) = (sandbox.url(), signer.url.to_string());
    let (code, found) = check(&scratch, &job(&url, &["--signer.urls", &signer_url])).await;
    assert_eq!(code, Some(1));
    found.assert_failed("signer", "refuses the credential");
    // The signer's list of orchestrators is missing too, but the configuration names an orchestrator.
    assert!(!found.failed().contains(&"discovery"), "{:#}", found.0);
}

#[tokio::test]
async fn the_wait_for_a_signer_that_never_answers_is_limited() {
    let (scratch, sandbox) = (Scratch::new("check-silent"), free());
    let signer = Peer::start(|_| body(Body::Silence)).await;
    let (url, signer_url) = (sandbox.url(), signer.url.to_string());
    let began = Instant::now();
    let (code, found) = check(&scratch, &job(&url, &["--signer.urls", &signer_url])).await;
    assert!(began.elapsed() < Duration::from_secs(90), "{:?}", began.elapsed());
    assert_eq!(code, Some(1));
    found.assert_failed("signer", "");
}

#[tokio::test]
async fn a_certificate_that_is_not_the_pinned_one_is_refused() {
    let (scratch, sandbox) = (Scratch::new("check-pin"), paid());
    let (url, signer) = (sandbox.url(), sandbox.signer_tls_url().unwrap());
    let host = |url: &str| url.rsplit('/').next().unwrap().to_owned();
    let wrong = "ab".repeat(32);
    let pins = |url: &str| format!("{{\"{}\":\"{wrong}\"}}", host(url));
    let (services, orchestrators) = (pins(&signer), pins(&url));
    let of_signer = ["--signer.urls", &signer, "--services.pins", &services];
    let (code, found) = check(&scratch, &job(&url, &of_signer)).await;
    assert_eq!(code, Some(1));
    found.assert_failed("tls", &wrong[..8]);
    found.assert_failed("signer", &wrong[..8]);

    let pinned = ["--orchestrator.trust", "pin", "--orchestrator.pins", &orchestrators];
    let (code, found) = check(&scratch, &job(&url, &pinned)).await;
    assert_eq!(code, Some(1));
    found.assert_failed("tls", "the certificate is refused");
    found.assert_failed("orchestrators", "none can run noop");
}

#[tokio::test]
async fn a_host_name_that_does_not_resolve_is_reported() {
    let scratch = Scratch::new("check-dns");
    let (code, found) = check(&scratch, &job("https://no-such-host.invalid:8935", &[])).await;
    assert_eq!(code, Some(1));
    found.assert_failed("dns", "");
    found.assert_failed("orchestrators", "no-such-host.invalid");
}

#[tokio::test]
async fn an_orchestrator_without_the_model_or_above_the_price_is_not_usable() {
    let scratch = Scratch::new("check-offers");
    let options = Options { models: vec!["other".into()], ..Options::default() };
    let sandbox = Sandbox::start(options).unwrap();
    let url = sandbox.url();
    let (code, found) = check(&scratch, &job(&url, &[])).await;
    assert_eq!(code, Some(1));
    found.assert_failed("orchestrators", "does not have the model");

    let sandbox = paid();
    let (url, signer) = (sandbox.url(), sandbox.signer_url().unwrap());
    let limited = ["--signer.urls", &signer, "--payment.max-price", "9 wei per 720p-pixel-second"];
    let (code, found) = check(&scratch, &job(&url, &limited)).await;
    assert_eq!(code, Some(1));
    found.assert_failed("orchestrators", "over max-price");
    // Without a limit any price is paid, so there is a warning.
    let (code, found) = check(&scratch, &job(&url, &limited[..2])).await;
    assert_eq!((code, found.of("price").0), (Some(0), "warning"), "{:#}", found.0);
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_a_failure() {
    let (scratch, sandbox) = (Scratch::new("check-disk"), free());
    let url = sandbox.url();
    // Not even root can create a file there.
    let (code, found) = check(&scratch, &job(&url, &["--output.path", "/proc/out.ts"])).await;
    assert_eq!((code, found.failed()), (Some(1), vec!["disk"]), "{:#}", found.0);
    let missing = scratch.join("nowhere/out.ts");
    let path = missing.display().to_string();
    let (code, found) = check(&scratch, &job(&url, &["--output.path", &path])).await;
    assert_eq!((code, found.failed()), (Some(1), vec!["disk"]), "{:#}", found.0);
    assert!(!Path::new(&path).parent().unwrap().exists(), "the directory is not created");
}

#[tokio::test]
async fn a_credential_that_only_the_service_can_read_is_a_warning() {
    let (scratch, sandbox) = (Scratch::new("check-credential"), paid());
    let (url, signer) = (sandbox.url(), sandbox.signer_url().unwrap());
    let headers = r#"{"Authorization":"credential:signer-headers"}"#;
    let arguments = job(&url, &["--signer.urls", &signer, "--signer.headers", headers]);
    let (code, found) = check(&scratch, &arguments).await;
    let (verdict, what, advice) = found.of("credentials");
    assert_eq!((code, verdict), (Some(0), "warning"), "{what}");
    assert!(advice.contains("LoadCredential=signer-headers:"), "{advice}");
    let headers = r#"{"Authorization":"file:/no/such/file"}"#;
    let arguments = job(&url, &["--signer.urls", &signer, "--signer.headers", headers]);
    let (code, found) = check(&scratch, &arguments).await;
    assert_eq!(code, Some(1));
    found.assert_failed("credentials", "/no/such/file");
}

#[tokio::test]
async fn check_reports_all_problems_of_a_wrong_configuration_and_ends() {
    let scratch = Scratch::new("check-config");
    let wrong = ["--video.fps", "900", "--source.kind", "v4l2", "--job.model", "m"];
    let (code, found) = check(&scratch, &wrong).await;
    assert_eq!(code, Some(2));
    assert_eq!(found.ids(), ["configuration"]);
    let problems: Vec<String> =
        found.0.as_array().unwrap().iter().map(|one| one["what"].to_string()).collect();
    for part in ["video.fps", "source.device", "orchestrator.urls"] {
        assert!(problems.iter().any(|problem| problem.contains(part)), "{part}: {problems:?}");
    }
    let (code, out, err) = output(command(&scratch, &wrong)).await;
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.contains("video.fps"), "{err}");
}

#[tokio::test]
async fn a_clock_in_1970_is_a_failure() {
    let folders = std::fs::read_dir("/usr/lib").unwrap().flatten().map(|entry| entry.path());
    let mut libraries = folders.map(|folder| folder.join("faketime/libfaketime.so.1"));
    let Some(library) = libraries.find(|path| path.exists()) else {
        return skip("needs faketime: apt install faketime");
    };
    let (scratch, sandbox) = (Scratch::new("check-clock"), free());
    let url = sandbox.url();
    let mut command = command(&scratch, &job(&url, &["--json"]));
    command.env("LD_PRELOAD", library).env("FAKETIME", "@1970-01-02 00:00:00");
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let (code, out, err) = output(command).await;
    let found = Found(serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}")));
    assert_eq!(code, Some(1));
    found.assert_failed("clock", "before this program was made");
}

#[tokio::test]
async fn the_agent_that_runs_is_found_by_its_own_configuration_and_has_the_camera() {
    let (scratch, sandbox) = (Scratch::new("check-agent"), free());
    let (url, port) = (sandbox.url(), free_port());
    // A source that one program can use at a time, as a camera: it listens on a port.
    let fragment = format!(
        "videotestsrc is-live=true ! tee name=t t. ! queue ! videoconvert ! gdppay ! tcpserversink port={port} t. ! queue"
    );
    let camera = ["--source.kind", "pipeline", "--source.fragment", &fragment];
    let arguments = job(&url, &camera);
    let agent = Agent::start(&scratch, &arguments);
    let (code, found) = check(&scratch, &arguments).await;
    assert_eq!((code, found.failed()), (Some(0), Vec::new()), "{:#}", found.0);
    let (process, what) = (format!("process {}", agent.0.id()), found.of("agent").1);
    assert!(what.contains(&process), "{what}");
    assert_eq!(found.of("api"), ("ok", "the running agent answers there", ""));
    let (verdict, what, _) = found.of("camera");
    assert!(verdict == "ok" && what.contains(&process) && what.contains("has it"), "{what}");

    // Another configuration has another agent, and the camera is in use.
    let other = Scratch::new("check-other");
    let (_, found) = check(&other, &arguments).await;
    assert_eq!(found.of("agent").1, "none runs with this configuration");
    assert_eq!(found.failed(), ["camera"], "{:#}", found.0);

    // Without the API, the agent cannot be asked.
    let (code, found) = check(&scratch, &[&arguments[..], &["--api.listen", "off"]].concat()).await;
    assert_eq!(code, Some(0), "{:#}", found.0);
    assert_eq!((found.of("agent").0, found.of("camera").0), ("warning", "warning"));
    assert_eq!(found.of("api"), ("ok", "is off", ""));

    drop(agent);
    let (_, found) = check(&scratch, &arguments).await;
    assert_eq!(found.of("agent").1, "none runs with this configuration", "its file is left");
    assert_eq!((found.of("camera").0, found.of("api").0), ("ok", "ok"));
}

/// An agent that is killed when it is dropped.
struct Agent(Child);

impl Agent {
    /// Starts an agent, and waits until its camera gives frames and its API answers.
    fn start(scratch: &Scratch, arguments: &[&str]) -> Self {
        let mut agent = Command::new(env!("CARGO_BIN_EXE_livepeer-edge"));
        agent.arg("run").args(SMALL).args(arguments).env_clear();
        let agent = agent.env("STATE_DIRECTORY", scratch.as_os_str()).stderr(Stdio::piped());
        let mut child = agent.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let agent = Self(child);
        let mut missing = vec!["API: http", "started, model"];
        while !missing.is_empty() {
            let line = lines.next().expect("the agent runs");
            missing.retain(|part| !line.contains(part));
        }
        std::thread::spawn(move || lines.for_each(drop));
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn an_api_that_cannot_listen_and_a_token_that_cannot_be_read_are_warnings() {
    let (scratch, sandbox) = (Scratch::new("check-api"), free());
    let url = sandbox.url();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, found) = check(&scratch, &job(&url, &["--api.listen", &address])).await;
    let (verdict, what, advice) = found.of("api");
    assert_eq!((code, verdict), (Some(0), "warning"), "{what}");
    assert!(what.starts_with(&format!("api.listen: {address} cannot be listened on: ")), "{what}");
    assert!(advice.contains("ss -ltnp"), "{advice}");
    let token = ["--api.listen", "0.0.0.0:0", "--api.token", "file:/no/such/token"];
    let (code, found) = check(&scratch, &job(&url, &token)).await;
    let (verdict, what, _) = found.of("api");
    assert_eq!((code, verdict), (Some(0), "warning"), "{what}");
    assert!(what.contains("/no/such/token: secret cannot be read: No such file"), "{what}");
}

#[tokio::test]
async fn a_microphone_gives_audio_or_is_a_warning() {
    let (scratch, sandbox) = (Scratch::new("check-microphone"), free());
    let url = sandbox.url();
    let (code, found) = check(&scratch, &job(&url, &["--audio.kind", "test"])).await;
    assert_eq!((code, found.of("microphone").0), (Some(0), "ok"), "{:#}", found.0);
    let alsa = ["--audio.kind", "alsa", "--audio.device", "hw:99"];
    let (code, found) = check(&scratch, &job(&url, &alsa)).await;
    assert_eq!((code, found.of("microphone").0), (Some(0), "warning"), "{:#}", found.0);
}

#[tokio::test]
async fn the_directory_of_every_output_and_of_events_is_checked() {
    let (scratch, sandbox) = (Scratch::new("check-outputs"), free());
    std::fs::create_dir_all(&*scratch).unwrap();
    let config = scratch.join("two.toml");
    let text = "[[output]]\npath = \"/proc/a/one.ts\"\n[[output]]\npath = \"/proc/b/two.mp4\"\nfile-time = \"1h\"\n";
    std::fs::write(&config, text).unwrap();
    let url = sandbox.url();
    let more = ["--config", config.to_str().unwrap(), "--events.file", "/proc/c/events.jsonl"];
    let (code, found) = check(&scratch, &job(&url, &more)).await;
    let failed: Vec<&str> = found
        .0
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["verdict"] == "failed")
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!((code, failed), (Some(1), vec!["/proc/a", "/proc/b", "/proc/c"]), "{:#}", found.0);
}
