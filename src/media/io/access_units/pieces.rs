//! The reader of access units: takes them from the queue and returns them as pieces of segments.
//!
//! Does not: wait for the network; the caller does.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::AccessUnits;
use super::unit::Unit;
use crate::segmenter::{Placement, Segmenter};
use crate::{TsPiece, TsPiecePlace};
use mpegts::Muxer;

/// Access units as pieces of segments.
#[derive(Debug)]
pub struct SegmentPieces {
    units: AccessUnits,
    segmenter: Segmenter,
    muxer: Muxer,
}

impl SegmentPieces {
    pub(super) fn new(units: AccessUnits) -> Self {
        let segmenter = Segmenter::new(units.0.lock().segment);
        Self { units, segmenter, muxer: Muxer::new() }
    }

    /// Waits for the next piece; `None` when no more will come. Cancel safe: a dropped future loses nothing.
    pub async fn next(&mut self) -> Option<TsPiece> {
        let shared = Arc::clone(&self.units.0);
        loop {
            let (popped, is_closed, has_paused, wants_key) = {
                let mut state = shared.lock();
                self.segmenter.set_target(state.segment);
                let popped = state.queue.pop(Instant::now());
                let has_paused = popped.is_none() && std::mem::take(&mut state.has_paused);
                (popped, state.is_closed, has_paused, state.queue.take_key_request())
            };
            if wants_key {
                self.segmenter.on_loss();
                self.units.request_key();
            }
            match popped {
                Some(popped) => {
                    if popped.after_loss {
                        self.segmenter.on_loss();
                    }
                    if let Some(piece) = self.pack(&popped.item) {
                        return Some(piece);
                    }
                }
                None if is_closed => return None,
                None if has_paused && self.segmenter.on_pause() => {
                    return Some(TsPiece { place: TsPiecePlace::End, bytes: Bytes::new() });
                }
                // An access unit that arrives before this wait leaves a permit, so no notification is lost.
                None => shared.arrived.notified().await,
            }
        }
    }

    /// Call this when a part of the current segment was lost: the next piece begins a segment, and the camera or
    /// the encoder is asked for a key frame.
    pub fn resync(&mut self) {
        self.segmenter.on_loss();
        let wants_key = {
            let mut state = self.units.0.lock();
            state.queue.resync();
            state.queue.take_key_request()
        };
        if wants_key {
            self.units.request_key();
        }
    }

    /// Makes a piece of an access unit. Must not wait, so that `next` stays cancel safe: a unit taken from the queue
    /// has to be returned in the same poll.
    fn pack(&mut self, unit: &Unit) -> Option<TsPiece> {
        let place = match self.segmenter.place(unit.is_key, unit.times.dts) {
            Placement::Begin => TsPiecePlace::Begin,
            Placement::Continue => TsPiecePlace::Continue,
            Placement::Discard => return None,
        };
        let begins = place == TsPiecePlace::Begin;
        let shared = &self.units.0;
        if begins {
            self.muxer.set_audio(shared.lock().heard.codec());
        }
        let Some(bytes) = unit.mux(&mut self.muxer, begins) else {
            self.segmenter.on_loss();
            return None;
        };
        let now = Instant::now();
        if begins {
            shared.segments.add(1, now);
        }
        shared.bytes.add(bytes.len() as u64, now);
        Some(TsPiece { place, bytes })
    }
}
