//! The queue of access units between GStreamer's thread, which fills it from a pipeline's sink, and the network.
//!
//! GStreamer's thread holds a lock for a short time, puts a reference to the buffer into the queue and returns. The
//! reader, in `pieces`, segments and muxes on the runtime; only there is a buffer's memory read as a whole.
//!
//! The queue outlives readers: when one publisher replaces another, capture does not stop, and media time continues.
//!
//! Does not: build pipelines, or depend on the source.

mod copies;
mod feed;
mod flow;
mod heard;
mod moving;
mod pieces;
mod sink;
mod storing;
mod unit;
mod watching;

pub(super) use feed::Feed;
pub use flow::Flow;
pub use pieces::SegmentPieces;
pub use watching::{WatchedUnit, Watching};

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use heard::Heard;
use moving::Moving;
use sink::Sink;
use storing::Storing;
use tokio::sync::{Notify, oneshot};
use unit::{Unit, running_time};
use watching::Watchers;

use crate::audio::FRAMES;
use crate::limits::{ACCESS_UNIT_BYTES, ACCESS_UNITS};
use crate::queue::{Dropped, MAX_LATENCY, Queue};
use crate::stamps::Stamps;
use crate::timeline::Timeline;
use crate::{AudioCodec, MediaError, Video};
use mpegts::Ticks;
use resilience::histogram::Histogram;
use resilience::meter::Meter;

/// The queue of one channel's access units, from the pipeline to the reader. Clones share one queue.
#[derive(Clone)]
pub struct AccessUnits(Arc<SharedUnits>);

struct SharedUnits {
    state: Mutex<UnitsState>,
    arrived: Notify,
    came_out: Notify,
    moved: Notify,
    times_frames: AtomicBool,
    captured: Meter,
    encoded: Meter,
    segments: Meter,
    bytes: Meter,
    /// The time that frames spend in the encoder.
    encoding: Histogram,
}

struct UnitsState {
    queue: Queue<Unit, ACCESS_UNITS>,
    timeline: Timeline,
    stamps: Stamps,
    sink: Option<Sink>,
    /// The name of the source for users.
    source: String,
    /// The bitrate that the encoder was given last.
    bitrate: Option<u32>,
    heard: Heard,
    /// The store that gets the access units too.
    storing: Option<Storing>,
    /// The outputs of the input.
    copies: Vec<Storing>,
    /// Closed when the previous store has written its last access units; the next store begins after that.
    stored: Option<oneshot::Receiver<()>>,
    /// Motion in the video, if it is wanted.
    moving: Option<Moving>,
    /// Viewers, who get the access units too.
    watchers: Watchers,
    /// The numbers of the capture that was opened last, and of the one whose access units are taken.
    newest: u64,
    feed: u64,
    /// Whether another capture follows one that fails or is stopped.
    awaits_next: bool,
    /// The length of segments.
    segment: Duration,
    /// Media time at the present reader's first access unit.
    reading_since: Option<Duration>,
    /// Whether the capture has stopped, so that the current segment is complete.
    has_paused: bool,
    is_closed: bool,
}

/// What was counted so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Frames that went into the encoder, or into the parser when H.264 is passed through.
    pub captured: u64,
    /// Access units that came out of the pipeline.
    pub encoded: u64,
    /// Access units dropped before the network, by reason.
    pub dropped: Dropped,
    /// Audio frames dropped since the microphone was opened, because no picture came to send them with.
    pub(crate) dropped_audio: u64,
    /// Segments begun.
    pub segments: u64,
    /// Bytes of transport stream.
    pub bytes: u64,
}

