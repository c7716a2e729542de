//! Reads a transport stream in chunks of any size and reports its contents and errors.
//!
//! Safe for bytes from the network: memory is bounded and no input makes it fail. After lost bytes it
//! resynchronises at the next two sync bytes that are one packet apart.
//!
//! An access unit with a PES length is complete at its last byte, a unit without a length at the start of the next one
//! or at [`Reader::flush`]. Each PES packet counts as one access unit: the muxers of this program, GStreamer and libav
//! write one access unit in each.
//!
//! Does not: store or return pictures, or decide which reports are errors; that depends on the caller.

use heapless::Vec;

use super::packet::{PAT_PID, Packet};
use super::pes::ElementaryStream;
use super::section::{Table, programs, streams};
use super::{H264, PACKET, SYNC, Ticks};

/// Maximum number of programs; further ones are ignored.
pub(super) const PROGRAMS: usize = 4;
/// Maximum number of streams over all programs; further ones are ignored.
pub(super) const STREAMS: usize = 16;
/// Maximum number of unannounced PIDs that are reported; further ones are ignored.
const STRAYS: usize = 16;

/// Something that [`Reader`] found in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TsEvent {
    /// A program association table.
    Pat,
    /// A program map table.
    Pmt,
    /// An access unit ended.
    Unit(Unit),
    /// The continuity counter jumped: packets are missing, repeated or out of order.
    Gap {
        /// PID of the stream or table.
        pid: u16,
        /// The expected counter.
        expected: u8,
        /// The counter in the packet.
        found: u8,
    },
    /// A packet, table or PES header is malformed, or the packet's transport error indicator is set.
    Damaged {
        /// PID of the stream or table.
        pid: u16,
    },
    /// Packets of a PID that no table has announced; reported once per PID.
    Stray {
        /// The unannounced PID.
        pid: u16,
    },
    /// A packet did not begin with the sync byte; bytes up to the next packet are skipped.
    LostSync,
}

/// An access unit that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// PID of the unit's stream.
    pub pid: u16,
    /// Whether the stream is H.264; otherwise it is audio or of an unknown type.
    pub is_video: bool,
    /// Presentation time; `None` when the PES header has none.
    pub pts: Option<Ticks>,
    /// Decoding time; `None` when the PES header has none, which means that it equals `pts`.
    pub dts: Option<Ticks>,
    /// Length of the data, without packet and PES headers.
    pub(crate) bytes: usize,
    /// Whether this is an IDR picture of H.264.
    pub is_key: bool,
    /// Whether this H.264 unit contains both SPS and PPS.
    pub has_parameters: bool,
    /// Whether bytes of the unit are missing.
    pub cut_short: bool,
}

/// Reads one transport stream.
#[derive(Debug, Clone)]
pub struct Reader {
    /// An incomplete packet; while out of sync, a possible packet and the byte after it.
    pending: Vec<u8, { PACKET + 1 }>,
    in_sync: bool,
    pat: Table,
    programs: Vec<(u16, Table), PROGRAMS>,
    streams: Vec<ElementaryStream, STREAMS>,
    strays: Vec<u16, STRAYS>,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            pending: Vec::new(),
            in_sync: true,
            pat: Table::default(),
            programs: Vec::new(),
            streams: Vec::new(),
            strays: Vec::new(),
        }
    }
}

impl Reader {
    /// A reader at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next bytes of the stream; calls `report` for everything that they complete.
    pub fn push(&mut self, mut bytes: &[u8], report: &mut impl FnMut(TsEvent)) {
        while !bytes.is_empty() {
            let wanted = if self.in_sync { PACKET } else { PACKET + 1 };
            let (taken, rest) =
                bytes.split_at(wanted.saturating_sub(self.pending.len()).min(bytes.len()));
            bytes = rest;
            // `pending` has room for `wanted` bytes and holds fewer after each iteration.
            let _ = self.pending.extend_from_slice(taken);
            self.take_packets(report);
        }
    }

    /// Reports the access units that are still open. Call where the stream ends or pauses.
    pub fn flush(&mut self, report: &mut impl FnMut(TsEvent)) {
        for stream in &mut self.streams {
            stream.close(report);
        }
    }

