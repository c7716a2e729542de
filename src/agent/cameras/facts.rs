//! Describes the state of the camera for the status.
//!
//! Does not: judge the facts; `status` does.

use super::Cameras;
use crate::status::CameraFacts;

impl Cameras {
    /// The state of the camera, for the status.
    pub(in crate::agent) fn facts(&self) -> CameraFacts {
        match (&self.capture, self.are_lost()) {
            (_, true) if self.is_encoder => CameraFacts::EncoderFailed(self.reason.clone()),
            (_, true) => CameraFacts::Lost(self.reason.clone()),
            (Some(capture), false) => {
                capture.playing_since().map_or(CameraFacts::Ready, CameraFacts::Playing)
            }
            (None, false) => CameraFacts::Opening,
        }
    }
}
