//! Checks a gateway's published segments: each can be decoded alone, and time and counters
//! continue.
//!
//! Two readers parse the same bytes. One restarts at each segment, like a decoder that joins the stream at this
//! segment. The other continues over all segments, like the app that reads the channel. After a truncated segment or a
//! missing seq, continuity counters may jump, but time must not go back. Times are compared as libav reads them
//! ([`LibavClock`]). Frames that the network's runner would drop are counted ([`FrameRule`]).
//!
//! Does not: decode pictures.

use std::fmt;

use crate::Role;
use crate::frames::{FrameRule, LibavClock};
use mpegts::{Reader, SYNC, Ticks, TsEvent, Unit};

/// Maximum number of violations listed; all are counted.
const LISTED: usize = 100;

/// A violation of the protocol by a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// A seq was sent again: the real server mixes or discards the bytes.
    ReusedSeq {
        /// The role of the channel.
        role: Role,
        /// The seq.
        seq: u64,
    },
    /// A segment does not begin with PAT and PMT.
    NoTables {
        /// The segment.
        seq: u64,
    },
    /// The first picture of a segment is not an IDR picture with its parameter sets.
    NoKey {
        /// The segment.
        seq: u64,
    },
    /// A segment has no picture.
    NoVideo {
        /// The segment.
        seq: u64,
    },
    /// An access unit has no PTS.
    NoTime {
        /// The segment.
        seq: u64,
    },
    /// A timestamp is not later than the one before it.
    TimeBack {
        /// The segment.
        seq: u64,
        /// `PTS` or `DTS`.
        stamp: &'static str,
        /// The timestamp before, in ticks of 90 kHz, as libav reads it.
        before: i64,
        /// The timestamp received, in the same unit.
        now: i64,
    },
    /// A continuity counter has another value than expected.
    Continuity {
        /// The segment.
        seq: u64,
        /// The stream or table.
        pid: u16,
        /// The expected counter.
        expected: u8,
        /// The received counter.
        found: u8,
    },
    /// A packet, table or header is invalid, or an access unit is truncated.
    Damaged {
        /// The segment.
        seq: u64,
        /// The stream or table.
        pid: u16,
    },
    /// Packets have a PID that no table before them announced.
    Stray {
        /// The segment.
        seq: u64,
        /// The PID of the packets.
        pid: u16,
    },
    /// Bytes are not TS packets.
    LostSync {
        /// The segment.
        seq: u64,
    },
    /// A control message is not a JSON object.
    BadControl {
        /// The segment.
        seq: u64,
    },
    /// The signer received a state older than the last one of its session.
    OldState,
    /// The signer received a used state again, although it had delivered the answer to its first use.
    ReusedState,
    /// The signer received a call while another one of the same session was in progress.
    ConcurrentStates,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReusedSeq { role, seq } => {
                write!(f, "{role:?} channel: seq {seq} was sent again")
            }
            Self::NoTables { seq } => write!(f, "segment {seq} does not begin with PAT and PMT"),
            Self::NoKey { seq } => {
                write!(f, "segment {seq} does not begin with an IDR picture with SPS and PPS")
            }
            Self::NoVideo { seq } => write!(f, "segment {seq} has no picture"),
            Self::NoTime { seq } => write!(f, "segment {seq} has an access unit without PTS"),
            Self::TimeBack { seq, stamp, before, now } => {
                write!(f, "segment {seq}: {stamp} {now} after {before}")
            }
            Self::Continuity { seq, pid, expected, found } => write!(
                f,
                "segment {seq}: continuity counter of PID {pid} is {found} instead of {expected}"
            ),
            Self::Damaged { seq, pid } => write!(
                f,
                "segment {seq}: PID {pid} has an invalid or truncated packet, table or access unit"
            ),
            Self::Stray { seq, pid } => write!(f, "segment {seq}: PID {pid} is not in any table"),
            Self::LostSync { seq } => write!(f, "segment {seq}: bytes that are not TS packets"),
            Self::BadControl { seq } => write!(f, "control message {seq} is not a JSON object"),
            Self::OldState => f.write_str("a payment was requested with an outdated state"),
            Self::ReusedState => f.write_str("a payment was requested again with a used state"),
            Self::ConcurrentStates => {
                f.write_str("two payments of a session were requested at once")
            }
        }
    }
}

/// The violations by gateways.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations {
    count: u64,
    list: Vec<Violation>,
}

impl Violations {
    /// The number of violations.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first violations, at most 100.
    pub fn list(&self) -> &[Violation] {
        &self.list
    }

