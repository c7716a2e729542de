//! The options of the sinks: where events are written, and which.
//!
//! Does not: check whether programs, folders or web servers exist; the sinks report it.

use std::path::PathBuf;
use std::time::Duration;

use super::{Kind, MODEL, TYPES};
use livepeer_gateway::http::Url;
use resilience::secret::SecretSource;

/// The sinks of events.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    /// The types that are written to standard output; `None` if none are.
    pub stdout: Option<Types>,
    /// The file, if events are written to one.
    pub file: Option<FileOptions>,
    /// The program that is run for each event, if any.
    pub hook: Option<HookOptions>,
    /// The web server to which events are posted, if any.
    pub webhook: Option<WebhookOptions>,
}

/// A file of events.
#[derive(Debug, Clone, PartialEq)]
pub struct FileOptions {
    /// The path of the file. Older events are in the files `PATH.1`, `PATH.2` and so on.
    pub path: PathBuf,
    /// The size in bytes at which the next file is begun.
    pub bytes: u64,
    /// How many older files are kept.
    pub older: u32,
    /// What is written.
    pub types: Types,
}

/// A program that is run for each event.
#[derive(Debug, Clone, PartialEq)]
pub struct HookOptions {
    /// The program: a path, or a name that is looked up in `PATH`.
    pub program: String,
    /// The arguments of the program.
    pub arguments: Vec<String>,
    /// The time limit of one run.
    pub time: Duration,
    /// For which events it is run.
    pub types: Types,
}

/// A web server to which events are posted.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookOptions {
    /// Where to post. The path and query may be a credential.
    pub url: Url,
    /// Where the secret that signs the events is kept.
    pub secret: Option<SecretSource>,
    /// Which events are posted.
    pub types: Types,
}

/// Types of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Types(Vec<&'static str>);

impl Types {
    /// Every type.
    pub fn all() -> Self {
        Self(TYPES.iter().map(|row| row.name).collect())
    }

    /// Every type but the model's own events, which may come often.
    pub fn without_model() -> Self {
        Self(TYPES.iter().map(|row| row.name).filter(|name| *name != MODEL).collect())
    }

    /// The types of these names. The error is the first name that no type has.
    pub fn of<'a>(names: &[&'a str]) -> Result<Self, &'a str> {
        let named = |name: &&'a str| {
            let row = TYPES.iter().find(|row| row.name == *name);
            row.map(|row| row.name).ok_or(*name)
        };
        names.iter().map(named).collect::<Result<_, _>>().map(Self)
    }

    /// Whether events of this kind are of one of these types.
    pub fn contain(&self, kind: &Kind) -> bool {
        self.0.contains(&kind.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_chosen_by_their_names() {
        let types = Types::of(&["camera_lost", "stopping"]).unwrap();
        assert!(types.contain(&Kind::Stopping) && !types.contain(&Kind::PaymentWorks));
        assert_eq!(Types::of(&["stopping", "stoped"]), Err("stoped"));
        let model = Kind::Model { event: serde_json::Map::new() };
        assert!(Types::all().contain(&model) && !Types::without_model().contain(&model));
        assert!(Types::without_model().contain(&Kind::Stopping));
    }
}
