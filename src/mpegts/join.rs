//! Joins the segments of returned video to one stream: their continuity counters go on from one to the next.
//!
//! The network's runner lets libav write each segment by a muxer of its own, whose counters begin at 0. Read as
//! one stream, each segment then seems to lack packets: ffmpeg calls its first ones corrupt.
//!
//! For each PID the counters of a segment are moved by one number, so within it all stays as it came: packets
//! without payload do not count, one that was sent twice is there twice, and a gap is a gap.
//!
//! | the segment before | the first counter of a PID becomes |
//! |---|---|
//! | whole | the one after the last; the last one again if the packet has no payload |
//! | broke off | one more than that, so that a reader knows the last picture for incomplete |
//! | none | 0 |
//!
//! Only whole packets are given out. What comes after the last whole packet of a segment is dropped, so that the
//! next segment begins on a packet's border. A segment that does not begin with two packets goes on as it came,
//! and so does the rest of one that loses its order.
//!
//! Does not: change times, tables or pictures.

use bytes::Bytes;
use heapless::Vec as Bounded;

use super::{PACKET, SYNC};

/// PIDs whose counters are set right; those of more are left alone.
const PIDS: usize = 32;
const NULL_PID: u16 = 0x1fff;
/// The counter before 0.
const BEFORE_FIRST: u8 = 15;

/// Joins segments. Give it all that came of a segment between [`Joiner::begin`] and [`Joiner::end`].
#[derive(Debug, Default)]
pub struct Joiner {
    segment: Segment,
    /// The segment before broke off.
    is_torn: bool,
    /// What may be the beginning of a packet.
    pending: Bounded<u8, { PACKET + 1 }>,
    counters: Bounded<Counter, PIDS>,
}

/// What is known of the segment under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Segment {
    /// There is none.
    #[default]
    None,
    /// It has shown less than a packet and the byte after it.
    Unknown,
    /// It is made of packets so far.
    Packets,
    /// It is something else.
    Other,
}

/// The counter of one PID.
#[derive(Debug, Clone, Copy)]
struct Counter {
    pid: u16,
    /// The last one given out.
    last: u8,
    /// Added to those of the present segment; `None` before its first packet.
    moved_by: Option<u8>,
}

impl Joiner {
    /// Before the first segment.
    pub fn new() -> Self {
        Self::default()
    }

    /// A segment begins.
    pub fn begin(&mut self) {
        self.is_torn |= self.segment != Segment::None;
        self.segment = Segment::Unknown;
        self.pending.clear();
        self.counters.iter_mut().for_each(|counter| counter.moved_by = None);
    }

    /// Takes the next bytes of the segment and returns what can be given out now; that may be nothing.
    #[must_use]
    pub fn push(&mut self, bytes: &Bytes) -> Bytes {
        if matches!(self.segment, Segment::None | Segment::Other) {
            return bytes.clone();
        }
        let mut stream = Vec::with_capacity(self.pending.len() + bytes.len());
        stream.extend_from_slice(&self.pending);
        stream.extend_from_slice(bytes);
        self.pending.clear();
        if self.segment == Segment::Unknown {
            match (stream.first(), stream.get(PACKET)) {
                (Some(&SYNC), Some(&SYNC)) => self.segment = Segment::Packets,
                (Some(&SYNC), None) | (None, _) => return self.keep(stream, 0),
                _ => self.segment = Segment::Other,
            }
        }
        let mut whole = 0;
        for packet in stream.chunks_mut(PACKET) {
            if packet.first() != Some(&SYNC) {
                self.segment = Segment::Other;
            }
            if self.segment == Segment::Other {
                return Bytes::from(stream);
            }
            let Some(packet) = packet.first_chunk_mut() else { break };
            self.count(packet);
            whole += PACKET;
        }
        self.keep(stream, whole)
    }

    /// The segment ends, `complete` if all of it came. Returns what is left to be given out.
    #[must_use]
    pub fn end(&mut self, complete: bool) -> Bytes {
        let segment = std::mem::replace(&mut self.segment, Segment::None);
        let mut rest = std::mem::take(&mut self.pending);
        self.is_torn = !complete;
        match (segment, rest.first_chunk_mut()) {
            (Segment::Unknown, Some(packet)) => self.count(packet),
            (Segment::Unknown, None) if complete => {}
            _ => {
                self.is_torn |= !rest.is_empty();
                rest.clear();
            }
        }
        Bytes::copy_from_slice(&rest)
    }

    /// Keeps what follows `whole`, less than a packet and a byte, and returns the rest.
    fn keep(&mut self, mut stream: Vec<u8>, whole: usize) -> Bytes {
        let fits = self.pending.extend_from_slice(stream.get(whole..).unwrap_or_default());
        debug_assert_eq!(fits, Ok(()));
        stream.truncate(whole);
        Bytes::from(stream)
    }

