//! A client of the API that sends exactly the bytes of the test, so that a test can break the rules of HTTP.
//!
//! Does not: follow the rules of HTTP by itself.

#![allow(dead_code, reason = "each test program uses a part of this module")]

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UnixStream};

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection to the API.
pub(crate) struct Client {
    stream: Box<dyn Stream>,
    unread: Vec<u8>,
}

/// An answer with its whole body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The first header of this name, in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The error code in the body of a refusal.
    pub(crate) fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert!(body["error"]["message"].is_string(), "{body}");
        body["error"]["code"].as_str().unwrap().to_owned()
    }
}

impl Client {
    /// Connects to a URL, or to `unix:` and a path.
    pub(crate) async fn connect(address: &str) -> Self {
        let stream: Box<dyn Stream> = match address.strip_prefix("unix:") {
            Some(path) => Box::new(UnixStream::connect(path).await.unwrap()),
            None => {
                let address = address.strip_prefix("http://").unwrap();
                Box::new(TcpStream::connect(address).await.unwrap())
            }
        };
        Self { stream, unread: Vec::new() }
    }

    /// Connects to a URL with the smallest buffer of the kernel, so that a client that does not read is noticed soon.
    pub(crate) async fn connect_with_small_buffer(address: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let address = address.strip_prefix("http://").unwrap().parse().unwrap();
        Self { stream: Box::new(socket.connect(address).await.unwrap()), unread: Vec::new() }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Sends a request and reads the answer. `Host` is `localhost`, unless `headers` name another.
    pub(crate) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        self.try_ask(method, path, headers).await.expect("an answer")
    }

    /// Like [`Self::ask`], but returns `None` if the connection ends before the answer.
    pub(crate) async fn try_ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Option<Answer> {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head += "Host: localhost\r\n";
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        // The write fails if the server has closed the connection already.
        let _ = self.stream.write_all(format!("{head}\r\n").as_bytes()).await;
        self.answer(method).await
    }

    /// Reads an answer to a request of this method.
    pub(crate) async fn answer(&mut self, method: &str) -> Option<Answer> {
        let (status, headers) = self.head().await?;
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
        let length = if method == "HEAD" { 0 } else { length };
        while self.unread.len() < length {
            if self.read().await == 0 {
                return None;
            }
        }
        let body = self.unread.drain(..length).collect();
        Some(Answer { status, headers, body })
    }

    /// Reads the head of an answer.
    pub(crate) async fn head(&mut self) -> Option<(u16, Vec<(String, String)>)> {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if self.read().await == 0 {
                return None;
            }
        };
        let head: Vec<u8> = self.unread.drain(..end).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Some((status, lines.filter_map(header).collect()))
    }

    /// Reads until the server closes the connection.
    pub(crate) async fn end(&mut self) {
        while self.read().await > 0 {}
    }

    /// Waits until the server has closed the connection, without reading: sends bytes until a write fails, because a
    /// closed socket answers a byte with a reset.
    pub(crate) async fn until_cut(&mut self) {
        while self.stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for at least one byte, and reads all that have arrived. Returns how many, which is 0 if the connection has
    /// ended.
    pub(crate) async fn read(&mut self) -> usize {
        self.stream.read_buf(&mut self.unread).await.unwrap_or(0)
    }

    /// Removes and returns the bytes that were read but not parsed.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unread)
    }

    /// Waits for a while without reading.
    pub(crate) async fn doze(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