    fn take_packets(&mut self, report: &mut impl FnMut(TsEvent)) {
        while let Some(&first) = self.pending.first() {
            if first != SYNC {
                if self.in_sync {
                    self.in_sync = false;
                    report(TsEvent::LostSync);
                }
                self.seek();
            } else if self.in_sync {
                let Some(packet) = self.pending.first_chunk::<PACKET>().copied() else { return };
                self.drop_front(PACKET);
                self.packet(&packet, report);
            } else {
                match self.pending.get(PACKET) {
                    None => return,
                    Some(&SYNC) => self.in_sync = true,
                    Some(_) => self.seek(),
                }
            }
        }
    }

    /// Drops the first byte and all bytes up to the next possible start of a packet.
    fn seek(&mut self) {
        let next = self.pending.iter().skip(1).position(|&byte| byte == SYNC);
        match next {
            Some(after_first) => self.drop_front(after_first + 1),
            None => self.pending.clear(),
        }
    }

    fn drop_front(&mut self, count: usize) {
        // The rest fits: it is a part of the same buffer.
        let rest = self.pending.get(count..).unwrap_or_default();
        self.pending = Vec::from_slice(rest).unwrap_or_default();
    }

    fn packet(&mut self, packet: &[u8; PACKET], report: &mut impl FnMut(TsEvent)) {
        match Packet::parse(packet) {
            Ok(Some(packet)) => self.take(&packet, report),
            Ok(None) => {}
            Err(pid) => report(TsEvent::Damaged { pid }),
        }
    }

