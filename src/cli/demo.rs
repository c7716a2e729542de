//! `demo`: agent and sandbox in one process.
//!
//! Does not: exist yet.

use std::time::Duration;

use super::{Error, Shutdown};
use crate::config::Config;

/// Runs for `time`, or until `shutdown`.
#[expect(clippy::unused_async, reason = "not written yet")]
pub async fn run(
    _config: Config,
    _time: Option<Duration>,
    _shutdown: Shutdown,
) -> Result<(), Error> {
    Err(Error::Unwritten("demo"))
}
