//! Captures from a real RTSP server: which video passes through, which is encoded, and each failure.
//!
//! Needs the Debian packages python3-gi and gir1.2-gst-rtsp-server-1.0, which `cross/setup.sh` installs.
//!
//! Does not: use a network: server and capture are on the same computer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod media_capture;
mod scratch;

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};

use media::io::{AccessUnits, Capture, End};
use media::{CameraFormat, MediaError, Options, Source};
use media_capture::{block_on, options, two_segments};
use resilience::secret::SecretSource;
use scratch::Scratch;

/// An RTSP server, which ends when its standard input is closed.
struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    port: u16,
    credential: Scratch,
}

impl Server {
    /// Starts the server. Panics with the server's exit status if the server does not start.
    #[track_caller]
    fn start(name: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/media_rtsp/server.py");
        // The packages are for Debian's own Python. The server's standard error is that of the test.
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
        let credential = Scratch::new("credential");
        std::fs::write(&*credential, "viewer:pass:word\n").unwrap();
        let stdin = child.stdin.take();
        Self { child, stdin, port, credential }
    }

    fn options(&self, path: &str, format: CameraFormat) -> Options {
        let source = Source::Rtsp {
            url: format!("rtsp://127.0.0.1:{}{path}", self.port),
            credential: Some(SecretSource::File(self.credential.to_path_buf())),
            pin: None,
            format,
        };
        options(source, (320, 240), 1_000_000)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

#[track_caller]
fn check(server: &Server, path: &str, format: CameraFormat, passes: bool) {
    let (units, passed) = two_segments(&server.options(path, format));
    assert_eq!(passed, passes, "{path}");
    assert!(units.iter().all(|unit| unit.pts == unit.dts), "{path}: the video has no B-frames");
    let keys = units.iter().filter(|unit| unit.is_key).count();
    assert!(keys >= 2, "{path}: {keys} keys");
    assert!(units.len() > 40, "{path}: {} frames in 2 s", units.len());
}

#[test]
fn video_with_short_gops_passes_through_and_other_video_is_encoded() {
    let server = Server::start("pass");
    check(&server, "/good", CameraFormat::Auto, true);
    check(&server, "/long", CameraFormat::Auto, false);
    check(&server, "/bframes", CameraFormat::Auto, false);
    check(&server, "/mjpeg", CameraFormat::Auto, false);
}

#[test]
fn video_above_the_configured_limits_is_encoded() {
    let server = Server::start("more");
    check(&server, "/large", CameraFormat::Auto, false);
    check(&server, "/heavy", CameraFormat::Auto, false);
    check(&server, "/heavy", CameraFormat::H264, true);
}

#[test]
fn h264_that_decoders_or_models_refuse_is_encoded_again() {
    let server = Server::start("odd");
    check(&server, "/422", CameraFormat::Auto, false);
    check(&server, "/interlaced", CameraFormat::Auto, false);
}

/// The video has recovery points instead of IDR pictures: the parser marks them as key frames, but a segment cannot
/// begin there.
#[test]
fn video_without_idr_pictures_is_encoded() {
    let server = Server::start("stripes");
    check(&server, "/stripes", CameraFormat::Auto, false);
}

#[test]
fn the_configured_format_overrides_the_measurement() {
    let server = Server::start("decide");
    check(&server, "/good", CameraFormat::Raw, false);
    check(&server, "/good", CameraFormat::H264, true);
}

#[test]
fn a_camera_without_authentication_needs_no_credential() {
    let server = Server::start("open");
    let mut options = server.options("/good", CameraFormat::Auto);
    let Source::Rtsp { credential, .. } = &mut options.source else { panic!() };
    *credential = None;
    assert!(two_segments(&options).1);
}

fn failure(options: &Options) -> MediaError {
    Capture::open(options, AccessUnits::new()).map(drop).expect_err("opening must fail")
}

#[test]
fn a_camera_that_refuses_is_named_without_showing_its_password() {
    let server = Server::start("refuse");
    let host = format!("127.0.0.1:{}", server.port);
    let mut options = server.options("/good", CameraFormat::Auto);

    std::fs::write(&*server.credential, "viewer:wrong").unwrap();
    let refused = MediaError::Unauthorized { host: host.clone(), was_given: true };
    assert_eq!(failure(&options), refused);

    std::fs::write(&*server.credential, "no colon").unwrap();
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
fn a_missing_network_camera_is_named() {
    // A free port, on which nothing listens.
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
fn the_loss_of_a_camera_ends_the_capture_with_an_error() {
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
