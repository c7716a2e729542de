//! Packs access units into whole transport stream packets, with the tables before each segment.
//!
//! Continuity counters run on over the whole channel, so segments can be joined by their bytes. Each
//! access unit is one PES packet with PTS and DTS and, where 16 bits hold it, its length: a reader
//! then has it complete with its last byte instead of at the start of the next one.
//!
//! ```text
//! [PAT][PMT]  first packet                                  full packets        last packet
//!             header 4 │ PCR 8 │ PES header 19 │ (AUD) data  header 4 │ data 184  header 4 │ stuffing │ data
//! ```
//!
//! Audio follows the access unit it came with, under its own PID and counter; the PCR stays with video. Where pictures
//! are more than 100 ms apart, packets with nothing but the PCR go before the picture, as the standard wants one at
//! least so often (ISO/IEC 13818-1, 2.7.2).
//!
//! Does not: cut segments (the segmenter does), and does not look into the pictures.

use bytes::Bytes;

use super::audio::{self, AudioFrame};
use super::crc::crc32;
use super::{H264, PACKET, SYNC, Ticks, nal};
use crate::AudioCodec;

/// Where the program map is.
pub(crate) const PMT_PID: u16 = 0x1000;
/// Where the video is.
pub const VIDEO_PID: u16 = 0x100;
/// How far the clock reference runs ahead of the DTS of its access unit: 100 ms. A reader paced by the
/// clock has one access unit on the wire per frame period, and must have it whole before its DTS; 100 ms is
/// the longest gap between two references that the standard allows, so it covers every rate from 10 frames/s.
pub(crate) const CLOCK_LEAD: u64 = Ticks::PER_SECOND / 10;

/// From one clock reference to the next, where pictures come more seldom: within the 100 ms of the standard.
const CLOCK_STEP: u64 = Ticks::PER_SECOND * 9 / 100;
/// Pictures that are further apart follow a pause, which no references fill.
const LONGEST_GAP: u64 = Ticks::PER_SECOND * 5;

const PAT_PID: u16 = 0;
const PROGRAM: u16 = 1;
const HEADER: usize = 4;
const PAYLOAD: usize = PACKET - HEADER;
const CLOCK: usize = 8;
const PES_HEADER: usize = 19;
/// Bytes of a PES packet that its length counts beside the data: flags, header length, PTS and DTS.
const PES_COUNTED: usize = 13;
/// An access unit delimiter that allows every slice type, for streams that have none.
const DELIMITER: [u8; 6] = [0, 0, 0, 1, 0x09, 0xf0];

/// One encoded frame.
#[derive(Debug, Clone, Copy)]
pub struct AccessUnit<'a> {
    /// H.264 byte stream (Annex B).
    pub bytes: &'a [u8],
    /// When it is shown.
    pub pts: Ticks,
    /// When it is decoded; not after `pts`.
    pub dts: Ticks,
    /// Whether decoding can begin here (an IDR picture).
    pub is_key: bool,
}

/// Writes one channel's transport stream.
#[derive(Debug, Clone, Default)]
pub struct Muxer {
    pat: Continuity,
    pmt: Continuity,
    video: Continuity,
    audio: Continuity,
    /// The last clock reference.
    clock: Option<Ticks>,
    codec: Option<AudioCodec>,
    /// That of the program map, 5 bits.
    version: u8,
}

/// The counter in the packets of one PID: the value of the next packet.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Continuity(u8);

impl Continuity {
    /// That of the last packet, which one without payload repeats.
    fn last(self) -> u8 {
        self.0.wrapping_sub(1) & 0x0f
    }

    pub(super) fn take(&mut self) -> u8 {
        let now = self.0;
        self.0 = (now + 1) & 0x0f;
        now
    }
}

impl Muxer {
    /// A muxer at the start of a channel.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says from the next segment on what audio there is.
    pub fn carry(&mut self, codec: Option<AudioCodec>) {
        if self.codec != codec {
            self.codec = codec;
            self.version = (self.version + 1) & 0x1f;
        }
    }

    /// Packs one access unit, behind PAT and PMT when it begins a segment: a multiple of 188 bytes in
    /// one allocation of exactly that size.
    #[must_use]
    pub fn mux(&mut self, unit: &AccessUnit<'_>, begins_segment: bool) -> Bytes {
        self.mux_with_audio(unit, &[], begins_segment)
    }

