//! One access unit on its way, with the audio that leaves with it.
//!
//! Does not: copy what the encoder gave; clones share it.

use bytes::Bytes;
use gstreamer as gst;

use crate::timeline::Times;
use mpegts::{self, AudioFrame, Muxer, Ticks};

#[derive(Debug, Clone)]
pub(super) struct Unit {
    pub(super) buffer: gst::Buffer,
    pub(super) times: Times,
    pub(super) is_key: bool,
    /// What was heard before it came.
    pub(super) audio: Vec<(Ticks, gst::Buffer)>,
}

impl Unit {
    pub(super) fn bytes(&self) -> usize {
        self.buffer.size() + self.audio.iter().map(|(_, frame)| frame.size()).sum::<usize>()
    }

    /// As transport stream. `None` if its memory cannot be read.
    pub(super) fn mux(&self, muxer: &mut Muxer, begins: bool) -> Option<Bytes> {
        let map = self.buffer.map_readable().ok()?;
        let Times { pts, dts } = self.times;
        let unit = mpegts::AccessUnit { bytes: &map, pts, dts, is_key: self.is_key };
        let heard: Vec<_> = self
            .audio
            .iter()
            .filter_map(|(pts, frame)| Some((*pts, frame.map_readable().ok()?)))
            .collect();
        let frames: Vec<AudioFrame<'_>> =
            heard.iter().map(|(pts, bytes)| AudioFrame { bytes, pts: *pts }).collect();
        Some(muxer.mux_with_audio(&unit, &frames, begins))
    }
}
