//! Packs access units into transport stream packets, with PAT and PMT before each segment.
//!
//! Continuity counters run over the whole channel, so segments can be concatenated. Each access unit is one PES packet
//! with PTS and DTS, and with its length if 16 bits can hold the length. With the length, a reader knows at the last
//! byte that the unit is complete. Without it, the reader must wait for the start of the next unit.
//!
//! ```text
//! [PAT][PMT]  first packet                                  full packets        last packet
//!             header 4 │ PCR 8 │ PES header 19 │ (AUD) data  header 4 │ data 184  header 4 │ stuffing │ data
//! ```
//!
//! Audio follows the access unit it arrived with, under its own PID and counter; video carries the PCR. Where
//! pictures are more than 100 ms apart, packets with only a PCR precede the picture, because the standard requires
//! a PCR at least every 100 ms (ISO/IEC 13818-1, 2.7.2).
//!
//! Does not: cut segments (the segmenter does) or parse pictures.

use bytes::Bytes;

use super::audio::{self, AudioFrame};
use super::crc::crc32;
use super::{H264, PACKET, SYNC, Ticks, nal};
use crate::AudioCodec;

/// PID of the PMT.
pub(crate) const PMT_PID: u16 = 0x1000;
/// PID of the video stream.
pub const VIDEO_PID: u16 = 0x100;
/// How far the PCR precedes the DTS of its access unit: 100 ms. A reader paced by the PCR receives one access unit
/// per frame period and needs the whole unit before its DTS; 100 ms covers every frame rate from 10 frames/s.
pub(crate) const PCR_LEAD: u64 = Ticks::PER_SECOND / 10;

/// Interval of the PCRs between pictures that are far apart: below the standard's 100 ms.
const PCR_INTERVAL: u64 = Ticks::PER_SECOND * 9 / 100;
/// A longer gap between pictures is a pause and is not filled with PCRs.
const MAX_GAP: u64 = Ticks::PER_SECOND * 5;

const PAT_PID: u16 = 0;
const PROGRAM: u16 = 1;
const HEADER: usize = 4;
const PAYLOAD: usize = PACKET - HEADER;
const PCR_FIELD: usize = 8;
const PES_HEADER: usize = 19;
/// Header bytes that the PES packet length includes: flags, header length, PTS and DTS.
const PES_COUNTED: usize = 13;
/// An access unit delimiter that allows every slice type, added to units without one.
const DELIMITER: [u8; 6] = [0, 0, 0, 1, 0x09, 0xf0];

/// One encoded frame.
#[derive(Debug, Clone, Copy)]
pub struct AccessUnit<'a> {
    /// H.264 byte stream (Annex B).
    pub bytes: &'a [u8],
    /// Presentation time.
    pub pts: Ticks,
    /// Decoding time; not after `pts`.
    pub dts: Ticks,
    /// Whether this is an IDR picture, at which decoding can begin.
    pub is_key: bool,
}

/// Writes the transport stream of one channel.
#[derive(Debug, Clone, Default)]
pub struct Muxer {
    pat: WriteContinuity,
    pmt: WriteContinuity,
    video: WriteContinuity,
    audio: WriteContinuity,
    last_pcr: Option<Ticks>,
    codec: Option<AudioCodec>,
    /// Version of the PMT, 5 bits.
    version: u8,
}

/// The continuity counter of one PID: the value for the next packet.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WriteContinuity(u8);

impl WriteContinuity {
    /// The counter of the last packet. A packet without payload repeats it.
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

    /// Sets the audio codec that the PMT announces from the next segment on; `None` for video alone.
    pub fn set_audio(&mut self, codec: Option<AudioCodec>) {
        if self.codec != codec {
            self.codec = codec;
            self.version = (self.version + 1) & 0x1f;
        }
    }

    /// Packs one access unit, after PAT and PMT when it begins a segment. Returns whole packets in one allocation
    /// of exactly their size.
    #[must_use]
    pub fn mux(&mut self, unit: &AccessUnit<'_>, begins_segment: bool) -> Bytes {
        self.mux_with_audio(unit, &[], begins_segment)
    }

