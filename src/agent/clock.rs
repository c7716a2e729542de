//! Decides with [`ClockDoubt`] whether certificates are judged by this computer's clock: waits until the clock is
//! synchronised while certificates are not valid by it, and stops judging by the clock after a time limit.
//!
//! Does not: change the clock.

use std::sync::Arc;
use std::time::Instant;

use tokio::task::{JoinSet, spawn_blocking};

use crate::agent::wait::joined;
use crate::status::ClockFacts;
use livepeer_gateway::clock::{self, ClockDoubt, ClockReading, ClockStep, PATIENCE};
use livepeer_gateway::http::{Authority, TimeRefusal, WallClock};
use livepeer_gateway::job;

/// A sample of the clock with the peers whose certificates were refused for their validity period before the sample;
/// `None` if sampling failed.
pub(super) type ClockSample = Option<(ClockReading, Vec<TimeRefusal>)>;

/// The trust in this computer's clock.
pub(super) struct Clock {
    doubt: ClockDoubt,
    wall_clock: Arc<WallClock>,
    /// The clock is not trusted now and is sampled again.
    is_awaited: bool,
    /// The peers whose certificates are not judged by the clock.
    doubted: String,
    /// The sample in progress or scheduled; one at most.
    samples: JoinSet<ClockSample>,
}

impl Clock {
    /// A clock that is trusted until certificates are not valid by it. Certificates are judged by `wall_clock`.
    pub(super) fn new(wall_clock: Arc<WallClock>) -> Self {
        let samples = JoinSet::new();
        Self {
            doubt: ClockDoubt::new(),
            wall_clock,
            is_awaited: false,
            doubted: String::new(),
            samples,
        }
    }

    /// Replaces the clock that certificates are judged by.
    pub(super) fn set_wall_clock(&mut self, wall_clock: Arc<WallClock>) {
        self.wall_clock = wall_clock;
    }

    /// The trust in the clock, for the status.
    pub(super) fn facts(&self) -> ClockFacts {
        match (self.is_awaited, self.doubted.is_empty()) {
            (false, _) => ClockFacts::Trusted,
            (true, true) => ClockFacts::Awaited,
            (true, false) => ClockFacts::Doubted(self.doubted.clone()),
        }
    }

    /// Waits for the next sample. Cancel safe.
    pub(super) async fn next(&mut self) -> ClockSample {
        joined(&mut self.samples).await.ok().flatten()
    }

    /// Samples the clock if certificates were refused for their validity period. Call it after a failure of a peer, and
    /// regularly.
    pub(super) fn check(&mut self) {
        if !self.samples.is_empty() {
            return;
        }
        let late = self.wall_clock.take_late();
        if !late.is_empty() || self.is_awaited {
            self.sample_at(Instant::now(), late);
        }
    }

    /// Handles a sample. Returns [`job::MachineEvent::Reachable`] once the refused peers can be tried again.
    pub(super) fn on<T>(&mut self, sample: ClockSample) -> Option<job::MachineEvent<T>> {
        let (look, mut late) = sample?;
        // Peers that were refused while the sample was scheduled.
        late.extend(self.wall_clock.take_late());
        let step = self.doubt.on_reading(look, late, Instant::now());
        let was_awaited = std::mem::replace(&mut self.is_awaited, step != ClockStep::Believe);
        match step {
            ClockStep::Believe => {
                self.wall_clock.trust();
                self.doubted.clear();
                was_awaited.then(|| {
                    log::info!("the clock is synchronised now");
                    job::MachineEvent::Reachable
                })
            }
            ClockStep::Wait(at) => {
                if !was_awaited {
                    log::warn!(
                        "clock not synchronised: certificates are not valid by it; waiting up to {} s for synchronisation",
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
                self.doubted = listed(&new);
                log::warn!(
                    "clock still not synchronised: continuing without it for {}; their certificates are accepted unless they expired before this program was built",
                    self.doubted
                );
                Some(job::MachineEvent::Reachable)
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
