//! Outputs of every kind, each with a real receiver: H.264 arrives, a receiver that hangs, starts late or ends does not
//! affect other outputs, and files remain readable after a crash.
//!
//! Does not: run a job; `outputs` does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod media_capture;
mod peers;
#[path = "scratch/mod.rs"]
mod scratch;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gio::prelude::*;
use media::io::{Capture, Output, SegmentPieces};
use media::{
    Address, Feed, Health, MediaError, Numbered, OutputState, Source, StreamTarget, Target,
    TsPiecePlace,
};
use media_capture::block_on;
use resilience::secret::SecretSource;
use scratch::temporary;

const LIMIT: Duration = Duration::from_secs(5);

/// A child process that ends with its test.
struct Receiver(Child);

impl Receiver {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().expect("cross/setup.sh installs the receiver"))
    }

    /// A recording RTSP server, which writes to `file`, and its port. With a certificate and its key, it speaks TLS.
    fn rtsp(file: &Path, tls: &[&Path]) -> (Self, u16) {
        let mut server = Command::new("/usr/bin/python3");
        let server = server.arg("tests/media_rtsp/recorder.py").arg(file).args(tls);
        let mut server = Self::start(server.stdout(Stdio::piped()));
        let mut port = String::new();
        BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut port).unwrap();
        (server, port.trim().parse().unwrap())
    }

    /// Stunnel, which speaks TLS on `own_port` with the certificate of the directory, and passes all on to `port`.
    fn tls_before(port: u16, own_port: u16, directory: &Path) -> Self {
        let place = directory.display();
        let text = format!(
            "foreground = yes\npid =\n[tls]\naccept = 127.0.0.1:{own_port}\nconnect = 127.0.0.1:{port}\n\
             cert = {place}/crt\nkey = {place}/key\n"
        );
        let config = directory.join("stunnel.conf");
        fs::write(&config, text).unwrap();
        Self::start(Command::new("stunnel4").arg(config).stderr(Stdio::null()))
    }

    /// FFmpeg as an RTMP server for one client, which writes to `file`.
    fn rtmp(port: u16, file: &Path) -> Self {
        let url = format!("rtmp://127.0.0.1:{port}/live/key-of-studio");
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg
            .args(["-v", "error", "-y", "-listen", "1", "-i", &url, "-c", "copy", "-f", "mpegts"]);
        Self::start(ffmpeg.arg("-flush_packets").arg("1").arg(file))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that is free at present.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A running capture of the test picture, in segments of 1 s.
struct Playing {
    _capture: Capture,
    pieces: SegmentPieces,
}

impl Playing {
    fn start() -> Self {
        let (capture, pieces) =
            media_capture::start(&media_capture::options(Source::Test, (320, 240), 300_000));
        capture.play();
        Self { _capture: capture, pieces }
    }

    /// Gives video to all outputs until `done`.
    async fn until(&mut self, outputs: &mut [&mut Output], done: impl Fn(&[OutputState]) -> bool) {
        while let Some(piece) = self.pieces.next().await {
            for output in &mut *outputs {
                output.push(piece.bytes.clone(), piece.place == TsPiecePlace::Begin);
            }
            let states: Vec<OutputState> = outputs.iter().map(|output| output.state()).collect();
            if done(&states) {
                return;
            }
        }
        panic!("the camera ended");
    }
}

/// Gives video to one output until `done`.
fn play(output: &mut Output, done: impl Fn(&OutputState) -> bool) {
    block_on(async { Playing::start().until(&mut [output], |states| done(&states[0])).await });
}

fn is_ok(state: &OutputState) -> bool {
    state.health == Health::Ok
}

fn open(target: Target) -> Output {
    Output::open("an output", target, |_| true).unwrap()
}

fn stream(stream: StreamTarget) -> Output {
    open(Target::Stream(stream))
}

/// The number of pictures in a video file, counted by FFmpeg while it reads the whole file.
fn pictures(file: &Path) -> usize {
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-select_streams", "v", "-count_packets", "-show_entries"]);
    let counted = ffprobe.args(["stream=codec_name,nb_read_packets", "-of", "csv=p=0"]).arg(file);
    let said = String::from_utf8(counted.output().unwrap().stdout).unwrap();
    let counts = said.lines().filter_map(|line| line.trim().strip_prefix("h264,")).next();
    counts.map_or(0, |count| count.trim_end_matches(',').parse().unwrap_or(0))
}

fn has_pictures(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|known| known.len() > 20_000) && pictures(file) > 10
}