    pub(crate) fn add(&mut self, violation: Violation) {
        self.count += 1;
        if self.list.len() < LISTED {
            log::warn!("sandbox: {violation}");
            self.list.push(violation);
        }
    }
}

/// What has been read of a segment so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SegmentContent {
    Nothing,
    /// The first packet is not a PAT, and the violation has been reported.
    Torn,
    Pat,
    Tables,
    Picture,
}

/// The last timestamps of a stream, as libav reads them.
#[derive(Debug, Clone, Copy)]
struct StreamTimes {
    pid: u16,
    pts: i64,
    dts: i64,
}

/// Checks the segments of one channel, in order.
#[derive(Debug)]
pub(crate) struct Checker {
    seq: Option<u64>,
    whole: Reader,
    alone: Reader,
    content: SegmentContent,
    /// The number of bytes of the first packet's header that have been checked, at most three.
    bytes: usize,
    units: u64,
    dropped: u64,
    newest: Option<Ticks>,
    clock: LibavClock,
    rule: FrameRule,
    /// One entry per stream; at most as many as a reader follows.
    times: Vec<StreamTimes>,
}

impl Checker {
    /// A checker for a channel without segments.
    pub(crate) fn new() -> Self {
        Self {
            seq: None,
            whole: Reader::new(),
            alone: Reader::new(),
            content: SegmentContent::Nothing,
            bytes: 0,
            units: 0,
            dropped: 0,
            newest: None,
            clock: LibavClock::default(),
            rule: FrameRule::default(),
            times: Vec::new(),
        }
    }

    /// The number of video access units.
    pub(crate) fn units(&self) -> u64 {
        self.units
    }

    /// The number of video access units that the network's runner would drop.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether time went back so far that the network's runner drops every frame.
    pub(crate) fn is_behind(&self) -> bool {
        self.rule.is_behind()
    }

    /// The PTS of the last video access unit that has a PTS.
    pub(crate) fn newest(&self) -> Option<Ticks> {
        self.newest
    }

    /// Begins a segment.
    pub(crate) fn begin(&mut self, seq: u64) {
        if self.seq.is_none_or(|last| last.wrapping_add(1) != seq) {
            self.whole = Reader::new();
        }
        self.seq = Some(seq);
        self.alone = Reader::new();
        self.content = SegmentContent::Nothing;
        self.bytes = 0;
    }

    /// Checks more bytes of the segment.
    pub(crate) fn push(&mut self, bytes: &[u8], found: &mut dyn FnMut(Violation)) {
        let seq = self.seq.unwrap_or_default();
        for &byte in bytes.iter().take(3_usize.saturating_sub(self.bytes)) {
            // The first packet must have the PID of the PAT: 0 in the last 13 bits of bytes 1 and 2.
            let fits = match self.bytes {
                0 => byte == SYNC,
                1 => byte & 0x1f == 0,
                _ => byte == 0,
            };
            self.bytes += 1;
            if !fits && self.content == SegmentContent::Nothing {
                self.content = SegmentContent::Torn;
                found(Violation::NoTables { seq });
            }
        }
        let mut reports = Vec::new();
        self.alone.push(bytes, &mut |report| reports.push(report));
        self.judge(seq, &reports, found);
        self.whole.push(bytes, &mut |report| {
            if let TsEvent::Gap { pid, expected, found: counter } = report {
                found(Violation::Continuity { seq, pid, expected, found: counter });
            }
        });
    }

    /// Ends the segment. `complete` is false if the publisher broke off.
    pub(crate) fn end(&mut self, complete: bool, found: &mut dyn FnMut(Violation)) {
        let seq = self.seq.unwrap_or_default();
        if !complete {
            self.seq = None;
            return;
        }
        let mut reports = Vec::new();
        self.alone.flush(&mut |report| reports.push(report));
        self.judge(seq, &reports, found);
        if self.content != SegmentContent::Picture {
            found(Violation::NoVideo { seq });
        }
        self.whole.flush(&mut |_| {});
    }

    fn judge(&mut self, seq: u64, reports: &[TsEvent], found: &mut dyn FnMut(Violation)) {
        for report in reports {
            match report {
                TsEvent::Pat if self.content == SegmentContent::Nothing => {
                    self.content = SegmentContent::Pat
                }
                TsEvent::Pmt if self.content == SegmentContent::Pat => {
                    self.content = SegmentContent::Tables
                }
                TsEvent::Unit(unit) => self.unit(seq, unit, found),
                TsEvent::Damaged { pid } => found(Violation::Damaged { seq, pid: *pid }),
                TsEvent::Stray { pid } => found(Violation::Stray { seq, pid: *pid }),
                TsEvent::LostSync => found(Violation::LostSync { seq }),
                // The other reader reports gaps, including those between segments.
                TsEvent::Pat | TsEvent::Pmt | TsEvent::Gap { .. } => {}
            }
        }
    }

