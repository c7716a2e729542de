//! Captures files with unusual pictures: rotated, interlaced, full range, with alpha, anamorphic, of odd size, of 10
//! bits, grey. The segments are decoded, and their colours compared with those of the file.
//!
//! Does not: check times; `media` does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod media_camera_fakes;
mod media_capture;
mod media_elements;
mod scratch;

use std::path::{Path, PathBuf};
use std::process::Command;

use media::{CameraFormat, Encoder, Options, Rotate, Source, Speed, Video};
use media_camera_fakes::INTERLACED;
use scratch::temporary;

/// The colours of the four quarters: upper left, upper right, lower left, lower right.
const QUARTERS: [Rgb; 4] = [[192, 32, 32], [32, 192, 32], [32, 32, 192], [80, 80, 80]];
/// The same colours in grey, by the luma of BT.601.
const GREYS: [Rgb; 4] = [[80; 3], [126; 3], [50; 3], [80; 3]];
const BLACK: Rgb = [0; 3];
/// The largest error of a colour after two conversions and an encoder.
const TOLERANCE: u8 = 7;

type Rgb = [u8; 3];

/// Pictures in RGB.
struct Pictures {
    bytes: Vec<u8>,
    width: usize,
    height: usize,
}

impl Pictures {
    fn len(&self) -> usize {
        self.bytes.len() / self.bytes_each()
    }

    fn bytes_each(&self) -> usize {
        self.width * self.height * 3
    }

    /// The colour of a picture at `x` and `y`, which are shares of its width and height from 0.0 to 1.0.
    fn at(&self, picture: usize, x: f64, y: f64) -> Rgb {
        let place = |share: f64, side: usize| ((side as f64 * share) as usize).min(side - 1);
        self.pixel(picture, place(x, self.width), place(y, self.height))
    }

    fn pixel(&self, picture: usize, x: usize, y: usize) -> Rgb {
        let start = picture * self.bytes_each() + (y * self.width + x) * 3;
        self.bytes[start..start + 3].try_into().unwrap()
    }
}

fn ffmpeg(arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new("ffmpeg");
    let made = command.args(["-y", "-v", "error"]).args(arguments).output();
    let made = made.expect("ffmpeg, which cross/setup.sh installs");
    assert!(made.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&made.stderr));
    made.stdout
}

/// Makes a file with ffmpeg, which gets these output arguments: half a second of the four colours, 640×360.
fn film(name: &str, arguments: &str) -> PathBuf {
    let quarter = |[r, g, b]: Rgb| format!("color=c=0x{r:02x}{g:02x}{b:02x}:s=320x180:r=24:d=0.5");
    let [a, b, c, d] = QUARTERS.map(quarter);
    let graph = format!(
        "{a}[a];{b}[b];{c}[c];{d}[d];[a][b]hstack[t];[c][d]hstack[u];[t][u]vstack,format=rgb24"
    );
    let path = temporary(name);
    let mut all = vec!["-f", "lavfi", "-i", &graph];
    all.extend(arguments.split_whitespace());
    let target = path.display().to_string();
    all.push(&target);
    ffmpeg(&all);
    path
}

/// Captures `source` and decodes the segments.
fn captured(source: Source, video: Video, encoder: &str) -> Pictures {
    let is_picture = |path: &Path| path.extension().is_some_and(|end| end == "jpg" || end == "png");
    let is_still = matches!(&source, Source::File { path, .. } if is_picture(path));
    let has_no_end = is_still || matches!(&source, Source::V4l2 { .. });
    let options = Options {
        source,
        encoder: Encoder { element: Some(encoder.into()), speed: Speed::Ultrafast },
        video: Video { bitrate: 2_000_000, ..video },
        ..Options::default()
    };
    let bytes = media_capture::bytes(&options, if has_no_end { 12 } else { usize::MAX });
    let path = temporary("captured.ts");
    std::fs::write(&path, bytes).unwrap();
    let from = path.display().to_string();
    let rgb = ffmpeg(&["-i", &from, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]);
    std::fs::remove_file(path).unwrap();
    let (width, height) = (options.video.width as usize, options.video.height as usize);
    let pictures = Pictures { bytes: rgb, width, height };
    assert!(pictures.len() > 5, "{} pictures", pictures.len());
    assert_eq!(pictures.bytes.len() % pictures.bytes_each(), 0, "{width}×{height}");
    pictures
}

