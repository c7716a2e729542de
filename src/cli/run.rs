//! `run`: the job of a configuration, until a signal.
//!
//! Does not: exist yet.

use super::{Error, Shutdown};
use crate::config::Config;

/// Runs until `shutdown`, or until something fails.
#[expect(clippy::unused_async, reason = "not written yet")]
pub async fn run(_config: Config, _shutdown: Shutdown) -> Result<(), Error> {
    Err(Error::Unwritten("run"))
}
