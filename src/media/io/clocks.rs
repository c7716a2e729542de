//! Reads the clocks that show whether the computer was suspended, for the whole process.
//!
//! Does not: decide whether the computer was suspended; `suspend` does.

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::suspend::{Suspends, since_boot};

/// The kernel's `CLOCK_BOOTTIME`, as text (proc_uptime(5)).
const UPTIME: &str = "/proc/uptime";

static SUSPENDS: Mutex<Suspends> = Mutex::new(Suspends::new());

/// Whether the computer was suspended recently. Call it every few seconds while media flow, so that a suspend is
/// noticed soon after its end.
pub(super) fn is_waking() -> bool {
    let booted = fs::read_to_string(UPTIME).ok().and_then(|uptime| since_boot(&uptime));
    let now = Instant::now();
    let mut suspends = SUSPENDS.lock().unwrap_or_else(PoisonError::into_inner);
    suspends.on_clocks(now, booted);
    suspends.is_waking(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uptime_of_this_computer_is_read() {
        assert!(fs::read_to_string(UPTIME).is_ok_and(|uptime| since_boot(&uptime).is_some()));
        assert!(!is_waking() && !is_waking());
    }
}