    /// Sets the counter of a packet right.
    fn count(&mut self, packet: &mut [u8; PACKET]) {
        let [_, high, low, flags, ..] = packet;
        let pid = u16::from_be_bytes([*high & 0x1f, *low]);
        let is_marked_broken = *high & 0x80 != 0;
        if pid == NULL_PID || is_marked_broken {
            return;
        }
        let at = self.counters.iter().position(|counter| counter.pid == pid);
        let at = at.unwrap_or_else(|| {
            let first = Counter { pid, last: BEFORE_FIRST, moved_by: None };
            // One too many is found nowhere below.
            let _ = self.counters.push(first);
            self.counters.len() - 1
        });
        let Some(counter) = self.counters.get_mut(at).filter(|counter| counter.pid == pid) else {
            return;
        };
        let found = *flags & 0x0f;
        let moved_by = *counter.moved_by.get_or_insert_with(|| {
            let has_payload = *flags & 0x10 != 0;
            let step = u8::from(has_payload) + u8::from(self.is_torn);
            (counter.last + step).wrapping_sub(found) & 0x0f
        });
        counter.last = (found + moved_by) & 0x0f;
        *flags = (*flags & 0xf0) | counter.last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccessUnit, Muxer, Reader, Report, Ticks};

    const PID: u16 = 0x100;

    /// A segment of three frames, whose counters begin at 0.
    fn segment(number: u64) -> Vec<u8> {
        let mut muxer = Muxer::new();
        let frame = |n: u64| {
            let at = Ticks::new(90_000 + (3 * number + n) * 3750);
            let bytes = [&[0, 0, 1, if n == 0 { 0x65 } else { 0x41 }][..], &[7; 500]].concat();
            muxer
                .mux(&AccessUnit { bytes: &bytes, pts: at, dts: at, is_key: n == 0 }, n == 0)
                .to_vec()
        };
        (0..3).flat_map(frame).collect()
    }

    /// A packet with a counter, with payload or without.
    fn packet(pid: u16, counter: u8, has_payload: bool) -> Vec<u8> {
        let [high, low] = pid.to_be_bytes();
        let control = if has_payload { 0x10 } else { 0x20 };
        [&[SYNC, high, low, control | counter][..], &[183; 184]].concat()
    }

    fn join_in(step: usize, segments: &[(Vec<u8>, bool)]) -> Vec<u8> {
        let mut joiner = Joiner::new();
        let mut joined = Vec::new();
        for (segment, complete) in segments {
            joiner.begin();
            for chunk in segment.chunks(step) {
                joined.extend_from_slice(&joiner.push(&Bytes::copy_from_slice(chunk)));
            }
            joined.extend_from_slice(&joiner.end(*complete));
        }
        joined
    }

    /// The same in chunks of every kind of size.
    #[track_caller]
    fn join(segments: &[(Vec<u8>, bool)]) -> Vec<u8> {
        let whole = join_in(usize::MAX, segments);
        for step in [1, 3, 187, 188, 189, 1000] {
            assert_eq!(join_in(step, segments), whole, "in chunks of {step}");
        }
        whole
    }

    fn gaps(stream: &[u8]) -> Vec<Report> {
        let (mut reader, mut gaps) = (Reader::new(), Vec::new());
        reader.push(stream, &mut |report| {
            if !matches!(report, Report::Pat | Report::Pmt | Report::Unit(_)) {
                gaps.push(report);
            }
        });
        gaps
    }

    /// The counters of the packets with [`PID`].
    fn counters(stream: &[u8]) -> Vec<u8> {
        let [_, low] = PID.to_be_bytes();
        let of_pid = |packet: &&[u8]| packet[1] & 0x1f == 1 && packet[2] == low;
        stream.chunks(PACKET).filter(of_pid).map(|packet| packet[3] & 0x0f).collect()
    }

    #[track_caller]
    fn check(segments: &[(&[Vec<u8>], bool)], expected: &[u8]) {
        let segments: Vec<_> =
            segments.iter().map(|(packets, whole)| (packets.concat(), *whole)).collect();
        assert_eq!(counters(&join(&segments)), expected);
    }

