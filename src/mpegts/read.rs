//! Reads a transport stream in chunks of any size and reports what is in it and what is wrong with it.
//!
//! Made for bytes from the network: memory is bounded, nothing in them makes it fail. It finds its
//! way back after lost bytes at the next two sync bytes one packet apart.
//!
//! An access unit with a PES length is complete with its last byte, one without at the start of the
//! next, or at [`Reader::flush`]. A PES packet counts as one access unit, which holds for this program,
//! GStreamer and libav.
//!
//! Does not: keep or hand out the pictures, and does not judge; what is a fault depends on who asks.

use heapless::Vec;

use super::packet::{Arrival, PAT_PID};
use super::pes::Stream;
use super::section::{Table, programs, streams};
use super::{H264, PACKET, SYNC, Ticks};

/// Programs whose maps are followed; more are ignored.
pub(super) const PROGRAMS: usize = 4;
/// Streams of all programs that are followed; more are ignored.
pub(super) const STREAMS: usize = 16;
/// PIDs that are reported as stray; more are passed over in silence.
const STRAYS: usize = 16;

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// A program association table.
    Pat,
    /// A program map.
    Pmt,
    /// An access unit came to its end.
    Unit(Unit),
    /// The continuity counter jumped: packets are missing, doubled or out of order.
    Gap {
        /// Of which stream or table.
        pid: u16,
        /// The counter that should have come.
        expected: u8,
        /// The counter that came.
        found: u8,
    },
    /// A packet, table or PES header that is broken, or marked as such.
    Damaged {
        /// Of which stream or table.
        pid: u16,
    },
    /// Packets that no table announced before them; once for each PID.
    Stray {
        /// Theirs.
        pid: u16,
    },
    /// Packets did not begin where they should; what was there is skipped.
    LostSync,
}

/// A complete access unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// Its stream.
    pub pid: u16,
    /// Whether that is H.264; else it is audio, or something unknown.
    pub is_video: bool,
    /// When it is shown; `None` when the stream does not say.
    pub pts: Option<Ticks>,
    /// When it is decoded; `None` when the stream does not say, which means with `pts`.
    pub dts: Option<Ticks>,
    /// Bytes of its data, without packet and PES headers.
    pub(crate) bytes: usize,
    /// H.264 with an IDR picture.
    pub is_key: bool,
    /// H.264 with sequence and picture parameters.
    pub has_parameters: bool,
    /// Bytes of it are missing.
    pub cut_short: bool,
}

/// A reader of one transport stream.
#[derive(Debug, Clone)]
pub struct Reader {
    /// Less than a packet, or the packet under suspicion and the byte behind it.
    pending: Vec<u8, { PACKET + 1 }>,
    in_sync: bool,
    pat: Table,
    programs: Vec<(u16, Table), PROGRAMS>,
    streams: Vec<Stream, STREAMS>,
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

    /// Takes the next bytes of the stream and reports what they complete.
    pub fn push(&mut self, mut bytes: &[u8], report: &mut impl FnMut(Report)) {
        while !bytes.is_empty() {
            let wanted = if self.in_sync { PACKET } else { PACKET + 1 };
            let (taken, rest) =
                bytes.split_at(wanted.saturating_sub(self.pending.len()).min(bytes.len()));
            bytes = rest;
            // `pending` has room for `wanted`, and is below it after each turn.
            let _ = self.pending.extend_from_slice(taken);
            self.take_packets(report);
        }
    }

    /// The stream ends, or pauses, here: reports the access units that are still open.
    pub fn flush(&mut self, report: &mut impl FnMut(Report)) {
        for stream in &mut self.streams {
            stream.close(report);
        }
    }

