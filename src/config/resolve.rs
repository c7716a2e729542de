//! Lays the layers over each other and takes every entry to its key.
//!
//! An entry of a lower layer is checked even if a higher one replaces it: a mistake that waits is
//! still a mistake.
//!
//! Does not: read files or the environment; [`super::io`] does.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::draft::Draft;
use super::keys::{Key, REMOVED, Removed, key, keys};
use super::problem::{Complaint, Origin, Problem};
use super::toml::{Entry, entries};
use super::variables::{complaint, has_prefix, is_foreign};
use super::{Config, Purpose, write};

/// What was said, from the weakest to the strongest.
#[derive(Debug, Default, Clone)]
pub struct Layers {
    /// The name and the text of a file.
    pub file: Option<(String, String)>,
    /// The environment: our variables, and those that say where state is kept.
    pub environment: BTreeMap<String, String>,
    /// Keys and values of the command line, in their order.
    pub arguments: Vec<(String, String)>,
}

/// A configuration with what led to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The configuration.
    pub config: Config,
    /// Keys of earlier versions, which are ignored.
    pub removed: Vec<Problem>,
    /// What was said of each key, by its strongest layer.
    said: BTreeMap<&'static str, Value>,
}

impl Resolved {
    /// All that was said as one file.
    pub fn text(&self, head: &str) -> String {
        write::sections(head, |key| self.said.get(key.name).cloned())
    }
}

/// The configuration, or all its problems, sorted by their places.
pub fn resolve(layers: &Layers, purpose: Purpose) -> Result<Config, Vec<Problem>> {
    resolve_all(layers, purpose).map(|resolved| resolved.config)
}

/// The same, with what led to it.
pub fn resolve_all(layers: &Layers, purpose: Purpose) -> Result<Resolved, Vec<Problem>> {
    let state_directory = state_directory(&layers.environment);
    let mut pile = Pile {
        draft: Draft { state_directory, ..Draft::default() },
        said: BTreeMap::new(),
        origins: BTreeMap::new(),
        removed: Vec::new(),
        problems: Vec::new(),
        is_readable: true,
    };
    if let Some((path, text)) = &layers.file {
        pile.lay_file(path, text);
    }
    pile.lay_environment(layers);
    for (name, text) in &layers.arguments {
        let origin = Origin::Argument(name.clone());
        pile.lay(name, origin, |key| Ok(key.takes.read_text(text)));
    }
    let nowhere = layers.file.as_ref().map_or(Origin::Nowhere, |(path, _)| whole(path));
    pile.finish(purpose, &nowhere)
}

struct Pile {
    draft: Draft,
    said: BTreeMap<&'static str, Value>,
    origins: BTreeMap<&'static str, Origin>,
    removed: Vec<Problem>,
    problems: Vec<Problem>,
    /// Whether the file said all it has to say; else nothing can be called missing.
    is_readable: bool,
}

impl Pile {
    fn lay_file(&mut self, path: &str, text: &str) {
        let origin = |line| Origin::File { path: path.to_owned(), line };
        let entries = match entries(text) {
            Ok(entries) => entries,
            Err(syntax) => {
                self.is_readable = false;
                for (line, complaint) in syntax {
                    self.complain("", origin(line), complaint);
                }
                return;
            }
        };
        for entry in entries {
            if is_empty_section(&entry) {
                continue;
            }
            self.lay(&entry.key, origin(entry.line), |_| entry.value);
        }
    }

    fn lay_environment(&mut self, layers: &Layers) {
        for (name, text) in layers.environment.iter().filter(|(name, _)| has_prefix(name)) {
            let origin = Origin::Environment(name.clone());
            if let Some(key) = keys().find(|key| key.variable() == *name) {
                self.lay(key.name, origin, |key| Ok(key.takes.read_text(text)));
            } else if !self.is_removed(&origin, |removed| removed.variable() == *name)
                && !is_foreign(name, text, layers)
            {
                self.complain("", origin, complaint(name));
            }
        }
    }

    /// Keeps one value, or notes what is wrong with it.
    fn lay(
        &mut self,
        name: &str,
        origin: Origin,
        value: impl FnOnce(&'static Key) -> Result<Value, Complaint>,
    ) {
        let Some(key) = key(name) else {
            if self.is_removed(&origin, |removed| removed.name == name) {
                return;
            }
            let section = name.split_once('.').map_or(name, |(section, _)| section);
            return self.complain(name, origin, unknown(section));
        };
        let accept = |value| key.takes.accept(&mut self.draft, &value).map(|()| value);
        match value(key).and_then(accept) {
            Ok(value) => {
                self.said.insert(key.name, value);
                self.origins.insert(key.name, origin);
            }
            Err(complaint) => self.complain(key.name, origin, complaint),
        }
    }

    /// Whether a key of earlier versions is meant, which is noted then.
    fn is_removed(&mut self, origin: &Origin, means: impl Fn(&Removed) -> bool) -> bool {
        let removed = REMOVED.iter().find(|removed| means(removed));
        self.removed.extend(removed.map(|removed| Problem {
            origin: origin.clone(),
            key: removed.name.to_owned(),
            complaint: Complaint::Removed { instead: removed.instead },
        }));
        removed.is_some()
    }

    fn complain(&mut self, key: &str, origin: Origin, complaint: Complaint) {
        self.problems.push(Problem { origin, key: key.to_owned(), complaint });
    }

    fn finish(self, purpose: Purpose, nowhere: &Origin) -> Result<Resolved, Vec<Problem>> {
        let Self { draft, said, origins, removed, mut problems, is_readable } = self;
        match draft.finish(purpose) {
            Ok(config) if problems.is_empty() => return Ok(Resolved { config, removed, said }),
            Err(objections) if is_readable => {
                for (key, complaint) in objections {
                    // A key that is wrong already is not missing too.
                    if !problems.iter().any(|problem| problem.key == key) {
                        let origin = origins.get(key).unwrap_or(nowhere).clone();
                        problems.push(Problem { origin, key: key.to_owned(), complaint });
                    }
                }
            }
            Ok(_) | Err(_) => {}
        }
        problems.sort_by(|a, b| a.origin.cmp(&b.origin));
        Err(problems)
    }
}

/// A section in which every key is commented out.
fn is_empty_section(entry: &Entry) -> bool {
    keys().any(|key| key.section() == entry.key) && entry.value == Ok(Value::Object(Map::new()))
}

/// The names that exist in this section, or the sections that exist.
pub(super) fn unknown(section: &str) -> Complaint {
    let mut known: Vec<&str> =
        keys().filter(|key| key.section() == section).map(|key| key.name).collect();
    if known.is_empty() {
        known = keys().map(|key| key.section()).collect();
        known.dedup();
    }
    Complaint::Unknown { known }
}

fn whole(path: &str) -> Origin {
    Origin::File { path: path.to_owned(), line: 0 }
}

/// Where systemd, else the desktop's rules, else habit want state to be.
pub(super) fn state_directory(environment: &BTreeMap<String, String>) -> Option<PathBuf> {
    let absolute = |name: &str| environment.get(name).filter(|path| path.starts_with('/'));
    // systemd may name several, parted by colons; the first is ours.
    let given = absolute("STATE_DIRECTORY").and_then(|paths| paths.split(':').next());
    given
        .map(Into::into)
        .or_else(|| absolute("XDG_STATE_HOME").map(|home| format!("{home}/livepeer-edge").into()))
        .or_else(|| {
            absolute("HOME").map(|home| format!("{home}/.local/state/livepeer-edge").into())
        })
}
