//! An HTTP server that gives scripted answers and records its requests.
//!
//! Does not: know signers.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::http::io::{Client, Connector};
use crate::http::{Authority, CaVerdict, Distrust, Fingerprint, Judge, Url};
use resilience::wait::AbortOnDrop;

#[derive(Debug)]
struct TrustNobody;

impl Judge for TrustNobody {
    fn judge(
        &self,
        _: &Authority,
        _: Option<&Authority>,
        _: &Fingerprint,
        _: &CaVerdict,
    ) -> Result<(), Distrust> {
        Err(Distrust::NoAuthority("there is no TLS in this test".into()))
    }
}

#[derive(Debug, Clone)]
pub(super) struct RecordedRequest {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl RecordedRequest {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Status, further header lines, body.
pub(super) type ScriptedReply = (u16, &'static str, Vec<u8>);

/// An HTTP server that gives scripted answers and records its requests.
pub(super) struct Peer {
    pub(super) url: Url,
    seen: Arc<Mutex<Vec<RecordedRequest>>>,
    _task: AbortOnDrop<()>,
}

impl Peer {
    pub(super) async fn start(
        answer: impl FnMut(&RecordedRequest) -> ScriptedReply + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::serve(listener, answer)
    }

    /// Gives these answers in turn, then repeats the last one.
    pub(super) async fn script(replies: Vec<ScriptedReply>) -> Self {
        let mut replies = replies.into_iter();
        let mut last = (599, "", Vec::new());
        Self::start(move |_| {
            last = replies.next().unwrap_or_else(|| last.clone());
            last.clone()
        })
        .await
    }

    pub(super) fn serve(
        listener: TcpListener,
        answer: impl FnMut(&RecordedRequest) -> ScriptedReply + Send + 'static,
    ) -> Self {
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(Mutex::new(answer));
        let kept = Arc::clone(&seen);
        let task = AbortOnDrop::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                tokio::spawn(async move {
                    while let Some(request) = read(&mut socket).await {
                        kept.lock().unwrap().push(request.clone());
                        let (status, headers, body) = (*answer.lock().unwrap())(&request);
                        let length = body.len();
                        let head = format!(
                            "HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n{headers}\r\n"
                        );
                        socket.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
                    }
                });
            }
        });
        Self { url, seen, _task: task }
    }

    pub(super) fn seen(&self) -> Vec<RecordedRequest> {
        self.seen.lock().unwrap().clone()
    }
}

async fn read(socket: &mut TcpStream) -> Option<RecordedRequest> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut request = RecordedRequest { head, body: bytes[end..].to_vec() };
    let length: usize = request.header("content-length").map_or(0, |text| text.parse().unwrap());
    while request.body.len() < length {
        assert_ne!(socket.read_buf(&mut request.body).await.unwrap(), 0, "a body cut off");
    }
    Some(request)
}

/// An address at which no server listens.
pub(super) async fn nobody() -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap()
}

pub(super) fn client() -> Client {
    Client::new(Arc::new(Connector::new(Arc::new(TrustNobody))))
}
