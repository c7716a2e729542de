//! What keeps an unattended program up: back-off, faults, stop, bounded waits, throttled logs, state files that
//! survive a power cut, and secrets and foreign text that do no harm in a log.
//!
//! Does not: know anything of video or of the network's protocol.

pub mod backoff;
pub mod fault;
pub mod fingerprint;
pub mod log_throttle;
pub mod sanitize;
pub mod secret;
pub mod state_file;
pub mod stop;

/// Sleeps that may have no end, and tasks that end with their owner.
pub mod wait {
    mod io;

    pub use io::{AbortOnDrop, sleep_until};
}
