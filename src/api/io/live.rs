//! The live video that viewers and snapshots read: taken from the agent only while a client reads it.
//!
//! ```text
//!  AccessUnits ─ watch ──▶ task ─┐
//!                                ├▶ Fan ─▶ seats ─▶ viewers
//!  Outputs ─ attach ─▶ sink ─────┘    └──▶ newest pictures ─▶ JPEG
//! ```
//!
//! Each user of a stream holds its [`WatchedStream`]; dropping the last one ends the stream. A snapshot holds the
//! stream for some seconds, so that a client that asks every second does not wait for a key frame each time.
//!
//! Does not: mux or pack; the fan does.

use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::{sleep, timeout};

use crate::agent::{Attached, Outputs};
use crate::api::fan::Fan;
use crate::api::limits::{PICTURE_WAIT, SNAPSHOT_HOLD, VIEWERS};
use crate::api::refusal::Refusal;
use crate::api::route::{Container, Which};
use crate::api::seat::Seat;
use livepeer_gateway::segment::Seq;
use livepeer_gateway::trickle::io::SegmentSink;
use media::io::{AccessUnits, SnapshotUnit, Watching, snapshot};
use media::mp4::Mp4Head;
use resilience::wait::AbortOnDrop;

/// Both streams of an agent.
pub(super) struct Live {
    input: Channel,
    output: Channel,
    viewers: Arc<AtomicUsize>,
    /// How long a viewer waits for a key frame.
    first_key: Duration,
}

/// One stream, with or without a client that reads it.
struct Channel {
    source: Source,
    stream: Mutex<Weak<WatchedStream>>,
    /// The last snapshot. The lock is held while a snapshot is made, so that other requests wait for that snapshot.
    picture: tokio::sync::Mutex<Option<Picture>>,
    /// Holds the stream for some time after a snapshot.
    hold: Mutex<Option<AbortOnDrop<()>>>,
}

enum Source {
    Input(AccessUnits),
    Output(Outputs),
}

struct Picture {
    bytes: Bytes,
    made: Instant,
}

/// A stream that at least one client reads.
struct WatchedStream {
    fan: Arc<Mutex<Fan>>,
    _tap: Tap,
}

/// The source of a fan. Dropping it ends the feed.
enum Tap {
    Input { _task: Option<AbortOnDrop<()>> },
    Output { _attached: Attached },
}

/// A viewer of a stream. Dropping the last viewer ends the stream.
pub(super) struct Viewer {
    seat: Arc<Seat>,
    _stream: Arc<WatchedStream>,
    _place: ViewerPlace,
}

/// One of the places for viewers.
struct ViewerPlace(Arc<AtomicUsize>);

impl Drop for ViewerPlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Live({:?} viewers)", self.viewers)
    }
}

impl Live {
    /// The input that comes through `units`, and the output that `outputs` get.
    pub(super) fn new(units: AccessUnits, outputs: Outputs, first_key: Duration) -> Self {
        Self {
            input: Channel::new(Source::Input(units)),
            output: Channel::new(Source::Output(outputs)),
            viewers: Arc::default(),
            first_key,
        }
    }

    /// Waits until a viewer of a stream can begin. The second result is the head of the stream's MP4.
    pub(super) async fn view(
        &self,
        which: Which,
        container: Container,
    ) -> Result<(Viewer, Option<Arc<Mp4Head>>), Refusal> {
        let place = self.take_place().ok_or(Refusal::Viewers)?;
        let stream = self.channel(which).stream();
        let seat = Arc::new(Seat::new());
        lock(&stream.fan).sit(container, &seat);
        let first = poll_fn(|cx| seat.poll_first(cx, Instant::now()));
        let head = timeout(self.first_key, first).await.map_err(|_| Refusal::NoVideo)?;
        Ok((Viewer { seat, _stream: stream, _place: place }, head))
    }

    /// The newest picture of a stream as JPEG. Requests at the same time get the same picture.
    pub(super) async fn snapshot(&self, which: Which) -> Result<Bytes, Refusal> {
        let asked = Instant::now();
        let channel = self.channel(which);
        let mut picture = channel.picture.lock().await;
        if let Some(picture) = picture.as_ref().filter(|picture| picture.made >= asked) {
            return Ok(picture.bytes.clone());
        }
        let group = timeout(self.first_key, channel.group()).await.map_err(|_| Refusal::NoVideo)?;
        let made = Instant::now();
        let bytes = snapshot(group).await.map_err(|error| Refusal::NoPicture(error.to_string()))?;
        *picture = Some(Picture { bytes: bytes.clone(), made });
        Ok(bytes)
    }

    fn channel(&self, which: Which) -> &Channel {
        match which {
            Which::Input => &self.input,
            Which::Output => &self.output,
        }
    }

    fn take_place(&self) -> Option<ViewerPlace> {
        let place = ViewerPlace(Arc::clone(&self.viewers));
        (self.viewers.fetch_add(1, Ordering::Relaxed) < VIEWERS).then_some(place)
    }
}

impl Channel {
    fn new(source: Source) -> Self {
        let (stream, picture, hold) =
            (Mutex::default(), tokio::sync::Mutex::default(), Mutex::default());
        Self { source, stream, picture, hold }
    }

    /// The stream; begins it if it has no user yet.
    fn stream(&self) -> Arc<WatchedStream> {
        let mut kept = lock(&self.stream);
        if let Some(stream) = kept.upgrade() {
            return stream;
        }
        let fan = Arc::<Mutex<Fan>>::default();
        let tap = match &self.source {
            Source::Input(units) => {
                let task = units
                    .watch()
                    .map(|watching| AbortOnDrop::spawn(feed(watching, Arc::clone(&fan))));
                Tap::Input { _task: task }
            }
            Source::Output(outputs) => {
                let sink = OutputSink { fan: Arc::clone(&fan), begins: false };
                Tap::Output { _attached: outputs.attach(Box::new(sink)) }
            }
        };
        let stream = Arc::new(WatchedStream { fan, _tap: tap });
        *kept = Arc::downgrade(&stream);
        stream
    }

    /// Waits for the newest pictures.
    async fn group(&self) -> Vec<SnapshotUnit> {
        let stream = self.stream();
        lock(&stream.fan).keep_group();
        let held = Arc::clone(&stream);
        let hold = AbortOnDrop::spawn(async move {
            sleep(SNAPSHOT_HOLD).await;
            drop(held);
        });
        // The new hold replaces, and so drops, the hold of an earlier snapshot.
        *lock(&self.hold) = Some(hold);
        loop {
            let group = lock(&stream.fan).group(Instant::now());
            match group {
                Some(group) => return group,
                None => sleep(PICTURE_WAIT).await,
            }
        }
    }
}

/// Passes the access units of the input on.
async fn feed(mut watching: Watching, fan: Arc<Mutex<Fan>>) {
    loop {
        let unit = watching.next().await;
        lock(&fan).take_unit(&unit, Instant::now());
    }
}

/// Passes the output on.
struct OutputSink {
    fan: Arc<Mutex<Fan>>,
    begins: bool,
}

impl SegmentSink for OutputSink {
    fn begin(&mut self, _seq: Seq, _content_type: &str) {
        self.begins = true;
    }

    fn bytes(&mut self, bytes: &Bytes) {
        let begins = std::mem::take(&mut self.begins);
        lock(&self.fan).take_packets(bytes, begins, Instant::now());
    }

    fn end(&mut self, _complete: bool) {}
}

impl Viewer {
    /// Waits for the next bytes.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Bytes> {
        self.seat.poll_next(cx, Instant::now())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A poisoned lock is safe to use: a panic cannot leave the data half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