impl AccessUnits {
    /// An empty queue, whose media time begins at the origin of `timeline`.
    pub fn new() -> Self {
        let state = UnitsState {
            queue: Queue::new(ACCESS_UNIT_BYTES, MAX_LATENCY),
            timeline: Timeline::default(),
            stamps: Stamps::default(),
            sink: None,
            source: String::new(),
            bitrate: None,
            heard: Heard::default(),
            storing: None,
            copies: Vec::new(),
            stored: None,
            moving: None,
            watchers: Watchers::default(),
            newest: 0,
            feed: 0,
            awaits_next: false,
            segment: Video::default().segment,
            reading_since: None,
            has_paused: false,
            is_closed: false,
        };
        Self(Arc::new(SharedUnits {
            state: Mutex::new(state),
            arrived: Notify::new(),
            came_out: Notify::new(),
            moved: Notify::new(),
            times_frames: AtomicBool::new(false),
            captured: Meter::default(),
            encoded: Meter::default(),
            segments: Meter::default(),
            bytes: Meter::default(),
            encoding: Histogram::default(),
        }))
    }

    /// The access units as pieces of segments: from the pre-roll on if one is kept, otherwise from the newest key frame
    /// on. Use one reader at a time: of two, each would get only some of the access units.
    pub fn pieces(&self) -> SegmentPieces {
        let pieces = SegmentPieces::new(self.clone());
        let mut state = self.0.lock();
        state.reading_since = None;
        if state.timeline.leave_last_minute() {
            state.queue.restart();
        }
        state.queue.begin(Instant::now());
        drop(state);
        pieces
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        let (dropped, dropped_audio) = {
            let state = self.0.lock();
            (state.queue.dropped(), state.heard.dropped())
        };
        Counts {
            captured: self.0.captured.count(),
            encoded: self.0.encoded.count(),
            dropped,
            dropped_audio,
            segments: self.0.segments.count(),
            bytes: self.0.bytes.count(),
        }
    }

    /// From now on records the time at which each frame enters the encoder, for [`AccessUnits::entered`].
    pub fn time_frames(&self) {
        self.0.times_frames.store(true, Ordering::Relaxed);
    }

    /// The time at which the frame with this PTS entered the encoder, if it is one of the last
    /// [`FRAME_STAMPS`](crate::limits::FRAME_STAMPS). Call [`time_frames`](Self::time_frames) before the frame comes.
    pub fn entered(&self, pts: Ticks) -> Option<Instant> {
        self.0.lock().stamps.entered(pts)
    }

    /// Waits for the first access unit. Cancel safe; ready at once if it came already.
    pub async fn began(&self) {
        self.more_than(0).await;
    }

    /// Waits until more than `count` access units came out in all. Cancel safe.
    pub async fn more_than(&self, count: u64) {
        loop {
            // Registered before the check, so that no notification is lost.
            let came_out = self.0.came_out.notified();
            if self.encoded() > count {
                return;
            }
            came_out.await;
        }
    }

    /// Sets whether another capture follows one that fails or is stopped. If so, the reader waits for it; otherwise the
    /// reader gets the access units that are queued, then `None`.
    pub fn await_next(&self, awaits: bool) {
        self.0.lock().awaits_next = awaits;
    }

    /// Media time from the present reader's first access unit to the newest, as counted by a decoder of the reader's
    /// segments. Media time may jump, as after a pause of the camera.
    pub fn span(&self) -> Duration {
        let state = self.0.lock();
        let since = state.reading_since.zip(state.timeline.media_time());
        since.map_or(Duration::ZERO, |(since, now)| now.saturating_sub(since))
    }

    /// How long the access unit that is sent next has waited; zero if the queue is empty.
    pub fn age(&self) -> Duration {
        self.0.lock().queue.age(Instant::now())
    }

    /// From now on, no access unit is sent that has waited longer than this.
    pub fn set_max_latency(&self, max_latency: Duration) {
        self.0.lock().queue.set_max_latency(max_latency);
    }

    /// Asks the encoder for a key frame as soon as possible.
    pub fn request_key(&self) {
        let sink = self.0.lock().sink.clone();
        if let Some(sink) = sink {
            sink.request_key();
        }
    }

