//! Captures sources that are slower or faster than real time: frames leave at the pace of the clock, and a slow source
//! does not count as stalled.
//!
//! Does not: touch the network.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

mod media_capture;
mod scratch;
mod stream;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::RwLock;
use std::thread;
use std::time::{Duration, Instant};

use media::{Options, Source, TsPiecePlace};
use media_capture::{block_on, start, times};
use mpegts::mux::VIDEO_PID;
use scratch::temporary;

/// The pace of a source that keeps to the clock. On a busy computer the first picture arrives late, and those after it
/// on time. A source without a pace is faster by a factor of five and more.
const PACE: Range<f64> = 0.7..1.6;

/// A test that measures the processor time of this process takes this lock for writing: no other test runs meanwhile.
static PROCESS: RwLock<()> = RwLock::new(());

fn options(source: Source) -> Options {
    media_capture::options(source, (320, 180), 400_000)
}

fn pipeline(fragment: &str) -> Source {
    Source::Pipeline { fragment: fragment.to_owned() }
}

/// The result of a capture.
struct Captured {
    bytes: Vec<u8>,
    /// The arrival of the first and of the last picture.
    wall: (Instant, Instant),
}

impl Captured {
    /// The times of the pictures, in seconds.
    fn pictures(&self) -> Vec<f64> {
        times(&self.bytes, VIDEO_PID)
    }

    /// Seconds of video for each second of the clock: 1.0 is real time.
    fn pace(&self) -> f64 {
        let pictures = self.pictures();
        let media = pictures.last().unwrap() - pictures.first().unwrap();
        media / self.wall.1.duration_since(self.wall.0).as_secs_f64()
    }
}

/// Captures for `time`, counted from the first picture. Panics if the source ends earlier.
async fn capture(options: &Options, time: Duration) -> Captured {
    let (capture, mut pieces) = start(options);
    let (mut bytes, mut wall) = (Vec::new(), None);
    while wall.is_none_or(|(first, last): (Instant, Instant)| last < first + time) {
        let piece = tokio::select! {
            piece = pieces.next() => piece.expect("more"),
            end = capture.ended() => panic!("{end:?}"),
        };
        if piece.place != TsPiecePlace::End {
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
fn a_camera_with_a_frame_every_few_seconds_is_not_reported_as_stalled() {
    let _shared = PROCESS.read();
    let slow = "videotestsrc is-live=true ! video/x-raw,width=320,height=180,framerate=2/5";
    let h264 = format!("{slow} ! x264enc tune=zerolatency key-int-max=1");
    thread::scope(|scope| {
        for fragment in [slow, &h264] {
            scope.spawn(move || {
                let options = options(pipeline(fragment));
                let pace = block_on(capture(&options, Duration::from_secs(7))).pace();
                assert!(PACE.contains(&pace), "{fragment}: {pace}");
            });
        }
    });
}

#[test]
fn a_pipeline_that_is_not_live_is_played_in_real_time() {
    let _shared = PROCESS.read();
    let caps = "video/x-raw,width=320,height=180,framerate=24/1";
    let raw = format!("videotestsrc ! {caps}");
    let h264 = format!("{raw} ! x264enc tune=zerolatency key-int-max=24");
    for fragment in [raw, h264] {
        let captured = block_on(capture(&options(pipeline(&fragment)), Duration::from_secs(2)));
        assert!(PACE.contains(&captured.pace()), "{fragment}: {}", captured.pace());
    }
}

/// Makes a file with this GStreamer pipeline.
fn make(name: &str, description: &str) -> PathBuf {
    let path = temporary(name);
    stream::make(&format!("{description} ! filesink location={}", path.display()));
    path
}

fn files(path: PathBuf) -> Options {
    options(Source::File { path, repeat: true })
}

/// A GIF with a picture of 320x180 for each of these durations, in hundredths of a second.
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
        // LZW codes of 3 bits: a clear code before each pixel, so that the code size never grows.
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
    let path = temporary(name);
    std::fs::write(&path, gif).unwrap();
    path
}

#[test]
fn a_gif_is_played_in_real_time_and_repeated() {
    let _shared = PROCESS.read();
    let path = gif("moving.gif", &[10, 40, 20, 30]);
    let captured = block_on(capture(&files(path), Duration::from_secs(4)));
    assert!(PACE.contains(&captured.pace()), "{}", captured.pace());
    // The GIF is repeated each second, and gives 24 frames per second.
    let pictures = captured.pictures().len();
    assert!((70..=130).contains(&pictures), "{pictures}");
}

#[test]
fn a_still_picture_is_repeated_with_little_processor_time() {
    let _alone = PROCESS.write();
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
        assert!(PACE.contains(&captured.pace()), "{name}: {}", captured.pace());
        let pictures = captured.pictures();
        assert!(pictures.windows(2).all(|two| (two[1] - two[0] - 1.0 / 24.0).abs() < 0.001));
        // A loop that does not wait takes a whole core: ten times as much.
        assert!(cost < usual.max(Duration::from_millis(100)) * 4, "{name}: {cost:?}, {usual:?}");
    }
}

/// The processor time of this process.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: u64 = [11, 12].iter().map(|at| fields[*at].parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
