//! The audio of a file: a branch after the file's decoder, which is added once the file turns out to have audio.
//!
//! Audio starts again with the pictures, and ends with them, because audio after the last picture would delay the next
//! repetition of the file. If no decoder or encoder for the audio is installed, or the branch does not start, the
//! pictures are sent without it. An error of the branch while it runs ends the capture, as an error of the pictures
//! does.
//!
//! Does not: capture from microphones; `microphone` does.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::audio::{MICROPHONE, describe};
use crate::io::access_units::AccessUnits;
use crate::io::diagnosis;
use crate::io::microphone::aac_encoder;
use crate::source::{DECODE, PACED};
use crate::{Audio, MediaError, Microphone, Options, Source};

/// The name of the branch.
const SOUND: &str = "edge_sound";
/// The caps of the decoder's output when audio is wanted.
const WANTED: &str = "video/x-raw(ANY);audio/x-raw";
/// The prefix of the names of audio caps.
const AUDIO: &str = "audio/";

/// Sends the audio of the file in `pipeline` with its pictures, into `units`; if the options do not want it, logs that
/// it is not sent. Call this before the pipeline plays.
pub(super) fn attach(pipeline: &gst::Pipeline, options: &Options, units: &AccessUnits) {
    let Source::File { path, .. } = &options.source else { return };
    let Some(decode) = pipeline.by_name(DECODE) else { return };
    match options.audio.clone().filter(|audio| audio.microphone == Microphone::File) {
        Some(audio) => send(pipeline, &decode, audio, units),
        None => say(&decode, path),
    }
}

/// Whether the element `decode` is set to decode audio.
pub(super) fn is_wanted(decode: &gst::Element) -> bool {
    decode.property::<gst::Caps>("caps").iter().any(|of| of.name().starts_with(AUDIO))
}

/// Logs, once, that the file has audio that is not sent.
fn say(decode: &gst::Element, path: &Path) {
    let (path, is_said) = (path.to_owned(), AtomicBool::new(false));
    decode.connect_pad_added(move |_, pad| {
        if is_audio(pad) && !is_said.swap(true, Ordering::Relaxed) {
            log::info!(
                "{} has audio, which is not sent because audio.kind is \"none\"",
                path.display()
            );
        }
    });
}

fn send(pipeline: &gst::Pipeline, decode: &gst::Element, audio: Audio, units: &AccessUnits) {
    decode.set_property_from_str("caps", WANTED);
    let is_said = AtomicBool::new(false);
    decode.connect("unknown-type", false, move |values| {
        let caps = values.get(2)?.get::<gst::Caps>().ok()?;
        let name = caps.structure(0)?.name();
        if name.starts_with(AUDIO) && !is_said.swap(true, Ordering::Relaxed) {
            log::warn!("the file's sound is not sent: no decoder for {name} is installed");
        }
        None
    });
    let is_over = Arc::new(AtomicBool::new(false));
    end_with_pictures(pipeline, &is_over);
    let (weak, units, is_said) = (pipeline.downgrade(), units.clone(), AtomicBool::new(false));
    decode.connect_pad_added(move |_, pad| {
        let Some(pipeline) = weak.upgrade().filter(|_| is_audio(pad)) else { return };
        is_over.store(false, Ordering::Relaxed);
        // When the file repeats, the branch exists already.
        let branch = match pipeline.by_name(SOUND) {
            Some(branch) => Ok(branch),
            None => branch(&pipeline, &audio, &units, &is_over),
        };
        match branch.map(|branch| branch.static_pad("sink")) {
            Ok(Some(sink)) if !sink.is_linked() => {
                let _ = pad.link(&sink);
            }
            // Another audio track, such as another language, is not sent.
            Ok(_) => {}
            Err(error) if !is_said.swap(true, Ordering::Relaxed) => {
                log::warn!("no sound: {error}");
            }
            Err(_) => {}
        }
    });
}

/// Adds a branch for audio to `pipeline`, which drops audio while `is_over` is set.
fn branch(
    pipeline: &gst::Pipeline,
    audio: &Audio,
    units: &AccessUnits,
    is_over: &Arc<AtomicBool>,
) -> Result<gst::Element, MediaError> {
    let failed = |what: &dyn std::fmt::Display| MediaError::Gstreamer(what.to_string());
    let text = describe(audio, aac_encoder(audio.codec)?);
    let mut context = gst::ParseContext::new();
    let flags = gst::ParseFlags::FATAL_ERRORS;
    let parsed = gst::parse::bin_from_description_with_name_full(
        &text,
        true,
        SOUND,
        Some(&mut context),
        flags,
    );
    let branch = parsed.map_err(|error| {
        diagnosis::of_description(&error, &context.missing_elements(), &Source::Test)
    })?;
    let branch =
        branch.downcast::<gst::Bin>().map_err(|_| failed(&"the audio branch is not a bin"))?;
    if let Some(pad) = branch.by_name(MICROPHONE).and_then(|queue| queue.static_pad("src")) {
        let is_over = Arc::clone(is_over);
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            match is_over.load(Ordering::Relaxed) {
                true => gst::PadProbeReturn::Drop,
                false => gst::PadProbeReturn::Ok,
            }
        });
    }
    units.attach_audio(&branch, audio.codec)?;
    let added = pipeline.add(&branch).and_then(|()| branch.sync_state_with_parent());
    if let Err(error) = added {
        // A branch that does not run would keep the pipeline from its end.
        let _ = branch.set_state(gst::State::Null);
        let _ = pipeline.remove(&branch);
        units.end_audio();
        return Err(failed(&error));
    }
    Ok(branch.upcast())
}

/// Ends the audio of `pipeline` when its pictures end.
fn end_with_pictures(pipeline: &gst::Pipeline, is_over: &Arc<AtomicBool>) {
    let paced = pipeline.by_name(PACED).and_then(|paced| paced.static_pad("src"));
    let (weak, is_over) = (pipeline.downgrade(), Arc::clone(is_over));
    let Some(pad) = paced else { return };
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if info.event().is_some_and(|event| event.type_() == gst::EventType::Eos) {
            // From now on audio is dropped, so a full queue empties and accepts the end of stream.
            is_over.store(true, Ordering::Relaxed);
            let sound = weak.upgrade().and_then(|pipeline| pipeline.by_name(SOUND));
            if let Some(sink) = sound.and_then(|sound| sound.static_pad("sink")) {
                let _ = sink.send_event(gst::event::Eos::new());
            }
        }
        gst::PadProbeReturn::Ok
    });
}

fn is_audio(pad: &gst::Pad) -> bool {
    let caps = pad.current_caps().or_else(|| Some(pad.query_caps(None)));
    caps.is_some_and(|caps| caps.structure(0).is_some_and(|of| of.name().starts_with(AUDIO)))
}
