//! Receives processed video: counts it, notifies the loop of each segment, joins the segments to one stream, whose times
//! go on over a change of the job, and writes the stream to every output.
//!
//! Does not: block; an output that cannot keep up drops video itself and counts it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::agent::event::JobsEvent;
use crate::status::Status;
use livepeer_gateway::segment::Seq;
use livepeer_gateway::trickle::io::SegmentSink;
use mpegts::{FrameScanner, Joiner, TimeShift};

/// The outputs of processed video and the stream that they receive; both outlive each job. Clones share them. An output
/// receives whole packets, if the video is a transport stream.
#[derive(Clone, Default)]
pub struct Outputs(Arc<Mutex<SharedOutputs>>);

#[derive(Default)]
struct SharedOutputs {
    outputs: Vec<Output>,
    joiner: Joiner,
    shift: TimeShift,
    /// The number of the output that is attached next.
    next: u64,
}

/// One output. An output receives nothing before a segment has begun.
struct Output {
    /// The number of an attached output; `None` for one of the configuration.
    number: Option<u64>,
    has_begun: bool,
    sink: Box<dyn SegmentSink>,
}

/// An output that [`Outputs::attach`] has added. Keep it as long as the output is wanted: dropping it detaches the
/// output.
#[must_use = "dropping it detaches the output"]
pub struct Attached {
    outputs: Outputs,
    number: u64,
}

impl Drop for Attached {
    fn drop(&mut self) {
        let mut shared = self.outputs.lock();
        let at = shared.outputs.iter().position(|output| output.number == Some(self.number));
        let detached = at.map(|at| shared.outputs.swap_remove(at));
        // Dropping a sink may take long, which must not delay the other outputs.
        drop(shared);
        drop(detached);
    }
}

impl Outputs {
    /// The outputs of the configuration.
    pub(super) fn new(sinks: Vec<Box<dyn SegmentSink>>) -> Self {
        let outputs = Self::default();
        outputs.replace(sinks);
        outputs
    }

    /// Adds an output, which receives the stream from the next segment on. The caller limits the number of outputs.
    /// `sink` must not block, and must not drop its own [`Attached`].
    pub fn attach(&self, sink: Box<dyn SegmentSink>) -> Attached {
        let mut shared = self.lock();
        let number = shared.next;
        shared.next += 1;
        shared.outputs.push(Output { number: Some(number), has_begun: false, sink });
        drop(shared);
        Attached { outputs: self.clone(), number }
    }

    /// Replaces the outputs of the configuration. Attached outputs stay.
    pub(super) fn replace(&self, sinks: Vec<Box<dyn SegmentSink>>) {
        let configured = |sink| Output { number: None, has_begun: false, sink };
        let new: Vec<Output> = sinks.into_iter().map(configured).collect();
        let mut shared = self.lock();
        let old = std::mem::replace(&mut shared.outputs, new);
        let (attached, replaced): (Vec<_>, _) =
            old.into_iter().partition(|output| output.number.is_some());
        shared.outputs.extend(attached);
        drop(shared);
        drop::<Vec<_>>(replaced);
    }

    fn lock(&self) -> MutexGuard<'_, SharedOutputs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SharedOutputs {
    fn begin(&mut self, seq: Seq, content_type: &str) {
        self.joiner.begin();
        self.shift.begin();
        for output in &mut self.outputs {
            output.has_begun = true;
            output.sink.begin(seq, content_type);
        }
    }

    /// Writes whole packets, whose times go on over a change of the job.
    fn write(&mut self, packets: &Bytes, now: Instant) {
        if !packets.is_empty() {
            let shifted = self.shift.push(packets, now);
            self.begun().for_each(|output| output.sink.bytes(&shifted));
        }
    }

    fn end(&mut self, complete: bool, now: Instant) {
        let rest = self.joiner.end(complete);
        self.write(&rest, now);
        self.begun().for_each(|output| output.sink.end(complete));
    }

    fn begun(&mut self) -> impl Iterator<Item = &mut Output> {
        self.outputs.iter_mut().filter(|output| output.has_begun)
    }
}

