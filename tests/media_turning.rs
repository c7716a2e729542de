//! Turns, mirrors and cuts real pictures, and looks where their bright corner went.
//!
//! Does not: look at anything else in them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod stream;

use std::time::Duration;

use media::io::{AccessUnits, Capture};
use media::{Encoder, Flip, Options, Rotate, Source, Speed, Video};

/// The luma plane of the first picture, with its width.
fn picture(fragment: &str, video: Video) -> (Vec<u8>, usize) {
    let options = Options {
        source: Source::Pipeline { fragment: format!("videotestsrc num-buffers=6 ! {fragment}") },
        encoder: Encoder { element: Some("x264enc".into()), speed: Speed::Ultrafast },
        video: Video { bitrate: 2_000_000, ..video },
        ..Options::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bytes = runtime.block_on(async {
        let units = AccessUnits::new();
        let mut pieces = units.pieces();
        let capture = Capture::start(&options, units).unwrap();
        let mut bytes = Vec::new();
        let whole = async {
            while let Some(piece) = pieces.next().await {
                bytes.extend_from_slice(&piece.bytes);
            }
        };
        tokio::time::timeout(Duration::from_secs(20), whole).await.expect("it hangs");
        capture.stop().await;
        bytes
    });
    let first = stream::decode(&bytes).into_iter().next().expect("a picture");
    assert_eq!((first.width, first.height), (video.width as usize, video.height as usize));
    (first.luma, first.width)
}

/// Of the colour bars, the upper left is bright, the other corners are not.
#[track_caller]
fn check(rotate: Rotate, flip: Flip, expected: &str) {
    let video = Video { width: 320, height: 320, rotate, flip, ..Video::default() };
    let (luma, width) =
        picture("video/x-raw,format=I420,width=320,height=320,framerate=24/1", video);
    let is_bright = |x: usize, y: usize| luma[y * width + x] > 120;
    let corners = [("ul", 6, 6), ("ur", 313, 6), ("ll", 6, 313), ("lr", 313, 313)]
        .map(|(name, x, y)| if is_bright(x, y) { name } else { "" });
    assert_eq!(corners.concat(), expected, "{rotate:?} {flip:?}");
}

#[test]
fn pictures_are_turned_clockwise_then_mirrored() {
    check(Rotate::None, Flip::None, "ul");
    check(Rotate::Quarter, Flip::None, "ur");
    check(Rotate::Half, Flip::None, "lr");
    check(Rotate::ThreeQuarters, Flip::None, "ll");
    check(Rotate::None, Flip::Horizontal, "ur");
    check(Rotate::None, Flip::Vertical, "ll");
    check(Rotate::Quarter, Flip::Horizontal, "ul");
    check(Rotate::Quarter, Flip::Vertical, "lr");
    check(Rotate::ThreeQuarters, Flip::Horizontal, "lr");
    check(Rotate::ThreeQuarters, Flip::Vertical, "ul");
    check(Rotate::Half, Flip::Horizontal, "ll");
    check(Rotate::Half, Flip::Vertical, "ur");
}

#[test]
fn a_wide_picture_is_cut_or_gets_bars() {
    let fragment =
        "video/x-raw,format=I420,width=640,height=320,framerate=24/1,pixel-aspect-ratio=1/1";
    let square = Video { width: 320, height: 320, ..Video::default() };
    let is_black = |video: Video| {
        let (luma, width) = picture(fragment, video);
        luma[10 * width + 10] < 24
    };
    assert!(is_black(square.clone()), "a bar above");
    assert!(!is_black(Video { crop: true, ..square }), "none");
}