#[test]
fn udp_datagrams_contain_whole_ts_packets_with_video() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut output = open(Target::Udp(socket.local_addr().unwrap().to_string()));
    let received = std::cell::RefCell::new(Vec::new());
    play(&mut output, |_| {
        let mut datagram = [0; 2000];
        while let Ok(count) = socket.recv(&mut datagram) {
            assert!(count <= 1316 && count % 188 == 0, "{count}");
            received.borrow_mut().extend_from_slice(&datagram[..count]);
        }
        received.borrow().len() > 60_000
    });
    assert!(is_ok(&output.state()), "{:?}", output.state());
    let file = temporary("udp.ts");
    fs::write(&file, received.into_inner()).unwrap();
    assert!(pictures(&file) > 10);
    fs::remove_file(file).unwrap();
}

#[test]
fn an_udp_address_without_a_receiver_is_reported_as_without_a_reader() {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let place = format!("127.0.0.1:{port}");
    let mut output = open(Target::Udp(place.clone()));
    let expected = format!("{place} has no reader");
    play(&mut output, |state| state.why.as_ref() == Some(&expected));
    assert_eq!(output.state().health, Health::Waiting);
}

#[test]
fn an_srt_receiver_gets_video() {
    let file = temporary("srt.ts");
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let location = format!("location={}", file.display());
    let source = format!("uri=srt://127.0.0.1:{port}?mode=listener");
    let mut launch = Command::new("gst-launch-1.0");
    let _receiver = Receiver::start(launch.args([
        "-q",
        "srtsrc",
        &source,
        "!",
        "filesink",
        "buffer-mode=2",
        &location,
    ]));
    let mut output = stream(StreamTarget::Srt(Address::Plain(format!("srt://127.0.0.1:{port}"))));
    play(&mut output, |state| is_ok(state) && has_pictures(&file));
    fs::remove_file(file).unwrap();
}

#[test]
fn an_rtmp_output_waits_for_its_server_and_waits_again_after_the_server_ends() {
    let (port, file, place) = (free_port(), temporary("rtmp.ts"), temporary("url"));
    fs::write(&place, format!("rtmp://127.0.0.1:{port}/live/key-of-studio\n")).unwrap();
    let address = Address::Secret(SecretSource::File(place.clone()));
    let mut output = stream(StreamTarget::Rtmp(address));
    let log = temporary("beside.ts");
    let mut beside = open(Target::File(log.clone()));
    let failed = |states: &[OutputState]| states[0].health == Health::Failed;
    block_on(async {
        let mut playing = Playing::start();
        let both = &mut [&mut output, &mut beside];
        playing.until(both, failed).await;
        for _server in 0..2 {
            let server = Receiver::rtmp(port, &file);
            playing.until(both, |states| is_ok(&states[0]) && has_pictures(&file)).await;
            drop(server);
            fs::remove_file(&file).unwrap();
            playing.until(both, failed).await;
        }
    });
    let why = output.state().why.unwrap();
    assert!(why.starts_with("output an output: rtmp2sink failed: "), "{why}");
    assert!(!why.contains("key-of-studio"), "{why}");
    // The other output lost no video.
    assert_eq!((beside.dropped(), beside.state().health), (0, Health::Ok));
    [log, place].iter().for_each(|path| fs::remove_file(path).unwrap());
}

#[test]
fn an_rtsp_server_records_video() {
    let file = temporary("rtsp.ts");
    let (_server, port) = Receiver::rtsp(&file, &[]);
    let url = format!("rtsp://127.0.0.1:{port}/record");
    let mut output = stream(StreamTarget::Rtsp(Address::Plain(url)));
    play(&mut output, |state| is_ok(state) && has_pictures(&file));
    fs::remove_file(file).unwrap();
}

/// A certificate for this computer and its key, as files in a new directory. If it is to be trusted, its authority is
/// that of this process, as one that the owner has added to the system.
fn certificate(is_trusted: bool) -> PathBuf {
    let directory = temporary("tls");
    fs::create_dir(&directory).unwrap();
    let (authority, certificate, key) = peers::signed();
    fs::write(directory.join("crt"), peers::pem("CERTIFICATE", &certificate)).unwrap();
    let key = peers::pem("PRIVATE KEY", &key.serialize_der());
    fs::write(directory.join("key"), key).unwrap();
    if is_trusted {
        fs::write(directory.join("authority"), authority).unwrap();
        let authorities = gio::TlsFileDatabase::new(directory.join("authority")).unwrap();
        gio::TlsBackend::default().set_default_database(Some(&authorities));
    }
    directory
}