    #[test]
    fn counters_go_on_over_segments_and_nothing_else_changes() {
        let segments: Vec<_> = (0..20).map(|number| (segment(number), true)).collect();
        let apart: Vec<u8> = segments.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        assert!(!gaps(&apart).is_empty());
        let joined = join(&segments);
        assert_eq!(gaps(&joined), []);
        let without = |stream: &[u8]| -> Vec<u8> {
            let counted = stream.iter().enumerate();
            counted.map(|(at, byte)| if at % PACKET == 3 { byte & 0xf0 } else { *byte }).collect()
        };
        assert_eq!(without(&joined), without(&apart));
        assert_eq!(
            join(&[(joined.clone(), true)]),
            joined,
            "a stream that is right stays as it is"
        );
    }

    #[test]
    fn within_a_segment_the_steps_stay() {
        let with = |counter| packet(PID, counter, true);
        let without = |counter| packet(PID, counter, false);
        let first = [with(5), with(6), with(6), without(6), with(7), with(9)];
        let second = [without(2), with(3), with(4)];
        check(&[(&first, true), (&second, true)], &[0, 1, 1, 1, 2, 4, 4, 5, 6]);
        check(
            &[(&[with(14), with(15), with(0)], true), (&[with(0), with(1)], true)],
            &[0, 1, 2, 3, 4],
        );
    }

    #[test]
    fn after_a_segment_that_broke_off_one_is_missing() {
        let with = |counter| packet(PID, counter, true);
        let cut = vec![with(0), with(1), with(2)[..100].to_vec()];
        let good = [with(0), with(1)];
        check(&[(&cut, false), (&good, true), (&good, true)], &[0, 1, 3, 4, 5, 6]);
        check(&[(&cut, true), (&good, true)], &[0, 1, 3, 4]);
        check(&[(&cut[..2], false), (&good, true)], &[0, 1, 3, 4]);
        check(&[(&cut[2..], false), (&good, true)], &[1, 2]);
        let mut joiner = Joiner::new();
        joiner.begin();
        let _ = joiner.push(&Bytes::from(cut.concat()));
        joiner.begin();
        let joined = joiner.push(&Bytes::from(good.concat()));
        assert_eq!(counters(&joined), [3, 4], "without an end");
    }

    #[test]
    fn each_pid_counts_by_itself_and_empty_packets_do_not() {
        let mut others: Vec<_> = (0..40).map(|pid| packet(0x200 + pid, 9, true)).collect();
        others.push(packet(NULL_PID, 9, true));
        others.insert(0, packet(PID, 3, true));
        let joined = join(&[(others.concat(), true), (others.concat(), true)]);
        let found: Vec<u8> = joined.chunks(PACKET).map(|packet| packet[3] & 0x0f).collect();
        let (first, second) = found.split_at(42);
        assert_eq!((&first[..32], &first[32..]), (&[0; 32][..], &[9; 10][..]));
        assert_eq!((&second[..32], &second[32..]), (&[1; 32][..], &[9; 10][..]));
        let mut broken = packet(PID, 3, true);
        broken[1] |= 0x80;
        assert_eq!(counters(&join(&[(broken.repeat(2), true)])), [3, 3]);
    }

    #[test]
    fn what_is_no_transport_stream_goes_on_as_it_came() {
        let lost = [packet(PID, 3, true).repeat(2), vec![0; 50], packet(PID, 3, true)].concat();
        let texts = [&b""[..], b"G", b"GIF89a", b"{\"a\":1}", &[SYNC; 100], &[0; 1000]];
        let long = [&b"GIF"[..], &[1; 1000]].concat();
        for body in texts.into_iter().chain([&long[..]]) {
            assert_eq!(join(&[(body.to_vec(), true)]), body);
        }
        let joined = join(&[(lost.clone(), true)]);
        assert_eq!(joined.len(), lost.len());
        assert_eq!(joined[2 * PACKET..], lost[2 * PACKET..]);
        let mut outside = Joiner::new();
        assert_eq!(outside.push(&Bytes::from_static(b"x")), "x", "between two segments");
        assert_eq!(outside.end(true), "");
    }

    #[test]
    fn hostile_bytes_do_no_harm() {
        let mut random = 0x9e37_79b9_u32;
        let mut next = |below: u32| {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            random % below
        };
        let good = segment(0);
        let mut joiner = Joiner::new();
        for _ in 0..2000 {
            let mut bytes = good[..next(good.len() as u32) as usize].to_vec();
            for _ in 0..next(20).min(bytes.len() as u32) {
                let at = next(bytes.len() as u32) as usize;
                bytes[at] = next(256) as u8;
            }
            joiner.begin();
            let mut given = 0;
            for chunk in bytes.chunks(1 + next(400) as usize) {
                given += joiner.push(&Bytes::copy_from_slice(chunk)).len();
            }
            given += joiner.end(next(2) == 0).len();
            assert!(
                given <= bytes.len() && given + PACKET >= bytes.len(),
                "{given} of {}",
                bytes.len()
            );
        }
    }
}
