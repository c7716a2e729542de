//! What is wrong with a command line, in words for the user.
//!
//! Does not: parse arguments.

use std::fmt;

use crate::cli::command::{Row, rows};

/// What is wrong with a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsageError {
    /// No command was given.
    NoCommand,
    /// A command that does not exist.
    UnknownCommand(String),
    /// A command that this build does not have.
    NoSandbox(&'static str),
    /// An option that the command does not take.
    UnknownOption(&'static Row, String),
    /// An argument that the command does not take.
    UnknownArgument(&'static Row, String),
    /// The command's argument is missing.
    NoOperand(&'static Row),
    /// A required option is missing.
    NoFlag(&'static Row, &'static str),
    /// An option that takes a value was given none.
    NoValue(String),
    /// An option was given a value that it does not take.
    NeedlessValue(String),
    /// An option given twice.
    Twice(&'static str),
    /// A value that is not allowed.
    NotAllowed {
        /// The option.
        option: &'static str,
        /// The value.
        found: String,
        /// The allowed values.
        allowed: &'static str,
    },
    /// A text that is not UTF-8.
    NotText(String),
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Row {}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = || rows().map(|row| row.name).collect::<Vec<_>>().join(", ");
        match self {
            Self::NoCommand => write!(f, "no command; use one of: {}", names()),
            Self::UnknownCommand(name) => {
                write!(f, "unknown command `{name}`; use one of: {}", names())
            }
            Self::NoSandbox(name) => {
                write!(f, "`{name}` is not in this build; build it with the feature `sandbox`")
            }
            Self::UnknownOption(row, name) => {
                write!(f, "`{}` has no option {name}; it takes: {}", row.name, options(row))
            }
            Self::UnknownArgument(row, text) => {
                write!(f, "`{}` does not take `{text}`; it takes: {}", row.name, options(row))
            }
            Self::NoOperand(row) => {
                let operand = row.operand.unwrap_or_default();
                write!(f, "{operand} is missing; use livepeer-edge {} {operand}", row.name)
            }
            Self::NoFlag(row, name) => {
                write!(f, "--{name} is missing; `{}` takes: {}", row.name, options(row))
            }
            Self::NoValue(option) => write!(f, "{option} needs a value"),
            Self::NeedlessValue(option) => write!(f, "{option} takes no value"),
            Self::Twice(option) => write!(f, "--{option} is given twice"),
            Self::NotAllowed { option, found, allowed } => {
                write!(f, "--{option}: found `{found}`; allowed: {allowed}")
            }
            Self::NotText(option) => write!(f, "{option}: the value is not UTF-8"),
        }
    }
}

impl std::error::Error for UsageError {}

fn options(row: &Row) -> String {
    let mut options: Vec<String> = row.operand.map(str::to_owned).into_iter().collect();
    options.extend(row.flags.iter().map(|flag| flag.usage()));
    if row.takes_keys {
        options.push("--section.key VALUE".to_owned());
    }
    options.push("--help".to_owned());
    options.join(", ")
}
