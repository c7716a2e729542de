//! Collects facts about a pipeline's input for the diagnosis of a failure: the formats that have no decoder, and the
//! streams that a network camera offers. GStreamer's error contains neither.
//!
//! Does not: decide what the failure is; `diagnosis` does.

use std::sync::{Mutex, MutexGuard, PoisonError};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;

use crate::MediaError;

/// The signal by which `decodebin` reports a format that has no decoder.
const UNKNOWN: &str = "unknown-type";
/// The signal by which `decodebin` reports each format that it finds.
const MET: &str = "autoplug-continue";
/// A message on the bus: the input holds this format.
const HELD: &str = "edge-held";
/// A message on the bus: this format has no decoder.
const MISSING: &str = "edge-missing";
/// A message on the bus: a network camera offers this stream.
const OFFERED: &str = "edge-offered";
/// A message on the bus: the encoding of a camera's video that no element of the pipeline accepts.
const NOT_TAKEN: &str = "edge-not-taken";
/// The field of these messages.
const WHAT: &str = "what";
/// Maximum clues of a kind; more would make an error message too long.
const MOST: usize = 8;

/// The clues of one pipeline.
#[derive(Debug, Default)]
pub(super) struct Clues(Mutex<SeenFormats>);

#[derive(Debug, Default)]
struct SeenFormats {
    /// The formats that have no decoder, as names of caps.
    missing: Vec<String>,
    /// All formats that the decoders found, including containers.
    held: Vec<String>,
    offered: Vec<String>,
    not_taken: Option<String>,
}

impl Clues {
    /// Records a clue if `message` has one. Call it with every message of the pipeline's bus.
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

    /// The error for a decoder that is missing; `detail` is used if there are no clues.
    pub(super) fn no_decoder(&self, detail: String) -> MediaError {
        let seen = self.lock();
        let is_video =
            |format: &&String| format.starts_with("video/") || format.starts_with("image/");
        let video: Vec<&str> = seen.missing.iter().filter(is_video).map(String::as_str).collect();
        // A decoder skips audio without a message, so the formats found are the only clue for a file without video.
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

    /// The encoding of the camera's video, if no element of the pipeline accepts it.
    pub(super) fn not_taken(&self) -> Option<String> {
        self.lock().not_taken.clone()
    }

    fn lock(&self) -> MutexGuard<'_, SeenFormats> {
        // A poisoned lock is safe to use: a panic cannot leave the data half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Records that `camera` offers a stream of this media type. Call it also for streams that are not requested.
pub(super) fn offers(camera: &gst::Element, media: &str) {
    post(camera, OFFERED, media);
}

/// Records that no element of the pipeline accepts the camera's video, which has this encoding.
pub(super) fn not_taken(camera: &gst::Element, encoding: &str) {
    post(camera, NOT_TAKEN, encoding);
}

/// Records the format of `pad`, an output of `decoder`. Call it for unused pads too.
pub(super) fn holds(decoder: &gst::Element, pad: &gst::Pad) {
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    if let Some(structure) = caps.structure(0) {
        post(decoder, HELD, &format(structure));
    }
}

fn post(camera: &gst::Element, name: &str, what: &str) {
    let structure = gst::Structure::builder(name).field(WHAT, what).build();
    // This fails only without a bus, and then the clues are not needed.
    let _ = camera.post_message(gst::message::Element::builder(structure).src(camera).build());
}

/// Records the formats that the decoders of `pipeline` find. Call it before the pipeline plays.
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
            // The decoder continues as it would without this handler.
            Some(true.to_value())
        });
    }
}

/// Handles a signal of a decoder, whose values are the decoder, a pad, and the pad's caps.
fn post_format(values: &[glib::Value], name: &str) {
    let decoder = values.first().and_then(|decoder| decoder.get::<gst::Element>().ok());
    let caps = values.get(2).and_then(|caps| caps.get::<gst::Caps>().ok());
    if let (Some(decoder), Some(caps)) = (decoder, caps)
        && let Some(structure) = caps.structure(0)
    {
        post(&decoder, name, &format(structure));
    }
}

/// The name of a format: that of its caps, or its encoding name in RTP.
fn format(caps: &gst::StructureRef) -> String {
    match (caps.get::<String>("media"), caps.get::<String>("encoding-name")) {
        (Ok(media), Ok(encoding)) => format!("{media}/{encoding}"),
        _ => caps.name().to_string(),
    }
}

/// Whether FFmpeg's decoders are installed.
fn has_libav() -> bool {
    gst::Registry::get().find_plugin("libav").is_some()
}
