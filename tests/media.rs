//! Captures from each kind of source and checks every segment: it decodes alone, the stream has no gap, and no frame is
//! lost or doubled.
//!
//! Does not: touch the network.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and say what it skips"
)]

mod media_capture;
mod scratch;
mod stream;

use std::path::{Path, PathBuf};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use media::TsPiecePlace;
use media::io::{AccessUnits, Capture, End, Transform};
use media::{CameraFormat, Encoder, MediaError, Options, Source, Speed};
use media_capture::{block_on, options, read, segments, start, units};
use mpegts::{TsEvent, Unit};
use scratch::temporary;

fn small() -> Options {
    let encoder = Encoder { element: None, speed: Speed::Ultrafast };
    Options { encoder, ..options(Source::Test, (320, 180), 400_000) }
}

/// A configuration with this pipeline fragment, at a low bitrate.
fn fragment(fragment: &str) -> Options {
    Options { source: Source::Pipeline { fragment: fragment.into() }, ..small() }
}

/// Checks all segments of a channel, and returns their access units.
#[track_caller]
fn check_channel(segments: &[Vec<u8>]) -> Vec<Unit> {
    for (n, segment) in segments.iter().enumerate() {
        let reports = read(segment);
        let [TsEvent::Pat, TsEvent::Pmt, TsEvent::Unit(first), ..] = reports[..] else {
            panic!("segment {n} begins {:?}", &reports[..reports.len().min(4)])
        };
        assert!(first.is_key && first.has_parameters, "segment {n}: {first:?}");
    }
    let units = units(&segments.concat());
    let times: Vec<i64> =
        units.windows(2).map(|two| two[1].dts.unwrap().since(two[0].dts.unwrap())).collect();
    assert!(times.iter().all(|step| *step > 0), "DTS rise: {times:?}");
    assert!(
        units.iter().all(|unit| unit.pts.unwrap().since(unit.dts.unwrap()) >= 0 && !unit.cut_short)
    );
    units
}

/// Asserts that each DTS step is the duration of one frame.
#[track_caller]
fn check_steps(units: &[Unit], fps: i64) {
    for two in units.windows(2) {
        let step = two[1].dts.unwrap().since(two[0].dts.unwrap());
        assert!((step - 90_000 / fps).abs() <= 2, "a step of {step} ticks at {fps} frames/s");
    }
}

/// Asserts that each DTS step is a whole number of frames. On a busy machine, a live source skips frames.
#[track_caller]
fn check_live_steps(units: &[Unit], fps: i64) {
    let frame = 90_000 / fps;
    for two in units.windows(2) {
        let step = two[1].dts.unwrap().since(two[0].dts.unwrap());
        let frames = (step + frame / 2) / frame;
        assert!((1..=12).contains(&frames) && (step - frames * frame).abs() <= 2, "{step} ticks");
    }
}

/// Asserts that every segment decodes alone to as many frames as it has access units.
#[track_caller]
fn check_decodes_alone(segments: &[Vec<u8>]) {
    for (n, segment) in segments.iter().enumerate() {
        assert_eq!(stream::decode(segment).len(), units(segment).len(), "segment {n}");
    }
}

#[test]
fn a_picture_in_place_of_a_lost_camera_leaves_the_camera_its_name() {
    block_on(async {
        let units = AccessUnits::new();
        let name = || units.flow(std::time::Instant::now()).source;
        let camera = Capture::open(&small(), units.clone()).unwrap();
        assert_eq!(name(), "test picture");
        camera.stop().await;
        let black = fragment("videotestsrc pattern=black");
        let slate = Capture::open_slate(&black, units.clone()).unwrap();
        assert_eq!(name(), "test picture");
        slate.stop().await;
        let other = Capture::open(&black, units.clone()).unwrap();
        assert_eq!(name(), "pipeline of videotestsrc");
        other.stop().await;
    });
}