    /// Packs one access unit like [`Self::mux`], followed by the `audio` frames that arrived with it. Drops the audio
    /// unless [`Self::set_audio`] set a codec.
    #[must_use]
    pub fn mux_with_audio(
        &mut self,
        unit: &AccessUnit<'_>,
        audio: &[AudioFrame<'_>],
        begins_segment: bool,
    ) -> Bytes {
        let delimiter: &[u8] = if nal::has_delimiter(unit.bytes) { &[] } else { &DELIMITER };
        let counted = PES_COUNTED + delimiter.len() + unit.bytes.len();
        let after_first =
            (PES_HEADER + delimiter.len() + unit.bytes.len()).saturating_sub(PAYLOAD - PCR_FIELD);
        let in_audio = self.codec.map_or(0, |codec| {
            audio.iter().map(|frame| audio::packet_count(codec, frame)).sum::<usize>()
        });
        let tables = if begins_segment { 2 } else { 0 };
        let pcrs = self.pcrs_before(unit.dts.minus(PCR_LEAD));
        let packets = tables + pcrs.len() + 1 + after_first.div_ceil(PAYLOAD) + in_audio;

        let mut out = Vec::with_capacity(packets * PACKET);
        if begins_segment {
            table(&mut out, PAT_PID, self.pat.take(), &pat());
            table(&mut out, PMT_PID, self.pmt.take(), &pmt(self.codec, self.version));
        }
        for pcr in pcrs {
            pcr_packet(&mut out, self.video.last(), pcr);
        }
        let head = pes_header(counted, unit.pts, unit.dts);
        self.first(&mut out, unit, [&head, delimiter]);
        let in_first = (PAYLOAD - PCR_FIELD - PES_HEADER - delimiter.len()).min(unit.bytes.len());
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

    /// The PCRs to insert before the PCR `next`.
    fn pcrs_before(&self, next: Ticks) -> impl ExactSizeIterator<Item = Ticks> + use<> {
        let last = self.last_pcr.unwrap_or(next);
        let gap = u64::try_from(next.since(last)).ok().filter(|gap| *gap <= MAX_GAP);
        let count = gap.unwrap_or(0).saturating_sub(1) / PCR_INTERVAL;
        (0..count as u32).map(move |nth| last.plus(u64::from(nth + 1) * PCR_INTERVAL))
    }

    /// Writes the packet that starts the PES packet: PCR, random access indicator, PES header, first data.
    fn first(&mut self, out: &mut Vec<u8>, unit: &AccessUnit<'_>, front: [&[u8]; 2]) {
        let room = PAYLOAD - PCR_FIELD - front.iter().map(|part| part.len()).sum::<usize>();
        let data = unit.bytes.get(..room).unwrap_or(unit.bytes);
        let stuffing = room - data.len();

        header(out, VIDEO_PID, true, true, self.video.take());
        out.push((PCR_FIELD - 1 + stuffing) as u8);
        out.push(0x10 | if unit.is_key { 0x40 } else { 0 });
        let pcr = unit.dts.minus(PCR_LEAD);
        self.last_pcr = Some(pcr);
        out.extend_from_slice(&pcr_field(pcr));
        out.resize(out.len() + stuffing, 0xff);
        front.iter().for_each(|part| out.extend_from_slice(part));
        out.extend_from_slice(data);
    }
}

/// Writes the four-byte packet header; set `start` on the first packet of a PES packet or section.
pub(super) fn header(out: &mut Vec<u8>, pid: u16, start: bool, adaptation: bool, continuity: u8) {
    let [high, low] = pid.to_be_bytes();
    let control = if adaptation { 0x30 } else { 0x10 };
    out.extend_from_slice(&[SYNC, high | if start { 0x40 } else { 0 }, low, control | continuity]);
}

/// Writes a video packet with a PCR and without payload; such a packet repeats the last continuity counter.
fn pcr_packet(out: &mut Vec<u8>, continuity: u8, pcr: Ticks) {
    let end = out.len() + PACKET;
    let [high, low] = VIDEO_PID.to_be_bytes();
    out.extend_from_slice(&[SYNC, high, low, 0x20 | continuity, (PAYLOAD - 1) as u8, 0x10]);
    out.extend_from_slice(&pcr_field(pcr));
    out.resize(end, 0xff);
}

/// Writes an adaptation field of `len` stuffing bytes, which fills up a packet.
pub(super) fn stuff(out: &mut Vec<u8>, len: usize) {
    if let Some(counted) = len.checked_sub(1) {
        out.push(counted as u8);
        if let Some(filler) = counted.checked_sub(1) {
            out.push(0);
            out.resize(out.len() + filler, 0xff);
        }
    }
}

/// Encodes a PCR: 33 bits at 90 kHz, 6 reserved, and the 9-bit 27 MHz extension, which is zero.
fn pcr_field(time: Ticks) -> [u8; 6] {
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

/// Encodes a PTS or DTS: a four-bit prefix, then groups of 3, 15 and 15 bits, each followed by a marker bit.
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

/// Writes a section and its CRC as one packet.
fn table(out: &mut Vec<u8>, pid: u16, continuity: u8, section: &[u8]) {
    let end = out.len() + PACKET;
    header(out, pid, true, false, continuity);
    out.push(0); // the pointer field: the section follows directly
    out.extend_from_slice(section);
    out.extend_from_slice(&crc32(section).to_be_bytes());
    out.resize(end, 0xff);
}

/// A PAT of one program, whose PMT is at [`PMT_PID`].
fn pat() -> [u8; 12] {
    let [program, number] = PROGRAM.to_be_bytes();
    let [high, low] = PMT_PID.to_be_bytes();
    // Table 0, 13 bytes after the length, transport stream 1, version 0, current, section 0 of 0.
    [0x00, 0xb0, 13, 0, 1, 0xc1, 0, 0, program, number, 0xe0 | high, low]
}

/// A PMT of H.264 at [`VIDEO_PID`], which carries the PCR, and of audio with `codec`.
fn pmt(codec: Option<AudioCodec>, version: u8) -> Vec<u8> {
    let [program, number] = PROGRAM.to_be_bytes();
    let [high, low] = VIDEO_PID.to_be_bytes();
    let audio = codec.map(audio::pmt_entry).unwrap_or_default();
    // After the length: program, version, current, section 0 of 0, PCR PID, no descriptors; an entry of type, PID and
    // no descriptors; the audio entry; the CRC.
    let len = 9 + 5 + audio.len() + 4;
    let mut section = vec![0x02, 0xb0, len as u8, program, number, 0xc1 | version << 1, 0, 0];
    section.extend_from_slice(&[0xe0 | high, low, 0xf0, 0, H264, 0xe0 | high, low, 0xf0, 0]);
    section.extend_from_slice(&audio);
    section
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Reader, TsEvent};

    fn unit(bytes: &[u8], dts: u64, is_key: bool) -> AccessUnit<'_> {
        AccessUnit { bytes, pts: Ticks::new(dts + 5), dts: Ticks::new(dts), is_key }
    }

    fn read(bytes: &[u8]) -> Vec<TsEvent> {
        let mut reports = Vec::new();
        let mut reader = Reader::new();
        reader.push(bytes, &mut |report| reports.push(report));
        reader.flush(&mut |report| reports.push(report));
        reports
    }

    #[test]
    fn units_of_every_length_are_read_back_complete() {
        for len in (5..1200).chain([65_515, 65_516, 65_522, 65_523, 200_000]) {
            for front in [&[0, 0, 1, 0x65][..], &[0, 0, 0, 1, 0x09]] {
                let mut data = front.to_vec();
                data.resize(len, 0xaa);
                let muxed = Muxer::new().mux(&unit(&data, 900_000, true), true);
                assert_eq!(muxed.len() % PACKET, 0);
                let reports = read(&muxed);
                let [TsEvent::Pat, TsEvent::Pmt, TsEvent::Unit(read)] = reports[..] else {
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
    fn the_pes_length_is_set_where_it_fits() {
        let first_payload = 4 + PCR_FIELD;
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
    fn counters_continue_across_segments() {
        let mut muxer = Muxer::new();
        let mut channel = Vec::new();
        for n in 0..100_usize {
            let data = vec![1; 300 * (n % 7) + 1];
            channel.extend_from_slice(
                &muxer.mux(&unit(&data, n as u64 * 3750, n % 10 == 0), n % 10 == 0),
            );
        }
        let reports = read(&channel);
        assert_eq!(reports.iter().filter(|report| matches!(report, TsEvent::Unit(_))).count(), 100);
        assert_eq!(reports.len(), 100 + 10 * 2, "only units and tables: {reports:?}");
    }

    #[test]
    fn the_pcr_precedes_the_dts_and_key_frames_are_marked() {
        let dts = (1 << 33) - 1;
        for is_key in [false, true] {
            let muxed = Muxer::new().mux(&unit(&[0, 0, 1, 0x09], dts, is_key), false);
            assert_eq!(muxed.len(), PACKET);
            assert_eq!(muxed[5], if is_key { 0x50 } else { 0x10 });
            let mut clock = [0; 8];
            clock[2..].copy_from_slice(&muxed[6..12]);
            assert_eq!(u64::from_be_bytes(clock) >> 15, dts - PCR_LEAD);
        }
        // A PCR before zero wraps.
        assert_eq!(pcr_field(Ticks::new(0).minus(1)), [0xff, 0xff, 0xff, 0xff, 0xfe, 0]);
    }

    /// Checks the PCRs, in ms, for pictures at these times.
    #[track_caller]
    fn check_pcrs(pictures: &[u64], expected: &[u64]) {
        let (mut muxer, mut clocks, mut all) = (Muxer::new(), Vec::new(), Vec::new());
        for (nth, at) in pictures.iter().enumerate() {
            let muxed = muxer.mux(&unit(&[0, 0, 1, 0x41, 7], 90_000 + at * 90, false), nth == 0);
            all.extend_from_slice(&muxed);
        }
        for packet in all.chunks(PACKET) {
            if packet[3] & 0x20 != 0 && packet[4] > 0 && packet[5] & 0x10 != 0 {
                let mut clock = [0; 8];
                clock[2..].copy_from_slice(&packet[6..12]);
                clocks.push(((u64::from_be_bytes(clock) >> 15) + PCR_LEAD - 90_000) / 90);
            }
        }
        assert_eq!(clocks, expected);
        let gaps = read(&all).iter().filter(|report| matches!(report, TsEvent::Gap { .. })).count();
        assert_eq!(gaps, 0, "the counters are continuous");
    }

    #[test]
    fn pcrs_come_every_100_ms_between_rare_pictures() {
        check_pcrs(&[0, 42, 132], &[0, 42, 132]);
        check_pcrs(&[0, 100], &[0, 90, 100]);
        check_pcrs(&[0, 400, 440], &[0, 90, 180, 270, 360, 400, 440]);
        // Pauses and backward steps are not filled.
        check_pcrs(&[0, 5001, 4000], &[0, 5001, 4000]);
    }

    #[test]
    fn the_output_is_one_allocation_of_the_exact_size() {
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
