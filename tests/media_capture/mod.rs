//! Shared parts of the tests that capture: options, a runtime with a time limit, and functions that read a capture's
//! segments.
//!
//! Does not: decode; `stream` does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic"
)]
#![allow(dead_code, reason = "each test program uses a part of this module")]

use std::time::Duration;

use media::io::{AccessUnits, Capture, SegmentPieces};
use media::{Encoder, Options, Source, Speed, TsPiecePlace, Video};
use mpegts::{Reader, TsEvent, Unit};

/// The time limit of a test: a test that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs `future` on a new runtime. Panics if it takes longer than [`LIMIT`].
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(LIMIT, future).await.expect("the test hangs") })
}

/// A capture of `source` that encodes with `x264enc`, in segments of 1 s.
pub(crate) fn options(source: Source, (width, height): (u32, u32), bitrate: u32) -> Options {
    let segment = Duration::from_secs(1);
    Options {
        source,
        video: Video { width, height, bitrate, segment, ..Video::default() },
        encoder: Encoder { element: Some("x264enc".into()), speed: Speed::Ultrafast },
        ..Options::default()
    }
}

/// Starts a capture and creates its reader before the first frame. A reader that is created later would start at the
/// newest key frame.
pub(crate) fn start(options: &Options) -> (Capture, SegmentPieces) {
    let units = AccessUnits::new();
    let pieces = units.pieces();
    (Capture::start(options, units).unwrap(), pieces)
}

/// Collects segments until the capture ends, or until `most` are complete.
pub(crate) async fn segments(pieces: &mut SegmentPieces, most: usize) -> Vec<Vec<u8>> {
    let mut segments: Vec<Vec<u8>> = Vec::new();
    while let Some(piece) = pieces.next().await {
        assert_eq!(piece.bytes.len() % 188, 0);
        if piece.place == TsPiecePlace::Begin {
            if segments.len() == most {
                break;
            }
            segments.push(Vec::new());
        }
        let segment = segments.last_mut().expect("the first piece begins a segment");
        segment.extend_from_slice(&piece.bytes);
    }
    segments
}

/// Captures two segments. Returns their access units, and whether the H.264 of the source passed through, which is the
/// case if the capture refuses a new bitrate.
pub(crate) fn two_segments(options: &Options) -> (Vec<Unit>, bool) {
    block_on(async {
        let (capture, mut pieces) = start(options);
        let segments = segments(&mut pieces, 2).await;
        if segments.len() < 2 {
            panic!("the capture ended: {:?}", capture.ended().await);
        }
        let passed = !capture.set_bitrate(300_000);
        capture.stop().await;
        (units(&segments.concat()), passed)
    })
}

/// Captures until the source ends, or `most` pieces. Panics with the cause if there is no piece.
pub(crate) fn bytes(options: &Options, most: usize) -> Vec<u8> {
    block_on(async {
        let (capture, mut pieces) = start(options);
        let mut bytes = Vec::new();
        for _ in 0..most {
            let Some(piece) = pieces.next().await else { break };
            bytes.extend_from_slice(&piece.bytes);
        }
        if bytes.is_empty() {
            panic!("the capture gave nothing: {:?}", capture.ended().await);
        }
        capture.stop().await;
        bytes
    })
}

/// The reports of a reader for these bytes.
pub(crate) fn read(bytes: &[u8]) -> Vec<TsEvent> {
    let mut reports = Vec::new();
    let mut reader = Reader::new();
    reader.push(bytes, &mut |report| reports.push(report));
    reader.flush(&mut |report| reports.push(report));
    reports
}

/// The access units of a stream. Panics at anything that is not an access unit or a table.
#[track_caller]
pub(crate) fn units(bytes: &[u8]) -> Vec<Unit> {
    let mut units = Vec::new();
    for report in read(bytes) {
        match report {
            TsEvent::Pat | TsEvent::Pmt => {}
            TsEvent::Unit(unit) => units.push(unit),
            fault => panic!("{fault:?}"),
        }
    }
    units
}

/// The times in seconds of the access units with this PID.
#[track_caller]
pub(crate) fn times(bytes: &[u8], pid: u16) -> Vec<f64> {
    let units = units(bytes).into_iter().filter(|unit| unit.pid == pid);
    units.map(|unit| unit.pts.unwrap().as_duration().as_secs_f64()).collect()
}
