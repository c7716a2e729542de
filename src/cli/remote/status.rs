//! `status`: shows the state of a running agent once, or again every second.
//!
//! Does not: judge; the agent does.

use std::io::{self, IsTerminal, Write};
use std::thread::sleep;
use std::time::Duration;

use super::http::Request;
use super::{Agent, RemoteError, Settings, screen};
use crate::cli::print;
use crate::config::Config;
use resilience::fault::chain;

/// The interval of requests.
const INTERVAL: Duration = Duration::from_secs(1);
/// Time for an answer.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// Puts the cursor into the first line, and clears what was there.
const CLEAR: &str = "\x1b[H\x1b[J";

/// Prints the state: for people, or as JSON. With `watch`, again every second until a signal ends the program.
pub(super) fn status(
    config: &Config,
    settings: &Settings,
    watch: bool,
    json: bool,
) -> Result<(), RemoteError> {
    if !watch {
        print(&look(config, settings, json)?);
        return Ok(());
    }
    let in_place = io::stdout().is_terminal() && !json;
    loop {
        // An agent that is started again may have another address.
        let text =
            look(config, settings, json).unwrap_or_else(|error| format!("{}\n", chain(&error)));
        let text = if in_place { format!("{CLEAR}{text}") } else { text };
        if io::stdout().lock().write_all(text.as_bytes()).is_err() {
            // Standard output is closed.
            return Ok(());
        }
        sleep(INTERVAL);
    }
}

fn look(config: &Config, settings: &Settings, json: bool) -> Result<String, RemoteError> {
    let agent = Agent::find(config, settings)?;
    let report = agent.json(Request::get("/status"), ANSWER_TIME)?;
    Ok(if json { format!("{report}\n") } else { screen::text(&report) })
}
