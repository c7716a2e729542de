//! From a pipeline's sink to the queue between GStreamer's thread and the network.
//!
//! GStreamer's thread takes a short lock, puts the buffer by reference into the queue and goes on. The
//! reader, in `pieces`, segments and muxes on the runtime; only there is a buffer's memory read as a whole.
//!
//! The queue outlives readers: when a publisher goes and another comes, capture does not stop, and media
//! time goes on.
//!
//! Does not: build pipelines, or know what is upstream.

mod heard;
mod pieces;
mod sink;

pub use pieces::SegmentPieces;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use heard::Heard;
use sink::Sink;
use tokio::sync::Notify;

use crate::capacity::{ACCESS_UNIT_BYTES, ACCESS_UNITS};
use crate::media::audio::FRAMES;
use crate::media::encoder::KeyRequest;
use crate::media::pipeline::{ENCODER, PARSER, UNITS};
use crate::media::queue::{Dropped, MAX_LATENCY, Queue};
use crate::media::stamps::Stamps;
use crate::media::timeline::{Timeline, Times};
use crate::media::ts::{Ticks, nal};
use crate::media::{AudioCodec, MediaError};
use crate::segment::Pieces;

/// The access units of one channel, between the pipeline and whoever reads them. Clones share them.
#[derive(Clone)]
pub struct AccessUnits(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    arrived: Notify,
    came_out: Notify,
    times_frames: AtomicBool,
    captured: AtomicU64,
    encoded: AtomicU64,
    segments: AtomicU64,
    bytes: AtomicU64,
    epoch: Instant,
    /// When the last frame went in, and the last unit came out: nanoseconds from `epoch`, 0 for never.
    last_in: AtomicU64,
    last_out: AtomicU64,
}

struct State {
    queue: Queue<Unit, ACCESS_UNITS>,
    timeline: Timeline,
    stamps: Stamps,
    sink: Option<Sink>,
    heard: Heard,
    /// Frames that went into the encoder and have not come out yet.
    inside: u64,
    takes_frames: bool,
    is_closed: bool,
}

struct Unit {
    buffer: gst::Buffer,
    times: Times,
    is_key: bool,
    /// What was heard before it came.
    audio: Vec<(Ticks, gst::Buffer)>,
}

/// How many so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Frames that went into the encoder, or into the parser when H.264 is passed through.
    pub captured: u64,
    /// Access units that came out.
    pub encoded: u64,
    /// Access units dropped before the network, by reason.
    pub dropped: Dropped,
    /// Segments begun.
    pub segments: u64,
    /// Bytes of transport stream.
    pub bytes: u64,
}

