//! Cuts the bytes of the broker into packets, and skips packets that are too long.
//!
//! At most one packet of [`INCOMING_BYTES`] and one read are buffered.
//!
//! Does not: read from the socket, or decide what a packet means.

use mqtt_proto::v3::{Header, Packet};

use super::error::BrokerError;
use super::limits::{INCOMING_BYTES, TOPIC_BYTES};

/// The type of a message, in the upper half of a packet's first byte.
const PUBLISH: u8 = 3;

/// The bytes of the broker that are not used up.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    /// Bytes of a packet that was too long, which are still to come.
    skipped: usize,
}

/// What the broker sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A packet.
    Packet(Packet),
    /// A message that was too long: its number, if it has to be confirmed, and its size.
    TooLong(Option<u16>, usize),
}

impl Frames {
    /// Adds bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let skipped = self.skipped.min(bytes.len());
        self.skipped -= skipped;
        self.bytes.extend_from_slice(bytes.get(skipped..).unwrap_or_default());
    }

    /// Takes the next packet; `None` if it is not whole.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, BrokerError> {
        let Some((body, size)) = self.header()? else { return Ok(None) };
        if size > INCOMING_BYTES {
            return self.too_long(body, size);
        }
        let Some(packet) = self.bytes.get(..size) else { return Ok(None) };
        // A packet that ends too early is as wrong as any other fault.
        let packet = Packet::decode(packet).ok().flatten().ok_or(BrokerError::Malformed)?;
        self.bytes.drain(..size);
        Ok(Some(Frame::Packet(packet)))
    }

    /// Where the body of the next packet begins, and the size of the packet.
    fn header(&self) -> Result<Option<(usize, usize)>, BrokerError> {
        let mut length = 0;
        for nth in 0..4_usize {
            let Some(byte) = self.bytes.get(1 + nth) else { return Ok(None) };
            length |= usize::from(byte & 0x7f) << (7 * nth);
            if byte & 0x80 == 0 {
                let first = self.bytes.first().copied().unwrap_or_default();
                Header::new_with(first, 0, 0).map_err(|_| BrokerError::Malformed)?;
                return Ok(Some((2 + nth, 2 + nth + length)));
            }
        }
        Err(BrokerError::Malformed)
    }

    /// Skips a message once its number is known. Only messages may be this long.
    fn too_long(&mut self, body: usize, size: usize) -> Result<Option<Frame>, BrokerError> {
        let first = self.bytes.first().copied().unwrap_or_default();
        if first >> 4 != PUBLISH {
            return Err(BrokerError::Malformed);
        }
        let number = |at: usize| {
            let bytes = self.bytes.get(at..at + 2)?;
            Some(bytes.iter().fold(0_u16, |number, byte| number << 8 | u16::from(*byte)))
        };
        let Some(topic) = number(body).map(usize::from) else { return Ok(None) };
        if topic > TOPIC_BYTES {
            return Err(BrokerError::Malformed);
        }
        let confirmed = match first >> 1 & 3 {
            0 => None,
            _ => match number(body + 2 + topic) {
                None => return Ok(None),
                number => number,
            },
        };
        let here = size.min(self.bytes.len());
        self.bytes.drain(..here);
        self.skipped = size - here;
        Ok(Some(Frame::TooLong(confirmed, size)))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use mqtt_proto::v3::{Connack, ConnectReturnCode, Publish, Suback, SubscribeReturnCode};
    use mqtt_proto::{Pid, QosPid, TopicName};

    use super::*;

    fn publish(payload: usize, pid: Option<u16>) -> Packet {
        let qos = match pid {
            Some(pid) => QosPid::Level1(Pid::try_from(pid).unwrap()),
            None => QosPid::Level0,
        };
        let topic = TopicName::try_from("a/set/params").unwrap();
        Packet::Publish(Publish::new(qos, topic, Bytes::from(vec![b'x'; payload])))
    }

    fn packets() -> Vec<Packet> {
        let topics = vec![SubscribeReturnCode::MaxLevel1];
        vec![
            Packet::Connack(Connack::new(false, ConnectReturnCode::Accepted)),
            Packet::Suback(Suback::new(Pid::default(), topics)),
            publish(300, Some(7)),
            publish(0, None),
            Packet::Puback(Pid::default()),
            Packet::Pingresp,
        ]
    }

    fn bytes(packets: &[Packet]) -> Vec<u8> {
        packets.iter().flat_map(|p| p.encode().unwrap().as_ref().to_vec()).collect()
    }

    fn drain(frames: &mut Frames) -> Vec<Frame> {
        std::iter::from_fn(|| frames.next().unwrap()).collect()
    }

    #[test]
    fn packets_are_found_however_the_bytes_arrive() {
        let sent = bytes(&packets());
        for piece in [1, 2, 7, 100, sent.len()] {
            let (mut frames, mut found) = (Frames::default(), Vec::new());
            for bytes in sent.chunks(piece) {
                frames.push(bytes);
                found.extend(drain(&mut frames));
            }
            let expected: Vec<Frame> = packets().into_iter().map(Frame::Packet).collect();
            assert_eq!(found, expected, "{piece}");
        }
    }

    #[test]
    fn a_message_that_is_too_long_is_skipped_and_its_number_is_kept() {
        for pid in [None, Some(300)] {
            let sent = bytes(&[publish(INCOMING_BYTES * 3, pid), Packet::Pingresp]);
            let size = sent.len() - 2;
            for piece in [1, 5, 4096, sent.len()] {
                let (mut frames, mut found) = (Frames::default(), Vec::new());
                for bytes in sent.chunks(piece) {
                    frames.push(bytes);
                    found.extend(drain(&mut frames));
                    assert!(piece > 4096 || frames.bytes.len() <= INCOMING_BYTES + piece);
                }
                assert_eq!(found, [Frame::TooLong(pid, size), Frame::Packet(Packet::Pingresp)]);
            }
        }
    }

    #[test]
    fn hostile_bytes_are_refused_and_never_panic() {
        let whole = bytes(&packets());
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut torn = whole.clone();
                torn[at] ^= 1 << bit;
                let mut frames = Frames::default();
                frames.push(&torn);
                while let Ok(Some(_)) = frames.next() {}
            }
        }
        for wrong in [
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            b"\x20\xff\xff\xff\xff\x01",
            b"\x20\x02\x00\x09",
            b"\x20\xff\xff\xff\x7f",
            b"\x32\xff\xff\xff\x7f\xff\xff",
            b"\xf0\x00",
        ] {
            let mut frames = Frames::default();
            frames.push(wrong);
            assert!(matches!(frames.next(), Err(BrokerError::Malformed)), "{wrong:x?}");
        }
    }
}
