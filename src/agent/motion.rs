//! Owns the motion in front of the camera: reports its begin and its end in the log, the events and the status.
//!
//! Does not: decide what moves; `media::motion` does. Nor start a job; the loop passes the motion on to `Switch`.

use crate::events::{Bus, Kind};
use crate::status::MotionFacts;
use media::io::AccessUnits;
use media::motion::{MotionEvent, MotionOptions};

/// The motion in the captured video, if it is looked for.
pub(super) struct MotionWatch {
    units: AccessUnits,
    bus: Bus,
    facts: Option<MotionFacts>,
}

impl MotionWatch {
    /// Looks for motion in `units` with these options; with `None`, does not look for motion.
    pub(super) fn new(options: Option<MotionOptions>, units: AccessUnits, bus: Bus) -> Self {
        let mut watch = Self { units, bus, facts: None };
        watch.set_options(options);
        watch
    }

    /// Replaces the options.
    pub(super) fn set_options(&mut self, options: Option<MotionOptions>) {
        self.units.set_motion(options);
        self.facts = options.map(|_| self.facts.unwrap_or_default());
    }

    /// Waits for the next event. Cancel safe.
    pub(super) async fn next(&self) -> MotionEvent {
        self.units.moved().await
    }

    /// Handles an event. Returns whether something moves.
    pub(super) fn on(&mut self, event: MotionEvent) -> bool {
        let Some(facts) = &mut self.facts else { return false };
        match event {
            MotionEvent::Began(since) => {
                log::info!("something moves in front of the camera");
                facts.count += 1;
                facts.since = Some(since);
                self.bus.publish(|| Kind::Motion);
            }
            MotionEvent::GoesOn(_) => {}
            MotionEvent::Ended(at) => {
                let time = facts.since.take().map(|since| at.saturating_duration_since(since));
                let after_ms = time.and_then(|time| u64::try_from(time.as_millis()).ok());
                let after_ms = after_ms.unwrap_or_default();
                log::info!("nothing moves any more");
                self.bus.publish(|| Kind::MotionEnded { after_ms });
            }
        }
        facts.since.is_some()
    }

    /// Keeps the newest video for a job that a motion starts. Call it when no job runs any more.
    pub(super) fn await_motion(&self) {
        self.units.await_motion();
    }

    /// The motion, for the status; `None` while it is not looked for.
    pub(super) fn facts(&self) -> Option<MotionFacts> {
        self.facts
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[tokio::test]
    async fn each_motion_is_counted_and_its_end_says_how_long_it_was() {
        let (bus, now) = (Bus::new("test"), Instant::now());
        let options = Some(MotionOptions::default());
        let mut events = bus.subscribe();
        let mut watch = MotionWatch::new(options, AccessUnits::new(), bus.clone());
        assert!(watch.on(MotionEvent::Began(now)) && watch.on(MotionEvent::GoesOn(now)));
        assert_eq!(watch.facts(), Some(MotionFacts { since: Some(now), count: 1 }));
        assert!(!watch.on(MotionEvent::Ended(now + Duration::from_millis(700))));
        for expected in [Kind::Motion, Kind::MotionEnded { after_ms: 700 }] {
            assert_eq!(events.next().await.unwrap().kind(), &expected);
        }
        // The count stays when the options change, and goes when motion is not looked for any more.
        watch.set_options(options);
        assert_eq!(watch.facts().map(|facts| facts.count), Some(1));
        watch.set_options(None);
        assert!(watch.facts().is_none() && !watch.on(MotionEvent::Began(now)));
    }
}
