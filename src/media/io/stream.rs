//! Writes an output through a pipeline of GStreamer: to a server, to a display, into MP4, or into the user's pipeline.
//!
//! The caller's thread waits while the pipeline takes nothing. A pipeline that takes nothing for [`STALL`] has failed.
//!
//! Does not: open the output again; `playback` does.

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use super::numbered::NumberedFile;
use super::target::TURN;
use crate::io::{diagnosis, running, tls};
use crate::limits::PIPELINE_STOP_TIME;
use crate::presentable::presentable;
use crate::stream::{self, DEMUX, FED, MUX, SINK};
use crate::target::{Address, Numbered, StreamTarget};
use crate::{MediaError, Source};
use resilience::secret;

/// Bytes that may wait in front of the pipeline: 4 s at 4 Mbit/s.
const WAITING_BYTES: u64 = 2 << 20;
/// A pipeline that takes no byte for this long has failed.
const STALL: Duration = Duration::from_secs(10);
/// Time for the rest of a file to be written when it is closed.
const FINISH_TIME: Duration = Duration::from_secs(2);
/// Parsers of sound that may be sent on, with the formats they take.
const SOUND: [(&str, &str); 2] = [("audio/mpeg", "aacparse"), ("audio/x-opus", "opusparse")];

/// A pipeline that is being written.
#[derive(Debug)]
pub(super) struct Streaming {
    pipeline: gst::Pipeline,
    fed: gst_app::AppSrc,
    shared: Arc<StreamState>,
    /// The file that the pipeline writes to, if it is MP4.
    file: Option<NumberedFile>,
    name: String,
    /// Bytes given to the pipeline.
    pushed: u64,
    /// The bytes taken so far, and the time of the last increase.
    moved: (u64, Instant),
}

/// What GStreamer's threads report.
#[derive(Debug, Default)]
struct StreamState {
    taken: AtomicU64,
    end: Mutex<Option<Result<(), MediaError>>>,
    ended: Condvar,
}

impl StreamState {
    fn end(&self) -> MutexGuard<'_, Option<Result<(), MediaError>>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, end: Result<(), MediaError>) {
        self.end().get_or_insert(end);
        self.ended.notify_all();
    }
}

impl Streaming {
    /// Starts a pipeline for `stream`. Looks up its address, and may block.
    pub(super) fn open(stream: &StreamTarget, name: &str) -> Result<Self, MediaError> {
        let url = match stream {
            StreamTarget::Rtmp(address)
            | StreamTarget::Rtsp(address)
            | StreamTarget::Srt(address) => Some(url(address, stream, name)?),
            StreamTarget::Display | StreamTarget::Pipeline { .. } => None,
        };
        if matches!(stream, StreamTarget::Display) {
            leave_out_directfb()?;
        }
        let is_plain = url.as_ref().is_none_or(|(_, is_plain)| *is_plain);
        let url = url.map(|(url, _)| url);
        let secret = url.clone().filter(|_| !is_plain);
        let new = Self::build(&stream::description(stream), stream, name, secret)?;
        if let (Some(url), Some(sink)) = (&url, new.pipeline.by_name(SINK)) {
            if url.starts_with("rtmps://") || url.starts_with("rtsps://") {
                tls::check_authorities(name)?;
            }
            if matches!(stream, StreamTarget::Rtsp(_)) {
                new.explain_refusals(&sink);
            }
            let is_srt = matches!(stream, StreamTarget::Srt(_));
            sink.set_property(if is_srt { "uri" } else { "location" }, url);
            // A lost receiver must become an error; older versions have no such property.
            if is_srt && sink.has_property("auto-reconnect") {
                sink.set_property("auto-reconnect", false);
            }
        }
        new.play()?;
        if matches!(stream, StreamTarget::Display) && new.shows_nothing() {
            return Err(MediaError::NoDisplay(name.to_owned()));
        }
        Ok(new)
    }

    /// Starts a pipeline that writes the next MP4 file of `files`.
    pub(super) fn mp4(files: &Numbered, name: &str) -> Result<Self, MediaError> {
        // `build` takes a target only to name a user's fragment in errors. MP4 has no fragment, so any other target
        // fits.
        let stream = StreamTarget::Display;
        let mut new = Self::build(&stream::mp4(), &stream, name, None)?;
        let file = NumberedFile::open(files)?;
        if let Some(sink) = new.pipeline.by_name(SINK) {
            sink.set_property("fd", file.file().as_raw_fd());
        }
        new.file = Some(file);
        new.play()?;
        Ok(new)
    }

