//! Extracts a request's body from the bytes of its connection as they arrive.
//!
//! ```text
//! Sized(n) ── n bytes ─▶ End
//! Size ── "1f\r\n" ─▶ Chunk(n) ── n bytes ─▶ Crlf ── "\r\n" ─▶ Size
//!   └──── "0\r\n" ──▶ Trailer ── empty line ─▶ End
//! ```
//!
//! Does not: read from a socket, or limit the length of the body; the caller does.

use bytes::{Buf, BytesMut};

/// The longest line between chunks: a size with its extensions, or a trailer.
const LINE: usize = 4 << 10;

/// The bytes are not a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadBody;

/// The next part of a body to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyReader {
    /// This many bytes are left of a body with `Content-Length`.
    Sized(u64),
    /// The size of a chunk is next.
    Size,
    /// This many bytes are left of a chunk.
    Chunk(u64),
    /// The line end after a chunk is next.
    Crlf,
    /// A trailer line is next.
    Trailer,
    /// The body has ended.
    End,
}

impl BodyReader {
    /// A body of `length` bytes.
    pub(crate) fn sized(length: u64) -> Self {
        if length == 0 { Self::End } else { Self::Sized(length) }
    }

    /// A body in chunks.
    pub(crate) fn chunked() -> Self {
        Self::Size
    }

    /// Moves the bytes of the body from `from` to `to`; bytes after its end stay in `from`.
    pub(crate) fn take(&mut self, from: &mut BytesMut, to: &mut BytesMut) -> Result<(), BadBody> {
        while !from.is_empty() {
            match self {
                Self::Sized(left) => {
                    *left -= move_up_to(*left, from, to);
                    if *left == 0 {
                        *self = Self::End;
                    }
                }
                Self::Chunk(left) => {
                    *left -= move_up_to(*left, from, to);
                    if *left == 0 {
                        *self = Self::Crlf;
                    }
                }
                Self::Size => {
                    let Some(line) = take_line(from)? else { return Ok(()) };
                    *self = match chunk_size(&line)? {
                        0 => Self::Trailer,
                        size => Self::Chunk(size),
                    };
                }
                Self::Crlf => {
                    let Some(line) = take_line(from)? else { return Ok(()) };
                    if !line.is_empty() {
                        return Err(BadBody);
                    }
                    *self = Self::Size;
                }
                Self::Trailer => {
                    let Some(line) = take_line(from)? else { return Ok(()) };
                    if line.is_empty() {
                        *self = Self::End;
                    }
                }
                Self::End => return Ok(()),
            }
        }
        Ok(())
    }
}

fn move_up_to(limit: u64, from: &mut BytesMut, to: &mut BytesMut) -> u64 {
    let length = usize::try_from(limit).unwrap_or(usize::MAX).min(from.len());
    to.extend_from_slice(&from.split_to(length));
    length as u64
}

/// The next line without its line end; `None` if it is incomplete.
fn take_line(from: &mut BytesMut) -> Result<Option<BytesMut>, BadBody> {
    match from.iter().take(LINE).position(|b| *b == b'\n') {
        Some(end) => {
            let mut line = from.split_to(end);
            from.advance(1);
            if line.last() == Some(&b'\r') {
                line.truncate(line.len() - 1);
            }
            Ok(Some(line))
        }
        None if from.len() >= LINE => Err(BadBody),
        None => Ok(None),
    }
}

fn chunk_size(line: &[u8]) -> Result<u64, BadBody> {
    let digits = line.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(BadBody);
    }
    let text = std::str::from_utf8(digits).map_err(|_| BadBody)?;
    u64::from_str_radix(text, 16).map_err(|_| BadBody)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `bytes`, which arrive in pieces of `step`. Returns the body, the bytes after it, and the reader's last
    /// state.
    fn read(
        mut body: BodyReader,
        bytes: &[u8],
        step: usize,
    ) -> Result<(Vec<u8>, Vec<u8>, BodyReader), BadBody> {
        let (mut from, mut to) = (BytesMut::new(), BytesMut::new());
        for piece in bytes.chunks(step) {
            from.extend_from_slice(piece);
            body.take(&mut from, &mut to)?;
        }
        Ok((to.to_vec(), from.to_vec(), body))
    }

    #[track_caller]
    fn check(body: BodyReader, bytes: &str, expected: Result<(&str, &str, BodyReader), BadBody>) {
        for step in 1..=bytes.len() {
            let read = read(body, bytes.as_bytes(), step);
            let expected =
                expected.map(|(a, b, end)| (a.as_bytes().to_vec(), b.as_bytes().to_vec(), end));
            assert_eq!(read, expected, "in pieces of {step}");
        }
    }

    #[test]
    fn bytes_after_the_end_of_a_body_stay_on_the_connection() {
        check(BodyReader::sized(3), "abcGET /", Ok(("abc", "GET /", BodyReader::End)));
        check(BodyReader::sized(9), "abc", Ok(("abc", "", BodyReader::Sized(6))));
        check(
            BodyReader::chunked(),
            "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET",
            Ok(("abcde", "GET", BodyReader::End)),
        );
        check(
            BodyReader::chunked(),
            "a;x=y\r\n0123456789\r\n0\r\nT: u\r\n\r\n",
            Ok(("0123456789", "", BodyReader::End)),
        );
        check(BodyReader::chunked(), "3\r\nab", Ok(("ab", "", BodyReader::Chunk(1))));
    }

    #[test]
    fn invalid_chunk_framing_is_refused() {
        check(BodyReader::chunked(), "zz\r\n", Err(BadBody));
        check(BodyReader::chunked(), "\r\n", Err(BadBody));
        check(BodyReader::chunked(), "fffffffff\r\n", Err(BadBody));
        check(BodyReader::chunked(), "1\r\naX\r\n", Err(BadBody));
        assert_eq!(read(BodyReader::chunked(), &[b'1'; LINE], 100), Err(BadBody));
    }
}
