//! Requests and answers of sock_diag(7): the kernel's statistics of a TCP connection, over netlink.
//!
//! ```text
//! request   header 16 │ family, protocol, extensions, states 8 │ connection 48
//! answer    header 16 │ family, state, timers 4 │ connection 48 │ counts 20 │ attributes: length, kind, tcp_info …
//! ```
//!
//! Numbers are in the computer's byte order, ports and addresses in that of the network. `tcp_info` has only grown at its
//! end (linux/tcp.h); the fields read here exist since Linux 4.6.
//!
//! Does not: talk to the kernel; `http::io` does.

use std::net::{IpAddr, SocketAddr};

/// The length of a request, in bytes.
const REQUEST: usize = 72;
/// The message type of requests and answers (linux/sock_diag.h).
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// linux/netlink.h.
const NLM_F_REQUEST: u16 = 1;
/// linux/socket.h.
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// RFC 9293.
const IPPROTO_TCP: u8 = 6;
/// The attribute that holds `tcp_info` (linux/inet_diag.h).
const INET_DIAG_INFO: u16 = 2;
/// The length of an answer before its attributes, in bytes.
const BEFORE_ATTRIBUTES: usize = 16 + 4 + 48 + 20;

/// The kernel's statistics of a TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TcpInfo {
    /// The size of a full packet, in bytes.
    pub(super) packet: u32,
    /// Packets that arrived behind a lost packet.
    pub(super) sacked: u32,
    /// Milliseconds since an acknowledgement came.
    pub(super) acknowledged_ago: u32,
    /// The smoothed round-trip time, in microseconds.
    pub(super) round_trip: u32,
    /// Bytes acknowledged since the connection was made.
    pub(super) acknowledged: u64,
    /// Bytes in the send buffer that are not sent.
    pub(super) unsent: u32,
}

/// A request for the statistics of the connection between these addresses.
pub(super) fn request(local: SocketAddr, peer: SocketAddr) -> Vec<u8> {
    let (family, interface) = match local {
        SocketAddr::V4(_) => (AF_INET, 0),
        SocketAddr::V6(local) => (AF_INET6, local.scope_id()),
    };
    let length = u32::try_from(REQUEST).unwrap_or_default();
    let mut request = Vec::with_capacity(REQUEST);
    request.extend(length.to_ne_bytes());
    request.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request.extend(NLM_F_REQUEST.to_ne_bytes());
    // Sequence number and port: only one request is open at a time.
    request.extend([0; 8]);
    request.extend([family, IPPROTO_TCP, 1 << (INET_DIAG_INFO - 1), 0]);
    // In any state.
    request.extend(u32::MAX.to_ne_bytes());
    request.extend(local.port().to_be_bytes());
    request.extend(peer.port().to_be_bytes());
    request.extend(words(local.ip()));
    request.extend(words(peer.ip()));
    request.extend(interface.to_ne_bytes());
    // The kernel finds the connection by its addresses, so the cookie is unset.
    request.extend([0xff; 8]);
    request
}

/// An address in four words.
fn words(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(address) => address.octets(),
    }
}

/// The statistics in an answer; `None` if it has none, as for a connection that does not exist.
pub(super) fn tcp_info(answer: &[u8]) -> Option<TcpInfo> {
    let length = usize::try_from(u32_at(answer, 0)?).ok()?;
    if u16_at(answer, 4)? != SOCK_DIAG_BY_FAMILY {
        return None;
    }
    let mut attributes = answer.get(BEFORE_ATTRIBUTES..length)?;
    loop {
        let (length, kind) = (usize::from(u16_at(attributes, 0)?), u16_at(attributes, 2)?);
        let value = attributes.get(4..length)?;
        if kind == INET_DIAG_INFO {
            return Some(TcpInfo {
                packet: u32_at(value, 16)?,
                sacked: u32_at(value, 28)?,
                acknowledged_ago: u32_at(value, 56)?,
                round_trip: u32_at(value, 68)?,
                acknowledged: u64::from_ne_bytes(value.get(120..128)?.try_into().ok()?),
                unsent: u32_at(value, 144)?,
            });
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with an attribute of this many bytes before `tcp_info`. Each byte of `tcp_info` has its own offset as
    /// its value.
    fn answer(before: u8, info: u8) -> Vec<u8> {
        let mut answer = vec![0; BEFORE_ATTRIBUTES];
        answer[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        for (kind, length) in [(8_u16, before), (INET_DIAG_INFO, info)] {
            answer.extend((u16::from(length) + 4).to_ne_bytes());
            answer.extend(kind.to_ne_bytes());
            answer.extend(0..length);
            answer.resize(answer.len().next_multiple_of(4), 0);
        }
        let length = u32::try_from(answer.len()).unwrap();
        answer[..4].copy_from_slice(&length.to_ne_bytes());
        answer
    }

    /// The number at this offset of such a `tcp_info`.
    fn place<const N: usize>(at: u8) -> [u8; N] {
        std::array::from_fn(|nth| at + u8::try_from(nth).unwrap())
    }

    #[test]
    fn each_number_is_read_from_its_offset() {
        let expected = TcpInfo {
            packet: u32::from_ne_bytes(place(16)),
            sacked: u32::from_ne_bytes(place(28)),
            acknowledged_ago: u32::from_ne_bytes(place(56)),
            round_trip: u32::from_ne_bytes(place(68)),
            acknowledged: u64::from_ne_bytes(place(120)),
            unsent: u32::from_ne_bytes(place(144)),
        };
        for before in [0, 1, 4, 7] {
            assert_eq!(tcp_info(&answer(before, 248)), Some(expected), "{before} bytes before it");
        }
    }

    #[test]
    fn a_short_or_foreign_answer_has_no_statistics() {
        assert_eq!(tcp_info(&answer(1, 147)), None, "an old kernel");
        let whole = answer(1, 148);
        assert!(tcp_info(&whole).is_some());
        for length in 0..whole.len() {
            assert_eq!(tcp_info(&whole[..length]), None, "{length} bytes");
        }
        let mut error = whole.clone();
        error[4..6].copy_from_slice(&2_u16.to_ne_bytes());
        assert_eq!(tcp_info(&error), None);
        let mut endless = whole;
        endless[BEFORE_ATTRIBUTES..BEFORE_ATTRIBUTES + 2].copy_from_slice(&[0, 0]);
        assert_eq!(tcp_info(&endless), None, "an attribute of no length");
    }

    #[test]
    fn a_request_names_both_ends() {
        let [local, peer] = ["10.1.2.3:1027", "[2001:db8::1]:443"].map(|end| end.parse().unwrap());
        let request = request(local, peer);
        assert_eq!(request.len(), REQUEST);
        assert_eq!(request[..4], 72_u32.to_ne_bytes());
        assert_eq!(request[16..20], [AF_INET, IPPROTO_TCP, 2, 0]);
        assert_eq!(request[24..28], [4, 3, 1, 187]);
        assert_eq!(request[28..34], [10, 1, 2, 3, 0, 0]);
        assert_eq!(request[44..48], [0x20, 0x01, 0x0d, 0xb8]);
        assert_eq!(request[59..64], [1, 0, 0, 0, 0]);
    }
}
