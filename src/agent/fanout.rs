//! The one fan-out of returned bytes: counts them, tells the loop of each segment, hands them to every output.
//!
//! Does not: block; an output that cannot keep up drops by itself and counts it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::agent::event::Event;
use crate::segment::Seq;
use crate::status::Returned;
use crate::trickle::io::SegmentSink;

/// An output of the processed video. Its methods must return at once.
pub trait OutputSink: Send {
    /// A segment begins.
    fn begin(&mut self);
    /// A part of a segment, as it arrived.
    fn bytes(&mut self, bytes: &Bytes);
    /// The segment is over; `complete` tells whether all of it came.
    fn end(&mut self, complete: bool);
}

/// The outputs, which outlive each job.
pub(super) type Outputs = Arc<Mutex<Vec<Box<dyn OutputSink>>>>;

/// All outputs, for one job.
pub(super) struct Fanout {
    outputs: Outputs,
    returned: Arc<Returned>,
    events: mpsc::Sender<Event>,
}

impl Fanout {
    pub(super) fn new(
        outputs: Outputs,
        returned: Arc<Returned>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        Self { outputs, returned, events }
    }

    fn each(&self, tell: impl FnMut(&mut Box<dyn OutputSink>)) {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner).iter_mut().for_each(tell);
    }
}

impl SegmentSink for Fanout {
    fn begin(&mut self, _seq: Seq, _content_type: &str) {
        self.returned.add_segment();
        // A full queue holds other events, so the loop is awake: a lost sign of life harms nothing.
        let _ = self.events.try_send(Event::Output);
        self.each(|output| output.begin());
    }

    fn bytes(&mut self, bytes: &Bytes) {
        self.returned.add_bytes(bytes.len());
        self.each(|output| output.bytes(bytes));
    }

    fn end(&mut self, complete: bool) {
        self.each(|output| output.end(complete));
    }
}
