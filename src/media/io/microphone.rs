//! Opens a microphone, plays it on the clock of the camera's pipeline, and watches it.
//!
//! Does not: recover by itself; `listening` opens the microphone again.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::audio::{AAC_ENCODERS, FRAMES, MICROPHONE, describe, source};
use crate::io::access_units::AccessUnits;
use crate::io::running::{self, End, Ending, RunningPipeline, Watch};
use crate::stall::{FrameTimes, Limits, StallJudgement};
use crate::{Audio, AudioCodec, MediaError, Source};

/// Audio frames per second: each lasts 20 ms.
const RATE: u32 = 50;

/// A microphone that was opened.
#[derive(Debug)]
pub(super) struct OpenMicrophone {
    running: RunningPipeline,
    ending: Ending,
    codec: AudioCodec,
    /// The queue that the audio frames go into, once the microphone has been attached.
    into: Arc<OnceLock<AccessUnits>>,
    opened: Instant,
    played: OnceLock<Instant>,
    /// When the last frame came.
    last: Arc<Mutex<Option<Instant>>>,
}

impl OpenMicrophone {
    /// Opens the microphone, which may block.
    pub(super) fn open(audio: &Audio) -> Result<Self, MediaError> {
        let built = running::parse(&describe(audio, aac_encoder(audio.codec)?), &Source::Test)?;
        let microphone = built.by_name(MICROPHONE);
        if let (Some(device), (_, Some(property)), Some(microphone)) =
            (&audio.device, source(audio.microphone), microphone)
        {
            // PipeWire renamed this property; older versions use the default device.
            if microphone.has_property(property) {
                microphone.set_property_from_str(property, device);
            }
        }
        let last = Arc::new(Mutex::new(None));
        if let Some(pad) = built.by_name(FRAMES).and_then(|sink| sink.static_pad("sink")) {
            let last = Arc::clone(&last);
            pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
                *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                gst::PadProbeReturn::Ok
            });
        }
        let (ending, into) = (Ending::new(), Arc::<OnceLock<AccessUnits>>::default());
        let (told, silent) = (ending.clone(), Arc::clone(&into));
        let on_end = move || {
            // The microphone is not attached yet, so the caller of `open` logs the failure.
            let Some(units) = silent.get() else { return };
            units.end_audio();
            match told.known() {
                Some(End::Failed(error)) => log::warn!("no sound any more: {error}"),
                Some(End::EndOfStream) => {
                    log::warn!("no sound any more: the microphone ended its stream");
                }
                None => {}
            }
        };
        let watch = Watch {
            source: Source::Test,
            had_media: || true,
            on_end,
            ending: ending.clone(),
            spares: None,
        };
        let running = RunningPipeline::open(built, watch)?;
        let (codec, opened) = (audio.codec, Instant::now());
        Ok(Self { running, ending, codec, into, opened, played: OnceLock::new(), last })
    }

    /// Sends the microphone's audio with the pictures in `units`.
    pub(super) fn attach(&self, units: &AccessUnits) -> Result<(), MediaError> {
        units.attach_audio(self.running.pipeline().upcast_ref(), self.codec)?;
        let _ = self.into.set(units.clone());
        Ok(())
    }

    /// Plays the microphone on the pictures' clock. Pass as `base` the time at which the pictures began.
    pub(super) fn play(&self, base: Option<gst::ClockTime>) {
        on_clock(self.running.pipeline(), base);
        let _ = self.played.set(Instant::now());
        self.running.play(&self.ending);
    }

    /// The end of the microphone, set when it ends.
    pub(super) fn ending(&self) -> &Ending {
        &self.ending
    }

    /// Whether the microphone has stopped sending audio.
    pub(super) fn judge(&self, now: Instant) -> StallJudgement {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let played = *self.played.get().unwrap_or(&now);
        let interval = Some(Duration::from_secs(1) / RATE);
        Limits::new(RATE).judge(FrameTimes { played, last_in: last, last_out: last, interval }, now)
    }

    /// Whether audio has come.
    pub(super) fn has_sound(&self) -> bool {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// How long the microphone has been open.
    pub(super) fn worked(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.opened)
    }

    pub(super) async fn stop(self) {
        self.running.stop().await;
    }
}

/// The encoder to use for AAC; empty for Opus.
pub(super) fn aac_encoder(codec: AudioCodec) -> Result<&'static str, MediaError> {
    match codec {
        AudioCodec::Opus => Ok(""),
        AudioCodec::Aac => AAC_ENCODERS
            .into_iter()
            .find(|name| gst::ElementFactory::find(name).is_some())
            .ok_or_else(|| MediaError::MissingElement(AAC_ENCODERS[1].to_owned())),
    }
}

/// Sets the clock that audio and pictures share, and returns the time at which the pictures begin.
pub(super) fn clock(pictures: &gst::Pipeline) -> Option<gst::ClockTime> {
    let now = gst::SystemClock::obtain().time();
    on_clock(pictures, now.into());
    now.into()
}

fn on_clock(pipeline: &gst::Pipeline, base: Option<gst::ClockTime>) {
    pipeline.use_clock(Some(&gst::SystemClock::obtain()));
    pipeline.set_start_time(gst::ClockTime::NONE);
    if let Some(base) = base {
        pipeline.set_base_time(base);
    }
}
