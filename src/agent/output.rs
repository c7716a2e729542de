//! Receives processed video: counts it, notifies the loop of each segment, joins the segments to one stream and writes
//! the stream to every output.
//!
//! Does not: block; an output that cannot keep up drops video itself and counts it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::agent::event::JobsEvent;
use crate::status::Returned;
use livepeer_gateway::segment::Seq;
use livepeer_gateway::trickle::io::SegmentSink;
use mpegts::Joiner;

/// The outputs of processed video and the stream that they receive; both outlive each job. An output receives whole
/// packets, if the video is a transport stream.
#[derive(Clone, Default)]
pub(super) struct Outputs(Arc<Mutex<Shared>>);

#[derive(Default)]
struct Shared {
    sinks: Vec<Box<dyn SegmentSink>>,
    joiner: Joiner,
}

impl Outputs {
    pub(super) fn new(sinks: Vec<Box<dyn SegmentSink>>) -> Self {
        Self(Arc::new(Mutex::new(Shared { sinks, joiner: Joiner::new() })))
    }

    /// Replaces all outputs.
    pub(super) fn replace(&self, sinks: Vec<Box<dyn SegmentSink>>) {
        self.lock().sinks = sinks;
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn write(&mut self, bytes: &Bytes) {
        if !bytes.is_empty() {
            self.sinks.iter_mut().for_each(|sink| sink.bytes(bytes));
        }
    }
}

/// The sink of one job's processed video: all outputs.
pub(super) struct Fanout {
    outputs: Outputs,
    returned: Arc<Returned>,
    events: mpsc::Sender<JobsEvent>,
}

impl Fanout {
    pub(super) fn new(
        outputs: Outputs,
        returned: Arc<Returned>,
        events: mpsc::Sender<JobsEvent>,
    ) -> Self {
        Self { outputs, returned, events }
    }
}

impl SegmentSink for Fanout {
    fn begin(&mut self, seq: Seq, content_type: &str) {
        self.returned.add_segment();
        // A full queue holds other events, so the loop is awake: this notification may be lost.
        let _ = self.events.try_send(JobsEvent::Output);
        let mut outputs = self.outputs.lock();
        outputs.joiner.begin();
        outputs.sinks.iter_mut().for_each(|sink| sink.begin(seq, content_type));
    }

    fn bytes(&mut self, bytes: &Bytes) {
        self.returned.add_bytes(bytes.len());
        let mut outputs = self.outputs.lock();
        let joined = outputs.joiner.push(bytes);
        outputs.write(&joined);
    }

    fn end(&mut self, complete: bool) {
        let mut outputs = self.outputs.lock();
        let rest = outputs.joiner.end(complete);
        outputs.write(&rest);
        outputs.sinks.iter_mut().for_each(|sink| sink.end(complete));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

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
            let mut job = Fanout::new(outputs.clone(), Arc::default(), events.clone());
            for seq in 0..2 {
                job.begin(Seq(seq), "video/mp2t");
                for chunk in packets.chunks(100) {
                    job.bytes(&Bytes::copy_from_slice(chunk));
                }
                job.end(true);
                assert!(matches!(received.try_recv(), Ok(JobsEvent::Output)));
            }
            assert_eq!(job.returned.bytes.load(Ordering::Relaxed), 2 * packets.len() as u64);
        }
        let kept = kept.lock().unwrap();
        let counters: Vec<u8> = kept.chunks(188).map(|packet| packet[3] & 0x0f).collect();
        assert_eq!(counters, (0..12).collect::<Vec<u8>>());
    }
}
