//! Parses the head of a request: method, path, headers, and the framing of its body.
//!
//! Bounded: [`HEAD`] bytes and [`HEADERS`] headers.
//!
//! Does not: decode percent-encoding; the paths of the network do not use it.

use crate::http1::BodyReader;

/// The longest request head.
pub(crate) const HEAD: usize = 32 << 10;
/// Maximum number of headers of a request.
const HEADERS: usize = 64;

/// The bytes are not an HTTP request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadHead;

/// A request without its body.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// `GET`, `POST`, …
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// Names as received, and values.
    pub(crate) headers: Vec<(String, String)>,
    /// Whether to close the connection after this request.
    pub(crate) close: bool,
}

impl Head {
    /// Parses a head at the start of `bytes`. Returns it and its length, or `None` if more bytes are needed.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, BadHead> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let length = match request.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if bytes.len() < HEAD => return Ok(None),
            Ok(httparse::Status::Partial) | Err(_) => return Err(BadHead),
        };
        let headers: Vec<(String, String)> = request
            .headers
            .iter()
            .map(|h| (h.name.to_owned(), String::from_utf8_lossy(h.value).into_owned()))
            .collect();
        let mut head = Self {
            method: request.method.unwrap_or_default().to_owned(),
            path: request.path.unwrap_or_default().to_owned(),
            headers,
            close: request.version == Some(0),
        };
        head.close |= head.has("connection", "close");
        Ok(Some((head, length)))
    }

    /// The value of a header; the case of `name` does not matter.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Whether the client waits for `100 Continue` before it sends its body.
    pub(crate) fn expects_continue(&self) -> bool {
        self.has("expect", "100-continue")
    }

    /// A reader for the body.
    pub(crate) fn body(&self) -> Result<BodyReader, BadHead> {
        match (self.header("transfer-encoding"), self.header("content-length")) {
            (Some(encoding), None) if encoding.trim().eq_ignore_ascii_case("chunked") => {
                Ok(BodyReader::chunked())
            }
            (Some(_), _) => Err(BadHead),
            (None, Some(length)) => {
                length.trim().parse().map(BodyReader::sized).map_err(|_| BadHead)
            }
            (None, None) => Ok(BodyReader::sized(0)),
        }
    }

    fn has(&self, name: &str, token: &str) -> bool {
        self.header(name)
            .is_some_and(|value| value.split(',').any(|t| t.trim().eq_ignore_ascii_case(token)))
    }
}

/// Leaves out the path and the values of headers, which may be secret.
impl std::fmt::Debug for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Head")
            .field("method", &self.method)
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_parsed_once_it_is_complete() {
        let text = b"POST /a/b?c HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\n\r\nrest";
        for cut in 0..text.len() - 4 {
            assert_eq!(Head::parse(&text[..cut]), Ok(None), "{cut}");
        }
        let (head, length) = Head::parse(text).unwrap().unwrap();
        assert_eq!((head.method.as_str(), head.path.as_str()), ("POST", "/a/b?c"));
        assert_eq!(&text[length..], b"rest");
        assert_eq!(head.header("HOST"), Some("x"));
        assert!(head.expects_continue() && !head.close);
    }

    #[track_caller]
    fn check(headers: &str, expected: Result<BodyReader, BadHead>) {
        let text = format!("POST / HTTP/1.1\r\n{headers}\r\n");
        let (head, _) = Head::parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!(head.body(), expected);
    }

    #[test]
    fn invalid_body_lengths_are_refused() {
        check("", Ok(BodyReader::sized(0)));
        check("Content-Length: 12\r\n", Ok(BodyReader::sized(12)));
        check("Transfer-Encoding: chunked\r\n", Ok(BodyReader::chunked()));
        check("Content-Length: -1\r\n", Err(BadHead));
        check("Content-Length: many\r\n", Err(BadHead));
        check("Transfer-Encoding: gzip, chunked\r\n", Err(BadHead));
        check("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", Err(BadHead));
    }

    #[test]
    fn invalid_and_oversized_heads_are_refused() {
        assert_eq!(Head::parse(b"\x16\x03\x01 hello\r\n\r\n"), Err(BadHead));
        let mut endless = b"GET / HTTP/1.1\r\nA: ".to_vec();
        endless.resize(HEAD, b'a');
        assert_eq!(Head::parse(&endless), Err(BadHead));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(HEADERS + 1));
        assert_eq!(Head::parse(many.as_bytes()), Err(BadHead));
    }
}