/// The sink of one job's processed video: all outputs.
pub(super) struct Fanout {
    outputs: Outputs,
    status: Status,
    frames: FrameScanner,
    events: mpsc::Sender<JobsEvent>,
}

impl Fanout {
    /// Writes to `outputs` and counts in `status`; each segment is an event.
    pub(super) fn new(outputs: Outputs, status: Status, events: mpsc::Sender<JobsEvent>) -> Self {
        Self { outputs, status, frames: FrameScanner::new(), events }
    }

    /// Counts the frames that begin in these packets.
    fn count(&mut self, packets: &Bytes, now: Instant) {
        let status = &self.status;
        self.frames.push(packets, &mut |pts| status.note_frame(pts, now));
    }
}

impl SegmentSink for Fanout {
    fn begin(&mut self, seq: Seq, content_type: &str) {
        self.status.returned.segments.add(1, Instant::now());
        // A full queue holds other events, so the loop is awake: this notification may be lost.
        let _ = self.events.try_send(JobsEvent::Output);
        self.outputs.lock().begin(seq, content_type);
    }

    fn bytes(&mut self, bytes: &Bytes) {
        let now = Instant::now();
        self.status.returned.bytes.add(bytes.len() as u64, now);
        let joined = {
            let mut outputs = self.outputs.lock();
            let joined = outputs.joiner.push(bytes);
            outputs.write(&joined, now);
            joined
        };
        self.count(&joined, now);
    }

    fn end(&mut self, complete: bool) {
        self.outputs.lock().end(complete, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An output that keeps all bytes.
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl SegmentSink for Kept {
        fn begin(&mut self, _seq: Seq, _content_type: &str) {}

        fn bytes(&mut self, bytes: &Bytes) {
            self.0.lock().unwrap().extend_from_slice(bytes);
        }

        fn end(&mut self, _complete: bool) {}
    }

    #[test]
    fn continuity_counters_continue_over_segments_and_jobs() {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let outputs = Outputs::new(vec![Box::new(Kept(Arc::clone(&kept)))]);
        let packets: Vec<u8> =
            (0..3).flat_map(|n| [&[0x47, 1, 0, 0x10 | n][..], &[0; 184]].concat()).collect();
        let (events, mut received) = mpsc::channel(4);
        for _job in 0..2 {
            let mut job = Fanout::new(outputs.clone(), Status::default(), events.clone());
            for seq in 0..2 {
                job.begin(Seq(seq), "video/mp2t");
                for chunk in packets.chunks(100) {
                    job.bytes(&Bytes::copy_from_slice(chunk));
                }
                job.end(true);
                assert!(matches!(received.try_recv(), Ok(JobsEvent::Output)));
            }
            assert_eq!(job.status.returned.bytes.count(), 2 * packets.len() as u64);
        }
        let kept = kept.lock().unwrap();
        let counters: Vec<u8> = kept.chunks(188).map(|packet| packet[3] & 0x0f).collect();
        assert_eq!(counters, (0..12).collect::<Vec<u8>>());
    }

    #[test]
    fn an_attached_output_gets_the_stream_from_the_next_segment_until_it_is_detached() {
        let (first, second) = (Arc::default(), Arc::default());
        let outputs = Outputs::new(vec![Box::new(Kept(Arc::clone(&first)))]);
        let (events, _received) = mpsc::channel(4);
        let mut job = Fanout::new(outputs.clone(), Status::default(), events);
        let mut segment = |attach: bool| {
            job.begin(Seq(0), "text/plain");
            job.bytes(&Bytes::from_static(b"ab"));
            let attached = attach.then(|| outputs.attach(Box::new(Kept(Arc::clone(&second)))));
            job.bytes(&Bytes::from_static(b"cd"));
            job.end(true);
            attached
        };
        let length = |kept: &Mutex<Vec<u8>>| kept.lock().unwrap().len();
        let attached = segment(true);
        assert_eq!((length(&first), length(&second)), (4, 0));
        // Another configuration does not detach an attached output.
        outputs.replace(Vec::new());
        segment(false);
        assert_eq!((length(&first), length(&second)), (4, 4));
        drop(attached);
        segment(false);
        assert_eq!((length(&second), Arc::strong_count(&second)), (4, 1));
    }
}
