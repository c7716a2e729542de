//! Live video and snapshots of a running program, as other programs read them: ffmpeg reads both streams in both
//! containers, and decodes.
//!
//! Does not: test the limits of the API; `tests/api` does.
#![cfg(feature = "sandbox")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

#[path = "api/client.rs"]
mod client;
mod edge;

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use client::Client;
use edge::{Edge, SMALL, run, temporary};
use resilience::wait::AbortOnDrop;
use sandbox::{Options, Sandbox};
use serde_json::Value;

/// Frames that each player must decode: two key frame intervals.
const FRAMES: u32 = 48;

/// Starts a program and waits until its job is live. Returns it with the address of its API and the orchestrator.
async fn live(more: &[&str]) -> (Edge, String, sandbox::Handle) {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    let url = sandbox.url();
    let job =
        ["run", "--orchestrator.urls", &url, "--job.model", "m", "--api.listen", "127.0.0.1:0"];
    let mut edge = Edge::start(&[&job[..], &SMALL, more].concat());
    let line = edge.hear("API: http://");
    let address = line.split("API: ").nth(1).unwrap().trim().to_owned();
    assert!(sandbox.until(edge::LIMIT, |record| record.counters.jobs == 1).await);
    (edge, address, sandbox)
}

/// Asserts that ffmpeg decodes [`FRAMES`] frames of a URL without an error.
async fn ffmpeg_decodes(url: &str) {
    let url = url.to_owned();
    let decode = move || {
        let frames = FRAMES.to_string();
        Command::new("ffmpeg")
            .args(["-v", "error", "-xerror", "-i", &url, "-map", "0:v", "-frames:v", &frames])
            .args(["-f", "framemd5", "-"])
            .stdin(Stdio::null())
            .output()
            .expect("ffmpeg")
    };
    let output = tokio::task::spawn_blocking(decode).await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    let frames = String::from_utf8(output.stdout).unwrap();
    let frames: Vec<&str> = frames.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(frames.len() as u32, FRAMES, "{frames:#?}");
    let mut pictures: Vec<&str> =
        frames.iter().filter_map(|line| line.rsplit(' ').next()).collect();
    pictures.sort_unstable();
    pictures.dedup();
    assert!(pictures.len() as u32 > FRAMES / 2, "the picture moves");
}

#[tokio::test]
async fn ffmpeg_plays_both_streams_in_both_containers() {
    let (_edge, address, _sandbox) = live(&[]).await;
    for path in ["/input.ts", "/output.ts", "/input.mp4", "/output.mp4"] {
        ffmpeg_decodes(&format!("{address}{path}")).await;
    }
}

#[tokio::test]
async fn the_mp4_answer_names_the_codec_and_begins_with_a_key_frame() {
    let (_edge, address, _sandbox) = live(&[]).await;
    let mut client = Client::connect(&address).await;
    client.write(b"GET /output.mp4 HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let (status, headers) = client.head().await.unwrap();
    let kind = headers.iter().find(|(name, _)| name == "content-type").unwrap().1.clone();
    assert_eq!(status, 200);
    let codec =
        kind.strip_prefix("video/mp4; codecs=\"avc1.").and_then(|rest| rest.strip_suffix('"'));
    assert!(codec.is_some_and(|codec| codec.len() == 6), "{kind}");
    let mut bytes = client.take();
    while bytes.len() < 1000 {
        client.read().await;
        bytes.append(&mut client.take());
    }
    let at = |name: &[u8]| bytes.windows(4).position(|four| four == name);
    assert!(at(b"ftyp") < at(b"moov") && at(b"moov") < at(b"moof"));
}

#[tokio::test]
async fn a_snapshot_is_a_picture_of_the_stream() {
    let (_edge, address, _sandbox) = live(&[]).await;
    for stream in ["input", "output"] {
        let path = format!("/snapshot.jpg?stream={stream}");
        let (one, other) = (Client::connect(&address), Client::connect(&address));
        let (mut one, mut other) = tokio::join!(one, other);
        let (one, other) = tokio::join!(one.ask("GET", &path, &[]), other.ask("GET", &path, &[]));
        assert_eq!((one.status, one.header("content-type")), (200, Some("image/jpeg")), "{stream}");
        assert_eq!(one.body, other.body, "two requests at the same time get the same picture");
        let file = temporary("picture.jpg");
        std::fs::write(&file, &one.body).unwrap();
        let arguments = ["-v", "error", "-show_entries", "stream=width,height", "-of", "csv=p=0"];
        let probed = Command::new("ffprobe").args(arguments).arg(&file).output().expect("ffprobe");
        assert_eq!(String::from_utf8_lossy(&probed.stdout).trim(), "320,180");
        std::fs::remove_file(file).unwrap();
    }
}

#[tokio::test]
async fn the_ninth_viewer_is_refused_until_another_leaves() {
    let (_edge, address, _sandbox) = live(&[]).await;
    let mut viewers = Vec::new();
    for _ in 0..livepeer_edge::api::limits::VIEWERS {
        let mut viewer = Client::connect(&address).await;
        viewer.write(b"GET /input.ts HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert_eq!(viewer.head().await.unwrap().0, 200);
        viewers.push(viewer);
    }
    let refused = Client::connect(&address).await.ask("GET", "/input.ts", &[]).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "too-many-viewers"));
    assert_eq!(refused.header("retry-after"), Some("5"));
    let snapshot =
        Client::connect(&address).await.ask("GET", "/snapshot.jpg?stream=input", &[]).await;
    assert_eq!(snapshot.status, 200, "a snapshot does not count as a viewer");
    viewers.pop();
    let by = Instant::now() + edge::LIMIT;
    loop {
        let mut viewer = Client::connect(&address).await;
        viewer.write(b"GET /input.ts HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        if viewer.head().await.unwrap().0 == 200 {
            break;
        }
        assert!(Instant::now() < by, "a new viewer is accepted");
    }
}

