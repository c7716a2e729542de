//! What the long checks share: programs as processes, orchestrators to run them against, and a table of what was seen.
//!
//! Does not: hold a check.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic and print"
)]
#![allow(dead_code, reason = "each check uses its part")]

pub(crate) mod camera;
pub(crate) mod place;
pub(crate) mod program;
pub(crate) mod scene;
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

/// Looks until it sees what it looks for: when that was.
pub(crate) fn until(limit: Duration, mut look: impl FnMut() -> bool) -> Option<Instant> {
    let by = Instant::now() + limit;
    loop {
        if look() {
            return Some(Instant::now());
        }
        if Instant::now() >= by {
            return None;
        }
        // The finest that a measured time is told in is 10 ms.
        std::thread::sleep(ms(3));
    }
}

/// Waits: some faults last.
pub(crate) fn wait(time: Duration) {
    std::thread::sleep(time);
}
