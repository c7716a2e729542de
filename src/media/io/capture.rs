//! Captures: builds the pipeline of the configured source, runs it, and hands out its access units.
//!
//! Does not: restart by itself; the owner of a capture decides that when [`Capture::ended`] returns.

use std::convert::Infallible;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use tokio::sync::watch;

use crate::encoder::{Element, KeyRequest};
use crate::io::access_units::{AccessUnits, Counts, Feed, SegmentPieces};
use crate::io::clocks;
use crate::io::find::{self, FoundSource};
use crate::io::listening::MicrophoneKeeper;
use crate::io::negotiated::attach_when_negotiated;
use crate::io::running::{self, End, Ending, RunningPipeline, Spares, Watch};
use crate::io::title::title;
use crate::io::{decoded, diagnosis, encoders, masks, measure, pacing, prepare, sound};
use crate::pipeline::{self, ENCODER, SHAPE};
use crate::source::{self, Form};
use crate::stall::{self, FrameTimes, Limits, Stall, StallJudgement};
use crate::{MediaError, Microphone, Options, Source, Video};

/// At a stop, time for the encoder to output the frames that it holds: 3 frames at 24 frames/s, with a margin.
const ENCODER_TIME: Duration = Duration::from_millis(150);

/// If a timer fires later than this, the whole process was stopped.
const OVERSLEPT: Duration = Duration::from_millis(200);

/// A source that is being captured. Dropping it stops it, which blocks for at most
/// [`PIPELINE_STOP_TIME`](crate::limits::PIPELINE_STOP_TIME); [`Capture::stop`] does not block.
#[derive(Debug)]
pub struct Capture {
    feed: Feed,
    running: RunningPipeline,
    listening: Option<MicrophoneKeeper>,
    ending: Ending,
    options: Options,
    element: Option<Element>,
    /// When [`Capture::play`] was called first.
    played: watch::Sender<Option<Instant>>,
    /// Whether a failure of the encoder was already recorded.
    judged: AtomicBool,
}

impl Capture {
    /// Opens the source, which may block, and starts the flow of frames at once.
    pub fn start(options: &Options, units: AccessUnits) -> Result<Self, MediaError> {
        let capture = Self::open(options, units)?;
        capture.play();
        Ok(capture)
    }

    /// Opens the source, which may block, and readies the pipeline; call [`play`](Self::play) for frames. The frames go
    /// into `units`, where media time continues from an earlier capture.
    pub fn open(options: &Options, units: AccessUnits) -> Result<Self, MediaError> {
        Self::open_as(options, units, title)
    }

    /// As [`Capture::open`], for a picture that stands in for a lost camera: the camera keeps its name in reports.
    pub fn open_slate(options: &Options, units: AccessUnits) -> Result<Self, MediaError> {
        let name = units.source();
        Self::open_as(options, units, |_| name)
    }

    /// Opens the source, whose name in reports is `named`.
    fn open_as(
        options: &Options,
        units: AccessUnits,
        named: impl FnOnce(&Source) -> String,
    ) -> Result<Self, MediaError> {
        diagnosis::init()?;
        let FoundSource { source, decided } = find::find(options)?;
        let head = source::head(&source, &options.video, &decided);
        log::debug!("the source gives {:?}", head.form);
        let element = match head.form {
            Form::H264 => None,
            Form::Shaped(_)
            | Form::Raw
            | Form::Decoded
            | Form::Still
            | Form::Nvmm
            | Form::Negotiated => Some(encoders::encoder(options)?),
        };
        let tail = match &element {
            Some(element) => {
                pipeline::tail(head.form, &options.video, element, options.encoder.speed)
            }
            None => Some(pipeline::passed_through()),
        };
        let description = match tail {
            Some(tail) => format!("{} ! {tail}", head.text),
            None => head.text,
        };
        let (feed, ending) = (Feed::new(&units, options.video.segment), Ending::new());
        let built = running::parse(&description, &source)?;
        prepare::prepare(&built, &source, &ending)?;
        decoded::limit_range(built.upcast_ref());
        pacing::prepare(&built, &source, &decided, options.video.fps)?;
        match &element {
            Some(element) if head.form == Form::Negotiated => {
                attach_when_negotiated(&built, options, element, &feed, &ending)?;
            }
            Some(element) => feed.attach(built.upcast_ref(), element.row.key)?,
            None => {
                feed.attach(built.upcast_ref(), KeyRequest::Event)?;
                measure::watch(built.upcast_ref(), &source, measure::wanted(options));
            }
        }
        if head.form != Form::Negotiated {
            masks::attach(built.upcast_ref(), &options.video.masks, &feed, &ending)?;
        }
        units.set_max_latency(options.max_latency.0);
        units.describe(named(&source), element.is_some().then_some(options.video.bitrate));
        units.end_audio();
        let sound = sound::attach(&built, options, &units);
        let spares = sound.map(|sound| -> Spares { Box::new(move |error| sound.takes(error)) });
        let watch = Watch { spares, ..watching(&source, &feed, &ending) };
        let running = RunningPipeline::open(built, watch).inspect_err(|error| {
            if let MediaError::Encoder { element, detail } = error {
                encoders::on_failure(options, element, detail);
            }
        })?;
        let listening = options.audio.as_ref().filter(|audio| audio.microphone != Microphone::File);
        let listening = listening.map(|audio| MicrophoneKeeper::open(audio, &units));
        let (options, played) = (options.clone(), watch::Sender::new(None));
        let judged = AtomicBool::new(false);
        Ok(Self { feed, running, listening, ending, options, element, played, judged })
    }

