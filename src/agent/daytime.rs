//! Waits for the time of day where certificates need it, and goes on without it where it does not come.
//!
//! Does not: decide whether the clock is believed; `clock::ClockDoubt` does.

use std::time::Instant;

use tokio::task::spawn_blocking;

use crate::agent::event::Event;
use crate::agent::run::Loop;
use crate::clock::{self, Look, PATIENCE, Step};
use crate::http::WALL_CLOCK;

impl Loop {
    /// Something went wrong with a peer, or time has passed: looks at the clock, if that may be the reason.
    pub(super) fn look_at_clock(&mut self) {
        let was_refused = WALL_CLOCK.take_refusal();
        if was_refused || self.waits_for_clock {
            self.lens.spawn(async move {
                match spawn_blocking(clock::io::look).await {
                    Ok(look) => Event::Clock(look, was_refused),
                    Err(_) => Event::Look,
                }
            });
        }
    }

    /// The clock was looked at.
    pub(super) fn on_clock(&mut self, look: Look, was_refused: bool) {
        let now = Instant::now();
        let step = match was_refused {
            true => self.clock.on_wrong_time(look, now),
            false => self.clock.on_look(look, now),
        };
        let waited = std::mem::replace(&mut self.waits_for_clock, step != Step::Believe);
        match step {
            Step::Believe => {
                WALL_CLOCK.disbelieve(false);
                if waited {
                    log::info!("the clock is synchronised now");
                }
            }
            Step::Wait(_) if !waited => log::warn!(
                "clock not synchronised: certificates look wrong by it; waiting for the time for up to {} s",
                PATIENCE.as_secs()
            ),
            Step::Wait(_) => {}
            Step::GoOnWithout => {
                if !WALL_CLOCK.is_disbelieved() {
                    log::warn!(
                        "clock still not synchronised: going on without it; certificates are believed whatever their time"
                    );
                }
                WALL_CLOCK.disbelieve(true);
            }
        }
    }
}
