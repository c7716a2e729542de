//! Passes access units, and pictures on their way into the encoder, to the decision about motion, and hands out the
//! events of the motion.
//!
//! A picture is read where it waits for the encoder: its brightness is reduced to a grid twice a second, on GStreamer's
//! thread, without a copy, a scaler or a further thread. Pictures in memory that this program cannot read (NVMM) are
//! left out: motion is then decided from access units alone.
//!
//! Does not: decide; [`Motion`] does.

use std::time::Instant;

use gstreamer as gst;
use gstreamer::prelude::*;
use heapless::Deque;

use super::{AccessUnits, SharedUnits};
use crate::motion::grid::{self, Grid};
use crate::motion::{Motion, MotionEvent, MotionOptions, PICTURE_EVERY};

/// Events that wait for the agent. Only a begin and an end, each with a motion that goes on, can come between two polls.
const MOTION_EVENTS: usize = 8;

/// The motion of one queue's video.
#[derive(Debug)]
pub(super) struct Moving {
    motion: Motion,
    events: Deque<MotionEvent, MOTION_EVENTS>,
}

impl AccessUnits {
    /// From now on looks for motion with these options; `None` ends that.
    pub fn set_motion(&self, options: Option<MotionOptions>) {
        let mut state = self.0.lock();
        match (&mut state.moving, options) {
            (Some(moving), Some(options)) => moving.motion.set_options(options),
            (moving, options) => {
                *moving = options
                    .map(|options| Moving { motion: Motion::new(options), events: Deque::new() });
            }
        }
    }

    /// Waits for the next event of the motion. Cancel safe. Never ready while motion is not looked for.
    pub async fn moved(&self) -> MotionEvent {
        loop {
            let moving = self.0.lock().moving.as_mut().and_then(|moving| moving.events.pop_front());
            match moving {
                Some(event) => return event,
                // Events that come before this wait leave a permit, so no notification is lost.
                None => self.0.moved.notified().await,
            }
        }
    }

    /// Keeps the newest access units, from a key frame on, so that the reader that a motion starts begins with what led to
    /// it. Call it while there is no reader.
    pub fn await_motion(&self) {
        self.0.lock().queue.keep_groups();
    }
}

impl SharedUnits {
    /// Takes a picture that enters the encoder `now`, if one is wanted. `number` is that of its capture.
    pub(super) fn on_picture(
        &self,
        pad: &gst::Pad,
        buffer: &gst::Buffer,
        number: u64,
        now: Instant,
    ) {
        let wants = |moving: &Moving| moving.motion.wants_picture(now);
        if !self.lock().moving.as_ref().is_some_and(wants) {
            return;
        }
        let Some(grid) = reduced(pad, buffer) else { return };
        let mut state = self.lock();
        let is_current = state.feed <= number;
        let moving = state.moving.as_mut().filter(|_| is_current);
        let event = moving.and_then(|moving| moving.motion.on_picture(&grid, now));
        drop(state);
        self.on_motion_event(event, now);
    }

    /// Passes on an event of the motion. What led to a motion is kept for the reader.
    pub(super) fn on_motion_event(&self, event: Option<MotionEvent>, now: Instant) {
        let Some(event) = event else { return };
        let mut state = self.lock();
        if let MotionEvent::Began(since) = event {
            // The motion began after the picture before the first picture that shows it.
            state.queue.keep_since(since.checked_sub(PICTURE_EVERY).unwrap_or(since), now);
        }
        if let Some(Moving { events: waiting, .. }) = &mut state.moving {
            let goes_on = |event: &MotionEvent| matches!(event, MotionEvent::GoesOn(_));
            if waiting.back().is_some_and(goes_on) && goes_on(&event) {
                waiting.pop_back();
            }
            if waiting.push_back(event).is_err() {
                log::debug!("nobody takes the events of motion: {event:?} is dropped");
            }
        }
        drop(state);
        self.moved.notify_one();
    }
}

impl Moving {
    /// Takes an access unit that came out of the encoder or the camera `now`.
    pub(super) fn on_unit(
        &mut self,
        buffer: &gst::Buffer,
        is_key: bool,
        now: Instant,
    ) -> Option<MotionEvent> {
        let map = buffer.map_readable().ok()?;
        self.motion.on_access_unit(&map, is_key, now)
    }
}

/// The grid of a raw picture; `None` if its memory or its format cannot be read. The stride is that of GStreamer's
/// default layout. A driver's layout may have another one: then the grid is slanted, and shows motion all the same.
fn reduced(pad: &gst::Pad, buffer: &gst::Buffer) -> Option<Grid> {
    let caps = pad.current_caps()?;
    if !caps.features(0)?.contains("memory:SystemMemory") {
        return None;
    }
    let video = caps.structure(0)?;
    let side = |name| usize::try_from(video.get::<i32>(name).ok()?).ok();
    let (width, height) = (side("width")?, side("height")?);
    let width = match video.get::<&str>("format").ok()? {
        "I420" | "YV12" | "NV12" | "NV21" | "GRAY8" => width,
        // Brightness and colour alternate.
        "YUY2" | "UYVY" => width * 2,
        _ => return None,
    };
    grid::reduce(&buffer.map_readable().ok()?, (width, height), width.next_multiple_of(4))
}
