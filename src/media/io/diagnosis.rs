//! Converts GStreamer's errors, by their codes, into errors of this crate.
//!
//! Does not: decide by the texts of errors; the texts are passed on to the user.

use std::io;
use std::path::Path;

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;

use crate::io::clues::Clues;
use crate::io::rtsp::host;
use crate::pipeline::ENCODER;
use crate::presentable::presentable;
use crate::source::SOURCE;
use crate::{MediaError, Source};

/// Errors that are caused by broken input.
const BROKEN_INPUT: [gst::StreamError; 4] = [
    gst::StreamError::Decode,
    gst::StreamError::Demux,
    gst::StreamError::WrongType,
    gst::StreamError::Format,
];

/// Starts GStreamer, once for the process.
pub(super) fn init() -> Result<(), MediaError> {
    gst::init().map_err(|error| {
        MediaError::Gstreamer(format!("it does not start: {}", presentable(error.message())))
    })
}

/// The error for a description that does not parse; `missing` are the elements that GStreamer did not find.
pub(super) fn of_description(
    error: &glib::Error,
    missing: &[String],
    source: &Source,
) -> MediaError {
    // The list may also have elements that exist, but have a wrong property.
    let missing = missing.first().filter(|_| error.matches(gst::ParseError::NoSuchElement));
    match (missing, source) {
        (Some(element), _) => MediaError::MissingElement(element.clone()),
        (None, Source::Pipeline { .. }) => MediaError::Fragment(presentable(error.message())),
        (
            None,
            Source::Auto
            | Source::Test
            | Source::File { .. }
            | Source::V4l2 { .. }
            | Source::Libcamera { .. }
            | Source::NvArgus { .. }
            | Source::Rtsp { .. },
        ) => MediaError::Gstreamer(presentable(error.message())),
    }
}

/// The error for a running pipeline that failed, from GStreamer's message and the clues recorded before.
pub(super) fn of_message(
    message: &gst::message::Error,
    source: &Source,
    clues: &Clues,
) -> MediaError {
    let error = message.error();
    let detail = detail(&error, message.debug().as_deref());
    if let Source::V4l2 { device, .. } = source {
        if error.matches(gst::ResourceError::Busy) {
            return MediaError::Busy(device.clone());
        }
        if error.matches(gst::ResourceError::NotFound) {
            return MediaError::NoSuchDevice(device.clone());
        }
    }
    if let Source::Rtsp { url, credential, .. } = source
        && let Some(error) = of_camera(message, host(url), credential.is_some(), clues)
    {
        return error;
    }
    if let Some(encoder) = message.src().and_then(encoder_of) {
        return MediaError::Encoder { element: name(&encoder), detail };
    }
    if error.matches(gst::CoreError::MissingPlugin)
        || error.matches(gst::StreamError::CodecNotFound)
    {
        return clues.no_decoder(detail);
    }
    if error.matches(gst::StreamError::TypeNotFound) {
        return MediaError::UnknownInput;
    }
    if BROKEN_INPUT.iter().any(|broken| error.matches(*broken)) {
        return MediaError::Decode(detail);
    }
    let (element, detail) = parts(message);
    MediaError::Element { element, detail }
}

/// The error for a network camera that sends no video, if the message says why.
fn of_camera(
    message: &gst::message::Error,
    host: String,
    has_credential: bool,
    clues: &Clues,
) -> Option<MediaError> {
    let error = message.error();
    let details = message.details();
    let status = details.and_then(|details| details.get::<u32>("rtsp-status-code").ok());
    if status == Some(401) || error.matches(gst::ResourceError::NotAuthorized) {
        return Some(MediaError::Unauthorized { host, was_given: has_credential });
    }
    if let Some(status) = status {
        let reason = details.and_then(|details| details.get::<String>("rtsp-status-reason").ok());
        let reason = presentable(&reason.unwrap_or_default());
        return Some(MediaError::Refused { host, status, reason });
    }
    // `rtspsrc` skips streams that it does not request, and streams that the camera does not send over TCP (461).
    let is_source = message.src().is_some_and(|element| element.name() == SOURCE);
    if is_source && error.matches(gst::StreamError::CodecNotFound) {
        let offered = clues.offered();
        return Some(match offered.iter().any(|media| media == "video") {
            true => MediaError::NoTcp(host),
            false => MediaError::NoVideo(offered.join(", ")),
        });
    }
    if let Some(encoding) = clues.not_taken() {
        return Some(MediaError::NotH264 { host, encoding });
    }
    let detail = detail(&error, message.debug().as_deref());
    error.is::<gst::ResourceError>().then_some(MediaError::Unreachable { host, detail })
}

/// The type of the element that failed, and its error for users.
pub(super) fn parts(message: &gst::message::Error) -> (String, String) {
    let element = message.src().map_or_else(|| "the pipeline".into(), name);
    (element, detail(&message.error(), message.debug().as_deref()))
}

/// The error for a file or device that cannot be opened.
pub(super) fn of_open(
    error: &io::Error,
    path: &Path,
    absent: impl FnOnce() -> MediaError,
) -> MediaError {
    let kind = error.kind();
    if kind == io::ErrorKind::NotFound {
        absent()
    } else if kind == io::ErrorKind::PermissionDenied {
        MediaError::Denied(path.into())
    } else if kind == io::ErrorKind::ResourceBusy {
        MediaError::Busy(path.into())
    } else {
        MediaError::Element { element: path.display().to_string(), detail: error.to_string() }
    }
}

/// The encoder, if `object` is the encoder or a part of it.
fn encoder_of(object: &gst::Object) -> Option<gst::Object> {
    let mut object = object.clone();
    while object.name() != ENCODER {
        object = object.parent()?;
    }
    Some(object)
}

/// The name of an element for users: its type, not its name in the pipeline.
fn name(object: &gst::Object) -> String {
    let factory = object.downcast_ref::<gst::Element>().and_then(|element| element.factory());
    factory.map_or_else(|| object.name().into(), |factory| factory.name().into())
}

/// The error's message, and the last line of its debug text, which is more specific.
fn detail(error: &glib::Error, debug: Option<&str>) -> String {
    let last = debug.and_then(|debug| debug.lines().last()).filter(|last| !last.trim().is_empty());
    match last {
        Some(last) => presentable(&format!("{} ({last})", error.message().trim_end_matches('.'))),
        None => presentable(error.message()),
    }
}
