//! Shifts the times of joined segments, so that a stream goes on where a segment has other times: a new job begins its
//! own.
//!
//! The first time of each segment decides for the whole segment:
//!
//! | it is, against the last time of the same kind | then the segment is shifted |
//! |---|---|
//! | later, by at most the time that has passed here and `AHEAD` | as the segment before |
//! | not later, or later by more | so that it begins when the time has passed that has passed here |
//!
//! Kinds are the DTS of each PID and the PCR of each PID. Where no time of the kind is known, the latest time of all
//! counts, and the first time may also be earlier by `BEHIND`. Times that follow are never touched: a stream whose
//! segments all continue is returned as it came.
//!
//! Does not: repair times within a segment, or read bytes that are not packets.

use std::time::{Duration, Instant};

use bytes::Bytes;
use heapless::Vec as Bounded;

use super::mux::stamp;
use super::packet::Packet;
use super::{PACKET, SYNC, Ticks, pes};

/// A later first time is a pause of the camera, up to this.
const AHEAD: Duration = Duration::from_secs(10);
/// The first time of another kind may be earlier by this: a PCR is up to 1 s before its pictures, sound up to 0.5 s.
const BEHIND: Duration = Duration::from_secs(2);
/// The shortest time between two pictures: 1/60 s.
const STEP: Duration = Duration::from_micros(16_667);
/// The most kinds of times that are kept.
const KINDS: usize = 32;
/// Marks a PCR in a kind.
const PCR: u16 = 0x8000;

/// Shifts the times of one stream. For each segment call [`TimeShift::begin`], then [`TimeShift::push`] with its packets.
#[derive(Debug, Clone, Default)]
pub struct TimeShift {
    /// Added to all times.
    offset: u64,
    /// The segment has had no time yet.
    is_open: bool,
    /// Bytes that are not packets have come in this segment.
    is_other: bool,
    /// The last time of each kind that was returned.
    last: Bounded<(u16, Ticks), KINDS>,
    /// The latest time that was returned, and when.
    latest: Option<(Ticks, Instant)>,
}

/// Where in a packet its times are.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    pid: u16,
    /// The PCR, whose six bytes begin at offset 6.
    pcr: Option<Ticks>,
    /// The PTS, and the offset of its five bytes.
    pts: Option<(Ticks, usize)>,
    /// The DTS, which follows the PTS.
    dts: Option<Ticks>,
}

impl TimeShift {
    /// A stream before its first segment.
    pub fn new() -> Self {
        Self::default()
    }

    /// Call when a segment begins.
    pub fn begin(&mut self) {
        (self.is_open, self.is_other) = (true, false);
    }

    /// Takes the next whole packets of the segment, which have come at `now`; returns them with their new times.
    #[must_use]
    pub fn push(&mut self, packets: &Bytes, now: Instant) -> Bytes {
        let mut shifted: Option<Vec<u8>> = None;
        let mut at = 0;
        while let Some(packet) = packets.get(at..).and_then(|rest| rest.first_chunk::<PACKET>()) {
            self.is_other |= packet.first() != Some(&SYNC);
            if self.is_other {
                break;
            }
            let times = Times::of(packet);
            self.follow(&times, now);
            if self.offset != 0 {
                let all = shifted.get_or_insert_with(|| packets.to_vec());
                if let Some(packet) = all.get_mut(at..at + PACKET) {
                    times.write(self.offset, packet);
                }
            }
            at += PACKET;
        }
        shifted.map_or_else(|| packets.clone(), Bytes::from)
    }

    /// Chooses the offset with the first time of a segment, and keeps the new times.
    fn follow(&mut self, times: &Times, now: Instant) {
        let decodes = times.dts.or(times.pts.map(|(pts, _)| pts));
        // A DTS decides before the PCR of its packet, which is earlier.
        for (kind, time) in [(times.pid, decodes), (times.pid | PCR, times.pcr)] {
            let Some(time) = time else { continue };
            if std::mem::take(&mut self.is_open) {
                self.choose(kind, time, now);
            }
            self.note(kind, time.plus(self.offset), now);
        }
    }