fn small() -> Video {
    Video { width: 320, height: 180, ..Video::default() }
}

fn captured_file(path: &Path, video: Video, encoder: &str) -> Pictures {
    captured(Source::File { path: path.into(), repeat: false }, video, encoder)
}

#[track_caller]
fn check_at(pictures: &Pictures, x: f64, y: f64, expected: Rgb) {
    let found = pictures.at(3, x, y);
    let is_near = found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= TOLERANCE);
    assert!(is_near, "at {x}, {y}: {found:?} instead of {expected:?}");
}

/// Checks the middle of each quarter of the picture between `left` and `right`.
#[track_caller]
fn check_quarters(pictures: &Pictures, (left, right): (f64, f64), expected: [Rgb; 4]) {
    let across = |share: f64| left + (right - left) * share;
    for ((x, y), colour) in
        [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)].into_iter().zip(expected)
    {
        check_at(pictures, across(x), y, colour);
    }
}

/// Asserts that a film keeps its colours over the whole picture.
#[track_caller]
fn check_film(name: &str, arguments: &str, encoder: &str, expected: [Rgb; 4]) {
    let path = film(name, arguments);
    let pictures = captured_file(&path, small(), encoder);
    std::fs::remove_file(path).unwrap();
    check_quarters(&pictures, (0.0, 1.0), expected);
    check_quarters(&pictures, (0.02, 0.98), expected);
}

/// Writes a rotation matrix into the track header of an MP4, as phones do.
fn turn(path: &Path, matrix: [i32; 4]) {
    let mut bytes = std::fs::read(path).unwrap();
    let header = bytes.windows(4).position(|name| name == b"tkhd").unwrap();
    // After the name: 4 bytes of version and flags, 36 bytes of times and other fields (ISO 14496-12, 8.3.2).
    let start = header + 44;
    for (value, at) in matrix.into_iter().zip([0, 4, 12, 16]) {
        bytes[start + at..start + at + 4].copy_from_slice(&(value << 16).to_be_bytes());
    }
    std::fs::write(path, bytes).unwrap();
}

const LIMITED: &str =
    "-vf scale=out_color_matrix=bt601,format=yuv420p -c:v libx264 -crf 5 -movflags +faststart";

#[test]
fn a_rotated_film_is_shown_upright_without_distortion() {
    let [red, green, blue, grey] = QUARTERS;
    let quarter = film("quarter.mp4", LIMITED);
    turn(&quarter, [0, 1, -1, 0]);
    let wide = captured_file(&quarter, small(), "x264enc");
    // The picture takes 101 of 320 pixels of the width.
    check_quarters(&wide, (0.343, 0.657), [blue, red, grey, green]);
    check_at(&wide, 0.1, 0.5, BLACK);
    check_at(&wide, 0.32, 0.5, BLACK);
    check_at(&wide, 0.68, 0.5, BLACK);

    let high = Video { width: 180, height: 320, ..Video::default() };
    let fitting = captured_file(&quarter, high.clone(), "x264enc");
    check_quarters(&fitting, (0.0, 1.0), [blue, red, grey, green]);
    check_at(&fitting, 0.02, 0.02, blue);
    // The configured rotation is added to that of the file.
    let rotated = Video { rotate: Rotate::Quarter, ..small() };
    check_quarters(
        &captured_file(&quarter, rotated, "x264enc"),
        (0.0, 1.0),
        [grey, blue, green, red],
    );
    // Cropped to 16:9, only the middle of the picture remains.
    let cut = captured_file(&quarter, Video { crop: true, ..small() }, "x264enc");
    check_at(&cut, 0.02, 0.1, blue);
    check_at(&cut, 0.98, 0.9, green);

    turn(&quarter, [-1, 0, 0, -1]);
    check_quarters(
        &captured_file(&quarter, small(), "x264enc"),
        (0.0, 1.0),
        [grey, blue, green, red],
    );
    turn(&quarter, [0, -1, 1, 0]);
    check_quarters(&captured_file(&quarter, high, "x264enc"), (0.0, 1.0), [green, grey, red, blue]);
    std::fs::remove_file(quarter).unwrap();
}