impl AccessUnits {
    /// No access units yet; media time begins at the [origin](crate::media::timeline::ORIGIN).
    pub fn new() -> Self {
        let state = State {
            queue: Queue::new(ACCESS_UNIT_BYTES, MAX_LATENCY),
            timeline: Timeline::default(),
            stamps: Stamps::default(),
            sink: None,
            heard: Heard::default(),
            inside: 0,
            takes_frames: true,
            is_closed: false,
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            arrived: Notify::new(),
            came_out: Notify::new(),
            times_frames: AtomicBool::new(false),
            captured: AtomicU64::new(0),
            encoded: AtomicU64::new(0),
            segments: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            epoch: Instant::now(),
            last_in: AtomicU64::new(0),
            last_out: AtomicU64::new(0),
        }))
    }

    /// The access units as pieces of segments of about this length, from the newest key on. One reader
    /// at a time: two would share the units among them.
    pub fn pieces(&self, segment: Duration) -> SegmentPieces {
        let mut pieces = SegmentPieces::new(self.clone(), segment);
        // What waited while nobody read is old.
        if !self.0.lock().queue.is_empty() {
            pieces.resync();
        }
        pieces
    }

    /// How many so far.
    pub fn counts(&self) -> Counts {
        Counts {
            captured: self.0.captured.load(Ordering::Relaxed),
            encoded: self.0.encoded.load(Ordering::Relaxed),
            dropped: self.0.lock().queue.dropped(),
            segments: self.0.segments.load(Ordering::Relaxed),
            bytes: self.0.bytes.load(Ordering::Relaxed),
        }
    }

    /// Notes from now on when each frame enters the encoder, for [`AccessUnits::entered`].
    pub fn time_frames(&self) {
        self.0.times_frames.store(true, Ordering::Relaxed);
    }

    /// When the frame with this PTS entered the encoder, if it is one of the last
    /// [`FRAME_STAMPS`](crate::capacity::FRAME_STAMPS) and was timed.
    pub fn entered(&self, pts: Ticks) -> Option<Instant> {
        self.0.lock().stamps.entered(pts)
    }

    /// Waits for the first access unit. Cancel safe; ready at once when there has been one.
    pub async fn began(&self) {
        loop {
            // It hears of what happens from here on, also before it waits.
            let came_out = self.0.came_out.notified();
            if self.encoded() > 0 {
                return;
            }
            came_out.await;
        }
    }

    /// How long the access unit that is sent next has waited; zero if none waits.
    pub fn age(&self) -> Duration {
        self.0.lock().queue.age(Instant::now())
    }

    /// From now on, no access unit is sent that has waited longer than this.
    pub fn set_max_latency(&self, max_latency: Duration) {
        self.0.lock().queue.set_max_latency(max_latency);
    }

    /// Asks the encoder for a key as soon as can be.
    pub fn request_key(&self) {
        let sink = self.0.lock().sink.clone();
        if let Some(sink) = sink {
            sink.request_key();
        }
    }

    /// Takes what comes out of the pipeline or bin, whose elements have the names in
    /// [`pipeline`](crate::media::pipeline).
    pub(super) fn attach(&self, bin: &gst::Bin, key: KeyRequest) -> Result<(), MediaError> {
        let appsink = bin.by_name(UNITS).and_then(|sink| sink.downcast::<gst_app::AppSink>().ok());
        let (Some(appsink), Some(parser)) = (appsink, bin.by_name(PARSER)) else {
            return Err(MediaError::Gstreamer(format!("the pipeline lacks {UNITS} or {PARSER}")));
        };
        let encoder = bin.by_name(ENCODER);
        if let Some(pad) = encoder.as_ref().unwrap_or(&parser).static_pad("sink") {
            let units = self.clone();
            pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
                units.on_frame(pad, info.buffer())
            });
        }
        let units = self.clone();
        let callbacks =
            gst_app::AppSinkCallbacks::builder().new_sample(move |sink| units.on_sample(sink));
        appsink.set_callbacks(callbacks.build());
        self.0.lock().sink = Some(Sink {
            appsink: appsink.downgrade(),
            encoder: encoder.map(|encoder| encoder.downgrade()),
            key,
        });
        Ok(())
    }

    /// Takes what comes out of a microphone's pipeline.
    pub(super) fn attach_audio(&self, bin: &gst::Bin, codec: AudioCodec) -> Result<(), MediaError> {
        let appsink = bin.by_name(FRAMES).and_then(|sink| sink.downcast::<gst_app::AppSink>().ok());
        let lacks = || MediaError::Gstreamer(format!("the pipeline lacks {FRAMES}"));
        let units = self.clone();
        let on_sample = move |sink: &gst_app::AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if let (Some(buffer), Some(segment)) = (sample.buffer_owned(), sample.segment()) {
                if let Some(running) = buffer.pts().and_then(|pts| running_time(segment, pts)) {
                    units.0.lock().heard.push(running, buffer);
                }
            }
            Ok(gst::FlowSuccess::Ok)
        };
        let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(on_sample);
        appsink.ok_or_else(lacks)?.set_callbacks(callbacks.build());
        self.0.lock().heard = Heard::new(Some(codec));
        Ok(())
    }

    /// There is no audio, or no more.
    pub(super) fn end_audio(&self) {
        self.0.lock().heard = Heard::default();
    }

    /// Lets media time begin here. For the first access unit only.
    pub(super) fn begin_at(&self, time: Duration) {
        self.0.lock().timeline = Timeline::beginning_at(time);
    }

    /// There will be some, perhaps again.
    pub(super) fn open(&self) {
        let mut state = self.0.lock();
        (state.inside, state.takes_frames, state.is_closed) = (0, true, false);
    }

    /// Lets no more frames into the encoder, and waits until what is inside has come out. Cancel safe.
    pub(super) async fn empty(&self) {
        loop {
            let came_out = self.0.came_out.notified();
            {
                let mut state = self.0.lock();
                state.takes_frames = false;
                if state.inside == 0 {
                    return;
                }
            }
            came_out.await;
        }
    }

    /// There will be no more; readers get what waits, then `None`.
    pub(super) fn close(&self) {
        self.0.lock().is_closed = true;
        self.0.arrived.notify_one();
    }

    /// Access units that came out so far.
    pub(super) fn encoded(&self) -> u64 {
        self.0.encoded.load(Ordering::Relaxed)
    }

    /// When the last frame went into the encoder, or the parser.
    pub(super) fn last_in(&self) -> Option<Instant> {
        self.0.instant(&self.0.last_in)
    }

    /// When the last access unit came out.
    pub(super) fn last_out(&self) -> Option<Instant> {
        self.0.instant(&self.0.last_out)
    }

    /// A frame comes to the encoder.
    fn on_frame(&self, pad: &gst::Pad, buffer: Option<&gst::Buffer>) -> gst::PadProbeReturn {
        let now = Instant::now();
        {
            let mut state = self.0.lock();
            if !state.takes_frames {
                return gst::PadProbeReturn::Drop;
            }
            state.inside += 1;
        }
        self.0.captured.fetch_add(1, Ordering::Relaxed);
        self.0.last_in.store(self.0.nanos(now), Ordering::Relaxed);
        if !self.0.times_frames.load(Ordering::Relaxed) {
            return gst::PadProbeReturn::Ok;
        }
        let segment = pad.sticky_event::<gst::event::Segment>(0);
        let running = segment.zip(buffer.and_then(|buffer| buffer.pts()));
        if let Some(running) = running.and_then(|(event, pts)| running_time(event.segment(), pts)) {
            self.0.lock().stamps.on_frame(running, now);
        }
        gst::PadProbeReturn::Ok
    }

    /// An access unit comes out.
    fn on_sample(&self, sink: &gst_app::AppSink) -> Result<gst::FlowSuccess, gst::FlowError> {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let (Some(buffer), Some(segment)) = (sample.buffer_owned(), sample.segment()) else {
            return Ok(gst::FlowSuccess::Ok);
        };
        let decode_time = buffer.dts().and_then(|dts| running_time(segment, dts));
        let show_time = buffer.pts().and_then(|pts| running_time(segment, pts));
        let Some(pts) = show_time.or(decode_time) else {
            log::trace!("an access unit without a time is dropped");
            return Ok(gst::FlowSuccess::Ok);
        };
        // The parser takes pictures of I slices only for keys too, but decoding can begin at IDR only.
        let is_key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT)
            && buffer.map_readable().is_ok_and(|map| nal::is_idr(&map));
        self.0.encoded.fetch_add(1, Ordering::Relaxed);
        self.0.last_out.store(self.0.nanos(Instant::now()), Ordering::Relaxed);
        let mut state = self.0.lock();
        let times = state.timeline.place(pts, decode_time);
        state.stamps.on_encoded(pts, times.pts);
        let audio = state.take_heard();
        let bytes = buffer.size() + audio.iter().map(|(_, frame)| frame.size()).sum::<usize>();
        state.queue.push(Unit { buffer, times, is_key, audio }, is_key, bytes, Instant::now());
        state.inside = state.inside.saturating_sub(1);
        drop(state);
        self.0.came_out.notify_waiters();
        self.0.arrived.notify_one();
        Ok(gst::FlowSuccess::Ok)
    }
}

impl Default for AccessUnits {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for AccessUnits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AccessUnits").field(&self.counts()).finish()
    }
}

impl State {
    fn take_heard(&mut self) -> Vec<(Ticks, gst::Buffer)> {
        self.heard.take(&self.timeline)
    }
}

impl Shared {
    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    fn instant(&self, nanos: &AtomicU64) -> Option<Instant> {
        match nanos.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(self.epoch + Duration::from_nanos(nanos)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No invariant spans a panic here: each change is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn running_time(segment: &gst::Segment, time: gst::ClockTime) -> Option<Duration> {
    segment.downcast_ref::<gst::ClockTime>()?.to_running_time(time).map(Duration::from)
}
