//! Captures from network cameras with unusual behaviour, which the switches of `rtsp_camera` choose.
//!
//! Does not: use a real RTSP server; `media_rtsp` does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod media_capture;
mod rtsp_camera;
mod scratch;

use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use media::io::{AccessUnits, Capture, End};
use media::{CameraFormat, MediaError, Options, Source};
use media_capture::block_on;
use resilience::secret::SecretSource;
use rtsp_camera::{
    Camera, Credential, GetParameter, Recording, Scheme, Seen, Ssrc, Switches, Transport,
};
use scratch::Scratch;

fn options(camera: &Camera, format: CameraFormat) -> Options {
    let source = Source::Rtsp { url: camera.url(), credential: None, pin: None, format };
    media_capture::options(source, (320, 240), 1_000_000)
}

/// Captures until the camera has sent `frames` frames. Returns the number of captured frames, and the camera's counts.
fn capture(camera: &Camera, options: &Options, frames: u64) -> (u64, Seen) {
    block_on(async {
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
    })
}

#[test]
fn all_frames_of_a_camera_arrive() {
    // Each frame takes about 30 packets.
    let heavy = "tune=zerolatency key-int-max=24 bitrate=8000";
    let camera = Camera::start(Recording::made(48, "pattern=snow", heavy), Switches::default());
    let (encoded, seen) = capture(&camera, &options(&camera, CameraFormat::H264), 72);
    assert!(encoded * 100 >= seen.frames * 95, "{encoded} of {seen:?}");
}

#[test]
fn a_camera_that_changes_its_ssrc_with_each_gop_is_captured() {
    for ssrc in [Ssrc::EachGop, Ssrc::EachGopRestarts] {
        let switches = Switches { ssrc, ..Switches::default() };
        let camera = Camera::start(Recording::short_gops(), switches);
        let (encoded, seen) = capture(&camera, &options(&camera, CameraFormat::H264), 24 * 6);
        assert!(seen.ssrcs >= 6, "{seen:?}");
        assert!(encoded * 100 >= seen.frames * 95, "{ssrc:?}: {encoded} of {seen:?}");
    }
}

/// The capture lasts more than three times the session timeout.
#[test]
fn rtsp_requests_keep_a_session_alive() {
    let session_timeout = Some(Duration::from_secs(5));
    let switches = Switches { session_timeout, ..Switches::default() };
    let camera = Camera::start(Recording::short_gops(), switches);
    let (encoded, seen) = capture(&camera, &options(&camera, CameraFormat::H264), 24 * 16);
    assert_eq!(seen.expired, 0, "{seen:?}");
    assert!(encoded * 100 >= seen.frames * 95, "{encoded} of {seen:?}");
}

/// The first stream ends before the first keep-alive request; the second stream lasts longer than three timeouts.
#[test]
fn a_camera_with_a_short_session_timeout_ends_only_the_first_stream() {
    let session_timeout = Some(Duration::from_secs(2));
    let switches = Switches { session_timeout, ..Switches::default() };
    let camera = Camera::start(Recording::short_gops(), switches);
    let options = options(&camera, CameraFormat::H264);
    let end = block_on(async {
        let capture = Capture::start(&options, AccessUnits::new()).unwrap();
        let end = capture.ended().await;
        capture.stop().await;
        end
    });
    assert!(matches!(end, End::Failed(MediaError::StreamEnded)), "{end:?}");
    assert_eq!(camera.seen().expired, 1);
    let (encoded, seen) = capture(&camera, &options, 24 * 7);
    assert_eq!(seen.expired, 1, "{seen:?}");
    assert!(encoded * 100 >= seen.frames * 95, "{encoded} of {seen:?}");
}

/// The capture lasts until after the second keep-alive request, which GStreamer sends only if the first one was
/// answered.
#[test]
fn a_camera_that_refuses_keep_alive_requests_is_captured() {
    for get_parameter in [GetParameter::Refused, GetParameter::Unknown] {
        let switches = Switches { get_parameter, ..Switches::default() };
        let camera = Camera::start(Recording::short_gops(), switches);
        let (encoded, seen) = capture(&camera, &options(&camera, CameraFormat::H264), 24 * 9);
        assert!(encoded * 100 >= seen.frames * 95, "{get_parameter:?}: {encoded} of {seen:?}");
    }
}

/// The video has recovery points in place of IDR pictures, and no segment can begin at a recovery point.
#[test]
fn a_camera_without_idr_pictures_is_encoded_again() {
    let camera = Camera::start(Recording::without_idr(), Switches::default());
    let capture = Capture::open(&options(&camera, CameraFormat::Auto), AccessUnits::new());
    assert!(capture.unwrap().encodes());
}

#[test]
fn frames_without_timestamps_are_captured() {
    let switches = Switches { is_untimed: true, ..Switches::default() };
    let camera = Camera::start(Recording::short_gops(), switches);
    let (encoded, seen) = capture(&camera, &options(&camera, CameraFormat::H264), 72);
    assert!(encoded * 100 >= seen.frames * 95, "{encoded} of {seen:?}");
}

#[test]
fn a_credential_is_sent_by_basic_and_by_digest_authentication() {
    let file = Scratch::new("credential");
    std::fs::write(&*file, "viewer:pass:word\n").unwrap();
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
            *credential = Some(SecretSource::File(file.to_path_buf()));
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
}

/// Plays the fake camera with GStreamer alone, to test features of the fake that the agent does not use.
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
fn the_fake_camera_supports_udp_and_tls() {
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