    fn choose(&mut self, kind: u16, time: Ticks, now: Instant) {
        let Some((latest, at)) = self.latest else { return };
        let passed = now.saturating_duration_since(at);
        let ticks = |span: Duration| Ticks::from_duration(span).value().cast_signed();
        let known = self.last.iter().find(|(known, _)| *known == kind);
        let (last, earliest) = known.map_or((latest, -ticks(BEHIND)), |(_, last)| (*last, 1));
        let step = time.plus(self.offset).since(last);
        if step < earliest || step > ticks(passed + AHEAD) {
            let begin = latest.plus(Ticks::from_duration(passed.max(STEP)).value());
            self.offset = begin.minus(time.value()).value();
        }
    }

    fn note(&mut self, kind: u16, time: Ticks, now: Instant) {
        match self.last.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, last)) => *last = time,
            // A kind that finds no place is judged by the latest time of all.
            None => drop(self.last.push((kind, time))),
        }
        if self.latest.is_none_or(|(latest, _)| time.since(latest) > 0) {
            self.latest = Some((time, now));
        }
    }
}

impl Times {
    fn of(packet: &[u8; PACKET]) -> Self {
        let Ok(Some(parsed)) = Packet::parse(packet) else { return Self::default() };
        let [_, _, _, flags, length, adaptation, clock @ ..] = packet;
        let has_pcr = flags & 0x20 != 0 && *length >= 7 && adaptation & 0x10 != 0;
        let pcr = has_pcr.then(|| {
            let [a, b, c, d, e, ..] = clock.map(u64::from);
            Ticks::new(a << 25 | b << 17 | c << 9 | d << 1 | e >> 7)
        });
        let head = pes::head(parsed.payload).filter(|_| parsed.starts);
        let start = PACKET - parsed.payload.len() + pes::STAMPS;
        Self {
            pid: parsed.pid,
            pcr,
            pts: head.and_then(|head| head.pts).map(|pts| (pts, start)),
            dts: head.and_then(|head| head.dts),
        }
    }

    /// Writes the times into the packet, later by `offset`.
    fn write(&self, offset: u64, packet: &mut [u8]) {
        if let Some(pcr) = self.pcr {
            let base = pcr.plus(offset).value();
            let bytes = [base >> 25, base >> 17, base >> 9, base >> 1].map(|part| part as u8);
            copy(packet, 6, &bytes);
            if let Some(low) = packet.get_mut(10) {
                *low = *low & 0x7f | ((base as u8) << 7);
            }
        }
        let Some((pts, at)) = self.pts else { return };
        let prefix = if self.dts.is_some() { 0x30 } else { 0x20 };
        copy(packet, at, &stamp(prefix, pts.plus(offset)));
        if let Some(dts) = self.dts {
            copy(packet, at + 5, &stamp(0x10, dts.plus(offset)));
        }
    }
}

