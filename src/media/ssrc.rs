//! Makes one RTP stream of the packets of a camera that changes its SSRC repeatedly, as some do with each GOP.
//!
//! GStreamer opens a new pad for each SSRC, so all packets of a stream get the SSRC that it began with. Where sequence
//! numbers and timestamps do not continue across a change of the SSRC, they are shifted: the next number follows the
//! last one, and the timestamp advances by the time between the arrivals.
//!
//! RTCP of another SSRC than the first is dropped: GStreamer would open a stream for it, too. This also
//! drops the end of the stream as RTCP announces it (BYE); the lack of frames shows that end as well.
//!
//! Does not: put packets in order; GStreamer's jitter buffer does.

use std::time::Instant;

/// Ticks of a video's RTP clock in a second (RFC 6184).
const CLOCK_RATE: u128 = 90_000;
/// The largest step of sequence numbers that counts as lost packets, not as a new beginning (RFC 3550, A.1).
const MAX_DROPOUT: u16 = 3000;
/// The largest step of timestamps that counts as a pause, not as a new beginning: 10 s.
const MAX_PAUSE: u32 = 900_000;

/// The fields of an RTP header that identify a packet of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// What the payload is.
    pub(crate) payload_type: u8,
    /// The sequence number.
    pub(crate) sequence: u16,
    /// The timestamp.
    pub(crate) time: u32,
    /// The source.
    pub(crate) ssrc: u32,
}