    /// Starts the flow of frames. Does not block; [`Capture::ended`] reports a failure.
    pub fn play(&self) {
        self.played.send_if_modified(|played| {
            let is_first = played.is_none();
            played.get_or_insert_with(Instant::now);
            is_first
        });
        if let Some(listening) = &self.listening {
            listening.play_with(self.running.pipeline());
        }
        self.running.play(&self.ending);
    }

    /// When frames began to flow: the time of the first call of [`Capture::play`].
    pub fn playing_since(&self) -> Option<Instant> {
        *self.played.borrow()
    }

    /// The options that the capture was opened with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Whether the pipeline has an encoder, or may still get one. False when H.264 is passed through: its camera sets
    /// the bitrate then.
    pub fn encodes(&self) -> bool {
        let is_there = self.running.pipeline().by_name(ENCODER).is_some();
        self.element.is_some() && (is_there || self.feed.last_out().is_none())
    }

    /// Sets the encoder's bitrate from now on, in bit/s. False when the pipeline has no encoder whose bitrate can be
    /// set, or does not have it yet: the format of some sources is known only with their first frame.
    pub fn set_bitrate(&self, bits: u32) -> bool {
        let encoder = self.running.pipeline().by_name(ENCODER);
        let (Some(element), Some(encoder)) = (&self.element, encoder) else { return false };
        let (property, value) = element.bitrate(&self.options.video, bits);
        if !encoder.has_property(property) {
            return false;
        }
        encoder.set_property_from_str(property, &value);
        self.feed.units().note_bitrate(bits);
        log::debug!("{}: {property}={value}", element.name);
        true
    }

    /// Encodes pictures of this size and rate from now on; width and height must be even. False when the encoder
    /// cannot change the size while frames flow, or the pipeline has no encoder.
    pub fn set_picture(&self, width: u32, height: u32, fps: u32) -> bool {
        let resizes = self.element.as_ref().is_some_and(|element| element.row.resizes);
        let shape = self.running.pipeline().by_name(SHAPE).filter(|_| resizes);
        let Some(shape) = shape else { return false };
        let old = shape.property::<gst::Caps>("caps");
        let format = old.structure(0).and_then(|caps| caps.get::<String>("format").ok());
        let Some(format) = format else { return false };
        let video = Video { width, height, fps, ..self.options.video.clone() };
        let caps = source::shaped(&format, &video);
        if caps.parse::<gst::Caps>().is_ok_and(|new| new == old) {
            return true;
        }
        // The encoder's key frame interval is a number of frames, which is fixed once the encoder runs.
        self.feed.ask_for_keys(fps, video.segment);
        shape.set_property_from_str("caps", &caps);
        log::debug!("encodes {width}x{height} at {fps} frames/s");
        true
    }

    /// Waits for the capture's first access unit. Cancel safe; ready at once if it came already.
    pub async fn began(&self) {
        self.feed.began().await;
    }

    /// The captured video as pieces of segments.
    pub fn pieces(&self) -> SegmentPieces {
        self.feed.units().pieces()
    }

    /// The queue that capture and its readers share: access units, counts, times of frames, and the channel's media
    /// time.
    pub fn access_units(&self) -> &AccessUnits {
        self.feed.units()
    }

    /// Frames and bytes counted so far.
    pub fn counts(&self) -> Counts {
        self.feed.units().counts()
    }

