//! Handles the pictures that come out of a decoder: links the decoder's output, completes the colorimetry, and blends
//! pictures that have alpha onto black.
//!
//! Does not: choose formats and colorimetry; `colours` does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::colours;
use crate::io::clues;
use crate::io::sound;
use crate::pipeline::RANGE;
use crate::source::{COLOURS, DECODE, PACED};

/// The parsers that read the fields [`IN_STREAM`] from the stream, unless the container has set them.
const PARSERS: [&str; 2] = ["h264parse", "h265parse"];
/// The fields of caps that the stream states more reliably than its container.
const IN_STREAM: [&str; 2] = ["colorimetry", "interlace-mode"];
/// Prefixes of the formats that are not decoded; audio is decoded if it is wanted.
const UNWANTED: [&str; 5] = ["audio/", "text/", "subpicture/", "closedcaption/", "meta/"];
/// From 0..=255 to 16..=235 and 16..=240: properties of `videobalance`, which scales luma around 16.
const LIMITING: [(&str, f64); 3] = [
    ("contrast", 219.0 / 255.0),
    ("brightness", 16.0 * 219.0 / (255.0 * 255.0)),
    ("saturation", 224.0 / 255.0),
];
/// The same properties with the values that change nothing.
const KEEPING: [(&str, f64); 3] = [("contrast", 1.0), ("brightness", 0.0), ("saturation", 1.0)];

/// Links and corrects the output of the decoder in `pipeline`, if it has one. Call it before the pipeline plays. A
/// pipeline description cannot do this, because its links are made only once, and a file that repeats needs them again.
pub(super) fn attach(pipeline: &gst::Pipeline) {
    let (Some(decode), Some(paced)) = (pipeline.by_name(DECODE), pipeline.by_name(PACED)) else {
        return;
    };
    let filter = pipeline.by_name(COLOURS);
    let is_blended = filter.as_ref().map(blend_behind).unwrap_or_default();
    // `expose-all-streams=false` cannot be used, as it would exclude the decoders for alpha too.
    decode.connect("autoplug-continue", false, |values| {
        let goes_on = || {
            let caps = values.get(2)?.get::<gst::Caps>().ok()?;
            let name = caps.structure(0)?.name();
            let is_left = UNWANTED.iter().any(|unwanted| name.starts_with(unwanted));
            let decode = values.first()?.get::<gst::Element>().ok()?;
            let is_heard = name.starts_with("audio/") && sound::is_wanted(&decode);
            Some(is_heard || !is_left)
        };
        // The signal requires a return value.
        Some(goes_on().unwrap_or(true).to_value())
    });
    if let Some(bin) = decode.downcast_ref::<gst::Bin>() {
        bin.connect_element_added(|_, element| trust_stream(element));
    }
    let sink = paced.static_pad("sink");
    let linked = sink.clone();
    decode.connect_pad_added(move |_, pad| {
        let Some(sink) = sink.as_ref().filter(|sink| !sink.is_linked() && is_video(pad)) else {
            return;
        };
        let (filter, is_blended) = (filter.clone(), Arc::clone(&is_blended));
        pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            if let Some(caps) = caps_of(info) {
                is_blended.store(
                    fields(&caps).is_some_and(|(format, _)| colours::has_alpha(&format)),
                    Ordering::Relaxed,
                );
                let caps = completed(caps);
                if let Some(filter) = &filter {
                    filter.set_property("caps", carrier(&caps));
                }
                info.data = Some(gst::PadProbeData::Event(gst::event::Caps::new(&caps)));
            }
            gst::PadProbeReturn::Ok
        });
        let _ = pad.link(sink);
    });
    decode.connect_no_more_pads(move |decode| {
        if linked.as_ref().is_some_and(|sink| !sink.is_linked()) {
            decode.src_pads().iter().for_each(|pad| clues::holds(decode, pad));
            gst::element_error!(decode, gst::StreamError::CodecNotFound, ["it has no video"]);
        }
    });
}

/// The element that decodes H.264 in a description: libav's, because it outputs each frame without delay, else any.
pub(super) fn h264_decoder() -> &'static str {
    let has_libav = gst::ElementFactory::find("avdec_h264").is_some();
    if has_libav { "avdec_h264" } else { "decodebin" }
}

