//! The encoders this program can drive: a row for each, with what its element calls things.
//!
//! A further encoder is a further row; nothing else knows their properties.
//!
//! Does not: try them, and does not choose by what the machine has; the on-device choice goes down [`ROWS`].

use crate::media::{Speed, Video};

/// How an element is told the bitrate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BitrateUnit {
    /// Bits per second.
    Bits,
    /// 1000 bits per second.
    Kilobits,
}

/// How an element is asked for a key frame out of turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRequest {
    /// It heeds the event `GstForceKeyUnit`.
    Event,
    /// It has an action signal of this name.
    Signal(&'static str),
    /// It cannot be asked; its own keys have to do.
    Never,
}

/// One encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The GStreamer element.
    pub element: &'static str,
    /// Its properties that never change, as in a pipeline description.
    pub fixed: &'static str,
    /// The property that takes a [`Speed`], if it has one.
    pub speed: Option<&'static str>,
    /// The property that takes the bitrate; it can be set while frames flow.
    pub bitrate: &'static str,
    /// In what unit.
    pub bitrate_unit: BitrateUnit,
    /// The property that takes the frames from a key to the next.
    pub gop: &'static str,
    /// How to ask for a key.
    pub key: KeyRequest,
    /// Caps behind it.
    pub caps: &'static str,
}

/// All encoders, best first.
pub const ROWS: &[Row] = &[Row {
    element: "x264enc",
    // zerolatency: no look-ahead, no B-frames, slices instead of frames per thread. Keys only where we
    // want them: no scene cuts. vbv-buf-capacity in ms: keeps a key frame from holding up the link.
    fixed: "tune=zerolatency bframes=0 byte-stream=true vbv-buf-capacity=600 option-string=scenecut=0",
    speed: Some("speed-preset"),
    bitrate: "bitrate",
    bitrate_unit: BitrateUnit::Kilobits,
    gop: "key-int-max",
    key: KeyRequest::Event,
    // Main: every decoder has it.
    caps: "video/x-h264,profile=main",
}];

/// The row of the wanted element, or the first; `None` when the element has no row.
pub fn row(wanted: Option<&str>) -> Option<&'static Row> {
    match wanted {
        Some(element) => ROWS.iter().find(|row| row.element == element),
        None => ROWS.first(),
    }
}

impl Row {
    /// The element with its properties and the caps behind it, as a pipeline description; one GOP is
    /// one segment.
    pub fn describe(&self, name: &str, video: &Video, speed: Speed) -> String {
        let speed = match (self.speed, speed) {
            (None, _) => String::new(),
            (Some(property), Speed::Ultrafast) => format!(" {property}=ultrafast"),
            (Some(property), Speed::Superfast) => format!(" {property}=superfast"),
            (Some(property), Speed::Veryfast) => format!(" {property}=veryfast"),
        };
        let bitrate = self.bitrate_value(video.bitrate);
        format!(
            "{} name={name} {}{speed} {}={bitrate} {}={} ! {}",
            self.element,
            self.fixed,
            self.bitrate,
            self.gop,
            gop(video),
            self.caps
        )
    }

    /// The property's value for a bitrate in bit/s.
    pub fn bitrate_value(&self, bits: u32) -> u32 {
        match self.bitrate_unit {
            BitrateUnit::Bits => bits,
            BitrateUnit::Kilobits => (bits / 1000).max(1),
        }
    }
}

/// Frames in a segment, at least one.
fn gop(video: &Video) -> u64 {
    let millis = u64::try_from(video.segment.as_millis()).unwrap_or(u64::MAX);
    (millis.saturating_mul(u64::from(video.fps)) / 1000).max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_description_is_exact() {
        let row = row(None).unwrap();
        assert_eq!(
            row.describe("e", &Video::default(), Speed::Superfast),
            "x264enc name=e tune=zerolatency bframes=0 byte-stream=true vbv-buf-capacity=600 \
             option-string=scenecut=0 speed-preset=superfast bitrate=2000 key-int-max=48 \
             ! video/x-h264,profile=main"
        );
        let video = Video {
            fps: 15,
            segment: Duration::from_millis(1500),
            bitrate: 500,
            ..Video::default()
        };
        let text = row.describe("e", &video, Speed::Ultrafast);
        assert!(text.contains("speed-preset=ultrafast bitrate=1 key-int-max=22 !"), "{text}");
    }

    #[test]
    fn only_elements_with_a_row_are_known() {
        assert_eq!(row(Some("x264enc")), row(None));
        assert_eq!(row(Some("x265enc")), None);
    }
}
