//! Captures: builds the pipeline of the configured source, runs it, and hands out its access units.
//!
//! Does not: restart by itself; whoever owns it decides by [`Capture::ended`].

use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gstreamer as gst;
use gstreamer::prelude::*;
use tokio::sync::watch;

use crate::capacity::ENCODER_TIME;
use crate::media::burn::{self, Picture};
use crate::media::encoder::{Element, KeyRequest};
use crate::media::io::access_units::{AccessUnits, Counts, SegmentPieces};
use crate::media::io::running::{self, End, Ending, Running, Watch};
use crate::media::io::{camera, diagnosis, encoders};
use crate::media::pipeline::{self, ENCODER, SHAPE};
use crate::media::source::{self, DECODE, Form, PACED, SOURCE, TAIL};
use crate::media::stall::{Judgement, Limits, Seen, Stall};
use crate::media::{MediaError, Options, Source, Video};

/// A source that is being captured. Dropping it stops it, which blocks for at most
/// [`PIPELINE_STOP_TIME`](crate::capacity::PIPELINE_STOP_TIME); [`Capture::stop`] does not block.
#[derive(Debug)]
pub struct Capture {
    units: AccessUnits,
    running: Running,
    ending: Ending,
    options: Options,
    element: Element,
    /// When it was let play.
    played: watch::Sender<Option<Instant>>,
    /// Whether the failure of the encoder was noted.
    judged: AtomicBool,
}

impl Capture {
    /// Opens the source and lets frames come at once.
    pub fn start(options: &Options, units: AccessUnits) -> Result<Self, MediaError> {
        let capture = Self::open(options, units)?;
        capture.play();
        Ok(capture)
    }

    /// Opens the source, which may block, and readies the pipeline; frames come once it [plays](Self::play).
    /// They go into `units`, where media time goes on after an earlier capture.
    pub fn open(options: &Options, units: AccessUnits) -> Result<Self, MediaError> {
        diagnosis::init()?;
        let element = encoders::encoder(options)?;
        let choice = match &options.source {
            Source::V4l2 { device, format } => {
                Some(camera::choose(device, *format, &options.video)?)
            }
            Source::File { path, .. } => {
                let absent = || MediaError::NoSuchFile(path.clone());
                File::open(path).map_err(|error| diagnosis::of_open(&error, path, absent))?;
                None
            }
            Source::Test | Source::Pipeline { .. } => None,
        };
        let head = source::head(&options.source, &options.video, choice.as_ref());
        log::debug!("the source gives {:?}", head.form);
        let description =
            match pipeline::tail(head.form, &options.video, &element, options.encoder.speed) {
                Some(tail) => format!("{} ! {tail}", head.text),
                None => head.text,
            };
        let ending = Ending::new();
        let built = running::parse(&description, &options.source)?;
        prepare(&built, &options.source)?;
        match head.form {
            Form::Negotiated => {
                attach_when_negotiated(&built, options, &element, &units, &ending)?;
            }
            Form::Shaped(_) | Form::Raw => units.attach(built.upcast_ref(), element.row.key)?,
            Form::H264 => units.attach(built.upcast_ref(), KeyRequest::Event)?,
        }
        units.open();
        let running = Running::open(built, watching(&options.source, &units, &ending))?;
        let (options, played) = (options.clone(), watch::Sender::new(None));
        Ok(Self {
            units,
            running,
            ending,
            options,
            element,
            played,
            judged: AtomicBool::new(false),
        })
    }

    /// Lets frames come. Does not block; what goes wrong is told by [`Capture::ended`].
    pub fn play(&self) {
        self.played.send_if_modified(|played| {
            let is_first = played.is_none();
            played.get_or_insert_with(Instant::now);
            is_first
        });
        self.running.play(&self.ending);
    }

    /// Sets the encoder's bitrate from now on, in bit/s. False when nothing here can be told: H.264 that is
    /// passed through has the bitrate that its camera gives it.
    pub fn set_bitrate(&self, bits: u32) -> bool {
        let (property, value) = self.element.bitrate(&self.options.video, bits);
        let encoder = self.running.pipeline().by_name(ENCODER);
        let Some(encoder) = encoder.filter(|encoder| encoder.has_property(property)) else {
            return false;
        };
        encoder.set_property_from_str(property, &value);
        log::debug!("{}: {property}={value}", self.element.row.element);
        true
    }

