//! Hostile peers on free local ports. Each sends its scripted bytes to every client, regardless of the request.
//!
//! ```text
//!  connection ──(TLS)──▶ the request's head is read ──▶ parts are sent, one after the other ──▶ closed
//! (unless it begins at once)      until the other side closes
//! ```
//!
//! Does not: stop; each peer runs until its test program ends.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]
#![allow(dead_code, reason = "each test program uses a part of this module")]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::peers::self_signed;

/// The pause between two bytes of [`Part::Drip`].
const DRIP: Duration = Duration::from_millis(20);

/// A part of the script.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// These bytes.
    Bytes(Vec<u8>),
    /// These bytes, repeated this number of times.
    Times(usize, Vec<u8>),
    /// These bytes, without end.
    Forever(Vec<u8>),
    /// These bytes, without end, one at a time with pauses.
    Drip(Vec<u8>),
    /// Nothing, until the other side closes.
    Silence,
}

pub(crate) fn bytes(bytes: impl AsRef<[u8]>) -> Part {
    Part::Bytes(bytes.as_ref().to_vec())
}

pub(crate) fn forever(bytes: impl AsRef<[u8]>) -> Part {
    Part::Forever(bytes.as_ref().to_vec())
}

pub(crate) fn drip(bytes: impl AsRef<[u8]>) -> Part {
    Part::Drip(bytes.as_ref().to_vec())
}

/// What the attacker does with a connection before it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// The attacker sends at once.
    AtOnce,
    /// The attacker first reads the head of a request.
    Http,
    /// The attacker accepts TLS, then reads the head of a request.
    Https,
}

/// The result of one connection.
#[derive(Debug)]
pub(crate) struct Sent {
    /// Bytes that the kernel accepted.
    pub(crate) bytes: u64,
    /// The time from the first byte sent to the end of the connection.
    pub(crate) time: Duration,
}

/// An attacker that listens.
pub(crate) struct Attacker {
    pub(crate) port: u16,
    ended: Receiver<Sent>,
}

impl Attacker {
    /// Sends these parts on every connection.
    pub(crate) fn start(begin: Begin, parts: Vec<Part>) -> Self {
        Self::answering(begin, move |_| parts.clone())
    }

    /// Sends on every connection the parts that `answer` returns for the head of the request.
    pub(crate) fn answering(
        begin: Begin,
        answer: impl Fn(&str) -> Vec<Part> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, ended) = mpsc::channel();
        let tls = (begin == Begin::Https).then(tls);
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (tell, tls, answer) = (tell.clone(), tls.clone(), Arc::clone(&answer));
                thread::spawn(move || {
                    let mut gone = stream.try_clone().unwrap();
                    let sent = match tls {
                        None => serve(stream, &mut gone, begin, &*answer),
                        Some(config) => {
                            let connection = ServerConnection::new(config).unwrap();
                            let stream = StreamOwned::new(connection, stream);
                            serve(stream, &mut gone, begin, &*answer)
                        }
                    };
                    let _ = tell.send(sent);
                });
            }
        });
        Self { port, ended }
    }

    /// Waits until a connection has ended.
    #[track_caller]
    pub(crate) fn ended(&self) -> Sent {
        self.ended
            .recv_timeout(Duration::from_secs(20))
            .expect("the attacked side closes the connection")
    }

    /// Whether no connection has ended so far.
    pub(crate) fn is_untouched(&self) -> bool {
        self.ended.try_recv().is_err()
    }

    pub(crate) fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn https(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }
}

/// A TLS configuration with a new self-signed certificate, for HTTP/1.1 and HTTP/2.
pub(crate) fn tls() -> Arc<ServerConfig> {
    let (certificate, key) = self_signed();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    Arc::new(config)
}

fn serve(
    mut stream: impl Read + Write,
    gone: &mut TcpStream,
    begin: Begin,
    answer: &dyn Fn(&str) -> Vec<Part>,
) -> Sent {
    let began = Instant::now();
    let mut count = 0;
    let head = if begin == Begin::AtOnce { Ok(String::new()) } else { head(&mut stream) };
    // An error means that the other side has closed.
    let _ = head.and_then(|head| {
        answer(&head).iter().try_for_each(|part| send(&mut stream, gone, part, &mut count))
    });
    Sent { bytes: count, time: began.elapsed() }
}

/// Reads the head of a request of HTTP/1.1 or HTTP/2. The rest of the request is not read.
fn head(stream: &mut impl Read) -> io::Result<String> {
    let mut head = Vec::new();
    while !is_head(&head) {
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => head.extend_from_slice(buffer.get(..n).unwrap()),
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn is_head(bytes: &[u8]) -> bool {
    match bytes.strip_prefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") {
        Some(frames) => has_headers(frames),
        None => !bytes.starts_with(b"PRI") && bytes.windows(4).any(|end| end == b"\r\n\r\n"),
    }
}

/// Whether one of these HTTP/2 frames is a HEADERS frame, complete or not.
fn has_headers(mut frames: &[u8]) -> bool {
    while let [high, middle, low, kind, ..] = *frames {
        let length = u32::from_be_bytes([0, high, middle, low]);
        match (kind, frames.get(9 + length as usize..)) {
            (1, _) => return true,
            (_, Some(rest)) => frames = rest,
            (_, None) => return false,
        }
    }
    false
}

fn send(
    stream: &mut impl Write,
    gone: &mut TcpStream,
    part: &Part,
    count: &mut u64,
) -> io::Result<()> {
    let mut write = |bytes: &[u8]| {
        stream.write_all(bytes)?;
        stream.flush()?;
        *count += bytes.len() as u64;
        Ok(())
    };
    match part {
        Part::Bytes(bytes) => write(bytes),
        Part::Times(times, bytes) => {
            let block = bytes.repeat(*times);
            block.chunks(64 << 10).try_for_each(write)
        }
        Part::Forever(bytes) => {
            let block = bytes.repeat((64 << 10) / bytes.len() + 1);
            loop {
                write(&block)?;
            }
        }
        Part::Drip(bytes) => loop {
            for byte in bytes {
                write(&[*byte])?;
                thread::sleep(DRIP);
            }
        },
        Part::Silence => {
            // Only the end of the input matters, not its bytes.
            while gone.read(&mut [0; 4096])? > 0 {}
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

/// A frame of HTTP/2 (RFC 9113, section 4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length.get(1..).unwrap().to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// An empty SETTINGS frame, which a server must send first.
pub(crate) fn settings() -> Vec<u8> {
    frame(4, 0, 0, &[])
}

/// A HEADERS frame that contains only this status.
pub(crate) fn status(status: &str, flags: u8) -> Vec<u8> {
    let mut block = vec![0x08, u8::try_from(status.len()).unwrap()];
    block.extend(status.as_bytes());
    frame(1, flags, 1, &block)
}
