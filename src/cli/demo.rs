//! `demo`: agent and sandbox in one process.
//!
//! Does not: exist yet.

use std::time::Duration;

use super::Error;
use crate::config::Config;
use crate::stop::Stop;

/// Runs for `time`, or until `stop`.
#[expect(clippy::unused_async, reason = "not written yet")]
pub async fn run(_config: Config, _time: Option<Duration>, _stop: Stop) -> Result<(), Error> {
    Err(Error::Unwritten("demo"))
}
