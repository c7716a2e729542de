//! The cameras, encoders and microphones of a computer, with the values that select them in the configuration.
//!
//! Does not: search for them.

use crate::MediaError;
use crate::encoder::Kind;
use crate::modes::Mode;

/// The devices that were found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Devices {
    /// Cameras in the order in which `source.kind = "auto"` tries them.
    pub cameras: Vec<CameraFound>,
    /// Encoders in the order in which `encoder.element = "auto"` tries them.
    pub encoders: Vec<EncoderFound>,
    /// Microphones in the order of their sound systems.
    pub microphones: Vec<MicrophoneFound>,
}

/// A camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraFound {
    /// `source.kind`.
    pub kind: &'static str,
    /// `source.device`.
    pub device: String,
    /// The manufacturer's name for the camera, if the driver reports one.
    pub name: Option<String>,
    /// The modes that the camera offers, empty if only a trial frame was taken; or why the camera cannot be used.
    pub modes: Result<Vec<Mode>, MediaError>,
    /// The mode that capture would choose.
    pub taken: Option<Mode>,
}

/// An encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncoderFound {
    /// `encoder.element`.
    pub element: String,
    /// Hardware or software.
    pub kind: Kind,
    /// The result of the encoder's trial.
    pub verdict: EncoderVerdict,
}

/// Result of an encoder's trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncoderVerdict {
    /// The encoder produced frames.
    Works,
    /// The encoder failed, for this reason.
    Fails(String),
    /// GStreamer lacks the element; the package that contains it, if known.
    Absent(Option<&'static str>),
    /// The package is installed, but this computer lacks such an encoder.
    NotHere,
}

/// A microphone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MicrophoneFound {
    /// `audio.kind`.
    pub kind: &'static str,
    /// `audio.device`; `None` where the sound system has no name for it.
    pub device: Option<String>,
    /// Name for people.
    pub name: String,
}

impl Devices {
    /// The encoder that capture would choose.
    pub fn encoder(&self) -> Option<&EncoderFound> {
        self.encoders.iter().find(|encoder| encoder.verdict == EncoderVerdict::Works)
    }
}
