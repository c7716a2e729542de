//! Reads the headers of a trickle server's answer.
//!
//! A value that is missing, malformed, negative or above 2^63 − 1 (the server counts in Go's `int`) is `None`, not an
//! error.
//!
//! Does not: decide; [`Publication`](super::Publication) and [`Subscription`](super::Subscription) do.

use http::{HeaderMap, HeaderName};

use crate::segment::Seq;

/// The seq of the segment served or written.
pub(super) const SEQ: HeaderName = HeaderName::from_static("lp-trickle-seq");
/// The next seq to be written.
pub(super) const LATEST: HeaderName = HeaderName::from_static("lp-trickle-latest");
/// Present at the end of the channel.
pub(super) const CLOSED: HeaderName = HeaderName::from_static("lp-trickle-closed");
/// With a POST: closes segments that an earlier writer left open, so that readers do not wait for them.
pub(super) const RESET: HeaderName = HeaderName::from_static("lp-trickle-reset");

/// Whether the answer to the DELETE of a channel with `status` means that the channel is gone. A trickle server answers
/// with 400 where it does not know the channel, as after its restart.
pub(crate) const fn is_gone(status: u16) -> bool {
    matches!(status, 200..=299 | 400 | 404 | 410)
}

/// The final answer to a GET or POST, without its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrickleAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The segment that was served or written.
    pub seq: Option<Seq>,
    /// The next seq to be written.
    pub latest: Option<Seq>,
    /// Whether the answer says that the channel is closed.
    pub closed: bool,
}

impl TrickleAnswer {
    /// The answer with this status and these headers.
    pub fn new(status: u16, headers: &HeaderMap) -> Self {
        let number = |name| headers.get(name).and_then(|value| number(value.as_bytes()));
        Self {
            status,
            seq: number(SEQ),
            latest: number(LATEST),
            closed: headers.contains_key(CLOSED),
        }
    }
}

/// The first seq to write, from the answer to `GET {channel}/next`: its header, else its body.
pub fn first_seq(answer: &TrickleAnswer, body: &[u8]) -> Option<Seq> {
    answer.latest.or_else(|| number(body))
}

fn number(bytes: &[u8]) -> Option<Seq> {
    let digits = bytes.trim_ascii();
    // `parse` alone would accept a sign.
    if !digits.first()?.is_ascii_digit() {
        return None;
    }
    let value: i64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    u64::try_from(value).ok().map(Seq)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(lines: &[(&str, &[u8])], expected: (Option<u64>, Option<u64>, bool)) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            headers.append(name, HeaderValue::from_bytes(value).expect("a value"));
        }
        let answer = TrickleAnswer::new(200, &headers);
        assert_eq!((answer.seq.map(|s| s.0), answer.latest.map(|s| s.0), answer.closed), expected);
    }

    #[test]
    fn headers_are_read_as_the_server_writes_them() {
        check(&[("Lp-Trickle-Seq", b"0"), ("Lp-Trickle-Latest", b"1")], (Some(0), Some(1), false));
        let closed: &[(&str, &[u8])] =
            &[("lp-trickle-closed", b"terminated"), ("LP-TRICKLE-SEQ", b"8")];
        check(closed, (Some(8), None, true));
        check(&[("Lp-Trickle-Seq", b"9223372036854775807")], (Some(i64::MAX as u64), None, false));
        check(&[], (None, None, false));
    }

    #[test]
    fn hostile_numbers_are_left_out() {
        for bad in [
            "",
            " ",
            "-1",
            "-2",
            "+5",
            "0x10",
            "1e3",
            "1.0",
            "1 2",
            "9223372036854775808",
            "99999999999999999999999999",
            "seven",
        ] {
            check(&[("Lp-Trickle-Seq", bad.as_bytes())], (None, None, false));
        }
        check(&[("Lp-Trickle-Latest", b"\xff\xfe")], (None, None, false));
        check(&[("Lp-Trickle-Seq", b"3"), ("Lp-Trickle-Seq", b"9")], (Some(3), None, false));
    }

    #[test]
    fn the_first_seq_is_in_the_header_or_the_body() {
        let with = |latest| TrickleAnswer { status: 200, seq: None, latest, closed: false };
        assert_eq!(first_seq(&with(Some(Seq(4))), b"5"), Some(Seq(4)));
        assert_eq!(first_seq(&with(None), b"10\n"), Some(Seq(10)));
        for bad in [&b""[..], b"-1", b"<html>", b"\x00", b"18446744073709551615"] {
            assert_eq!(first_seq(&with(None), bad), None);
        }
    }
}
