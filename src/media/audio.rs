//! Describes the elements that encode audio: mono at 48 kHz.
//!
//! Microphone and camera have separate pipelines on the same clock, so that a microphone that fails or stalls does not
//! affect the pictures. The microphone must not provide that clock. The audio of a file is encoded by a branch after
//! the file's decoder, so that audio and pictures end and repeat together.
//!
//! Does not: run the pipeline.

use crate::{Audio, AudioCodec, Microphone};

/// Name of the source element.
pub(crate) const MICROPHONE: &str = "edge_microphone";
/// Name of the sink; each of its buffers is one audio frame.
pub(crate) const FRAMES: &str = "edge_frames";

/// AAC encoders, best first.
pub(crate) const AAC_ENCODERS: [&str; 3] = ["fdkaacenc", "avenc_aac", "voaacenc"];

/// The source element, and its property that selects the device, if it has one.
pub(crate) fn source(microphone: Microphone) -> (&'static str, Option<&'static str>) {
    match microphone {
        Microphone::Alsa => ("alsasrc", Some("device")),
        Microphone::Pulse => ("pulsesrc", Some("device")),
        Microphone::Pipewire => ("pipewiresrc", Some("target-object")),
        Microphone::Test => ("audiotestsrc", None),
        Microphone::File => ("queue", None),
    }
}

/// The pipeline description; `aac` is the encoder element for AAC.
pub(crate) fn describe(audio: &Audio, aac: &str) -> String {
    let (element, _) = source(audio.microphone);
    let fixed = match audio.microphone {
        Microphone::Alsa | Microphone::Pulse => " provide-clock=false",
        Microphone::Pipewire | Microphone::File => "",
        Microphone::Test => " is-live=true wave=ticks",
    };
    // If the encoder is too slow, audio of a microphone is dropped instead of delayed, while a file waits.
    let (leaky, sync) = match audio.microphone {
        Microphone::Alsa | Microphone::Pulse | Microphone::Pipewire | Microphone::Test => (
            " ! queue leaky=downstream max-size-time=200000000 max-size-buffers=0 max-size-bytes=0",
            false,
        ),
        Microphone::File => ("", true),
    };
    let encode = match audio.codec {
        AudioCodec::Opus => format!("opusenc bitrate={} frame-size=20", audio.bitrate),
        AudioCodec::Aac => format!(
            "{aac} bitrate={} ! aacparse ! audio/mpeg,mpegversion=4,stream-format=adts",
            audio.bitrate
        ),
    };
    format!(
        "{element} name={MICROPHONE}{fixed}{leaky} ! audioconvert ! audioresample \
         ! audio/x-raw,rate=48000,channels=1 ! {encode} \
         ! appsink name={FRAMES} sync={sync} async=false enable-last-sample=false max-buffers=8"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(microphone: Microphone, codec: AudioCodec, front: &str, encode: &str) {
        let audio = Audio { microphone, device: None, codec, bitrate: 64_000 };
        assert_eq!(
            describe(&audio, "avenc_aac"),
            format!(
                "{front} ! queue leaky=downstream max-size-time=200000000 max-size-buffers=0 \
                 max-size-bytes=0 ! audioconvert ! audioresample ! audio/x-raw,rate=48000,channels=1 \
                 ! {encode} ! appsink name=edge_frames sync=false async=false \
                 enable-last-sample=false max-buffers=8"
            )
        );
    }

    #[test]
    fn descriptions_are_exact() {
        let opus = "opusenc bitrate=64000 frame-size=20";
        let aac =
            "avenc_aac bitrate=64000 ! aacparse ! audio/mpeg,mpegversion=4,stream-format=adts";
        let alsa = "alsasrc name=edge_microphone provide-clock=false";
        check(Microphone::Alsa, AudioCodec::Opus, alsa, opus);
        check(Microphone::Alsa, AudioCodec::Aac, alsa, aac);
        let pulse = "pulsesrc name=edge_microphone provide-clock=false";
        check(Microphone::Pulse, AudioCodec::Opus, pulse, opus);
        check(Microphone::Pipewire, AudioCodec::Opus, "pipewiresrc name=edge_microphone", opus);
        let test = "audiotestsrc name=edge_microphone is-live=true wave=ticks";
        check(Microphone::Test, AudioCodec::Aac, test, aac);
    }

    #[test]
    fn audio_of_a_file_is_paced_by_the_clock_and_not_dropped() {
        let (microphone, codec) = (Microphone::File, AudioCodec::Opus);
        let audio = Audio { microphone, device: None, codec, bitrate: 64_000 };
        assert_eq!(
            describe(&audio, ""),
            "queue name=edge_microphone ! audioconvert ! audioresample ! audio/x-raw,rate=48000,channels=1 \
             ! opusenc bitrate=64000 frame-size=20 ! appsink name=edge_frames sync=true async=false \
             enable-last-sample=false max-buffers=8"
        );
    }
}
