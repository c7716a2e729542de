//! The API over real sockets: which clients have access, which requests are refused, and how much memory and how many
//! connections a client can use.
//!
//! Does not: run a job; `tests/api_video.rs` does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod client;

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use livepeer_edge::agent::{Control, Outputs};
use livepeer_edge::api::limits::{BODY_BYTES, CONNECTIONS, EVENT_READERS, HEAD_BYTES, HEAD_LINES};
use livepeer_edge::api::{Api, Listen, Options, Sources, Times};
use livepeer_edge::events::{Bus, Kind};
use livepeer_edge::status::Status;
use media::io::{AccessUnits, Capture};
use media::{Encoder, Source, Speed, Video};
use resilience::secret::SecretSource;
use resilience::wait::AbortOnDrop;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use client::{Answer, Client};

/// The time limit of each wait: a longer wait means that the test hangs.
const LIMIT: Duration = Duration::from_secs(60);
const TOKEN: &str = "a token of many bytes";

/// A running API, which ends with its test.
struct Served {
    address: String,
    options: watch::Sender<Options>,
    status: Status,
    units: AccessUnits,
    events: Bus,
    state: PathBuf,
    _task: AbortOnDrop<std::convert::Infallible>,
}

/// A path that no other test uses.
fn temporary(name: &str) -> PathBuf {
    static NTH: AtomicU32 = AtomicU32::new(0);
    let nth = NTH.fetch_add(1, Ordering::Relaxed);
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("api-{}-{nth}-{name}", std::process::id()))
}

/// An agent without video.
fn sources(status: &Status, state_directory: Option<PathBuf>) -> Sources {
    let (units, outputs) = (AccessUnits::new(), Outputs::default());
    // Nothing receives these commands, as if the agent had ended.
    let control = Control::new(mpsc::channel(1).0);
    Sources {
        purses: Default::default(),
        status: status.clone(),
        units,
        outputs,
        control,
        events: Bus::default(),
        state_directory,
    }
}

impl Served {
    async fn with(options: Options, times: Times) -> Self {
        let (options, changes) = watch::channel(options);
        let (status, state) = (Status::default(), temporary("state"));
        let sources = sources(&status, Some(state.clone()));
        let (units, events) = (sources.units.clone(), sources.events.clone());
        let task = AbortOnDrop::spawn(Api::new(changes, sources).with_times(times).run());
        let address = address(&status).await;
        Self { address, options, status, units, events, state, _task: task }
    }

    async fn new(listen: &str, token: Option<SecretSource>) -> Self {
        Self::with(Options { listen: listen.parse().unwrap(), token }, Times::default()).await
    }

    async fn with_times(times: Times) -> Self {
        Self::with(Options { listen: "127.0.0.1:0".parse().unwrap(), token: None }, times).await
    }

    async fn open() -> Self {
        Self::new("127.0.0.1:0", None).await
    }

    async fn client(&self) -> Client {
        Client::connect(&self.address).await
    }

    /// Sends one request on a new connection. Returns its answer.
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.client().await.ask(method, path, headers).await
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.state);
    }
}

