//! Completes a parsed pipeline with what its description does not contain: paths, addresses, the test picture, and
//! links that are made when data flow.
//!
//! Does not: open or play the pipeline.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::burn::{self, I420Picture};
use crate::io::running::Ending;
use crate::io::{decoded, rtsp, tls};
use crate::source::SOURCE;
use crate::{MediaError, Source};

/// Sets the properties that are not in the description, and links the pads that appear only when data flow. Call it
/// before the pipeline is opened.
///
/// A failure while the pipeline runs that GStreamer does not report by itself becomes the pipeline's `ending`.
pub(super) fn prepare(
    pipeline: &gst::Pipeline,
    source: &Source,
    ending: &Ending,
) -> Result<(), MediaError> {
    let element = |name: &str| {
        pipeline
            .by_name(name)
            .ok_or_else(|| MediaError::Gstreamer(format!("the pipeline lacks {name}")))
    };
    match source {
        Source::File { path, .. } => {
            let file = element(SOURCE)?;
            // The element for a GIF has no such property: its pictures are pushed.
            if file.has_property("location") {
                file.set_property("location", path.to_string_lossy().as_ref());
            }
            decoded::attach(pipeline);
        }
        Source::V4l2 { device, .. } => {
            element(SOURCE)?.set_property("device", device.to_string_lossy().as_ref());
            decoded::attach(pipeline);
        }
        Source::Libcamera { camera: Some(camera) } => {
            element(SOURCE)?.set_property("camera-name", camera);
        }
        Source::Rtsp { .. } => {
            rtsp::receive(pipeline, source, ending, |_| {})?;
            decoded::attach(pipeline);
        }
        Source::Test => {
            if let Some(pad) = element(SOURCE)?.static_pad("src") {
                burn_in(&pad);
            }
        }
        Source::Auto | Source::Libcamera { camera: None } | Source::NvArgus { .. } => {}
        // The user's fragment may connect to servers.
        Source::Pipeline { .. } => tls::trust_authorities(),
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
            I420Picture { bytes: &mut map, width, height }
                .write(&burn::caption(frame, since_epoch));
        }
        gst::PadProbeReturn::Ok
    });
}
