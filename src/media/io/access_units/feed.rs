//! Takes the access units of one capture's pipeline into the queue, and counts the frames that are in its encoder.
//!
//! Several captures may feed the same queue one after the other. Once a newer capture has given an access unit, those
//! of an older one are dropped; they may still come, for example from a driver that hung.
//!
//! Does not: build pipelines, or depend on the source.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use tokio::sync::Notify;

use super::sink::Sink;
use super::unit::Unit;
use super::{AccessUnits, running_time};
use crate::MediaError;
use crate::encoder::KeyRequest;
use crate::pipeline::{ENCODER, PARSER, RATE, UNITS};
use crate::rhythm::Rhythm;
use mpegts::nal;

/// Takes one capture's access units into the queue. Clones share it.
#[derive(Debug, Clone)]
pub(in crate::io) struct Feed(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    units: AccessUnits,
    /// The capture's number; later captures have higher numbers.
    number: u64,
    takes_frames: AtomicBool,
    /// Frames that went into the encoder.
    frames: AtomicU64,
    /// Access units that came out of the pipeline.
    given: AtomicU64,
    came_out: Notify,
    /// When the last frame went in, and the last access unit came out: nanoseconds from `epoch`, 0 for never.
    last_in: AtomicU64,
    last_out: AtomicU64,
    epoch: Instant,
    keys: Mutex<Keys>,
    /// The frame interval of the source, measured before frames are repeated or left out.
    rhythm: Mutex<Rhythm>,
}

/// When to ask for a key frame, if the frame rate changed after the encoder's key frame interval was set in frames.
#[derive(Debug, Default)]
struct Keys {
    /// The time between two frames, and between two key frames.
    rhythm: Option<(Duration, Duration)>,
    last: Option<Duration>,
}

impl Keys {
    /// Whether to ask for a key frame after this frame, whose decode time is `at`.
    fn asks(&mut self, is_key: bool, at: Duration) -> bool {
        if is_key || self.last.is_none_or(|last| last > at) {
            self.last = Some(at);
        }
        match (self.rhythm, self.last) {
            // With a margin of half a frame, as frames are some microseconds late or early.
            (Some((frame, gop)), Some(last)) => at + frame * 3 / 2 > last + gop,
            _ => false,
        }
    }
}

impl Feed {
    /// Registers a new capture with `units`, to be cut into segments of about this length.
    pub(in crate::io) fn new(units: &AccessUnits, segment: Duration) -> Self {
        let number = units.open(segment);
        Self(Arc::new(Inner {
            units: units.clone(),
            number,
            takes_frames: AtomicBool::new(true),
            frames: AtomicU64::new(0),
            given: AtomicU64::new(0),
            came_out: Notify::new(),
            last_in: AtomicU64::new(0),
            last_out: AtomicU64::new(0),
            epoch: Instant::now(),
            keys: Mutex::default(),
            rhythm: Mutex::default(),
        }))
    }

    /// The queue that the access units go into.
    pub(in crate::io) fn units(&self) -> &AccessUnits {
        &self.0.units
    }

