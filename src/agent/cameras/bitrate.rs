//! Adapts the encoder to the capacity of the network: readings of the transport in, bitrate and picture out.
//!
//! Does not: decide bitrate or picture; `rate::Controller` does.

use std::time::Instant;

use crate::agent::cameras::Cameras;
use livepeer_gateway::trickle::io::PublisherCounters;
use media::Options;
use media::io::{AccessUnits, Capture};
use media::rate::{Controller, Picture, READING_EVERY, Reading};

/// The encoder's bitrate, and its picture.
#[derive(Debug)]
pub(super) struct Bitrate {
    /// `None` if the bitrate is fixed.
    controller: Option<Controller>,
    next: Instant,
    /// The last setting could not be applied: the encoder was not known yet.
    is_due: bool,
    /// The bitrate logged last.
    logged: u32,
    limit: Option<u32>,
}

impl Bitrate {
    pub(super) fn new(options: &Options, now: Instant) -> Self {
        let bounds = options.bitrates.bounds(options.video.bitrate);
        let video = &options.video;
        let full = Picture { width: video.width, height: video.height, fps: video.fps };
        let controller = (bounds.min < bounds.max).then(|| Controller::new(bounds, full));
        Self { controller, next: now, is_due: false, logged: bounds.start, limit: None }
    }

    /// Limits the bitrate; `None` for no limit.
    pub(super) fn set_limit(&mut self, limit: Option<u32>) {
        self.limit = limit;
        if let Some(controller) = &mut self.controller {
            controller.set_limit(limit);
        }
    }

    /// Call it when another publication begins.
    pub(super) fn on_new_publication(&mut self) {
        if let Some(controller) = &mut self.controller {
            controller.on_new_publication();
        }
    }

    /// The same limit for other options.
    pub(super) fn limited_as(mut self, before: &Self) -> Self {
        self.set_limit(before.limit);
        self
    }

    /// The size for the send buffer: a larger one would hide a standing queue from the readings.
    pub(super) fn send_buffer(options: &Options) -> usize {
        options.bitrates.bounds(options.video.bitrate).send_buffer()
    }

    /// When a reading is due, while media flows.
    pub(super) fn poll_timeout(&self) -> Instant {
        self.next
    }

    /// Takes a reading, and applies the setting that follows from it to `capture`.
    pub(super) fn read(
        &mut self,
        units: &AccessUnits,
        publishing: &PublisherCounters,
        capture: Option<&Capture>,
        now: Instant,
    ) {
        self.next = now + READING_EVERY;
        let Some(controller) = &mut self.controller else { return };
        let flow = publishing.flow();
        let reading = Reading {
            queue_age: units.age(),
            // If the kernel does not report it: the bytes that the transport accepted.
            acknowledged: flow.map_or_else(|| publishing.bytes.count(), |f| f.acknowledged),
            unsent: flow.map_or(0, |flow| flow.unsent),
            round_trip: flow.map(|flow| flow.round_trip),
        };
        let is_new = controller.on_reading(reading, now).is_some() || self.is_due;
        if let Some(capture) = capture.filter(|_| is_new) {
            self.apply(capture);
        }
    }

    /// Applies the present setting to `capture`. Call it when the camera was opened again.
    pub(super) fn apply(&mut self, capture: &Capture) {
        let Some(controller) = &self.controller else { return };
        let setting = controller.setting();
        let Picture { width, height, fps } = setting.picture;
        if !capture.encodes() {
            // The camera encodes: its bitrate cannot be set.
            self.controller = None;
            return;
        }
        self.is_due = !capture.set_bitrate(setting.bitrate);
        if self.is_due {
            return;
        }
        capture.set_picture(width, height, fps);
        // Only large changes are logged.
        let is_far = setting.bitrate > self.logged * 3 / 2 || setting.bitrate < self.logged * 2 / 3;
        if is_far {
            self.logged = setting.bitrate;
            log::info!(
                "the bitrate follows the link: {} kbit/s, {width}x{height}, {fps} frames/s",
                setting.bitrate / 1000
            );
        }
    }
}

impl Cameras {
    /// Limits the encoder's bitrate where it can be set; `None` for no limit.
    pub(in crate::agent) fn set_bitrate_limit(&mut self, limit: Option<u32>) {
        self.bitrate.set_limit(limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::Source;

    /// Applies a setting to a pipeline before and after its first frame, and checks whether the bitrate is adapted from
    /// then on.
    #[track_caller]
    fn check(fragment: &str, is_adapted: bool) {
        let source = Source::Pipeline { fragment: fragment.into() };
        let options = Options { source, ..Options::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let units = AccessUnits::new();
            let capture = Capture::open(&options, units.clone()).unwrap();
            let mut bitrate = Bitrate::new(&options, Instant::now());
            bitrate.apply(&capture);
            assert!(bitrate.controller.is_some() && bitrate.is_due, "the encoder is not known yet");
            capture.play();
            capture.began().await;
            bitrate.read(&units, &PublisherCounters::default(), Some(&capture), Instant::now());
            assert_eq!(bitrate.controller.is_some(), is_adapted);
            assert!(!bitrate.is_due || !is_adapted);
            capture.stop().await;
        });
    }

    #[test]
    fn an_encoder_that_comes_with_the_first_frame_gets_the_setting_then() {
        check("videotestsrc is-live=true ! video/x-raw,width=160,height=120", true);
        check("videotestsrc is-live=true ! x264enc tune=zerolatency", false);
    }
}
