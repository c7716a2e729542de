//! Delivery of events to files, programs and web servers that work, hang, fail or do not exist, and the events of the
//! built program. Also checks that the table of events in `systemd/README.md` is up to date.
//!
//! Does not: test parameters; `params` does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

#[cfg(feature = "sandbox")]
mod edge;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use livepeer_edge::events::{Bus, HookOptions, Kind, Options, Sinks, TYPES, Types, WebhookOptions};
use livepeer_gateway::http::io::{Client, service_client};
use livepeer_gateway::http::{ServiceTrust, Url};
use resilience::secret::{Secret, SecretSource};
use serde_json::Value;

/// The time limit of each wait: a longer wait means that the test hangs.
const WAIT: Duration = Duration::from_secs(60);

fn client() -> Client {
    service_client(ServiceTrust::default()).unwrap()
}

/// Waits until `wanted` returns a value, and returns it. Panics with `what` at the time limit.
#[track_caller]
fn until<T>(what: &str, mut wanted: impl FnMut() -> Option<T>) -> T {
    let by = Instant::now() + WAIT;
    loop {
        if let Some(found) = wanted() {
            return found;
        }
        assert!(Instant::now() < by, "no {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn lost(reason: &str) -> Kind {
    Kind::CameraLost { reason: reason.to_owned() }
}

// ---------------------------------------------------------------------------------------------
// Programs
// ---------------------------------------------------------------------------------------------

/// A folder with the script of a hook, which runs in that folder. The folder is removed with the value.
struct Place(PathBuf);

impl Place {
    fn new(script: &str) -> Self {
        static NTH: AtomicU32 = AtomicU32::new(0);
        let nth = NTH.fetch_add(1, Ordering::Relaxed);
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("hook-{}-{nth}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let place = Self(folder);
        let text = format!("#!/bin/bash\ncd {}\n{script}\n", place.0.display());
        fs::write(place.script(), text).unwrap();
        fs::set_permissions(place.script(), fs::Permissions::from_mode(0o700)).unwrap();
        place
    }

    fn script(&self) -> PathBuf {
        self.0.join("script")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }

    /// Waits until a file has this number of lines, and returns them.
    #[track_caller]
    fn lines(&self, name: &str, count: usize) -> Vec<String> {
        until(&format!("{count} lines in {name}"), || {
            let lines: Vec<String> = self.read(name).lines().map(str::to_owned).collect();
            (lines.len() >= count).then_some(lines)
        })
    }

    /// Opens the hook on a new bus.
    fn hook(&self, time: Duration) -> (Bus, Sinks) {
        self.hook_with(time, &[])
    }

    fn hook_with(&self, time: Duration, arguments: &[&str]) -> (Bus, Sinks) {
        let hook = HookOptions {
            program: self.script().to_str().unwrap().to_owned(),
            arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
            time,
            types: Types::without_model(),
        };
        let bus = Bus::new("front");
        let options = Options { hook: Some(hook), ..Options::default() };
        let sinks = Sinks::open(&options, &bus, &client());
        (bus, sinks)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether a process runs. A zombie does not run.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

#[track_caller]
fn until_gone(pid: &str) {
    until(&format!("end of process {pid}"), || (!runs(pid)).then_some(()));
}

#[test]
fn a_program_gets_the_event_its_arguments_and_only_a_few_variables() {
    let place =
        Place::new("cat > event; printf '%s\\n' \"$@\" > arguments; env > env.new; mv env.new env");
    let (bus, sinks) = place.hook_with(WAIT, &["a b", "$(id)"]);
    bus.publish(|| lost("unplugged"));
    let environment = place.lines("env", 1);
    let event: Value = serde_json::from_str(&place.read("event")).unwrap();
    assert_eq!((&event["type"], &event["reason"]), (&"camera_lost".into(), &"unplugged".into()));
    assert_eq!(event["instance"], "front");
    assert_eq!(place.read("arguments"), "a b\n$(id)\n", "no shell has expanded the arguments");
    for variable in ["EVENT_TYPE=camera_lost", "EVENT_INSTANCE=front"] {
        assert!(environment.iter().any(|line| line == variable), "{environment:?}");
    }
    let allowed =
        ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "EVENT_TYPE", "EVENT_INSTANCE"];
    // The shell of the script adds these variables.
    let shell = ["PWD", "OLDPWD", "SHLVL", "_"];
    for line in &environment {
        let name = line.split('=').next().unwrap();
        assert!(allowed.contains(&name) || shell.contains(&name), "{line}");
    }
    sinks.close();
}

#[test]
fn events_reach_a_program_in_their_order_one_at_a_time() {
    let place =
        Place::new("mkdir lock || echo overlap >> order; cat >> order; sleep 0.02; rmdir lock");
    let (bus, sinks) = place.hook(WAIT);
    (0..9).for_each(|n| bus.publish(|| lost(&n.to_string())));
    let order = place.lines("order", 9);
    for (n, line) in order.iter().enumerate() {
        assert!(line.contains(&format!("\"reason\":\"{n}\"")), "{order:?}");
    }
    bus.publish(|| Kind::Model { event: serde_json::Map::new() });
    sinks.close();
    assert_eq!(place.read("order").lines().count(), 9, "model events are not selected");
}

#[test]
fn a_program_that_hangs_is_killed_with_its_child_processes() {
    // Both processes ignore SIGTERM, and the second one is an orphan.
    let script = "trap '' TERM; echo $$ >> pids; (trap '' TERM; (echo $BASHPID >> pids; exec sleep 600) & ) ; \
                  cat >> events; while :; do sleep 600; done";
    let place = Place::new(script);
    let (bus, sinks) = place.hook(Duration::from_secs(1));
    bus.publish(|| lost("first"));
    let pids = place.lines("pids", 2);
    bus.publish(|| lost("second"));
    pids.iter().for_each(|pid| until_gone(pid));
    // The program is also reaped, so no zombie remains.
    let process = format!("/proc/{}", pids[0]);
    until("end of the zombie", || (!Path::new(&process).exists()).then_some(()));
    assert!(place.lines("events", 2)[1].contains("second"));
    sinks.close();
}

#[test]
fn processes_that_a_program_leaves_running_are_killed_at_its_end() {
    let place = Place::new("sleep 600 & echo $! >> pids");
    let (bus, sinks) = place.hook(WAIT);
    bus.publish(|| lost("x"));
    until_gone(&place.lines("pids", 1)[0]);
    sinks.close();
}

#[test]
fn a_program_that_fails_or_reads_nothing_does_not_affect_later_events() {
    for end in
        ["exec <&-; echo x >> runs", "echo x >> runs; exit 1", "echo x >> runs; kill -SEGV $$"]
    {
        let place = Place::new(end);
        let (bus, sinks) = place.hook(WAIT);
        bus.publish(|| lost(&"long ".repeat(100_000)));
        bus.publish(|| lost("next"));
        place.lines("runs", 2);
        sinks.close();
    }
    let place = Place::new("");
    fs::remove_file(place.script()).unwrap();
    let (bus, sinks) = place.hook(WAIT);
    bus.publish(|| lost("no such program"));
    sinks.close();
}

#[test]
fn the_end_of_the_agent_kills_a_program_that_still_runs() {
    let place = Place::new("trap '' TERM; echo $$ >> pids; while :; do sleep 600; done");
    let (bus, sinks) = place.hook(Duration::from_secs(300));
    bus.publish(|| lost("x"));
    let pids = place.lines("pids", 1);
    bus.publish(|| Kind::Stopping);
    let began = Instant::now();
    sinks.close();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    until_gone(&pids[0]);
    assert_eq!(place.read("pids").lines().count(), 1, "no other program is started");
}

#[test]
fn events_for_a_slow_program_wait_in_a_bounded_queue() {
    let place = Place::new("cat >> events; while [ ! -e go ]; do sleep 0.01; done");
    let (bus, sinks) = place.hook(WAIT);
    bus.publish(|| lost("0"));
    place.lines("events", 1);
    let began = Instant::now();
    (1..100_000).for_each(|n| bus.publish(|| lost(&n.to_string())));
    assert!(began.elapsed() < Duration::from_secs(20), "the publisher does not wait");
    fs::write(place.0.join("go"), "").unwrap();
    let second: Value = serde_json::from_str(&place.lines("events", 2)[1]).unwrap();
    assert_eq!(second["type"], "events_lost");
    assert!(second["count"].as_u64().unwrap() > 99_000, "{second}");
    sinks.close();
}

// ---------------------------------------------------------------------------------------------
// Web servers
// ---------------------------------------------------------------------------------------------

/// The reaction of the web server to one request.
#[derive(Clone, Copy)]
enum Answer {
    Status(u16),
    Hang,
    Reset,
    /// A redirect to this local port.
    Redirect(u16),
}

/// A request: its head and its body.
type Request = (String, String);

/// A web server that gives these answers in turn, and repeats the last one.
fn server(answers: &[Answer]) -> (u16, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (seen, requests) = channel();
    let answers = answers.to_vec();
    thread::spawn(move || {
        let mut held = Vec::new();
        let last = answers[answers.len() - 1];
        let mut answers = answers.into_iter();
        for stream in listener.incoming().map_while(Result::ok) {
            held.extend(serve(stream, answers.next().unwrap_or(last), &seen));
        }
    });
    (port, requests)
}

/// Serves one request. Returns the connection if the answer is to hang.
fn serve(stream: TcpStream, answer: Answer, seen: &Sender<Request>) -> Option<TcpStream> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let lower = line.to_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
        head += &line;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let _ = seen.send((head, String::from_utf8(body).ok()?));
    let mut stream = reader.into_inner();
    let head = match answer {
        Answer::Hang => return Some(stream),
        Answer::Reset => return None,
        Answer::Status(status) => format!("HTTP/1.1 {status} X\r\n"),
        Answer::Redirect(port) => {
            format!("HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:{port}/\r\n")
        }
    };
    let rest = "Content-Length: 0\r\nConnection: close\r\n\r\n";
    let _ = stream.write_all(format!("{head}{rest}").as_bytes());
    None
}

/// Opens a webhook on a new bus.
fn webhook(url: &str, trust: ServiceTrust) -> (Bus, Sinks) {
    let webhook = WebhookOptions {
        url: Url::parse(url).unwrap(),
        secret: Some(SecretSource::Given(Secret::new("s3cret"))),
        types: Types::all(),
    };
    let bus = Bus::new("front");
    let options = Options { webhook: Some(webhook), ..Options::default() };
    let sinks = Sinks::open(&options, &bus, &service_client(trust).unwrap());
    (bus, sinks)
}

fn to(port: u16) -> (Bus, Sinks) {
    webhook(&format!("http://127.0.0.1:{port}/hook?key=1"), ServiceTrust::default())
}

#[track_caller]
fn request(requests: &Receiver<Request>) -> Request {
    requests.recv_timeout(WAIT).expect("a request")
}

/// The HMAC-SHA256 of a body under the secret of these tests.
fn signature(body: &str) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"s3cret");
    let tag = ring::hmac::sign(&key, body.as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_web_server_gets_each_event_once_and_signed() {
    let (port, requests) = server(&[Answer::Status(204)]);
    let (bus, sinks) = to(port);
    bus.publish(|| lost("unplugged"));
    bus.publish(|| Kind::ModelWorks);
    let (head, body) = request(&requests);
    assert!(head.starts_with("POST /hook?key=1 HTTP/1.1\r\n"), "{head}");
    let head = head.to_lowercase();
    for line in [
        "content-type: application/json\r\n".to_owned(),
        "livepeer-edge-event: camera_lost\r\n".to_owned(),
        format!("livepeer-edge-signature: sha256={}\r\n", signature(&body)),
    ] {
        assert!(head.contains(&line), "{line} in {head}");
    }
    assert!(body.contains("\"reason\":\"unplugged\""), "{body}");
    assert!(request(&requests).1.contains("model_works"));
    sinks.close();
    assert!(requests.try_recv().is_err(), "nothing came twice");
}

#[test]
fn an_event_is_posted_again_until_the_server_accepts_it() {
    let (port, requests) = server(&[Answer::Status(500), Answer::Reset, Answer::Status(200)]);
    let (bus, sinks) = to(port);
    bus.publish(|| lost("x"));
    let bodies = [request(&requests).1, request(&requests).1, request(&requests).1];
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    bus.publish(|| Kind::ModelWorks);
    assert!(request(&requests).1.contains("model_works"));
    sinks.close();
}

#[test]
fn an_event_that_is_refused_is_dropped_and_a_redirect_is_not_followed() {
    let (elsewhere, stray) = server(&[Answer::Status(200)]);
    let (port, requests) =
        server(&[Answer::Status(401), Answer::Redirect(elsewhere), Answer::Status(200)]);
    let (bus, sinks) = to(port);
    for reason in ["first", "second", "third"] {
        bus.publish(|| lost(reason));
        assert!(request(&requests).1.contains(reason));
    }
    sinks.close();
    assert!(stray.try_recv().is_err() && requests.try_recv().is_err());
}

#[test]
fn a_server_that_hangs_delays_neither_the_publisher_nor_the_shutdown() {
    let (port, requests) = server(&[Answer::Hang]);
    let (bus, sinks) = to(port);
    let mut other = bus.subscribe();
    bus.publish(|| lost("x"));
    request(&requests);
    (0..10_000).for_each(|_| bus.publish(|| Kind::ModelWorks));
    drop(other.next());
    let began = Instant::now();
    sinks.close();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[cfg(feature = "sandbox")]
#[test]
fn a_server_with_a_wrong_certificate_gets_nothing_and_a_pinned_one_is_trusted() {
    use livepeer_gateway::http::Authority;
    use sandbox::Sandbox;

    let unknown = Sandbox::start(sandbox::Options::default()).unwrap();
    let (bus, sinks) = webhook(&format!("{}/hook", unknown.url()), ServiceTrust::default());
    bus.publish(|| lost("x"));
    sinks.close();
    assert_eq!(unknown.counters().requests, 0);

    let authority: Authority = Url::parse(&unknown.url()).unwrap().authority().clone();
    let pins = [(authority, unknown.fingerprint())].into_iter().collect();
    let trust = ServiceTrust { pins, ..ServiceTrust::default() };
    let (bus, sinks) = webhook(&format!("{}/hook", unknown.url()), trust);
    bus.publish(|| lost("x"));
    until("a request", || (unknown.counters().requests > 0).then_some(()));
    sinks.close();
}

// ---------------------------------------------------------------------------------------------
// The program and its page
// ---------------------------------------------------------------------------------------------

#[cfg(feature = "sandbox")]
mod program {
    use super::*;
    use edge::{Edge, LIMIT, SMALL, temporary};
    use sandbox::{Handle, Sandbox};

    fn sandbox() -> Handle {
        Sandbox::start(sandbox::Options::default()).unwrap()
    }

    fn job<'a>(urls: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let job = ["run", "--orchestrator.urls", urls, "--job.model", "m"];
        [&job[..], &SMALL, more].concat()
    }

    fn parsed(text: &str) -> Vec<Value> {
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    fn types(events: &[Value]) -> Vec<&str> {
        events.iter().map(|event| event["type"].as_str().unwrap()).collect()
    }

    #[tokio::test]
    async fn standard_output_has_a_line_for_each_event_from_the_start_to_the_end() {
        let sandbox = sandbox();
        let urls = sandbox.url();
        let more = ["--events.stdout", "true", "--status.instance", "front door"];
        let edge = Edge::start(&job(&urls, &more));
        assert!(sandbox.until(LIMIT, |record| record.counters.segments >= 2).await);
        edge.signal("TERM");
        let ended = edge.end().with_code(0);
        let events = parsed(&String::from_utf8(ended.stdout).unwrap());
        let types = types(&events);
        assert_eq!((types[0], types[types.len() - 1]), ("started", "stopping"));
        assert!(types.contains(&"job_started") && types.contains(&"model"), "{types:?}");
        for (nth, event) in events.iter().enumerate() {
            assert_eq!((&event["number"], &event["instance"]), (&nth.into(), &"front door".into()));
        }
    }

    #[tokio::test]
    async fn the_end_and_the_return_of_a_source_are_two_events_in_the_file() {
        let sandbox = sandbox();
        let (urls, file) = (sandbox.url(), temporary("events.jsonl"));
        let path = file.to_str().unwrap();
        let source = ["--source.kind", "pipeline", "--source.fragment"];
        let fragment = ["videotestsrc is-live=true num-buffers=30"];
        let events = ["--events.file", path, "--events.types", "camera_lost,camera_back"];
        let edge = Edge::start(&job(&urls, &[&source[..], &fragment, &events].concat()));
        let lines = until("the events", || {
            let text = fs::read_to_string(&file).unwrap_or_default();
            let events = parsed(&text);
            (events.len() >= 3).then_some(events)
        });
        assert_eq!(types(&lines)[..3], ["camera_lost", "camera_back", "camera_lost"]);
        assert!(lines[0]["reason"].as_str().unwrap().contains("ended"), "{lines:?}");
        assert!(lines[1]["after_ms"].as_u64().unwrap() < 60_000, "{lines:?}");
        edge.signal("TERM");
        edge.end().with_code(0);
        fs::remove_file(file).unwrap();
    }

    #[tokio::test]
    async fn an_output_that_fails_and_works_again_is_two_events() {
        let sandbox = sandbox();
        let (urls, file, folder) = (sandbox.url(), temporary("events.jsonl"), temporary("disk"));
        let output = folder.join("out.ts");
        let more = ["--output.path", output.to_str().unwrap()];
        let events = ["--events.file", file.to_str().unwrap()];
        let chosen = ["--events.types", "output_trouble,output_works,stopping"];
        let edge = Edge::start(&job(&urls, &[&more[..], &events, &chosen].concat()));
        let events = |count| {
            until("the events", || {
                let events = parsed(&fs::read_to_string(&file).unwrap_or_default());
                (events.len() >= count).then_some(events)
            })
        };
        let trouble = events(1).remove(0);
        assert_eq!(
            (&trouble["type"], &trouble["output"]),
            (&"output_trouble".into(), &output.to_str().unwrap().into())
        );
        assert!(trouble["reason"].as_str().unwrap().contains("out.ts"), "{trouble}");
        fs::create_dir(&folder).unwrap();
        let works = events(2).remove(1);
        assert_eq!(
            (&works["type"], &works["output"]),
            (&"output_works".into(), &output.to_str().unwrap().into())
        );
        edge.signal("TERM");
        edge.end().with_code(0);
        assert_eq!(types(&events(3)), ["output_trouble", "output_works", "stopping"]);
        fs::remove_file(file).unwrap();
        fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn a_reload_changes_the_receivers_of_events_and_a_refused_reload_is_an_event() {
        let sandbox = sandbox();
        let (config, file) = (temporary("edge.toml"), temporary("events.jsonl"));
        let good = format!(
            "[orchestrator]\nurls = [\"{}\"]\n[video]\nwidth = 320\nheight = 180\nsegment = \"1s\"\n\
             [encoder]\nspeed = \"ultrafast\"\n[job]\nmodel = \"m\"\n",
            sandbox.url()
        );
        fs::write(&config, &good).unwrap();
        let mut edge = Edge::start(&["run", "--config", config.to_str().unwrap()]);
        edge.hear("started, model m");
        let events =
            format!("{good}params = {{ a = 1 }}\n[events]\nfile = \"{}\"\n", file.display());
        fs::write(&config, &events).unwrap();
        edge.signal("HUP");
        let find = |name: &str| {
            until(name, || {
                let events = parsed(&fs::read_to_string(&file).unwrap_or_default());
                events.into_iter().find(|event| event["type"] == name)
            })
        };
        assert_eq!(find("parameters_sent")["parameters"], serde_json::json!({ "a": 1 }));
        fs::write(&config, "[events]\nfile = 7\n").unwrap();
        edge.signal("HUP");
        let refused = find("configuration_refused");
        assert!(refused["reason"].as_str().unwrap().contains("events.file"), "{refused}");
        let name = config.file_stem().unwrap().to_str().unwrap();
        assert!(refused["instance"].as_str().unwrap().ends_with(name), "{refused}");
        fs::write(&config, &events).unwrap();
        edge.signal("HUP");
        find("configuration_applied");
        edge.signal("TERM");
        edge.end().with_code(0);
        assert_eq!(find("stopping")["type"], "stopping");
        fs::remove_file(file).unwrap();
        fs::remove_file(config).unwrap();
    }

    #[tokio::test]
    async fn a_hook_and_a_web_server_that_hang_do_not_affect_the_job() {
        let sandbox = sandbox();
        let place = Place::new("cat > /dev/null; echo $$ >> pids; sleep 600");
        let (port, _requests) = server(&[Answer::Hang]);
        let (urls, script) = (sandbox.url(), place.script());
        let url = format!("http://127.0.0.1:{port}/");
        let more = ["--events.exec", script.to_str().unwrap(), "--events.webhook", &url];
        let edge = Edge::start(&job(&urls, &more));
        assert!(sandbox.until(LIMIT, |record| record.counters.segments >= 3).await);
        let pids = place.lines("pids", 1);
        edge.signal("TERM");
        let began = Instant::now();
        edge.end().with_code(0);
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        until_gone(&pids[0]);
        assert_eq!(sandbox.violations().list(), []);
    }
}

/// The table of events as `systemd/README.md` must have it.
fn table() -> String {
    let mut table = String::from("| type | when | fields |\n|---|---|---|\n");
    for row in TYPES {
        let fields: Vec<String> =
            row.fields.iter().map(|(name, meaning)| format!("`{name}`: {meaning}")).collect();
        table.push_str(&format!("| `{}` | {} | {} |\n", row.name, row.when, fields.join("; ")));
    }
    table
}

#[test]
fn the_readme_has_the_table_of_events_from_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/README.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("| type | when | fields |\n").expect("a table");
    let (_, after) = rest.split_once("\n\n").expect("an end of the table");
    let written = format!("{before}{}\n{after}", table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &written).unwrap();
    }
    assert_eq!(page, written, "run: UPDATE_DOCS=1 cargo test --test events");
}
