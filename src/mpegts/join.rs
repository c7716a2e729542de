//! Joins the segments of returned video into one stream with continuous continuity counters.
//!
//! The network's runner writes each segment with a new libav muxer, whose counters begin at 0. If the segments are read
//! as one stream, packets seem to be missing between them: ffmpeg reports the first packets of each segment as corrupt.
//!
//! For each PID the same offset is added to all counters of a segment, so that repeated packets, packets without
//! payload and gaps within a segment stay visible.
//!
//! | previous segment | first counter of a PID becomes |
//! |---|---|
//! | complete | the last counter plus 1; the last counter if the packet has no payload |
//! | cut short | one more than after a complete segment, so that a reader sees that the last picture is incomplete |
//! | none | as after a complete segment whose last counter was 15 |
//!
//! A PID that was not seen before counts as if its last counter was 15. Only whole packets of a transport stream are
//! returned. Bytes after the last whole packet of a segment are dropped, so that the next segment begins at a packet
//! boundary. A segment without sync bytes at offsets 0 and 188 is not a transport stream and is passed on unchanged; so
//! is the rest of a segment from the first packet without sync byte. A segment of at most 188 bytes that begins with a
//! sync byte is handled at its end: a whole packet is returned with its counter rewritten, a shorter complete segment
//! is returned unchanged, and any other segment is dropped.
//!
//! Does not: change times, tables or pictures.

use bytes::Bytes;
use heapless::Vec as Bounded;

use super::{PACKET, SYNC};

/// Maximum number of PIDs whose counters are rewritten; packets of further PIDs stay unchanged.
const PIDS: usize = 32;
const NULL_PID: u16 = 0x1fff;
/// The counter before 0.
const BEFORE_FIRST: u8 = 15;

/// Joins segments. For each one call [`Joiner::begin`], then [`Joiner::push`] for all its bytes, then
/// [`Joiner::end`]; write out everything that is returned.
#[derive(Debug, Default)]
pub struct Joiner {
    segment: SegmentKind,
    /// The previous segment was cut short.
    is_cut_short: bool,
    /// An incomplete packet.
    pending: Bounded<u8, { PACKET + 1 }>,
    counters: Bounded<Counter, PIDS>,
}

/// Kind of the current segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum SegmentKind {
    /// Between segments.
    #[default]
    None,
    /// At most one packet's length has arrived, which is too little to decide.
    Unknown,
    /// A transport stream: all bytes so far are packets.
    Packets,
    /// Not a transport stream; passed on unchanged.
    Other,
}

/// The continuity counter of one PID.
#[derive(Debug, Clone, Copy)]
struct Counter {
    pid: u16,
    /// The last counter that was returned.
    last: u8,
    /// Added to the counters of the current segment; `None` before the segment's first packet of this PID.
    offset: Option<u8>,
}

impl Joiner {
    /// A joiner before its first segment.
    pub fn new() -> Self {
        Self::default()
    }

    /// Call when a segment begins.
    pub fn begin(&mut self) {
        self.is_cut_short |= self.segment != SegmentKind::None;
        self.segment = SegmentKind::Unknown;
        self.pending.clear();
        self.counters.iter_mut().for_each(|counter| counter.offset = None);
    }

    /// Takes the next bytes of the segment; returns the packets that are complete, possibly none.
    #[must_use]
    pub fn push(&mut self, bytes: &Bytes) -> Bytes {
        if matches!(self.segment, SegmentKind::None | SegmentKind::Other) {
            return bytes.clone();
        }
        let mut stream = Vec::with_capacity(self.pending.len() + bytes.len());
        stream.extend_from_slice(&self.pending);
        stream.extend_from_slice(bytes);
        self.pending.clear();
        if self.segment == SegmentKind::Unknown {
            match (stream.first(), stream.get(PACKET)) {
                (Some(&SYNC), Some(&SYNC)) => self.segment = SegmentKind::Packets,
                (Some(&SYNC), None) | (None, _) => return self.keep(stream, 0),
                _ => self.segment = SegmentKind::Other,
            }
        }
        let mut whole = 0;
        for packet in stream.chunks_mut(PACKET) {
            if packet.first() != Some(&SYNC) {
                self.segment = SegmentKind::Other;
            }
            if self.segment == SegmentKind::Other {
                return Bytes::from(stream);
            }
            let Some(packet) = packet.first_chunk_mut() else { break };
            self.count(packet);
            whole += PACKET;
        }
        self.keep(stream, whole)
    }

