//! Captures sources that are slower or faster than video: they leave at the pace of a clock, and a slow one is not
//! taken for a dead one.
//!
//! Does not: touch the network.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use media::Place;
use media::io::{AccessUnits, Capture};
use media::{Encoder, Options, Source, Speed, Video};
use mpegts::mux::VIDEO_PID;
use mpegts::{Reader, Report};

/// A test that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(60);

fn options(source: Source) -> Options {
    let video = Video {
        width: 320,
        height: 180,
        bitrate: 400_000,
        segment: Duration::from_secs(1),
        ..Video::default()
    };
    let encoder = Encoder { element: Some("x264enc".into()), speed: Speed::Ultrafast };
    Options { source, video, encoder, ..Options::default() }
}

fn pipeline(fragment: &str) -> Source {
    Source::Pipeline { fragment: fragment.to_owned() }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(LIMIT, future).await.expect("it hangs") })
}

/// What was captured in some time.
struct Captured {
    bytes: Vec<u8>,
    /// When the first picture came, and the last.
    wall: (Instant, Instant),
}

impl Captured {
    /// The times of what has this PID, in seconds.
    fn times(&self, pid: u16) -> Vec<f64> {
        let (mut times, mut reader) = (Vec::new(), Reader::new());
        let mut report = |report| match report {
            Report::Pat | Report::Pmt => {}
            Report::Unit(unit) if unit.pid == pid => {
                times.push(unit.pts.unwrap().as_duration().as_secs_f64());
            }
            Report::Unit(_) => {}
            fault @ (Report::Gap { .. }
            | Report::Damaged { .. }
            | Report::Stray { .. }
            | Report::LostSync) => panic!("{fault:?}"),
        };
        reader.push(&self.bytes, &mut report);
        reader.flush(&mut report);
        times
    }

    fn pictures(&self) -> Vec<f64> {
        self.times(VIDEO_PID)
    }

    /// Seconds of pictures for each second of the clock.
    fn pace(&self) -> f64 {
        let pictures = self.pictures();
        let media = pictures.last().unwrap() - pictures.first().unwrap();
        media / self.wall.1.duration_since(self.wall.0).as_secs_f64()
    }
}

/// Captures for so long from the first picture on; the source must not end before.
async fn capture(options: &Options, time: Duration) -> Captured {
    let units = AccessUnits::new();
    let mut pieces = units.pieces();
    let capture = Capture::start(options, units).unwrap();
    let (mut bytes, mut wall) = (Vec::new(), None);
    while wall.is_none_or(|(first, last): (Instant, Instant)| last < first + time) {
        let piece = tokio::select! {
            piece = pieces.next() => piece.expect("more"),
            end = capture.ended() => panic!("{end:?}"),
        };
        if piece.place != Place::End {
            let now = Instant::now();
            wall = Some((wall.map_or(now, |(first, _)| first), now));
        }
        bytes.extend_from_slice(&piece.bytes);
    }
    assert_eq!(capture.counts().dropped.total(), 0);
    capture.stop().await;
    Captured { bytes, wall: wall.unwrap() }
}

#[test]
fn a_camera_with_a_frame_in_some_seconds_is_not_taken_for_a_dead_one() {
    let slow = "videotestsrc is-live=true ! video/x-raw,width=320,height=180,framerate=2/5";
    let h264 = format!("{slow} ! x264enc tune=zerolatency key-int-max=1");
    thread::scope(|scope| {
        for fragment in [slow, &h264] {
            scope.spawn(move || {
                let options = options(pipeline(fragment));
                let pace = block_on(capture(&options, Duration::from_secs(7))).pace();
                assert!((0.8..1.3).contains(&pace), "{fragment}: {pace}");
            });
        }
    });
}

#[test]
fn a_pipeline_that_is_not_live_keeps_to_the_clock() {
    let caps = "video/x-raw,width=320,height=180,framerate=24/1";
    let raw = format!("videotestsrc ! {caps}");
    let h264 = format!("{raw} ! x264enc tune=zerolatency key-int-max=24");
    for fragment in [raw, h264] {
        let captured = block_on(capture(&options(pipeline(&fragment)), Duration::from_secs(2)));
        assert!((0.95..1.1).contains(&captured.pace()), "{fragment}: {}", captured.pace());
    }
}

