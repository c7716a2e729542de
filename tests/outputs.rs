//! Outputs of returned video: after a failure an output continues with a new segment; no output ends the agent, blocks
//! the agent or destroys a file.
//!
//! Does not: decode the returned video; `demo` does.
#![cfg(feature = "sandbox")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod edge;
mod media_capture;
mod stream;

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use edge::{Edge, LIMIT, SMALL, run, temporary};
use media::io::Output;
use media::{MediaError, Target};
use media_capture::block_on;
use sandbox::{Handle, Options, Role, Sandbox};

/// A null packet of MPEG-TS that contains its number `n`.
fn packet(n: u32) -> Vec<u8> {
    let mut packet = vec![0x47; 188];
    packet[1..5].copy_from_slice(&n.to_be_bytes());
    packet
}

/// The numbers of the packets in a stream of [`packet`]s.
fn numbers(stream: &[u8]) -> Vec<u32> {
    assert_eq!(stream.len() % 188, 0, "whole packets");
    let number = |packet: &[u8]| u32::from_be_bytes(packet[1..5].try_into().unwrap());
    stream.chunks(188).inspect(|packet| assert_eq!(packet[0], 0x47)).map(number).collect()
}

fn open(path: &Path) -> Output {
    Output::open("an output", Target::File(path.into()), |_| true).unwrap()
}

/// Pushes segments of 100 packets each.
fn push(output: &mut Output, packets: std::ops::Range<u32>) {
    packets.for_each(|n| output.push(packet(n).into(), n % 100 == 0));
}

fn fifo(name: &str) -> PathBuf {
    let path = temporary(name);
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    path
}

#[test]
fn an_output_file_gets_all_bytes_in_order_and_each_run_appends() {
    let path = temporary("out.ts");
    for run in 0..3 {
        let mut output = open(&path);
        push(&mut output, 100 * run..100 * (run + 1));
        block_on(output.close(LIMIT)).unwrap();
        // A full disk or a power cut leaves an incomplete packet at the end of the file.
        let file = OpenOptions::new().append(true).open(&path);
        file.unwrap().write_all(&packet(0)[..100]).unwrap();
    }
    let written = fs::read(&path).unwrap();
    assert_eq!(numbers(&written[..written.len() - 100]), (0..300).collect::<Vec<_>>());
    fs::remove_file(path).unwrap();
}

#[test]
fn an_output_contains_only_whole_packets_after_a_loss() {
    let path = temporary("whole.ts");
    let mut output = open(&path);
    // The first segment ends within a packet; the second one is whole.
    output.push(packet(0)[..100].to_vec().into(), true);
    output.push([&packet(0)[100..], &packet(1)[..50]].concat().into(), false);
    output.push(packet(2).into(), true);
    block_on(output.close(LIMIT)).unwrap();
    assert_eq!(numbers(&fs::read(&path).unwrap()), [0, 2]);
    fs::remove_file(path).unwrap();
}

