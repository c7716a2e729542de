//! One access unit in the queue, with the audio frames that are sent with it.
//!
//! Does not: copy the encoder's buffer; clones share it.

use std::time::Duration;

use bytes::Bytes;
use gstreamer as gst;

use crate::timeline::Times;
use mpegts::{self, AudioFrame, Muxer, Ticks};

#[derive(Debug, Clone)]
pub(super) struct Unit {
    pub(super) buffer: gst::Buffer,
    pub(super) times: Times,
    pub(super) is_key: bool,
    /// The audio frames that came before this access unit, with their media times.
    pub(super) audio: Vec<(Ticks, gst::Buffer)>,
}

impl Unit {
    pub(super) fn bytes(&self) -> usize {
        self.buffer.size() + self.audio.iter().map(|(_, frame)| frame.size()).sum::<usize>()
    }

    /// Muxes the access unit and its audio into a transport stream. `None` if the buffer's memory cannot be read.
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

/// Converts a timestamp to running time; `None` if `segment` is not in time format or does not contain it.
pub(super) fn running_time(segment: &gst::Segment, time: gst::ClockTime) -> Option<Duration> {
    segment.downcast_ref::<gst::ClockTime>()?.to_running_time(time).map(Duration::from)
}