    fn build(
        description: &str,
        stream: &StreamTarget,
        name: &str,
        secret: Option<String>,
    ) -> Result<Self, MediaError> {
        diagnosis::init()?;
        let source = match stream {
            StreamTarget::Pipeline { fragment, .. } => {
                Source::Pipeline { fragment: fragment.clone() }
            }
            StreamTarget::Display
            | StreamTarget::Rtmp(_)
            | StreamTarget::Rtsp(_)
            | StreamTarget::Srt(_) => Source::Test,
        };
        let pipeline = running::parse(description, &source)?;
        let fed = pipeline
            .by_name(FED)
            .and_then(|fed| fed.downcast::<gst_app::AppSrc>().ok())
            .ok_or_else(|| MediaError::Gstreamer(format!("the pipeline lacks {FED}")))?;
        let shared = Arc::<StreamState>::default();
        if let Some(pad) = fed.static_pad("src") {
            let shared = Arc::clone(&shared);
            pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
                let bytes = info.buffer().map_or(0, |buffer| buffer.size());
                shared.taken.fetch_add(bytes as u64, Ordering::Relaxed);
                gst::PadProbeReturn::Ok
            });
        }
        add_sound(&pipeline);
        watch(&pipeline, &shared, name, secret);
        let moved = (0, Instant::now());
        let (name, file) = (name.to_owned(), None);
        Ok(Self { pipeline, fed, shared, file, name, pushed: 0, moved })
    }

    /// Has the failure name the reason for which the certificate of an RTSP server is refused.
    fn explain_refusals(&self, sink: &gst::Element) {
        let (shared, name) = (Arc::clone(&self.shared), self.name.clone());
        tls::on_refusal(sink, move |detail| {
            let (name, element) = (name.clone(), "rtspclientsink".to_owned());
            shared.set(Err(MediaError::OutputFailed { name, element, detail }));
        });
    }

    fn play(&self) -> Result<(), MediaError> {
        let started = self.pipeline.set_state(gst::State::Playing);
        self.check()?;
        let failed = |_| MediaError::Gstreamer("the pipeline does not start".into());
        started.map(drop).map_err(failed)
    }

    /// Whether the display's sink is a substitute that shows nothing.
    fn shows_nothing(&self) -> bool {
        let sink = self.pipeline.by_name(SINK).and_then(|sink| sink.downcast::<gst::Bin>().ok());
        let factories = sink.map(|sink| sink.children()).unwrap_or_default();
        let is_fake = |element: &gst::Element| {
            element.factory().is_some_and(|factory| factory.name().starts_with("fake"))
        };
        factories.is_empty() || factories.iter().any(is_fake)
    }

    /// Bytes that the pipeline has taken.
    pub(super) fn taken(&self) -> u64 {
        self.shared.taken.load(Ordering::Relaxed)
    }

    /// Whether the next file is due. Call it when a segment begins.
    pub(super) fn is_full(&self, now: Instant) -> bool {
        self.file.as_ref().is_some_and(|file| file.is_full(now))
    }

    /// Gives `bytes` to the pipeline. Waits while it has no room, until `is_left` returns true.
    pub(super) fn write(
        &mut self,
        bytes: &Bytes,
        is_left: impl Fn() -> bool,
    ) -> Result<(), MediaError> {
        if bytes.is_empty() {
            return Ok(());
        }
        loop {
            self.check()?;
            let now = Instant::now();
            let taken = self.taken();
            if taken > self.moved.0 || taken == self.pushed {
                self.moved = (taken, now);
            }
            if self.fed.current_level_bytes() < WAITING_BYTES || is_left() {
                break;
            }
            if now.duration_since(self.moved.1) >= STALL {
                return Err(MediaError::OutputStalled(self.name.clone(), STALL));
            }
            thread::sleep(TURN);
        }
        if let Some(file) = &mut self.file {
            file.make_room()?;
        }
        self.pushed += bytes.len() as u64;
        // Fails only when the pipeline has ended, which the next check reports.
        let _ = self.fed.push_buffer(gst::Buffer::from_slice(bytes.clone()));
        Ok(())
    }

    /// Lets the pipeline write what it has, for a limited time. Call it before you drop a pipeline that works.
    pub(super) fn finish(&self) {
        let _ = self.fed.end_of_stream();
        let end = self.shared.end();
        let waited = self.shared.ended.wait_timeout_while(end, FINISH_TIME, |end| end.is_none());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn check(&self) -> Result<(), MediaError> {
        match &*self.shared.end() {
            Some(Err(error)) => Err(self.own(error.clone())),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// Adds the path to an error, if the pipeline writes a file.
    fn own(&self, error: MediaError) -> MediaError {
        match (&self.file, error) {
            (Some(file), MediaError::Write { kind, detail, .. }) => {
                MediaError::Write { path: file.path().to_owned(), kind, detail }
            }
            (_, error) => error,
        }
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        let pipeline = self.pipeline.clone();
        // The file stays open until the pipeline has stopped.
        let file = self.file.take();
        let (tell, told) = mpsc::channel();
        let halt = move || {
            let _ = pipeline.set_state(gst::State::Null);
            drop(file);
            let _ = tell.send(());
        };
        let halted = thread::Builder::new().name("media-stop".into()).spawn(halt).is_ok();
        if !halted || told.recv_timeout(PIPELINE_STOP_TIME).is_err() {
            log::warn!(
                "output {}: its pipeline does not stop within {PIPELINE_STOP_TIME:?}",
                self.name
            );
        }
    }
}

/// Has no display searched for with DirectFB: without a framebuffer, its library ends the process (Debian 12).
fn leave_out_directfb() -> Result<(), MediaError> {
    diagnosis::init()?;
    if let Some(factory) = gst::ElementFactory::find("dfbvideosink") {
        factory.set_rank(gst::Rank::NONE);
    }
    Ok(())
}

/// The URL at `address`, and whether it may be shown.
fn url(address: &Address, stream: &StreamTarget, name: &str) -> Result<(String, bool), MediaError> {
    let wrong = |detail: String| MediaError::OutputAddress { name: name.to_owned(), detail };
    match address {
        Address::Plain(url) => Ok((url.clone(), true)),
        Address::Secret(place) => {
            let secret = secret::io::read(place).map_err(|error| wrong(error.to_string()))?;
            let schemes = stream::schemes(stream);
            match stream::is_address(secret.expose(), schemes) {
                true => Ok((secret.expose().to_owned(), false)),
                false => {
                    Err(wrong(format!("{place}: it must hold a URL with {}", schemes.join(" or "))))
                }
            }
        }
    }
}

/// Sends the sound of the stream on, if the output takes its format.
fn add_sound(pipeline: &gst::Pipeline) {
    let Some(demux) = pipeline.by_name(DEMUX) else { return };
    let (pipeline, has_sound) = (pipeline.downgrade(), AtomicBool::new(false));
    demux.connect_pad_added(move |_, pad| {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let format = caps.structure(0).map(|caps| caps.name().to_string()).unwrap_or_default();
        let parser = SOUND.iter().find(|(of, _)| *of == format);
        let Some(((_, parser), pipeline)) = parser.zip(pipeline.upgrade()) else { return };
        if !has_sound.swap(true, Ordering::Relaxed) && link_sound(&pipeline, pad, parser).is_none()
        {
            log::debug!("sound in {format} is not sent to this output");
        }
    });
}

fn link_sound(pipeline: &gst::Pipeline, pad: &gst::Pad, parser: &str) -> Option<()> {
    let taker = pipeline.by_name(MUX).or_else(|| pipeline.by_name(SINK))?;
    let parser = gst::ElementFactory::make(parser).build().ok()?;
    pipeline.add(&parser).ok()?;
    let linked = parser.link(&taker).is_ok()
        && parser.static_pad("sink").is_some_and(|sink| pad.link(&sink).is_ok())
        && parser.sync_state_with_parent().is_ok();
    if !linked {
        let _ = parser.set_state(gst::State::Null);
        let _ = pipeline.remove(&parser);
    }
    linked.then_some(())
}

/// Records the end of `pipeline`. The error holds no part of `secret`, a URL.
fn watch(pipeline: &gst::Pipeline, shared: &Arc<StreamState>, name: &str, secret: Option<String>) {
    let Some(bus) = pipeline.bus() else { return };
    let (shared, name) = (Arc::clone(shared), name.to_owned());
    bus.set_sync_handler(move |_, message| {
        if let gst::MessageView::Error(error) = message.view() {
            shared.set(Err(failure(error, &name, secret.as_deref())));
        } else if message.type_() == gst::MessageType::Eos {
            shared.set(Ok(()));
        }
        gst::BusSyncReply::Drop
    });
}

fn failure(message: &gst::message::Error, name: &str, secret: Option<&str>) -> MediaError {
    let error = message.error();
    let (element, detail) = diagnosis::parts(message);
    let detail = match secret {
        Some(url) => stream::redact(&detail, url),
        None => presentable(&detail),
    };
    if error.matches(gst::ResourceError::NoSpaceLeft) {
        let kind = std::io::ErrorKind::StorageFull;
        return MediaError::Write { path: name.into(), kind, detail };
    }
    MediaError::OutputFailed { name: name.to_owned(), element, detail }
}
