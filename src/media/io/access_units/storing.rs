//! The bounded queue from GStreamer's thread to the thread of the store, or of an output of the input, which cuts the
//! access units into segments.
//!
//! Once the queue was full, it takes no access units until the next key frame. Those that are lost are counted, and the
//! store's thread logs them, as GStreamer's thread must not wait for the log. A loss ends the current segment, which is
//! kept.
//!
//! Does not: write to the disk; `store` does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::unit::Unit;
use crate::io::playback::Output;
use crate::io::store::Directory;
use crate::limits::{ACCESS_UNIT_BYTES, ACCESS_UNITS};
use crate::segmenter::{Placement, Segmenter};
use crate::store::Store;
use crate::{AudioCodec, MediaError};
use mpegts::{Muxer, Ticks};
use resilience::log_throttle::LogThrottle;

/// The queue to a store's thread.
#[derive(Debug)]
pub(super) struct Storing {
    /// The settings, if it is the store.
    store: Option<Store>,
    queue: SyncSender<StoreInput>,
    /// Bytes in the queue.
    waiting: Arc<AtomicUsize>,
    /// Access units lost since the queue took one.
    lost: u64,
    /// Closed when the thread has ended.
    ended: oneshot::Receiver<()>,
}

#[derive(Debug)]
enum StoreInput {
    Unit(Taken),
    /// No access unit follows for a while, so the current segment is complete.
    Pause,
}

/// An access unit, with the audio encoding and the length for a segment that it may begin.
#[derive(Debug)]
struct Taken {
    unit: Unit,
    codec: Option<AudioCodec>,
    segment: Duration,
    /// Access units lost just before this one.
    lost: u64,
}

impl Storing {
    /// Starts the thread of `store`, which begins when the store `before` it has [ended](Self::end).
    pub(super) fn start(
        store: Store,
        before: Option<oneshot::Receiver<()>>,
    ) -> Result<Self, MediaError> {
        let directory = Directory::new(store.clone());
        Self::launch(Some(store), Written::Store(Box::new(directory)), before)
    }

    /// Starts a thread that gives the segments to `output`.
    pub(super) fn copy(output: Arc<Mutex<Output>>) -> Result<Self, MediaError> {
        Self::launch(None, Written::Output { output, begins: false }, None)
    }

    fn launch(
        store: Option<Store>,
        written: Written,
        before: Option<oneshot::Receiver<()>>,
    ) -> Result<Self, MediaError> {
        let name = if store.is_some() { "store" } else { "input" };
        let (queue, messages) = mpsc::sync_channel(ACCESS_UNITS);
        let (ending, ended) = oneshot::channel::<()>();
        let waiting = Arc::new(AtomicUsize::new(0));
        let mut thread = Thread {
            waiting: Arc::clone(&waiting),
            segmenter: Segmenter::new(Duration::ZERO),
            muxer: Muxer::new(),
            written,
            loss: LogThrottle::new(),
        };
        let work = move || {
            if let Some(before) = before {
                let _ = before.blocking_recv();
            }
            thread.run(&messages);
            drop(ending);
        };
        thread::Builder::new()
            .name(name.into())
            .spawn(work)
            .map_err(|_| MediaError::Thread(name.into()))?;
        Ok(Self { store, queue, waiting, lost: 0, ended })
    }

    /// The settings of the store.
    pub(super) fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// Adds the next access unit to the queue, or counts it as lost. Never waits.
    pub(super) fn push(&mut self, unit: &Unit, codec: Option<AudioCodec>, segment: Duration) {
        let bytes = unit.bytes();
        let has_room = self.waiting.load(Ordering::Relaxed) + bytes <= ACCESS_UNIT_BYTES;
        if has_room && (self.lost == 0 || unit.is_key) {
            let taken = Taken { unit: unit.clone(), codec, segment, lost: self.lost };
            self.waiting.fetch_add(bytes, Ordering::Relaxed);
            if self.queue.try_send(StoreInput::Unit(taken)).is_ok() {
                self.lost = 0;
                return;
            }
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        }
        self.lost += 1;
    }

    /// Call this when no access unit follows for a while, to complete the current segment. If the queue is full, the
    /// beginning of the next segment completes it.
    pub(super) fn pause(&self) {
        let _ = self.queue.try_send(StoreInput::Pause);
    }

    /// Lets the thread write what is queued and end. The receiver is closed when the thread has ended.
    pub(super) fn end(self) -> oneshot::Receiver<()> {
        self.ended
    }
}

/// The state of the store's thread.
struct Thread {
    waiting: Arc<AtomicUsize>,
    segmenter: Segmenter,
    muxer: Muxer,
    written: Written,
    loss: LogThrottle,
}

/// Where the segments go.
enum Written {
    Store(Box<Directory>),
    Output {
        output: Arc<Mutex<Output>>,
        /// The next bytes are the first ones of a segment.
        begins: bool,
    },
}

