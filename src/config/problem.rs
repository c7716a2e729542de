//! What is wrong in a configuration, where, and what would be right.
//!
//! Does not: show texts that may hold a credential; see [`found`].

use std::fmt;

use serde_json::Value;

/// Where a value comes from.
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
    /// No layer says anything.
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

/// One problem: a place, a key, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub origin: Origin,
    /// The key, `section.name`; empty if the file is no TOML there.
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
    /// Not TOML; the parser's words.
    Syntax(String),
    /// A key or section that does not exist.
    Unknown {
        /// The names that exist there.
        known: Vec<&'static str>,
    },
    /// A key that earlier versions took: it is ignored.
    Removed {
        /// What to do instead.
        instead: &'static str,
    },
    /// A variable that no key has, but that is close to the name of one.
    Misnamed {
        /// The variables that may be meant.
        meant: Vec<String>,
    },
    /// Another type or range.
    NotAllowed {
        /// The value, shortened.
        found: String,
        /// What it may be.
        allowed: String,
    },
    /// The value's own complaint, which says what would be right.
    Wrong(String),
    /// Another value asks for this one.
    Missing {
        /// Who asks, and how it is written.
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

/// A value as an error text shows it: short, and of lists and tables only what they are.
pub(super) fn found(value: &Value) -> String {
    /// Longest text shown, so that one problem stays one line.
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