/// Waits until the API listens.
async fn address(status: &Status) -> String {
    let listens = async {
        loop {
            if let Some(text) = status.api.get() {
                return text.strip_prefix("API: ").unwrap().to_owned();
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, listens).await.expect("the API listens")
}

#[tokio::test]
async fn the_api_describes_its_paths_and_methods() {
    let served = Served::open().await;
    let health = served.ask("GET", "/healthz", &[]).await;
    assert_eq!((health.status, health.body.as_slice()), (200, &b"ok\n"[..]));
    assert_eq!(health.header("cache-control"), Some("no-store"));
    assert_eq!(health.header("content-type"), Some("text/plain"));
    let page = served.ask("GET", "/", &[]).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none';"));
    let gone = served.ask("GET", "/nowhere", &[]).await;
    assert_eq!((gone.status, gone.code().as_str()), (404, "not-found"));
    let posted = served.ask("POST", "/healthz", &[]).await;
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET, HEAD")));
}

#[tokio::test]
async fn a_head_has_the_headers_of_its_get_and_no_body() {
    let served = Served::open().await;
    for path in ["/", "/healthz", "/openapi.json"] {
        let (get, head) = (served.ask("GET", path, &[]).await, served.ask("HEAD", path, &[]).await);
        assert_eq!(head.status, 200, "{path}");
        assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        assert!(head.body.is_empty() && !get.body.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn another_host_and_another_site_are_refused() {
    let served = Served::open().await;
    let ask = async |headers: &[(&str, &str)]| served.ask("GET", "/", headers).await.status;
    assert_eq!(ask(&[("Host", "evil.example")]).await, 421);
    assert_eq!(ask(&[("Host", "evil.example:8787")]).await, 421);
    assert_eq!(ask(&[("Host", "localhost"), ("Host", "localhost")]).await, 421);
    assert_eq!(ask(&[("Host", "localhost:1")]).await, 200);
    let mut client = served.client().await;
    client.write(b"GET / HTTP/1.1\r\n\r\n").await;
    assert_eq!(client.answer("GET").await.unwrap().status, 421);
    let mut client = served.client().await;
    client.write(b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(client.answer("GET").await.unwrap().status, 421);
}

#[tokio::test]
async fn if_a_token_is_configured_requests_without_it_are_refused() {
    let file = temporary("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let served = Served::new("127.0.0.1:0", Some(SecretSource::File(file.clone()))).await;
    let refused = served.ask("GET", "/status", &[]).await;
    assert_eq!((refused.status, refused.code().as_str()), (401, "wrong-token"));
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    let wrong = [("Authorization", "Bearer a token of many byteS")];
    assert_eq!(served.ask("GET", "/status", &wrong).await.status, 401);
    let right = format!("Bearer {TOKEN}");
    assert_eq!(served.ask("GET", "/status", &[("Authorization", &right)]).await.status, 200);
    for path in ["/healthz", "/", "/page.js"] {
        assert_eq!(served.ask("GET", path, &[]).await.status, 200, "{path} reveals nothing");
    }
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn the_api_does_not_listen_with_a_short_or_missing_token() {
    let file = temporary("token");
    let token = Some(SecretSource::File(file.clone()));
    let listening =
        |listen: &str| Options { listen: listen.parse().unwrap(), token: token.clone() };
    let (options, changes) = watch::channel(listening("127.0.0.1:0"));
    let status = Status::default();
    let sources = sources(&status, None);
    let _task = AbortOnDrop::spawn(Api::new(changes, sources).run());
    std::fs::write(&file, "too short").unwrap();
    options.send_replace(listening("127.0.0.2:0"));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(status.api.get(), None);
    std::fs::write(&file, TOKEN).unwrap();
    options.send_replace(listening("127.0.0.1:0"));
    let address = address(&status).await;
    assert_eq!(Client::connect(&address).await.ask("GET", "/status", &[]).await.status, 401);
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn the_file_of_the_address_is_readable_by_its_owner_only_and_removed_at_the_end() {
    let served = Served::open().await;
    let path = served.state.join("api.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (file["version"].as_u64(), file["address"].as_str()),
        (Some(1), Some(served.address.as_str()))
    );
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    served.options.send_replace(Options { listen: Listen::Off, token: None });
    timeout(LIMIT, async {
        while path.exists() || served.status.api.get().is_some() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("nothing is left");
}

#[tokio::test]
async fn two_agents_without_a_configured_port_have_different_ports() {
    let (one, other) = (
        Served::with(Options::default(), Times::default()).await,
        Served::with(Options::default(), Times::default()).await,
    );
    assert_ne!(one.address, other.address);
    assert_eq!(one.ask("GET", "/healthz", &[]).await.status, 200);
    assert_eq!(other.ask("GET", "/healthz", &[]).await.status, 200);
}

#[tokio::test]
async fn an_address_in_use_is_tried_again() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = holder.local_addr().unwrap().to_string();
    let (_options, changes) =
        watch::channel(Options { listen: listen.parse().unwrap(), token: None });
    let status = Status::default();
    let sources = sources(&status, None);
    let _task = AbortOnDrop::spawn(Api::new(changes, sources).run());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(status.api.get(), None);
    drop(holder);
    assert_eq!(address(&status).await, format!("http://{listen}"));
}

#[tokio::test]
async fn a_unix_socket_replaces_an_unused_socket_but_no_other_file() {
    let folder = std::env::temp_dir().join(format!("edge-api-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("socket");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(std::fs::metadata(&path).unwrap().file_type().is_socket(), "left behind");
    let served = Served::new(&format!("unix:{}", path.display()), None).await;
    assert_eq!(served.ask("GET", "/healthz", &[]).await.status, 200);
    drop(served);
    timeout(LIMIT, async {
        while path.exists() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the socket's file is removed");
    std::fs::write(&path, "mine").unwrap();
    let options =
        Options { listen: format!("unix:{}", path.display()).parse().unwrap(), token: None };
    let (_options, changes) = watch::channel(options);
    let status = Status::default();
    let sources = sources(&status, None);
    let _task = AbortOnDrop::spawn(Api::new(changes, sources).run());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let served = Served::open().await;
    let long = "x".repeat(HEAD_BYTES);
    assert_eq!(served.ask("GET", "/", &[("X-Long", &long)]).await.status, 431);
    let lines: Vec<_> = (0..=HEAD_LINES).map(|_| ("X-Line", "x")).collect();
    assert_eq!(served.ask("GET", "/", &lines).await.status, 431);
    let mut client = served.client().await;
    client.write(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n").await;
    assert_eq!(client.answer("GET").await.unwrap().status, 400, "the API does not speak TLS");
}

#[tokio::test]
async fn connections_above_the_limit_are_refused_until_others_close() {
    let served = Served::open().await;
    let mut flood = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut client = served.client().await;
        // An answer proves that the server has accepted the connection.
        assert_eq!(client.ask("GET", "/healthz", &[]).await.status, 200);
        flood.push(client);
    }
    let mut late = served.client().await;
    let answer = late.answer("GET").await.unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (503, "too-many-connections"));
    assert_eq!(
        flood[0].ask("GET", "/healthz", &[]).await.status,
        200,
        "the accepted connections still work"
    );
    drop(flood);
    let served = Arc::new(served);
    timeout(LIMIT, async {
        while served
            .client()
            .await
            .try_ask("GET", "/healthz", &[])
            .await
            .is_none_or(|a| a.status != 200)
        {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("a new connection is accepted again");
}

#[tokio::test]
async fn a_head_that_never_ends_and_an_idle_connection_are_closed() {
    let times = Times { head: Duration::from_millis(300), ..Times::default() };
    let served = Served::with_times(times).await;
    let mut slow = served.client().await;
    slow.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n").await;
    let mut idle = served.client().await;
    assert_eq!(idle.ask("GET", "/healthz", &[]).await.status, 200);
    let mut silent = served.client().await;
    for (name, client) in [("slow", &mut slow), ("idle", &mut idle), ("silent", &mut silent)] {
        // Before it closes the connection, the server may answer a slow head with 408.
        let ended = timeout(LIMIT, client.end()).await;
        assert!(ended.is_ok(), "{name} is closed");
    }
}

#[tokio::test]
async fn without_video_a_viewer_gets_an_error_in_time() {
    let times = Times { first_key: Duration::from_millis(100), ..Times::default() };
    let served = Served::with_times(times).await;
    let streams = ["/input.ts", "/output.ts", "/input.mp4", "/output.mp4"];
    for path in streams.into_iter().chain(["/snapshot.jpg", "/snapshot.jpg?stream=input"]) {
        let answer = served.ask("GET", path, &[]).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "no-video"), "{path}");
        assert_eq!(answer.header("retry-after"), Some("5"), "{path}");
        let head = served.ask("HEAD", path, &[]).await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
    }
    let wrong = served.ask("GET", "/snapshot.jpg?stream=x", &[]).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (400, "wrong-query"));
}

#[tokio::test]
async fn another_site_gets_no_video() {
    let served = Served::open().await;
    for path in ["/input.ts", "/output.mp4", "/snapshot.jpg"] {
        for header in [("Origin", "http://evil.example"), ("Sec-Fetch-Site", "cross-site")] {
            let answer = served.ask("GET", path, &[header]).await;
            assert_eq!((answer.status, answer.code().as_str()), (403, "cross-site"), "{path}");
        }
    }
}

#[tokio::test]
async fn the_state_is_served_as_json_and_as_prometheus_metrics() {
    let served = Served::open().await;
    let status = served.ask("GET", "/status", &[]).await;
    assert_eq!((status.status, status.header("content-type")), (200, Some("application/json")));
    let report: serde_json::Value = serde_json::from_slice(&status.body).unwrap();
    assert_eq!((&report["version"], &report["ready"]), (&1.into(), &false.into()));
    let schema = served.ask("GET", "/status/schema.json", &[]).await;
    assert!(
        serde_json::from_slice::<serde_json::Value>(&schema.body).unwrap()["$schema"].is_string()
    );
    let ready = served.ask("GET", "/readyz", &[]).await;
    assert_eq!((ready.status, ready.code().as_str()), (503, "not-ready"));
    let metrics = served.ask("GET", "/metrics", &[]).await;
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(metrics.body.starts_with(b"# HELP livepeer_edge_"), "{metrics:?}");
    let foreign = served.ask("GET", "/status", &[("Origin", "http://evil.example")]).await;
    assert_eq!(foreign.status, 403);
}

/// A test source that shows noise, which compresses badly, so that the video fills every buffer soon.
fn noise() -> media::Options {
    let fragment = "videotestsrc is-live=true pattern=snow".to_owned();
    media::Options {
        source: Source::Pipeline { fragment },
        video: Video { width: 640, height: 360, bitrate: 8_000_000, ..Video::default() },
        encoder: Encoder { element: None, speed: Speed::Ultrafast },
        ..media::Options::default()
    }
}

#[tokio::test]
async fn a_viewer_that_does_not_read_is_disconnected() {
    let times = Times { write: Duration::from_millis(300), ..Times::default() };
    let served = Served::with_times(times).await;
    let capture = Capture::start(&noise(), served.units.clone()).unwrap();
    for path in ["/input.ts", "/input.mp4"] {
        let mut asleep = Client::connect_with_small_buffer(&served.address).await;
        asleep.write(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await;
        assert_eq!(asleep.head().await.unwrap().0, 200);
        timeout(LIMIT, asleep.until_cut()).await.expect("the server closes the connection");
    }
    drop(capture);
}

/// Posts a body to the parameters.
async fn post(served: &Served, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    post_to("/params", served, headers, body).await
}

async fn post_to(path: &str, served: &Served, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut client = served.client().await;
    let lines: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    client
        .write(format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n").as_bytes())
        .await;
    client.write(body).await;
    client.answer("POST").await.expect("an answer")
}

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[tokio::test]
async fn a_body_that_is_not_a_json_object_or_is_too_long_is_refused() {
    let served = Served::open().await;
    let check = async |headers: &[(&str, &str)], body: &[u8], status: u16, code: &str| {
        let answer = post(&served, headers, body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{headers:?}");
    };
    check(&[("Content-Length", "2")], b"{}", 415, "wrong-content-type").await;
    let plain = [("Content-Type", "text/plain"), ("Content-Length", "2")];
    check(&plain, b"{}", 415, "wrong-content-type").await;
    check(&[JSON, ("Content-Length", "2")], b"[]", 400, "wrong-body").await;
    // This body is valid, but there is no agent that could take it.
    check(&[JSON, ("Content-Length", "2")], b"{}", 400, "wrong-body").await;
    let long = (BODY_BYTES + 1).to_string();
    check(&[JSON, ("Content-Length", &long)], b"", 413, "body-too-long").await;
    let piece =
        [format!("{BODY_BYTES:x}\r\n").as_bytes(), &vec![b' '; BODY_BYTES], b"\r\n1\r\n{\r\n"]
            .concat();
    check(&[JSON, ("Transfer-Encoding", "chunked")], &piece, 413, "body-too-long").await;
    let foreign = [JSON, ("Content-Length", "2"), ("Origin", "http://evil.example")];
    check(&foreign, b"{}", 403, "cross-site").await;
}

#[tokio::test]
async fn a_body_that_never_ends_is_refused() {
    let times = Times { body: Duration::from_millis(100), ..Times::default() };
    let served = Served::with_times(times).await;
    let answer = post(&served, &[JSON, ("Content-Length", "10")], b"{").await;
    assert_eq!((answer.status, answer.code().as_str()), (408, "body-too-slow"));
    assert_eq!(answer.header("connection"), Some("close"));
}

#[tokio::test]
async fn events_are_streamed_as_they_happen_to_a_limited_number_of_readers() {
    let served = Served::open().await;
    let mut readers = Vec::new();
    for _ in 0..EVENT_READERS {
        let mut reader = served.client().await;
        reader.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        let (status, headers) = reader.head().await.unwrap();
        let kind = ("content-type".to_owned(), "text/event-stream".to_owned());
        assert!(status == 200 && headers.contains(&kind), "{headers:?}");
        readers.push(reader);
    }
    let refused = served.ask("GET", "/events", &[]).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "too-many-readers"));
    served.events.publish(|| Kind::Stopping);
    for mut reader in readers {
        let mut text = String::new();
        while !text.contains("\n\n") {
            assert!(timeout(LIMIT, reader.read()).await.unwrap() > 0);
            text += &String::from_utf8(reader.take()).unwrap();
        }
        let (_, data) = text.split_once("\ndata: ").unwrap();
        let event: serde_json::Value = serde_json::from_str(data.lines().next().unwrap()).unwrap();
        assert_eq!(event["type"], "stopping", "{text}");
    }
}

#[tokio::test]
async fn a_restart_must_be_posted_from_the_same_site() {
    let served = Served::open().await;
    let got = served.ask("GET", "/restart", &[]).await;
    assert_eq!((got.status, got.header("allow")), (405, Some("POST")));
    let foreign = served.ask("POST", "/restart", &[("Sec-Fetch-Site", "cross-site")]).await;
    assert_eq!(foreign.status, 403);
}

#[tokio::test]
async fn a_wish_is_posted_as_json() {
    let served = Served::open().await;
    let got = served.ask("GET", "/job", &[]).await;
    assert_eq!((got.status, got.header("allow")), (405, Some("POST")));
    let check = async |headers: &[(&str, &str)], body: &str, status: u16, code: &str| {
        let length = body.len().to_string();
        let headers = [headers, &[("Content-Length", length.as_str())]].concat();
        let answer = post_to("/job", &served, &headers, body.as_bytes()).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{body}");
        String::from_utf8(answer.body).unwrap()
    };
    let stop = r#"{"wish":"stop"}"#;
    check(&[], stop, 415, "wrong-content-type").await;
    check(&[JSON, ("Origin", "http://evil.example")], stop, 403, "cross-site").await;
    let said = check(&[JSON], r#"{"wish":"pause"}"#, 400, "wrong-body").await;
    assert!(said.contains("the body must be {"), "{said}");
    // This one is well made: the agent of this test has ended.
    let said = check(&[JSON], stop, 400, "wrong-body").await;
    assert!(said.contains("the agent has ended"), "{said}");
}

/// A future that counts how often it is polled.
struct Counted {
    future: Pin<Box<dyn Future<Output = std::convert::Infallible> + Send>>,
    polls: Arc<AtomicU32>,
}

impl Future for Counted {
    type Output = std::convert::Infallible;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        self.future.as_mut().poll(cx)
    }
}

#[tokio::test]
async fn an_api_that_nobody_asks_is_never_woken() {
    let (options, changes) = watch::channel(Options::default());
    let (status, polls) = (Status::default(), Arc::<AtomicU32>::default());
    let future = Box::pin(Api::new(changes, sources(&status, None)).run());
    let _task = AbortOnDrop::spawn(Counted { future, polls: Arc::clone(&polls) });
    let address = address(&status).await;
    let before = polls.load(Ordering::Relaxed);
    // Longer than a look of any part of the program.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(polls.load(Ordering::Relaxed), before);
    let answer = Client::connect(&address).await.ask("GET", "/healthz", &[]).await;
    assert!(answer.status == 200 && polls.load(Ordering::Relaxed) > before, "it was asked");
    drop(options);
}
