//! Encodes pictures as this program and as cameras do, and reads clips, with GStreamer.
//!
//! Does not: run in real time.

use std::path::Path;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

/// The size of the pictures.
pub(crate) const WIDTH: usize = 480;
pub(crate) const HEIGHT: usize = 270;
/// Bytes of a picture in I420.
pub(crate) const BYTES: usize = WIDTH * HEIGHT * 3 / 2;

/// The encoders, each with its description for pictures of 480×270, at 0.11 bit per pixel where the bitrate is fixed.
pub(crate) const ENCODERS: [(&str, &str); 3] = [
    (
        "camera with a fixed quality",
        "x264enc pass=quant quantizer=27 speed-preset=veryfast tune=zerolatency bframes=0 option-string=scenecut=0",
    ),
    (
        "camera with a fixed bitrate",
        "openh264enc usage-type=camera complexity=low rate-control=bitrate scene-change-detection=false bitrate=340000",
    ),
    (
        "x264 of this program",
        "x264enc tune=zerolatency bframes=0 vbv-buf-capacity=600 option-string=scenecut=0 speed-preset=superfast bitrate=340",
    ),
];

/// Encodes `pictures` in I420 with one of [`ENCODERS`], a key frame each 2 s. Calls `unit` with each access unit and
/// whether it is a key frame.
pub(crate) fn encode(
    encoder: &str,
    fps: f64,
    pictures: impl Iterator<Item = Vec<u8>> + Send + 'static,
    unit: impl FnMut(&[u8], bool),
) {
    let gop = if encoder.starts_with("x264") { "key-int-max" } else { "gop-size" };
    let pipeline = parse(&format!(
        "appsrc name=in format=time block=true max-bytes=4000000 caps=video/x-raw,format=I420,width={WIDTH},\
         height={HEIGHT},framerate={}/1000 ! {encoder} {gop}={} \
         ! h264parse ! video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=out sync=false max-buffers=8",
        (fps * 1000.0) as u32,
        (2.0 * fps).round() as u32,
    ));
    let source = pipeline.by_name("in").unwrap().downcast::<gst_app::AppSrc>().unwrap();
    let writer = std::thread::spawn(move || {
        for (nth, picture) in (0_u32..).zip(pictures) {
            let mut buffer = gst::Buffer::from_slice(picture);
            let at = gst::ClockTime::from_nseconds((f64::from(nth) / fps * 1e9) as u64);
            buffer.get_mut().unwrap().set_pts(at);
            source.push_buffer(buffer).unwrap();
        }
        source.end_of_stream().unwrap();
    });
    each(&pipeline, unit);
    writer.join().unwrap();
    pipeline.set_state(gst::State::Null).unwrap();
}

/// All pictures of a clip in I420, scaled, and their rate.
pub(crate) fn read(clip: &Path) -> (f64, Vec<Vec<u8>>) {
    let pipeline = parse(&format!(
        "filesrc location={} ! decodebin ! videoconvert ! videoscale \
         ! video/x-raw,format=I420,width={WIDTH},height={HEIGHT} ! appsink name=out sync=false max-buffers=8",
        clip.display()
    ));
    let mut pictures = Vec::new();
    each(&pipeline, |bytes, _| pictures.push(bytes.to_vec()));
    let caps = pipeline.by_name("out").unwrap().static_pad("sink").unwrap().current_caps().unwrap();
    let rate = caps.structure(0).unwrap().get::<gst::Fraction>("framerate").unwrap();
    pipeline.set_state(gst::State::Null).unwrap();
    (f64::from(rate.numer()) / f64::from(rate.denom()), pictures)
}

fn parse(description: &str) -> gst::Pipeline {
    gst::init().unwrap();
    let pipeline = gst::parse::launch(description).unwrap();
    pipeline.downcast().unwrap()
}

/// Plays `pipeline` and passes each buffer that comes out, and whether it is a key frame.
fn each(pipeline: &gst::Pipeline, mut buffer: impl FnMut(&[u8], bool)) {
    let out = pipeline.by_name("out").unwrap().downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut count = 0;
    while let Ok(sample) = out.pull_sample() {
        let taken = sample.buffer().unwrap();
        let is_key = !taken.flags().contains(gst::BufferFlags::DELTA_UNIT);
        buffer(&taken.map_readable().unwrap(), is_key);
        count += 1;
    }
    assert!(count > 0, "nothing came out");
}
