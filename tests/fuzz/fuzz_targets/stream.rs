//! Sends HTTP answers to a subscriber or a publisher over a socket.
//!
//! The first byte of the input chooses the reader, and the place at which the answer is divided into two writes.
//!
//! Does not: repeat a request; a run ends at an invalid answer.
#![no_main]

#[path = "../../trusting/mod.rs"]
mod trusting;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use libfuzzer_sys::fuzz_target;
use livepeer_gateway::http::io::Connector;
use livepeer_gateway::segment::{Piece, Pieces, PiecePlace, Seq};
use resilience::stop::Stop;
use livepeer_gateway::trickle::io::{
    PublishTimes, Publisher, SegmentSink, SubscribeTimes, Subscriber,
};
use livepeer_gateway::trickle::{Channel, ChannelKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// The time limit of a run.
const TIME: Duration = Duration::from_millis(20);

struct Ground {
    runtime: Runtime,
    listener: TcpListener,
    channel: String,
    connector: Arc<Connector>,
}

impl Ground {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let channel = format!("http://{}/t/c", listener.local_addr().expect("an address"));
        let connector = trusting::connector();
        Self { runtime, listener, channel, connector }
    }
}

thread_local! {
    static GROUND: RefCell<Ground> = RefCell::new(Ground::new());
}

/// A sink that panics unless the subscriber calls its functions in the promised order.
#[derive(Default)]
struct Sink {
    open: bool,
    last: Option<Seq>,
}

impl SegmentSink for Sink {
    fn begin(&mut self, seq: Seq, _: &str) {
        assert!(!self.open && self.last.is_none_or(|last| last < seq));
        (self.open, self.last) = (true, Some(seq));
    }

    fn bytes(&mut self, bytes: &Bytes) {
        assert!(self.open && !bytes.is_empty());
    }

    fn end(&mut self, _: bool) {
        assert!(self.open);
        self.open = false;
    }
}

struct Camera;

impl Pieces for Camera {
    async fn next(&mut self) -> Option<Piece> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Some(Piece { place: PiecePlace::Begin, bytes: Bytes::from_static(b"video") })
    }

    fn resync(&mut self) {}
}

/// Gives this answer on each of a few connections. Returns when the reader has closed the last one.
async fn serve(listener: &TcpListener, parts: (&[u8], &[u8]), connections: usize) {
    for _ in 0..connections {
        let Ok(Ok((mut socket, _))) = tokio::time::timeout(TIME, listener.accept()).await else {
            return;
        };
        let _ = socket.set_nodelay(true);
        let mut request = [0; 4096];
        let _ = tokio::time::timeout(TIME, socket.read(&mut request)).await;
        for part in [parts.0, parts.1] {
            let _ = socket.write_all(part).await;
            tokio::task::yield_now().await;
        }
        let _ = socket.shutdown().await;
        let _ = tokio::time::timeout(TIME, socket.read(&mut request)).await;
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, answer)) = bytes.split_first() else { return };
    let parts = answer.split_at(usize::from(choice >> 1).min(answer.len()));
    GROUND.with_borrow(|ground| {
        let (hold, stop) = Stop::new();
        let connector = Arc::clone(&ground.connector);
        ground.runtime.block_on(async {
            if choice & 1 == 0 {
                let channel = Channel::parse(&ground.channel, ChannelKind::Subscribe).expect("a URL");
                let times =
                    SubscribeTimes { renew: TIME, segment: TIME, stall: TIME, body: 10_000 };
                let subscriber = Subscriber::new(connector, channel).with_times(times);
                tokio::select! {
                    _ = subscriber.run(Sink::default(), stop) => {}
                    () = serve(&ground.listener, parts, 2) => {}
                }
            } else {
                let channel = Channel::parse(&ground.channel, ChannelKind::Publish).expect("a URL");
                let times = PublishTimes {
                    chunk: TIME,
                    answer: TIME,
                    stop: TIME,
                    ..PublishTimes::default()
                };
                let mime = HeaderValue::from_static("video/mp2t");
                let publisher =
                    Publisher::new(connector, channel, mime, Arc::default()).with_times(times);
                tokio::select! {
                    _ = publisher.run(Camera, stop) => {}
                    () = serve(&ground.listener, parts, 3) => {}
                }
            }
        });
        drop(hold);
    });
});
