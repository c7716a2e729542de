//! Changes a transport stream: decodes it, applies a GStreamer effect, and encodes it again, with the timestamps of the
//! input.
//!
//! Does not: carry audio over.

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use crate::io::access_units::{AccessUnits, Feed, SegmentPieces};
use crate::io::running::{self, End, Ending, RunningPipeline};
use crate::io::{capture, decoded, diagnosis, encoders};
use crate::limits::ACCESS_UNIT_BYTES;
use crate::pipeline::INPUT;
use crate::{MediaError, Options, Source, pipeline};
use mpegts::{Reader, TsEvent};

/// A stream that is being changed.
#[derive(Debug)]
pub struct Transform {
    input: gst_app::AppSrc,
    feed: Feed,
    running: RunningPipeline,
    ending: Ending,
    /// Reads the input up to the first key frame, whose time becomes the start of the output.
    first_key: Option<Box<Reader>>,
    drops: bool,
    dropped: u64,
}

impl Transform {
    /// Starts a pipeline with `effect`: elements with raw video as input and output, written as for `gst-launch-1.0`.
    /// The source in `options` is not used.
    pub fn start(effect: &str, options: &Options) -> Result<Self, MediaError> {
        diagnosis::init()?;
        let element = encoders::software(options)?;
        let decoder = decoded::h264_decoder();
        let description =
            pipeline::transform(decoder, effect, &options.video, &element, options.encoder.speed);
        let source = Source::Pipeline { fragment: effect.to_owned() };
        let built = running::parse(&description, &source)?;
        let feed = Feed::new(&AccessUnits::new(), options.video.segment);
        feed.attach(built.upcast_ref(), element.row.key)?;
        let input = built
            .by_name(INPUT)
            .and_then(|input| input.downcast::<gst_app::AppSrc>().ok())
            .ok_or_else(|| MediaError::Gstreamer(format!("the pipeline lacks {INPUT}")))?;
        let ending = Ending::new();
        let running = RunningPipeline::open(built, capture::watching(&source, &feed, &ending))?;
        running.play(&ending);
        Ok(Self {
            input,
            feed,
            running,
            ending,
            first_key: Some(Box::default()),
            drops: false,
            dropped: 0,
        })
    }

    /// Queues the next bytes of the stream; set `begins` if a segment begins with them. Never blocks: when the
    /// pipeline's queue is full, input is dropped up to the next segment.
    pub fn push(&mut self, bytes: Bytes, begins: bool) {
        self.drops &= !begins;
        self.drops |= self.input.current_level_bytes() > ACCESS_UNIT_BYTES as u64;
        if self.drops {
            self.dropped += 1;
            return;
        }
        self.read_along(&bytes);
        // This fails only when the pipeline has ended, which `ended` reports.
        let _ = self.input.push_buffer(gst::Buffer::from_slice(bytes));
    }

    /// Chunks of input dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Call this after the last input. The pieces end when the pipeline has processed all of it.
    pub fn finish(&self) {
        let _ = self.input.end_of_stream();
    }

    /// The changed stream as pieces of segments.
    pub fn pieces(&self) -> SegmentPieces {
        self.feed.units().pieces()
    }

    /// Waits for the end of the stream, or a failure. Cancel safe.
    pub async fn ended(&self) -> End {
        self.ending.wait().await
    }

    /// Stops, in a bounded time.
    pub async fn stop(self) {
        self.running.stop().await;
        self.feed.close();
    }

    /// Finds the time of the first key frame, and sets the start of the output to it. Call this before the pipeline
    /// gets the bytes.
    fn read_along(&mut self, bytes: &[u8]) {
        let Some(reader) = &mut self.first_key else { return };
        let mut first = None;
        reader.push(bytes, &mut |report| {
            if let (TsEvent::Unit(unit), None) = (report, first) {
                first = unit.dts.or(unit.pts).filter(|_| unit.is_key);
            }
        });
        if let Some(dts) = first {
            self.first_key = None;
            self.feed.units().begin_at(dts.as_duration());
        }
    }
}