    /// Call when the segment ends, with `complete` if all of it arrived. Returns the remaining bytes to write.
    #[must_use]
    pub fn end(&mut self, complete: bool) -> Bytes {
        let segment = std::mem::replace(&mut self.segment, SegmentKind::None);
        let mut rest = std::mem::take(&mut self.pending);
        self.is_cut_short = !complete;
        match (segment, rest.first_chunk_mut()) {
            (SegmentKind::Unknown, Some(packet)) => self.count(packet),
            (SegmentKind::Unknown, None) if complete => {}
            _ => {
                self.is_cut_short |= !rest.is_empty();
                rest.clear();
            }
        }
        Bytes::copy_from_slice(&rest)
    }

    /// Stores the bytes from `whole` on, which are at most one packet, and returns those before.
    fn keep(&mut self, mut stream: Vec<u8>, whole: usize) -> Bytes {
        let fits = self.pending.extend_from_slice(stream.get(whole..).unwrap_or_default());
        debug_assert!(fits.is_ok(), "less than a packet and a byte fits");
        stream.truncate(whole);
        Bytes::from(stream)
    }

    /// Rewrites the continuity counter of a packet.
    fn count(&mut self, packet: &mut [u8; PACKET]) {
        let [_, high, low, flags, ..] = packet;
        let pid = u16::from_be_bytes([*high & 0x1f, *low]);
        let has_transport_error = *high & 0x80 != 0;
        if pid == NULL_PID || has_transport_error {
            return;
        }
        let at = self.counters.iter().position(|counter| counter.pid == pid);
        let at = at.unwrap_or_else(|| {
            let first = Counter { pid, last: BEFORE_FIRST, offset: None };
            // If the list is full, the lookup below finds no counter and the packet stays unchanged.
            let _ = self.counters.push(first);
            self.counters.len() - 1
        });
        let Some(counter) = self.counters.get_mut(at).filter(|counter| counter.pid == pid) else {
            return;
        };
        let found = *flags & 0x0f;
        let offset = *counter.offset.get_or_insert_with(|| {
            let has_payload = *flags & 0x10 != 0;
            let step = u8::from(has_payload) + u8::from(self.is_cut_short);
            (counter.last + step).wrapping_sub(found) & 0x0f
        });
        counter.last = (found + offset) & 0x0f;
        *flags = (*flags & 0xf0) | counter.last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccessUnit, Muxer, Reader, Ticks, TsEvent};

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

    /// Joins the segments in chunks of several sizes; the result must be the same.
    #[track_caller]
    fn join(segments: &[(Vec<u8>, bool)]) -> Vec<u8> {
        let whole = join_in(usize::MAX, segments);
        for step in [1, 3, 187, 188, 189, 1000] {
            assert_eq!(join_in(step, segments), whole, "in chunks of {step}");
        }
        whole
    }

    fn gaps(stream: &[u8]) -> Vec<TsEvent> {
        let (mut reader, mut gaps) = (Reader::new(), Vec::new());
        reader.push(stream, &mut |report| {
            if !matches!(report, TsEvent::Pat | TsEvent::Pmt | TsEvent::Unit(_)) {
                gaps.push(report);
            }
        });
        gaps
    }

    /// The counters of the packets of [`PID`].
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
    fn counters_continue_across_segments_and_all_else_is_unchanged() {
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
        assert_eq!(join(&[(joined.clone(), true)]), joined, "a correct stream is unchanged");
    }

    #[test]
    fn steps_within_a_segment_are_kept() {
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
    fn a_segment_cut_short_leaves_a_gap_of_one() {
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
    fn each_pid_has_its_own_counter() {
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
    fn other_formats_are_passed_on_unchanged() {
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
    fn hostile_bytes_do_not_panic() {
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
