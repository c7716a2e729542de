//! One channel: stores the last segments, finds the segment that a GET or POST refers to, and tells whether the channel
//! is idle.
//!
//! Segment n is stored in slot n mod 5, so it replaces segment n − 5. A GET at the leading edge creates the segment
//! that the GET waits for; a POST later writes to this segment. A replaced segment exists as long as a reader or writer
//! uses it.
//!
//! Does not: use sockets or the clock; callers await the bytes of a segment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use livepeer_gateway::limits::SEGMENTS_KEPT;

/// Maximum number of bytes that a reader gets at once.
const PART: usize = 1 << 20;

/// The segment that a path refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Index {
    /// The segment with this seq.
    Seq(u64),
    /// `-1` in a path: the next segment to be written.
    Next,
    /// `-2` in a path: the segment being written, or the first segment.
    Current,
    /// A number below `-2`, at which the real server's handler panics.
    Invalid,
}

impl Index {
    /// Parses the last part of a path.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text.parse::<i64>().ok()? {
            -1 => Self::Next,
            -2 => Self::Current,
            seq => u64::try_from(seq).map_or(Self::Invalid, Self::Seq),
        })
    }
}

/// The bytes of a segment that have arrived so far.
#[derive(Debug, Default)]
struct SegmentBody {
    bytes: Vec<u8>,
    /// Readers stop waiting for more bytes, but a publisher that has begun may still add some.
    closed: bool,
    /// The publisher has completed the segment.
    complete: bool,
}

/// The next bytes of a segment for a reader.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SegmentBytes {
    /// The bytes; empty only at the end.
    pub(crate) bytes: Vec<u8>,
    /// How the segment ended, if these are the last bytes.
    pub(crate) end: Option<SegmentEnd>,
}

/// How a segment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SegmentEnd {
    /// The publisher completed the segment.
    Complete,
    /// The segment was closed before its publisher completed it.
    Closed,
}

/// A numbered segment with a body that readers can await.
#[derive(Debug)]
pub(crate) struct Segment {
    /// The sequence number.
    pub(crate) seq: u64,
    body: watch::Sender<SegmentBody>,
}

impl Segment {
    fn new(seq: u64) -> Arc<Self> {
        Arc::new(Self { seq, body: watch::Sender::new(SegmentBody::default()) })
    }

    /// Waits for bytes after the first `at`, or for the end. Cancel safe.
    pub(crate) async fn after(&self, at: usize) -> SegmentBytes {
        let mut watch = self.body.subscribe();
        // This cannot fail, because the sender is in `self`.
        let body = watch.wait_for(|body| body.closed || body.bytes.len() > at).await;
        body.map_or(SegmentBytes { bytes: Vec::new(), end: Some(SegmentEnd::Closed) }, |body| {
            let rest = body.bytes.get(at..).unwrap_or_default();
            let bytes = rest.get(..PART).unwrap_or(rest).to_vec();
            let ended = body.closed && bytes.len() == rest.len();
            let end = if body.complete { SegmentEnd::Complete } else { SegmentEnd::Closed };
            SegmentBytes { bytes, end: ended.then_some(end) }
        })
    }

    /// Waits until the segment is closed. Cancel safe.
    pub(crate) async fn closed(&self) {
        let mut watch = self.body.subscribe();
        // This cannot fail, because the sender is in `self`.
        let _closed = watch.wait_for(|body| body.closed).await.is_ok();
    }

    /// Adds bytes, also to a closed segment. Returns false and adds nothing if the segment would exceed `limit` bytes.
    pub(crate) fn write(&self, bytes: &[u8], limit: u64) -> bool {
        self.body.send_if_modified(|body| {
            let fits = (body.bytes.len() + bytes.len()) as u64 <= limit;
            if fits {
                body.bytes.extend_from_slice(bytes);
            }
            fits
        })
    }

    /// Call when the publisher has sent the whole segment.
    pub(crate) fn complete(&self) {
        self.body.send_modify(|body| {
            body.closed = true;
            body.complete = true;
        });
    }

    /// Closes the segment: readers stop waiting.
    pub(crate) fn close(&self) {
        self.body.send_if_modified(|body| !std::mem::replace(&mut body.closed, true));
    }

    /// Whether the segment has bytes.
    pub(crate) fn is_begun(&self) -> bool {
        !self.body.borrow().bytes.is_empty()
    }

    /// Whether the segment is closed.
    #[cfg(test)]
    fn is_closed(&self) -> bool {
        self.body.borrow().closed
    }
}