#[tokio::test]
async fn a_viewer_that_does_not_read_is_disconnected_and_others_lose_no_frame() {
    let (_edge, address, sandbox) =
        live(&["--video.bitrate", "8 Mbit/s", "--video.width", "1280", "--video.height", "720"])
            .await;
    let mut asleep = Client::connect(&address).await;
    asleep.write(b"GET /input.ts HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(asleep.head().await.unwrap().0, 200);
    asleep.doze(Duration::from_secs(1)).await;
    ffmpeg_decodes(&format!("{address}/input.ts")).await;
    let segments = sandbox.counters().segments;
    assert!(sandbox.until(edge::LIMIT, |record| record.counters.segments > segments).await);
}

#[tokio::test]
async fn commands_get_their_answers_from_the_running_agent() {
    let state = temporary("asked");
    let state = state.to_str().unwrap();
    let (_edge, _address, _sandbox) = live(&["--state.directory", state]).await;
    let ask = async |arguments: &[&str]| {
        let all: Vec<String> = arguments
            .iter()
            .chain(&["--state.directory", state])
            .map(|a| (*a).to_owned())
            .collect();
        tokio::task::spawn_blocking(move || {
            run(&all.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .await
        .unwrap()
    };
    let picture = temporary("picture.jpg");
    let path = picture.to_str().unwrap();
    ask(&["snapshot", path, "--stream", "input"]).await.with_code(0);
    assert!(std::fs::read(&picture).unwrap().starts_with(&[0xff, 0xd8]));
    let status = ask(&["status", "--json"]).await.with_code(0);
    let report: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(report["version"], 1);
    let screen = ask(&["status"]).await.with_code(0);
    assert!(String::from_utf8(screen.stdout).unwrap().contains("  camera "));
    let changed = ask(&["params", r#"{"prompt":"fog","steps":2}"#]).await.with_code(0);
    assert!(!changed.stdout.is_empty());
    ask(&["params", r#"{"steps":null}"#]).await.with_code(0);
    let present = ask(&["params"]).await.with_code(0);
    assert_eq!(String::from_utf8(present.stdout).unwrap(), "{\"prompt\":\"fog\"}\n");
    let refused = ask(&["params", "[1]"]).await.with_code(2);
    assert!(refused.error().contains("not a JSON object"), "{}", refused.stderr);
    let _ = std::fs::remove_dir_all(state);
}

#[tokio::test]
async fn commands_fail_with_a_reason_if_no_agent_runs() {
    let state = temporary("nobody");
    std::fs::create_dir_all(&state).unwrap();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = format!("{{\"version\":1,\"address\":\"http://{gone}\"}}");
    std::fs::write(state.join("api.json"), text).unwrap();
    let ask = |arguments: &[&str]| {
        run(&[arguments, &["--state.directory", state.to_str().unwrap()]].concat())
    };
    let status = ask(&["status"]).with_code(1);
    let expected = format!("error: no agent answers at http://{gone}: is it running?");
    assert!(status.error().starts_with(&expected), "{}", status.error());
    let off = ask(&["status", "--api.listen", "off"]).with_code(2);
    assert!(off.error().contains("api.listen is \"off\""), "{}", off.error());
    std::fs::remove_dir_all(&state).unwrap();
}

#[tokio::test]
#[ignore = "needs VLC: see tests/README.md"]
async fn vlc_plays_both_streams_in_both_containers() {
    let (_edge, address, _sandbox) = live(&[]).await;
    for path in ["/input.ts", "/output.ts", "/input.mp4", "/output.mp4"] {
        let url = format!("{address}{path}");
        let pictures = tokio::task::spawn_blocking(move || vlc_pictures(&url)).await.unwrap();
        assert!(pictures >= 10, "{path}: {pictures} pictures");
    }
}

/// How many pictures VLC decodes and keeps of 8 s of video: one in ten. VLC refuses to run as root.
fn vlc_pictures(url: &str) -> usize {
    let folder = std::env::temp_dir().join(format!("edge-vlc-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let mut command = Command::new(if is_root { "setpriv" } else { "cvlc" });
    if is_root {
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "cvlc"]);
    }
    let scene = ["--video-filter", "scene", "--scene-format", "jpg", "--scene-ratio", "10"];
    command.args(scene).arg("--scene-path").arg(&folder).env("HOME", &folder);
    command.args(["--no-audio", "--vout", "vdummy", "--run-time", "8", "--play-and-exit", url]);
    let played = command.stdin(Stdio::null()).output().expect("cvlc");
    assert!(played.status.success(), "{}", String::from_utf8_lossy(&played.stderr));
    let files = std::fs::read_dir(&folder).unwrap().filter_map(Result::ok);
    let pictures = files.filter(|file| file.path().extension().is_some_and(|end| end == "jpg"));
    let count = pictures.count();
    std::fs::remove_dir_all(&folder).unwrap();
    count
}

/// A 720p camera at 2 Mbit/s.
const HD: [&str; 6] =
    ["--video.width", "1280", "--video.height", "720", "--video.bitrate", "2 Mbit/s"];
/// The length of a window, and the windows of each kind.
const WINDOW: Duration = Duration::from_secs(10);
const WINDOWS: usize = 12;

/// The CPU time and the voluntary waits of the agent's own thread, and the CPU time of all its threads.
#[derive(Debug, Clone, Copy)]
struct Spent {
    own: f64,
    waits: f64,
    all: f64,
}

impl Spent {
    fn now(process: u32) -> Self {
        let seconds = |thread: &str| {
            let path = format!("/proc/{process}/task/{thread}/schedstat");
            let text = std::fs::read_to_string(path).unwrap_or_default();
            text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
        };
        let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
        let all = threads.map(|thread| seconds(thread.file_name().to_str().unwrap())).sum();
        let status = std::fs::read_to_string(format!("/proc/{process}/task/{process}/status"));
        let status = status.unwrap();
        let waits = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        let waits = waits.unwrap().trim().parse().unwrap();
        Self { own: seconds(&process.to_string()), waits, all }
    }

    /// What was spent since `before`, in a second.
    fn since(self, before: Self) -> Self {
        let each = |now: f64, before: f64| (now - before) / WINDOW.as_secs_f64();
        Self {
            own: each(self.own, before.own),
            waits: each(self.waits, before.waits),
            all: each(self.all, before.all),
        }
    }
}

/// What each of the processes spends in a window, a second.
async fn window(processes: &[u32]) -> Vec<Spent> {
    let before: Vec<Spent> = processes.iter().map(|process| Spent::now(*process)).collect();
    tokio::time::sleep(WINDOW).await;
    processes
        .iter()
        .zip(before)
        .map(|(process, before)| Spent::now(*process).since(before))
        .collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[tokio::test]
#[ignore = "takes 5 min of a quiet computer: see tests/README.md"]
async fn the_api_costs_nothing_while_nobody_looks_and_a_viewer_costs_little() {
    let (with, address, _sandbox) = live(&HD).await;
    let (without, _other) = live_without_api(&HD).await;
    // At the same time, so that all else on this computer is the same for both.
    let mut pairs = Vec::new();
    for _ in 0..WINDOWS {
        let spent = window(&[with.id(), without.id()]).await;
        pairs.push((spent[0], spent[1]));
    }
    let of = |each: fn(&Spent) -> f64| {
        let difference = pairs.iter().map(|(with, without)| each(with) - each(without)).collect();
        (median(difference), median(pairs.iter().map(|(_, without)| each(without)).collect()))
    };
    let ((own, _), (waits, waits_before), (_, all)) =
        (of(|s| s.own), of(|s| s.waits), of(|s| s.all));
    let share = own / all;
    edge::say(&format!(
        "nobody looks: {:+.2} % CPU, {waits:+.2} waits a second of {waits_before:.0}",
        100.0 * share
    ));
    assert!(share <= 0.01, "{share}");

    // In turn, as viewers come and go.
    let (mut watched, mut alone) = (Vec::new(), Vec::new());
    for _ in 0..WINDOWS / 2 {
        alone.push(window(&[with.id()]).await[0].all);
        let viewers = ["/input.mp4", "/output.mp4"].map(|path| viewer(&address, path));
        watched.push(window(&[with.id()]).await[0].all);
        drop(viewers);
    }
    let cost = median(watched) - median(alone);
    edge::say(&format!("a viewer of both streams: {cost:+.4} CPU seconds a second"));
    assert!(cost <= 0.01, "{cost}");
}

/// A program without API, with a live job.
async fn live_without_api(more: &[&str]) -> (Edge, sandbox::Handle) {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    let url = sandbox.url();
    let job = ["run", "--orchestrator.urls", &url, "--job.model", "m", "--api.listen", "off"];
    let edge = Edge::start(&[&job[..], &SMALL, more].concat());
    assert!(sandbox.until(edge::LIMIT, |record| record.counters.jobs == 1).await);
    (edge, sandbox)
}

/// Reads a stream until it is dropped.
fn viewer(address: &str, path: &'static str) -> AbortOnDrop<()> {
    let address = address.to_owned();
    AbortOnDrop::spawn(async move {
        let mut client = Client::connect(&address).await;
        client.write(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await;
        assert_eq!(client.head().await.unwrap().0, 200);
        loop {
            client.read().await;
            drop(client.take());
        }
    })
}