    /// Waits until the source ends or fails, or frames stop coming. Cancel safe; ready at once when the capture has
    /// ended. Keep polling the future: only then are missing frames noticed and a lost microphone opened again.
    pub async fn ended(&self) -> End {
        let end = tokio::select! {
            biased;
            end = self.ending.wait() => end,
            error = self.stalled() => {
                self.ending.set(End::Failed(error));
                self.feed.leave();
                self.ending.wait().await
            }
            never = self.keep_listening() => match never {},
        };
        if let End::Failed(MediaError::Encoder { detail, .. }) = &end {
            self.note_failure(detail.clone()).await;
        }
        end
    }

    async fn keep_listening(&self) -> Infallible {
        let Some(listening) = &self.listening else { return pending().await };
        self.played().await;
        listening.keep(self.running.pipeline()).await
    }

    /// Waits for the first call of [`Capture::play`], and returns its time.
    async fn played(&self) -> Instant {
        let mut watched = self.played.subscribe();
        let played = watched.wait_for(Option::is_some).await.ok().and_then(|played| *played);
        match played {
            Some(played) => played,
            None => pending().await,
        }
    }

    /// Waits until no frame has come for too long. Poll the future all the time: it notices missing frames only then.
    async fn stalled(&self) -> MediaError {
        if let Source::File { .. } = self.options.source {
            // A file may show one picture for any time, so only its first picture has a time limit. The limit is needed
            // because a decoder may fail to report an error of its input.
            self.played().await;
            return match tokio::time::timeout(stall::FIRST, self.feed.began()).await {
                Ok(()) => pending().await,
                Err(_) => MediaError::Stalled(stall::FIRST),
            };
        }
        let played = self.played().await;
        let limits = Limits::new(self.options.video.fps);
        loop {
            let (last_in, last_out) = (self.feed.last_in(), self.feed.last_out());
            let seen = FrameTimes { played, last_in, last_out, interval: self.feed.interval() };
            match limits.judge(seen, Instant::now()) {
                StallJudgement::Wait(until) => {
                    clocks::is_waking();
                    tokio::time::sleep_until(until.into()).await;
                    if until.elapsed() > OVERSLEPT {
                        // The whole process was stopped. Give GStreamer time to deliver the frames that came during
                        // that time.
                        tokio::time::sleep(stall::LONG).await;
                    }
                }
                StallJudgement::Stalled { at, after } => return self.stall(at, after),
            }
        }
    }

    fn stall(&self, at: Stall, after: Duration) -> MediaError {
        let after = Duration::from_millis(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        let encoder = self.running.pipeline().by_name(ENCODER).and(self.element.as_ref());
        match (at, encoder) {
            (Stall::Encoder, Some(element)) => MediaError::Encoder {
                element: element.name.clone(),
                detail: format!("frames go in, but none came out for {after:?}"),
            },
            (Stall::Encoder, None) => MediaError::NoPictures(after),
            (Stall::Source, _) => MediaError::Stalled(after),
        }
    }

    /// Records the encoder's failure for the next choice of an encoder, once per capture.
    async fn note_failure(&self, why: String) {
        if self.judged.swap(true, Ordering::Relaxed) {
            return;
        }
        let Some(element) = self.element.as_ref().map(|element| element.name.clone()) else {
            return;
        };
        let options = self.options.clone();
        let note = move || encoders::on_failure(&options, &element, &why);
        let _ = tokio::task::spawn_blocking(note).await;
    }

    /// Stops capturing, in a bounded time even if a driver hangs. The encoder first outputs the frames that it holds,
    /// if it can within that time.
    pub async fn stop(self) {
        if let Some(listening) = self.listening {
            listening.stop().await;
        }
        // The wait is limited, because some encoders hold frames until more come in, and never become empty.
        let _ = tokio::time::timeout(ENCODER_TIME, self.feed.empty()).await;
        self.running.stop().await;
        self.feed.leave();
    }
}

/// How to handle the pipeline's messages.
pub(super) fn watching(
    source: &Source,
    feed: &Feed,
    ending: &Ending,
) -> Watch<impl Fn() -> bool + Send + Sync + use<>, impl Fn() + Send + Sync + use<>> {
    let (counted, left) = (feed.clone(), feed.clone());
    let seen = AtomicU64::new(feed.given());
    Watch {
        source: source.clone(),
        had_media: move || {
            let given = counted.given();
            seen.swap(given, Ordering::Relaxed) < given
        },
        on_end: move || left.leave(),
        ending: ending.clone(),
        spares: None,
    }
}
