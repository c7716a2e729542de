//! Finds the agent that runs with a configuration, for `check`.
//!
//! | where its API may be | the agent that answers there is it |
//! |---|---|
//! | the address that an agent wrote into the directory of this configuration | yes |
//! | `api.listen` | if it has the name of this instance |
//! | the usual address | if it has the name of this instance, and this configuration has no directory for an address |
//!
//! Does not: judge what the agent says.

use std::time::Duration;

use serde_json::Value;

use super::http::Request;
use super::{Agent, How, RemoteError, Settings, address};
use crate::config::Config;
use crate::status::Status;

/// Time for an answer.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// An agent that runs with this configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct RunningAgent {
    /// Where its API is.
    pub(in crate::cli) address: String,
    /// Its process, if its file names it.
    pub(in crate::cli) process: Option<u32>,
    /// Its state in one line.
    pub(in crate::cli) summary: String,
    /// Whether its camera has failed.
    pub(in crate::cli) has_lost_camera: bool,
}

/// The running agent of this configuration; `None` if none runs. Waits for its answer, for a limited time.
pub(in crate::cli) fn running(
    config: &Config,
    settings: &Settings,
) -> Result<Option<RunningAgent>, RemoteError> {
    let file = settings.file.as_deref();
    let found = address(config, file)?;
    if found.how == How::Guessed && config.state_directory.is_some() {
        return Ok(None);
    }
    let report = Agent::at(&found.address, config)
        .and_then(|agent| agent.json(Request::get("/status"), ANSWER_TIME));
    let report = match report {
        Ok(report) => report,
        // The file of an agent that was killed stays, and another program may have its port now.
        Err(RemoteError::NoAgent(_) | RemoteError::Foreign(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let own = Status::default();
    own.set_identity(&config.status, file);
    let text = |key: &str| report.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    if found.how != How::Kept && text("instance") != own.identity().instance {
        return Ok(None);
    }
    Ok(Some(RunningAgent {
        address: found.address,
        process: found.process,
        summary: text("summary"),
        has_lost_camera: has_lost_camera(&report),
    }))
}

fn has_lost_camera(report: &Value) -> bool {
    let is = |link: &Value, key, text| link.get(key).and_then(Value::as_str) == Some(text);
    let chain = report.get("chain").and_then(Value::as_array).into_iter().flatten();
    chain.into_iter().any(|link| is(link, "link", "camera") && is(link, "state", "failed"))
}
