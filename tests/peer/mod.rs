//! An HTTP server whose answers a test chooses, and which records the requests.
//!
//! Does not: know the protocol of Livepeer.
#![allow(dead_code, reason = "each test program uses a part of this module")]

#[path = "../http_request/mod.rs"]
mod http_request;
#[allow(clippy::duplicate_mod, reason = "a test with `edge` has the module there too")]
#[path = "../scratch/mod.rs"]
mod scratch;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use livepeer_gateway::http::Url;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub(crate) use http_request::Request;
use http_request::read;
pub(crate) use scratch::Scratch;

/// The time limit of the wait for a request.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) enum Body {
    Whole(Vec<u8>),
    /// A chunked body: each value is a chunk, and the answer ends when the sender is dropped.
    Chunks(mpsc::UnboundedReceiver<Vec<u8>>),
    /// The connection is closed without an answer.
    Hangup,
    /// No answer is sent, and the connection stays open.
    Silence,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    /// The target of a redirect.
    pub(crate) location: Option<String>,
    pub(crate) body: Body,
}

/// An answer with a JSON body.
pub(crate) fn json(status: u16, body: &Value) -> Reply {
    text(status, &body.to_string())
}

pub(crate) fn text(status: u16, body: &str) -> Reply {
    let body = Body::Whole(body.as_bytes().to_vec());
    Reply { status, kind: "application/json", location: None, body }
}

/// A redirect.
pub(crate) fn moved(status: u16, location: &str) -> Reply {
    Reply { location: Some(location.to_owned()), ..text(status, "") }
}

pub(crate) fn body(body: Body) -> Reply {
    Reply { status: 200, kind: "text/event-stream", location: None, body }
}

pub(crate) struct Peer {
    pub(crate) url: Url,
    seen: Arc<Mutex<Vec<Request>>>,
    count: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    pub(crate) async fn start(answer: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::serve(listener, answer)
    }

    /// A listener and its base URL, for peers whose answers contain their own address.
    pub(crate) async fn bind() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        (listener, base)
    }

    pub(crate) fn serve(
        listener: TcpListener,
        answer: impl FnMut(&Request) -> Reply + Send + 'static,
    ) -> Self {
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (counter, count) = watch::channel(0);
        let counter = Arc::new(counter);
        let answer = Arc::new(Mutex::new(answer));
        let kept = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (kept, answer, counter) =
                    (Arc::clone(&kept), Arc::clone(&answer), Arc::clone(&counter));
                tokio::spawn(async move {
                    while let Some(request) = read(&mut socket).await {
                        kept.lock().expect("a sound lock").push(request.clone());
                        let reply = (*answer.lock().expect("a sound lock"))(&request);
                        counter.send_modify(|count| *count += 1);
                        if write(&mut socket, reply).await.is_none() {
                            return;
                        }
                    }
                });
            }
        });
        Self { url: Url::parse_base(&base, 80).expect("a URL"), seen, count, task }
    }

    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().expect("a sound lock").clone()
    }

    /// The methods and paths of all requests, in order.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Request::line).collect()
    }

    /// Waits until a request with this method and path has arrived.
    pub(crate) async fn asked(&self, line: &str) {
        let mut count = self.count.clone();
        let wait = async {
            while !self.lines().iter().any(|seen| seen == line) {
                count.changed().await.expect("the peer lives");
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        waited.unwrap_or_else(|_| panic!("no request {line} has arrived: {:?}", self.lines()));
    }
}

async fn write(socket: &mut TcpStream, reply: Reply) -> Option<()> {
    let Reply { status, kind, location, body } = reply;
    let location = location.map(|to| format!("Location: {to}\r\n")).unwrap_or_default();
    match body {
        Body::Whole(body) => {
            let length = body.len();
            let length =
                if status == 204 { String::new() } else { format!("Content-Length: {length}\r\n") };
            let head =
                format!("HTTP/1.1 {status} x\r\nContent-Type: {kind}\r\n{location}{length}\r\n");
            socket.write_all(&[head.as_bytes(), &body].concat()).await.ok()
        }
        Body::Chunks(mut chunks) => {
            let head = format!(
                "HTTP/1.1 {status} x\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            socket.write_all(head.as_bytes()).await.ok()?;
            while let Some(chunk) = chunks.recv().await {
                let head = format!("{:x}\r\n", chunk.len());
                socket.write_all(&[head.as_bytes(), &chunk, b"\r\n"].concat()).await.ok()?;
            }
            socket.write_all(b"0\r\n\r\n").await.ok()
        }
        Body::Hangup => None,
        Body::Silence => std::future::pending().await,
    }
}

/// A URL at which nothing listens.
pub(crate) async fn nobody() -> Url {
    let (listener, base) = Peer::bind().await;
    drop(listener);
    Url::parse(&base).expect("a URL")
}

/// Runs the program with `scratch` as its home and configuration directory. Returns exit code, standard output and
/// standard error.
pub(crate) async fn edge(scratch: &Scratch, arguments: &[&str]) -> (Option<i32>, String, String) {
    let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
    let state = scratch.display().to_string();
    let run = move || {
        std::process::Command::new(env!("CARGO_BIN_EXE_livepeer-edge"))
            .args(arguments)
            .env_clear()
            .env("STATE_DIRECTORY", state)
            .output()
            .expect("the binary runs")
    };
    let output = tokio::task::spawn_blocking(run).await.expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}