#[test]
fn each_segment_of_the_test_source_decodes_alone() {
    let (segments, counts, units) = block_on(async {
        let capture = Capture::start(&small(), AccessUnits::new()).unwrap();
        capture.access_units().time_frames();
        let mut pieces = capture.pieces();
        let segments = segments(&mut pieces, 4).await;
        let units = check_channel(&segments);
        let last = units.last().unwrap().pts.unwrap();
        assert!(
            capture.access_units().entered(last).is_some(),
            "the capture time of the frame is known"
        );
        let counts = capture.counts();
        capture.stop().await;
        (segments, counts, units)
    });
    assert_eq!(segments.len(), 4);
    assert!((80..=4 * 24).contains(&units.len()), "{}", units.len());
    check_live_steps(&units, 24);
    check_decodes_alone(&segments);
    assert_eq!(counts.dropped.total(), 0);
    assert!(counts.captured >= counts.encoded && counts.encoded > 80, "{counts:?}");
    assert_eq!(counts.segments, 5);
}

#[test]
fn a_new_capture_after_a_failed_one_begins_a_new_segment() {
    let mortal = fragment(
        "videotestsrc is-live=true ! video/x-raw,width=64,height=64,framerate=24/1 \
         ! identity error-after=30",
    );
    block_on(async {
        let units = AccessUnits::new();
        units.await_next(true);
        let mut pieces = units.pieces();
        let mut segments: Vec<Vec<u8>> = Vec::new();
        for options in [&mortal, &mortal, &small()] {
            let before = segments.len();
            let capture = Capture::start(options, units.clone()).unwrap();
            loop {
                let piece = pieces.next().await.unwrap();
                match piece.place {
                    TsPiecePlace::Begin => segments.push(piece.bytes.to_vec()),
                    TsPiecePlace::End => break,
                    _ => segments.last_mut().unwrap().extend_from_slice(&piece.bytes),
                }
                if segments.len() == before + 3 {
                    // The last capture is stopped in mid-segment. Its frames until then are still read.
                    units.await_next(false);
                    break;
                }
            }
            assert!(segments.len() > before);
            capture.stop().await;
        }
        while let Some(piece) = pieces.next().await {
            if piece.place == TsPiecePlace::Continue {
                segments.last_mut().unwrap().extend_from_slice(&piece.bytes);
            }
        }
        // Timestamps rise over all segments, and each segment begins with its tables and a key frame.
        check_channel(&segments);
        check_decodes_alone(&segments);
    });
}

#[test]
fn frames_of_an_older_capture_are_dropped() {
    block_on(async {
        let units = AccessUnits::new();
        units.await_next(true);
        let older = Capture::start(&small(), units.clone()).unwrap();
        older.began().await;
        let newer = Capture::start(&small(), units.clone()).unwrap();
        newer.began().await;
        let mut pieces = units.pieces();
        older.stop().await;
        let segments = segments(&mut pieces, 3).await;
        // No segment contains a frame of the older capture, and the end of that capture does not end a segment.
        check_live_steps(&check_channel(&segments), 24);
        newer.stop().await;
    });
}

#[test]
fn a_fragment_of_raw_video_is_encoded_whole() {
    let options = fragment(
        "videotestsrc num-buffers=150 pattern=smpte horizontal-speed=4 ! video/x-raw,framerate=24/1 \
         ! identity sleep-time=3000",
    );
    block_on(async {
        let (capture, mut pieces) = start(&options);
        let segments = segments(&mut pieces, usize::MAX).await;
        assert_eq!(capture.ended().await, End::EndOfStream);
        let units = check_channel(&segments);
        assert_eq!((segments.len(), units.len()), (7, 150));
        check_steps(&units, 24);
        check_decodes_alone(&segments);
        let counts = capture.counts();
        assert_eq!((counts.captured, counts.encoded, counts.dropped.total()), (150, 150, 0));
        let bytes: usize = segments.iter().map(Vec::len).sum();
        assert_eq!((counts.segments, counts.bytes), (7, bytes as u64));
    });
}

