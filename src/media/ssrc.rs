//! Joins the packets of a camera that changes its SSRC repeatedly, as some cameras do with each GOP, to one RTP stream.
//!
//! GStreamer opens a new pad for each SSRC, so all packets get the first SSRC of the stream. If sequence numbers and
//! timestamps do not continue across a change of the SSRC, they are shifted: the next number follows the last one, and
//! the timestamp advances by the time between the arrivals.
//!
//! RTCP of another SSRC than the first is dropped: GStreamer would open a stream for it, too. This also drops the BYE
//! that announces the end of the stream; the lack of frames shows that end as well.
//!
//! Does not: put packets in order; GStreamer's jitter buffer does.

use std::time::Instant;

/// Ticks of a video's RTP clock in a second (RFC 6184).
const CLOCK_RATE: u128 = 90_000;
/// The largest step of sequence numbers that counts as lost packets. A larger step counts as a new start (RFC 3550,
/// A.1).
const MAX_DROPOUT: u16 = 3000;
/// The largest step of timestamps that counts as a pause: 10 s. A larger step counts as a new start.
const MAX_PAUSE: u32 = 900_000;

/// The fields of an RTP header that identify a packet of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RtpHeader {
    /// The payload type.
    pub(crate) payload_type: u8,
    /// The sequence number.
    pub(crate) sequence: u16,
    /// The timestamp.
    pub(crate) time: u32,
    /// The source.
    pub(crate) ssrc: u32,
}

impl RtpHeader {
    /// Reads the beginning of a packet; `None` if it is not RTP.
    pub(crate) fn read(packet: &[u8]) -> Option<Self> {
        let fixed: &[u8; 12] = packet.first_chunk()?;
        let [flags, kind, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3] = *fixed;
        (flags >> 6 == 2).then_some(Self {
            payload_type: kind & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            time: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([i0, i1, i2, i3]),
        })
    }

    /// Writes sequence number, timestamp and source into a packet that was [read](Self::read).
    pub(crate) fn write(self, packet: &mut [u8]) {
        let (sequence, time) = (self.sequence.to_be_bytes(), self.time.to_be_bytes());
        let values = sequence.into_iter().chain(time).chain(self.ssrc.to_be_bytes());
        for (byte, value) in packet.iter_mut().skip(2).zip(values) {
            *byte = value;
        }
    }
}

/// Joins packets of changing SSRCs to one stream.
#[derive(Debug, Default)]
pub(crate) struct OneSource(Option<JoinedStream>);

#[derive(Debug)]
struct JoinedStream {
    /// The header of the newest packet as it was passed on, and its arrival time.
    newest: RtpHeader,
    came: Instant,
    /// The present SSRC, and the one before it, whose last packets may arrive late.
    source: HeaderShift,
    before: Option<HeaderShift>,
}

/// The values that are added to the headers of an SSRC's packets.
#[derive(Debug, Clone, Copy)]
struct HeaderShift {
    ssrc: u32,
    sequence: u16,
    time: u32,
}

impl OneSource {
    /// Call for each packet that arrives. Write the returned header into the packet before passing it on.
    pub(crate) fn on_packet(&mut self, header: RtpHeader, now: Instant) -> RtpHeader {
        let Some(stream) = &mut self.0 else {
            let source = HeaderShift { ssrc: header.ssrc, sequence: 0, time: 0 };
            self.0 = Some(JoinedStream { newest: header, came: now, source, before: None });
            return header;
        };
        if header.payload_type != stream.newest.payload_type {
            return header;
        }
        let known = [Some(stream.source), stream.before];
        let known = known.into_iter().flatten().find(|shift| shift.ssrc == header.ssrc);
        let shift = known.unwrap_or_else(|| stream.change(header, now));
        let handed_on = RtpHeader {
            sequence: header.sequence.wrapping_add(shift.sequence),
            time: header.time.wrapping_add(shift.time),
            ssrc: stream.newest.ssrc,
            ..header
        };
        if handed_on.sequence.wrapping_sub(stream.newest.sequence) <= u16::MAX / 2 {
            (stream.newest, stream.came) = (handed_on, now);
        }
        handed_on
    }

    /// Whether to pass on an RTCP packet: true if it is about the SSRC that the stream began with, or if no RTP packet
    /// has arrived yet.
    pub(crate) fn takes_rtcp(&self, packet: &[u8]) -> bool {
        let Some(stream) = &self.0 else { return true };
        let sender = packet.get(4..8).and_then(|sender| sender.try_into().ok());
        sender.map(u32::from_be_bytes) == Some(stream.newest.ssrc)
    }
}

