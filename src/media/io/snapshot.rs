//! Decodes the last picture of a group of access units and packs it as JPEG.
//!
//! The pipeline exists for one picture: `decodebin` takes whatever decoder this computer has, all pictures but the last
//! are dropped after the decoder, and `jpegenc` packs that one.
//!
//! Does not: keep pictures, or decode without a request.

use std::time::{Duration, Instant};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use crate::MediaError;
use crate::Source;
use crate::io::running::parse;
use mpegts::Ticks;

/// Time for one picture. A Pi Zero 2 decodes 60 frames of 720p within 3 s.
const PICTURE_TIME: Duration = Duration::from_secs(8);

const DESCRIPTION: &str = "appsrc name=units format=time max-bytes=0 \
     caps=video/x-h264,stream-format=byte-stream,alignment=au \
     ! decodebin name=decode ! identity name=pictures ! videoconvert ! jpegenc quality=85 \
     ! appsink name=jpeg sync=false max-buffers=1 drop=true";

/// One access unit of the group, with its presentation time.
#[derive(Debug, Clone)]
pub struct SnapshotUnit {
    /// H.264 byte stream (Annex B).
    pub bytes: Bytes,
    /// Presentation time.
    pub pts: Ticks,
}

/// The last picture of `units` as JPEG. `units` must begin with a key frame. Takes at most 8 s.
pub async fn snapshot(units: Vec<SnapshotUnit>) -> Result<Bytes, MediaError> {
    let made = tokio::task::spawn_blocking(move || make(&units)).await;
    made.unwrap_or(Err(MediaError::NoSnapshot))
}

fn make(units: &[SnapshotUnit]) -> Result<Bytes, MediaError> {
    gst::init().map_err(|error| MediaError::Gstreamer(error.to_string()))?;
    let pipeline = parse(DESCRIPTION, &Source::Test)?;
    let result = run(&pipeline, units);
    // Nothing more can be done after a failure.
    let _ = pipeline.set_state(gst::State::Null);
    result
}

fn run(pipeline: &gst::Pipeline, units: &[SnapshotUnit]) -> Result<Bytes, MediaError> {
    let lacks = || MediaError::Gstreamer("the pipeline of a snapshot is incomplete".into());
    let source =
        pipeline.by_name("units").and_then(|source| source.downcast::<gst_app::AppSrc>().ok());
    let sink = pipeline.by_name("jpeg").and_then(|sink| sink.downcast::<gst_app::AppSink>().ok());
    let pictures = pipeline.by_name("pictures").and_then(|filter| filter.static_pad("sink"));
    let (source, sink, pictures) =
        (source.ok_or_else(lacks)?, sink.ok_or_else(lacks)?, pictures.ok_or_else(lacks)?);
    let first = units.first().ok_or(MediaError::NoSnapshot)?.pts;
    let time = |unit: &SnapshotUnit| unit.pts.duration_since(first).unwrap_or_default();
    let last = units.iter().map(time).max().unwrap_or_default();
    let last = gst::ClockTime::try_from(last).unwrap_or_default();
    pictures.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let pts = info.buffer().and_then(|buffer| buffer.pts());
        match pts.is_none_or(|pts| pts >= last) {
            true => gst::PadProbeReturn::Ok,
            // An earlier picture: drop it.
            false => gst::PadProbeReturn::Handled,
        }
    });
    let by = Instant::now() + PICTURE_TIME;
    pipeline.set_state(gst::State::Playing).map_err(|_| MediaError::NoSnapshot)?;
    for unit in units {
        let mut buffer = gst::Buffer::from_slice(unit.bytes.clone());
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gst::ClockTime::try_from(time(unit)).ok());
        }
        source.push_buffer(buffer).map_err(|_| MediaError::NoSnapshot)?;
    }
    let _ = source.end_of_stream();
    picture(pipeline, &sink, by)
}

/// Waits for the picture, or for an error of the pipeline.
fn picture(
    pipeline: &gst::Pipeline,
    sink: &gst_app::AppSink,
    by: Instant,
) -> Result<Bytes, MediaError> {
    let bus = pipeline.bus().ok_or(MediaError::NoSnapshot)?;
    loop {
        if let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_mseconds(100)) {
            let buffer = sample.buffer().ok_or(MediaError::NoSnapshot)?;
            let map = buffer.map_readable().map_err(|_| MediaError::NoSnapshot)?;
            return Ok(Bytes::copy_from_slice(&map));
        }
        let failed = bus.pop_filtered(&[gst::MessageType::Error]);
        if failed.is_some() || sink.is_eos() || Instant::now() > by {
            return Err(MediaError::NoSnapshot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames as x264 encodes them, with B-frames.
    fn frames(count: u64) -> Vec<SnapshotUnit> {
        gst::init().unwrap();
        let description = format!(
            "videotestsrc num-buffers={count} pattern=white \
             ! video/x-raw,width=64,height=48,framerate=24/1 \
             ! x264enc speed-preset=ultrafast key-int-max=100 bframes=2 \
             ! video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=out sync=false"
        );
        let pipeline =
            gst::parse::launch(&description).unwrap().downcast::<gst::Pipeline>().unwrap();
        let sink = pipeline.by_name("out").unwrap().downcast::<gst_app::AppSink>().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let mut units = Vec::new();
        while let Ok(sample) = sink.pull_sample() {
            let buffer = sample.buffer().unwrap();
            let bytes = Bytes::copy_from_slice(&buffer.map_readable().unwrap());
            units.push(SnapshotUnit {
                bytes,
                pts: Ticks::from_duration(buffer.pts().unwrap().into()),
            });
        }
        pipeline.set_state(gst::State::Null).unwrap();
        units
    }

    #[tokio::test]
    async fn the_last_picture_is_a_jpeg_of_its_size() {
        for count in [1, 30] {
            let units = frames(count);
            assert_eq!(units.len() as u64, count);
            let picture = snapshot(units).await.unwrap();
            assert!(picture.starts_with(&[0xff, 0xd8, 0xff]) && picture.ends_with(&[0xff, 0xd9]));
            // The frame header: precision, height, width.
            let size = [8, 0, 48, 0, 64];
            assert!(picture.windows(5).any(|bytes| bytes == size), "{count}");
        }
    }

    #[tokio::test]
    async fn bytes_that_are_not_h264_give_no_snapshot() {
        for bytes in [&b""[..], b"not H.264", &[0, 0, 0, 1, 0x65, 1, 2, 3]] {
            let unit = SnapshotUnit { bytes: Bytes::from_static(bytes), pts: Ticks::new(0) };
            assert_eq!(snapshot(vec![unit]).await, Err(MediaError::NoSnapshot));
        }
        assert_eq!(snapshot(Vec::new()).await, Err(MediaError::NoSnapshot));
    }
}
