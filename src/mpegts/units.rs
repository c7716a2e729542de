//! Takes the access units of the first H.264 stream out of a transport stream.
//!
//! Safe for bytes from the network: memory is bounded by [`UNIT_BYTES`], and no input makes it fail. After a loss, units
//! are left out up to the next key frame, so that every unit that comes out can be decoded.
//!
//! Does not: check the stream ([`Reader`](crate::Reader) does), or take audio out.

use super::packet::{PAT_PID, Packet, ReadContinuity};
use super::section::{Table, programs, streams};
use super::{AccessUnit, H264, PACKET, SYNC, nal, pes};

/// The largest access unit with its PES header; a key frame at 40 Mbit/s is about 1 MiB. A larger one is left out.
pub const UNIT_BYTES: usize = 4 << 20;

/// Takes access units out of one transport stream.
#[derive(Debug, Clone, Default)]
pub struct Units {
    pat: Table,
    /// The first program's PID and map.
    program: Option<(u16, Table)>,
    /// The PID of the program's H.264 stream.
    video: Option<u16>,
    continuity: ReadContinuity,
    /// The bytes of the incomplete PES packet, with its header; empty between two packets.
    pes: Vec<u8>,
    /// No unit was lost since the last key frame. If false, units are dropped up to the next key frame.
    is_whole: bool,
}

impl Units {
    /// Starts at any place of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next packets, which must be whole; calls `found` for each access unit that they complete. Ignores bytes
    /// that are not packets.
    pub fn push(&mut self, packets: &[u8], found: &mut impl FnMut(&AccessUnit<'_>)) {
        let (packets, _) = packets.as_chunks::<PACKET>();
        for packet in packets.iter().filter(|packet| packet.first() == Some(&SYNC)) {
            match Packet::parse(packet) {
                Ok(Some(packet)) => self.take(&packet, found),
                Ok(None) => {}
                Err(pid) if Some(pid) == self.video => self.lose(),
                Err(_) => {}
            }
        }
    }

    fn take(&mut self, packet: &Packet<'_>, found: &mut impl FnMut(&AccessUnit<'_>)) {
        let ignore = &mut |_| {};
        if packet.pid == PAT_PID {
            if let Some(section) = self.pat.take(packet, ignore) {
                let first = programs(section).first().copied();
                if self.program.as_ref().map(|(pid, _)| *pid) != first {
                    self.program = first.map(|pid| (pid, Table::default()));
                }
            }
        } else if let Some((_, table)) = self.program.as_mut().filter(|(pid, _)| *pid == packet.pid)
        {
            if let Some(section) = table.take(packet, ignore) {
                let video = streams(section).into_iter().find(|(_, kind)| *kind == H264);
                let video = video.map(|(pid, _)| pid);
                if std::mem::replace(&mut self.video, video) != video {
                    self.lose();
                }
            }
        } else if self.video == Some(packet.pid) {
            self.take_video(packet, found);
        }
    }