#[test]
fn servers_with_tls_get_video_only_with_a_certificate_that_this_system_trusts() {
    let why = |state: &OutputState| state.why.clone().unwrap_or_default();
    // The authority that is added for the second turn stays.
    for is_trusted in [false, true] {
        let directory = certificate(is_trusted);
        let [certificate, key, rtmp_file, rtsp_file, place] =
            ["crt", "key", "rtmps.ts", "rtsps.ts", "url"].map(|name| directory.join(name));
        let (plain, port) = (free_port(), free_port());
        let _rtmp = Receiver::rtmp(plain, &rtmp_file);
        let _tls = Receiver::tls_before(plain, port, &directory);
        let (_rtsp, rtsp_port) = Receiver::rtsp(&rtsp_file, &[&certificate, &key]);
        fs::write(&place, format!("rtmps://127.0.0.1:{port}/live/key-of-studio")).unwrap();
        let mut rtmps = stream(StreamTarget::Rtmp(Address::Secret(SecretSource::File(place))));
        let url = format!("rtsps://127.0.0.1:{rtsp_port}/record");
        let mut rtsps = stream(StreamTarget::Rtsp(Address::Plain(url)));
        block_on(async {
            let outputs = &mut [&mut rtmps, &mut rtsps];
            let is_received = || has_pictures(&rtmp_file) && has_pictures(&rtsp_file);
            let is_refused = |state: &OutputState| why(state).contains("certificate");
            Playing::start()
                .until(outputs, |states| match is_trusted {
                    true => states.iter().all(is_ok) && is_received(),
                    false => states.iter().all(is_refused),
                })
                .await;
        });
        if !is_trusted {
            let refused = "output an output: rtspclientsink failed: the server's certificate is refused: \
                           no authority of this system signed it";
            assert_eq!(why(&rtsps.state()), refused);
            assert!(!why(&rtmps.state()).contains("key-of-studio"));
            assert!(!rtmp_file.exists() && !has_pictures(&rtsp_file), "nothing was sent");
        }
        fs::remove_dir_all(directory).unwrap();
    }
}

#[test]
fn a_receiver_that_hangs_does_not_affect_other_outputs() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rtmp://{}/live/x", listener.local_addr().unwrap());
    let mut hanging = stream(StreamTarget::Rtmp(Address::Plain(url)));
    let file = temporary("beside.ts");
    let mut beside = open(Target::File(file.clone()));
    block_on(async {
        let outputs = &mut [&mut hanging, &mut beside];
        Playing::start().until(outputs, |states| states[0].health == Health::Failed).await;
    });
    assert_eq!((hanging.written(), beside.dropped()), (0, 0));
    assert!(is_ok(&beside.state()) && beside.written() > 50_000);
    fs::remove_file(file).unwrap();
}

#[test]
fn a_pipeline_output_gets_the_transport_stream_or_decoded_pictures() {
    let (ts, jpeg) = (temporary("fragment.ts"), temporary("picture.jpg"));
    let fragment = format!("filesink buffer-mode=2 location={}", ts.display());
    let mut output = stream(StreamTarget::Pipeline { fragment, feed: Feed::Ts });
    play(&mut output, |state| is_ok(state) && has_pictures(&ts));
    let fragment = format!("jpegenc ! multifilesink location={}", jpeg.display());
    let mut output = stream(StreamTarget::Pipeline { fragment, feed: Feed::Video });
    play(&mut output, |state| {
        is_ok(state) && fs::metadata(&jpeg).is_ok_and(|known| known.len() > 500)
    });
    [ts, jpeg].iter().for_each(|path| fs::remove_file(path).unwrap());
}

#[test]
fn an_output_that_cannot_be_opened_names_the_missing_part() {
    for (fragment, expected) in [
        ("nosuchsink", "GStreamer has no element \"nosuchsink\": install the plugin that has it"),
        (
            "filesink colour=red",
            "the pipeline fragment is not valid: no property \"colour\" in element \"filesink\"",
        ),
    ] {
        let fragment = fragment.to_owned();
        let mut output = stream(StreamTarget::Pipeline { fragment, feed: Feed::Ts });
        play(&mut output, |state| state.health == Health::Failed);
        assert_eq!(output.state().why.as_deref(), Some(expected));
    }
    let place = temporary("wrong-url");
    fs::write(&place, "https://studio.example/secret-key").unwrap();
    let mut output = stream(StreamTarget::Rtmp(Address::Secret(SecretSource::File(place.clone()))));
    play(&mut output, |state| state.health == Health::Failed);
    let expected =
        format!("output an output: {}: it must hold a URL with rtmp or rtmps", place.display());
    assert_eq!(output.state().why, Some(expected));
    fs::remove_file(place).unwrap();
}

fn numbered(path: &Path, file_bytes: u64, max_files: usize) -> Numbered {
    Numbered {
        path: path.to_owned(),
        file_bytes: Some(file_bytes),
        file_time: None,
        max_files: Some(max_files),
        max_bytes: None,
    }
}

