//! What is known of a pipeline's input before it fails: the formats that nothing decodes, and the streams that a camera
//! of the network offers. GStreamer's error itself says neither.
//!
//! Does not: decide what the failure is; `diagnosis` does.

use std::sync::{Mutex, MutexGuard, PoisonError};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;

use crate::MediaError;

/// The signal of decoders that meet a format nothing decodes.
const UNKNOWN: &str = "unknown-type";
/// The signal of decoders that meet any format.
const MET: &str = "autoplug-continue";
/// A message on the bus: the input holds this format.
const HELD: &str = "edge-held";
/// A message on the bus: nothing decodes this format.
const MISSING: &str = "edge-missing";
/// A message on the bus: a camera of the network offers this stream.
const OFFERED: &str = "edge-offered";
/// A message on the bus: the encoding of the video that nothing in the pipeline takes.
const NOT_TAKEN: &str = "edge-not-taken";
/// The field of these messages.
const WHAT: &str = "what";
/// More are of no use in an error's line.
const MOST: usize = 8;

/// The clues of one pipeline.
#[derive(Debug, Default)]
pub(super) struct Clues(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// Names of caps.
    missing: Vec<String>,
    /// All formats that the decoders met, containers too.
    held: Vec<String>,
    offered: Vec<String>,
    not_taken: Option<String>,
}

impl Clues {
    /// Notes what `message` says. Call it with every message of the pipeline's bus.
    pub(super) fn note(&self, message: &gst::MessageRef) {
        let gst::MessageView::Element(message) = message.view() else { return };
        let Some(structure) = message.structure() else { return };
        let what = || structure.get::<String>(WHAT).unwrap_or_default();
        let mut seen = self.lock();
        match structure.name().as_str() {
            MISSING if seen.missing.len() < MOST => seen.missing.push(what()),
            HELD if seen.held.len() < MOST => seen.held.push(what()),
            OFFERED if seen.offered.len() < MOST => seen.offered.push(what()),
            NOT_TAKEN => seen.not_taken = Some(what()),
            _ => {}
        }
    }

    /// What it means that a decoder is missing; `detail` is for errors without clues.
    pub(super) fn no_decoder(&self, detail: String) -> MediaError {
        let seen = self.lock();
        let is_video =
            |format: &&String| format.starts_with("video/") || format.starts_with("image/");
        let video: Vec<&str> = seen.missing.iter().filter(is_video).map(String::as_str).collect();
        // A decoder passes over sound without a word.
        if video.is_empty() && seen.held.iter().any(|format| format.starts_with("audio/")) {
            return MediaError::NoVideo("sound".to_owned());
        }
        if video.is_empty() && !seen.missing.is_empty() {
            return MediaError::NoVideo(seen.missing.join(", "));
        }
        let format = if video.is_empty() { detail } else { video.join(", ") };
        MediaError::NoDecoder { format, has_libav: has_libav() }
    }

    /// The streams that the camera offers.
    pub(super) fn offered(&self) -> Vec<String> {
        self.lock().offered.clone()
    }

    /// The encoding of the camera's video, if nothing in the pipeline takes it.
    pub(super) fn not_taken(&self) -> Option<String> {
        self.lock().not_taken.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // No invariant spans a panic here: each change is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes that `camera` offers a stream of this media type. Call it for streams that are not asked for, too.
pub(super) fn offers(camera: &gst::Element, media: &str) {
    post(camera, OFFERED, media);
}

/// Notes that nothing takes the camera's video, which has this encoding.
pub(super) fn not_taken(camera: &gst::Element, encoding: &str) {
    post(camera, NOT_TAKEN, encoding);
}

/// Notes that `decoder` gives out `pad`, whatever becomes of it.
pub(super) fn holds(decoder: &gst::Element, pad: &gst::Pad) {
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    if let Some(structure) = caps.structure(0) {
        post(decoder, HELD, &format(structure));
    }
}

fn post(camera: &gst::Element, name: &str, what: &str) {
    let structure = gst::Structure::builder(name).field(WHAT, what).build();
    // Without a bus, nobody asks for clues.
    let _ = camera.post_message(gst::message::Element::builder(structure).src(camera).build());
}

/// Lets the decoders of `pipeline` note what nothing decodes. Call it before the pipeline plays.
pub(super) fn watch_decoders(pipeline: &gst::Pipeline) {
    for element in pipeline.iterate_recurse().into_iter().flatten() {
        if glib::subclass::SignalId::lookup(UNKNOWN, element.type_()).is_none() {
            continue;
        }
        element.connect(UNKNOWN, false, |values| {
            post_format(values, MISSING);
            None
        });
        element.connect(MET, false, |values| {
            post_format(values, HELD);
            // It goes on as it would.
            Some(true.to_value())
        });
    }
}

/// For the signals of decoders, whose values are the decoder, a pad, and its caps.
fn post_format(values: &[glib::Value], name: &str) {
    let decoder = values.first().and_then(|decoder| decoder.get::<gst::Element>().ok());
    let caps = values.get(2).and_then(|caps| caps.get::<gst::Caps>().ok());
    if let (Some(decoder), Some(caps)) = (decoder, caps)
        && let Some(structure) = caps.structure(0)
    {
        post(&decoder, name, &format(structure));
    }
}

/// What the format is called: its caps' name, or as RTP calls it.
fn format(caps: &gst::StructureRef) -> String {
    match (caps.get::<String>("media"), caps.get::<String>("encoding-name")) {
        (Ok(media), Ok(encoding)) => format!("{media}/{encoding}"),
        _ => caps.name().to_string(),
    }
}

/// Whether FFmpeg's decoders are there.
fn has_libav() -> bool {
    gst::Registry::get().find_plugin("libav").is_some()
}
