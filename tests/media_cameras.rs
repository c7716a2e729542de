//! Captures from fake cameras: which camera `auto` chooses, whose H.264 passes through, and a driver that hangs.
//!
//! Does not: need a camera.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod media_camera_fakes;
mod media_capture;
mod media_elements;
mod skip;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, Once};
use std::time::{Duration, Instant};

use media::TsPiecePlace;
use media::io::{AccessUnits, Capture, devices};
use media::{CameraFormat, Encoder, MediaError, Options, Source, Speed, Video};
use media_camera_fakes::{B_FRAMES, FIT, HANGS, HUNG, IDRS, LONG_GOP, OPENED, TAKEN, plug_in};
use media_capture::{block_on, two_segments};

/// The warnings in the log so far.
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Warnings;

impl log::Log for Warnings {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            WARNINGS.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// Registers the fakes, and collects warnings from now on.
fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Warnings).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
    });
    media_camera_fakes::register();
}

fn options(source: Source) -> Options {
    prepare();
    media_capture::options(source, (320, 240), 400_000)
}

fn usb(device: &str, format: CameraFormat) -> Options {
    options(Source::V4l2 { device: device.into(), format })
}

/// Captures two segments. Returns the number of access units, and whether the camera's H.264 passed through.
fn capture(options: &Options) -> (usize, bool) {
    let (units, passed) = two_segments(options);
    (units.len(), passed)
}

/// The formats that were requested from `device`, in order.
fn taken(device: &str) -> Vec<String> {
    let taken = TAKEN.lock().unwrap();
    taken.iter().filter(|(from, _)| from == device).map(|(_, media)| media.clone()).collect()
}

#[test]
fn suitable_h264_of_a_camera_passes_through() {
    assert_eq!(capture(&usb(FIT, CameraFormat::Auto)), (48, true));
    assert_eq!(taken(FIT), ["video/x-h264"; 2], "measured, then captured");
    // The same camera is not measured again.
    assert_eq!(capture(&usb(FIT, CameraFormat::Auto)), (48, true));
    assert_eq!(taken(FIT), ["video/x-h264"; 3], "captured again");
}

#[test]
fn mjpeg_is_used_if_the_camera_s_h264_has_b_frames() {
    let (units, passed) = capture(&usb(B_FRAMES, CameraFormat::Auto));
    assert!(units > 40 && !passed, "{units} frames");
    assert_eq!(taken(B_FRAMES), ["video/x-h264", "image/jpeg"]);
}

#[test]
fn mjpeg_is_used_if_the_camera_s_key_frames_are_far_apart() {
    let (units, passed) = capture(&usb(LONG_GOP, CameraFormat::Auto));
    assert!(units > 40 && !passed, "{units} frames");
    let raw = capture(&usb(LONG_GOP, CameraFormat::Raw));
    assert!(
        raw.0 > 40 && !raw.1,
        "the camera's 5 frames/s are repeated to reach the frame rate: {raw:?}"
    );
    assert_eq!(taken(LONG_GOP), ["video/x-h264", "image/jpeg", "video/x-raw"]);

    // A configured format is used although it is unsuitable, with one warning.
    let warned = || {
        let warnings = WARNINGS.lock().unwrap();
        warnings.iter().filter(|line| line.contains("IDR pictures are more than 2 s apart")).count()
    };
    block_on(async {
        let options = usb(LONG_GOP, CameraFormat::H264);
        let capture = Capture::start(&options, AccessUnits::new()).unwrap();
        let mut pieces = capture.pieces();
        while warned() == 0 {
            assert!(pieces.next().await.is_some());
        }
        for _ in 0..30 {
            assert!(pieces.next().await.is_some());
        }
        capture.stop().await;
    });
    assert_eq!(warned(), 1);
    assert_eq!(taken(LONG_GOP).last().map(String::as_str), Some("video/x-h264"));
}

#[test]
fn opening_a_camera_that_hangs_fails_in_time() {
    let open = || {
        let options = usb(HANGS, CameraFormat::Auto);
        block_on(async { Capture::open(&options, AccessUnits::new()).map(drop).unwrap_err() })
    };
    let began = Instant::now();
    let expected = MediaError::NoAnswer(PathBuf::from(HANGS));
    assert_eq!(open(), expected);
    assert!(HUNG.load(Ordering::Relaxed), "the driver was called");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    // The driver is not called again while the first call hangs.
    let began = Instant::now();
    assert_eq!(open(), expected);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn auto_tries_the_camera_port_first_and_names_each_failure() {
    let auto = options(Source::Auto);
    let opened = || OPENED.lock().unwrap().clone();

    plug_in(&["libcamerasrc", "nvarguscamerasrc"]);
    let (units, passed) = capture(&auto);
    assert!(units > 40 && !passed, "{units} frames");
    assert_eq!(opened(), ["libcamerasrc"; 2], "tried, then captured");

    plug_in(&["nvarguscamerasrc"]);
    let (units, passed) = capture(&auto);
    assert!(units > 40 && !passed, "{units} frames");
    assert_eq!(opened(), ["libcamerasrc", "nvarguscamerasrc", "nvarguscamerasrc"]);
    let found = block_on(async { devices(&auto).unwrap() });
    let argus = found.cameras.iter().find(|camera| camera.kind == "nvargus").expect("it is there");
    assert_eq!((argus.device.as_str(), argus.modes.clone()), ("0", Ok(Vec::new())));

    // NVIDIA's encoder accepts pictures in NVIDIA's memory, and makes a key frame when its own signal is emitted.
    let jetson = Options {
        source: Source::NvArgus { sensor: 0 },
        encoder: Encoder { element: Some("nvv4l2h264enc".into()), speed: Speed::Ultrafast },
        video: Video { segment: Duration::from_secs(10), ..auto.video.clone() },
        ..Options::default()
    };
    block_on(async {
        let capture = Capture::open(&jetson, AccessUnits::new()).unwrap();
        capture.access_units().request_key();
        assert_eq!(
            IDRS.load(Ordering::Relaxed),
            0,
            "the first frame is a key frame without a request"
        );
        capture.play();
        let mut pieces = capture.pieces();
        for place in [TsPiecePlace::Begin, TsPiecePlace::Continue, TsPiecePlace::Continue] {
            assert_eq!(pieces.next().await.unwrap().place, place);
        }
        let began = Instant::now();
        pieces.resync();
        assert_eq!(pieces.next().await.unwrap().place, TsPiecePlace::Begin);
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        assert_eq!(IDRS.load(Ordering::Relaxed), 1);
        assert!(capture.set_bitrate(300_000));
        capture.stop().await;
    });

    plug_in(&[]);
    if Path::new("/dev/video0").exists() {
        return skip::skip("this computer has /dev/video0, which `auto` chooses");
    }
    let error = block_on(async { Capture::open(&auto, AccessUnits::new()).map(drop).unwrap_err() });
    assert_eq!(opened(), ["libcamerasrc", "nvarguscamerasrc"]);
    let MediaError::NoCamera { tried } = &error else { panic!("{error:?}") };
    let names: Vec<&str> = tried.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["libcamerasrc", "nvarguscamerasrc"]);
    assert!(error.to_string().contains("Could not find any camera"), "{error}");
}
