//! Measures the returned video: counts its access units, and the latency of each.
//!
//! Does not: check the stream; the sandbox checks it when it is published.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use crate::status::Latency;
use livepeer_gateway::segment::Seq;
use livepeer_gateway::trickle::io::SegmentSink;
use media::io::AccessUnits;
use mpegts::{Reader, Ticks, TsEvent};

/// The measurements of a probe.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Access units that returned whole.
    pub(super) frames: u64,
    /// Access units whose PTS is not later than that of the one received before.
    pub(super) out_of_order: u64,
    /// The latency from the encoder's input to the last byte received.
    pub(super) latency: Latency,
}

/// An output that measures.
pub(super) struct Probe {
    seen: Arc<Mutex<Seen>>,
    units: AccessUnits,
    reader: Reader,
    last: Option<Ticks>,
    now: fn() -> Instant,
}

impl Probe {
    /// Creates a probe. It asks `units` when a frame entered the encoder, and `now` for the time.
    pub(super) fn new(units: AccessUnits, now: fn() -> Instant) -> (Self, Arc<Mutex<Seen>>) {
        let seen = Arc::<Mutex<Seen>>::default();
        let probe = Self { seen: Arc::clone(&seen), units, reader: Reader::new(), last: None, now };
        (probe, seen)
    }

    fn watch(&mut self, push: impl FnOnce(&mut Reader, &mut dyn FnMut(TsEvent))) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (units, last, now) = (&self.units, &mut self.last, self.now);
        push(&mut self.reader, &mut |report| {
            let TsEvent::Unit(unit) = report else { return };
            let Some(pts) = unit.pts.filter(|_| unit.is_video && !unit.cut_short) else { return };
            if last.is_some_and(|last| pts.since(last) <= 0) {
                seen.out_of_order += 1;
            }
            *last = Some(pts);
            seen.frames += 1;
            if let Some(entered) = units.entered(pts) {
                seen.latency.add(now().saturating_duration_since(entered));
            }
        });
    }
}

impl SegmentSink for Probe {
    fn begin(&mut self, _seq: Seq, _content_type: &str) {}

    fn bytes(&mut self, bytes: &Bytes) {
        self.watch(|reader, report| reader.push(bytes, &mut |r| report(r)));
    }

    fn end(&mut self, _complete: bool) {
        self.watch(|reader, report| reader.flush(&mut |r| report(r)));
    }
}
