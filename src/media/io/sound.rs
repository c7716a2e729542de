//! The audio of a file: a branch after the file's decoder, which is added once the file turns out to have audio.
//!
//! Audio starts again with the pictures, and ends with them, because audio after the last picture would delay the next
//! repetition of the file. If no decoder or encoder for the audio is installed, the branch does not start, or an element
//! of the audio fails while the file plays, the pictures are sent without it.
//!
//! An element that fails also returns an error to the elements before it, and the demuxer would end the pictures too.
//! So a probe at the input of each element of the audio hides these errors. A branch that failed is removed, because the
//! pipeline ends only when all of its sinks have ended.
//!
//! Does not: capture from microphones; `microphone` does.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::audio::{MICROPHONE, describe};
use crate::io::access_units::AccessUnits;
use crate::io::clues::Clues;
use crate::io::diagnosis;
use crate::io::microphone::aac_encoder;
use crate::launch_line::launch_line;
use crate::source::{DECODE, PACED};
use crate::{Audio, MediaError, Microphone, Options, Source};

/// The name of the branch.
const SOUND: &str = "edge_sound";
/// The caps of the decoder's output when audio is wanted.
const WANTED: &str = "video/x-raw(ANY);audio/x-raw";
/// The prefix of the names of audio caps.
const AUDIO: &str = "audio/";

/// Sends the audio of the file in `pipeline` with its pictures, into `units`; if the options do not want it, logs that
/// it is not sent. Call this before the pipeline plays. Give each error of the pipeline to the returned [`Sound`].
pub(super) fn attach(
    pipeline: &gst::Pipeline,
    options: &Options,
    units: &AccessUnits,
) -> Option<Sound> {
    let Source::File { path, .. } = &options.source else { return None };
    let decode = pipeline.by_name(DECODE)?;
    let audio = options.audio.clone().filter(|audio| audio.microphone == Microphone::File);
    let Some(audio) = audio else {
        say(&decode, path);
        return None;
    };
    let (pipeline, source) = (pipeline.downgrade(), options.source.clone());
    let sound = Sound { pipeline, source, units: units.clone(), has_failed: Arc::default() };
    send(&sound, &decode, audio);
    Some(sound)
}

/// The audio of a file that plays.
#[derive(Clone)]
pub(super) struct Sound {
    pipeline: gst::glib::WeakRef<gst::Pipeline>,
    source: Source,
    units: AccessUnits,
    /// Whether an element of the audio has failed; no audio is sent from then on.
    has_failed: Arc<AtomicBool>,
}

impl Sound {
    /// Whether an element of the audio posted this error; the pipeline goes on then. The first such error ends the
    /// audio, with a warning.
    pub(super) fn takes(&self, error: &gst::message::Error) -> bool {
        if !error.src().is_some_and(is_of_audio) {
            return false;
        }
        if !self.has_failed.swap(true, Ordering::Relaxed) {
            let error = diagnosis::of_message(error, &self.source, &Clues::default());
            log::warn!("no sound any more: {error}");
            self.take_out();
        }
        true
    }

    /// Removes the branch, on another thread, because the caller's belongs to the branch.
    fn take_out(&self) {
        let (Some(pipeline), units) = (self.pipeline.upgrade(), self.units.clone()) else { return };
        pipeline.call_async(move |pipeline| {
            if let Some(branch) = pipeline.by_name(SOUND) {
                // Unlink first, because a pad that is flushed makes the demuxer pause all of its streams.
                if let Some(sink) = branch.static_pad("sink")
                    && let Some(peer) = sink.peer()
                {
                    let _ = peer.unlink(&sink);
                }
                let _ = branch.set_state(gst::State::Null);
                let _ = pipeline.remove(&branch);
            }
            units.end_audio();
        });
    }

