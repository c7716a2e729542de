//! Waits for the time of day where certificates need it, and goes on without it where it does not come.
//!
//! Does not: decide whether the clock is believed; `clock::ClockDoubt` does.

use std::time::Instant;

use tokio::task::spawn_blocking;

use crate::agent::event::Event;
use crate::agent::run::Loop;
use crate::agent::work::With;
use crate::clock::{self, LOOK_SELDOM, Look, PATIENCE, Step};
use crate::http::WALL_CLOCK;
use crate::job;

impl Loop {
    /// Something went wrong with a peer, or time has passed: looks at the clock, if that may be the reason.
    pub(super) fn look_at_clock(&mut self) {
        let was_refused = WALL_CLOCK.take_refusal();
        if (was_refused || self.waits_for_clock) && self.clock_looks.is_empty() {
            self.look_at_clock_at(Instant::now(), was_refused);
        }
    }

    /// Looks at the clock then: one look at a time is under way or due.
    fn look_at_clock_at(&mut self, at: Instant, was_refused: bool) {
        self.clock_looks.spawn(async move {
            tokio::time::sleep_until(at.into()).await;
            match spawn_blocking(clock::io::look).await {
                Ok(look) => Event::Clock(look, was_refused),
                Err(_) => Event::Look,
            }
        });
    }

    /// The clock was looked at. Once it is known how to go on, those who were refused are asked again at once.
    pub(super) fn on_clock(&mut self, look: Look, was_refused: bool) -> Option<job::Event<With>> {
        let now = Instant::now();
        let step = match was_refused {
            true => self.clock.on_wrong_time(look, now),
            false => self.clock.on_look(look, now),
        };
        let waited = std::mem::replace(&mut self.waits_for_clock, step != Step::Believe);
        let was_disbelieved = WALL_CLOCK.is_disbelieved();
        WALL_CLOCK.disbelieve(step == Step::GoOnWithout);
        match step {
            Step::Believe if waited => {
                log::info!("the clock is synchronised now");
                Some(job::Event::Reachable)
            }
            Step::Believe => None,
            Step::Wait(at) => {
                if !waited {
                    log::warn!(
                        "clock not synchronised: certificates look wrong by it; waiting for the time for up to {} s",
                        PATIENCE.as_secs()
                    );
                }
                self.look_at_clock_at(at, false);
                None
            }
            Step::GoOnWithout => {
                self.look_at_clock_at(now + LOOK_SELDOM, false);
                if was_disbelieved {
                    return None;
                }
                log::warn!(
                    "clock still not synchronised: going on without it; certificates are believed whatever their time"
                );
                Some(job::Event::Reachable)
            }
        }
    }
}
