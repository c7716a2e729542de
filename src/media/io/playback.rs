//! Writes returned video to the output that the user configured, on a thread of its own, and continues after each
//! failure.
//!
//! A disk or a pipe that stalls never delays the network: when the queue is full, video is dropped up to the next
//! segment, and counted. After a failure video is dropped too, until a later segment, with which the output is opened
//! again.
//!
//! Does not: decode or show video; a player reads the transport stream. When to open again is decided in
//! [`output`](crate::output).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use super::target::{Fit, Opened};
use crate::MediaError;
use crate::condition::{Condition, OutputState};
use crate::limits::OUTPUT_CHUNKS;
use crate::output::{Lifecycle, Step, WholePackets};
use crate::target::Target;
use resilience::log_throttle::{LogLine, ThrottledLog};

/// An output that is being written.
#[derive(Debug)]
pub struct Output {
    name: String,
    kind: &'static str,
    queue: SyncSender<Chunk>,
    /// The thread's result: the failure, if the output is not being written at the end.
    ended: oneshot::Receiver<Option<MediaError>>,
    skips: bool,
    slow: ThrottledLog,
    shared: Owner,
}

#[derive(Debug)]
struct Chunk {
    bytes: Bytes,
    /// Whether a segment begins with these bytes.
    begins: bool,
}

/// The state that the thread and its owner share.
#[derive(Debug)]
struct PlaybackState {
    written: AtomicU64,
    dropped: AtomicU64,
    is_left: AtomicBool,
    /// Whether to open the output again with the next segment.
    reopens: AtomicBool,
    condition: Mutex<Condition>,
    /// Notified when the condition changes.
    changed: OnceLock<Arc<Notify>>,
}

impl PlaybackState {
    fn condition(&self) -> MutexGuard<'_, Condition> {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what has happened to the output.
    fn note(&self, note: impl FnOnce(&mut Condition) -> bool) {
        let has_changed = note(&mut self.condition());
        if let Some(changed) = self.changed.get().filter(|_| has_changed) {
            changed.notify_one();
        }
    }
}

/// The owner's reference. Dropping it lets the thread end even while it waits for room in a pipe.
#[derive(Debug)]
struct Owner(Arc<PlaybackState>);

impl Owner {
    fn new() -> Self {
        Self(Arc::new(PlaybackState {
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            is_left: AtomicBool::new(false),
            reopens: AtomicBool::new(false),
            condition: Mutex::new(Condition::new(Instant::now())),
            changed: OnceLock::new(),
        }))
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.is_left.store(true, Ordering::Relaxed);
    }
}

impl Output {
    /// Opens the output and starts its thread. If the output cannot be opened, and `ends` is true for the error,
    /// returns the error; otherwise logs it and opens the output later. A pipe without a reader is opened once it has
    /// one.
    ///
    /// `name` is its name in the log and in [`Output::state`]; it must hold no secret. Only a file and standard output
    /// are opened here. Opening the others may block, so their thread opens them with the first segment.
    pub fn open(
        name: &str,
        target: Target,
        ends: impl Fn(&MediaError) -> bool,
    ) -> Result<Self, MediaError> {
        let (shared, kind) = (Owner::new(), target.kind());
        let mut writer = Writer {
            name: name.to_owned(),
            target,
            opened: None,
            failing: None,
            life: Lifecycle::new(),
            packets: WholePackets::default(),
            proof: Proof::default(),
            shared: Arc::clone(&shared.0),
        };
        if let Target::File(_) | Target::Stdout = writer.target {
            match writer.target.open(name) {
                Ok(opened) => writer.on_opened(opened),
                Err(error) if !error.is_no_reader() && ends(&error) => return Err(error),
                Err(error) => writer.on_failure(error),
            }
        }
        let name = writer.name.clone();
        let (queue, chunks) = mpsc::sync_channel(OUTPUT_CHUNKS);
        let (report, ended) = oneshot::channel();
        let work = move || drop(report.send(writer.run(&chunks)));
        thread::Builder::new()
            .name("output".into())
            .spawn(work)
            .map_err(|_| MediaError::Thread("output".into()))?;
        let slow = ThrottledLog::new(module_path!(), format!("{name} takes all video again"));
        let slow = slow.without_reminders();
        Ok(Self { name, kind, queue, ended, skips: false, slow, shared })
    }

