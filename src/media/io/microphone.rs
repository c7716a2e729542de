//! Listens to a microphone beside a camera, on the camera's clock.
//!
//! A microphone that is not there, or fails, costs a warning and the sound; the pictures go on.
//!
//! Does not: come back by itself; it is opened anew with the camera.

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::media::audio::{AAC_ENCODERS, MICROPHONE, describe, source};
use crate::media::io::access_units::AccessUnits;
use crate::media::io::running::{self, End, Ending, Running, Watch};
use crate::media::{Audio, AudioCodec, MediaError, Source};

/// A microphone that was opened.
#[derive(Debug)]
pub(super) struct Hearing {
    running: Running,
    ending: Ending,
}

impl Hearing {
    /// Opens the microphone; what it hears leaves with the pictures in `units`.
    pub(super) fn open(audio: &Audio, units: &AccessUnits) -> Result<Self, MediaError> {
        let aac = match audio.codec {
            AudioCodec::Opus => "",
            AudioCodec::Aac => AAC_ENCODERS
                .into_iter()
                .find(|name| gst::ElementFactory::find(name).is_some())
                .ok_or_else(|| MediaError::MissingElement(AAC_ENCODERS[1].to_owned()))?,
        };
        let built = running::parse(&describe(audio, aac), &Source::Test)?;
        let microphone = built.by_name(MICROPHONE);
        if let (Some(device), (_, Some(property)), Some(microphone)) =
            (&audio.device, source(audio.microphone), microphone)
        {
            // PipeWire's name for it changed; older ones take the default.
            if microphone.has_property(property) {
                microphone.set_property_from_str(property, device);
            }
        }
        units.attach_audio(built.upcast_ref(), audio.codec)?;
        let ending = Ending::new();
        let (silent, told) = (units.clone(), ending.clone());
        let on_end = move || {
            silent.end_audio();
            if let Some(End::Failed(error)) = told.known() {
                log::warn!("no sound any more: {error}");
            }
        };
        let watch =
            Watch { source: Source::Test, had_media: || true, on_end, ending: ending.clone() };
        match Running::open(built, watch) {
            Ok(running) => Ok(Self { running, ending }),
            Err(error) => {
                units.end_audio();
                Err(error)
            }
        }
    }

    /// Lets both begin at the same time of the same clock: what they give at one moment has one running time.
    pub(super) fn play_with(&self, pictures: &gst::Pipeline) {
        let clock = gst::SystemClock::obtain();
        let now = clock.time();
        for pipeline in [pictures, self.running.pipeline()] {
            pipeline.use_clock(Some(&clock));
            pipeline.set_start_time(gst::ClockTime::NONE);
            pipeline.set_base_time(now);
        }
        self.running.play(&self.ending);
    }

    pub(super) async fn stop(self) {
        self.running.stop().await;
    }
}
