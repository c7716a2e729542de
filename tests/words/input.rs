//! The rows of `media`: each causes an error for real, and compares its text.
//!
//! Does not: start the program.

use std::path::PathBuf;
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use media::io::{AccessUnits, Capture, End};
use media::{CameraFormat, Encoder, Options, Source, Speed, Video};
use resilience::secret::SecretSource;

use crate::camera::{Answers, H265, ODD, OPEN, SOUND, start};

/// The time limit of each wait: a longer wait means that the test hangs.
const LIMIT: Duration = Duration::from_secs(30);
const BASIC: &str = "WWW-Authenticate: Basic realm=\"camera\"\r\n";

fn temporary(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("words-{}-{name}", std::process::id()))
}

fn options(source: Source) -> Options {
    let video = Video { width: 320, height: 180, ..Video::default() };
    let encoder = Encoder { element: Some("x264enc".into()), speed: Speed::Ultrafast };
    Options { source, video, encoder, ..Options::default() }
}

/// Captures with `options`, and returns the text of the error.
fn failure(options: &Options) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let end = async {
        let capture = match Capture::start(options, AccessUnits::new()) {
            Ok(capture) => capture,
            Err(error) => return error.to_string(),
        };
        let end = capture.ended().await;
        capture.stop().await;
        match end {
            End::Failed(error) => error.to_string(),
            End::EndOfStream => "it ended well".to_owned(),
        }
    };
    runtime.block_on(async { tokio::time::timeout(LIMIT, end).await.expect("it hangs") })
}

#[track_caller]
fn check(source: Source, expected: &str) {
    assert_eq!(failure(&options(source)), expected);
}

fn file(path: PathBuf) -> Source {
    Source::File { path, repeat: false }
}

fn pipeline(fragment: &str) -> Source {
    Source::Pipeline { fragment: fragment.into() }
}

/// Plays a pipeline to its end.
fn make(description: &str) {
    gst::init().unwrap();
    let pipeline = gst::parse::launch(description).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = pipeline.bus().unwrap().timed_pop_filtered(gst::ClockTime::from_seconds(20), &ends);
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(end.map(|end| end.type_()), Some(gst::MessageType::Eos));
}

#[test]
fn row_files_that_hold_no_video() {
    let path = temporary("sound.webm");
    make(&format!(
        "audiotestsrc num-buffers=20 ! opusenc ! webmmux ! filesink location={}",
        path.display()
    ));
    check(file(path.clone()), "the input has no video, but sound");
    std::fs::remove_file(path).unwrap();

    let path = temporary("empty.mp4");
    std::fs::write(&path, "").unwrap();
    check(file(path.clone()), "the input is empty, or has a format that GStreamer does not know");
    std::fs::remove_file(&path).unwrap();
    check(file(path.clone()), &format!("no file {}", path.display()));
}

#[test]
fn row_a_film_that_is_cut_off_cannot_be_decoded() {
    let path = temporary("cut.mp4");
    make(&format!(
        "videotestsrc num-buffers=24 ! video/x-raw,width=320,height=240 ! x264enc ! mp4mux ! filesink location={}",
        path.display()
    ));
    let whole = std::fs::read(&path).unwrap();
    // An MP4 has the index of its frames at the end, which is cut off here.
    std::fs::write(&path, &whole[..2000]).unwrap();
    let said = failure(&options(file(path.clone())));
    std::fs::remove_file(path).unwrap();
    // In some states, GStreamer's decodebin does not report the error.
    let is_decode = said.starts_with("the input cannot be decoded: This file ");
    assert!(is_decode || said == "no frame came from the source for 10s", "{said}");
}

#[test]
fn row_a_format_that_nothing_decodes() {
    gst::init().unwrap();
    let remedy = match gst::Registry::get().find_plugin("libav") {
        Some(_) => ", nor does gstreamer1.0-libav, which is installed",
        None => ": install the package gstreamer1.0-libav",
    };
    let odd = Answers { media: ODD, ..OPEN };
    let expected = format!("nothing here decodes video/ODD{remedy}");
    check_camera(odd, CameraFormat::Raw, None, &expected);
}

#[test]
fn row_devices_that_do_not_work() {
    let device = |device: &str| Source::V4l2 { device: device.into(), format: CameraFormat::Auto };
    check(device("/dev/nowhere"), "no camera at /dev/nowhere: is it plugged in?");
    check(device("/dev/null"), "/dev/null is not a camera");
}

#[test]
fn row_fragments_that_do_not_work() {
    check(
        pipeline("nosuchsrc"),
        "GStreamer has no element \"nosuchsrc\": install the plugin that has it",
    );
    let said = failure(&options(pipeline("videotestsrc !! identity")));
    assert!(said.starts_with("the pipeline fragment is not valid: "), "{said}");
    check(
        pipeline("videotestsrc num-buffers=0"),
        "the input ended without a single frame of video",
    );
    let said = failure(&options(pipeline("videotestsrc ! identity error-after=5")));
    assert!(said.starts_with("identity failed: "), "{said}");
}

