//! The choice of an encoder among fakes that fail like real encoders, changes of a running encoder, and encoders and
//! cameras that stop without an error.
//!
//! Does not: need a camera or a hardware encoder.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod media_capture;
mod media_elements;
mod media_fakes;
mod scratch;
mod stream;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use gstreamer as gst;
use media::TsPiecePlace;
use media::devices::EncoderVerdict;
use media::io::{AccessUnits, Capture, End, SegmentPieces, devices};
use media::{Encoder, MediaError, Options, Source, Speed};
use media_capture::block_on;
use scratch::Scratch;

fn verdicts(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("encoders")).unwrap_or_default()
}

fn options(directory: &Path, width: u32, height: u32) -> Options {
    media_fakes::register();
    Options {
        encoder: Encoder { element: None, speed: Speed::Ultrafast },
        state_directory: Some(directory.to_path_buf()),
        ..media_capture::options(Source::Test, (width, height), 400_000)
    }
}

fn with(element: &str, options: Options) -> Options {
    let encoder = Encoder { element: Some(element.into()), ..options.encoder };
    Options { encoder, ..options }
}

/// Reads until the next segment is complete, and returns this segment. `open` holds the bytes of the segment that has
/// begun.
async fn segment(pieces: &mut SegmentPieces, open: &mut Vec<u8>) -> Vec<u8> {
    loop {
        let piece = pieces.next().await.expect("more");
        if piece.place == TsPiecePlace::Begin && !open.is_empty() {
            return std::mem::replace(open, piece.bytes.to_vec());
        }
        open.extend_from_slice(&piece.bytes);
    }
}

/// The sizes of the pictures, each listed once where it changes.
fn sizes(bytes: &[u8]) -> Vec<(usize, usize)> {
    let pictures = stream::decode(bytes);
    let mut sizes: Vec<_> =
        pictures.iter().map(|picture| (picture.width, picture.height)).collect();
    sizes.dedup();
    sizes
}

/// The number of access units in a segment, and how many of them are key frames.
fn keys(segment: &[u8]) -> (usize, usize) {
    let units = media_capture::units(segment);
    (units.len(), units.iter().filter(|unit| unit.is_key).count())
}

#[test]
fn the_fake_pi_encoder_fails_without_a_level() {
    media_fakes::register();
    let play = |caps: &str| {
        let description = format!(
            "videotestsrc num-buffers=3 ! video/x-raw,format=I420,width=320,height=240 \
             ! v4l2h264enc extra-controls=\"controls,repeat_sequence_header=1,video_bitrate=400000,\
             h264_i_frame_period=24\" ! {caps} ! fakesink"
        );
        stream::play(&description)
    };
    assert_eq!(play("video/x-h264"), Some(gst::MessageType::Error));
    assert_eq!(play("video/x-h264,level=(string)2.1"), Some(gst::MessageType::Eos));
}

#[test]
fn auto_uses_the_first_encoder_that_works_and_stores_the_result() {
    let directory = Scratch::new("first");
    let options = options(&directory, 320, 192);
    block_on(async {
        let capture = Capture::start(&options, AccessUnits::new()).unwrap();
        let (mut pieces, mut open) = (capture.pieces(), Vec::new());
        let first = segment(&mut pieces, &mut open).await;
        assert_eq!(keys(&first), (24, 1));
        assert_eq!(sizes(&first), [(320, 192)]);

        // The encoder ignores requests for key frames; its own key frames suffice.
        let ignored = media_fakes::PI_IGNORED.load(Ordering::Relaxed);
        capture.access_units().request_key();
        assert_eq!(
            media_fakes::PI_IGNORED.load(Ordering::Relaxed),
            ignored,
            "the encoder gets no request"
        );
        assert_eq!(keys(&segment(&mut pieces, &mut open).await), (24, 1));

        assert!(capture.set_bitrate(150_000));
        let controls = media_fakes::PI_CONTROLS.lock().unwrap().clone();
        assert!(controls.contains("video_bitrate=(int)150000"), "{controls}");
        assert!(controls.contains("h264_i_frame_period=(int)24"), "{controls}");
        assert!(!capture.set_picture(160, 96, 24), "the size of the picture does not change");
        capture.stop().await;

        let text = verdicts(&directory);
        assert!(
            text.starts_with("v4l2h264enc ") && text.ends_with(" 320x192@24 works\n"),
            "{text}"
        );
        let modified =
            || std::fs::metadata(directory.join("encoders")).unwrap().modified().unwrap();
        let (opened, written) = (media_fakes::PI_OPENED.load(Ordering::Relaxed), modified());
        let capture = Capture::open(&options, AccessUnits::new()).unwrap();
        capture.stop().await;
        let now = media_fakes::PI_OPENED.load(Ordering::Relaxed);
        assert_eq!(
            (now, modified()),
            (opened, written),
            "the encoder is not tried again, and the file is not written again"
        );
    });
}