#[test]
fn h264_passes_through_and_segments_begin_at_its_own_key_frames() {
    // The H.264 has a key frame every half second, is in AVC format and has no delimiters, so the parser must convert
    // the stream.
    let options = fragment(
        "videotestsrc num-buffers=120 ! video/x-raw,format=I420,width=320,height=180,framerate=24/1 \
         ! identity sleep-time=3000 ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=12 \
         aud=false option-string=scenecut=0 ! video/x-h264,stream-format=avc",
    );
    block_on(async {
        let (_capture, mut pieces) = start(&options);
        let segments = segments(&mut pieces, usize::MAX).await;
        let units = check_channel(&segments);
        assert_eq!((segments.len(), units.len()), (5, 120));
        assert_eq!(units.iter().filter(|unit| unit.is_key).count(), 10);
        check_steps(&units, 24);
        check_decodes_alone(&segments);
    });
}

/// A file of 60 frames at 24 frames/s, with sound, whose name would break a pipeline description.
fn film(name: &str) -> PathBuf {
    let path = temporary(name);
    let plain = temporary("film.mkv");
    stream::make(&format!(
        "matroskamux name=mux ! filesink location={} \
         videotestsrc num-buffers=60 ! video/x-raw,width=320,height=240,framerate=24/1 \
         ! x264enc speed-preset=ultrafast ! h264parse ! mux. \
         audiotestsrc num-buffers=100 ! audioconvert ! avenc_aac ! aacparse ! mux.",
        plain.display()
    ));
    std::fs::rename(plain, &path).unwrap();
    path
}

#[test]
fn a_file_is_sent_whole_and_in_real_time() {
    let path = film("a \"film\" ! 'x'.mkv");
    let options = Options { source: Source::File { path: path.clone(), repeat: false }, ..small() };
    let began = std::time::Instant::now();
    block_on(async {
        let (capture, mut pieces) = start(&options);
        let segments = segments(&mut pieces, usize::MAX).await;
        assert_eq!(capture.ended().await, End::EndOfStream);
        let units = check_channel(&segments);
        assert_eq!((segments.len(), units.len()), (3, 60));
        check_steps(&units, 24);
        check_decodes_alone(&segments);
    });
    assert!(began.elapsed() >= Duration::from_millis(2300), "paced: {:?}", began.elapsed());
    std::fs::remove_file(path).unwrap();
}

