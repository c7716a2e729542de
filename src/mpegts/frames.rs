//! Finds where the pictures of a transport stream begin, and their PTS, from the packet headers.
//!
//! A picture is a PES packet of an H.264 stream. Only headers and tables are read, so the scan of a second of video
//! costs some microseconds; memory is bounded, and no input makes it fail.
//!
//! Does not: check the stream, or notice that a picture is incomplete; [`Reader`](crate::Reader) does.

use heapless::Vec;

use super::packet::{PAT_PID, Packet};
use super::read::PROGRAMS;
use super::section::{Table, programs, streams};
use super::{H264, PACKET, SYNC, Ticks, pes};

/// Scans one transport stream.
#[derive(Debug, Clone, Default)]
pub struct FrameScanner {
    pat: Table,
    programs: Vec<(u16, Table), PROGRAMS>,
    /// The PIDs of H.264 streams.
    videos: Vec<u16, PROGRAMS>,
}

impl FrameScanner {
    /// A scanner at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Scans the next packets of the stream, which must be whole; calls `found` for each picture that begins, with its
    /// PTS if it has one. Ignores bytes that are not packets.
    pub fn push(&mut self, packets: &[u8], found: &mut impl FnMut(Option<Ticks>)) {
        let (packets, _) = packets.as_chunks::<PACKET>();
        for packet in packets.iter().filter(|packet| packet.first() == Some(&SYNC)) {
            if let Ok(Some(packet)) = Packet::parse(packet) {
                self.take(&packet, found);
            }
        }
    }

    fn take(&mut self, packet: &Packet<'_>, found: &mut impl FnMut(Option<Ticks>)) {
        let ignore = &mut |_| {};
        let pid = packet.pid;
        if pid == PAT_PID {
            if let Some(section) = self.pat.take(packet, ignore) {
                let listed = programs(section);
                self.programs.retain(|(pid, _)| listed.contains(pid));
                for pid in listed {
                    if !self.programs.iter().any(|(known, _)| *known == pid) {
                        let _ = self.programs.push((pid, Table::default()));
                    }
                }
            }
        } else if let Some((_, table)) = self.programs.iter_mut().find(|(known, _)| *known == pid) {
            if let Some(section) = table.take(packet, ignore) {
                let videos = streams(section).into_iter().filter(|(_, kind)| *kind == H264);
                self.videos = videos.map(|(pid, _)| pid).take(PROGRAMS).collect();
            }
        } else if packet.starts
            && self.videos.contains(&pid)
            && let Some(head) = pes::head(packet.payload)
        {
            found(head.pts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccessUnit, AudioCodec, AudioFrame, Muxer};

    /// Ten pictures, the first and the sixth of them keys, each with a frame of sound.
    fn stream() -> std::vec::Vec<u8> {
        let mut muxer = Muxer::new();
        muxer.set_audio(Some(AudioCodec::default()));
        let unit = |n: u64| {
            let at = Ticks::new(90_000 + 3750 * n);
            let bytes = [&[0, 0, 1, if n.is_multiple_of(5) { 0x65 } else { 0x41 }][..], &[7; 700]];
            let (bytes, is_key) = (bytes.concat(), n.is_multiple_of(5));
            let sound = AudioFrame { bytes: &[0x55; 90], pts: at };
            let unit = AccessUnit { bytes: &bytes, pts: at, dts: at, is_key };
            muxer.mux_with_audio(&unit, &[sound], is_key).to_vec()
        };
        (0..10).flat_map(unit).collect()
    }

    fn found(chunks: &[&[u8]]) -> std::vec::Vec<Option<Ticks>> {
        let (mut frames, mut found) = (FrameScanner::new(), std::vec::Vec::new());
        for chunk in chunks {
            frames.push(chunk, &mut |pts| found.push(pts));
        }
        found
    }

    #[test]
    fn each_picture_is_found_once_with_its_pts() {
        let expected: std::vec::Vec<_> =
            (0..10).map(|n| Some(Ticks::new(90_000 + 3750 * n))).collect();
        let stream = stream();
        assert_eq!(found(&[&stream]), expected);
        assert_eq!(found(&stream.chunks(PACKET).collect::<std::vec::Vec<_>>()), expected);
    }

    #[test]
    fn nothing_is_found_without_tables_or_packets() {
        let stream = stream();
        assert_eq!(found(&[&stream[2 * PACKET..3 * PACKET]]), []);
        assert_eq!(found(&[&[0x47; 20], b"plain text", &[]]), []);
    }

    #[test]
    fn hostile_bytes_do_no_harm() {
        let stream = stream();
        for at in 0..stream.len().min(12 * PACKET) {
            for flip in [0x01, 0x10, 0xff] {
                let mut flipped = stream.clone();
                flipped[at] ^= flip;
                assert!(found(&[&flipped]).len() <= 11);
            }
        }
    }
}