#[test]
fn auto_falls_back_to_software_and_stores_why_each_encoder_failed() {
    let directory = Scratch::new("fallback");
    // At this size two fakes fail: the Pi's encoder at its first frame, because the width is not a multiple of 32, and
    // the Rockchip's after 3 frames, because the height is below 100.
    let options = options(&directory, 144, 80);
    block_on(async {
        let capture = Capture::start(&options, AccessUnits::new()).unwrap();
        let (mut pieces, mut open) = (capture.pieces(), Vec::new());
        assert_eq!(keys(&segment(&mut pieces, &mut open).await), (24, 1));
        capture.stop().await;
    });
    let text = verdicts(&directory);
    let lines: Vec<Vec<&str>> =
        text.lines().map(|line| line.splitn(6, ' ').collect::<Vec<_>>()).collect();
    let what = |n: usize| (lines[n][0], lines[n][2], lines[n][3]);
    assert_eq!(what(0), ("v4l2h264enc", "144x80@24", "fails"));
    assert!(lines[0][5].contains("Failed to process frame"), "{text}");
    assert_eq!(what(1), ("v4l2video12h264enc", "144x80@24", "fails"));
    assert_eq!(what(2), ("nvv4l2h264enc", "144x80@24", "fails"));
    assert!(lines[2][5].contains("Cannot identify device"), "{text}");
    assert_eq!(what(3), ("mpph264enc", "144x80@24", "fails"));
    assert!(lines[3][5].contains("3 of 8 frames came within 4s"), "{text}");
    assert_eq!(what(4), ("x264enc", "144x80@24", "works"), "{text}");
    assert_eq!(lines.len(), 5, "{text}");
}

#[test]
fn a_second_v4l2_encoder_is_found_and_can_be_configured() {
    let directory = Scratch::new("further");
    let options = options(&directory, 208, 144);
    block_on(async {
        for options in [options.clone(), with(media_fakes::FURTHER_PI, options)] {
            let capture = Capture::start(&options, AccessUnits::new()).unwrap();
            let (mut pieces, mut open) = (capture.pieces(), Vec::new());
            assert_eq!(keys(&segment(&mut pieces, &mut open).await), (24, 1));
            assert!(capture.set_bitrate(250_000));
            capture.stop().await;
        }
    });
    let text = verdicts(&directory);
    let [first, second] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert!(first.starts_with("v4l2h264enc ") && first.contains(" fails "), "{text}");
    assert!(second.starts_with("v4l2video12h264enc ") && second.ends_with(" works"), "{text}");
}