/// The result of a GET.
#[derive(Debug)]
pub(crate) enum Readable {
    /// The segment to read, which may still be empty.
    Segment(Arc<Segment>),
    /// The seq is too old, or too far ahead.
    Missing,
}

/// Whether a channel can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChannelState {
    Open,
    Closed,
    /// No request is answered any more, as on the real server after `DELETE channel/-1`, a bug that lasts until a
    /// restart.
    Wedged,
}

/// A trickle channel.
#[derive(Debug)]
pub(crate) struct Channel {
    content_type: String,
    next: u64,
    written: Instant,
    slots: [Option<Arc<Segment>>; SEGMENTS_KEPT as usize],
    state: ChannelState,
}

impl Channel {
    /// An empty channel for segments of this MIME type.
    pub(crate) fn new(content_type: &str, now: Instant) -> Self {
        Self {
            content_type: content_type.to_owned(),
            next: 0,
            written: now,
            slots: Default::default(),
            state: ChannelState::Open,
        }
    }

    /// The MIME type of the channel's segments.
    pub(crate) fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The leading edge: the seq to write next.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Whether the channel has been closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.state == ChannelState::Closed
    }

    /// Whether requests to the channel must stay without an answer.
    pub(crate) fn is_wedged(&self) -> bool {
        self.state == ChannelState::Wedged
    }

    /// The segment that a GET refers to; `None` if the real server's handler would panic. If the GET refers to the
    /// segment at the leading edge, or in an empty channel to the one after it, this segment is created.
    pub(crate) fn read(&mut self, index: Index) -> Option<Readable> {
        let seq = match index {
            Index::Seq(seq) => seq,
            Index::Next => self.next,
            Index::Current => self.next.saturating_sub(1),
            Index::Invalid => return None,
        };
        if let Some(segment) = self.find(seq) {
            return Some(Readable::Segment(Arc::clone(segment)));
        }
        if seq == self.next || (self.next == 0 && seq == 1) {
            return Some(Readable::Segment(self.place(seq)));
        }
        Some(Readable::Missing)
    }

    /// The segment that a POST refers to, created if it does not exist; `None` if the real server's handler would
    /// panic. With `reset`, all segments before this one are closed.
    pub(crate) fn write(&mut self, index: Index, reset: bool) -> Option<Arc<Segment>> {
        let seq = match index {
            Index::Seq(seq) => seq,
            Index::Next => self.next,
            Index::Current | Index::Invalid => return None,
        };
        if reset {
            self.slots.iter().flatten().filter(|s| s.seq < seq).for_each(|s| s.close());
        }
        Some(match self.find(seq) {
            Some(segment) => Arc::clone(segment),
            None => self.place(seq),
        })
    }

    /// Call when a publisher has sent the first byte of this segment, or an empty body. The leading edge becomes `seq`
    /// + 1, even if that is lower than before.
    pub(crate) fn advance(&mut self, seq: u64, now: Instant) {
        self.next = seq.saturating_add(1);
        self.written = now;
    }

    /// Closes one segment. Returns false if the channel does not have this seq.
    pub(crate) fn close_segment(&mut self, seq: u64) -> bool {
        self.find(seq).is_some_and(|segment| {
            segment.close();
            true
        })
    }

    /// Closes the channel and all its segments.
    pub(crate) fn close(&mut self) {
        self.state = ChannelState::Closed;
        for slot in &mut self.slots {
            if let Some(segment) = slot.take() {
                segment.close();
            }
        }
    }

    /// Simulates a handler of the real server that panicked while it held the lock of this channel.
    pub(crate) fn wedge(&mut self) {
        self.state = ChannelState::Wedged;
    }

    /// Whether the last segment began longer than `limit` ago.
    pub(crate) fn is_idle(&self, now: Instant, limit: Duration) -> bool {
        now.saturating_duration_since(self.written) > limit
    }

    fn find(&self, seq: u64) -> Option<&Arc<Segment>> {
        self.slots.iter().flatten().find(|segment| segment.seq == seq)
    }

    fn place(&mut self, seq: u64) -> Arc<Segment> {
        let segment = Segment::new(seq);
        let slot = usize::try_from(seq % SEGMENTS_KEPT).unwrap_or_default();
        if let Some(slot) = self.slots.get_mut(slot)
            && let Some(replaced) = slot.replace(Arc::clone(&segment))
        {
            replaced.close();
        }
        segment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel() -> (Channel, Instant) {
        let now = Instant::now();
        (Channel::new("video/mp2t", now), now)
    }

    fn publish(channel: &mut Channel, seq: u64) -> Arc<Segment> {
        let segment = channel.write(Index::Seq(seq), false).unwrap();
        assert!(segment.write(b"x", 100));
        channel.advance(seq, Instant::now());
        segment.complete();
        segment
    }

    /// Compares the seq that a GET finds; `None` for 470.
    #[track_caller]
    fn check(channel: &mut Channel, index: Index, expected: Option<u64>) {
        match channel.read(index).unwrap() {
            Readable::Segment(segment) => assert_eq!(Some(segment.seq), expected, "{index:?}"),
            Readable::Missing => assert_eq!(None, expected, "{index:?}"),
        }
    }

    #[test]
    fn paths_name_segments() {
        assert_eq!(Index::parse("7"), Some(Index::Seq(7)));
        assert_eq!(Index::parse("-1"), Some(Index::Next));
        assert_eq!(Index::parse("-2"), Some(Index::Current));
        assert_eq!(Index::parse("-3"), Some(Index::Invalid));
        assert_eq!(Index::parse("abc"), None);
        assert_eq!(Index::parse("1.5"), None);
    }

    #[test]
    fn readers_can_wait_for_the_next_segment_and_in_an_empty_channel_for_the_one_after_it() {
        let (mut channel, _) = channel();
        check(&mut channel, Index::Seq(2), None);
        check(&mut channel, Index::Current, Some(0));
        check(&mut channel, Index::Next, Some(0));
        check(&mut channel, Index::Seq(1), Some(1));
        for seq in 0..3 {
            publish(&mut channel, seq);
        }
        check(&mut channel, Index::Current, Some(2));
        check(&mut channel, Index::Next, Some(3));
        check(&mut channel, Index::Seq(4), None);
    }

    #[test]
    fn five_segments_are_kept_and_a_preconnect_replaces_the_oldest() {
        let (mut channel, _) = channel();
        for seq in 0..7 {
            publish(&mut channel, seq);
        }
        check(&mut channel, Index::Seq(1), None);
        check(&mut channel, Index::Seq(2), Some(2));
        let preconnected = channel.write(Index::Seq(7), false).unwrap();
        check(&mut channel, Index::Seq(2), None);
        check(&mut channel, Index::Seq(3), Some(3));
        assert_eq!(channel.next(), 7);
        assert!(!preconnected.is_closed());
    }

    #[test]
    fn a_replaced_segment_is_closed() {
        let (mut channel, _) = channel();
        let abandoned = channel.write(Index::Seq(0), false).unwrap();
        channel.advance(0, Instant::now());
        for seq in 1..5 {
            publish(&mut channel, seq);
            assert!(!abandoned.is_closed());
        }
        publish(&mut channel, 5);
        assert!(abandoned.is_closed() && !abandoned.body.borrow().complete);
    }

    #[test]
    fn a_reset_closes_the_segments_before_it() {
        let (mut channel, _) = channel();
        let abandoned = channel.write(Index::Seq(0), false).unwrap();
        channel.advance(0, Instant::now());
        let ahead = channel.write(Index::Seq(2), false).unwrap();
        assert!(!channel.write(Index::Seq(1), true).unwrap().is_closed());
        assert!(abandoned.is_closed());
        assert!(!ahead.is_closed());
    }

    #[test]
    fn a_seq_that_is_sent_again_moves_the_leading_edge_back() {
        let (mut channel, now) = channel();
        publish(&mut channel, 0);
        publish(&mut channel, 1);
        assert!(channel.write(Index::Seq(0), false).unwrap().is_closed());
        channel.advance(0, now);
        assert_eq!(channel.next(), 1);
    }

    #[test]
    fn closing_ends_every_segment() {
        let (mut channel, _) = channel();
        let waiting = channel.write(Index::Next, false).unwrap();
        assert!(channel.close_segment(0) && !channel.close_segment(9));
        channel.close();
        assert!(channel.is_closed() && waiting.is_closed());
    }

    #[test]
    fn only_the_first_byte_of_a_segment_counts_as_activity() {
        let (mut channel, now) = channel();
        let (limit, later) = (Duration::from_secs(300), now + Duration::from_secs(200));
        channel.write(Index::Next, false).unwrap();
        assert!(!channel.is_idle(now + limit, limit));
        assert!(channel.is_idle(now + limit + Duration::from_millis(1), limit));
        channel.advance(0, later);
        assert!(!channel.is_idle(later + limit, limit));
    }

    #[test]
    fn a_segment_does_not_grow_above_its_limit() {
        let segment = Segment::new(0);
        assert!(segment.write(b"abc", 4));
        assert!(!segment.write(b"de", 4));
        assert_eq!(segment.body.borrow().bytes, b"abc");
    }
}
