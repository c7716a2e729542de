//! Collects one JSON document from each segment of an events channel.
//!
//! A document that is longer than [`EVENT_BODY`] or incomplete, or that comes while the queue is full, is dropped and
//! counted.
//!
//! Does not: parse the JSON.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::limits::{EVENT_BODY, EVENTS};
use crate::segment::Seq;
use crate::trickle::io::SegmentSink;

/// A sink of documents.
#[derive(Debug)]
pub struct Documents {
    body: Vec<u8>,
    too_long: bool,
    queue: mpsc::Sender<Bytes>,
    dropped: Arc<AtomicU64>,
}

impl Documents {
    /// A sink, and a queue of [`EVENTS`] documents to read from. The queue closes with the subscription.
    pub fn new() -> (Self, mpsc::Receiver<Bytes>) {
        let (queue, receiver) = mpsc::channel(EVENTS);
        let dropped = Arc::new(AtomicU64::new(0));
        (Self { body: Vec::new(), too_long: false, queue, dropped }, receiver)
    }

    /// A counter of dropped documents, which keeps counting while the sink is in use.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }
}

impl SegmentSink for Documents {
    fn begin(&mut self, _seq: Seq, _content_type: &str) {
        self.body.clear();
        self.too_long = false;
    }

    fn bytes(&mut self, bytes: &Bytes) {
        if self.too_long || self.body.len() + bytes.len() > EVENT_BODY {
            self.too_long = true;
            self.body.clear();
        } else {
            self.body.extend_from_slice(bytes);
        }
    }

    fn end(&mut self, complete: bool) {
        let document = Bytes::from(std::mem::take(&mut self.body));
        if !complete || self.too_long || self.queue.try_send(document).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(parts: &[usize], complete: bool, expected: Option<usize>) {
        let (mut sink, mut queue) = Documents::new();
        // Drop the bytes of an earlier document.
        sink.begin(Seq(0), "application/json");
        sink.bytes(&Bytes::from(vec![b'x'; EVENT_BODY + 1]));
        sink.end(true);
        sink.begin(Seq(1), "application/json");
        for part in parts {
            sink.bytes(&Bytes::from(vec![b' '; *part]));
        }
        sink.end(complete);
        assert_eq!(queue.try_recv().ok().map(|document| document.len()), expected);
        let dropped = 1 + u64::from(expected.is_none());
        assert_eq!(sink.dropped().load(Ordering::Relaxed), dropped);
    }

    #[test]
    fn only_complete_segments_within_the_bound_become_documents() {
        check(&[2, 3], true, Some(5));
        check(&[EVENT_BODY], true, Some(EVENT_BODY));
        check(&[EVENT_BODY, 1], true, None);
        check(&[EVENT_BODY, 1, 1], true, None);
        check(&[5], false, None);
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let (mut sink, _queue) = Documents::new();
        for seq in 0..=EVENTS {
            sink.begin(Seq(seq as u64), "application/json");
            sink.bytes(&Bytes::from_static(b"{}"));
            sink.end(true);
        }
        assert_eq!(sink.dropped().load(Ordering::Relaxed), 1);
    }
}
