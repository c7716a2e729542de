//! The table of all keys. **To add a key, add a row** in the file of its section, and a field where
//! its value is kept.
//!
//! Everything else is written from the rows: what is accepted, the environment variable, the argument,
//! the help texts, the manual page, the example file.
//!
//! Does not: judge keys against each other; the draft does.

mod accept;
mod access;
mod audio;
mod capture;
mod device;
mod network;
mod removed;
mod runner;

use std::time::Duration;

use serde_json::{Map, Value};

use super::draft::Draft;

pub(super) use removed::{REMOVED, Removed};

/// What stands before the name of every environment variable.
pub const ENVIRONMENT_PREFIX: &str = "LIVEPEER_EDGE_";

/// Every key, in the order in which a person would fill them in; a section's keys stand together.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    [capture::KEYS, audio::KEYS, network::KEYS, access::KEYS, runner::KEYS, device::KEYS]
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
    /// What it is without being set.
    pub initial: Initial,
    /// One or two sentences for the user.
    pub what: &'static str,
    /// What it accepts, and where that is kept.
    pub takes: Takes,
}

/// What a key is without being set.
#[derive(Debug)]
pub enum Initial {
    /// This, in TOML.
    Is(&'static str),
    /// Not set.
    Unset {
        /// What that means to the user.
        means: &'static str,
        /// A value for the example file, in TOML.
        example: &'static str,
    },
}

/// A word, and what it means to the draft.
pub type Word = (&'static str, fn(&mut Draft));

/// What a key accepts, and the draft's place for it.
#[derive(Debug)]
pub enum Takes {
    /// One of these words.
    OneOf(&'static [Word]),
    /// `true` or `false`.
    Flag(fn(&mut Draft, bool)),
    /// A whole number from `from` to `to`, a multiple of `step`.
    Whole {
        /// The least.
        from: u32,
        /// The most.
        to: u32,
        /// 1, or 2 for even numbers.
        step: u32,
        /// Of what.
        unit: &'static str,
        /// Its place.
        keep: fn(&mut Draft, u32),
    },
    /// Bits per second: a whole number or a text with a unit.
    BitRate {
        /// The least.
        from: u32,
        /// The most.
        to: u32,
        /// Its place.
        keep: fn(&mut Draft, u32),
    },
    /// A duration: a text with a unit.
    Time {
        /// The least.
        from: Duration,
        /// The most.
        to: Duration,
        /// Its place.
        keep: fn(&mut Draft, Duration),
    },
    /// A text; its place may refuse it, and must not repeat what may be a secret.
    Text {
        /// What kind of text.
        kind: &'static str,
        /// Its place.
        keep: fn(&mut Draft, &str) -> Result<(), String>,
    },
    /// A list of texts.
    Texts {
        /// What kind of texts.
        kind: &'static str,
        /// Its place.
        keep: fn(&mut Draft, &[&str]) -> Result<(), String>,
    },
    /// A table.
    Table {
        /// What kind of table.
        kind: &'static str,
        /// Its place.
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

/// The text, unless it is blank or holds what no name or path holds.
fn filled(text: &str) -> Result<&str, String> {
    if text.trim().is_empty() {
        Err("must not be empty".to_owned())
    } else if text.contains('\0') {
        Err("must not hold a NUL character".to_owned())
    } else {
        Ok(text)
    }
}
