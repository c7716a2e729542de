//! Captures from a real RTSP server: what passes through, what is encoded anew, and how it fails.
//!
//! Needs the Debian packages python3-gi and gir1.2-gst-rtsp-server-1.0, which `cross/setup.sh` installs.
//!
//! Does not: leave this machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use media::Place;
use media::io::{AccessUnits, Capture, End};
use media::{CameraFormat, Encoder, MediaError, Options, Source, Speed, Video};
use mpegts::{Reader, Report, Unit};
use resilience::secret::SecretSource;

/// A test that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(30);

/// A server that ends with its standard input.
struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    port: u16,
    credential: PathBuf,
}

impl Server {
    /// Starts the server, and fails with what it says where it does not start.
    #[track_caller]
    fn start(name: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/media_rtsp/server.py");
        // Debian's own Python: the packages are for it. What the server says belongs to the test's output.
        let child = Command::new("/usr/bin/python3")
            .args([script, name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.expect("/usr/bin/python3, which cross/setup.sh installs");
        let mut line = String::new();
        let _ = BufReader::new(child.stdout.take().unwrap()).read_line(&mut line);
        let Ok(port) = line.trim().parse() else {
            panic!("the RTSP server did not start: {:?}", child.wait());
        };
        let credential =
            std::env::temp_dir().join(format!("le-rtsp-{}-{name}", std::process::id()));
        std::fs::write(&credential, "viewer:pass:word\n").unwrap();
        let stdin = child.stdin.take();
        Self { child, stdin, port, credential }
    }

    fn options(&self, path: &str, format: CameraFormat) -> Options {
        Options {
            source: Source::Rtsp {
                url: format!("rtsp://127.0.0.1:{}{path}", self.port),
                credential: Some(SecretSource::File(self.credential.clone())),
                pin: None,
                format,
            },
            video: Video {
                width: 320,
                height: 240,
                bitrate: 1_000_000,
                segment: Duration::from_secs(1),
                ..Video::default()
            },
            encoder: Encoder { element: Some("x264enc".into()), speed: Speed::Ultrafast },
            ..Options::default()
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.credential);
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(LIMIT, future).await.expect("it hangs") })
}

/// Captures two segments, and says whether they passed through: only an encoder can be told a bitrate.
fn capture(options: &Options) -> (bool, Vec<Unit>) {
    block_on(async {
        let capture = Capture::start(options, AccessUnits::new()).unwrap();
        let mut pieces = capture.pieces();
        let (mut bytes, mut begun) = (Vec::new(), 0);
        loop {
            let Some(piece) = pieces.next().await else { panic!("{:?}", capture.ended().await) };
            begun += u32::from(piece.place == Place::Begin);
            if begun == 3 {
                break;
            }
            bytes.extend_from_slice(&piece.bytes);
        }
        let passed = !capture.set_bitrate(300_000);
        capture.stop().await;
        let mut units = Vec::new();
        let mut reader = Reader::new();
        let mut report = |report| match report {
            Report::Unit(unit) => units.push(unit),
            Report::Pat | Report::Pmt => {}
            Report::Gap { .. }
            | Report::Damaged { .. }
            | Report::Stray { .. }
            | Report::LostSync => {
                panic!("{report:?}")
            }
        };
        reader.push(&bytes, &mut report);
        reader.flush(&mut report);
        (passed, units)
    })
}

#[track_caller]
fn check(server: &Server, path: &str, format: CameraFormat, passes: bool) {
    let (passed, units) = capture(&server.options(path, format));
    assert_eq!(passed, passes, "{path}");
    assert!(units.iter().all(|unit| unit.pts == unit.dts), "{path}: no picture waits for another");
    let keys = units.iter().filter(|unit| unit.is_key).count();
    assert!(keys >= 2, "{path}: {keys} keys");
    assert!(units.len() > 40, "{path}: {} frames in 2 s", units.len());
}

#[test]
fn short_gops_pass_through_and_all_else_is_encoded_anew() {
    let server = Server::start("pass");
    check(&server, "/good", CameraFormat::Auto, true);
    check(&server, "/long", CameraFormat::Auto, false);
    check(&server, "/bframes", CameraFormat::Auto, false);
    check(&server, "/mjpeg", CameraFormat::Auto, false);
}

#[test]
fn what_is_more_than_was_asked_for_is_encoded_anew() {
    let server = Server::start("more");
    check(&server, "/large", CameraFormat::Auto, false);
    check(&server, "/heavy", CameraFormat::Auto, false);
    check(&server, "/heavy", CameraFormat::H264, true);
}

#[test]
fn what_decoders_and_models_do_not_take_is_encoded_anew() {
    let server = Server::start("odd");
    check(&server, "/422", CameraFormat::Auto, false);
    check(&server, "/interlaced", CameraFormat::Auto, false);
}

/// Recovery points instead of IDR pictures: the parser calls them keys, but no segment can begin there.
#[test]
fn a_picture_refreshed_in_stripes_is_encoded_anew() {
    let server = Server::start("stripes");
    check(&server, "/stripes", CameraFormat::Auto, false);
}

#[test]
fn the_user_may_decide() {
    let server = Server::start("decide");
    check(&server, "/good", CameraFormat::Raw, false);
    check(&server, "/good", CameraFormat::H264, true);
}

#[test]
fn an_open_camera_needs_no_credential() {
    let server = Server::start("open");
    let mut options = server.options("/good", CameraFormat::Auto);
    let Source::Rtsp { credential, .. } = &mut options.source else { panic!() };
    *credential = None;
    assert!(capture(&options).0);
}

fn failure(options: &Options) -> MediaError {
    Capture::open(options, AccessUnits::new()).map(drop).expect_err("it must not open")
}

#[test]
fn a_camera_that_refuses_is_named_without_its_secrets() {
    let server = Server::start("refuse");
    let host = format!("127.0.0.1:{}", server.port);
    let mut options = server.options("/good", CameraFormat::Auto);

    std::fs::write(&server.credential, "viewer:wrong").unwrap();
    let refused = MediaError::Unauthorized { host: host.clone(), was_given: true };
    assert_eq!(failure(&options), refused);

    std::fs::write(&server.credential, "no colon").unwrap();
    let error = failure(&options);
    assert!(matches!(error, MediaError::Credential(_)), "{error:?}");
    assert!(!error.to_string().contains("no colon"), "{error}");

    let Source::Rtsp { credential, url, .. } = &mut options.source else { panic!() };
    *credential = None;
    let address = url.clone();
    let wants_one = MediaError::Unauthorized { host: host.clone(), was_given: false };
    assert_eq!(failure(&options), wants_one);

    let Source::Rtsp { url, .. } = &mut options.source else { panic!() };
    *url = address.replace("/good", "/nothing");
    let error = failure(&options);
    let is_404 = |error: &MediaError| matches!(error, MediaError::Refused { host: at, status: 404, .. } if *at == host);
    assert!(is_404(&error), "{error:?}");
}

#[test]
fn a_camera_that_is_not_there_is_named() {
    // A port that nobody listens on: bound, and given up.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let options = Options {
        source: Source::Rtsp {
            url: format!("rtsp://127.0.0.1:{port}/secret-path"),
            credential: None,
            pin: None,
            format: CameraFormat::Auto,
        },
        ..Options::default()
    };
    let error = failure(&options);
    let MediaError::Unreachable { host, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*host, format!("127.0.0.1:{port}"));
    assert!(!error.to_string().contains("secret-path"), "{error}");
}

#[test]
fn a_camera_that_goes_away_has_failed() {
    let mut server = Server::start("gone");
    block_on(async {
        let options = server.options("/short", CameraFormat::H264);
        let capture = Capture::start(&options, AccessUnits::new()).unwrap();
        let end = capture.ended().await;
        assert!(matches!(end, End::Failed(MediaError::StreamEnded)), "{end:?}");
        capture.stop().await;

        let options = server.options("/good", CameraFormat::H264);
        let capture = Capture::start(&options, AccessUnits::new()).unwrap();
        assert!(capture.pieces().next().await.is_some());
        drop(server.stdin.take());
        let _ = server.child.wait();
        let end = capture.ended().await;
        let End::Failed(error) = &end else { panic!("{end:?}") };
        assert!(
            matches!(
                error,
                MediaError::Unreachable { .. } | MediaError::StreamEnded | MediaError::Stalled(_)
            ),
            "{error:?}"
        );
        capture.stop().await;
    });
}
