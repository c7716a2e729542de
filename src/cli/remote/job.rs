//! `job`: starts or stops the job of a running agent, and shows what follows.
//!
//! Does not: wait until the job runs or is closed; `status` shows that.

use std::time::Duration;

use serde_json::{Value, json};

use super::http::Request;
use super::{Agent, RemoteError, Settings};
use crate::agent::JobWish;
use crate::cli::print;
use crate::config::Config;

/// Time for an answer.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// Passes the owner's wish to the agent, and prints whether a job is wanted now.
pub(super) fn job(config: &Config, settings: &Settings, wish: JobWish) -> Result<(), RemoteError> {
    let agent = Agent::find(config, settings)?;
    let body = body(wish).to_string();
    let request = Request { method: "POST", path: "/job", body: Some(&body) };
    let answer = agent.json(request, ANSWER_TIME)?;
    let why = answer.get("why").and_then(Value::as_str).unwrap_or_default();
    let is_wanted = answer.get("wanted") == Some(&Value::Bool(true));
    if !is_wanted && matches!(wish, JobWish::Start { .. }) {
        return Err(RemoteError::NotStarted(why.to_owned()));
    }
    print(&format!("{}: {why}\n", if is_wanted { "a job runs" } else { "no job runs" }));
    Ok(())
}

fn body(wish: JobWish) -> Value {
    match wish {
        JobWish::Start { time: None } => json!({"wish": "start"}),
        JobWish::Start { time: Some(time) } => json!({"wish": "start", "seconds": time.as_secs()}),
        JobWish::Stop => json!({"wish": "stop"}),
        JobWish::Auto => json!({"wish": "auto"}),
    }
}
