//! Captures from network cameras that behave oddly, as the fake one does by its switches.
//!
//! Does not: need a second implementation of RTSP; `media_rtsp` has it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod rtsp_camera;

use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use media::io::{AccessUnits, Capture};
use media::{CameraFormat, Encoder, MediaError, Options, Source, Speed, Video};
use resilience::secret::SecretSource;
use rtsp_camera::{
    Camera, Credential, GetParameter, Recording, Scheme, Seen, Ssrc, Switches, Transport,
};

/// A test that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(30);

fn options(camera: &Camera, format: CameraFormat) -> Options {
    Options {
        source: Source::Rtsp { url: camera.url(), credential: None, pin: None, format },
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

/// Captures until the camera has sent so many frames; how many came out.
fn capture(camera: &Camera, options: &Options, frames: u64) -> (u64, Seen) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let captured = async {
        let units = AccessUnits::new();
        let capture = Capture::start(options, units.clone()).unwrap();
        let mut pieces = capture.pieces();
        let before = camera.seen().frames;
        while camera.seen().frames - before < frames {
            tokio::select! {
                piece = pieces.next() => assert!(piece.is_some(), "{:?}", capture.ended().await),
                end = capture.ended() => panic!("{end:?}"),
            }
        }
        let (encoded, seen) = (units.encoded(), camera.seen());
        capture.stop().await;
        (encoded, Seen { frames: seen.frames - before, ..seen })
    };
    runtime.block_on(async { tokio::time::timeout(LIMIT, captured).await.expect("it hangs") })
}

#[test]
fn what_the_camera_sends_comes_out() {
    // Some 30 packets in a frame.
    let heavy = "tune=zerolatency key-int-max=24 bitrate=8000";
    let camera = Camera::start(Recording::made(48, "pattern=snow", heavy), Switches::default());
    let (encoded, seen) = capture(&camera, &options(&camera, CameraFormat::H264), 72);
    assert!(encoded * 100 >= seen.frames * 95, "{encoded} of {seen:?}");
}

#[test]
fn a_camera_may_change_its_ssrc_with_each_gop() {
    for ssrc in [Ssrc::EachGop, Ssrc::EachGopRestarts] {
        let switches = Switches { ssrc, ..Switches::default() };
        let camera = Camera::start(Recording::short_gops(), switches);
        let (encoded, seen) = capture(&camera, &options(&camera, CameraFormat::H264), 24 * 6);
        assert!(seen.ssrcs >= 6, "{seen:?}");
        assert!(encoded * 100 >= seen.frames * 95, "{ssrc:?}: {encoded} of {seen:?}");
    }
}

/// Over three times its timeout.
#[test]
fn rtsp_requests_keep_a_session_alive() {
    let session_timeout = Some(Duration::from_secs(5));
    let switches = Switches { session_timeout, ..Switches::default() };
    let camera = Camera::start(Recording::short_gops(), switches);
    let (encoded, seen) = capture(&camera, &options(&camera, CameraFormat::H264), 24 * 16);
    assert_eq!(seen.expired, 0, "{seen:?}");
    assert!(encoded * 100 >= seen.frames * 95, "{encoded} of {seen:?}");
}

/// It goes on past the second request, which would be sent if the first one was answered.
#[test]
fn a_camera_may_not_take_keep_alive_requests() {
    for get_parameter in [GetParameter::Refused, GetParameter::Unknown] {
        let switches = Switches { get_parameter, ..Switches::default() };
        let camera = Camera::start(Recording::short_gops(), switches);
        let (encoded, seen) = capture(&camera, &options(&camera, CameraFormat::H264), 24 * 9);
        assert!(encoded * 100 >= seen.frames * 95, "{get_parameter:?}: {encoded} of {seen:?}");
    }
}

/// Recovery points only: no segment can begin there.
#[test]
fn a_camera_without_idr_pictures_is_encoded_anew() {
    let camera = Camera::start(Recording::without_idr(), Switches::default());
    let capture = Capture::open(&options(&camera, CameraFormat::Auto), AccessUnits::new());
    assert!(capture.unwrap().encodes());
}

#[test]
fn frames_without_times_come_out() {
    let switches = Switches { is_untimed: true, ..Switches::default() };
    let camera = Camera::start(Recording::short_gops(), switches);
    let (encoded, seen) = capture(&camera, &options(&camera, CameraFormat::H264), 72);
    assert!(encoded * 100 >= seen.frames * 95, "{encoded} of {seen:?}");
}

#[test]
fn a_credential_is_shown_by_either_scheme() {
    let file = std::env::temp_dir().join(format!("le-odd-cameras-{}", std::process::id()));
    std::fs::write(&file, "viewer:pass:word\n").unwrap();
    for scheme in [Scheme::Basic, Scheme::Digest] {
        let credential = |password: &str| {
            Some(Credential { user: "viewer".into(), password: password.into(), scheme })
        };
        let start = |credential| {
            let switches = Switches { credential, ..Switches::default() };
            Camera::start(Recording::short_gops(), switches)
        };
        let with_file = |camera: &Camera, format| {
            let mut options = options(camera, format);
            let Source::Rtsp { credential, .. } = &mut options.source else { panic!() };
            *credential = Some(SecretSource::File(file.clone()));
            options
        };
        let camera = start(credential("pass:word"));
        let (encoded, seen) = capture(&camera, &with_file(&camera, CameraFormat::H264), 24);
        assert!(encoded > 0, "{scheme:?}: {seen:?}");

        let camera = start(credential("another"));
        let error =
            Capture::open(&with_file(&camera, CameraFormat::Auto), AccessUnits::new()).map(drop);
        let refused = MediaError::Unauthorized { host: camera.host(), was_given: true };
        assert_eq!(error, Err(refused), "{scheme:?}");
    }
    std::fs::remove_file(file).unwrap();
}

/// The fake camera as GStreamer sees it, where the agent has no setting for it.
#[track_caller]
fn check_plays(camera: &Camera, settings: &str) {
    let launch = format!(
        "rtspsrc location={} latency=0 {settings} ! rtph264depay ! h264parse \
         ! video/x-h264,alignment=au ! appsink name=units sync=false",
        camera.url()
    );
    gst::init().unwrap();
    let pipeline = gst::parse::launch(&launch).unwrap().downcast::<gst::Pipeline>().unwrap();
    let units = pipeline.by_name("units").unwrap().downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let samples = (0..24).map_while(|_| units.try_pull_sample(gst::ClockTime::from_seconds(5)));
    let pulled = samples.count();
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(pulled, 24, "{settings}: {:?}", camera.seen());
}

#[test]
fn the_camera_speaks_udp_and_tls() {
    let udp = Switches { transport: Transport::Udp, ..Switches::default() };
    check_plays(&Camera::start(Recording::short_gops(), udp), "protocols=udp");
    #[cfg(feature = "sandbox")]
    {
        let tls = Some(rtsp_camera::Tls::self_signed());
        let camera =
            Camera::start(Recording::short_gops(), Switches { tls, ..Switches::default() });
        check_plays(&camera, "protocols=tcp tls-validation-flags=0");
    }
}
