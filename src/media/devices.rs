//! What a machine has for capture: cameras, encoders, microphones, under the names the configuration takes.
//!
//! Does not: look for them.

use crate::MediaError;
use crate::encoder::Kind;
use crate::modes::Mode;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Devices {
    /// In the order in which `source.kind = "auto"` tries them.
    pub cameras: Vec<CameraFound>,
    /// In the order in which `encoder.element = "auto"` tries them.
    pub encoders: Vec<EncoderFound>,
    /// As their systems list them.
    pub microphones: Vec<MicrophoneFound>,
}

/// A camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraFound {
    /// `source.kind`.
    pub kind: &'static str,
    /// `source.device`.
    pub device: String,
    /// What its maker calls it, if it says so.
    pub name: Option<String>,
    /// What it offers; nothing where only a frame was asked for. Or why it cannot be used.
    pub modes: Result<Vec<Mode>, MediaError>,
    /// The mode that would be taken.
    pub taken: Option<Mode>,
}

/// An encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncoderFound {
    /// `encoder.element`.
    pub element: String,
    /// What encodes.
    pub kind: Kind,
    /// What came of it.
    pub verdict: EncoderVerdict,
}

/// What came of an encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncoderVerdict {
    /// Frames came out.
    Works,
    /// They did not, and why.
    Fails(String),
    /// GStreamer has no such element; the package that has it, if it is known.
    Absent(Option<&'static str>),
    /// The package is there, but this machine has no such encoder.
    NotHere,
}

/// A microphone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MicrophoneFound {
    /// `audio.kind`.
    pub kind: &'static str,
    /// `audio.device`; `None` where the system does not name it.
    pub device: Option<String>,
    /// What people call it.
    pub name: String,
}

impl Devices {
    /// The encoder that would be taken.
    pub fn encoder(&self) -> Option<&EncoderFound> {
        self.encoders.iter().find(|encoder| encoder.verdict == EncoderVerdict::Works)
    }
}