    /// Takes the access units that come out of `bin`, whose elements must have the names in
    /// [`pipeline`](crate::pipeline).
    pub(in crate::io) fn attach(&self, bin: &gst::Bin, key: KeyRequest) -> Result<(), MediaError> {
        let appsink = bin.by_name(UNITS).and_then(|sink| sink.downcast::<gst_app::AppSink>().ok());
        let (Some(appsink), Some(parser)) = (appsink, bin.by_name(PARSER)) else {
            return Err(MediaError::Gstreamer(format!("the pipeline lacks {UNITS} or {PARSER}")));
        };
        let encoder = bin.by_name(ENCODER);
        if let Some(pad) = encoder.as_ref().unwrap_or(&parser).static_pad("sink") {
            let feed = self.clone();
            pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
                feed.on_frame(pad, info.buffer())
            });
        }
        // The parser outputs whole access units; its input may be parts of one.
        let first = bin.by_name(RATE).or_else(|| encoder.clone());
        let given = match first {
            Some(first) => first.static_pad("sink"),
            None => parser.static_pad("src"),
        };
        if let Some(pad) = given {
            let feed = self.clone();
            pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
                let own = info.buffer().and_then(|buffer| buffer.pts()).map(Duration::from);
                feed.rhythm().on_frame(Instant::now(), own);
                gst::PadProbeReturn::Ok
            });
        }
        let feed = self.clone();
        let callbacks =
            gst_app::AppSinkCallbacks::builder().new_sample(move |sink| feed.on_sample(sink));
        appsink.set_callbacks(callbacks.build());
        self.0.units.0.lock().sink = Some(Sink {
            appsink: appsink.downgrade(),
            encoder: encoder.map(|encoder| encoder.downgrade()),
            key,
        });
        Ok(())
    }

    /// From now on asks for a key frame each `gop` at `fps`. Call it when the frame rate changes, as the encoder counts
    /// frames for the rate that it began with.
    pub(in crate::io) fn ask_for_keys(&self, fps: u32, gop: Duration) {
        let frame = Duration::from_secs(1) / fps.max(1);
        self.0.keys.lock().unwrap_or_else(PoisonError::into_inner).rhythm = Some((frame, gop));
    }

    /// Access units that came out of the pipeline so far.
    pub(in crate::io) fn given(&self) -> u64 {
        self.0.given.load(Ordering::Relaxed)
    }

    /// Waits for the first access unit. Cancel safe; ready at once if it came already.
    pub(in crate::io) async fn began(&self) {
        loop {
            // Registered before the check, so that no notification is lost.
            let came_out = self.0.came_out.notified();
            if self.given() > 0 {
                return;
            }
            came_out.await;
        }
    }

    /// Stops the frames that go into the encoder, and waits until those inside have come out. Cancel safe.
    pub(in crate::io) async fn empty(&self) {
        self.0.takes_frames.store(false, Ordering::Relaxed);
        loop {
            let came_out = self.0.came_out.notified();
            if self.0.frames.load(Ordering::Relaxed) <= self.given() {
                return;
            }
            came_out.await;
        }
    }

    /// The time between two frames of the source, once it is known.
    pub(in crate::io) fn interval(&self) -> Option<Duration> {
        self.rhythm().interval()
    }

    fn rhythm(&self) -> MutexGuard<'_, Rhythm> {
        // A poisoned lock is safe to use: a panic cannot leave the data half changed.
        self.0.rhythm.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the last frame went into the encoder, or the parser.
    pub(in crate::io) fn last_in(&self) -> Option<Instant> {
        self.0.instant(&self.0.last_in)
    }

    /// When the last access unit came out.
    pub(in crate::io) fn last_out(&self) -> Option<Instant> {
        self.0.instant(&self.0.last_out)
    }

    /// Call this when the source has ended: the reader gets the access units that are queued, then `None`.
    pub(in crate::io) fn close(&self) {
        self.0.units.close(self.0.number);
    }

    /// Call this when the capture has failed or was stopped: its last segment is complete.
    pub(in crate::io) fn leave(&self) {
        self.0.units.leave(self.0.number);
    }

    /// Called for each frame that comes to the encoder.
    fn on_frame(&self, pad: &gst::Pad, buffer: Option<&gst::Buffer>) -> gst::PadProbeReturn {
        let now = Instant::now();
        if !self.0.takes_frames.load(Ordering::Relaxed) {
            return gst::PadProbeReturn::Handled;
        }
        let shared = &self.0.units.0;
        self.0.frames.fetch_add(1, Ordering::Relaxed);
        self.0.last_in.store(self.0.nanos(now), Ordering::Relaxed);
        shared.captured.add(1, now);
        if let Some(buffer) = buffer {
            shared.on_picture(pad, buffer, self.0.number, now);
        }
        if !shared.times_frames.load(Ordering::Relaxed) {
            return gst::PadProbeReturn::Ok;
        }
        let segment = pad.sticky_event::<gst::event::Segment>(0);
        let running = segment.zip(buffer.and_then(|buffer| buffer.pts()));
        if let Some(running) = running.and_then(|(event, pts)| running_time(event.segment(), pts)) {
            shared.lock().stamps.on_frame(running, now);
        }
        gst::PadProbeReturn::Ok
    }

    /// Called for each access unit that comes out.
    fn on_sample(&self, sink: &gst_app::AppSink) -> Result<gst::FlowSuccess, gst::FlowError> {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let (Some(buffer), Some(segment)) = (sample.buffer_owned(), sample.segment()) else {
            return Ok(gst::FlowSuccess::Ok);
        };
        let decode_time = buffer.dts().and_then(|dts| running_time(segment, dts));
        let show_time = buffer.pts().and_then(|pts| running_time(segment, pts));
        // H.264 without a container, as a camera's program writes into a pipe, has no times: use the arrival time.
        let arrival = || sink.current_running_time().map(Duration::from);
        let Some(pts) = show_time.or(decode_time).or_else(arrival) else {
            log::debug!(
                "an access unit without a time, from a pipeline without a clock, is dropped"
            );
            return Ok(gst::FlowSuccess::Ok);
        };
        // The parser also marks pictures of I slices as key frames, but decoding can begin only at an IDR picture.
        let is_key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT)
            && buffer.map_readable().is_ok_and(|map| nal::is_idr(&map));
        let asks = {
            let mut keys = self.0.keys.lock().unwrap_or_else(PoisonError::into_inner);
            keys.asks(is_key, decode_time.unwrap_or(pts))
        };
        let now = Instant::now();
        self.0.last_out.store(self.0.nanos(now), Ordering::Relaxed);
        let shared = &self.0.units.0;
        let mut state = shared.lock();
        let mut event = None;
        if state.begin_feed(self.0.number) {
            let times = state.timeline.place(pts, decode_time);
            if let Some(entered) = state.stamps.on_encoded(pts, times.pts) {
                shared.encoding.add(now.saturating_duration_since(entered), now);
            }
            state.reading_since = state.reading_since.or(state.timeline.media_time());
            let audio = state.take_heard();
            let unit = Unit { buffer, times, is_key, audio };
            let (codec, segment) = (state.heard.codec(), state.segment);
            if let Some(storing) = &mut state.storing {
                storing.push(&unit, codec, segment);
            }
            state.watchers.push(&unit, codec, now);
            for copy in &mut state.copies {
                copy.push(&unit, codec, segment);
            }
            event =
                state.moving.as_mut().and_then(|moving| moving.on_unit(&unit.buffer, is_key, now));
            let bytes = unit.bytes();
            state.queue.push(unit, is_key, bytes, now);
        }
        drop(state);
        shared.on_motion_event(event, now);
        self.0.given.fetch_add(1, Ordering::Relaxed);
        shared.encoded.add(1, now);
        self.0.came_out.notify_waiters();
        shared.came_out.notify_waiters();
        shared.arrived.notify_one();
        if asks {
            self.0.units.request_key();
        }
        Ok(gst::FlowSuccess::Ok)
    }
}

impl Inner {
    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    fn instant(&self, nanos: &AtomicU64) -> Option<Instant> {
        match nanos.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(self.epoch + Duration::from_nanos(nanos)),
        }
    }
}