    fn take_packets(&mut self, report: &mut impl FnMut(Report)) {
        while let Some(&first) = self.pending.first() {
            if first != SYNC {
                if self.in_sync {
                    self.in_sync = false;
                    report(Report::LostSync);
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

    /// Drops the first byte, and all up to the next that may start a packet.
    fn seek(&mut self) {
        let next = self.pending.iter().skip(1).position(|&byte| byte == SYNC);
        match next {
            Some(behind_first) => self.drop_front(behind_first + 1),
            None => self.pending.clear(),
        }
    }

    fn drop_front(&mut self, count: usize) {
        // A part of what fits does fit.
        let rest = self.pending.get(count..).unwrap_or_default();
        self.pending = Vec::from_slice(rest).unwrap_or_default();
    }

    fn packet(&mut self, packet: &[u8; PACKET], report: &mut impl FnMut(Report)) {
        match Arrival::read(packet) {
            Ok(Some(arrival)) => self.arrived(&arrival, report),
            Ok(None) => {}
            Err(pid) => report(Report::Damaged { pid }),
        }
    }

    fn arrived(&mut self, arrival: &Arrival<'_>, report: &mut impl FnMut(Report)) {
        let pid = arrival.pid;
        if pid == PAT_PID {
            if let Some(section) = self.pat.take(arrival, report) {
                let programs = programs(section);
                report(Report::Pat);
                self.programs.retain(|(pid, _)| programs.contains(pid));
                for pid in programs {
                    if !self.programs.iter().any(|(known, _)| *known == pid) {
                        let _ = self.programs.push((pid, Table::default()));
                    }
                }
            }
        } else if let Some((_, table)) = self.programs.iter_mut().find(|(known, _)| *known == pid) {
            if let Some(section) = table.take(arrival, report) {
                let streams = streams(section);
                report(Report::Pmt);
                for (pid, kind) in streams {
                    match self.streams.iter_mut().find(|stream| stream.pid == pid) {
                        Some(stream) => stream.is_h264 = kind == H264,
                        None => drop(self.streams.push(Stream::new(pid, kind == H264))),
                    }
                }
            }
        } else if let Some(stream) = self.streams.iter_mut().find(|stream| stream.pid == pid) {
            stream.take(arrival, report);
        } else if !self.strays.contains(&pid) && self.strays.push(pid).is_ok() {
            report(Report::Stray { pid });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::{AccessUnit, Muxer};

    /// A key and four other frames, of lengths that need one packet, several, and no PES length.
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

    fn read(chunks: &[&[u8]]) -> Vec<Report> {
        let mut reports = Vec::new();
        let mut reader = Reader::new();
        for chunk in chunks {
            reader.push(chunk, &mut |report| reports.push(report));
        }
        reader.flush(&mut |report| reports.push(report));
        reports
    }

    fn units(reports: &[Report]) -> Vec<Unit> {
        let unit =
            |report: &Report| if let Report::Unit(unit) = report { Some(*unit) } else { None };
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
            reports.contains(&Report::Gap { pid: 0x100, expected: 3, found: 4 }),
            "{reports:?}"
        );
        let cut: Vec<_> = units(&reports).iter().map(|unit| unit.cut_short).collect();
        assert_eq!(cut, [true, false, false, false, false]);
    }

    #[test]
    fn packets_before_their_tables_are_stray() {
        let stream = stream();
        let without_tables = &stream[2 * PACKET..];
        assert_eq!(read(&[without_tables]), [Report::Stray { pid: 0x100 }]);
        let without_pat = &stream[PACKET..];
        assert_eq!(
            read(&[without_pat]),
            [Report::Stray { pid: 0x1000 }, Report::Stray { pid: 0x100 }]
        );
    }

    #[test]
    fn a_marked_error_and_a_wrong_crc_are_damage() {
        let mut marked = stream();
        marked[2 * PACKET + 1] |= 0x80;
        assert!(read(&[&marked]).contains(&Report::Damaged { pid: 0x100 }));
        let mut wrong = stream();
        wrong[PACKET + 12] ^= 1;
        assert!(read(&[&wrong]).contains(&Report::Damaged { pid: 0x1000 }));
    }

    #[test]
    fn lost_bytes_cost_the_packets_around_them() {
        let stream = stream();
        for lost in [1, 100, 187] {
            let mut torn = stream.clone();
            torn.drain(8 * PACKET + 20..8 * PACKET + 20 + lost);
            let reports = read(&[&torn]);
            assert_eq!(reports.iter().filter(|report| **report == Report::LostSync).count(), 1);
            assert_eq!(units(&reports).len(), 5, "{lost}: {reports:?}");
        }
        let mut garbage = vec![SYNC; 3];
        garbage.extend([0; 500]);
        garbage.extend_from_slice(&stream);
        assert_eq!(units(&read(&[&garbage])).len(), 5);
    }

    #[test]
    fn hostile_bytes_do_no_harm() {
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
