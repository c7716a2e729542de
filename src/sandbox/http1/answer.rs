//! An answer as it stands on the wire: status line, headers in the order given, body.
//!
//! The order is the one that Go writes, so that recorded exchanges can be compared byte for byte. A
//! `Date` is left out.
//!
//! Does not: decide anything.

/// An answer with a whole body, or the head of one that is streamed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Answer {
    /// A status; headers and body follow.
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// An error in plain text, as Go's `net/http` writes it.
    pub(crate) fn error(status: u16, text: &str) -> Self {
        Self::new(status).refusal(text)
    }

    /// The rest of an error in plain text.
    pub(crate) fn refusal(self, text: &str) -> Self {
        self.with("Content-Type", "text/plain; charset=utf-8")
            .with("X-Content-Type-Options", "nosniff")
            .body(format!("{text}\n"))
    }

    /// Another header.
    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// The connection ends after this answer.
    pub(crate) fn close(self) -> Self {
        if self.closes() { self } else { self.with("Connection", "close") }
    }

    /// The body with its length.
    pub(crate) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self { body: Vec::new(), ..self }.with("Content-Length", body.len()).filled(body)
    }

    fn filled(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// The status.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// Whether the connection ends after this answer.
    pub(crate) fn closes(&self) -> bool {
        self.headers.iter().any(|(name, value)| *name == "Connection" && value == "close")
    }

    /// The bytes on the wire.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes =
            format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status)).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

fn reason(status: u16) -> String {
    let known = match status {
        100 => "Continue",
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Request Entity Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        other => return format!("status code {other}"),
    };
    known.to_owned()
}