fn copy(packet: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = packet.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccessUnit, Muxer, Reader, TsEvent};

    const SECOND: u64 = Ticks::PER_SECOND;

    /// A segment of ten pictures, a tenth of a second each, the first at `from`.
    fn segment(from: u64) -> Bytes {
        let mut muxer = Muxer::new();
        let mut out = Vec::new();
        for n in 0..10 {
            let dts = Ticks::new(from).plus(n * SECOND / 10);
            let bytes = [&[0, 0, 1, if n == 0 { 0x65 } else { 0x41 }][..], &[7; 300]].concat();
            let unit = AccessUnit { pts: dts.plus(9000), dts, is_key: n == 0, bytes: &bytes };
            out.extend_from_slice(&muxer.mux(&unit, n == 0));
        }
        out.into()
    }

    /// The DTS of all pictures, and the least of them after its PCR.
    fn times(stream: &[u8]) -> Vec<u64> {
        let mut found = Vec::new();
        let mut reader = Reader::new();
        let mut note = |report: TsEvent| match report {
            TsEvent::Unit(unit) => {
                assert_eq!(unit.pts, unit.dts.map(|dts| dts.plus(9000)));
                found.push(unit.dts.unwrap().value());
            }
            TsEvent::Damaged { pid } => panic!("PID {pid} is damaged"),
            TsEvent::Pat
            | TsEvent::Pmt
            | TsEvent::Gap { .. }
            | TsEvent::Stray { .. }
            | TsEvent::LostSync => {}
        };
        reader.push(stream, &mut note);
        reader.flush(&mut note);
        found
    }

    /// Pushes segments that begin at these times, each so many seconds after the one before; returns the first DTS of each
    /// and checks that all go up.
    #[track_caller]
    fn check(segments: &[(u64, f64)], expected: &[u64]) {
        let mut now = Instant::now();
        let mut shift = TimeShift::new();
        let mut stream = Vec::new();
        for (from, after) in segments {
            now += Duration::from_secs_f64(*after);
            shift.begin();
            stream.extend_from_slice(&shift.push(&segment(*from), now));
        }
        let all = times(&stream);
        let steps: Vec<i64> =
            all.windows(2).map(|two| Ticks::new(two[1]).since(Ticks::new(two[0]))).collect();
        assert!(steps.iter().all(|step| *step > 0), "{steps:?}");
        let firsts: Vec<u64> = all.chunks(10).map(|ten| ten[0]).collect();
        assert_eq!(firsts, expected);
    }

    #[test]
    fn segments_that_continue_are_returned_as_they_came() {
        let (mut shift, now) = (TimeShift::new(), Instant::now());
        for n in 0..3 {
            shift.begin();
            let bytes = segment(5 * SECOND + n * SECOND);
            assert_eq!(shift.push(&bytes, now).as_ptr(), bytes.as_ptr(), "not copied");
        }
    }

    #[test]
    fn times_that_jump_back_go_on_where_time_has_passed() {
        // The last picture is at 100.9 s, and 3 s pass.
        check(
            &[(100 * SECOND, 0.0), (0, 3.0), (SECOND, 1.0)],
            &[100 * SECOND, 1039 * SECOND / 10, 1049 * SECOND / 10],
        );
    }

    #[test]
    fn times_that_jump_ahead_go_on_too() {
        check(
            &[(SECOND, 0.0), (80_000 * SECOND, 2.0), (80_001 * SECOND, 1.0)],
            &[SECOND, 39 * SECOND / 10, 49 * SECOND / 10],
        );
    }

    #[test]
    fn a_pause_is_no_jump() {
        check(&[(SECOND, 0.0), (61 * SECOND, 60.0)], &[SECOND, 61 * SECOND]);
        check(&[(SECOND, 0.0), (10 * SECOND, 0.0)], &[SECOND, 10 * SECOND]);
    }

    #[test]
    fn a_wrap_is_no_jump() {
        let end = (1 << 33) - SECOND;
        check(&[(end, 0.0), (0, 1.0), (SECOND, 1.0)], &[end, 0, SECOND]);
    }

    #[test]
    fn a_segment_again_goes_on_by_a_step_at_least() {
        check(&[(SECOND, 0.0), (SECOND, 0.0)], &[SECOND, 19 * SECOND / 10 + 1500]);
    }

    #[test]
    fn the_pcr_is_shifted_with_the_pictures() {
        let pcr = |bytes: &[u8]| {
            let packets = bytes.as_chunks::<PACKET>().0.iter();
            packets.filter_map(|packet| Times::of(packet).pcr).map(Ticks::value).next().unwrap()
        };
        let (mut shift, now) = (TimeShift::new(), Instant::now());
        shift.begin();
        let first = shift.push(&segment(50 * SECOND), now);
        shift.begin();
        let second = shift.push(&segment(SECOND), now + Duration::from_secs(1));
        let moved = times(&second)[0] - times(&first)[0];
        assert_eq!(pcr(&second) - pcr(&first), moved);
        let low = |bytes: &[u8]| {
            bytes
                .as_chunks::<PACKET>()
                .0
                .iter()
                .find(|p| Times::of(p).pcr.is_some())
                .map(|p| p[10] & 0x7f)
        };
        assert_eq!(low(&second), low(&segment(SECOND)), "other bits stay");
    }

    #[test]
    fn bytes_that_are_not_packets_stay() {
        let (mut shift, now) = (TimeShift::new(), Instant::now());
        shift.begin();
        let _ = shift.push(&segment(50 * SECOND), now);
        shift.begin();
        let other = Bytes::from([&[0; PACKET][..], &segment(0)].concat());
        assert_eq!(shift.push(&other, now), other);
    }
}
