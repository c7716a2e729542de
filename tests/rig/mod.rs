//! Shared parts of the long checks: programs as processes, orchestrators, cameras, and a table of results.
//!
//! Does not: contain a check.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic and print"
)]
#![allow(dead_code, reason = "each check uses a part of this module")]

pub(crate) mod camera;
pub(crate) mod place;
pub(crate) mod program;
pub(crate) mod reports;
pub(crate) mod scene;
#[path = "../../src/status/schema.rs"]
mod schema;
#[path = "../small_job/mod.rs"]
mod small_job;
pub(crate) mod table;

use std::time::{Duration, Instant};

/// Whole seconds.
pub(crate) const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Milliseconds.
pub(crate) const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Samples a condition until it is true. Returns the time at which it was, or `None` after `limit`. Use it for states
/// of other processes, which send no event that a test could wait for.
pub(crate) fn until(limit: Duration, mut look: impl FnMut() -> bool) -> Option<Instant> {
    let by = Instant::now() + limit;
    loop {
        if look() {
            return Some(Instant::now());
        }
        if Instant::now() >= by {
            return None;
        }
        // 3 ms are precise enough, since measured times are printed in steps of 10 ms.
        std::thread::sleep(ms(3));
    }
}

/// Waits for `time`, while a fault lasts.
pub(crate) fn wait(time: Duration) {
    std::thread::sleep(time);
}