#[test]
fn the_timestamps_of_a_repeated_file_continue() {
    let path = film("repeated.mkv");
    let options = Options { source: Source::File { path: path.clone(), repeat: true }, ..small() };
    block_on(async {
        let capture = Capture::start(&options, AccessUnits::new()).unwrap();
        // The film lasts 2.5 s, so six segments include its second and third round. Each round begins with a key frame,
        // but a segment does not have to begin there.
        let segments = segments(&mut capture.pieces(), 6).await;
        let units = check_channel(&segments);
        check_steps(&units, 24);
        check_decodes_alone(&segments);
        assert!(units.len() > 120, "{}", units.len());
        capture.stop().await;
    });
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_h264_file_in_422_is_encoded_again() {
    let clip = temporary("clip-422.ts");
    stream::make(&format!(
        "mpegtsmux name=mux ! filesink location={} \
         videotestsrc num-buffers=96 ! video/x-raw,format=Y42B,width=320,height=240,framerate=24/1 \
         ! x264enc speed-preset=ultrafast ! video/x-h264,profile=high-4:2:2 ! h264parse ! mux. \
         audiotestsrc num-buffers=180 ! audioconvert ! avenc_aac ! aacparse ! mux.",
        clip.display()
    ));
    let options = Options { source: Source::File { path: clip.clone(), repeat: false }, ..small() };
    block_on(async {
        let (capture, mut pieces) = start(&options);
        let segments = segments(&mut pieces, 3).await;
        let units = check_channel(&segments);
        check_steps(&units, 24);
        check_decodes_alone(&segments);
        capture.stop().await;
    });
    std::fs::remove_file(clip).unwrap();
}

#[test]
fn after_a_resync_the_reader_gets_a_key_frame_at_once() {
    let mut options = small();
    options.video.segment = Duration::from_secs(10);
    block_on(async {
        let capture = Capture::start(&options, AccessUnits::new()).unwrap();
        let mut pieces = capture.pieces();
        let first = pieces.next().await.unwrap();
        assert_eq!(first.place, TsPiecePlace::Begin);
        for _ in 0..5 {
            assert_eq!(pieces.next().await.unwrap().place, TsPiecePlace::Continue);
        }
        let began = std::time::Instant::now();
        pieces.resync();
        let next = pieces.next().await.unwrap();
        assert_eq!(next.place, TsPiecePlace::Begin);
        // The next natural key would come after 10 s.
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        assert!(
            matches!(read(&next.bytes)[..], [TsEvent::Pat, TsEvent::Pmt, TsEvent::Unit(unit)] if unit.is_key)
        );
        capture.stop().await;
    });
}

#[test]
fn a_reader_that_is_created_later_begins_at_the_newest_key_frame() {
    let options = fragment(
        "videotestsrc num-buffers=300 ! video/x-raw,framerate=24/1 ! identity sleep-time=1000",
    );
    block_on(async {
        let capture = Capture::start(&options, AccessUnits::new()).unwrap();
        assert_eq!(capture.ended().await, End::EndOfStream);
        let segments = segments(&mut capture.pieces(), usize::MAX).await;
        let units = check_channel(&segments);
        // 300 frames are 12 GOPs of 24 and one of 12.
        assert_eq!((segments.len(), units.len()), (1, 12));
        assert_eq!(capture.counts().dropped.total(), 288);
    });
}

#[test]
fn timestamps_continue_over_captures() {
    let options = fragment(
        "videotestsrc num-buffers=48 ! video/x-raw,framerate=24/1 ! identity sleep-time=1000",
    );
    block_on(async {
        let (first, mut pieces) = start(&options);
        let mut all = segments(&mut pieces, usize::MAX).await;
        let mut pieces = first.pieces();
        let _second = Capture::start(&options, first.access_units().clone()).unwrap();
        all.extend(segments(&mut pieces, usize::MAX).await);
        // Each job has its own muxer: with the second one the continuity counters start at 0 again, but the timestamps
        // continue.
        let units: Vec<_> = all.iter().flat_map(|segment| units(segment)).collect();
        assert_eq!(units.len(), 96);
        check_steps(&units, 24);
    });
}

#[track_caller]
fn check_start_fails(options: &Options, expected: &MediaError) {
    let error =
        Capture::start(options, AccessUnits::new()).map(drop).expect_err("the start must fail");
    assert_eq!(&error, expected);
}

#[test]
fn a_faulty_input_is_an_error_that_names_it() {
    let with = |source| Options { source, ..small() };
    check_start_fails(
        &with(Source::File { path: "/no/such/film.mp4".into(), repeat: false }),
        &MediaError::NoSuchFile("/no/such/film.mp4".into()),
    );
    let v4l2 = |device: &str| Source::V4l2 { device: device.into(), format: CameraFormat::Auto };
    check_start_fails(
        &with(v4l2("/dev/video99")),
        &MediaError::NoSuchDevice("/dev/video99".into()),
    );
    check_start_fails(&with(v4l2("/dev/null")), &MediaError::NotACamera("/dev/null".into()));
    check_start_fails(
        &with(v4l2("/etc/hostname")),
        &MediaError::NotACamera("/etc/hostname".into()),
    );
    check_start_fails(
        &fragment("nosuchelement ! identity"),
        &MediaError::MissingElement("nosuchelement".into()),
    );
    let unknown = Encoder { element: Some("x265enc".into()), speed: Speed::Ultrafast };
    check_start_fails(
        &Options { encoder: unknown, ..small() },
        &MediaError::UnknownEncoder("x265enc".into()),
    );
    for broken in [
        "videotestsrc !",
        "videotestsrc ! ! identity",
        "",
        "videotestsrc ! fakesink",
        "audiotestsrc",
        "\"",
        "videotestsrc pattern=nonsense",
    ] {
        let error =
            Capture::start(&fragment(broken), AccessUnits::new()).map(drop).expect_err(broken);
        assert!(matches!(error, MediaError::Fragment(_)), "{broken:?}: {error:?}");
    }
}

#[track_caller]
fn check_ends(options: &Options, expected: impl Fn(&End) -> bool) {
    block_on(async {
        let capture = Capture::start(options, AccessUnits::new()).unwrap();
        assert_eq!(capture.pieces().next().await, None);
        let end = capture.ended().await;
        assert!(expected(&end), "{end:?}");
    });
}

#[test]
fn input_without_video_ends_with_its_reason() {
    let text = temporary("text.mp4");
    std::fs::write(&text, "this is no film\n".repeat(1000)).unwrap();
    let file = |path: &Path| Options {
        source: Source::File { path: path.into(), repeat: true },
        ..small()
    };
    check_ends(&file(&text), |end| matches!(end, End::Failed(MediaError::Decode(_))));
    let empty = temporary("empty.mp4");
    std::fs::write(&empty, "").unwrap();
    check_ends(&file(&empty), |end| *end == End::Failed(MediaError::UnknownInput));
    let sound = temporary("sound.mkv");
    stream::make(&format!(
        "audiotestsrc num-buffers=20 ! avenc_aac ! matroskamux ! filesink location={}",
        sound.display()
    ));
    check_ends(&file(&sound), |end| matches!(end, End::Failed(MediaError::NoVideo(_))));
    for path in [text, empty, sound] {
        std::fs::remove_file(path).unwrap();
    }
    check_ends(&fragment("videotestsrc num-buffers=0"), |end| {
        *end == End::Failed(MediaError::NoFrames)
    });
}

/// The input is H.264 without a container, in real time, as a camera program writes it to a pipe.
#[test]
fn frames_without_timestamps_get_the_time_of_their_arrival() {
    use std::os::fd::AsRawFd;
    gst::init().unwrap();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let camera = gst::parse::launch(&format!(
        "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=24/1 \
         ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=24 \
         ! video/x-h264,stream-format=byte-stream ! fdsink fd={} sync=false",
        theirs.as_raw_fd()
    ))
    .unwrap();
    camera.set_state(gst::State::Playing).unwrap();
    block_on(async {
        let (capture, mut pieces) =
            start(&fragment(&format!("fdsrc fd={} ! h264parse", ours.as_raw_fd())));
        let segments = segments(&mut pieces, 3).await;
        let units = check_channel(&segments);
        assert!(units.len() > 40, "{} frames in two segments", units.len());
        capture.stop().await;
    });
    camera.set_state(gst::State::Null).unwrap();
}

#[test]
fn a_stuck_element_does_not_delay_the_stop() {
    block_on(async {
        let stuck = "videotestsrc is-live=true ! identity sleep-time=20000000";
        let (capture, mut pieces) = start(&fragment(stuck));
        let began = std::time::Instant::now();
        capture.stop().await;
        assert_eq!(pieces.next().await, None);
        let (capture, _) = start(&fragment(stuck));
        drop(capture);
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    });
}

#[test]
fn a_transform_keeps_times_and_frames() {
    let source = fragment(
        "videotestsrc num-buffers=96 pattern=smpte horizontal-speed=4 ! video/x-raw,framerate=24/1 \
         ! identity sleep-time=5000",
    );
    block_on(async {
        let (_capture, mut pieces) = start(&source);
        let mut transform = Transform::start("videobalance saturation=0.0", &small()).unwrap();
        let mut returned = transform.pieces();
        let mut muxed = Vec::new();
        let feed = async {
            while let Some(piece) = pieces.next().await {
                muxed.extend_from_slice(&piece.bytes);
                transform.push(piece.bytes, piece.place == TsPiecePlace::Begin);
            }
            transform.finish();
        };
        let ((), segments) = tokio::join!(feed, segments(&mut returned, usize::MAX));
        assert_eq!(transform.ended().await, End::EndOfStream);
        assert_eq!(transform.dropped(), 0);
        let got = check_channel(&segments);
        check_decodes_alone(&segments);
        let pts = |units: &[Unit]| units.iter().map(|unit| unit.pts.unwrap()).collect::<Vec<_>>();
        assert_eq!(pts(&got), pts(&units(&muxed)));
    });
}

#[test]
fn a_wrong_effect_is_named() {
    let start =
        |effect| Transform::start(effect, &small()).map(drop).expect_err("the start must fail");
    assert_eq!(start("nosucheffect"), MediaError::MissingElement("nosucheffect".into()));
    assert!(matches!(start("videobalance !"), MediaError::Fragment(_)));
}