impl Header {
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
pub(crate) struct OneSource(Option<Stream>);

#[derive(Debug)]
struct Stream {
    /// The newest packet, as it was handed on, and when it arrived.
    newest: Header,
    came: Instant,
    /// The present source, and the one before it, whose last packets may arrive late.
    source: Shift,
    before: Option<Shift>,
}

/// What is added to the packets of a source.
#[derive(Debug, Clone, Copy)]
struct Shift {
    ssrc: u32,
    sequence: u16,
    time: u32,
}

impl OneSource {
    /// Call for each packet that arrives. Returns the header that the packet has to get before it is handed on.
    pub(crate) fn on_packet(&mut self, header: Header, now: Instant) -> Header {
        let Some(stream) = &mut self.0 else {
            let source = Shift { ssrc: header.ssrc, sequence: 0, time: 0 };
            self.0 = Some(Stream { newest: header, came: now, source, before: None });
            return header;
        };
        if header.payload_type != stream.newest.payload_type {
            return header;
        }
        let known = [Some(stream.source), stream.before];
        let known = known.into_iter().flatten().find(|shift| shift.ssrc == header.ssrc);
        let shift = known.unwrap_or_else(|| stream.change(header, now));
        let handed_on = Header {
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

    /// Whether to hand on an RTCP packet: true if it is about the SSRC that the stream began with, or if no RTP packet
    /// has arrived yet.
    pub(crate) fn takes_rtcp(&self, packet: &[u8]) -> bool {
        let Some(stream) = &self.0 else { return true };
        let sender = packet.get(4..8).and_then(|sender| sender.try_into().ok());
        sender.map(u32::from_be_bytes) == Some(stream.newest.ssrc)
    }
}

impl Stream {
    /// Call for the first packet of another source. Returns the shift of that source.
    fn change(&mut self, first: Header, now: Instant) -> Shift {
        let old = self.source;
        let steps = first.sequence.wrapping_add(old.sequence).wrapping_sub(self.newest.sequence);
        let ticks = first.time.wrapping_add(old.time).wrapping_sub(self.newest.time);
        let new = if (1..=MAX_DROPOUT).contains(&steps) && ticks <= MAX_PAUSE {
            Shift { ssrc: first.ssrc, ..old }
        } else {
            let passed = now.saturating_duration_since(self.came).as_nanos() * CLOCK_RATE;
            let passed = u32::try_from(passed / 1_000_000_000).unwrap_or(MAX_PAUSE);
            let (sequence, time) = (self.newest.sequence, self.newest.time);
            Shift {
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

    /// Hands packets on that come 40 ms one after the other.
    #[track_caller]
    fn check(packets: &[(u32, u16, u32)], expected: &[(u16, u32)]) {
        let (mut source, began) = (OneSource::default(), Instant::now());
        let mut handed_on = Vec::new();
        for (number, &(ssrc, sequence, time)) in (0..).zip(packets) {
            let header = Header { payload_type: PAYLOAD_TYPE, sequence, time, ssrc };
            let header = source.on_packet(header, began + Duration::from_millis(40) * number);
            assert_eq!(header.ssrc, packets[0].0, "packet {number}");
            handed_on.push((header.sequence, header.time));
        }
        assert_eq!(handed_on, expected);
    }

    #[test]
    fn one_source_stays_as_it_is() {
        check(&[(1, 7, 0), (1, 9, 3600), (1, 8, 3600)], &[(7, 0), (9, 3600), (8, 3600)]);
        check(&[(1, 65_535, u32::MAX), (1, 0, 3599)], &[(65_535, u32::MAX), (0, 3599)]);
        // Its own leaps are the jitter buffer's.
        check(&[(1, 7, 0), (1, 40_000, 9)], &[(7, 0), (40_000, 9)]);
    }

    #[test]
    fn numbers_that_go_on_are_kept() {
        check(&[(1, 7, 0), (2, 8, 3590), (3, 9, 7190)], &[(7, 0), (8, 3590), (9, 7190)]);
        // A packet is lost where the source changes.
        check(&[(1, 7, 0), (2, 9, 7200)], &[(7, 0), (9, 7200)]);
        check(&[(1, 65_535, u32::MAX), (2, 0, 3599)], &[(65_535, u32::MAX), (0, 3599)]);
    }

    #[test]
    fn numbers_that_begin_anew_are_shifted() {
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
        // Numbers that seem to go on, with a time that does not.
        check(&[(1, 7, 500), (2, 8, 0)], &[(7, 500), (8, 4100)]);
    }

    #[test]
    fn the_last_packets_of_a_source_may_be_late() {
        check(
            &[(1, 7, 0), (2, 30_000, 0), (1, 6, 0), (2, 30_001, 0)],
            &[(7, 0), (8, 3600), (6, 0), (9, 3600)],
        );
        // A source that comes back begins anew.
        check(
            &[(1, 7, 0), (2, 30_000, 0), (3, 5, 0), (1, 40_000, 0)],
            &[(7, 0), (8, 3600), (9, 7200), (10, 10_800)],
        );
    }

    #[test]
    fn another_payload_is_left_alone() {
        let (mut source, now) = (OneSource::default(), Instant::now());
        let header = Header { payload_type: PAYLOAD_TYPE, sequence: 7, time: 0, ssrc: 1 };
        source.on_packet(header, now);
        let other = Header { payload_type: 97, sequence: 1, time: 0, ssrc: 2 };
        assert_eq!(source.on_packet(other, now), other);
    }

    #[test]
    fn rtcp_of_the_first_source_is_taken() {
        let report = |ssrc: u32| [&[0x80, 200, 0, 6], &ssrc.to_be_bytes()[..]].concat();
        let (mut source, now) = (OneSource::default(), Instant::now());
        assert!(source.takes_rtcp(&report(1)));
        for ssrc in [1, 2] {
            let header = Header { payload_type: PAYLOAD_TYPE, sequence: 7, time: 0, ssrc };
            source.on_packet(header, now);
            assert!(source.takes_rtcp(&report(1)));
            assert!(!source.takes_rtcp(&report(2)));
            assert!(!source.takes_rtcp(&report(1)[..7]));
        }
    }

    #[test]
    fn headers_are_read_and_written() {
        let mut packet = [0x90, 0xe0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
        let header =
            Header { payload_type: 0x60, sequence: 0x0102, time: 0x0304_0506, ssrc: 0x0708_090a };
        assert_eq!(Header::read(&packet), Some(header));
        Header { sequence: 0xaaaa, time: 0xbbbb_bbbb, ssrc: 0xcccc_cccc, ..header }
            .write(&mut packet);
        let written = [0x90, 0xe0, 0xaa, 0xaa, 0xbb, 0xbb, 0xbb, 0xbb, 0xcc, 0xcc, 0xcc, 0xcc, 11];
        assert_eq!(packet, written);
        for length in 0..12 {
            assert_eq!(Header::read(&packet[..length]), None);
        }
        assert_eq!(Header::read(&[0x10; 12]), None);
    }
}