    /// The same, with the audio that came with the access unit behind it; none goes in while none is
    /// [carried](Self::carry).
    #[must_use]
    pub fn mux_with_audio(
        &mut self,
        unit: &AccessUnit<'_>,
        audio: &[AudioFrame<'_>],
        begins_segment: bool,
    ) -> Bytes {
        let delimiter: &[u8] = if nal::has_delimiter(unit.bytes) { &[] } else { &DELIMITER };
        let counted = PES_COUNTED + delimiter.len() + unit.bytes.len();
        let behind_first =
            (PES_HEADER + delimiter.len() + unit.bytes.len()).saturating_sub(PAYLOAD - CLOCK);
        let in_audio = self.codec.map_or(0, |codec| {
            audio.iter().map(|frame| audio::packets(codec, frame)).sum::<usize>()
        });
        let tables = if begins_segment { 2 } else { 0 };
        let clocks = self.clocks_before(unit.dts.minus(CLOCK_LEAD));
        let packets = tables + clocks.len() + 1 + behind_first.div_ceil(PAYLOAD) + in_audio;

        let mut out = Vec::with_capacity(packets * PACKET);
        if begins_segment {
            table(&mut out, PAT_PID, self.pat.take(), &pat());
            table(&mut out, PMT_PID, self.pmt.take(), &pmt(self.codec, self.version));
        }
        for clock in clocks {
            clock_alone(&mut out, self.video.last(), clock);
        }
        let head = pes_header(counted, unit.pts, unit.dts);
        self.first(&mut out, unit, [&head, delimiter]);
        let in_first = (PAYLOAD - CLOCK - PES_HEADER - delimiter.len()).min(unit.bytes.len());
        for part in unit.bytes.get(in_first..).unwrap_or_default().chunks(PAYLOAD) {
            header(&mut out, VIDEO_PID, false, part.len() < PAYLOAD, self.video.take());
            stuff(&mut out, PAYLOAD - part.len());
            out.extend_from_slice(part);
        }
        for (codec, frame) in self.codec.iter().flat_map(|codec| audio.iter().map(|f| (*codec, f)))
        {
            audio::write(&mut out, codec, frame, &mut self.audio);
        }
        debug_assert_eq!(out.len(), packets * PACKET);
        Bytes::from(out)
    }

    /// The clock references that are due before one at `next`.
    fn clocks_before(&self, next: Ticks) -> impl ExactSizeIterator<Item = Ticks> + use<> {
        let last = self.clock.unwrap_or(next);
        let gap = u64::try_from(next.since(last)).ok().filter(|gap| *gap <= LONGEST_GAP);
        let count = gap.unwrap_or(0).saturating_sub(1) / CLOCK_STEP;
        (0..count as u32).map(move |nth| last.plus(u64::from(nth + 1) * CLOCK_STEP))
    }

    /// The packet that starts the PES packet: clock reference, key flag, PES header, first data.
    fn first(&mut self, out: &mut Vec<u8>, unit: &AccessUnit<'_>, front: [&[u8]; 2]) {
        let room = PAYLOAD - CLOCK - front.iter().map(|part| part.len()).sum::<usize>();
        let data = unit.bytes.get(..room).unwrap_or(unit.bytes);
        let stuffing = room - data.len();

        header(out, VIDEO_PID, true, true, self.video.take());
        out.push((CLOCK - 1 + stuffing) as u8);
        out.push(0x10 | if unit.is_key { 0x40 } else { 0 });
        let clock = unit.dts.minus(CLOCK_LEAD);
        self.clock = Some(clock);
        out.extend_from_slice(&clock_reference(clock));
        out.resize(out.len() + stuffing, 0xff);
        front.iter().for_each(|part| out.extend_from_slice(part));
        out.extend_from_slice(data);
    }
}

/// The four bytes before each packet's content; `start` marks the first packet of a PES packet or section.
pub(super) fn header(out: &mut Vec<u8>, pid: u16, start: bool, adaptation: bool, continuity: u8) {
    let [high, low] = pid.to_be_bytes();
    let control = if adaptation { 0x30 } else { 0x10 };
    out.extend_from_slice(&[SYNC, high | if start { 0x40 } else { 0 }, low, control | continuity]);
}

/// A packet of video that holds a clock reference and no payload, so its counter stays that of the packet before it.
fn clock_alone(out: &mut Vec<u8>, continuity: u8, clock: Ticks) {
    let end = out.len() + PACKET;
    let [high, low] = VIDEO_PID.to_be_bytes();
    out.extend_from_slice(&[SYNC, high, low, 0x20 | continuity, (PAYLOAD - 1) as u8, 0x10]);
    out.extend_from_slice(&clock_reference(clock));
    out.resize(end, 0xff);
}

/// An adaptation field of `len` bytes that says nothing; it fills up a packet.
pub(super) fn stuff(out: &mut Vec<u8>, len: usize) {
    if let Some(counted) = len.checked_sub(1) {
        out.push(counted as u8);
        if let Some(filler) = counted.checked_sub(1) {
            out.push(0);
            out.resize(out.len() + filler, 0xff);
        }
    }
}

/// 33 bits of 90 kHz, 6 reserved, 9 bits of 27 MHz that stay zero.
fn clock_reference(time: Ticks) -> [u8; 6] {
    let [_, _, bytes @ ..] = ((time.value() << 15) | 0x7e00).to_be_bytes();
    bytes
}

fn pes_header(counted: usize, pts: Ticks, dts: Ticks) -> [u8; PES_HEADER] {
    let [high, low] = u16::try_from(counted).unwrap_or(0).to_be_bytes();
    let [p0, p1, p2, p3, p4] = stamp(0x30, pts);
    let [d0, d1, d2, d3, d4] = stamp(0x10, dts);
    // 0xe0: video. 0x84: aligned to an access unit. 0xc0: PTS and DTS, 10 bytes.
    [0, 0, 1, 0xe0, high, low, 0x84, 0xc0, 10, p0, p1, p2, p3, p4, d0, d1, d2, d3, d4]
}

/// 33 bits in groups of 3, 15 and 15, each followed by a marker bit, behind a four-bit prefix.
pub(super) fn stamp(prefix: u8, time: Ticks) -> [u8; 5] {
    let time = time.value();
    [
        prefix | ((time >> 29) as u8 & 0x0e) | 1,
        (time >> 22) as u8,
        (time >> 14) as u8 | 1,
        (time >> 7) as u8,
        (time << 1) as u8 | 1,
    ]
}

/// A section alone in its packet, with its CRC.
fn table(out: &mut Vec<u8>, pid: u16, continuity: u8, section: &[u8]) {
    let end = out.len() + PACKET;
    header(out, pid, true, false, continuity);
    out.push(0); // the section begins at once
    out.extend_from_slice(section);
    out.extend_from_slice(&crc32(section).to_be_bytes());
    out.resize(end, 0xff);
}

/// One program, whose map is at [`PMT_PID`].
fn pat() -> [u8; 12] {
    let [program, number] = PROGRAM.to_be_bytes();
    let [high, low] = PMT_PID.to_be_bytes();
    // Table 0, 13 bytes behind the length, stream 1, version 0 in force, section 0 of 0.
    [0x00, 0xb0, 13, 0, 1, 0xc1, 0, 0, program, number, 0xe0 | high, low]
}

/// One stream, H.264 at [`VIDEO_PID`], which carries the clock, and audio if there is any.
fn pmt(codec: Option<AudioCodec>, version: u8) -> Vec<u8> {
    let [program, number] = PROGRAM.to_be_bytes();
    let [high, low] = VIDEO_PID.to_be_bytes();
    let audio = codec.map(audio::row).unwrap_or_default();
    // Behind the length: program, version in force, section 0 of 0, clock PID, no descriptors; a row of type,
    // PID and no descriptors; the CRC.
    let len = 9 + 5 + audio.len() + 4;
    let mut section = vec![0x02, 0xb0, len as u8, program, number, 0xc1 | version << 1, 0, 0];
    section.extend_from_slice(&[0xe0 | high, low, 0xf0, 0, H264, 0xe0 | high, low, 0xf0, 0]);
    section.extend_from_slice(&audio);
    section
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Reader, Report};

