//! Rotates, mirrors, crops and masks pictures, and checks which of their pixels are bright afterwards.
//!
//! Does not: check colours; `media_pictures` does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod media_capture;
mod rtsp_camera;
mod scratch;
mod stream;

use media::{CameraFormat, Encoder, Flip, Mask, Options, Rotate, Source, Speed, Video};
use media_capture::block_on;
use rtsp_camera::{Camera, Recording, Switches};
use scratch::Scratch;

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

/// A rectangle at the left edge, a triangle and a polygon that is not convex.
const MASKS: [&str; 3] =
    ["0,0.1 0.3,0.4", "0.5,0.5 0.95,0.6 0.6,0.95", "0.5,0.05 0.9,0.05 0.9,0.4 0.7,0.2 0.5,0.4"];

fn masks() -> Vec<Mask> {
    MASKS.iter().map(|mask| mask.parse().unwrap()).collect()
}

fn masked(source: Source) -> Options {
    let mut options = media_capture::options(source, (320, 240), 2_000_000);
    options.video.masks = masks();
    options
}

/// How far a point is inside of a mask in pixels; negative outside of all masks.
fn depth(x: f64, y: f64) -> f64 {
    let one = |mask: &str| {
        let number = |text: &str| text.parse::<f64>().unwrap();
        let corner = |word: &str| {
            let (x, y) = word.split_once(',').unwrap();
            (number(x) * 320.0, number(y) * 240.0)
        };
        let mut corners: Vec<(f64, f64)> = mask.split(' ').map(corner).collect();
        if let [(left, top), (right, bottom)] = corners[..] {
            corners = vec![(left, top), (right, top), (right, bottom), (left, bottom)];
        }
        let edges = || corners.iter().zip(corners.iter().cycle().skip(1));
        let crossed = edges().filter(|((x0, y0), (x1, y1))| {
            (*y0 > y) != (*y1 > y) && x < (x1 - x0) * (y - y0) / (y1 - y0) + x0
        });
        let distance = edges().map(|((x0, y0), (x1, y1))| {
            let (dx, dy) = (x1 - x0, y1 - y0);
            let along = (((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
            (x - x0 - along * dx).hypot(y - y0 - along * dy)
        });
        let distance = distance.fold(f64::INFINITY, f64::min);
        if crossed.count() % 2 == 1 { distance } else { -distance }
    };
    MASKS.iter().map(|mask| one(mask)).fold(f64::NEG_INFINITY, f64::max)
}

/// Asserts that every pixel in a mask is black in every picture. If the source is white, asserts that every other pixel
/// is white, except 3 pixels around a mask, where blocks and the codec round.
#[track_caller]
fn check_masked(stream: &[u8], is_white: bool) {
    let pictures = stream::decode(stream);
    assert!(pictures.len() >= 5, "{} pictures", pictures.len());
    let (mut inside, mut outside) = (0, 0);
    for (number, picture) in pictures.iter().enumerate() {
        for (at, luma) in picture.luma.iter().enumerate() {
            let (x, y) = (at % picture.width, at / picture.width);
            let depth = depth(x as f64 + 0.5, y as f64 + 0.5);
            if depth > 0.0 {
                inside += 1;
                assert!(*luma < 60, "picture {number}: {luma} at {x},{y}, {depth} inside");
            } else if depth < -3.0 {
                outside += usize::from(*luma > 200);
                assert!(!is_white || *luma > 200, "picture {number}: {luma} at {x},{y}, {depth}");
            }
        }
    }
    assert!(inside > 10_000 && outside > 10_000, "{inside} and {outside}");
}

#[test]
fn masks_are_black_in_the_test_picture_and_in_pipelines_of_every_format() {
    check_masked(&media_capture::bytes(&masked(Source::Test), 12), false);
    for format in ["I420", "NV12", "YUY2", "RGB"] {
        let fragment = format!(
            "videotestsrc num-buffers=6 pattern=white ! video/x-raw,format={format},width=320,height=240,framerate=24/1"
        );
        let bytes = media_capture::bytes(&masked(Source::Pipeline { fragment }), usize::MAX);
        check_masked(&bytes, true);
    }
}

/// The rows of these pictures are padded, as those of some camera drivers.
#[test]
fn masks_follow_the_picture_that_is_sent_whatever_its_source_is() {
    let shape =
        "video/x-raw,format=I420,width=250,height=386,framerate=24/1,pixel-aspect-ratio=1/1";
    let fragment =
        format!("videotestsrc num-buffers=6 pattern=white ! {shape} ! videocrop left=10 top=66");
    let mut options = masked(Source::Pipeline { fragment });
    options.video = Video { rotate: Rotate::Quarter, ..options.video };
    check_masked(&media_capture::bytes(&options, usize::MAX), true);
}

#[test]
fn masks_are_black_in_films_and_still_pictures() {
    let (film, still) = (Scratch::new("white.ts"), Scratch::new("white.png"));
    let white = "pattern=white ! video/x-raw,width=640,height=480,framerate=24/1";
    stream::make(&format!(
        "videotestsrc num-buffers=8 {white} ! x264enc ! mpegtsmux ! filesink location={}",
        film.display()
    ));
    stream::make(&format!(
        "videotestsrc num-buffers=1 {white} ! pngenc ! filesink location={}",
        still.display()
    ));
    for path in [film.to_path_buf(), still.to_path_buf()] {
        let source = Source::File { path, repeat: false };
        check_masked(&media_capture::bytes(&masked(source), 8), true);
    }
}

#[test]
fn the_h264_of_a_camera_is_decoded_masked_and_encoded_again() {
    let recording = Recording::made(48, "pattern=white", "tune=zerolatency key-int-max=24");
    let camera = Camera::start(recording, Switches::default());
    for format in [CameraFormat::Auto, CameraFormat::H264] {
        let source = Source::Rtsp { url: camera.url(), credential: None, pin: None, format };
        check_masked(&media_capture::bytes(&masked(source), 8), true);
    }
    let fragment = "videotestsrc num-buffers=12 pattern=white ! video/x-raw,width=320,height=240,framerate=24/1 \
                    ! x264enc tune=zerolatency";
    let source = Source::Pipeline { fragment: fragment.into() };
    check_masked(&media_capture::bytes(&masked(source), usize::MAX), true);
}

#[test]
fn masks_stay_when_the_picture_gets_smaller() {
    let fragment =
        "videotestsrc is-live=true pattern=white ! video/x-raw,width=320,height=240,framerate=24/1";
    let options = masked(Source::Pipeline { fragment: fragment.into() });
    let bytes = block_on(async {
        let (capture, mut pieces) = media_capture::start(&options);
        capture.began().await;
        let mut bytes = Vec::new();
        while capture.access_units().flow(std::time::Instant::now()).size != Some((160, 120)) {
            assert!(capture.set_picture(160, 120, 24));
            let _ = pieces.next().await.unwrap();
        }
        pieces.resync();
        for _ in 0..8 {
            bytes.extend_from_slice(&pieces.next().await.unwrap().bytes);
        }
        capture.stop().await;
        bytes
    });
    let pictures = stream::decode(&bytes);
    assert!(pictures.iter().all(|picture| (picture.width, picture.height) == (160, 120)));
    for picture in pictures {
        for (at, luma) in picture.luma.iter().enumerate() {
            let (x, y) = ((at % 160) as f64, (at / 160) as f64);
            let depth = depth(2.0 * x + 1.0, 2.0 * y + 1.0);
            assert!(depth < 0.0 || *luma < 60, "{luma} at {x},{y}");
        }
    }
}
