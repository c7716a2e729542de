//! Gives the captured video to the store and to outputs, whether a job runs or not.
//!
//! Each output has a thread and a queue of its own, so that a slow one costs the others and the network nothing.
//!
//! Does not: open or close the outputs.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::AccessUnits;
use super::storing::Storing;
use crate::io::playback::Output;
use crate::store::Store;

impl AccessUnits {
    /// Stores access units in `store` from now on, with or without a reader; `None` ends storing.
    pub fn set_store(&self, store: Option<&Store>) {
        let mut state = self.0.lock();
        if state.storing.as_ref().and_then(Storing::store) == store {
            return;
        }
        let before = state.end_store();
        let Some(store) = store else {
            state.stored = before;
            return;
        };
        match Storing::start(store.clone(), before) {
            Ok(storing) => state.storing = Some(storing),
            Err(error) => log::warn!("input is not stored: {error}"),
        }
    }

    /// Ends storing, and waits until the store has written what it was given, for at most `limit`.
    pub async fn end_store(&self, limit: Duration) {
        let stored = self.0.lock().end_store();
        if let Some(stored) = stored
            && timeout(limit, stored).await.is_err()
        {
            log::warn!("the store's disk is too slow: the last of the input is not stored");
        }
    }

    /// Writes the access units to `outputs` from the next key frame on, in place of those of an earlier call. The caller
    /// limits their number.
    pub fn set_outputs(&self, outputs: &[Arc<Mutex<Output>>]) {
        let start = |output: &Arc<Mutex<Output>>| {
            let copy = Storing::copy(Arc::clone(output));
            copy.inspect_err(|error| log::warn!("input is not written: {error}")).ok()
        };
        self.0.lock().copies = outputs.iter().filter_map(start).collect();
    }

    /// Ends writing to outputs. Waits until they have what was queued, for at most `limit` in all.
    pub async fn end_outputs(&self, limit: Duration) {
        let copies = std::mem::take(&mut self.0.lock().copies);
        let until = Instant::now() + limit;
        let ends: Vec<_> = copies.into_iter().map(Storing::end).collect();
        for end in ends {
            // An output that does not take its rest loses it.
            let _ = timeout(until.saturating_duration_since(Instant::now()), end).await;
        }
    }
}