    fn unit(bytes: &[u8], dts: u64, is_key: bool) -> AccessUnit<'_> {
        AccessUnit { bytes, pts: Ticks::new(dts + 5), dts: Ticks::new(dts), is_key }
    }

    fn read(bytes: &[u8]) -> Vec<Report> {
        let mut reports = Vec::new();
        let mut reader = Reader::new();
        reader.push(bytes, &mut |report| reports.push(report));
        reader.flush(&mut |report| reports.push(report));
        reports
    }

    #[test]
    fn every_length_comes_back_whole() {
        for len in (5..1200).chain([65_515, 65_516, 65_522, 65_523, 200_000]) {
            for front in [&[0, 0, 1, 0x65][..], &[0, 0, 0, 1, 0x09]] {
                let mut data = front.to_vec();
                data.resize(len, 0xaa);
                let muxed = Muxer::new().mux(&unit(&data, 900_000, true), true);
                assert_eq!(muxed.len() % PACKET, 0);
                let reports = read(&muxed);
                let [Report::Pat, Report::Pmt, Report::Unit(read)] = reports[..] else {
                    panic!("{len}: {reports:?}")
                };
                let added = if front.len() == 4 { DELIMITER.len() } else { 0 };
                assert_eq!(read.bytes, len + added, "{len}");
                assert_eq!(read.pid, VIDEO_PID);
                assert_eq!(
                    (read.pts, read.dts),
                    (Some(Ticks::new(900_005)), Some(Ticks::new(900_000)))
                );
                assert_eq!(read.is_key, front.len() == 4);
                assert!(!read.cut_short);
            }
        }
    }

    #[test]
    fn the_length_is_set_while_it_fits() {
        let first_payload = 4 + CLOCK;
        for (len, expected) in [(100, 113), (65_522, 65_535), (65_523, 0)] {
            let mut data = vec![0, 0, 1, 0x09];
            data.resize(len, 1);
            let muxed = Muxer::new().mux(&unit(&data, 0, false), false);
            // A short access unit is stuffed before its PES header.
            let at = muxed.windows(4).position(|window| window == [0, 0, 1, 0xe0]).unwrap();
            assert!(at >= first_payload);
            assert_eq!(u16::from_be_bytes([muxed[at + 4], muxed[at + 5]]), expected, "{len}");
        }
    }

    #[test]
    fn counters_go_on_over_segments() {
        let mut muxer = Muxer::new();
        let mut channel = Vec::new();
        for n in 0..100_usize {
            let data = vec![1; 300 * (n % 7) + 1];
            channel.extend_from_slice(
                &muxer.mux(&unit(&data, n as u64 * 3750, n % 10 == 0), n % 10 == 0),
            );
        }
        let reports = read(&channel);
        assert_eq!(reports.iter().filter(|report| matches!(report, Report::Unit(_))).count(), 100);
        assert_eq!(reports.len(), 100 + 10 * 2, "nothing but units and tables: {reports:?}");
    }

    #[test]
    fn the_clock_leads_and_the_key_is_marked() {
        let dts = (1 << 33) - 1;
        for is_key in [false, true] {
            let muxed = Muxer::new().mux(&unit(&[0, 0, 1, 0x09], dts, is_key), false);
            assert_eq!(muxed.len(), PACKET);
            assert_eq!(muxed[5], if is_key { 0x50 } else { 0x10 });
            let mut clock = [0; 8];
            clock[2..].copy_from_slice(&muxed[6..12]);
            assert_eq!(u64::from_be_bytes(clock) >> 15, dts - CLOCK_LEAD);
        }
        // A time below the lead wraps.
        assert_eq!(clock_reference(Ticks::new(0).minus(1)), [0xff, 0xff, 0xff, 0xff, 0xfe, 0]);
    }

    /// The clock references of pictures at these times, ms.
    #[track_caller]
    fn check_clocks(pictures: &[u64], expected: &[u64]) {
        let (mut muxer, mut clocks, mut all) = (Muxer::new(), Vec::new(), Vec::new());
        for (nth, at) in pictures.iter().enumerate() {
            let muxed = muxer.mux(&unit(&[0, 0, 1, 0x41, 7], 90_000 + at * 90, false), nth == 0);
            all.extend_from_slice(&muxed);
        }
        for packet in all.chunks(PACKET) {
            if packet[3] & 0x20 != 0 && packet[4] > 0 && packet[5] & 0x10 != 0 {
                let mut clock = [0; 8];
                clock[2..].copy_from_slice(&packet[6..12]);
                clocks.push(((u64::from_be_bytes(clock) >> 15) + CLOCK_LEAD - 90_000) / 90);
            }
        }
        assert_eq!(clocks, expected);
        let gaps = read(&all).iter().filter(|report| matches!(report, Report::Gap { .. })).count();
        assert_eq!(gaps, 0, "counters go on");
    }

    #[test]
    fn clock_references_come_every_100_ms_however_seldom_pictures_are() {
        check_clocks(&[0, 42, 132], &[0, 42, 132]);
        check_clocks(&[0, 100], &[0, 90, 100]);
        check_clocks(&[0, 400, 440], &[0, 90, 180, 270, 360, 400, 440]);
        // After a pause, and where time goes back, there is nothing to fill.
        check_clocks(&[0, 5001, 4000], &[0, 5001, 4000]);
    }

    #[test]
    fn one_allocation_of_the_exact_size() {
        let mut muxer = Muxer::new();
        for len in [1, 150, 157, 158, 184, 9000] {
            let data = vec![0; len];
            let muxed = muxer.mux(&unit(&data, 0, false), true);
            let (at, len) = (muxed.as_ptr(), muxed.len());
            let vec = Vec::from(muxed);
            assert_eq!((vec.as_ptr(), vec.len(), vec.capacity()), (at, len, len));
        }
    }
}
