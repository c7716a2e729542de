//! Lets the encoder follow the link: readings of the way to the network in, bitrate and picture out.
//!
//! Does not: decide them; `rate::Controller` does.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use crate::media::Options;
use crate::media::io::Capture;
use crate::rate::{Controller, Picture, READING_EVERY, Reading};
use crate::status::Status;

/// The encoder's pace.
#[derive(Debug)]
pub(super) struct Pace {
    /// `None` where the bitrate is to stay as it is.
    controller: Option<Controller>,
    next: Instant,
    /// What was said last in the log.
    told: u32,
}

impl Pace {
    pub(super) fn new(options: &Options, now: Instant) -> Self {
        let bounds = options.bitrates.bounds(options.video.bitrate);
        let video = &options.video;
        let full = Picture { width: video.width, height: video.height, fps: video.fps };
        let controller = (bounds.least < bounds.most).then(|| Controller::new(bounds, full));
        Self { controller, next: now, told: bounds.start }
    }

    /// Starts over with other options.
    pub(super) fn restart(&mut self, options: &Options) {
        *self = Self::new(options, Instant::now());
    }

    /// What the transport may hold: more would hide from the readings what stands.
    pub(super) fn send_buffer(options: &Options) -> usize {
        options.bitrates.bounds(options.video.bitrate).send_buffer()
    }

    /// When a reading is due, while media flows.
    pub(super) fn poll_timeout(&self) -> Instant {
        self.next
    }

    /// Takes a reading, and sets the encoder of `capture` by it.
    pub(super) fn read(&mut self, status: &Status, capture: Option<&Capture>, now: Instant) {
        self.next = now + READING_EVERY;
        let Some(controller) = &mut self.controller else { return };
        let mut setting = None;
        for upload in status.publish.take_uploads() {
            setting = controller.on_upload(upload, now).or(setting);
        }
        let reading = Reading {
            queue_age: status.media.age(),
            unanswered: status.publish.unanswered(now),
            handed: status.publish.bytes.load(Relaxed),
        };
        setting = controller.on_reading(reading, now).or(setting);
        if setting.is_none() {
            return;
        }
        if let Some(capture) = capture {
            self.apply(capture);
        }
    }

    /// Sets the encoder of `capture`, which may be a new one.
    pub(super) fn apply(&mut self, capture: &Capture) {
        let Some(controller) = &self.controller else { return };
        let setting = controller.setting();
        let Picture { width, height, fps } = setting.picture;
        if !capture.set_bitrate(setting.bitrate) {
            // A camera's own H.264 has the bitrate that the camera gives it.
            self.controller = None;
            return;
        }
        capture.set_picture(width, height, fps);
        // Once for each halving or doubling; the rest is for those who look closely.
        let is_far = setting.bitrate > self.told * 3 / 2 || setting.bitrate < self.told * 2 / 3;
        if is_far {
            self.told = setting.bitrate;
            log::info!(
                "the bitrate follows the link: {} kbit/s, {width}x{height}, {fps} frames/s",
                setting.bitrate / 1000
            );
        }
    }
}
