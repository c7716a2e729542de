//! The keys of sound: `[audio]`.
//!
//! Does not: check whether the microphone exists.

use super::{Initial, Key, Takes, filled};
use media::{AudioCodec, Microphone};

pub(super) static KEYS: &[Key] = &[
    Key {
        name: "audio.kind",
        initial: Initial::Is(r#""file""#),
        what: "Where sound comes from: the file that is the source (a camera is silent then), nowhere, a microphone of ALSA, PulseAudio or PipeWire beside a camera, or a test tick. A microphone that fails is opened again; video goes on without sound until then.",
        takes: Takes::OneOf(&[
            ("file", |d| d.audio.microphone = Some(Microphone::File)),
            ("none", |d| d.audio.microphone = None),
            ("alsa", |d| d.audio.microphone = Some(Microphone::Alsa)),
            ("pulse", |d| d.audio.microphone = Some(Microphone::Pulse)),
            ("pipewire", |d| d.audio.microphone = Some(Microphone::Pipewire)),
            ("test", |d| d.audio.microphone = Some(Microphone::Test)),
        ]),
    },
    Key {
        name: "audio.device",
        initial: Initial::Unset { means: "the system's default", example: r#""hw:1""# },
        what: "The microphone, as `livepeer-edge devices` shows it.",
        takes: Takes::Text {
            kind: "name of a device",
            keep: |d, text| filled(text).map(|name| d.audio.device = Some(name.to_owned())),
        },
    },
    Key {
        name: "audio.codec",
        initial: Initial::Is(r#""opus""#),
        what: "The codec of the sound, which is sent in one channel.",
        takes: Takes::OneOf(&[
            ("opus", |d| d.audio.codec = AudioCodec::Opus),
            ("aac", |d| d.audio.codec = AudioCodec::Aac),
        ]),
    },
    Key {
        name: "audio.bitrate",
        initial: Initial::Is(r#""64 kbit/s""#),
        what: "The bitrate of the encoded sound.",
        takes: Takes::BitRate { from: 16_000, to: 320_000, keep: |d, n| d.audio.bitrate = n },
    },
];
