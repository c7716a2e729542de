//! Lets the encoder follow the link: readings of the way to the network in, bitrate and picture out.
//!
//! Does not: decide them; `rate::Controller` does.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use livepeer_gateway::trickle::io::Counters;
use media::Options;
use media::io::{AccessUnits, Capture};
use media::rate::{Controller, Picture, READING_EVERY, Reading};

/// The encoder's bitrate, and its picture.
#[derive(Debug)]
pub(super) struct Bitrate {
    /// `None` where the bitrate is to stay as it is.
    controller: Option<Controller>,
    next: Instant,
    /// The encoder was not there to take the last setting.
    is_due: bool,
    /// What was said last in the log.
    told: u32,
}

impl Bitrate {
    pub(super) fn new(options: &Options, now: Instant) -> Self {
        let bounds = options.bitrates.bounds(options.video.bitrate);
        let video = &options.video;
        let full = Picture { width: video.width, height: video.height, fps: video.fps };
        let controller = (bounds.min < bounds.max).then(|| Controller::new(bounds, full));
        Self { controller, next: now, is_due: false, told: bounds.start }
    }

    /// Another publication begins.
    pub(super) fn on_new_publication(&mut self) {
        if let Some(controller) = &mut self.controller {
            controller.on_new_publication();
        }
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
    pub(super) fn read(
        &mut self,
        units: &AccessUnits,
        publishing: &Counters,
        capture: Option<&Capture>,
        now: Instant,
    ) {
        self.next = now + READING_EVERY;
        let Some(controller) = &mut self.controller else { return };
        let flow = publishing.flow();
        let reading = Reading {
            queue_age: units.age(),
            // Where nobody tells, what the transport took.
            acknowledged: flow.map_or_else(|| publishing.bytes.load(Relaxed), |f| f.acknowledged),
            unsent: flow.map_or(0, |flow| flow.unsent),
            round_trip: flow.map(|flow| flow.round_trip),
        };
        let is_new = controller.on_reading(reading, now).is_some() || self.is_due;
        if let Some(capture) = capture.filter(|_| is_new) {
            self.apply(capture);
        }
    }

    /// Sets the encoder of `capture`, which may be a new one.
    pub(super) fn apply(&mut self, capture: &Capture) {
        let Some(controller) = &self.controller else { return };
        let setting = controller.setting();
        let Picture { width, height, fps } = setting.picture;
        if !capture.encodes() {
            // A camera's own H.264 has the bitrate that the camera gives it.
            self.controller = None;
            return;
        }
        self.is_due = !capture.set_bitrate(setting.bitrate);
        if self.is_due {
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

#[cfg(test)]
mod tests {
    use super::*;
    use media::Source;

    /// Sets the encoder behind a fragment of a pipeline before its first frame, and once it flows: whether the
    /// bitrate goes on to be adapted.
    #[track_caller]
    fn check(fragment: &str, goes_on: bool) {
        let source = Source::Pipeline { fragment: fragment.into() };
        let options = Options { source, ..Options::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let units = AccessUnits::new();
            let capture = Capture::open(&options, units.clone()).unwrap();
            let mut bitrate = Bitrate::new(&options, Instant::now());
            bitrate.apply(&capture);
            assert!(bitrate.controller.is_some() && bitrate.is_due, "nothing is known yet");
            capture.play();
            capture.began().await;
            bitrate.read(&units, &Counters::default(), Some(&capture), Instant::now());
            assert_eq!(bitrate.controller.is_some(), goes_on);
            assert!(!bitrate.is_due || !goes_on);
            capture.stop().await;
        });
    }

    #[test]
    fn an_encoder_that_comes_with_the_first_frame_is_told_then() {
        check("videotestsrc is-live=true ! video/x-raw,width=160,height=120", true);
        check("videotestsrc is-live=true ! x264enc tune=zerolatency", false);
    }
}
