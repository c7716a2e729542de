//! Frames of audio that wait for the next picture, with which they leave: video never waits for them.
//!
//! Full, the oldest makes room and is counted: pictures stay away, and sound without them is not sent.
//!
//! Does not: encode; a microphone's pipeline does.

use std::time::Duration;

use gstreamer as gst;
use heapless::Deque;

use crate::AudioCodec;
use crate::timeline::Timeline;
use mpegts::Ticks;

/// Frames of audio that may wait for the next picture: 3.2 s of 20 ms each, for pictures that come every 2.5 s.
const AUDIO_FRAMES: usize = 160;

/// What was heard since the last picture.
#[derive(Debug, Default)]
pub(super) struct Heard {
    codec: Option<AudioCodec>,
    waiting: Deque<(Duration, gst::Buffer), AUDIO_FRAMES>,
    last: Option<Ticks>,
    dropped: u64,
}

impl Heard {
    /// Nothing yet, but audio in this encoding will come.
    pub(super) fn new(codec: Option<AudioCodec>) -> Self {
        Self { codec, ..Self::default() }
    }

    /// What audio there is.
    pub(super) fn codec(&self) -> Option<AudioCodec> {
        self.codec
    }

    /// Frames that were dropped for want of a picture to leave with.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// A frame with this running time.
    pub(super) fn push(&mut self, running: Duration, frame: gst::Buffer) {
        if self.waiting.is_full() {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        let _ = self.waiting.push_back((running, frame));
    }

    /// All that waits, with its times in the channel, which only rise.
    pub(super) fn take(&mut self, timeline: &Timeline) -> Vec<(Ticks, gst::Buffer)> {
        let mut taken = Vec::new();
        while let Some((running, frame)) = self.waiting.pop_front() {
            let Some(pts) = timeline.at(running) else { continue };
            if self.last.is_none_or(|last| pts.since(last) > 0) {
                self.last = Some(pts);
                taken.push((pts, frame));
            }
        }
        taken
    }
}
