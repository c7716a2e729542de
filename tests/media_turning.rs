//! Rotates, mirrors and crops pictures, and checks in which corner the bright area is afterwards.
//!
//! Does not: check colours; `media_pictures` does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod media_capture;
mod stream;

use media::{Encoder, Flip, Options, Rotate, Source, Speed, Video};

/// Captures `fragment` with the settings `video`. Returns the luma plane of the first picture, and its width.
fn picture(fragment: &str, video: Video) -> (Vec<u8>, usize) {
    let options = Options {
        source: Source::Pipeline { fragment: format!("videotestsrc num-buffers=6 ! {fragment}") },
        encoder: Encoder { element: Some("x264enc".into()), speed: Speed::Ultrafast },
        video: Video { bitrate: 2_000_000, ..video },
        ..Options::default()
    };
    let bytes = media_capture::bytes(&options, usize::MAX);
    let first = stream::decode(&bytes).into_iter().next().expect("a picture");
    assert_eq!((first.width, first.height), (video.width as usize, video.height as usize));
    (first.luma, first.width)
}

/// Asserts which corner is bright after `rotate` and `flip`. In the test picture the upper left corner is bright.
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
fn pictures_are_rotated_clockwise_and_then_mirrored() {
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
fn a_wide_picture_is_cropped_or_gets_bars() {
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
