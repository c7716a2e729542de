//! The table of all keys. **To add a key, add a row** in the file of its section, and a field where
//! its value is kept.
//!
//! Everything else is generated from the rows: the accepted values, the environment variable, the argument, the help
//! texts, the manual page, the example file.
//!
//! Does not: check keys against each other; the draft does.

mod accept;
mod access;
mod api;
mod audio;
mod capture;
mod device;
mod events;
mod motion;
mod mqtt;
mod network;
mod output;
mod removed;
mod runner;
mod when;

use std::time::Duration;

use serde_json::{Map, Value};

use super::draft::Draft;

pub(super) use removed::{REMOVED, Removed};

/// The prefix of every environment variable.
pub const ENVIRONMENT_PREFIX: &str = "LIVEPEER_EDGE_";

/// Every key, in the order in which a person would fill them in, section by section.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    [
        capture::KEYS,
        audio::KEYS,
        network::KEYS,
        when::KEYS,
        motion::KEYS,
        access::KEYS,
        runner::KEYS,
        output::KEYS,
        device::KEYS,
        api::KEYS,
        mqtt::KEYS,
        events::KEYS,
    ]
    .into_iter()
    .flatten()
}

/// The key of this name.
pub fn key(name: &str) -> Option<&'static Key> {
    keys().find(|key| key.name == name)
}

/// One key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// `section.name`.
    pub name: &'static str,
    /// The value if the key is not set.
    pub initial: Initial,
    /// The description for the user: one or two sentences.
    pub what: &'static str,
    /// The accepted values, and the field that keeps the value.
    pub takes: Takes,
}

/// The value of a key that is not set.
#[derive(Debug)]
pub enum Initial {
    /// This default, in TOML.
    Is(&'static str),
    /// There is no default value.
    Unset {
        /// What that means, for the user.
        means: &'static str,
        /// A value for the example file, in TOML.
        example: &'static str,
    },
}

/// A word, and how it sets the draft.
pub type Word = (&'static str, fn(&mut Draft));

/// The accepted values of a key, and the function that keeps the value in the draft.
#[derive(Debug)]
pub enum Takes {
    /// One of these words.
    OneOf(&'static [Word]),
    /// `true` or `false`.
    Flag(fn(&mut Draft, bool)),
    /// A whole number from `from` to `to`, a multiple of `step`.
    Whole {
        /// The minimum.
        from: u32,
        /// The maximum.
        to: u32,
        /// 1, or 2 for even numbers.
        step: u32,
        /// The unit.
        unit: &'static str,
        /// Keeps the value.
        keep: fn(&mut Draft, u32),
    },
    /// Bits per second: a whole number or a text with a unit.
    BitRate {
        /// The minimum.
        from: u32,
        /// The maximum.
        to: u32,
        /// Keeps the value.
        keep: fn(&mut Draft, u32),
    },
    /// A duration: a text with a unit.
    Time {
        /// The minimum.
        from: Duration,
        /// The maximum.
        to: Duration,
        /// Keeps the value.
        keep: fn(&mut Draft, Duration),
    },
    /// A text. `keep` may refuse it; its error must not quote a text that may be secret.
    Text {
        /// What kind of text.
        kind: &'static str,
        /// Keeps the value.
        keep: fn(&mut Draft, &str) -> Result<(), String>,
    },
    /// A list of texts.
    Texts {
        /// What kind of texts.
        kind: &'static str,
        /// Separates the texts in the environment and in an argument.
        separator: char,
        /// Keeps the value.
        keep: fn(&mut Draft, &[&str]) -> Result<(), String>,
    },
    /// A table.
    Table {
        /// What kind of table.
        kind: &'static str,
        /// Keeps the value.
        keep: fn(&mut Draft, &Map<String, Value>) -> Result<(), String>,
    },
}

impl Key {
    /// The part before the dot.
    pub fn section(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(section, _)| section)
    }

    /// The part behind the dot.
    pub fn short(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(_, short)| short)
    }

    /// The environment variable: `video.fps` is `LIVEPEER_EDGE_VIDEO_FPS`.
    pub fn variable(&self) -> String {
        variable(self.name)
    }
}

/// The environment variable of a key of this name.
fn variable(name: &str) -> String {
    format!("{ENVIRONMENT_PREFIX}{}", name.replace(['.', '-'], "_").to_uppercase())
}

/// The text, unless it is blank or contains NUL.
fn filled(text: &str) -> Result<&str, String> {
    if text.trim().is_empty() {
        Err("must not be empty".to_owned())
    } else if text.contains('\0') {
        Err("must not contain a NUL character".to_owned())
    } else {
        Ok(text)
    }
}