#[test]
fn row_missing_and_unknown_encoders() {
    let encoder = |element: &str| {
        let encoder = Encoder { element: Some(element.into()), speed: Speed::Ultrafast };
        failure(&Options { encoder, ..options(Source::Test) })
    };
    assert!(encoder("odd264enc").starts_with("unknown encoder \"odd264enc\", known are: "));
    assert_eq!(
        encoder("nvv4l2h264enc"),
        "GStreamer has no element \"nvv4l2h264enc\": install the package nvidia-l4t-gstreamer"
    );
}

/// Captures from a camera with these answers, and compares the error.
#[track_caller]
fn check_camera(answers: Answers, format: CameraFormat, credential: Option<&str>, expected: &str) {
    let host = start(answers);
    let path = temporary(&format!("credential-{}", host.replace(':', "-")));
    let credential = credential.map(|text| {
        std::fs::write(&path, text).unwrap();
        SecretSource::File(path.clone())
    });
    let url = format!("rtsp://{host}/secret-path");
    let said = failure(&options(Source::Rtsp { url, credential, pin: None, format }));
    let _ = std::fs::remove_file(path);
    assert_eq!(said, expected.replace("HOST", &host));
}

#[test]
fn row_a_camera_that_wants_a_credential_and_one_that_refuses_it() {
    let closed = Answers { describe: ("401 Unauthorized", BASIC), ..OPEN };
    for format in [CameraFormat::Auto, CameraFormat::H264] {
        let wanted = "the camera HOST wants user and password: set source.credential";
        check_camera(closed, format, None, wanted);
        let refused = "the camera HOST refuses the user and password of source.credential";
        check_camera(closed, format, Some("viewer:wrong"), refused);
    }
    let path = temporary("no-colon");
    std::fs::write(&path, "nothing").unwrap();
    let credential = Some(SecretSource::File(path.clone()));
    let (url, format) = ("rtsp://127.0.0.1:1/".to_owned(), CameraFormat::H264);
    let said = failure(&options(Source::Rtsp { url, credential, pin: None, format }));
    std::fs::remove_file(path).unwrap();
    assert!(
        said.starts_with("the camera's credential: ") && said.ends_with(" user:password"),
        "{said}"
    );
}

#[test]
fn row_a_camera_that_refuses() {
    let refuses = |status| Answers { describe: (status, ""), ..OPEN };
    let format = CameraFormat::Auto;
    let expected = "the camera HOST has no stream at the path of source.url (404 Not Found)";
    check_camera(refuses("404 Not Found"), format, None, expected);
    let expected = "the camera HOST refuses: 453 Not Enough Bandwidth";
    check_camera(refuses("453 Not Enough Bandwidth"), format, None, expected);
}

#[test]
fn row_a_camera_without_tcp_or_video_or_h264() {
    let udp = Answers { setup: "461 Unsupported Transport", ..OPEN };
    let expected =
        "the camera HOST does not send over TCP (461): switch RTSP over TCP on in the camera";
    check_camera(udp, CameraFormat::Auto, None, expected);
    check_camera(udp, CameraFormat::H264, None, expected);
    let sound = Answers { media: SOUND, ..OPEN };
    check_camera(sound, CameraFormat::Raw, None, "the input has no video, but audio");
    let other = Answers { media: H265, ..OPEN };
    let expected =
        "the camera HOST sends H265, and source.format = \"h264\": choose another format";
    check_camera(other, CameraFormat::H264, None, expected);
}

#[test]
fn row_a_missing_network_camera() {
    // Nothing listens on this port, which was bound and closed again.
    let host =
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (url, format) = (format!("rtsp://{host}/secret-path"), CameraFormat::Auto);
    let said = failure(&options(Source::Rtsp { url, credential: None, pin: None, format }));
    assert!(said.starts_with(&format!("the camera {host} cannot be received: ")), "{said}");
    assert!(!said.contains("secret-path"), "{said}");
}

/// The stream is cut at its start, as if received late from a camera that sends SPS and PPS only once.
#[test]
fn row_h264_without_its_parameter_sets() {
    let path = temporary("slices-%d.h264");
    make(&format!(
        "videotestsrc num-buffers=5 ! video/x-raw,width=320,height=180 ! x264enc tune=zerolatency \
         ! h264parse ! video/x-h264,stream-format=byte-stream,alignment=nal ! multifilesink next-file=buffer location={}",
        path.display()
    ));
    let files: Vec<PathBuf> = (0..20).map(|n| temporary(&format!("slices-{n}.h264"))).collect();
    // A slice is a NAL unit of type 1. The first byte 1 of the file is the end of the start code.
    let is_slice = |path: &&PathBuf| {
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.iter().position(|byte| *byte == 1).is_some_and(|at| bytes[at + 1] & 0x1f == 1)
    };
    let slice = files.iter().find(is_slice).expect("a slice");
    let said = failure(&options(pipeline(&format!(
        "multifilesrc loop=true location={} caps=video/x-h264,stream-format=byte-stream,alignment=nal \
         ! identity sleep-time=20000",
        slice.display()
    ))));
    for path in &files {
        let _ = std::fs::remove_file(path);
    }
    let expected = "H.264 comes from the source, but no whole picture for ";
    assert!(said.starts_with(expected) && said.ends_with(": does it send SPS and PPS?"), "{said}");
}
