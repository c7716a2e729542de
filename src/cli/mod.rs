//! The command line: what was asked for, its help, and a file for each command.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
//!
//! Does not: know how anything works; each command hands a checked configuration to the parts below.

mod check_config;
mod command;
#[cfg(feature = "sandbox")]
pub mod demo;
mod error;
pub mod help;
pub mod logger;
mod parse;
pub mod run;
#[cfg(feature = "sandbox")]
pub mod sandbox;
mod signals;

pub use check_config::check_config;
pub use command::{Command, Flag, Row, Settings, Topic, rows};
pub use error::Error;
pub use parse::{UsageError, parse};
pub use signals::until_stopped;

use std::io::{self, Write};

/// Writes to standard output. A reader that left is no failure.
pub fn print(text: &str) {
    let _ = io::stdout().lock().write_all(text.as_bytes());
}
