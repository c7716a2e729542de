//! Describes what moves through the queue at one time, for a status.
//!
//! Does not: keep names, size and ages; they are read on request.

use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;

use super::AccessUnits;
use super::sink::Sink;
use crate::queue::Dropped;
use resilience::histogram::Durations;
use resilience::meter::Reading;

/// What moves from the source to the network, at one time.
#[derive(Debug, Clone, Default)]
pub struct Flow {
    /// The name of the source for users; empty before a source was opened.
    pub source: String,
    /// The GStreamer element of the encoder; `None` if H.264 is passed through, or before the pipeline is built.
    pub encoder: Option<String>,
    /// The bitrate that the encoder was given last, in bit/s; `None` if H.264 is passed through.
    pub bitrate: Option<u32>,
    /// Width and height of the encoded picture, once access units flow.
    pub size: Option<(u32, u32)>,
    /// Frames that went into the encoder, or into the parser when H.264 is passed through.
    pub captured: Reading,
    /// Access units that came out of the pipeline.
    pub encoded: Reading,
    /// Bytes of transport stream.
    pub bytes: Reading,
    /// Access units dropped before the network, by reason.
    pub dropped: Dropped,
    /// How long the access unit that is sent next has waited.
    pub age: Duration,
    /// The time from the encoder's input to its output, if [`AccessUnits::time_frames`] was called.
    pub encoding: Durations,
}

impl AccessUnits {
    /// What moves at `now`.
    pub fn flow(&self, now: Instant) -> Flow {
        let (sink, source, bitrate, dropped, age) = {
            let state = self.0.lock();
            let (queue, source) = (&state.queue, state.source.clone());
            (state.sink.clone(), source, state.bitrate, queue.dropped(), queue.age(now))
        };
        Flow {
            source,
            encoder: sink.as_ref().and_then(encoder),
            bitrate,
            size: sink.as_ref().and_then(size),
            captured: self.0.captured.read(now),
            encoded: self.0.encoded.read(now),
            bytes: self.0.bytes.read(now),
            dropped,
            age,
            encoding: self.0.encoding.read(now),
        }
    }

    /// The frames that went into the encoder, and the access units that came out of the pipeline, at `now`.
    pub fn moves(&self, now: Instant) -> [Reading; 2] {
        [self.0.captured.read(now), self.0.encoded.read(now)]
    }

    /// Sets the name of the source, and the bitrate that its encoder begins with.
    pub(in crate::io) fn describe(&self, source: String, bitrate: Option<u32>) {
        let mut state = self.0.lock();
        (state.source, state.bitrate) = (source, bitrate);
    }

    /// The name of the source.
    pub(in crate::io) fn source(&self) -> String {
        self.0.lock().source.clone()
    }

    /// Call it when the encoder was given another bitrate.
    pub(in crate::io) fn note_bitrate(&self, bitrate: u32) {
        self.0.lock().bitrate = Some(bitrate);
    }
}

/// The name of the encoder's element.
fn encoder(sink: &Sink) -> Option<String> {
    let encoder = sink.encoder.as_ref()?.upgrade()?;
    Some(encoder.factory()?.name().to_string())
}

/// The size of the picture in the caps of the encoded video.
fn size(sink: &Sink) -> Option<(u32, u32)> {
    let caps = sink.appsink.upgrade()?.static_pad("sink")?.current_caps()?;
    let video = caps.structure(0)?;
    let number = |video: &gst::StructureRef, name| video.get::<i32>(name).ok()?.try_into().ok();
    Some((number(video, "width")?, number(video, "height")?))
}