    /// Takes the audio frames that come out of `bin`. After an end of stream, their running times may start again.
    pub(super) fn attach_audio(&self, bin: &gst::Bin, codec: AudioCodec) -> Result<(), MediaError> {
        let appsink = bin.by_name(FRAMES).and_then(|sink| sink.downcast::<gst_app::AppSink>().ok());
        let lacks = || MediaError::Gstreamer(format!("the pipeline lacks {FRAMES}"));
        let units = self.clone();
        let on_sample = move |sink: &gst_app::AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if let (Some(buffer), Some(segment)) = (sample.buffer_owned(), sample.segment())
                && let Some(running) = buffer.pts().and_then(|pts| running_time(segment, pts))
            {
                units.0.lock().heard.push(running, buffer);
            }
            Ok(gst::FlowSuccess::Ok)
        };
        let ended = self.clone();
        let on_end = move |_: &gst_app::AppSink| ended.0.lock().settle_heard();
        let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(on_sample).eos(on_end);
        appsink.ok_or_else(lacks)?.set_callbacks(callbacks.build());
        self.0.lock().heard = Heard::new(Some(codec));
        Ok(())
    }

    /// Call this if there is no audio, or when no more will come.
    pub(super) fn end_audio(&self) {
        self.0.lock().heard = Heard::default();
    }

    /// Sets the media time of the first access unit. Call it before that comes.
    pub(super) fn begin_at(&self, time: Duration) {
        self.0.lock().timeline = Timeline::beginning_at(time);
    }

    /// Advances media time by `time`, as after a pause of the camera; before the first access unit, this sets where
    /// media time begins. A test uses it to pass the wrap of 33-bit timestamps. Call it with less than 13 h at a time:
    /// a step longer than half of a wrap looks like a step back.
    pub fn skip(&self, time: Duration) {
        self.0.lock().timeline.skip(time);
    }

    /// Access units that came out of the pipeline so far.
    pub fn encoded(&self) -> u64 {
        self.0.encoded.count()
    }

    /// Call this when no more access units will come: the reader gets those that are queued, then `None`.
    pub fn end(&self) {
        self.0.lock().is_closed = true;
        self.0.arrived.notify_one();
    }

    /// Registers another capture, whose segments are about this long, and returns its number.
    fn open(&self, segment: Duration) -> u64 {
        let mut state = self.0.lock();
        state.is_closed = false;
        state.segment = segment;
        state.newest += 1;
        state.newest
    }

    /// Call this when the capture with this number has failed or was stopped.
    fn leave(&self, number: u64) {
        let mut state = self.0.lock();
        state.pause_store(number);
        if !state.awaits_next {
            state.is_closed = true;
        } else if state.feed <= number {
            state.has_paused = true;
        }
        drop(state);
        self.0.arrived.notify_one();
    }

    /// Call this when the source of the capture with this number has ended: the reader gets the access units that are
    /// queued, then `None`.
    fn close(&self, number: u64) {
        let mut state = self.0.lock();
        state.pause_store(number);
        state.is_closed |= number == state.newest;
        drop(state);
        self.0.arrived.notify_one();
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

impl UnitsState {
    /// Call this for each access unit of the capture with this number. False if a newer capture has taken over, and the
    /// access unit must be dropped.
    fn begin_feed(&mut self, number: u64) -> bool {
        self.feed = self.feed.max(number);
        self.feed == number
    }

    /// Ends storing. The receiver, if there is one, is closed when the store has written its last access units.
    fn end_store(&mut self) -> Option<oneshot::Receiver<()>> {
        self.storing.take().map(Storing::end).or_else(|| self.stored.take())
    }

    /// Call this when no more access units come from the capture with this number: the store ends its segment.
    fn pause_store(&self, number: u64) {
        if self.feed <= number {
            self.storing.iter().chain(&self.copies).for_each(Storing::pause);
        }
    }

    fn settle_heard(&mut self) {
        self.heard.settle(&self.timeline);
    }

    fn take_heard(&mut self) -> Vec<(Ticks, gst::Buffer)> {
        self.heard.take(&self.timeline)
    }
}

impl SharedUnits {
    fn lock(&self) -> MutexGuard<'_, UnitsState> {
        // A poisoned lock is safe to use: a panic cannot leave the data half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