#[test]
fn a_still_picture_is_shown_upright_with_its_colours_and_transparency_as_black() {
    let [red, green, blue, grey] = QUARTERS;
    let path = film("turned.jpg", "-frames:v 1 -pix_fmt yuvj420p -q:v 2");
    let mut bytes = std::fs::read(&path).unwrap();
    // Exif data with one field, the orientation: a quarter turn to the right (Exif 2.3, 4.6.4).
    let mut exif = b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01".to_vec();
    exif.extend_from_slice(b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0");
    bytes.splice(2..2, exif);
    std::fs::write(&path, bytes).unwrap();
    let wide = captured_file(&path, small(), "x264enc");
    check_quarters(&wide, (0.343, 0.657), [blue, red, grey, green]);
    std::fs::remove_file(path).unwrap();

    let path = film("clear.png", "-frames:v 1 -vf format=rgba,colorchannelmixer=aa=0");
    check_quarters(&captured_file(&path, small(), "openh264enc"), (0.0, 1.0), [BLACK; 4]);
    std::fs::remove_file(path).unwrap();
}

/// Counts comb artefacts: pixels that differ much from both neighbours above and below.
fn teeth(pictures: &Pictures) -> usize {
    let luma = |picture, x, y| pictures.pixel(picture, x, y)[1];
    let is_tooth = |picture, x, y| {
        let (above, here, below) =
            (luma(picture, x, y - 1), luma(picture, x, y), luma(picture, x, y + 1));
        above.abs_diff(here) > 60 && below.abs_diff(here) > 60 && (above > here) == (below > here)
    };
    let rows = pictures.height / 4..pictures.height * 3 / 4;
    let places = rows.flat_map(|y| (0..pictures.width).map(move |x| (x, y)));
    // The deinterlacer needs earlier fields, so the first two pictures are not checked.
    let pictures = 2..pictures.len();
    places.map(|(x, y)| pictures.clone().filter(|picture| is_tooth(*picture, x, y)).count()).sum()
}

#[test]
fn interlaced_video_is_deinterlaced() {
    // The film shows a bar that moves by 6 pixels from field to field.
    let graph = "color=c=0x202020:s=320x240:r=50:d=0.6,format=yuv420p[g];color=c=white:s=40x240:r=50:d=0.6[b];\
                 [g][b]overlay=x='mod(n*6,280)',tinterlace=mode=interleave_top,setfield=tff";
    let same = Video { width: 320, height: 240, ..Video::default() };
    for (name, codec) in [
        ("fields.mp4", "-c:v libx264 -flags +ildct+ilme -x264-params tff=1 -crf 8"),
        (
            "ten.mp4",
            "-pix_fmt yuv420p10le -c:v libx264 -flags +ildct+ilme -x264-params tff=1 -crf 8",
        ),
        ("fields.mpg", "-c:v mpeg2video -flags +ildct+ilme -q:v 2"),
        (
            "fields.mkv",
            "-pix_fmt yuv420p10le -c:v libx264 -flags +ildct+ilme -x264-params tff=1 -crf 8",
        ),
    ] {
        let path = temporary(name);
        let target = path.display().to_string();
        let mut arguments = vec!["-f", "lavfi", "-i", graph];
        arguments.extend(codec.split_whitespace());
        arguments.push(&target);
        ffmpeg(&arguments);
        let pictures = captured_file(&path, same.clone(), "x264enc");
        std::fs::remove_file(path).unwrap();
        assert_eq!(teeth(&pictures), 0, "{name}");
        let bright = (0..320).filter(|x| pictures.pixel(8, *x, 120)[1] > 180).count();
        assert!((34..=46).contains(&bright), "{name}: a bar of {bright} pixels");
    }
    // Raw interlaced video, as from an analogue grabber.
    let fragment = "videotestsrc num-buffers=30 pattern=bar horizontal-speed=6 \
                    ! video/x-raw,format=YUY2,width=320,height=240,framerate=50/1 \
                    ! interlace field-pattern=1:1 top-field-first=true";
    let pictures = captured(Source::Pipeline { fragment: fragment.into() }, same, "x264enc");
    assert_eq!(teeth(&pictures), 0);
}

#[test]
fn interlaced_raw_video_of_the_output_size_is_deinterlaced() {
    media_camera_fakes::register();
    let same = Video { width: 320, height: 240, fps: 5, ..Video::default() };
    let grabber = Source::V4l2 { device: INTERLACED.into(), format: CameraFormat::Raw };
    let pictures = captured(grabber, same, "x264enc");
    assert_eq!(teeth(&pictures), 0);
    let bright = |picture| (0..320).any(|x| pictures.pixel(picture, x, 120)[1] > 180);
    assert!(bright(3), "the bar is visible");
}

/// ffmpeg arguments for full range with this matrix.
fn full(matrix: &str) -> String {
    format!(
        "-vf scale=out_color_matrix={matrix}:out_range=pc,format=yuvj420p -color_range pc -c:v libx264 -crf 5"
    )
}

#[test]
fn full_range_keeps_its_colours() {
    let named =
        format!("{} -colorspace bt709 -color_primaries bt709 -color_trc bt709", full("bt709"));
    check_film("named.mp4", &named, "x264enc", QUARTERS);
    check_film("named.mkv", &named, "x264enc", QUARTERS);
    let hevc = named.replace("libx264", "libx265 -x265-params log-level=none");
    check_film("hevc.mp4", &hevc, "x264enc", QUARTERS);
    check_film("unnamed.mp4", &full("bt601"), "x264enc", QUARTERS);
    check_film("motion.avi", "-pix_fmt yuvj422p -c:v mjpeg -q:v 2", "x264enc", QUARTERS);
}

#[test]
fn full_range_is_converted_to_limited_range_if_the_encoder_cannot_signal_it() {
    check_film("unnamed-o.mp4", &full("bt601"), "openh264enc", QUARTERS);
    check_film("motion-o.avi", "-pix_fmt yuvj422p -c:v mjpeg -q:v 2", "openh264enc", QUARTERS);
    check_film("limited-o.mp4", LIMITED, "openh264enc", QUARTERS);
    // The same with raw video, as from a camera.
    let fragment = "videotestsrc num-buffers=12 pattern=solid-color foreground-color=0xffc02020 \
                    ! video/x-raw,format=RGB,framerate=24/1 ! videoconvert ! jpegenc quality=95 ! jpegdec";
    let camera = Source::Pipeline { fragment: fragment.into() };
    check_at(&captured(camera, small(), "openh264enc"), 0.5, 0.5, QUARTERS[0]);
}

#[test]
fn limited_range_keeps_its_colours() {
    check_film("limited.mp4", LIMITED, "x264enc", QUARTERS);
    let hd = "-vf scale=1280:720:out_color_matrix=bt709,format=yuv420p -c:v libx264 -crf 5";
    check_film("hd.mp4", hd, "x264enc", QUARTERS);
    check_film("rgb.mkv", "-pix_fmt bgr0 -c:v ffv1", "x264enc", QUARTERS);
}

#[test]
fn transparent_video_is_shown_on_black() {
    for codec in ["libvpx -auto-alt-ref 0", "libvpx-vp9"] {
        // The upper half is half transparent, the lower half opaque.
        let arguments = format!(
            "-vf format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='if(lt(Y,180),128,255)',\
             scale=out_color_matrix=bt601,format=yuva420p -c:v {codec} -b:v 2M"
        );
        let [red, green, blue, grey] = QUARTERS;
        let half = |colour: Rgb| colour.map(|value| value / 2);
        check_film("alpha.webm", &arguments, "x264enc", [half(red), half(green), blue, grey]);
    }
}

#[test]
fn films_with_sound_subtitles_and_alpha_are_captured() {
    let path = film(
        "sound.webm",
        "-f lavfi -i sine=d=0.5 -map 0 -map 1 -vf scale=out_color_matrix=bt601,format=yuva420p -c:v libvpx-vp9 \
         -b:v 1M -c:a libopus",
    );
    let pictures = captured_file(&path, small(), "x264enc");
    std::fs::remove_file(path).unwrap();
    check_quarters(&pictures, (0.0, 1.0), QUARTERS);
    assert!(pictures.len() >= 10, "{} pictures", pictures.len());
}

#[test]
fn anamorphic_pictures_and_odd_sizes_are_converted_to_square_pixels() {
    // A picture of 16:9 in 720×576 pixels.
    let anamorphic =
        "-vf scale=720:576:out_color_matrix=bt601,setsar=64/45,format=yuv420p -c:v libx264 -crf 5";
    check_film("anamorphic.mp4", anamorphic, "x264enc", QUARTERS);
    let odd =
        "-vf scale=639:359:out_color_matrix=bt601,setsar=1,format=yuv444p -c:v libx264 -crf 5";
    check_film("odd.mp4", odd, "x264enc", QUARTERS);
    // A picture of 4:3 in 720×576 pixels gets bars at the sides, so it takes 240 of 320 pixels.
    let path = film(
        "dv.mp4",
        "-vf scale=720:576:out_color_matrix=bt601,setsar=16/15,format=yuv420p -c:v libx264 -crf 5",
    );
    let pictures = captured_file(&path, small(), "x264enc");
    check_quarters(&pictures, (0.125, 0.875), QUARTERS);
    check_at(&pictures, 0.1, 0.5, BLACK);
    check_at(&pictures, 0.14, 0.3, QUARTERS[0]);
    // Rotation inverts the pixel aspect ratio, so the picture takes 135 of 320 pixels.
    turn(&path, [0, 1, -1, 0]);
    let pictures = captured_file(&path, small(), "x264enc");
    std::fs::remove_file(path).unwrap();
    check_at(&pictures, 0.27, 0.5, BLACK);
    check_at(&pictures, 0.31, 0.3, QUARTERS[2]);
}

#[test]
fn ten_bit_and_grey_pictures_keep_their_colours() {
    let ten =
        "-vf scale=out_color_matrix=bt709,format=yuv420p10le -colorspace bt709 -c:v libx264 -crf 5";
    check_film("ten.mp4", ten, "x264enc", QUARTERS);
    let pq = "-vf scale=out_color_matrix=bt2020,format=yuv420p10le -colorspace bt2020nc \
              -color_primaries bt2020 -color_trc smpte2084 -c:v libx265 -x265-params log-level=none -crf 5";
    check_film("pq.mp4", pq, "x264enc", QUARTERS);
    check_film(
        "grey.mkv",
        "-vf scale=out_color_matrix=bt601,format=gray -c:v ffv1",
        "x264enc",
        GREYS,
    );
    check_film(
        "grey.mp4",
        "-vf scale=out_color_matrix=bt601,format=gray -c:v libx264",
        "x264enc",
        GREYS,
    );
}
