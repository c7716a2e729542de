//! Reads RTSP requests, writes the heads of answers, and checks credentials.
//!
//! Does not: answer; `rtsp_camera` does.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gstreamer::glib::{ChecksumType, compute_checksum_for_data};

const REALM: &str = "camera";
const NONCE: &str = "5f1e0c0de";

/// A message on an RTSP connection.
pub(super) enum Message {
    /// A packet of RTCP between the requests.
    Interleaved,
    Request(Request),
}

pub(super) struct Request {
    pub(super) method: String,
    pub(super) url: String,
    headers: Vec<(String, String)>,
}

/// Takes the first whole message out of the input.
pub(super) fn take_message(input: &mut Vec<u8>) -> Option<Message> {
    if input.first() == Some(&b'$') {
        let length = 4 + usize::from(u16::from_be_bytes([*input.get(2)?, *input.get(3)?]));
        input.get(..length)?;
        input.drain(..length);
        return Some(Message::Interleaved);
    }
    let head = input.windows(4).position(|part| part == b"\r\n\r\n")?;
    let text = String::from_utf8(input[..head].to_vec()).unwrap();
    let mut lines = text.trim_start().lines();
    let mut first = lines.next().unwrap().split(' ').map(str::to_owned);
    let (method, url) = (first.next().unwrap(), first.next().unwrap());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    let request = Request { method, url, headers };
    let body = request.header("Content-Length").map_or(0, |length| length.parse().unwrap());
    input.get(..head + 4 + body)?;
    input.drain(..head + 4 + body);
    Some(Message::Request(request))
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn path(&self) -> &str {
        let behind = self.url.split_once("://").map_or("", |(_, behind)| behind);
        behind.find('/').map_or("/", |at| &behind[at..])
    }

    pub(super) fn answer(&self, status: &str, headers: &[String], body: &str) -> String {
        let cseq = self.header("CSeq").unwrap_or("0");
        let mut text = format!("RTSP/1.0 {status}\r\nCSeq: {cseq}\r\n");
        for header in headers {
            text.push_str(&format!("{header}\r\n"));
        }
        if !body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text + "\r\n" + body
    }
}

/// The scheme of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Basic,
    Digest,
}

/// The credential that a client needs.
#[derive(Debug, Clone)]
pub(crate) struct Credential {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) scheme: Scheme,
}

impl Credential {
    /// The header `WWW-Authenticate` of a 401 answer, or `None` if the request has the right credential.
    pub(super) fn challenge(&self, request: &Request) -> Option<String> {
        let shown = request.header("Authorization").unwrap_or_default();
        let Self { user, password, scheme } = self;
        match scheme {
            Scheme::Basic => {
                let due = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
                (shown != due).then(|| format!("WWW-Authenticate: Basic realm=\"{REALM}\""))
            }
            Scheme::Digest => {
                let field = |name: &str| {
                    let behind = shown.split_once(&format!("{name}=\""))?.1;
                    behind.split('"').next()
                };
                let secret = md5(&format!("{user}:{REALM}:{password}"));
                let asked =
                    md5(&format!("{}:{}", request.method, field("uri").unwrap_or_default()));
                let due = md5(&format!("{secret}:{NONCE}:{asked}"));
                let is_shown = field("username") == Some(user) && field("response") == Some(&due);
                (!is_shown).then(|| {
                    format!("WWW-Authenticate: Digest realm=\"{REALM}\", nonce=\"{NONCE}\"")
                })
            }
        }
    }
}

fn md5(text: &str) -> String {
    compute_checksum_for_data(ChecksumType::Md5, text.as_bytes()).unwrap().into()
}
