//! Asks an API one question over a connection of its own: HTTP/1.0, so that the end of the connection ends the answer.
//!
//! Does not: speak TLS, or keep connections.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use super::RemoteError;
use resilience::secret::Secret;

/// Time to connect to this computer.
const CONNECT_TIME: Duration = Duration::from_secs(2);
/// The largest answer: a picture of 4K has less.
const ANSWER_BYTES: u64 = 32 << 20;

/// Where an API listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Address(SocketAddr),
    Socket(PathBuf),
}

/// A question.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) method: &'static str,
    pub(super) path: &'a str,
    /// The JSON to send.
    pub(super) body: Option<&'a str>,
}

impl<'a> Request<'a> {
    pub(super) fn get(path: &'a str) -> Self {
        Self { method: "GET", path, body: None }
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Place {
    /// Reads an address as an agent writes it: `http://127.0.0.1:8787` or `unix:/path`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Some(Self::Socket(path.into()));
        }
        let mut address: SocketAddr =
            text.strip_prefix("http://")?.trim_end_matches('/').parse().ok()?;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            });
        }
        Some(Self::Address(address))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "http://{address}"),
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Asks. The answer must come within `limit`.
pub(super) fn ask(
    place: &Place,
    token: Option<&Secret>,
    request: Request<'_>,
    limit: Duration,
) -> Result<Answer, RemoteError> {
    let broken = |error| RemoteError::Broken(place.to_string(), error);
    let read = match place {
        Place::Address(address) => {
            let stream = TcpStream::connect_timeout(address, CONNECT_TIME);
            let stream = stream.map_err(|_| RemoteError::NoAgent(place.to_string()))?;
            stream.set_read_timeout(Some(limit)).map_err(broken)?;
            talk(stream, token, request)
        }
        Place::Socket(path) => {
            let stream = UnixStream::connect(path).map_err(|error| {
                match error.kind() == ErrorKind::PermissionDenied {
                    true => RemoteError::Denied(path.clone()),
                    false => RemoteError::NoAgent(place.to_string()),
                }
            })?;
            stream.set_read_timeout(Some(limit)).map_err(broken)?;
            talk(stream, token, request)
        }
    };
    let bytes = read.map_err(broken)?;
    parse(&bytes).ok_or_else(|| RemoteError::Foreign(place.to_string()))
}

fn talk(
    mut stream: impl Read + Write,
    token: Option<&Secret>,
    request: Request<'_>,
) -> io::Result<Vec<u8>> {
    let Request { method, path, body } = request;
    let mut head = format!("{method} {path} HTTP/1.0\r\nHost: localhost\r\n");
    if let Some(token) = token {
        head += &format!("Authorization: Bearer {}\r\n", token.expose());
    }
    if let Some(body) = body {
        head += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    stream.write_all(format!("{head}\r\n{}", body.unwrap_or_default()).as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer)?;
    Ok(answer)
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let mut words = head.split(' ');
    let is_http = words.next()?.starts_with("HTTP/1.");
    let status = words.next()?.parse().ok().filter(|_| is_http)?;
    Some(Answer { status, body: bytes.get(end + 4..)?.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_all_interfaces_is_reached_on_this_computer() {
        let place = |text: &str| Place::parse(text).map(|place| place.to_string());
        assert_eq!(place("http://127.0.0.1:80"), Some("http://127.0.0.1:80".into()));
        assert_eq!(place("http://0.0.0.0:80"), Some("http://127.0.0.1:80".into()));
        assert_eq!(place("http://[::]:80/"), Some("http://[::1]:80".into()));
        assert_eq!(place("unix:/run/a"), Some("unix:/run/a".into()));
        assert_eq!(place("https://127.0.0.1:80"), None);
    }

    #[test]
    fn an_answer_is_its_status_and_body() {
        let answer = parse(b"HTTP/1.0 404 Not Found\r\ncontent-length: 2\r\n\r\n{}").unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (404, &b"{}"[..]));
        for foreign in
            [&b""[..], b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 x y\r\n\r\n", b"HTTP/1.1 200"]
        {
            assert!(parse(foreign).is_none());
        }
    }
}
