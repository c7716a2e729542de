//! Encodes an HTTP answer: status line, headers in the given order, body.
//!
//! Callers add headers in Go's order, so that answers can be compared byte for byte with recorded ones. A `Date` header
//! is not sent.
//!
//! Does not: choose status or headers.

/// An answer with a whole body, or the head of one that is streamed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Answer {
    /// An answer without headers and body.
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// A status with a text, as Go's `http.Error` writes it.
    pub(crate) fn error(status: u16, text: &str) -> Self {
        Self::new(status).refusal(text)
    }

    /// Adds the headers and body of an error in plain text.
    pub(crate) fn refusal(self, text: &str) -> Self {
        self.with("Content-Type", "text/plain; charset=utf-8")
            .with("X-Content-Type-Options", "nosniff")
            .body(format!("{text}\n"))
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// Adds `Connection: close`, unless the answer has it already.
    pub(crate) fn close(self) -> Self {
        if self.closes() { self } else { self.with("Connection", "close") }
    }

    /// Adds the body and `Content-Length`.
    pub(crate) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self { body: Vec::new(), ..self }.with("Content-Length", body.len()).filled(body)
    }

    fn filled(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// Whether the connection ends after this answer.
    pub(crate) fn closes(&self) -> bool {
        self.headers.iter().any(|(name, value)| *name == "Connection" && value == "close")
    }

    /// The encoded answer.
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
