//! Owns the doubt about this machine's clock: waits for the time of day where certificates need it, and goes on without
//! it where it does not come.
//!
//! Does not: decide whether the clock is believed; `clock::ClockDoubt` does.

use std::sync::Arc;
use std::time::Instant;

use tokio::task::{JoinSet, spawn_blocking};

use crate::agent::wait::joined;
use livepeer_gateway::clock::{self, ClockDoubt, ClockReading, ClockStep, PATIENCE};
use livepeer_gateway::http::{Authority, TimeRefusal, WallClock};
use livepeer_gateway::job;

/// What the clock showed, and whose certificates were refused for their time before; `None` if it could not be sampled.
pub(super) type ClockSample = Option<(ClockReading, Vec<TimeRefusal>)>;

/// The clock of this machine, as far as the agent depends on it.
pub(super) struct Clock {
    doubt: ClockDoubt,
    wall_clock: Arc<WallClock>,
    /// The clock is not believed, and sampled again.
    is_awaited: bool,
    /// The sample that is under way or due; one at most.
    samples: JoinSet<ClockSample>,
}

impl Clock {
    /// A clock that is believed until certificates look wrong by it. `wall_clock` is the one that judges them.
    pub(super) fn new(wall_clock: Arc<WallClock>) -> Self {
        let samples = JoinSet::new();
        Self { doubt: ClockDoubt::new(), wall_clock, is_awaited: false, samples }
    }

    /// From now on, this one judges certificates.
    pub(super) fn set_wall_clock(&mut self, wall_clock: Arc<WallClock>) {
        self.wall_clock = wall_clock;
    }

    /// Waits for the next sample. Cancel safe.
    pub(super) async fn next(&mut self) -> ClockSample {
        joined(&mut self.samples).await.ok().flatten()
    }

    /// Something went wrong with a peer, or time has passed: samples the clock, if that may be the reason.
    pub(super) fn check(&mut self) {
        if !self.samples.is_empty() {
            return;
        }
        let late = self.wall_clock.take_late();
        if !late.is_empty() || self.is_awaited {
            self.sample_at(Instant::now(), late);
        }
    }

    /// Goes on after a sample. Once it is known how to go on, those who were refused are asked again at once.
    pub(super) fn on<T>(&mut self, sample: ClockSample) -> Option<job::Event<T>> {
        let (look, mut late) = sample?;
        // Who was refused while the sample was due.
        late.extend(self.wall_clock.take_late());
        let step = self.doubt.on_reading(look, late, Instant::now());
        let was_awaited = std::mem::replace(&mut self.is_awaited, step != ClockStep::Believe);
        match step {
            ClockStep::Believe => {
                self.wall_clock.trust();
                was_awaited.then(|| {
                    log::info!("the clock is synchronised now");
                    job::Event::Reachable
                })
            }
            ClockStep::Wait(at) => {
                if !was_awaited {
                    log::warn!(
                        "clock not synchronised: certificates look wrong by it; waiting for the time for up to {} s",
                        PATIENCE.as_secs()
                    );
                }
                self.sample_at(at, Vec::new());
                None
            }
            ClockStep::GoOnWithout(peers, at) => {
                self.sample_at(at, Vec::new());
                let new = self.wall_clock.doubt(&peers);
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

    fn sample_at(&mut self, at: Instant, late: Vec<TimeRefusal>) {
        self.samples.spawn(async move {
            tokio::time::sleep_until(at.into()).await;
            spawn_blocking(clock::io::read_clock).await.ok().map(|look| (look, late))
        });
    }
}

fn listed(peers: &[Authority]) -> String {
    let peers: Vec<String> = peers.iter().map(ToString::to_string).collect();
    peers.join(", ")
}
