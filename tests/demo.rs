//! The command `demo`: from each kind of source, every frame is returned, in order, in segments that decode alone; the
//! figures in the summary agree with the returned video.
//!
//! Does not: measure speed, which a busy machine changes.
#![cfg(feature = "sandbox")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod edge;
mod stream;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use edge::{Ended, SMALL, run, temporary};
use media::burn::{self, I420Picture};
use stream::{Segment, decode, make, segments};

/// Ticks of 90 kHz between two frames at 24 frames/s.
const STEP: u64 = 3750;

/// The summary of a demo.
#[derive(Debug)]
struct Summary {
    captured: u64,
    published: u64,
    returned: u64,
    dropped: u64,
    segments: u64,
}

/// Reads the figures at the end of standard error. Panics if one is missing or impossible.
#[track_caller]
fn summary(ended: &Ended) -> Summary {
    let row = |name: &str| {
        let line = ended.stderr.lines().find(|line| line.starts_with(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in:\n{}", ended.stderr))
    };
    let figures = |name: &str| -> Vec<f64> {
        let words = row(name).split([' ', ',']);
        words.filter_map(|word| word.parse().ok()).collect()
    };
    let [captured, published, returned, dropped] = figures("frames")[..] else {
        panic!("{}", row("frames"))
    };
    let [segments, lost] = figures("segments")[..] else { panic!("{}", row("segments")) };
    assert_eq!((figures("violations"), lost), (vec![0.0], 0.0), "{}", ended.stderr);
    let [p50, p95, p99] = figures("latency")[..] else { panic!("{}", row("latency")) };
    assert!(0.0 < p50 && p50 <= p95 && p95 <= p99, "{}", row("latency"));
    assert!(figures("CPU")[0] > 0.0 && figures("memory")[0] > 0.0, "{}", ended.stderr);
    let [captured, published, returned, dropped, segments] =
        [captured, published, returned, dropped, segments].map(|figure| figure as u64);
    Summary { captured, published, returned, dropped, segments }
}

/// Runs a demo to a file, and asserts that its stream agrees with the summary.
#[track_caller]
fn demo(arguments: &[&str]) -> (Summary, Vec<Segment>, PathBuf) {
    let path = temporary("out.ts");
    let output = ["demo", "--output", path.to_str().unwrap()];
    let ended = run(&[&output, arguments].concat()).with_code(0);
    assert_eq!(ended.stdout, b"");
    let summary = summary(&ended);
    let Summary { captured, published, returned, dropped, .. } = summary;
    assert_eq!([published, returned, dropped], [captured, captured, 0], "{summary:?}");
    let stream = std::fs::read(&path).unwrap();
    let segments = segments(&stream);
    let units: usize = segments.iter().map(|segment| segment.units.len()).sum();
    assert_eq!(units as u64, summary.returned);
    check_ffprobe(&path, units);
    (summary, segments, path)
}

/// Asserts that libav reads the file without a message, and that each packet has a PTS and a rising DTS.
#[track_caller]
fn check_ffprobe(path: &PathBuf, units: usize) {
    let probe = |entries: &str| {
        let arguments = ["-v", "error", "-of", "csv=p=0", "-show_entries", entries];
        let output = Command::new("ffprobe").args(arguments).arg(path).output().expect("ffprobe");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        String::from_utf8(output.stdout).unwrap()
    };
    let shape = probe("stream=codec_name,width,height");
    assert!(shape.starts_with("h264,1280,720\n"), "{shape}");
    let packets = probe("packet=pts,dts");
    let dts: Vec<u64> = packets
        .split_whitespace()
        .map(|line| match line.split(',').map(str::parse).collect::<Vec<_>>()[..] {
            [Ok::<u64, _>(pts), Ok(dts), ..] if pts >= dts => dts,
            _ => panic!("{line}"),
        })
        .collect();
    assert_eq!(dts.len(), units);
    assert!(dts.windows(2).all(|two| two[0] < two[1]), "{dts:?}");
}

/// Asserts that each segment decodes alone to all of its pictures, none of them lost or doubled. Returns the pictures.
#[track_caller]
fn check_decodes_alone(segments: &[Segment]) -> Vec<stream::Picture> {
    let mut pictures = Vec::new();
    for (n, segment) in segments.iter().enumerate() {
        let decoded = decode(&segment.bytes);
        assert_eq!(decoded.len(), segment.units.len(), "segment {n}");
        assert!(decoded.iter().all(|p| (p.width, p.height) == (1280, 720)), "segment {n}");
        pictures.extend(decoded);
    }
    pictures
}

/// The steps between the decoding times of successive frames, in frame durations.
#[track_caller]
fn steps(segments: &[Segment]) -> Vec<u64> {
    let units: Vec<_> = segments.iter().flat_map(|segment| &segment.units).collect();
    assert!(units.iter().all(|unit| unit.pts >= unit.dts));
    let step = |two: &[&stream::Unit]| {
        let ticks = two[1].dts.checked_sub(two[0].dts).expect("DTS rises");
        let frames = (ticks + STEP / 2) / STEP;
        assert!(frames > 0 && ticks.abs_diff(frames * STEP) <= 2, "{ticks} ticks");
        frames
    };
    units.windows(2).map(step).collect()
}

/// Reads the frame number burnt into a picture: the number whose caption is most similar.
fn number(picture: &stream::Picture, around: u64) -> u64 {
    let rows = 54;
    let difference = |number: u64| {
        let mut bytes = vec![0; picture.width * rows * 3 / 2];
        let text = burn::caption(number, Duration::ZERO);
        let mut drawn = I420Picture { bytes: &mut bytes, width: picture.width, height: rows };
        drawn.write(text.split(' ').next().unwrap());
        // The compared part of the caption has 7 glyphs of 36 pixels. The clock in the caption is left out.
        let row = |y: usize| (0..7 * 36).map(move |x| y * picture.width + x);
        (0..rows)
            .flat_map(row)
            .map(|at| u64::from(bytes[at].abs_diff(picture.luma[at])))
            .sum::<u64>()
    };
    (around.saturating_sub(4)..around + 40).min_by_key(|number| difference(*number)).unwrap()
}

/// A film of `frames` frames at 720p24, a key each second.
fn film(name: &str, frames: u32) -> PathBuf {
    let plain = temporary("film.mp4");
    make(&format!(
        "videotestsrc num-buffers={frames} pattern=smpte horizontal-speed=4 \
         ! video/x-raw,format=I420,width=1280,height=720,framerate=24/1 \
         ! x264enc tune=zerolatency speed-preset=ultrafast bitrate=1000 key-int-max=24 \
         option-string=scenecut=0 ! h264parse ! mp4mux ! filesink location={}",
        plain.display()
    ));
    let path = temporary(name);
    std::fs::rename(plain, &path).unwrap();
    path
}

#[test]
fn every_frame_of_the_test_picture_is_returned() {
    let (summary, segments, _) = demo(&["--seconds", "3"]);
    assert_eq!((segments.len() as u64, summary.segments), (2, 2), "{summary:?}");
    // The 3 s of the demo count from the first frame, so a slow start loses no frame. A busy machine may give fewer
    // frames.
    let time: u64 = steps(&segments).iter().sum();
    assert!((60..=74).contains(&time), "{time} frame steps in 3 s");
    // A busy machine may skip frames before the encoder: timestamps and captions must then show the same gaps.
    let (steps, pictures) = (steps(&segments), check_decodes_alone(&segments));
    let mut last = number(&pictures[0], 0);
    for (step, picture) in steps.iter().zip(&pictures[1..]) {
        let next = number(picture, last + step);
        assert_eq!(next, last + step);
        last = next;
    }
}

#[test]
fn every_frame_of_a_film_is_returned_and_its_end_ends_the_demo() {
    let film = film("a film, 'so' to say.mp4", 72);
    let path = film.to_str().unwrap();
    let url = format!("file://{}", path.replace(' ', "%20").replace('\'', "%27"));
    for source in [&format!("file:{path}"), path, &url] {
        let (summary, segments, _) = demo(&["--source", source]);
        assert_eq!((summary.captured, summary.returned), (72, 72), "{source}: {summary:?}");
        assert_eq!(steps(&segments), [1; 71]);
        check_decodes_alone(&segments);
    }
}

#[test]
fn every_frame_of_a_raw_video_fragment_is_returned() {
    let fragment = "pipeline:videotestsrc num-buffers=72 ! video/x-raw,framerate=24/1 \
                    ! identity sync=true";
    let (summary, segments, _) = demo(&["--source", fragment]);
    assert_eq!((summary.captured, summary.returned), (72, 72), "{summary:?}");
    assert_eq!(steps(&segments), [1; 71]);
    check_decodes_alone(&segments);
}

#[test]
fn h264_of_a_fragment_passes_through_and_segments_begin_at_its_own_key_frames() {
    // No element makes a key frame on request: a segment begins at a key frame of the film.
    let film = film("keys.mp4", 120);
    let fragment =
        format!("pipeline:filesrc location={} ! qtdemux ! identity sync=true", film.display());
    let (summary, segments, path) = demo(&["--source", &fragment]);
    assert_eq!((summary.captured, summary.returned), (120, 120), "{summary:?}");
    assert_eq!(segments.iter().map(|s| s.units.len()).collect::<Vec<_>>(), [48, 48, 24]);
    assert_eq!(steps(&segments), [1; 119]);
    check_decodes_alone(&segments);
    // The video passes through without a new encoding: the pictures equal those of the film.
    let hash = |path: &PathBuf| {
        let arguments = ["-v", "error", "-f", "framemd5", "-"];
        let output =
            Command::new("ffmpeg").arg("-i").arg(path).args(arguments).output().expect("ffmpeg");
        let text = String::from_utf8(output.stdout).unwrap();
        let hashes = text.lines().filter(|line| !line.starts_with('#'));
        hashes.map(|line| line.rsplit(',').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(hash(&path), hash(&film));
}

#[test]
fn an_effect_changes_every_picture() {
    // The picture is bright on the left and dark on the right; the effect swaps the two sides.
    let fragment = "pipeline:videotestsrc num-buffers=72 pattern=smpte ! video/x-raw,framerate=24/1 \
                    ! identity sync=true";
    let lighter_left = |picture: &stream::Picture| {
        let rows = picture.luma.chunks(picture.width).take(picture.height / 2);
        let sum = |pixels: &[u8]| pixels.iter().map(|p| u64::from(*p)).sum::<u64>();
        let halves = rows.map(|row| row.split_at(row.len() / 2));
        let (left, right) =
            halves.fold((0, 0), |(l, r), (left, right)| (l + sum(left), r + sum(right)));
        left > right
    };
    let (_, plain, _) = demo(&["--source", fragment]);
    let (summary, flipped, _) =
        demo(&["--source", fragment, "--job.params", r#"{"effect":"flip"}"#]);
    assert_eq!((summary.captured, summary.returned), (72, 72), "{summary:?}");
    steps(&flipped);
    assert!(check_decodes_alone(&plain[..1]).iter().all(lighter_left));
    assert!(!check_decodes_alone(&flipped).iter().any(lighter_left));
}

#[test]
fn standard_output_contains_only_the_stream() {
    let arguments = ["demo", "--seconds", "2", "--output", "-", "--log.level", "trace"];
    let ended = run(&[&arguments[..], &SMALL].concat()).with_code(0);
    let returned = summary(&ended).returned;
    let units: usize = segments(&ended.stdout).iter().map(|segment| segment.units.len()).sum();
    assert_eq!(units as u64, returned);
}

#[test]
fn a_source_without_a_frame_fails_the_demo() {
    let stuck = "pipeline:videotestsrc is-live=true ! identity sleep-time=60000000";
    let ended = run(&["demo", "--seconds", "1", "--source", stuck]).with_code(1);
    assert!(ended.error().starts_with("error: "), "{}", ended.error());
}

#[test]
fn a_missing_file_or_an_unusable_output_fails_the_demo() {
    let ended = run(&["demo", "--source", "file:/no/such/film.mp4"]).with_code(1);
    assert_eq!(ended.error(), "error: no file /no/such/film.mp4");
    let ended = run(&["demo", "--output", "/no/such/place/out.ts"]).with_code(1);
    assert!(ended.error().starts_with("error: cannot write /no/such/place/out.ts: "));
}