impl JoinedStream {
    /// Call for the first packet of another source. Returns the shift of that source.
    fn change(&mut self, first: RtpHeader, now: Instant) -> HeaderShift {
        let old = self.source;
        let steps = first.sequence.wrapping_add(old.sequence).wrapping_sub(self.newest.sequence);
        let ticks = first.time.wrapping_add(old.time).wrapping_sub(self.newest.time);
        let new = if (1..=MAX_DROPOUT).contains(&steps) && ticks <= MAX_PAUSE {
            HeaderShift { ssrc: first.ssrc, ..old }
        } else {
            let passed = now.saturating_duration_since(self.came).as_nanos() * CLOCK_RATE;
            let passed = u32::try_from(passed / 1_000_000_000).unwrap_or(MAX_PAUSE);
            let (sequence, time) = (self.newest.sequence, self.newest.time);
            HeaderShift {
                ssrc: first.ssrc,
                sequence: sequence.wrapping_add(1).wrapping_sub(first.sequence),
                time: time.wrapping_add(passed).wrapping_sub(first.time),
            }
        };
        (self.source, self.before) = (new, Some(old));
        new
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PAYLOAD_TYPE: u8 = 96;

    /// Passes on packets that arrive every 40 ms, and compares their headers.
    #[track_caller]
    fn check(packets: &[(u32, u16, u32)], expected: &[(u16, u32)]) {
        let (mut source, began) = (OneSource::default(), Instant::now());
        let mut handed_on = Vec::new();
        for (number, &(ssrc, sequence, time)) in (0..).zip(packets) {
            let header = RtpHeader { payload_type: PAYLOAD_TYPE, sequence, time, ssrc };
            let header = source.on_packet(header, began + Duration::from_millis(40) * number);
            assert_eq!(header.ssrc, packets[0].0, "packet {number}");
            handed_on.push((header.sequence, header.time));
        }
        assert_eq!(handed_on, expected);
    }

    #[test]
    fn packets_of_one_ssrc_are_unchanged() {
        check(&[(1, 7, 0), (1, 9, 3600), (1, 8, 3600)], &[(7, 0), (9, 3600), (8, 3600)]);
        check(&[(1, 65_535, u32::MAX), (1, 0, 3599)], &[(65_535, u32::MAX), (0, 3599)]);
        // Jumps within one SSRC are left to the jitter buffer.
        check(&[(1, 7, 0), (1, 40_000, 9)], &[(7, 0), (40_000, 9)]);
    }

    #[test]
    fn numbers_that_continue_are_kept() {
        check(&[(1, 7, 0), (2, 8, 3590), (3, 9, 7190)], &[(7, 0), (8, 3590), (9, 7190)]);
        // A packet is lost where the SSRC changes.
        check(&[(1, 7, 0), (2, 9, 7200)], &[(7, 0), (9, 7200)]);
        check(&[(1, 65_535, u32::MAX), (2, 0, 3599)], &[(65_535, u32::MAX), (0, 3599)]);
    }

    #[test]
    fn numbers_that_restart_are_shifted() {
        check(
            &[
                (1, 7, 500),
                (2, 30_000, 80_000_000),
                (2, 30_001, 80_003_600),
                (3, 1, 0),
                (3, 2, 3600),
            ],
            &[(7, 500), (8, 4100), (9, 7700), (10, 11_300), (11, 14_900)],
        );
        // The sequence numbers seem to continue, but the timestamp does not.
        check(&[(1, 7, 500), (2, 8, 0)], &[(7, 500), (8, 4100)]);
    }

    #[test]
    fn late_packets_of_the_previous_ssrc_are_accepted() {
        check(
            &[(1, 7, 0), (2, 30_000, 0), (1, 6, 0), (2, 30_001, 0)],
            &[(7, 0), (8, 3600), (6, 0), (9, 3600)],
        );
        // An SSRC that returns counts as a new start.
        check(
            &[(1, 7, 0), (2, 30_000, 0), (3, 5, 0), (1, 40_000, 0)],
            &[(7, 0), (8, 3600), (9, 7200), (10, 10_800)],
        );
    }

    #[test]
    fn another_payload_type_is_unchanged() {
        let (mut source, now) = (OneSource::default(), Instant::now());
        let header = RtpHeader { payload_type: PAYLOAD_TYPE, sequence: 7, time: 0, ssrc: 1 };
        source.on_packet(header, now);
        let other = RtpHeader { payload_type: 97, sequence: 1, time: 0, ssrc: 2 };
        assert_eq!(source.on_packet(other, now), other);
    }

    #[test]
    fn only_rtcp_of_the_first_ssrc_is_passed_on() {
        let report = |ssrc: u32| [&[0x80, 200, 0, 6], &ssrc.to_be_bytes()[..]].concat();
        let (mut source, now) = (OneSource::default(), Instant::now());
        assert!(source.takes_rtcp(&report(1)));
        for ssrc in [1, 2] {
            let header = RtpHeader { payload_type: PAYLOAD_TYPE, sequence: 7, time: 0, ssrc };
            source.on_packet(header, now);
            assert!(source.takes_rtcp(&report(1)));
            assert!(!source.takes_rtcp(&report(2)));
            assert!(!source.takes_rtcp(&report(1)[..7]));
        }
    }

    #[test]
    fn headers_are_read_and_written() {
        let mut packet = [0x90, 0xe0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
        let header = RtpHeader {
            payload_type: 0x60,
            sequence: 0x0102,
            time: 0x0304_0506,
            ssrc: 0x0708_090a,
        };
        assert_eq!(RtpHeader::read(&packet), Some(header));
        RtpHeader { sequence: 0xaaaa, time: 0xbbbb_bbbb, ssrc: 0xcccc_cccc, ..header }
            .write(&mut packet);
        let written = [0x90, 0xe0, 0xaa, 0xaa, 0xbb, 0xbb, 0xbb, 0xbb, 0xcc, 0xcc, 0xcc, 0xcc, 11];
        assert_eq!(packet, written);
        for length in 0..12 {
            assert_eq!(RtpHeader::read(&packet[..length]), None);
        }
        assert_eq!(RtpHeader::read(&[0x10; 12]), None);
    }
}
