//! `params`: shows the parameters of a running job, or changes them and waits for the result.
//!
//! Does not: change the configuration; the agent keeps the parameters in its state directory.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::http::Request;
use super::{Agent, RemoteError, Settings};
use crate::cli::print;
use crate::config::Config;

/// Time for an answer.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// The longest wait for the model's confirmation.
const CONFIRM_TIME: Duration = Duration::from_secs(15);
/// The interval at which the agent is asked for the result.
const INTERVAL: Duration = Duration::from_millis(250);

/// Prints the present parameters, or changes them: `new` is merged into the present parameters, or replaces them.
pub(super) fn params(
    config: &Config,
    settings: &Settings,
    new: Option<&str>,
    replace: bool,
) -> Result<(), RemoteError> {
    let agent = Agent::find(config, settings)?;
    let Some(new) = new else {
        let answer = agent.json(Request::get("/params"), ANSWER_TIME)?;
        print(&format!("{}\n", answer.get("params").unwrap_or(&Value::Null)));
        return Ok(());
    };
    let new: Map<String, Value> =
        serde_json::from_str(new).map_err(|_| RemoteError::NotAnObject)?;
    let path = if replace { "/params?mode=replace" } else { "/params" };
    let body = Value::Object(new).to_string();
    let request = Request { method: "POST", path, body: Some(&body) };
    let mut answer = agent.json(request, ANSWER_TIME)?;
    let by = Instant::now() + CONFIRM_TIME;
    while state(&answer) == "sending" || state(&answer) == "sent" {
        if Instant::now() > by {
            break;
        }
        sleep(INTERVAL);
        answer = agent.json(Request::get("/params"), ANSWER_TIME)?;
    }
    match state(&answer) {
        "refused" => {
            let why = answer.get("why").and_then(Value::as_str).unwrap_or_default();
            Err(RemoteError::ParamsRefused(why.to_owned()))
        }
        state => {
            print(&format!("{}\n", result(state)));
            Ok(())
        }
    }
}

fn state(answer: &Value) -> &str {
    answer.get("state").and_then(Value::as_str).unwrap_or_default()
}

/// The result of a change, for the user.
fn result(state: &str) -> &'static str {
    match state {
        "applied" => "applied",
        "waiting" => "kept: the next job starts with them",
        _ => "sent, not confirmed: the model does not report its parameters",
    }
}