    fn unit(&mut self, seq: u64, unit: &Unit, found: &mut dyn FnMut(Violation)) {
        if unit.is_video {
            self.units += 1;
            match self.content {
                SegmentContent::Picture | SegmentContent::Torn => {}
                SegmentContent::Nothing | SegmentContent::Pat => found(Violation::NoTables { seq }),
                SegmentContent::Tables if unit.is_key && unit.has_parameters => {}
                SegmentContent::Tables => found(Violation::NoKey { seq }),
            }
            self.content = SegmentContent::Picture;
        }
        if unit.cut_short {
            found(Violation::Damaged { seq, pid: unit.pid });
        }
        let Some(pts) = unit.pts else { return found(Violation::NoTime { seq }) };
        let dts = self.clock.read(unit.dts.unwrap_or(pts));
        let now = StreamTimes { pid: unit.pid, pts: self.clock.read(pts), dts };
        if unit.is_video {
            self.newest = Some(pts);
            self.dropped += u64::from(!self.rule.takes(now.pts));
        }
        let Some(last) = self.times.iter_mut().find(|times| times.pid == unit.pid) else {
            return self.times.push(now);
        };
        for (stamp, before, now) in [("PTS", last.pts, now.pts), ("DTS", last.dts, now.dts)] {
            if now <= before {
                found(Violation::TimeBack { seq, stamp, before, now });
            }
        }
        *last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mpegts::{AccessUnit, Muxer};

    const SPS: &[u8] = &[0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0xd9];
    const PPS: &[u8] = &[0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80];
    const IDR: &[u8] = &[0, 0, 0, 1, 0x65, 0x88, 0x84, 0x21];
    const DELTA: &[u8] = &[0, 0, 0, 1, 0x41, 0x9a, 0x02];
    const FRAME: u64 = 3750;

    /// A publisher that can send invalid segments.
    #[derive(Default)]
    struct TestPublisher {
        muxer: Muxer,
        frames: u64,
    }

    impl TestPublisher {
        fn frame(&mut self, parts: &[&[u8]], begins: bool, at: u64) -> Vec<u8> {
            let bytes = [parts.concat(), vec![7; 400]].concat();
            let at = Ticks::new(90_000 + at * FRAME);
            let unit = AccessUnit { bytes: &bytes, pts: at, dts: at, is_key: begins };
            self.muxer.mux(&unit, begins).to_vec()
        }

        /// A valid segment of three frames.
        fn segment(&mut self) -> Vec<u8> {
            let mut bytes = self.frame(&[SPS, PPS, IDR], true, self.frames);
            for i in 1..3 {
                bytes.extend(self.frame(&[DELTA], false, self.frames + i));
            }
            self.frames += 3;
            bytes
        }
    }

    /// Checks segments, and asserts that the violations are `expected`. A segment is its seq, its bytes, and whether it
    /// is complete.
    #[track_caller]
    fn check(segments: &[(u64, Vec<u8>, bool)], expected: &[Violation]) {
        for step in [1, 188, 1000, usize::MAX] {
            let (mut checker, mut found) = (Checker::new(), Vec::new());
            for (seq, bytes, complete) in segments {
                checker.begin(*seq);
                for piece in bytes.chunks(step) {
                    checker.push(piece, &mut |v| found.push(v));
                }
                checker.end(*complete, &mut |v| found.push(v));
            }
            assert_eq!(found, expected, "in pieces of {step}");
        }
    }

    #[test]
    fn valid_segments_pass() {
        let mut publisher = TestPublisher::default();
        let segments: Vec<_> = (0..4).map(|seq| (seq, publisher.segment(), true)).collect();
        check(&segments, &[]);
    }

    #[test]
    fn a_segment_without_tables_is_found() {
        let mut publisher = TestPublisher::default();
        let first = publisher.segment();
        let second = publisher.segment()[2 * 188..].to_vec();
        let found = [
            Violation::NoTables { seq: 1 },
            Violation::Stray { seq: 1, pid: 0x100 },
            Violation::NoVideo { seq: 1 },
        ];
        check(&[(0, first, true), (1, second, true)], &found);
    }

    #[test]
    fn a_segment_without_a_key_frame_or_its_parameters_is_found() {
        for parts in [&[DELTA][..], &[IDR], &[SPS, IDR]] {
            let bytes = TestPublisher::default().frame(parts, true, 0);
            check(&[(0, bytes, true)], &[Violation::NoKey { seq: 0 }]);
        }
    }

    #[test]
    fn a_segment_without_pictures_is_found() {
        let tables = TestPublisher::default().segment()[..2 * 188].to_vec();
        check(&[(3, tables, true)], &[Violation::NoVideo { seq: 3 }]);
    }

    #[test]
    fn time_that_does_not_advance_is_found() {
        let mut publisher = TestPublisher::default();
        let first = publisher.segment();
        publisher.frames -= 1;
        let second = publisher.segment();
        let at = 90_000 + 2 * FRAME as i64;
        let found =
            ["PTS", "DTS"].map(|stamp| Violation::TimeBack { seq: 1, stamp, before: at, now: at });
        check(&[(0, first, true), (1, second, true)], &found);
    }

    #[test]
    fn a_wrap_a_day_after_the_start_counts_as_time_that_goes_back() {
        const DAY: u64 = (1 << 33) / FRAME - 24;
        let (mut checker, mut found) = (Checker::new(), Vec::new());
        let mut publisher = TestPublisher::default();
        let mut publish = |seq, frames| {
            publisher.frames = frames;
            checker.begin(seq);
            checker.push(&publisher.segment(), &mut |v| found.push(v));
            checker.end(true, &mut |v| found.push(v));
            (checker.units(), checker.dropped(), checker.is_behind())
        };
        assert_eq!(publish(0, 0), (3, 0, false));
        assert_eq!(publish(1, DAY - 3), (6, 0, false));
        // The first frame of this segment is the last one before the wrap.
        assert_eq!(publish(2, DAY), (9, 2, true));
        assert_eq!(publish(3, DAY + 3), (12, 5, true));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|v| matches!(v, Violation::TimeBack { seq: 2, .. })), "{found:?}");
    }

    #[test]
    fn lost_packets_are_found_within_and_between_segments() {
        let mut publisher = TestPublisher::default();
        let whole = publisher.segment();
        let without_third = [&whole[..3 * 188], &whole[4 * 188..]].concat();
        let (mut checker, mut found) = (Checker::new(), Vec::new());
        checker.begin(0);
        checker.push(&without_third, &mut |v| found.push(v));
        let gap = Violation::Continuity { seq: 0, pid: 0x100, expected: 1, found: 2 };
        assert!(found.contains(&gap), "{found:?}");
        assert!(found.contains(&Violation::Damaged { seq: 0, pid: 0x100 }), "{found:?}");

        let mut other = TestPublisher::default();
        let fresh = {
            other.frames = 3;
            other.segment()
        };
        let (mut checker, mut found) = (Checker::new(), Vec::new());
        for (seq, bytes) in [(0, &whole), (1, &fresh)] {
            checker.begin(seq);
            checker.push(bytes, &mut |v| found.push(v));
            checker.end(true, &mut |v| found.push(v));
        }
        assert!(!found.is_empty());
        assert!(
            found.iter().all(|v| matches!(v, Violation::Continuity { seq: 1, .. })),
            "{found:?}"
        );
    }

    #[test]
    fn missing_and_truncated_segments_are_not_violations() {
        let mut publisher = TestPublisher::default();
        let broken = publisher.segment()[..700].to_vec();
        check(&[(0, broken, false), (1, publisher.segment(), true)], &[]);
        let mut publisher = TestPublisher::default();
        let first = publisher.segment();
        let _lost = publisher.segment();
        check(&[(0, first, true), (2, publisher.segment(), true)], &[]);
    }

    #[test]
    fn bytes_that_are_not_a_stream_are_found() {
        let (mut checker, mut found) = (Checker::new(), Vec::new());
        checker.begin(0);
        checker.push(b"this is not a transport stream", &mut |v| found.push(v));
        checker.end(true, &mut |v| found.push(v));
        let expected = [
            Violation::NoTables { seq: 0 },
            Violation::LostSync { seq: 0 },
            Violation::NoVideo { seq: 0 },
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn all_violations_are_counted_and_the_first_listed() {
        let mut violations = Violations::default();
        (0..LISTED as u64 + 7).for_each(|seq| violations.add(Violation::NoKey { seq }));
        assert_eq!(violations.count(), LISTED as u64 + 7);
        assert_eq!(violations.list().len(), LISTED);
    }
}