    /// Queues the next bytes; set `begins` if a segment begins with them. Drops them if the queue is full. Never
    /// blocks.
    pub fn push(&mut self, bytes: Bytes, begins: bool) {
        self.skips &= !begins;
        let count = bytes.len() as u64;
        if !self.skips {
            match self.queue.try_send(Chunk { bytes, begins }) {
                Ok(()) if begins => return self.on_kept_up(),
                Ok(()) => return,
                Err(TrySendError::Full(_)) => self.on_slow(),
                Err(TrySendError::Disconnected(_)) => {}
            }
            self.skips = true;
        }
        self.shared.0.dropped.fetch_add(count, Ordering::Relaxed);
    }

    /// Bytes that were not written because of a failure or a full queue.
    pub fn dropped(&self) -> u64 {
        self.shared.0.dropped.load(Ordering::Relaxed)
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.shared.0.written.load(Ordering::Relaxed)
    }

    /// The state for reports.
    pub fn state(&self) -> OutputState {
        let (health, since, why) = self.shared.0.condition().view(Instant::now());
        let (bytes, drops) = (self.written(), self.dropped());
        OutputState { name: self.name.clone(), kind: self.kind, health, since, why, bytes, drops }
    }

    /// Notifies `changed` now, and whenever the health in [`Output::state`] changes other than by time. Only the first
    /// call counts.
    pub fn notify(&self, changed: &Arc<Notify>) {
        let _ = self.shared.0.changed.set(Arc::clone(changed));
        changed.notify_one();
    }

    /// Begins the next of numbered files with the next segment. Other outputs stay as they are.
    pub fn reopen(&self) {
        self.shared.0.reopens.store(true, Ordering::Relaxed);
    }

    /// Ends the output: waits until the queued bytes are written, for at most `limit`. Returns the failure if the
    /// output is not being written at the end; a pipe without a reader is not a failure.
    pub async fn close(self, limit: Duration) -> Result<(), MediaError> {
        let Self { name, queue, ended, .. } = self;
        drop(queue);
        match tokio::time::timeout(limit, ended).await {
            Ok(Ok(Some(error))) => Err(error),
            Ok(Ok(None) | Err(_)) => Ok(()),
            Err(_) => {
                log::warn!("{name}: the rest of the returned video is not taken within {limit:?}");
                Ok(())
            }
        }
    }

    fn on_slow(&mut self) {
        let what =
            format!("{} is too slow: returned video is dropped to the next segment", self.name);
        self.slow.on_failure(&what, Instant::now());
    }

    fn on_kept_up(&mut self) {
        self.slow.on_success(Instant::now());
    }
}

/// The state of the thread.
struct Writer {
    name: String,
    target: Target,
    opened: Option<Opened>,
    /// The last failure, until the output is opened again.
    failing: Option<MediaError>,
    life: Lifecycle,
    packets: WholePackets,
    proof: Proof,
    shared: Arc<PlaybackState>,
}

/// Bytes given to a pipeline. They count as written once the pipeline has taken a whole segment: the first bytes only
/// fill its queues, for example while it connects.
#[derive(Debug, Default)]
struct Proof {
    pushed: u64,
    /// The bytes that were given when the second segment began.
    needed: Option<u64>,
    /// The bytes that were counted as written.
    counted: u64,
}

