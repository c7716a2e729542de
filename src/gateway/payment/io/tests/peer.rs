//! An HTTP server that answers as the test says, and keeps the requests.
//!
//! Does not: know signers.

#[path = "../../../../../tests/http_request/mod.rs"]
mod http_request;

use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::http::io::{Client, Connector};
use crate::http::{Authority, CaVerdict, Distrust, Fingerprint, TrustPolicy, Url};
use resilience::wait::AbortOnDrop;

pub(super) use http_request::Request as RecordedRequest;
use http_request::read;

#[derive(Debug)]
struct TrustNobody;

impl TrustPolicy for TrustNobody {
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

/// Status, further header lines, body.
pub(super) type ScriptedReply = (u16, &'static str, Vec<u8>);

/// The server; it ends when it is dropped.
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

    /// Sends these answers in turn, then the last one again.
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

/// An address on which nothing listens.
pub(super) async fn nobody() -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap()
}

pub(super) fn client() -> Client {
    Client::new(Arc::new(Connector::new(Arc::new(TrustNobody))))
}