/// The files of a directory, from the oldest to the newest.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn after_a_crash_file_numbers_continue_and_no_file_is_truncated() {
    let directory = temporary("numbered");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("holiday.ts"), "mine").unwrap();
    let target = Target::Numbered(numbered(&directory.join("cam.ts"), 30_000, 3));
    let cams = || -> Vec<PathBuf> {
        let is_cam =
            |file: &PathBuf| file.file_name().unwrap().to_str().unwrap().starts_with("cam-");
        files(&directory).into_iter().filter(is_cam).collect()
    };
    let mut output = open(target.clone());
    play(&mut output, |_| cams().len() == 2);
    // This simulates a crash: the output is dropped without being closed, and its last file is incomplete.
    drop(output);
    let before: Vec<(PathBuf, u64)> =
        cams().into_iter().map(|file| (file.clone(), fs::metadata(&file).unwrap().len())).collect();
    let mut output = open(target);
    play(&mut output, |_| cams().last().is_some_and(|last| *last > before[1].0));
    assert!(fs::metadata(&before[1].0).unwrap().len() >= before[1].1, "nothing is truncated");
    assert!(cams().len() <= 3);
    play(&mut output, |_| !before[0].0.exists());
    block_on(output.close(LIMIT)).unwrap();
    assert!(cams().len() <= 3);
    cams().iter().for_each(|file| assert!(pictures(file) > 0, "{file:?}"));
    assert_eq!(fs::read(directory.join("holiday.ts")).unwrap(), b"mine");
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn an_mp4_file_can_be_played_while_it_is_written() {
    let directory = temporary("mp4");
    fs::create_dir(&directory).unwrap();
    let mut output = open(Target::Numbered(numbered(&directory.join("cam.mp4"), 60_000, 2)));
    // The file is not closed, as after a power cut.
    play(&mut output, |state| {
        is_ok(state) && files(&directory).first().is_some_and(|file| has_pictures(file))
    });
    let first = files(&directory).remove(0);
    play(&mut output, |_| {
        files(&directory).last().is_some_and(|last| *last > first && has_pictures(last))
    });
    let mut stopped = open(Target::Numbered(numbered(&directory.join("other.mp4"), 60_000, 2)));
    play(&mut stopped, |state| state.bytes > 40_000);
    block_on(stopped.close(LIMIT)).unwrap();
    assert!(files(&directory).len() <= 3);
    files(&directory).iter().for_each(|file| assert!(pictures(file) > 0, "{file:?}"));
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_new_file_begins_on_request() {
    let directory = temporary("reopened");
    fs::create_dir(&directory).unwrap();
    let mut output = open(Target::Numbered(numbered(&directory.join("cam.ts"), 1 << 40, 9)));
    play(&mut output, is_ok);
    output.reopen();
    play(&mut output, |_| files(&directory).len() == 2);
    block_on(output.close(LIMIT)).unwrap();
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn an_output_waits_for_a_missing_directory() {
    let directory = temporary("later");
    let mut output = open(Target::Numbered(numbered(&directory.join("cam.mp4"), 60_000, 2)));
    play(&mut output, |state| state.health == Health::Failed);
    let why = output.state().why.unwrap();
    assert!(why.contains("mount its disk"), "{why}");
    fs::create_dir(&directory).unwrap();
    play(&mut output, is_ok);
    block_on(output.close(LIMIT)).unwrap();
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_full_disk_fails_an_output() {
    let error = block_on(async {
        let mut output = open(Target::File("/dev/full".into()));
        let full = |states: &[OutputState]| states[0].health == Health::Failed;
        Playing::start().until(&mut [&mut output], full).await;
        output.close(LIMIT).await.unwrap_err()
    });
    assert!(matches!(error, MediaError::Write { .. }), "{error}");
}

#[test]
fn an_output_of_the_input_is_written_on_its_own_thread() {
    let file = temporary("input.ts");
    let output = std::sync::Arc::new(std::sync::Mutex::new(open(Target::File(file.clone()))));
    block_on(async {
        let units = media::io::AccessUnits::new();
        units.set_outputs(&[std::sync::Arc::clone(&output)]);
        let options = media_capture::options(Source::Test, (320, 240), 300_000);
        let capture = Capture::start(&options, units.clone()).unwrap();
        capture.play();
        units.more_than(60).await;
        capture.stop().await;
        units.end_outputs(LIMIT).await;
    });
    let output = std::sync::Arc::into_inner(output).unwrap().into_inner().unwrap();
    block_on(output.close(LIMIT)).unwrap();
    assert!(pictures(&file) > 50);
    fs::remove_file(file).unwrap();
}