impl Written {
    fn begin(&mut self, at: Ticks) {
        match self {
            Self::Store(directory) => directory.begin(at),
            Self::Output { begins, .. } => *begins = true,
        }
    }

    fn is_writing(&self) -> bool {
        match self {
            Self::Store(directory) => directory.is_writing(),
            Self::Output { .. } => true,
        }
    }

    fn write(&mut self, bytes: Bytes, at: Ticks) {
        match self {
            Self::Store(directory) => directory.write(&bytes, at),
            Self::Output { output, begins } => {
                let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
                output.push(bytes, std::mem::take(begins));
            }
        }
    }

    fn finish(&mut self) {
        match self {
            Self::Store(directory) => directory.finish(),
            Self::Output { .. } => {}
        }
    }

    /// The log text for access units that the queue did not take.
    fn loss(&self, lost: u64) -> String {
        match self {
            Self::Store(_) => {
                format!("the store's disk is too slow: {lost} access units are not stored")
            }
            Self::Output { .. } => {
                format!("this device is too slow: {lost} access units of the input are not written")
            }
        }
    }
}

impl Thread {
    fn run(&mut self, messages: &Receiver<StoreInput>) {
        for message in messages {
            match message {
                StoreInput::Unit(taken) => {
                    self.waiting.fetch_sub(taken.unit.bytes(), Ordering::Relaxed);
                    self.take(&taken);
                }
                StoreInput::Pause if self.segmenter.on_pause() => self.written.finish(),
                StoreInput::Pause => {}
            }
        }
        self.written.finish();
    }

    fn take(&mut self, taken: &Taken) {
        let Taken { unit, codec, segment, lost } = taken;
        if *lost > 0 {
            self.segmenter.on_loss();
            let what = self.written.loss(*lost);
            let now = Instant::now();
            if let Some(line) = self.loss.on_failure(&what, now) {
                log::warn!("{line}");
            }
            // The queue takes access units again, so the failure is over.
            let _ = self.loss.on_success(now);
        }
        self.segmenter.set_target(*segment);
        let at = unit.times.dts;
        let begins = match self.segmenter.place(unit.is_key, at) {
            Placement::Begin => true,
            Placement::Continue => false,
            Placement::Discard => return,
        };
        if begins {
            self.muxer.set_audio(*codec);
            self.written.begin(at);
        }
        if self.written.is_writing() {
            match unit.mux(&mut self.muxer, begins) {
                Some(bytes) => self.written.write(bytes, at),
                None => self.segmenter.on_loss(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use gstreamer as gst;

    use super::*;
    use crate::store::Stored;
    use crate::timeline::Times;

    /// The `n`th of ten pictures a second, the first of which is a key frame.
    fn unit(n: u64, bytes: usize) -> Unit {
        let at = Ticks::from_duration(Duration::from_millis(1000 + 100 * n));
        Unit {
            buffer: gst::Buffer::from_slice(vec![1; bytes]),
            times: Times { pts: at, dts: at },
            is_key: n.is_multiple_of(10),
            audio: Vec::new(),
        }
    }

    #[test]
    fn a_full_queue_takes_nothing_before_the_next_key() {
        gst::init().unwrap();
        let directory = std::env::temp_dir().join(format!("storing-{}", std::process::id()));
        let keep = Duration::from_secs(60);
        let store = Store { directory: directory.clone(), keep, bytes: u64::MAX };
        let (before, held) = oneshot::channel();
        let mut storing = Storing::start(store, Some(held)).unwrap();
        let push = |storing: &mut Storing, n, bytes| {
            storing.push(&unit(n, bytes), None, Duration::from_secs(1));
            storing.lost
        };
        // The thread waits for the one before it.
        let room = ACCESS_UNITS as u64;
        assert_eq!((0..room).map(|n| push(&mut storing, n, 10)).max(), Some(0));
        assert_eq!(push(&mut storing, room, 10), 1);
        drop(before);
        while storing.waiting.load(Ordering::Relaxed) > 0 {
            thread::yield_now();
        }
        assert_eq!(push(&mut storing, 109, 10), 2, "no key");
        assert_eq!(push(&mut storing, 110, ACCESS_UNIT_BYTES + 1), 3, "more than all may have");
        assert_eq!(push(&mut storing, 120, 10), 0);
        assert_eq!(push(&mut storing, 121, 10), 0);
        storing.pause();
        storing.end().blocking_recv().unwrap_err();
        let mut files: Vec<Stored> = fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .map(|name| Stored::read(&name, 0).unwrap())
            .collect();
        files.sort_unstable_by_key(|file| file.number);
        let lengths: Vec<u64> = files.iter().map(|file| file.length).collect();
        assert_eq!(lengths, [[1000; 9].as_slice(), &[600, 200]].concat());
        fs::remove_dir_all(directory).unwrap();
    }
}