    /// Encodes pictures of this size from now on; both sides even. False when the encoder takes no other
    /// size while frames flow, or there is none.
    ///
    /// The frame rate stays: encoders count their keys in frames, and segments would grow longer.
    pub fn set_size(&self, width: u32, height: u32) -> bool {
        let shape = self.running.pipeline().by_name(SHAPE).filter(|_| self.element.row.resizes);
        let format = shape.as_ref().and_then(|shape| {
            let caps = shape.property::<gst::Caps>("caps");
            caps.structure(0)?.get::<String>("format").ok()
        });
        let (Some(shape), Some(format)) = (shape, format) else { return false };
        let video = Video { width, height, ..self.options.video.clone() };
        shape.set_property_from_str("caps", &source::shaped(&format, &video));
        log::debug!("encodes {width}x{height}");
        true
    }

    /// The captured video as pieces of segments.
    pub fn pieces(&self) -> SegmentPieces {
        self.units.pieces(self.options.video.segment)
    }

    /// What capture and its readers share: counts, times of frames, and the channel's media time.
    pub fn access_units(&self) -> &AccessUnits {
        &self.units
    }

    /// How many frames and bytes so far.
    pub fn counts(&self) -> Counts {
        self.units.counts()
    }

    /// Waits for the end of the source, its failure, or for frames that stay away. Cancel safe; ready at
    /// once when it has ended.
    pub async fn ended(&self) -> End {
        let end = tokio::select! {
            biased;
            end = self.ending.wait() => end,
            error = self.stalled() => {
                self.ending.set(End::Failed(error));
                self.units.close();
                self.ending.wait().await
            }
        };
        if let End::Failed(MediaError::Encoder { detail, .. }) = &end {
            self.note_failure(detail.clone()).await;
        }
        end
    }

    /// Waits until frames have stayed away for too long; only while it is polled.
    async fn stalled(&self) -> MediaError {
        if let Source::File { .. } = self.options.source {
            // Its pictures may stand as long as they like.
            return std::future::pending().await;
        }
        let mut watched = self.played.subscribe();
        let played = watched.wait_for(Option::is_some).await.ok().and_then(|played| *played);
        let Some(played) = played else { return std::future::pending().await };
        let limits = Limits::new(self.options.video.fps);
        loop {
            let seen =
                Seen { played, last_in: self.units.last_in(), last_out: self.units.last_out() };
            match limits.judge(seen, Instant::now()) {
                Judgement::Wait(until) => tokio::time::sleep_until(until.into()).await,
                Judgement::Stalled { at, after } => return self.stall(at, after),
            }
        }
    }

    fn stall(&self, at: Stall, after: Duration) -> MediaError {
        let after = Duration::from_millis(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        match (at, self.running.pipeline().by_name(ENCODER)) {
            (Stall::Encoder, Some(_)) => MediaError::Encoder {
                element: self.element.row.element.to_owned(),
                detail: format!("frames go in, but none came out for {after:?}"),
            },
            (Stall::Encoder | Stall::Source, _) => MediaError::Stalled(after),
        }
    }

    /// Lets the next choice of an encoder know, once.
    async fn note_failure(&self, why: String) {
        if self.judged.swap(true, Ordering::Relaxed) {
            return;
        }
        let worked = self.played.borrow().map_or(Duration::ZERO, |played| played.elapsed());
        let (options, element) = (self.options.clone(), self.element.row.element);
        let note = move || encoders::on_failure(&options, element, worked, &why);
        let _ = tokio::task::spawn_blocking(note).await;
    }

    /// Stops capturing, in a bounded time also when a driver is stuck. What is in the encoder comes out first.
    pub async fn stop(self) {
        // An encoder that keeps frames until more come in never empties.
        let _ = tokio::time::timeout(ENCODER_TIME, self.units.empty()).await;
        self.running.stop().await;
        self.units.close();
    }
}

/// What to do with the pipeline's messages.
pub(super) fn watching(
    source: &Source,
    units: &AccessUnits,
    ending: &Ending,
) -> Watch<impl Fn() -> bool + Send + Sync + use<>, impl Fn() + Send + Sync + use<>> {
    let (counted, closed) = (units.clone(), units.clone());
    let seen = AtomicU64::new(units.encoded());
    Watch {
        source: source.clone(),
        had_media: move || {
            let encoded = counted.encoded();
            seen.swap(encoded, Ordering::Relaxed) < encoded
        },
        on_end: move || closed.close(),
        ending: ending.clone(),
    }
}

/// Sets what is no part of the description, and links what appears only when data flow.
fn prepare(pipeline: &gst::Pipeline, source: &Source) -> Result<(), MediaError> {
    let element = |name: &str| {
        pipeline
            .by_name(name)
            .ok_or_else(|| MediaError::Gstreamer(format!("the pipeline lacks {name}")))
    };
    match source {
        Source::File { path, .. } => {
            element(SOURCE)?.set_property("location", path.to_string_lossy().as_ref());
            let paced = element(PACED)?;
            // Not left to the description: its links are made once, and a file that repeats needs them again.
            let link = move |_: &gst::Element, pad: &gst::Pad| {
                if let Some(sink) = paced.static_pad("sink").filter(|sink| !sink.is_linked()) {
                    let _ = pad.link(&sink);
                }
            };
            element(DECODE)?.connect_pad_added(link);
        }
        Source::V4l2 { device, .. } => {
            element(SOURCE)?.set_property("device", device.to_string_lossy().as_ref());
        }
        Source::Test => {
            if let Some(pad) = element(SOURCE)?.static_pad("src") {
                burn_in(&pad);
            }
        }
        Source::Pipeline { .. } => {}
    }
    Ok(())
}

/// Draws frame number and clock into each picture that passes.
fn burn_in(pad: &gst::Pad) {
    let frames = AtomicU64::new(0);
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let size = pad.current_caps().and_then(|caps| {
            let caps = caps.structure(0)?;
            let side =
                |name| caps.get::<i32>(name).ok().and_then(|side| usize::try_from(side).ok());
            side("width").zip(side("height"))
        });
        let frame = frames.fetch_add(1, Ordering::Relaxed) + 1;
        let map = info.buffer_mut().and_then(|buffer| buffer.make_mut().map_writable().ok());
        if let (Some((width, height)), Some(mut map)) = (size, map) {
            let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Picture { bytes: &mut map, width, height }.write(&burn::caption(frame, since_epoch));
        }
        gst::PadProbeReturn::Ok
    });
}