#[test]
fn an_encoder_that_stops_silently_is_replaced_after_two_failures() {
    let directory = Scratch::new("silent");
    let options = options(&directory, 176, 144);
    let first = with("mpph264enc", options.clone());
    block_on(async {
        // The failure of an encoder that the user named is not recorded.
        let capture = Capture::start(&first, AccessUnits::new()).unwrap();
        assert!(matches!(capture.ended().await, End::Failed(MediaError::Encoder { .. })));
        capture.stop().await;
        assert_eq!(verdicts(&directory), "");

        let capture = Capture::start(&options, AccessUnits::new()).unwrap();
        let began = Instant::now();
        let end = capture.ended().await;
        let End::Failed(MediaError::Encoder { element, detail }) = &end else { panic!("{end:?}") };
        assert_eq!(element, "mpph264enc");
        assert!(detail.starts_with("frames go in, but none came out for 2"), "{detail}");
        // The 20 frames take 0.8 s, and the capture notices the stop 2 s later.
        assert!((2500..8000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
        assert_eq!(capture.ended().await, end);
        capture.stop().await;
        let verdict = |word: &str| {
            let text = verdicts(&directory);
            let is_there = text.lines().any(|line| {
                line.starts_with("mpph264enc ") && line.contains(&format!("176x144@24 {word} "))
            });
            assert!(is_there, "{word}: {text}");
        };
        verdict("stumbled");

        // After a second failure, the next encoder of the list is used.
        let capture = Capture::start(&options, AccessUnits::new()).unwrap();
        assert!(matches!(capture.ended().await, End::Failed(MediaError::Encoder { .. })));
        capture.stop().await;
        verdict("fails");
        let capture = Capture::start(&options, AccessUnits::new()).unwrap();
        let (mut pieces, mut open) = (capture.pieces(), Vec::new());
        assert_eq!(keys(&segment(&mut pieces, &mut open).await), (24, 1));
        capture.stop().await;
        assert!(verdicts(&directory).contains("x264enc"), "{}", verdicts(&directory));
    });
}

#[test]
fn results_of_trials_that_cannot_be_written_are_kept_in_memory() {
    // A file at the path of the directory makes every write fail.
    let directory = Scratch::new("unwritable");
    std::fs::write(&*directory, "").unwrap();
    let options = options(&directory, 176, 112);
    block_on(async {
        for _ in 0..2 {
            let capture = Capture::start(&options, AccessUnits::new()).unwrap();
            assert!(matches!(capture.ended().await, End::Failed(MediaError::Encoder { .. })));
            capture.stop().await;
        }
        let capture = Capture::start(&options, AccessUnits::new()).unwrap();
        let (mut pieces, mut open) = (capture.pieces(), Vec::new());
        assert_eq!(keys(&segment(&mut pieces, &mut open).await), (24, 1));
        capture.stop().await;
    });
}

#[test]
fn a_working_encoder_that_no_longer_opens_is_replaced() {
    let directory = Scratch::new("updated");
    let options = options(&directory, 240, 144);
    media_fakes::register();
    let (major, minor, micro, _) = gst::version();
    let known = |element: &str, verdict: &str| {
        format!("{element} {major}.{minor}.{micro} 240x144@24 {verdict}\n")
    };
    std::fs::create_dir_all(&*directory).unwrap();
    let before = [
        known("v4l2h264enc", "fails 1 no frame"),
        known("nvv4l2h264enc", "works"),
        known("x264enc", "works"),
    ];
    std::fs::write(directory.join("encoders"), before.concat()).unwrap();
    block_on(async {
        let open = || Capture::open(&options, AccessUnits::new());
        // The first encoder is tried again, as its failure is old. The second is used without a trial, since its stored
        // result is "works", and fails twice.
        for word in ["stumbled", "fails"] {
            let error = open().map(drop).unwrap_err();
            assert!(matches!(error, MediaError::Encoder { .. }), "{error:?}");
            let text = verdicts(&directory);
            let line = text.lines().find(|line| line.starts_with("nvv4l2h264enc ")).unwrap();
            assert!(line.contains(&format!(" {word} ")), "{text}");
        }
        open().unwrap().stop().await;
    });
}

#[test]
fn a_camera_that_stops_silently_is_noticed() {
    let directory = Scratch::new("camera");
    let options = Options {
        source: Source::Pipeline { fragment: "fakecamera".into() },
        ..with("x264enc", options(&directory, 160, 96))
    };
    block_on(async {
        let capture = Capture::start(&options, AccessUnits::new()).unwrap();
        let began = Instant::now();
        let end = capture.ended().await;
        let End::Failed(MediaError::Stalled(after)) = end else { panic!("{end:?}") };
        assert!((2000..4000).contains(&after.as_millis()), "{after:?}");
        assert!((2000..8000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
        // Readers get the queued frames, then the end.
        let mut pieces = capture.pieces();
        while pieces.next().await.is_some() {}
        capture.stop().await;
    });
}

/// Asserts that segments get smaller when the bitrate is lowered.
#[track_caller]
fn check_bitrate(element: &str) {
    let directory = Scratch::new(element);
    let mut options = with(element, options(&directory, 320, 192));
    options.source = Source::Pipeline {
        fragment: "videotestsrc is-live=true pattern=zone-plate kx2=20 ky2=20 kt=1".into(),
    };
    options.video.bitrate = 3_000_000;
    block_on(async {
        let capture = Capture::start(&options, AccessUnits::new()).unwrap();
        let (mut pieces, mut open) = (capture.pieces(), Vec::new());
        segment(&mut pieces, &mut open).await;
        let before = segment(&mut pieces, &mut open).await.len();
        assert!(capture.set_bitrate(600_000));
        segment(&mut pieces, &mut open).await;
        segment(&mut pieces, &mut open).await;
        let after = segment(&mut pieces, &mut open).await.len();
        // 600 kbit/s are 75 000 bytes in a second.
        let is_near = (60_000..100_000).contains(&after) && after * 3 < before * 2;
        assert!(is_near, "{element}: {before} bytes, then {after}");
        capture.stop().await;
    });
}

#[test]
fn the_bitrate_changes_while_frames_flow() {
    check_bitrate("x264enc");
    check_bitrate("openh264enc");
}

#[test]
fn a_capture_that_passes_h264_through_refuses_a_bitrate() {
    let directory = Scratch::new("through");
    let options = Options {
        source: Source::Pipeline {
            fragment: "videotestsrc is-live=true ! x264enc tune=zerolatency".into(),
        },
        ..with("x264enc", options(&directory, 160, 96))
    };
    block_on(async {
        let capture = Capture::start(&options, AccessUnits::new()).unwrap();
        assert!(capture.pieces().next().await.is_some());
        assert!(!capture.encodes() && !capture.set_bitrate(100_000));
        assert!(!capture.set_picture(80, 48, 24));
        capture.stop().await;
    });
}

#[test]
fn size_and_rate_change_while_frames_flow() {
    for element in ["x264enc", "openh264enc"] {
        let directory = Scratch::new(&format!("size-{element}"));
        let options = with(element, options(&directory, 320, 192));
        block_on(async {
            let capture = Capture::start(&options, AccessUnits::new()).unwrap();
            let (mut pieces, mut open) = (capture.pieces(), Vec::new());
            let mut all = segment(&mut pieces, &mut open).await;
            assert!(capture.set_picture(160, 96, 24));
            for _ in 0..2 {
                let next = segment(&mut pieces, &mut open).await;
                // Each segment decodes alone, in either size.
                assert!(!sizes(&next).is_empty());
                all.extend(next);
            }
            assert_eq!(sizes(&all), [(320, 192), (160, 96)], "{element}");
            // With fewer frames per second there is still one key frame per segment.
            assert!(capture.set_picture(160, 96, 12));
            for _ in 0..2 {
                segment(&mut pieces, &mut open).await;
            }
            let slow = segment(&mut pieces, &mut open).await;
            assert_eq!(keys(&slow), (12, 1), "{element}");
            capture.stop().await;
        });
    }
}

#[test]
fn every_encoder_is_listed_with_the_result_of_its_trial() {
    let directory = Scratch::new("devices");
    media_fakes::register();
    let found = devices(&options(&directory, 352, 288)).unwrap();
    let verdict = |element: &str| {
        found.encoders.iter().find(|encoder| encoder.element == element).unwrap().verdict.clone()
    };
    assert_eq!(verdict("v4l2h264enc"), EncoderVerdict::Works);
    assert!(
        matches!(verdict("nvv4l2h264enc"), EncoderVerdict::Fails(why) if why.contains("identify"))
    );
    assert_eq!(verdict("x264enc"), EncoderVerdict::Works);
    assert!(matches!(verdict("vaapih264enc"), EncoderVerdict::Absent(Some("gstreamer1.0-vaapi"))));
    assert_eq!(found.encoder().map(|encoder| encoder.element.as_str()), Some("v4l2h264enc"));
    assert_eq!(verdicts(&directory), "", "looking changes nothing");
}

#[test]
fn the_fake_orin_encoder_is_refused_at_once() {
    let directory = Scratch::new("orin");
    media_fakes::register();
    let options = with("nvv4l2h264enc", options(&directory, 160, 96));
    let error = Capture::start(&options, AccessUnits::new())
        .map(drop)
        .expect_err("the encoder does not open");
    let MediaError::Encoder { element, detail } = &error else { panic!("{error:?}") };
    assert_eq!(element, "nvv4l2h264enc");
    assert!(detail.contains("Cannot identify device"), "{detail}");
}
