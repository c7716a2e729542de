//! Joins segments as the network's runner writes them, with libav's segment muxer. libav reports corrupt packets in the
//! concatenated segments, and none in the joined ones.
//!
//! Does not: test each rule of joining; the unit tests of `mpegts::join` do.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bytes::Bytes;
use mpegts::Joiner;

const SECONDS: usize = 5;
const FRAMES: usize = 24 * SECONDS;

fn ffmpeg(directory: &Path, arguments: &str) -> Output {
    let arguments = arguments.split_whitespace();
    Command::new("ffmpeg").current_dir(directory).args(arguments).output().expect("ffmpeg")
}

/// Reads a file with libav. Returns the number of frames without those of corrupt packets, and whether libav reported
/// corrupt or missing packets.
fn read(directory: &Path, file: &str) -> (usize, bool) {
    let arguments = format!(
        "-v debug -fflags +discardcorrupt -i {file} -map 0:v -fps_mode passthrough -f framemd5 -"
    );
    let output = ffmpeg(directory, &arguments);
    let frames = String::from_utf8(output.stdout).unwrap();
    let frames = frames.lines().filter(|line| !line.starts_with('#')).count();
    let said = String::from_utf8_lossy(&output.stderr);
    (frames, said.contains("Continuity check failed") || said.contains("corrupt "))
}

#[test]
fn libav_finds_nothing_missing_in_joined_segments_and_reads_every_frame() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("join");
    fs::create_dir_all(&directory).unwrap();
    let made = ffmpeg(
        &directory,
        "-v error -y -f lavfi -i testsrc=d=5:r=24:s=320x180 -f lavfi -i sine=d=5 \
         -c:v libx264 -preset ultrafast -tune zerolatency -bf 0 -g 24 -c:a aac \
         -f segment -segment_time 1 -segment_format mpegts %d.ts",
    );
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let segments: Vec<Vec<u8>> =
        (0..SECONDS).map(|n| fs::read(directory.join(format!("{n}.ts"))).unwrap()).collect();
    fs::write(directory.join("apart.ts"), segments.concat()).unwrap();
    let (frames, is_broken) = read(&directory, "apart.ts");
    assert!(
        is_broken && frames < FRAMES,
        "{frames} frames: the concatenated segments no longer show the fault"
    );

    let mut joiner = Joiner::new();
    let mut joined = Vec::new();
    for segment in &segments {
        joiner.begin();
        for chunk in segment.chunks(1000) {
            joined.extend_from_slice(&joiner.push(&Bytes::copy_from_slice(chunk)));
        }
        joined.extend_from_slice(&joiner.end(true));
    }
    fs::write(directory.join("joined.ts"), joined).unwrap();
    assert_eq!(read(&directory, "joined.ts"), (FRAMES, false));
    fs::remove_dir_all(&directory).unwrap();
}
