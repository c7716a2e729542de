//! What a pipeline reports before it fails: the decoders it misses, and the streams that a camera of the network
//! offers. GStreamer's error itself says neither.
//!
//! Does not: decide what the failure is; `diagnosis` does.

use std::sync::{Mutex, MutexGuard, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::MediaError;

/// GStreamer's own message: no plugin for these caps.
const MISSING: &str = "missing-plugin";
/// Ours: a camera of the network offers this stream.
const OFFERED: &str = "edge-offered";
/// Ours: the encoding of the video that nothing in the pipeline takes.
const NOT_TAKEN: &str = "edge-not-taken";
/// The field of our messages.
const WHAT: &str = "what";
/// More are of no use in an error's line.
const MOST: usize = 8;

/// The clues of one pipeline.
#[derive(Debug, Default)]
pub(super) struct Clues(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    missing: Vec<Missing>,
    offered: Vec<String>,
    not_taken: Option<String>,
}

#[derive(Debug)]
struct Missing {
    /// What GStreamer calls the format.
    name: String,
    is_video: bool,
}

impl Clues {
    /// Notes what `message` says. Call it with every message of the pipeline's bus.
    pub(super) fn note(&self, message: &gst::MessageRef) {
        let gst::MessageView::Element(message) = message.view() else { return };
        let Some(structure) = message.structure() else { return };
        let what = || structure.get::<String>(WHAT).unwrap_or_default();
        let mut seen = self.lock();
        match structure.name().as_str() {
            MISSING if seen.missing.len() < MOST => seen.missing.extend(missing(structure)),
            OFFERED if seen.offered.len() < MOST => seen.offered.push(what()),
            NOT_TAKEN => seen.not_taken = Some(what()),
            _ => {}
        }
    }

    /// What it means that a decoder is missing; `detail` is for errors without clues.
    pub(super) fn no_decoder(&self, detail: String) -> MediaError {
        let seen = self.lock();
        let names = |is_video: bool| {
            let of = seen.missing.iter().filter(|missing| missing.is_video == is_video);
            of.map(|missing| missing.name.as_str()).collect::<Vec<_>>().join(", ")
        };
        let (video, other) = (names(true), names(false));
        if !video.is_empty() {
            MediaError::NoDecoder { format: video, has_libav: has_libav() }
        } else if !other.is_empty() {
            MediaError::NoVideo(other)
        } else {
            MediaError::NoDecoder { format: detail, has_libav: has_libav() }
        }
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

fn post(camera: &gst::Element, name: &str, what: &str) {
    let structure = gst::Structure::builder(name).field(WHAT, what).build();
    // Without a bus, nobody asks for clues.
    let _ = camera.post_message(gst::message::Element::builder(structure).src(camera).build());
}

fn missing(structure: &gst::StructureRef) -> Option<Missing> {
    let caps = structure.get::<gst::Caps>("detail").ok()?;
    let format = caps.structure(0)?;
    let kind = format.name().as_str();
    let is_video = ["video/", "image/"].iter().any(|video| kind.starts_with(video))
        || format.get::<String>("media").is_ok_and(|media| media == "video");
    let name = structure.get::<String>("name").unwrap_or_else(|_| kind.to_owned());
    Some(Missing { name, is_video })
}

/// Whether FFmpeg's decoders are there.
fn has_libav() -> bool {
    gst::Registry::get().find_plugin("libav").is_some()
}
