//! Builds the rest of a pipeline when the caps of the user's fragment are known.
//!
//! Does not: build pipelines for sources whose format is known before they play.

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::encoder::{Element, KeyRequest};
use crate::io::access_units::Feed;
use crate::io::decoded;
use crate::io::diagnosis;
use crate::io::masks;
use crate::io::measure;
use crate::io::pacing;
use crate::io::running::{End, Ending};
use crate::launch_line::launch_line;
use crate::source::{Form, TAIL};
use crate::{MediaError, Options, Source, pipeline};

/// Builds the rest of the pipeline when the fragment's caps are known. Call it before the pipeline plays. A failure to
/// build becomes the pipeline's `ending`.
pub(super) fn attach_when_negotiated(
    pipeline: &gst::Pipeline,
    options: &Options,
    element: &Element,
    feed: &Feed,
    ending: &Ending,
) -> Result<(), MediaError> {
    let lacks = || MediaError::Fragment(format!("it has no element {TAIL}"));
    let pad = pipeline.by_name(TAIL).and_then(|tail| tail.static_pad("src")).ok_or_else(lacks)?;
    let (pipeline, options, element) = (pipeline.downgrade(), options.clone(), element.clone());
    let (feed, ending) = (feed.clone(), ending.clone());
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |pad, info| {
        let Some(event) = info.event().filter(|_| !pad.is_linked()) else {
            return gst::PadProbeReturn::Ok;
        };
        let built = match (event.view(), pipeline.upgrade()) {
            (gst::EventView::Caps(caps), Some(pipeline)) => {
                attach_tail(&pipeline, pad, caps.caps(), &options, &element, (&feed, &ending))
            }
            // The pipeline has no sink yet, so no other element reports the end of the stream.
            (gst::EventView::Eos(_), _) => Err(MediaError::NoFrames),
            _ => Ok(()),
        };
        if let Err(error) = built {
            ending.set(End::Failed(error));
            feed.close();
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
    (feed, ending): (&Feed, &Ending),
) -> Result<(), MediaError> {
    let masks = &options.video.masks;
    let (form, decode, key) = match caps.structure(0).map(|caps| caps.name().as_str()) {
        Some("video/x-raw") => (Form::Raw, String::new(), element.row.key),
        Some("video/x-h264") if masks.is_empty() => (Form::H264, String::new(), KeyRequest::Event),
        Some("video/x-h264") => {
            log::info!("the H.264 of source.fragment is decoded and encoded again: source.masks");
            (Form::Raw, pipeline::decode(decoded::h264_decoder()), element.row.key)
        }
        _ => return Err(MediaError::UnusableCaps(caps.to_string())),
    };
    let tail =
        pipeline::tail(form, &options.video, element, options.encoder.speed).unwrap_or_default();
    let wait = if pacing::is_live(pipeline, pad) { "" } else { pacing::WAIT };
    let text = format!("{wait}{decode}{tail}");
    log::debug!("pipeline behind {TAIL}: {}", launch_line(&text, &Source::Test));
    let mut context = gst::ParseContext::new();
    let flags = gst::ParseFlags::FATAL_ERRORS;
    let tail = gst::parse::bin_from_description_full(&text, true, Some(&mut context), flags)
        .map_err(|error| {
            diagnosis::of_description(&error, &context.missing_elements(), &Source::Test)
        })?
        .downcast::<gst::Bin>()
        .map_err(|element| MediaError::Gstreamer(format!("{} is not a bin", element.name())))?;
    let failed = |what: &dyn std::fmt::Display| MediaError::Gstreamer(what.to_string());
    feed.attach(&tail, key)?;
    decoded::limit_range(&tail);
    masks::attach(&tail, masks, feed, ending)?;
    if form == Form::H264 {
        measure::watch(&tail, &options.source, measure::wanted(options));
    }
    pipeline.add(&tail).map_err(|error| failed(&error))?;
    tail.sync_state_with_parent().map_err(|error| failed(&error))?;
    let sink = tail.static_pad("sink").ok_or_else(|| failed(&"the encoder has no input"))?;
    pad.link(&sink).map_err(|error| failed(&error))?;
    Ok(())
}
