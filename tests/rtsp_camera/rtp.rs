//! Puts access units into RTP packets (RFC 6184: single NAL units and FU-A), and writes the camera's RTCP.
//!
//! Does not: send packets.

use super::Ssrc;
use super::video::Unit;

/// The payload type of the video.
pub(super) const PAYLOAD_TYPE: u8 = 96;
/// Bytes of payload in a packet.
const PAYLOAD: usize = 1400;

/// The state of an RTP stream.
pub(super) struct Packets {
    ssrc: u32,
    sequence: u16,
    /// The offset of all timestamps.
    epoch: u32,
    sent: u32,
}

impl Packets {
    pub(super) fn new() -> Self {
        // Sequence number and timestamp start shortly before they wrap, so that every test includes a wrap.
        Self { ssrc: 0x1000_0001, sequence: u16::MAX - 50, epoch: u32::MAX - 90_000, sent: 0 }
    }

    /// Changes the SSRC as `ssrc` says. Call this at the begin of each GOP except the first.
    pub(super) fn begin_gop(&mut self, ssrc: Ssrc) {
        if ssrc == Ssrc::Fixed {
            return;
        }
        self.ssrc = self.ssrc.wrapping_add(0x0101_0101);
        if ssrc == Ssrc::EachGopRestarts {
            // The new sequence numbers are higher or lower than the old ones.
            self.sequence = self.sequence.wrapping_mul(17).wrapping_add(20_011);
            self.epoch = self.epoch.wrapping_mul(17).wrapping_add(2_000_000_011);
        }
    }

    /// The packets of an access unit that is shown at `time`, in 90 kHz.
    pub(super) fn of(&mut self, unit: &Unit, time: u32) -> Vec<Vec<u8>> {
        let mut payloads = Vec::new();
        for nal in &unit.nals {
            if nal.len() <= PAYLOAD {
                payloads.push(nal.clone());
                continue;
            }
            let (indicator, kind) = (nal[0] & 0xe0 | 28, nal[0] & 0x1f);
            let mut parts = nal[1..].chunks(PAYLOAD - 2).peekable();
            let mut start = 0x80;
            while let Some(part) = parts.next() {
                let end = if parts.peek().is_none() { 0x40 } else { 0 };
                payloads.push([&[indicator, start | end | kind], part].concat());
                start = 0;
            }
        }
        let last = payloads.len() - 1;
        let packets = payloads.into_iter().enumerate();
        packets.map(|(number, payload)| self.packet(&payload, time, number == last)).collect()
    }

    fn packet(&mut self, payload: &[u8], time: u32, is_last: bool) -> Vec<u8> {
        let mut packet = vec![0x80, u8::from(is_last) << 7 | PAYLOAD_TYPE];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(self.epoch.wrapping_add(time).to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.sent += 1;
        packet
    }

    /// A sender report for `time`, in 90 kHz.
    pub(super) fn sender_report(&self, time: u32) -> Vec<u8> {
        let mut packet = vec![0x80, 200, 0, 6];
        packet.extend(self.ssrc.to_be_bytes());
        // The time of the camera's clock: seconds, and a fraction of a second.
        packet.extend((3_900_000_000 + time / 90_000).to_be_bytes());
        packet.extend((time % 90_000 * 47_721).to_be_bytes());
        packet.extend(self.epoch.wrapping_add(time).to_be_bytes());
        packet.extend(self.sent.to_be_bytes());
        packet.extend([0; 4]);
        packet
    }

    /// The end of the stream: an empty receiver report, and BYE.
    pub(super) fn bye(&self) -> Vec<u8> {
        let ssrc = self.ssrc.to_be_bytes();
        [&[0x80, 201, 0, 1], &ssrc[..], &[0x81, 203, 0, 1], &ssrc[..]].concat()
    }
}
