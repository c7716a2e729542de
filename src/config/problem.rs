//! Problems of a configuration: where, what is wrong, and what would be right.
//!
//! Does not: show texts that may contain a credential; see [`found`].

use std::fmt;

use serde_json::Value;

/// The source of a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A line of a file, from 1; 0 means the file as a whole.
    File {
        /// The file as the user named it.
        path: String,
        /// The line.
        line: usize,
    },
    /// An environment variable, by its name.
    Environment(String),
    /// A command line argument, by its key.
    Argument(String),
    /// The value is missing in all layers.
    Nowhere,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: 0 } => f.write_str(path),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Environment(name) => write!(f, "${name}"),
            Self::Argument(key) => write!(f, "--{key}"),
            Self::Nowhere => f.write_str("configuration"),
        }
    }
}

/// A problem of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where the problem is.
    pub origin: Origin,
    /// The key, `section.name`; empty if the line is not TOML.
    pub key: String,
    /// What is wrong.
    pub complaint: Complaint,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        let is_named = matches!(&self.origin, Origin::Argument(key) if *key == self.key);
        if !self.key.is_empty() && !is_named {
            write!(f, "{}: ", self.key)?;
        }
        fmt::Display::fmt(&self.complaint, f)
    }
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Complaint {
    /// Not TOML; the parser's message.
    Syntax(String),
    /// A key or section that does not exist.
    Unknown {
        /// The names that exist in the section.
        known: Vec<&'static str>,
    },
    /// A key of earlier versions, which is ignored.
    Removed {
        /// What to do instead.
        instead: &'static str,
    },
    /// An environment variable that is close to the variable of a key.
    Misnamed {
        /// The variables that may be meant.
        meant: Vec<String>,
    },
    /// The value has another type or is out of range.
    NotAllowed {
        /// The value, shortened.
        found: String,
        /// The allowed values.
        allowed: String,
    },
    /// A text for this key, which says what would be right.
    Wrong(String),
    /// The key is required.
    Missing {
        /// What requires it.
        reason: String,
    },
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(message) => write!(f, "not TOML: {message}"),
            Self::Unknown { known } => write!(f, "no such key; known: {}", known.join(", ")),
            Self::Removed { instead } => write!(f, "no longer a key, and ignored; {instead}"),
            Self::Misnamed { meant } => write!(f, "no such key; is {} meant?", meant.join(" or ")),
            Self::NotAllowed { found, allowed } => write!(f, "found {found}; allowed: {allowed}"),
            Self::Wrong(message) => f.write_str(message),
            Self::Missing { reason } => write!(f, "missing; {reason}"),
        }
    }
}

/// A value as an error text shows it: shortened, without the contents of lists and tables.
pub(super) fn found(value: &Value) -> String {
    /// The longest text shown, so that a problem fits on one line.
    const SHOWN: usize = 40;
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a table".to_owned(),
        Value::String(text) if text.chars().count() > SHOWN => {
            format!("\"{}…\"", text.chars().take(SHOWN).collect::<String>().escape_debug())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}
