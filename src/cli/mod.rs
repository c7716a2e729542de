//! The command line: the parser, the help texts, and one file for each command.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
//!
//! Does not: contain the work of the commands; each passes a checked configuration to the parts below.

mod budgets;
pub mod call;
pub mod check;
mod check_config;
mod choose;
mod command;
mod completions;
#[cfg(feature = "sandbox")]
pub mod demo;
mod devices;
pub mod discover;
mod error;
pub mod help;
pub mod logger;
mod man;
mod parse;
mod proof;
mod reach;
mod remote;
pub mod run;
#[cfg(feature = "sandbox")]
pub mod sandbox;
mod setup;
mod signals;
mod source;
mod spend;
pub mod stderr;
mod trust;

pub use check_config::check_config;
pub use choose::{Chosen, choose};
pub use command::{Command, Flag, Question, Row, Settings, Topic, rows};
pub use completions::{Shell, completions};
pub use devices::devices;
pub use error::Error;
pub use parse::{UsageError, parse};
pub use reach::ReachError;
pub use remote::{RemoteError, ask};
pub use setup::{SetupError, setup};
pub use signals::{TOGETHER, until_stopped};
pub use spend::{SpendError, spend};
pub use trust::{TrustError, trust};

#[cfg(feature = "sandbox")]
use std::io::IsTerminal;
use std::io::{self, Write};

/// Writes to standard output. Errors are ignored: the reader may have closed standard output.
pub fn print(text: &str) {
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

/// Rewrites the progress line on standard error; an empty `line` ends it. Without a terminal, each call adds a line.
#[cfg(feature = "sandbox")]
fn print_progress(line: &str) {
    match (io::stderr().is_terminal(), line.is_empty()) {
        (true, false) => stderr::write(format!("\r{line}\x1b[K")),
        (false, true) => {}
        (_, _) => stderr::write(format!("{line}\n")),
    }
}

/// Writes a report to standard error, because standard output may carry video.
#[cfg(feature = "sandbox")]
fn report(text: &str) {
    stderr::write(text.to_owned());
}