/// Files of this test, made by GStreamer or byte by byte.
fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn make(name: &str, description: &str) -> PathBuf {
    let path = file(name);
    gst::init().unwrap();
    let text = format!("{description} ! filesink location={}", path.display());
    let pipeline = gst::parse::launch(&text).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = pipeline.bus().unwrap().timed_pop_filtered(gst::ClockTime::from_seconds(20), &ends);
    assert_eq!(end.expect("an end").type_(), gst::MessageType::Eos, "{text}");
    pipeline.set_state(gst::State::Null).unwrap();
    path
}

fn files(path: PathBuf) -> Options {
    options(Source::File { path, repeat: true })
}

/// A picture of 320x180 in each of these times, in hundredths of a second.
fn gif(name: &str, hundredths: &[u16]) -> PathBuf {
    let (low, high) = (|n: u16| n.to_le_bytes()[0], |n: u16| n.to_le_bytes()[1]);
    let screen = [low(320), high(320), low(180), high(180)];
    let mut gif = b"GIF89a".to_vec();
    gif.extend_from_slice(&screen);
    gif.extend_from_slice(&[0x80, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff]);
    for (nth, length) in hundredths.iter().enumerate() {
        gif.extend_from_slice(&[0x21, 0xf9, 4, 0, low(*length), high(*length), 0, 0]);
        gif.extend_from_slice(&[0x2c, 0, 0, 0, 0]);
        gif.extend_from_slice(&screen);
        gif.extend_from_slice(&[0, 2]);
        // Codes of 3 bits: clear before each colour, so that the codes never grow.
        let codes = (0..320 * 180).flat_map(|_| [4, (nth % 2) as u8]).chain([5]);
        let (mut bytes, mut held, mut bits) = (Vec::new(), 0u32, 0);
        for code in codes {
            held |= u32::from(code) << bits;
            bits += 3;
            while bits >= 8 {
                bytes.push(held as u8);
                (held, bits) = (held >> 8, bits - 8);
            }
        }
        bytes.push(held as u8);
        for block in bytes.chunks(255) {
            gif.push(block.len() as u8);
            gif.extend_from_slice(block);
        }
        gif.push(0);
    }
    gif.push(0x3b);
    let path = file(name);
    std::fs::write(&path, gif).unwrap();
    path
}

#[test]
fn a_gif_keeps_to_the_clock_and_repeats() {
    let path = gif("moving.gif", &[10, 40, 20, 30]);
    let captured = block_on(capture(&files(path), Duration::from_secs(4)));
    assert!((0.85..1.1).contains(&captured.pace()), "{}", captured.pace());
    // Each second, one round; 24 frames of it.
    let pictures = captured.pictures().len();
    assert!((85..=125).contains(&pictures), "{pictures}");
}

#[test]
fn a_still_picture_is_repeated_and_costs_little() {
    let picture = "videotestsrc num-buffers=1 ! video/x-raw,width=1600,height=900";
    let png = make("still.png", &format!("{picture} ! pngenc"));
    let jpeg = make("still.jpg", &format!("{picture} ! jpegenc"));
    let one = gif("still.gif", &[10]);
    let run = |options: &Options| {
        let before = processor_time();
        let captured = block_on(capture(options, Duration::from_secs(3)));
        (captured, processor_time() - before)
    };
    let (_, usual) = run(&options(Source::Test));
    for path in [png, jpeg, one] {
        let name = path.display().to_string();
        let (captured, cost) = run(&files(path));
        assert!((0.95..1.1).contains(&captured.pace()), "{name}: {}", captured.pace());
        let pictures = captured.pictures();
        assert!(pictures.windows(2).all(|two| (two[1] - two[0] - 1.0 / 24.0).abs() < 0.001));
        assert!(cost < usual.max(Duration::from_millis(100)) * 2, "{name}: {cost:?}, {usual:?}");
    }
}

/// What this process has used so far.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: u64 = [11, 12].iter().map(|at| fields[*at].parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