/// Builds the rest of the pipeline when the fragment's caps are known.
fn attach_when_negotiated(
    pipeline: &gst::Pipeline,
    options: &Options,
    element: &Element,
    units: &AccessUnits,
    ending: &Ending,
) -> Result<(), MediaError> {
    let lacks = || MediaError::Fragment(format!("it has no element {TAIL}"));
    let pad = pipeline.by_name(TAIL).and_then(|tail| tail.static_pad("src")).ok_or_else(lacks)?;
    let (pipeline, options, element) = (pipeline.downgrade(), options.clone(), element.clone());
    let (units, ending) = (units.clone(), ending.clone());
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |pad, info| {
        let Some(event) = info.event().filter(|_| !pad.is_linked()) else {
            return gst::PadProbeReturn::Ok;
        };
        let built = match (event.view(), pipeline.upgrade()) {
            (gst::EventView::Caps(caps), Some(pipeline)) => {
                attach_tail(&pipeline, pad, caps.caps(), &options, &element, &units)
            }
            // Without a sink, nobody else tells of the end.
            (gst::EventView::Eos(_), _) => Err(MediaError::NoFrames),
            _ => Ok(()),
        };
        if let Err(error) = built {
            ending.set(End::Failed(error));
            units.close();
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

fn attach_tail(
    pipeline: &gst::Pipeline,
    pad: &gst::Pad,
    caps: &gst::CapsRef,
    options: &Options,
    element: &Element,
    units: &AccessUnits,
) -> Result<(), MediaError> {
    let (form, key) = match caps.structure(0).map(|caps| caps.name().as_str()) {
        Some("video/x-raw") => (Form::Raw, element.row.key),
        Some("video/x-h264") => (Form::H264, KeyRequest::Event),
        _ => return Err(MediaError::UnusableCaps(caps.to_string())),
    };
    let text =
        pipeline::tail(form, &options.video, element, options.encoder.speed).unwrap_or_default();
    let mut context = gst::ParseContext::new();
    let flags = gst::ParseFlags::FATAL_ERRORS;
    let tail = gst::parse::bin_from_description_full(&text, true, Some(&mut context), flags)
        .map_err(|error| {
            diagnosis::of_description(&error, &context.missing_elements(), &Source::Test)
        })?
        .downcast::<gst::Bin>()
        .map_err(|element| MediaError::Gstreamer(format!("{} is no bin", element.name())))?;
    let failed = |what: &dyn std::fmt::Display| MediaError::Gstreamer(what.to_string());
    units.attach(&tail, key)?;
    pipeline.add(&tail).map_err(|error| failed(&error))?;
    tail.sync_state_with_parent().map_err(|error| failed(&error))?;
    let sink = tail.static_pad("sink").ok_or_else(|| failed(&"the encoder has no input"))?;
    pad.link(&sink).map_err(|error| failed(&error))?;
    Ok(())
}