/// Converts full range to limited range, if `bin` has an encoder that cannot signal full range. Call it before the
/// pipeline plays.
pub(super) fn limit_range(bin: &gst::Bin) {
    let Some(balance) = bin.by_name(RANGE) else { return };
    let (sink, src) = (balance.static_pad("sink"), balance.static_pad("src"));
    let (Some(sink), Some(src)) = (sink, src) else { return };
    let balance = balance.downgrade();
    sink.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let (Some(caps), Some(balance)) = (caps_of(info), balance.upgrade()) {
            let is_full = fields(&caps).and_then(|(_, colorimetry)| colorimetry);
            let is_full = is_full.is_some_and(|colorimetry| colours::is_full(&colorimetry));
            for (property, value) in if is_full { LIMITING } else { KEEPING } {
                balance.set_property(property, value);
            }
        }
        gst::PadProbeReturn::Ok
    });
    src.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |_, info| {
        if let Some(mut caps) = caps_of(info) {
            let limited =
                fields(&caps).and_then(|(_, colorimetry)| colours::limited(&colorimetry?));
            if let Some(limited) = limited {
                set_colorimetry(&mut caps, &limited);
                info.data = Some(gst::PadProbeData::Event(gst::event::Caps::new(&caps)));
            }
        }
        gst::PadProbeReturn::Ok
    });
}

fn is_video(pad: &gst::Pad) -> bool {
    let caps = pad.current_caps();
    let name = caps.as_ref().and_then(|caps| caps.structure(0)).map(|caps| caps.name());
    name.is_some_and(|name| name == "video/x-raw")
}

/// Blends the pictures that come out of `filter` onto black, while the returned flag is true.
fn blend_behind(filter: &gst::Element) -> Arc<AtomicBool> {
    let is_blended = Arc::<AtomicBool>::default();
    let Some(pad) = filter.static_pad("src") else { return is_blended };
    let black = Arc::new(AtomicU8::new(16));
    let (set, used) = (Arc::clone(&black), black);
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some((_, colorimetry)) = caps_of(info).and_then(|caps| fields(&caps)) {
            let is_full = colorimetry.is_some_and(|colorimetry| colours::is_full(&colorimetry));
            set.store(if is_full { 0 } else { 16 }, Ordering::Relaxed);
        }
        gst::PadProbeReturn::Ok
    });
    let wanted = Arc::clone(&is_blended);
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if wanted.load(Ordering::Relaxed) {
            let buffer = info.buffer_mut().map(gst::Buffer::make_mut);
            if let Some(Ok(mut map)) = buffer.map(gst::BufferRef::map_writable) {
                colours::blend(&mut map, used.load(Ordering::Relaxed));
            }
        }
        gst::PadProbeReturn::Ok
    });
    is_blended
}

/// Makes a parser read colorimetry and interlacing from the stream: `qtdemux` reports full range as limited, and
/// Matroska files often mark interlaced video as progressive.
fn trust_stream(element: &gst::Element) {
    let is_parser =
        element.factory().is_some_and(|factory| PARSERS.contains(&factory.name().as_str()));
    let Some(pad) = element.static_pad("sink").filter(|_| is_parser) else { return };
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |_, info| {
        if let Some(mut caps) = caps_of(info) {
            caps.make_mut().iter_mut().for_each(|structure| structure.remove_fields(IN_STREAM));
            info.data = Some(gst::PadProbeData::Event(gst::event::Caps::new(&caps)));
        }
        gst::PadProbeReturn::Ok
    });
}

fn caps_of(info: &gst::PadProbeInfo) -> Option<gst::Caps> {
    let event = info.event()?;
    let gst::EventView::Caps(caps) = event.view() else { return None };
    Some(caps.caps_owned())
}

/// The format and the colorimetry in `caps`.
fn fields(caps: &gst::CapsRef) -> Option<(String, Option<String>)> {
    let structure = caps.structure(0)?;
    Some((structure.get("format").ok()?, structure.get("colorimetry").ok()))
}

fn completed(mut caps: gst::Caps) -> gst::Caps {
    let height = caps.structure(0).and_then(|caps| caps.get::<i32>("height").ok());
    let completed = fields(&caps).and_then(|(format, colorimetry)| {
        colours::completed(&format, colorimetry.as_deref(), height?)
    });
    if let Some(completed) = completed {
        set_colorimetry(&mut caps, &completed);
    }
    caps
}

fn set_colorimetry(caps: &mut gst::Caps, colorimetry: &str) {
    caps.make_mut().iter_mut().for_each(|structure| structure.set("colorimetry", colorimetry));
}

fn carrier(caps: &gst::CapsRef) -> gst::Caps {
    let mode = caps.structure(0).and_then(|caps| caps.get::<String>("interlace-mode").ok());
    let is_interlaced = mode.is_some_and(|mode| mode != "progressive");
    let carrier = fields(caps).and_then(|(format, colorimetry)| {
        colours::carrier(&format, colorimetry.as_deref(), is_interlaced)
    });
    carrier.and_then(|carrier| carrier.parse().ok()).unwrap_or_else(gst::Caps::new_any)
}