    fn take(&mut self, packet: &Packet<'_>, report: &mut impl FnMut(TsEvent)) {
        let pid = packet.pid;
        if pid == PAT_PID {
            if let Some(section) = self.pat.take(packet, report) {
                let programs = programs(section);
                report(TsEvent::Pat);
                self.programs.retain(|(pid, _)| programs.contains(pid));
                for pid in programs {
                    if !self.programs.iter().any(|(known, _)| *known == pid) {
                        let _ = self.programs.push((pid, Table::default()));
                    }
                }
            }
        } else if let Some((_, table)) = self.programs.iter_mut().find(|(known, _)| *known == pid) {
            if let Some(section) = table.take(packet, report) {
                let streams = streams(section);
                report(TsEvent::Pmt);
                for (pid, kind) in streams {
                    match self.streams.iter_mut().find(|stream| stream.pid == pid) {
                        Some(stream) => stream.is_h264 = kind == H264,
                        None => drop(self.streams.push(ElementaryStream::new(pid, kind == H264))),
                    }
                }
            }
        } else if let Some(stream) = self.streams.iter_mut().find(|stream| stream.pid == pid) {
            stream.take(packet, report);
        } else if !self.strays.contains(&pid) && self.strays.push(pid).is_ok() {
            report(TsEvent::Stray { pid });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::{AccessUnit, Muxer};

    /// A key frame and four other frames. Some need one packet, some need several, and one is too long for the PES
    /// length field.
    fn stream() -> Vec<u8> {
        let mut muxer = Muxer::new();
        let mut stream = Vec::new();
        for (n, len) in [3000_usize, 10, 700, 70_000, 184].into_iter().enumerate() {
            let mut data = match n {
                0 => vec![0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 1, 0, 0, 1, 0x65],
                _ => vec![0, 0, 0, 1, 0x41],
            };
            data.resize(len.max(data.len()), 0x55);
            let time = Ticks::new(90_000 + 3000 * n as u64);
            let unit = AccessUnit { bytes: &data, pts: time, dts: time, is_key: n == 0 };
            stream.extend_from_slice(&muxer.mux(&unit, n == 0));
        }
        stream
    }

    fn read(chunks: &[&[u8]]) -> Vec<TsEvent> {
        let mut reports = Vec::new();
        let mut reader = Reader::new();
        for chunk in chunks {
            reader.push(chunk, &mut |report| reports.push(report));
        }
        reader.flush(&mut |report| reports.push(report));
        reports
    }

    fn units(reports: &[TsEvent]) -> Vec<Unit> {
        let unit =
            |report: &TsEvent| if let TsEvent::Unit(unit) = report { Some(*unit) } else { None };
        reports.iter().filter_map(unit).collect()
    }

    #[test]
    fn chunks_of_any_size_read_alike() {
        let stream = stream();
        let whole = read(&[&stream]);
        let lengths: Vec<_> = units(&whole).iter().map(|unit| unit.bytes).collect();
        assert_eq!(lengths, [3006, 16, 706, 70_006, 190]);
        assert!(units(&whole)[0].is_key && units(&whole)[0].has_parameters);
        assert!(!units(&whole)[1].is_key && !units(&whole)[1].has_parameters);
        for size in [1, 2, 7, 187, 188, 189, 377, 5000] {
            assert_eq!(read(&stream.chunks(size).collect::<Vec<_>>()), whole, "{size}");
        }
    }

    #[test]
    fn a_unit_with_a_length_is_complete_with_its_last_byte() {
        let time = Ticks::new(5);
        let unit = AccessUnit { bytes: &[0, 0, 1, 9, 9, 9], pts: time, dts: time, is_key: false };
        let muxed = Muxer::new().mux(&unit, true);
        let (most, last) = muxed.split_at(muxed.len() - 1);
        let mut reader = Reader::new();
        let mut seen = Vec::new();
        reader.push(most, &mut |report| seen.push(report));
        assert!(units(&seen).is_empty());
        reader.push(last, &mut |report| seen.push(report));
        assert_eq!(units(&seen).len(), 1);
    }

    #[test]
    fn a_lost_packet_is_a_gap_and_its_unit_cut_short() {
        let mut stream = stream();
        stream.drain(5 * PACKET..6 * PACKET);
        let reports = read(&[&stream]);
        assert!(
            reports.contains(&TsEvent::Gap { pid: 0x100, expected: 3, found: 4 }),
            "{reports:?}"
        );
        let cut: Vec<_> = units(&reports).iter().map(|unit| unit.cut_short).collect();
        assert_eq!(cut, [true, false, false, false, false]);
    }

    #[test]
    fn packets_before_their_tables_are_reported_once() {
        let stream = stream();
        let without_tables = &stream[2 * PACKET..];
        assert_eq!(read(&[without_tables]), [TsEvent::Stray { pid: 0x100 }]);
        let without_pat = &stream[PACKET..];
        assert_eq!(
            read(&[without_pat]),
            [TsEvent::Stray { pid: 0x1000 }, TsEvent::Stray { pid: 0x100 }]
        );
    }

    #[test]
    fn a_marked_error_and_a_wrong_crc_are_damage() {
        let mut marked = stream();
        marked[2 * PACKET + 1] |= 0x80;
        assert!(read(&[&marked]).contains(&TsEvent::Damaged { pid: 0x100 }));
        let mut wrong = stream();
        wrong[PACKET + 12] ^= 1;
        assert!(read(&[&wrong]).contains(&TsEvent::Damaged { pid: 0x1000 }));
    }

    #[test]
    fn lost_bytes_lose_only_the_packets_around_them() {
        let stream = stream();
        for lost in [1, 100, 187] {
            let mut torn = stream.clone();
            torn.drain(8 * PACKET + 20..8 * PACKET + 20 + lost);
            let reports = read(&[&torn]);
            assert_eq!(reports.iter().filter(|report| **report == TsEvent::LostSync).count(), 1);
            assert_eq!(units(&reports).len(), 5, "{lost}: {reports:?}");
        }
        let mut garbage = vec![SYNC; 3];
        garbage.extend([0; 500]);
        garbage.extend_from_slice(&stream);
        assert_eq!(units(&read(&[&garbage])).len(), 5);
    }

    #[test]
    fn hostile_bytes_do_not_panic() {
        let stream = stream();
        for end in 0..2000 {
            read(&[&stream[..end]]);
        }
        for at in 0..20 * PACKET {
            for flip in [0x01, 0x80, 0xff] {
                let mut flipped = stream[..40 * PACKET].to_vec();
                flipped[at] ^= flip;
                assert!(read(&[&flipped]).len() < 100);
            }
        }
        let mut random = 0x2545_f491_u32;
        for _ in 0..200 {
            let mut noise = vec![0; 40 * PACKET];
            for (at, byte) in noise.iter_mut().enumerate() {
                random ^= random << 13;
                random ^= random >> 17;
                random ^= random << 5;
                *byte = if at % PACKET == 0 { SYNC } else { random as u8 };
                // Half of the packets are for the tables and streams that a hostile peer would aim at.
                if at % PACKET == 1 && random & 0x100 == 0 {
                    *byte &= 0x41;
                }
                if at % PACKET == 2 && random & 0x200 == 0 {
                    *byte = 0;
                }
            }
            read(&[&stream[..10 * PACKET], &noise]);
        }
    }
}
