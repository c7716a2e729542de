//! Tools for a program that runs unattended: back-off, faults, a stop signal, bounded waits, throttled logs, meters
//! and histograms, state files and ledgers that survive a power cut, times in UTC, secrets that are never printed, and sanitizing of
//! a peer's text.
//!
//! Does not: depend on video or on the network's protocol.

pub mod backoff;
pub mod fault;
pub mod fingerprint;
pub mod histogram;
pub mod ledger;
pub mod log_throttle;
pub mod meter;
pub mod sanitize;
pub mod secret;
pub mod state_file;
pub mod stop;
pub mod utc;

/// A sleep that may last forever, tasks that end with their owner, and parts that follow their options.
pub mod wait {
    mod io;

    pub use io::{AbortOnDrop, sleep_until, with_options};
}