    fn take_video(&mut self, packet: &Packet<'_>, found: &mut impl FnMut(&AccessUnit<'_>)) {
        if !self.continuity.follows(packet, &mut |_| {}) {
            self.lose();
        }
        if packet.starts {
            // Without a length, a unit ends where the next one starts.
            self.complete(found);
        } else if self.pes.is_empty() {
            return;
        }
        if self.pes.len() + packet.payload.len() > UNIT_BYTES {
            return self.lose();
        }
        self.pes.extend_from_slice(packet.payload);
        if pes::head(&self.pes).and_then(|head| head.end).is_some_and(|end| self.pes.len() >= end) {
            self.complete(found);
        }
    }

    /// Passes on the unit that is complete now, if there is one.
    fn complete(&mut self, found: &mut impl FnMut(&AccessUnit<'_>)) {
        let pes = std::mem::take(&mut self.pes);
        if pes.is_empty() {
            return;
        }
        let head = pes::head(&pes).filter(|head| head.end.is_none_or(|end| end <= pes.len()));
        let unit = head.and_then(|head| {
            let bytes = pes.get(head.start..head.end.unwrap_or(pes.len()))?;
            let pts = head.pts?;
            Some(AccessUnit {
                bytes,
                pts,
                dts: head.dts.unwrap_or(pts),
                is_key: nal::is_idr(bytes),
            })
        });
        match unit {
            Some(unit) if unit.is_key || self.is_whole => {
                self.is_whole = true;
                found(&unit);
            }
            Some(_) => {}
            None => self.is_whole = false,
        }
        // Keep the allocation, because the next unit is about as long.
        self.pes = pes;
        self.pes.clear();
    }

    fn lose(&mut self) {
        self.pes.clear();
        self.is_whole = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Muxer, Ticks};

    /// Frames of these lengths, the first of which is a key frame, as packets.
    fn stream(lengths: &[usize]) -> Vec<Vec<u8>> {
        let mut muxer = Muxer::new();
        let frame = |(n, length): (usize, &usize)| {
            let bytes = frame(n, *length);
            let at = Ticks::new(9000 + 3000 * n as u64);
            let unit = AccessUnit { bytes: &bytes, pts: at.plus(3000), dts: at, is_key: n == 0 };
            muxer.mux(&unit, n == 0).to_vec()
        };
        lengths.iter().enumerate().map(frame).collect()
    }

    fn frame(n: usize, length: usize) -> Vec<u8> {
        let mut bytes = vec![0, 0, 0, 1, 9, 0xf0, 0, 0, 1, if n == 0 { 0x65 } else { 0x41 }];
        bytes.resize(length.max(bytes.len()), n as u8 + 1);
        bytes
    }

    fn found(chunks: &[Vec<u8>]) -> Vec<(usize, u64, bool)> {
        let (mut units, mut found) = (Units::new(), Vec::new());
        for chunk in chunks {
            units.push(chunk, &mut |unit| {
                assert_eq!(unit.pts.since(unit.dts), 3000);
                found.push((unit.bytes.len(), unit.dts.value(), unit.is_key));
            });
        }
        found
    }

    #[test]
    fn units_come_out_as_they_went_in() {
        // The third unit is too long for the PES length field; it ends with the start of the next one.
        let expected = [
            (3000, 9000, true),
            (200, 12_000, false),
            (70_000, 15_000, false),
            (184, 18_000, false),
        ];
        let stream = stream(&[3000, 200, 70_000, 184]);
        assert_eq!(found(&stream), expected);
        let packets: Vec<Vec<u8>> = stream.concat().chunks(PACKET).map(<[u8]>::to_vec).collect();
        assert_eq!(found(&packets), expected);
    }

    #[test]
    fn after_a_loss_nothing_comes_out_before_a_key_frame() {
        let mut first = stream(&[3000, 3000, 500]);
        // A packet of the second unit is missing.
        first[1].drain(PACKET..2 * PACKET);
        let second = stream(&[3000, 300]);
        let all: Vec<_> = first.into_iter().chain(second).collect();
        let times: Vec<_> = found(&all).iter().map(|unit| (unit.0, unit.2)).collect();
        assert_eq!(times, [(3000, true), (3000, true), (300, false)]);
    }

    #[test]
    fn a_start_amid_a_stream_waits_for_tables_and_a_key_frame() {
        let stream = stream(&[3000, 300, 300]);
        assert_eq!(found(&stream[1..]), []);
        assert_eq!(found(&[stream[1].clone(), stream[0].clone(), stream[1].clone()]).len(), 2);
    }

    #[test]
    fn bytes_that_are_not_a_stream_give_no_units() {
        assert_eq!(found(&[vec![0x47; 10 * PACKET], vec![0; 1000], b"text".to_vec()]), []);
    }

    #[test]
    fn a_unit_without_an_end_is_left_out() {
        let head = stream(&[3000]);
        let mut endless = vec![0x47, 0x01, 0x00, 0x10];
        endless.resize(PACKET, 7);
        let mut units = Units::new();
        let mut count = 0;
        units.push(&head[0], &mut |_| count += 1);
        for n in 0..2 * UNIT_BYTES / PACKET {
            endless[3] = 0x10 | (n % 16) as u8;
            if n == 0 {
                endless[1] |= 0x40;
                endless[4..14].copy_from_slice(&[0, 0, 1, 0xe0, 0, 0, 0x80, 0, 0, 0]);
            } else {
                endless[1] &= !0x40;
            }
            units.push(&endless, &mut |_| count += 1);
            assert!(units.pes.capacity() <= 2 * UNIT_BYTES);
        }
        assert_eq!(count, 1);
    }
}
