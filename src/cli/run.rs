//! `run`: the job of a configuration, until a signal.
//!
//! Does not: exist yet.

use super::Error;
use crate::config::Config;
use crate::stop::Stop;

/// Runs until `stop`, or until something fails.
#[expect(clippy::unused_async, reason = "not written yet")]
pub async fn run(_config: Config, _stop: Stop) -> Result<(), Error> {
    Err(Error::Unwritten("run"))
}
