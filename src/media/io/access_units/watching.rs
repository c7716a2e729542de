//! A further reader of the access units, for viewers: bounded, and without effect on the reader that sends them.
//!
//! A reader that is too slow continues at the newest key frame, as the queue to the network does. Without a reader,
//! nothing is kept and nothing is done.
//!
//! Does not: mux; the viewer does with [`WatchedUnit::mux`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use heapless::Vec;
use tokio::sync::Notify;

use super::AccessUnits;
use super::unit::Unit;
use crate::AudioCodec;
use crate::limits::{ACCESS_UNIT_BYTES, ACCESS_UNITS, WATCHERS};
use crate::queue::{MAX_LATENCY, Queue};
use mpegts::{AccessUnit, Muxer};

/// The readers of one queue of access units.
#[derive(Debug, Default)]
pub(super) struct Watchers(Vec<Arc<Watched>, WATCHERS>);

/// What GStreamer's thread and one reader share.
#[derive(Debug)]
struct Watched {
    queue: Mutex<Queue<WatchedUnit, ACCESS_UNITS>>,
    arrived: Notify,
}

/// A reader of access units from the next key frame on. Dropping it ends it.
#[derive(Debug)]
pub struct Watching {
    units: AccessUnits,
    watched: Arc<Watched>,
}

/// One access unit, with its audio.
#[derive(Debug, Clone)]
pub struct WatchedUnit {
    unit: Unit,
    codec: Option<AudioCodec>,
}

impl Watchers {
    /// Adds a reader; `None` if there are [`WATCHERS`] already.
    fn add(&mut self) -> Option<Arc<Watched>> {
        let mut queue = Queue::new(ACCESS_UNIT_BYTES, MAX_LATENCY);
        queue.restart();
        let watched = Arc::new(Watched { queue: Mutex::new(queue), arrived: Notify::new() });
        self.0.push(Arc::clone(&watched)).ok()?;
        Some(watched)
    }

    /// Queues an access unit for all readers. Never waits.
    pub(super) fn push(&self, unit: &Unit, codec: Option<AudioCodec>, now: Instant) {
        for watched in &self.0 {
            let item = WatchedUnit { unit: unit.clone(), codec };
            let mut queue = watched.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.push(item, unit.is_key, unit.bytes(), now);
            drop(queue);
            watched.arrived.notify_one();
        }
    }
}

impl AccessUnits {
    /// A further reader of the access units; `None` if there are [`WATCHERS`] already. It gets them from the next key
    /// frame on, whether a job runs or not, as long as the camera plays.
    pub fn watch(&self) -> Option<Watching> {
        let watched = self.0.lock().watchers.add()?;
        Some(Watching { units: self.clone(), watched })
    }
}

impl Watching {
    /// Waits for the next access unit. Cancel safe.
    pub async fn next(&mut self) -> WatchedUnit {
        loop {
            let popped = {
                let queue = self.watched.queue.lock();
                queue.unwrap_or_else(PoisonError::into_inner).pop(Instant::now())
            };
            match popped {
                Some(popped) => return popped.item,
                // An access unit that arrives before this wait leaves a permit, so no notification is lost.
                None => self.watched.arrived.notified().await,
            }
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut state = self.units.0.lock();
        state.watchers.0.retain(|watched| !Arc::ptr_eq(watched, &self.watched));
    }
}

impl WatchedUnit {
    /// Whether decoding can begin here.
    pub fn is_key(&self) -> bool {
        self.unit.is_key
    }

    /// The access unit as a transport stream, with its audio; tables come before a key frame. `None` if the buffer's
    /// memory cannot be read.
    pub fn mux(&self, muxer: &mut Muxer) -> Option<Bytes> {
        if self.unit.is_key {
            muxer.set_audio(self.codec);
        }
        self.unit.mux(muxer, self.unit.is_key)
    }

    /// Passes the access unit to `read`. `None` if the buffer's memory cannot be read.
    pub fn read<T>(&self, read: impl FnOnce(&AccessUnit<'_>) -> T) -> Option<T> {
        let map = self.unit.buffer.map_readable().ok()?;
        let (times, is_key) = (self.unit.times, self.unit.is_key);
        Some(read(&AccessUnit { bytes: &map, pts: times.pts, dts: times.dts, is_key }))
    }
}

#[cfg(test)]
mod tests {
    use gstreamer as gst;

    use super::*;
    use crate::timeline::Times;
    use mpegts::Ticks;

    fn unit(n: u64, is_key: bool) -> Unit {
        let at = Ticks::new(3000 * n);
        let buffer = gst::Buffer::from_slice(vec![1; 100]);
        Unit { buffer, times: Times { pts: at, dts: at }, is_key, audio: std::vec::Vec::new() }
    }

    fn push(units: &AccessUnits, n: u64, is_key: bool) {
        units.0.lock().watchers.push(&unit(n, is_key), None, Instant::now());
    }

    async fn next(watching: &mut Watching) -> u64 {
        watching.next().await.unit.times.dts.value() / 3000
    }

    #[tokio::test]
    async fn a_reader_begins_at_the_next_key_frame() {
        gst::init().unwrap();
        let units = AccessUnits::new();
        let mut watching = units.watch().unwrap();
        push(&units, 0, false);
        push(&units, 1, true);
        push(&units, 2, false);
        assert_eq!((next(&mut watching).await, next(&mut watching).await), (1, 2));
    }

    #[tokio::test]
    async fn a_slow_reader_continues_at_the_newest_key_frame() {
        gst::init().unwrap();
        let units = AccessUnits::new();
        let mut watching = units.watch().unwrap();
        for n in 0..=ACCESS_UNITS as u64 {
            push(&units, n, n % 10 == 0);
        }
        assert_eq!(next(&mut watching).await, 90);
    }

    #[test]
    fn readers_are_few_and_leave_nothing_behind() {
        gst::init().unwrap();
        let units = AccessUnits::new();
        let all: std::vec::Vec<_> = (0..WATCHERS).map(|_| units.watch().unwrap()).collect();
        assert!(units.watch().is_none());
        drop(all);
        assert!(units.0.lock().watchers.0.is_empty());
        assert!(units.watch().is_some());
    }
}