#[test]
fn an_output_that_cannot_be_opened_fails_the_start_or_is_opened_again_later() {
    let directory = temporary("later");
    let path = directory.join("out.ts");
    let target = Target::File(path.clone());
    let error = Output::open("an output", target.clone(), |_| true)
        .map(drop)
        .expect_err("the directory does not exist");
    assert!(matches!(&error, MediaError::Write { path: of, .. } if *of == path), "{error}");
    let mut output = Output::open("an output", target, |_| false).unwrap();
    fs::create_dir(&directory).unwrap();
    let by = Instant::now() + LIMIT;
    for n in 0.. {
        output.push(packet(n).into(), true);
        if output.written() > 0 {
            break;
        }
        assert!(Instant::now() < by, "the output is not opened again");
        thread::sleep(Duration::from_millis(20));
    }
    block_on(output.close(LIMIT)).unwrap();
    assert!(!numbers(&fs::read(&path).unwrap()).is_empty());
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_full_disk_at_the_end_is_an_error() {
    let mut output = open(Path::new("/dev/full"));
    push(&mut output, 0..3);
    let error = block_on(output.close(LIMIT)).expect_err("it is full");
    let full = std::io::ErrorKind::StorageFull;
    assert!(matches!(error, MediaError::Write { kind, .. } if kind == full), "{error}");
}

#[test]
fn a_file_without_mpegts_is_not_changed() {
    let path = temporary("notes.txt");
    for text in ["G", "Good morning", &format!("G{}", "o".repeat(400)), &"o".repeat(188)] {
        fs::write(&path, text).unwrap();
        let opened = Output::open("an output", Target::File(path.clone()), |_| true).map(drop);
        assert_eq!(opened, Err(MediaError::NotAnOutput(path.clone())), "{text}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    fs::remove_file(path).unwrap();
}

#[test]
fn after_the_file_is_moved_the_next_segment_begins_a_new_file() {
    let (path, old) = (temporary("out.ts"), temporary("old.ts"));
    let mut output = open(&path);
    push(&mut output, 0..150);
    while output.written() < 150 * 188 {
        thread::yield_now();
    }
    fs::rename(&path, &old).unwrap();
    push(&mut output, 150..300);
    block_on(output.close(LIMIT)).unwrap();
    assert_eq!(numbers(&fs::read(&old).unwrap()), (0..200).collect::<Vec<_>>());
    assert_eq!(numbers(&fs::read(&path).unwrap()), (200..300).collect::<Vec<_>>());
    [path, old].iter().for_each(|path| fs::remove_file(path).unwrap());
}

#[test]
fn an_output_that_stalls_loses_whole_segments() {
    let path = fifo("stalls.fifo");
    // The other end of the pipe is open, but is not read.
    let stalled = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut output = open(&path);
    // These packets are more than the pipe (64 KiB) and the queue can hold.
    push(&mut output, 0..100);
    while output.written() < 100 * 188 {
        thread::yield_now();
    }
    push(&mut output, 100..1000);
    assert!(output.dropped() > 0);
    assert_eq!(output.dropped() % 188, 0);
    let got = thread::spawn({
        let path = path.clone();
        move || {
            let mut bytes = Vec::new();
            let mut reader = File::open(path).unwrap();
            while !bytes.windows(5).any(|window| *window == packet(1099)[..5]) {
                let mut part = [0; 4096];
                let count = reader.read(&mut part).unwrap();
                bytes.extend_from_slice(&part[..count]);
            }
            bytes
        }
    });
    while output.written() + output.dropped() < 1000 * 188 {
        thread::yield_now();
    }
    push(&mut output, 1000..1100);
    block_on(output.close(LIMIT)).unwrap();
    let numbers = numbers(&got.join().unwrap());
    for two in numbers.windows(2) {
        assert!(two[1] == two[0] + 1 || two[1] % 100 == 0, "{two:?}");
    }
    assert_eq!(numbers.last(), Some(&1099));
    drop(stalled);
    fs::remove_file(path).unwrap();
}

#[test]
fn each_reader_of_a_pipe_starts_at_the_beginning_of_a_segment() {
    let path = fifo("readers.fifo");
    let mut output = open(&path);
    // No reader has opened the pipe.
    push(&mut output, 0..150);
    for _reader in 0..2 {
        let read = thread::spawn({
            let path = path.clone();
            move || {
                let mut bytes = vec![0; 50 * 188];
                let mut reader = File::open(path).unwrap();
                reader.read_exact(&mut bytes).unwrap();
                bytes
            }
        });
        let (mut n, by) = (150, Instant::now() + LIMIT);
        while !read.is_finished() {
            assert!(Instant::now() < by, "the reader gets no video");
            push(&mut output, n..n + 10);
            n += 10;
            thread::sleep(Duration::from_millis(1));
        }
        let numbers = numbers(&read.join().unwrap());
        assert_eq!(numbers[0] % 100, 0, "{numbers:?}");
        assert!(numbers.windows(2).all(|two| two[1] == two[0] + 1), "{numbers:?}");
        // The output notices at its next write that this reader has closed the pipe.
        loop {
            let before = output.written();
            push(&mut output, 0..100);
            thread::sleep(Duration::from_millis(20));
            if output.written() == before {
                break;
            }
            assert!(
                Instant::now() < by,
                "the output does not notice that its reader has closed the pipe"
            );
        }
    }
    // A pipe without a reader is not an error.
    block_on(output.close(LIMIT)).unwrap();
    fs::remove_file(path).unwrap();
}

fn sandbox() -> Handle {
    Sandbox::start(Options::default()).unwrap()
}

/// Starts a small job on `sandbox` with this output.
fn job(sandbox: &Handle, output: &Path) -> Edge {
    let url = sandbox.url();
    let job = ["run", "--orchestrator.urls", &url, "--job.model", "m", "--output.path"];
    Edge::start(&[&job[..], &[output.to_str().unwrap()], &SMALL].concat())
}

async fn returned(sandbox: &Handle, segments: u64) {
    let now = sandbox.counters().segments;
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= now + segments).await);
}

/// The number of lines of the log that contain `part`.
fn count(said: &str, part: &str) -> usize {
    said.lines().filter(|line| line.contains(part)).count()
}

/// Opens a pipe as a viewer does, and returns the bytes before the second PAT, which begins the next segment.
fn first_segment(path: &Path) -> Vec<u8> {
    let (mut viewer, mut seen) = (File::open(path).unwrap(), Vec::new());
    let mut packet = [0; 188];
    loop {
        viewer.read_exact(&mut packet).unwrap();
        if !seen.is_empty() && packet[1] & 0x1f == 0 && packet[2] == 0 {
            return seen;
        }
        seen.extend_from_slice(&packet);
    }
}

#[tokio::test]
async fn after_a_viewer_leaves_the_next_one_gets_whole_segments() {
    let sandbox = sandbox();
    let path = fifo("viewers.fifo");
    let mut edge = job(&sandbox, &path);
    edge.hear("has no reader");
    for _viewer in 0..2 {
        let path = path.clone();
        let seen = tokio::task::spawn_blocking(move || first_segment(&path)).await.unwrap();
        assert_eq!(stream::segments(&seen).len(), 1);
        // A part of the next segment is lost, because the pipe has no reader.
        returned(&sandbox, 2).await;
    }
    edge.signal("TERM");
    let ended = edge.end().with_code(0);
    let warnings = count(&ended.stderr, "has no reader");
    assert!((1..=2).contains(&warnings), "{}", ended.stderr);
    assert_eq!(sandbox.counters().jobs, 1);
    fs::remove_file(path).unwrap();
}

/// A limit on the size of files takes the place of a full disk, since a test can set this limit without root. The limit
/// of 200 kB is 3 s of video.
#[tokio::test]
async fn video_is_lost_while_the_disk_is_full_and_written_again_once_it_has_room() {
    let sandbox = sandbox();
    let path = temporary("limited.ts");
    let url = sandbox.url();
    let script = r#"ulimit -f 400; exec "$0" "$@""#;
    let job = ["run", "--orchestrator.urls", &url, "--job.model", "m", "--output.path"];
    let bitrate = ["--video.bitrate", "500 kbit/s"];
    let job = [&job[..], &[path.to_str().unwrap()], &SMALL, &bitrate].concat();
    let mut edge = Edge::start_by(&["sh", "-c", script], &job);
    let line = edge.hear("cannot write ");
    assert!(line.starts_with("WARN ") && line.contains("name another file"), "{line}");
    returned(&sandbox, 3).await;
    // An empty file means that the disk has room again.
    File::create(&path).unwrap();
    let line = edge.hear("is written again");
    assert!(line.starts_with("INFO "), "{line}");
    edge.signal("TERM");
    let ended = edge.end();
    assert_eq!(count(&ended.stderr, "WARN  [livepeer_media::io::playback] cannot write "), 1);
    assert_eq!(sandbox.counters().jobs, 1, "{}", ended.stderr);
    assert!(stream::segments(&fs::read(&path).unwrap()).len() > 1);
    fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn the_agent_waits_for_a_missing_output_directory() {
    let sandbox = sandbox();
    let disk = temporary("unmounted");
    let path = disk.join("out.ts");
    let mut edge = job(&sandbox, &path);
    let line = edge.hear("cannot write ");
    assert!(line.contains("mount its disk"), "{line}");
    returned(&sandbox, 1).await;
    fs::create_dir(&disk).unwrap();
    edge.hear("is written again");
    edge.signal("TERM");
    edge.end().with_code(0);
    assert!(!stream::segments(&fs::read(&path).unwrap()).is_empty());
    fs::remove_dir_all(disk).unwrap();
}

#[tokio::test]
async fn a_restart_appends_to_the_file_of_the_previous_run() {
    let sandbox = sandbox();
    let path = temporary("grown.ts");
    let mut whole = 0;
    for _run in 0..2 {
        let edge = job(&sandbox, &path);
        returned(&sandbox, 2).await;
        edge.signal("TERM");
        edge.end().with_code(0);
        let written = fs::read(&path).unwrap();
        // The continuity counters of each run start at 0, so each run is read alone.
        assert!(!stream::segments(&written[whole..]).is_empty());
        whole = written.len();
    }
    fs::remove_file(path).unwrap();
}

/// Asserts that the program ends with exit code 2 and this error before any request, and that the file `spared` is
/// unchanged.
#[track_caller]
fn refused(arguments: &[&str], spared: &Path, expected: &str) {
    let before = fs::read(spared).unwrap();
    for command in [&["demo", "--seconds", "1"][..], &["run"]] {
        let place = ["--orchestrator.urls", "127.0.0.1:9", "--job.model", "m"];
        let place = if command[0] == "run" { &place[..] } else { &[] };
        let ended = run(&[command, place, arguments].concat()).with_code(2);
        assert_eq!(ended.error(), format!("error: {expected}"));
        assert_eq!(fs::read(spared).unwrap(), before, "{arguments:?}");
    }
}

#[test]
fn an_output_never_destroys_the_input() {
    let film = temporary("film.ts");
    fs::write(&film, [packet(0), packet(1)].concat()).unwrap();
    let (link, other) = (temporary("link.ts"), temporary("hard.ts"));
    symlink(&film, &link).unwrap();
    fs::hard_link(&film, &other).unwrap();
    let source = film.to_str().unwrap();
    for output in [&film, &link, &other] {
        let output = output.to_str().unwrap();
        let expected =
            format!("output.path: {output} is the same file as source.path: name another one");
        let kind = ["--source.kind", "file", "--source.path", source];
        refused(&[&kind[..], &["--output.path", output]].concat(), &film, &expected);
    }
    // Standard output may be redirected to the input file.
    let adds = OpenOptions::new().append(true).open(&film).unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_livepeer-edge"));
    demo.args(["demo", "--source", source, "--output", "-"]).stdout(adds);
    assert_eq!(demo.output().unwrap().status.code(), Some(2));
    assert_eq!(fs::read(&film).unwrap(), [packet(0), packet(1)].concat());
    [film, link, other].iter().for_each(|path| fs::remove_file(path).unwrap());
}

#[test]
fn an_output_never_destroys_a_file_without_video() {
    let config = temporary("camera.toml");
    let path = config.to_str().unwrap();
    fs::write(&config, format!("[output]\npath = {path:?}\n")).unwrap();
    let expected =
        format!("output.path: {path} is the same file as the configuration: name another one");
    refused(&["--config", path], &config, &expected);

    let checked = temporary("checked.toml");
    let of = checked.to_str().unwrap();
    let rest = "[orchestrator]\nurls = [\"o\"]\n[job]\nmodel = \"m\"\n";
    fs::write(&checked, format!("[output]\npath = {of:?}\n{rest}")).unwrap();
    assert!(run(&["check-config", of]).with_code(2).error().contains("is the same file as"));

    let expected =
        format!("{path} holds something other than MPEG-TS: name another file in output.path");
    refused(&["--output.path", path], &config, &expected);
    let directory = config.parent().unwrap().to_str().unwrap();
    let expected =
        format!("{directory} holds something other than MPEG-TS: name another file in output.path");
    refused(&["--output.path", directory], &config, &expected);
    [config, checked].iter().for_each(|path| fs::remove_file(path).unwrap());
}

/// The service must not end with exit code 2, because systemd would not start it again.
#[tokio::test]
async fn a_service_runs_without_an_output_whose_file_is_not_mpegts() {
    let sandbox = sandbox();
    let path = temporary("zeros.ts");
    fs::write(&path, [0; 4096]).unwrap();
    let url = sandbox.url();
    let job = ["run", "--orchestrator.urls", &url, "--job.model", "m", "--output.path"];
    let job = [&job[..], &[path.to_str().unwrap()], &SMALL].concat();
    let mut edge = Edge::start_with(&job, &[("NOTIFY_SOCKET", "@nobody")]);
    edge.hear("holds something other than MPEG-TS");
    returned(&sandbox, 1).await;
    fs::remove_file(&path).unwrap();
    edge.hear("is written again");
    edge.signal("TERM");
    edge.end().with_code(0);
    fs::remove_file(path).unwrap();
}

#[test]
fn an_output_in_the_store_directory_is_refused() {
    let store = temporary("store");
    fs::create_dir(&store).unwrap();
    let path = store.join("out.ts");
    fs::write(&path, packet(0)).unwrap();
    let (directory, output) = (store.to_str().unwrap(), path.to_str().unwrap());
    let expected = format!("output.path: {output} is in store.directory: name another directory");
    refused(&["--store.directory", directory, "--output.path", output], &path, &expected);
    fs::remove_dir_all(store).unwrap();
}

/// The paths of the files in a directory, in order.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let by = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < by, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn files_of_several_outputs_survive_a_kill_and_sighup_begins_new_files() {
    let sandbox = sandbox();
    let directory = temporary("outputs");
    fs::create_dir(&directory).unwrap();
    let (config, secret) = (temporary("outputs.toml"), temporary("studio.url"));
    fs::write(&secret, "rtmp://127.0.0.1:9/live/key-of-studio").unwrap();
    let path = |name: &str| directory.join(name).display().to_string();
    let text = format!(
        "[[output]]\npath = {:?}\n[[output]]\npath = {:?}\nfile-time = \"1h\"\n[[output]]\npath = {:?}\n\
         stream = \"input\"\nmax-files = 9\nfile-size = 100\n[[output]]\nkind = \"rtmp\"\nname = \"studio\"\n\
         credential = \"file:{}\"\n",
        path("job.ts"),
        path("job.mp4"),
        path("input.ts"),
        secret.display()
    );
    fs::write(&config, text).unwrap();
    let url = sandbox.url();
    let config_path = config.to_str().unwrap();
    let job = ["run", "--config", config_path, "--orchestrator.urls", &url, "--job.model", "m"];
    let job = [&job[..], &SMALL].concat();
    let count = |start: &str| {
        let named = |file: &PathBuf| file.file_name().unwrap().to_str().unwrap().starts_with(start);
        files(&directory).iter().filter(|file| named(file)).count()
    };
    let mut edge = Edge::start(&job);
    let line = edge.hear("output studio: rtmp2sink failed");
    assert!(!line.contains("key-of-studio"), "{line}");
    until("all files exist", || files(&directory).len() == 3).await;
    returned(&sandbox, 3).await;
    edge.signal("HUP");
    edge.hear("the configuration is the same as before");
    until("the numbered output has a second file", || count("job-") == 2).await;
    edge.signal("KILL");
    let ended = edge.end();
    assert!(!ended.stderr.contains("key-of-studio"), "{}", ended.stderr);
    let before: Vec<u64> =
        files(&directory).iter().map(|file| fs::metadata(file).unwrap().len()).collect();
    let old = files(&directory);

    let edge = Edge::start(&job);
    until("the next files exist", || count("job-") == 3 && count("input-") >= 2).await;
    returned(&sandbox, 2).await;
    edge.signal("TERM");
    // The only failure is the output whose server does not exist.
    let ended = edge.end().with_code(1);
    assert!(ended.error().contains("output studio"), "{}", ended.error());
    for (file, length) in old.iter().zip(before) {
        assert!(fs::metadata(file).unwrap().len() >= length, "{file:?} is truncated");
    }
    [config, secret].iter().for_each(|path| fs::remove_file(path).unwrap());
    fs::remove_dir_all(directory).unwrap();
}

/// The decoding times of a file of video, in its own order.
fn times(file: &Path) -> Vec<f64> {
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-select_streams", "v", "-show_entries", "packet=dts_time"]);
    let said = ffprobe.args(["-of", "csv=p=0"]).arg(file).output().expect("ffprobe runs").stdout;
    let said = String::from_utf8(said).unwrap();
    said.lines().filter_map(|line| line.trim_end_matches(',').parse().ok()).collect()
}

/// Asserts that a file is one recording of several jobs: its times always go up, without a gap of more than `pause`, and
/// FFmpeg decodes all of it.
#[track_caller]
fn assert_plays_on(file: &Path, pause: Duration) {
    let times = times(file);
    assert!(times.len() > 60, "{file:?}: {} pictures", times.len());
    for two in times.windows(2) {
        assert!(two[1] > two[0], "{file:?}: {} after {}", two[1], two[0]);
        assert!(two[1] - two[0] <= pause.as_secs_f64(), "{file:?}: {} after {}", two[1], two[0]);
    }
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-i"]).arg(file).args(["-map", "0:v", "-f", "null", "-"]);
    let said = String::from_utf8(ffmpeg.output().expect("ffmpeg runs").stderr).unwrap();
    assert_eq!(said, "", "{file:?}");
}

#[tokio::test]
async fn recordings_and_streams_go_on_in_time_over_a_change_of_the_job() {
    let sandbox = sandbox();
    let directory = temporary("jobs");
    fs::create_dir(&directory).unwrap();
    let config = temporary("jobs.toml");
    let path = |name: &str| directory.join(name);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let rtmp = format!("rtmp://127.0.0.1:{port}/live/key");
    let mut server = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-listen", "1", "-i", &rtmp, "-c", "copy"])
        .arg(path("rtmp.flv"))
        .stdin(Stdio::null())
        .spawn()
        .expect("ffmpeg runs");
    let text = format!(
        "[[output]]\npath = {:?}\n[[output]]\npath = {:?}\n[[output]]\nkind = \"rtmp\"\nurl = \"{rtmp}\"\n",
        path("jobs.ts"),
        path("jobs.mp4"),
    );
    fs::write(&config, text).unwrap();
    let url = sandbox.url();
    let job = ["run", "--config", config.to_str().unwrap(), "--orchestrator.urls", &url];
    let edge = Edge::start(&[&job[..], &["--job.model", "m"], &SMALL].concat());
    // Without the shift, the times of the second job would be those of the first one.
    let began = Instant::now();
    returned(&sandbox, 5).await;
    assert!(sandbox.close_channels(Role::Publish) > 0);
    assert!(sandbox.until(LIMIT, |record| record.counters.jobs == 2).await);
    returned(&sandbox, 3).await;
    let took = began.elapsed();
    edge.signal("TERM");
    edge.end().with_code(0);
    assert!(server.wait().unwrap().success(), "the stream ended in good order");
    let mp4 = files(&directory).into_iter().find(|file| file.extension().unwrap() == "mp4");
    for file in [path("jobs.ts"), mp4.unwrap(), path("rtmp.flv")] {
        assert_plays_on(&file, took);
    }
    fs::remove_file(config).unwrap();
    fs::remove_dir_all(directory).unwrap();
}

/// A display without a screen.
struct Display {
    server: Child,
    name: String,
}

impl Display {
    fn start() -> Self {
        let mut server = Command::new("Xvfb");
        server.args(["-displayfd", "1", "-screen", "0", "640x480x24", "-nolisten", "tcp"]);
        let server = server.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = server.spawn().expect("Xvfb, which cross/setup.sh installs");
        let mut number = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
        Self { server, name: format!(":{}", number.trim()) }
    }

    /// The colours that it shows.
    fn colours(&self) -> HashSet<[u8; 3]> {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-f", "x11grab", "-i", &self.name, "-frames:v", "1"]);
        let shown =
            ffmpeg.args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]).output().unwrap().stdout;
        shown.as_chunks().0.iter().copied().collect()
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[tokio::test]
async fn a_display_shows_the_returned_video_and_without_one_the_output_says_so() {
    let sandbox = sandbox();
    let url = sandbox.url();
    let job = ["run", "--orchestrator.urls", &url, "--job.model", "m", "--output.kind", "display"];
    let job = [&job[..], &SMALL].concat();
    let mut without = Edge::start_with(&job, &[("DISPLAY", ""), ("WAYLAND_DISPLAY", "")]);
    without.hear("no display is found: start the agent in a graphical session");
    drop(without);
    let display = Display::start();
    assert!(display.colours().len() < 5, "nothing is shown");
    let edge = Edge::start_with(&job, &[("DISPLAY", &display.name)]);
    until("the picture is shown", || display.colours().len() > 100).await;
    edge.signal("TERM");
    edge.end().with_code(0);
}