impl Writer {
    fn run(mut self, chunks: &Receiver<Chunk>) -> Option<MediaError> {
        for Chunk { bytes, begins } in chunks {
            let (count, before) = (bytes.len() as u64, self.shared.written.load(Ordering::Relaxed));
            if let Err(error) = self.take(bytes, begins) {
                self.on_failure(error);
            }
            // Bytes for a pipe without a reader do not count as dropped, because nothing would have read them.
            if self.failing.as_ref().is_some_and(|error| !error.is_no_reader()) {
                let written = self.shared.written.load(Ordering::Relaxed) - before;
                self.shared.dropped.fetch_add(count.saturating_sub(written), Ordering::Relaxed);
            }
        }
        if let Some(opened) = &self.opened {
            opened.finish();
        }
        self.failing.filter(|error| !error.is_no_reader())
    }

    fn take(&mut self, bytes: Bytes, begins: bool) -> Result<(), MediaError> {
        let now = Instant::now();
        if begins {
            self.on_segment(now);
        }
        match self.life.on_bytes(begins, now) {
            Step::Drop => return Ok(()),
            Step::Open => {
                let opened = self.target.open(&self.name)?;
                self.on_opened(opened);
            }
            Step::Write => {}
        }
        let Some(opened) = &mut self.opened else { return Ok(()) };
        for part in self.packets.take(bytes, begins) {
            opened.write(&part, || self.shared.is_left.load(Ordering::Relaxed))?;
            let count = part.len() as u64;
            let written = match opened.taken() {
                None => count,
                Some(taken) => self.proof.on_pushed(count, taken),
            };
            if written > 0 {
                self.shared.written.fetch_add(written, Ordering::Relaxed);
                self.shared.note(|condition| condition.on_written(now));
            }
        }
        Ok(())
    }

    fn on_segment(&mut self, now: Instant) {
        if let Some(line) = self.life.on_segment(now) {
            log::log!(line.level(), "{} is written again: {line}", self.name);
        }
        self.proof.on_segment();
        let Some(opened) = &self.opened else { return };
        // A file is opened again if its path leads to another file. A pipe stays open, because it must not lose its
        // reader.
        let is_numbered = matches!(self.target, Target::Numbered(_));
        let fit = match self.shared.reopens.swap(false, Ordering::Relaxed) && is_numbered {
            true => Fit::Full,
            false => opened.fit(now),
        };
        match fit {
            Fit::Current => return,
            Fit::Moved => log::info!("{} was moved or removed: it is opened again", self.name),
            Fit::Full => log::debug!("{}: it is opened again", self.name),
        }
        opened.finish();
        self.opened = None;
        self.life.on_moved();
    }

    fn on_opened(&mut self, opened: Opened) {
        self.opened = Some(opened);
        self.proof = Proof::default();
        self.failing = None;
        self.life.on_opened();
    }

    fn on_failure(&mut self, error: MediaError) {
        self.opened = None;
        let now = Instant::now();
        match error.is_no_reader() {
            true => self.shared.note(|condition| condition.on_no_reader(error.to_string(), now)),
            false => self.shared.note(|condition| condition.on_failure(error.to_string(), now)),
        }
        let (level, line) = match error.is_no_reader() {
            true => {
                let what = format!("{error}: returned video is dropped until it has one");
                (log::Level::Info, self.life.on_no_reader(&what, now))
            }
            // Without jitter, as each device has its own disk.
            false => {
                let what = format!("{error}; returned video is dropped meanwhile");
                (log::Level::Warn, self.life.on_failure(&what, now, 1.0))
            }
        };
        match line {
            Some(line @ LogLine::First { .. }) => log::log!(level, "{line}"),
            // The failure was logged already, and its end will be logged.
            Some(_) | None => log::debug!("{error}"),
        }
        self.failing = Some(error);
    }
}

impl Proof {
    /// Call when a segment begins.
    fn on_segment(&mut self) {
        if self.pushed > 0 {
            self.needed.get_or_insert(self.pushed);
        }
    }

    /// Call when `count` bytes were given to a pipeline that has taken `taken` bytes so far. Returns the bytes that
    /// count as written from now on.
    fn on_pushed(&mut self, count: u64, taken: u64) -> u64 {
        self.pushed += count;
        if self.needed.is_none_or(|needed| taken < needed) {
            return 0;
        }
        let written = taken.saturating_sub(self.counted);
        self.counted = taken;
        written
    }
}
