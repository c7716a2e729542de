//! Waits for the time of day where certificates need it, and goes on without it where it does not come.
//!
//! Does not: decide whether the clock is believed; `clock::ClockDoubt` does.

use std::sync::Arc;
use std::time::Instant;

use tokio::task::spawn_blocking;

use crate::agent::event::Event;
use crate::agent::run::Loop;
use crate::agent::work::With;
use livepeer_gateway::clock::{self, Look, PATIENCE, Step};
use livepeer_gateway::http::{Authority, Late};
use livepeer_gateway::job;

impl Loop {
    /// Something went wrong with a peer, or time has passed: looks at the clock, if that may be the reason.
    pub(super) fn look_at_clock(&mut self) {
        if !self.clock_looks.is_empty() {
            return;
        }
        let late = self.network.connector.clock().take_late();
        if !late.is_empty() || self.waits_for_clock {
            self.look_at_clock_at(Instant::now(), late);
        }
    }

    /// Looks at the clock then: one look at a time is under way or due.
    fn look_at_clock_at(&mut self, at: Instant, late: Vec<Late>) {
        self.clock_looks.spawn(async move {
            tokio::time::sleep_until(at.into()).await;
            match spawn_blocking(clock::io::look).await {
                Ok(look) => Event::Clock(look, late),
                Err(_) => Event::Look,
            }
        });
    }

    /// The clock was looked at. Once it is known how to go on, those who were refused are asked again at once.
    pub(super) fn on_clock(&mut self, look: Look, mut late: Vec<Late>) -> Option<job::Event<With>> {
        let (now, wall_clock) = (Instant::now(), Arc::clone(self.network.connector.clock()));
        // Who was refused while a look was due.
        late.extend(wall_clock.take_late());
        let step = self.clock.on_look(look, late, now);
        let waited = std::mem::replace(&mut self.waits_for_clock, step != Step::Believe);
        match step {
            Step::Believe => {
                wall_clock.trust();
                waited.then(|| {
                    log::info!("the clock is synchronised now");
                    job::Event::Reachable
                })
            }
            Step::Wait(at) => {
                if !waited {
                    log::warn!(
                        "clock not synchronised: certificates look wrong by it; waiting for the time for up to {} s",
                        PATIENCE.as_secs()
                    );
                }
                self.look_at_clock_at(at, Vec::new());
                None
            }
            Step::GoOnWithout(peers, at) => {
                self.look_at_clock_at(at, Vec::new());
                let new = wall_clock.doubt(&peers);
                if new.is_empty() {
                    return None;
                }
                log::warn!(
                    "clock still not synchronised: going on without it for {}; their certificates are believed, unless they ended before this program was built",
                    listed(&new)
                );
                Some(job::Event::Reachable)
            }
        }
    }
}

fn listed(peers: &[Authority]) -> String {
    let peers: Vec<String> = peers.iter().map(ToString::to_string).collect();
    peers.join(", ")
}