    /// Hides the errors of the elements behind `pad`, an input, from the elements before it.
    fn shield(&self, pad: &gst::Pad) {
        let (has_failed, is_inside) = (Arc::clone(&self.has_failed), AtomicBool::new(false));
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            // `pad.chain` below calls this probe again, on the same thread, for the buffer that it passes on.
            if is_inside.load(Ordering::Relaxed) {
                return gst::PadProbeReturn::Ok;
            }
            let Some(gst::PadProbeData::Buffer(buffer)) = info.data.take() else {
                return gst::PadProbeReturn::Handled;
            };
            if has_failed.load(Ordering::Relaxed) {
                return gst::PadProbeReturn::Handled;
            }
            is_inside.store(true, Ordering::Relaxed);
            let flow = pad.chain(buffer);
            is_inside.store(false, Ordering::Relaxed);
            // A pipeline that stops or ends returns one of these two errors.
            let goes_on = has_failed.load(Ordering::Relaxed)
                || !matches!(flow, Err(gst::FlowError::Flushing | gst::FlowError::Eos));
            info.flow_res = if goes_on { Ok(gst::FlowSuccess::Ok) } else { flow };
            gst::PadProbeReturn::Handled
        });
    }
}

/// Whether `object` is an element of the audio, or a part of one: in the branch, or a parser or decoder of audio.
fn is_of_audio(object: &gst::Object) -> bool {
    let mut object = Some(object.clone());
    while let Some(at) = object {
        if at.name() == SOUND || at.downcast_ref::<gst::Element>().is_some_and(decodes_audio) {
            return true;
        }
        object = at.parent();
    }
    false
}

/// Whether `element` is a parser or decoder of audio.
fn decodes_audio(element: &gst::Element) -> bool {
    let factory = element.factory();
    let class = factory.as_ref().and_then(|of| of.metadata(gst::ELEMENT_METADATA_KLASS));
    class.is_some_and(|class| class.starts_with("Codec/") && class.ends_with("/Audio"))
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

fn send(sound: &Sound, decode: &gst::Element, audio: Audio) {
    let Some(pipeline) = sound.pipeline.upgrade() else { return };
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
    if let Some(bin) = decode.downcast_ref::<gst::Bin>() {
        let sound = sound.clone();
        bin.connect_element_added(move |_, element| {
            if let Some(pad) = element.static_pad("sink").filter(|_| decodes_audio(element)) {
                sound.shield(&pad);
            }
        });
    }
    let is_over = Arc::new(AtomicBool::new(false));
    end_with_pictures(&pipeline, &is_over);
    let (sound, is_said) = (sound.clone(), AtomicBool::new(false));
    decode.connect_pad_added(move |_, pad| {
        let Some(pipeline) = sound.pipeline.upgrade().filter(|_| is_audio(pad)) else { return };
        if sound.has_failed.load(Ordering::Relaxed) {
            return;
        }
        is_over.store(false, Ordering::Relaxed);
        // When the file repeats, the branch exists already.
        let branch = match pipeline.by_name(SOUND) {
            Some(branch) => Ok(branch),
            None => branch(&pipeline, &audio, &sound, &is_over),
        };
        match branch.map(|branch| branch.static_pad("sink")) {
            Ok(Some(sink)) if !sink.is_linked() => {
                let _ = pad.link(&sink);
            }
            // Another audio track, such as another language, is not sent.
            Ok(_) => {}
            // An element that posted its error has been reported.
            Err(_) if sound.has_failed.load(Ordering::Relaxed) => {}
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
    sound: &Sound,
    is_over: &Arc<AtomicBool>,
) -> Result<gst::Element, MediaError> {
    let failed = |what: &dyn std::fmt::Display| MediaError::Gstreamer(what.to_string());
    let text = describe(audio, aac_encoder(audio.codec)?);
    log::debug!("pipeline of the sound: {}", launch_line(&text, &Source::Test));
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
    let queue = branch.by_name(MICROPHONE);
    if let Some(pad) = queue.as_ref().and_then(|queue| queue.static_pad("sink")) {
        sound.shield(&pad);
    }
    if let Some(pad) = queue.and_then(|queue| queue.static_pad("src")) {
        let is_over = Arc::clone(is_over);
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            match is_over.load(Ordering::Relaxed) {
                true => gst::PadProbeReturn::Handled,
                false => gst::PadProbeReturn::Ok,
            }
        });
    }
    sound.units.attach_audio(&branch, audio.codec)?;
    let added = pipeline.add(&branch).and_then(|()| branch.sync_state_with_parent());
    if let Err(error) = added {
        // A branch that does not run would keep the pipeline from its end.
        let _ = branch.set_state(gst::State::Null);
        let _ = pipeline.remove(&branch);
        sound.units.end_audio();
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
