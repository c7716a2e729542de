//! The queue of audio frames that are sent together with the next picture. Video never waits for audio.
//!
//! When the queue is full, as when no pictures come, the oldest frame is dropped and counted: audio is not sent without
//! pictures.
//!
//! When audio ends and may start again, as in a file that repeats, the frames in the queue get their media times at
//! once: later frames have running times that count from another start.
//!
//! Does not: encode; the pipeline does.

use std::time::Duration;

use gstreamer as gst;
use heapless::Deque;

use crate::AudioCodec;
use crate::timeline::Timeline;
use mpegts::Ticks;

/// Audio frames that may wait for the next picture: 3.2 s of 20 ms each, for pictures that come every 2.5 s.
const AUDIO_FRAMES: usize = 160;

/// The audio frames that came since the last picture.
#[derive(Debug, Default)]
pub(super) struct Heard {
    codec: Option<AudioCodec>,
    waiting: Deque<(At, gst::Buffer), AUDIO_FRAMES>,
    last: Option<Ticks>,
    dropped: u64,
}

/// The time of an audio frame: its running time, or its media time in the channel.
#[derive(Debug, Clone, Copy)]
enum At {
    Running(Duration),
    Channel(Ticks),
}

impl Heard {
    /// An empty queue for audio in this encoding.
    pub(super) fn new(codec: Option<AudioCodec>) -> Self {
        Self { codec, ..Self::default() }
    }

    /// The encoding of the audio, if there is audio.
    pub(super) fn codec(&self) -> Option<AudioCodec> {
        self.codec
    }

    /// Frames that were dropped because no picture came to send them with.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Adds a frame with this running time; drops the oldest if the queue is full.
    pub(super) fn push(&mut self, running: Duration, frame: gst::Buffer) {
        if self.waiting.is_full() {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        let _ = self.waiting.push_back((At::Running(running), frame));
    }

    /// Call this before running times start again: the queued frames get their media times now.
    pub(super) fn settle(&mut self, timeline: &Timeline) {
        for _ in 0..self.waiting.len() {
            let Some((at, frame)) = self.waiting.pop_front() else { return };
            if let Some(pts) = at.in_channel(timeline) {
                let _ = self.waiting.push_back((At::Channel(pts), frame));
            }
        }
    }

    /// Takes all frames, with their media times, which only rise.
    pub(super) fn take(&mut self, timeline: &Timeline) -> Vec<(Ticks, gst::Buffer)> {
        let mut taken = Vec::new();
        while let Some((at, frame)) = self.waiting.pop_front() {
            let Some(pts) = at.in_channel(timeline) else { continue };
            if self.last.is_none_or(|last| pts.since(last) > 0) {
                self.last = Some(pts);
                taken.push((pts, frame));
            }
        }
        taken
    }
}

impl At {
    fn in_channel(self, timeline: &Timeline) -> Option<Ticks> {
        match self {
            Self::Running(running) => timeline.at(running),
            Self::Channel(pts) => Some(pts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queued_audio_keeps_its_times_when_running_times_start_again() {
        gstreamer::init().unwrap();
        let (mut heard, mut timeline) = (Heard::new(Some(AudioCodec::Opus)), Timeline::default());
        let ms = Duration::from_millis;
        let times = |heard: &mut Heard, timeline: &Timeline| -> Vec<u64> {
            let taken = heard.take(timeline);
            taken.iter().map(|(pts, _)| pts.value() / 90 - 1000).collect()
        };
        timeline.place(ms(0), None);
        timeline.place(ms(1000), None);
        heard.push(ms(1000), gst::Buffer::new());
        heard.push(ms(1020), gst::Buffer::new());
        heard.settle(&timeline);
        heard.push(ms(0), gst::Buffer::new());
        heard.push(ms(20), gst::Buffer::new());
        heard.push(ms(40), gst::Buffer::new());
        // The next picture follows after the same step as between the last two.
        timeline.place(ms(0), None);
        assert_eq!(times(&mut heard, &timeline), [1000, 1020, 2000, 2020, 2040]);
    }
}
