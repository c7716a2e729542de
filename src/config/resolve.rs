//! Merges the layers: passes every entry to the row of its key.
//!
//! An entry of a lower layer is checked even if a higher layer overrides it: the override may go later.
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

/// The layers of a configuration, from the weakest to the strongest.
#[derive(Debug, Default, Clone)]
pub struct Layers {
    /// The name and the text of the file.
    pub file: Option<(String, String)>,
    /// The environment variables with the program's prefix, and those that name the state directory.
    pub environment: BTreeMap<String, String>,
    /// Keys and values of the command line, in their order.
    pub arguments: Vec<(String, String)>,
}

/// A configuration with its sources.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The configuration.
    pub config: Config,
    /// Warnings about keys of earlier versions, which are ignored.
    pub removed: Vec<Problem>,
    /// The value of each set key, from its strongest layer.
    values: BTreeMap<&'static str, Value>,
}

impl Resolved {
    /// All set keys as one configuration file that begins with `head`.
    pub fn text(&self, head: &str) -> String {
        write::sections(head, |key| self.values.get(key.name).cloned())
    }
}

/// Resolves the layers to a configuration, or to all problems, sorted by their places.
pub fn resolve(layers: &Layers, purpose: Purpose) -> Result<Config, Vec<Problem>> {
    resolve_all(layers, purpose).map(|resolved| resolved.config)
}

/// As [`resolve`], with the sources of the configuration.
pub fn resolve_all(layers: &Layers, purpose: Purpose) -> Result<Resolved, Vec<Problem>> {
    let state_directory = state_directory(&layers.environment);
    let mut merge = Merge {
        draft: Draft { state_directory, ..Draft::default() },
        values: BTreeMap::new(),
        origins: BTreeMap::new(),
        removed: Vec::new(),
        problems: Vec::new(),
        is_readable: true,
    };
    if let Some((path, text)) = &layers.file {
        merge.add_file(path, text);
    }
    merge.add_environment(layers);
    for (name, text) in &layers.arguments {
        let origin = Origin::Argument(name.clone());
        merge.add(name, origin, |key| Ok(key.takes.read_text(text)));
    }
    let nowhere = layers.file.as_ref().map_or(Origin::Nowhere, |(path, _)| whole(path));
    merge.finish(purpose, &nowhere)
}

/// A merge of layers in progress.
struct Merge {
    draft: Draft,
    values: BTreeMap<&'static str, Value>,
    origins: BTreeMap<&'static str, Origin>,
    removed: Vec<Problem>,
    problems: Vec<Problem>,
    /// Whether the file could be parsed; if not, no key can be called missing.
    is_readable: bool,
}

impl Merge {
    fn add_file(&mut self, path: &str, text: &str) {
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
            self.add(&entry.key, origin(entry.line), |_| entry.value);
        }
    }

    fn add_environment(&mut self, layers: &Layers) {
        for (name, text) in layers.environment.iter().filter(|(name, _)| has_prefix(name)) {
            let origin = Origin::Environment(name.clone());
            if let Some(key) = keys().find(|key| key.variable() == *name) {
                self.add(key.name, origin, |key| Ok(key.takes.read_text(text)));
            } else if !self.is_removed(&origin, |removed| removed.variable() == *name)
                && !is_foreign(name, text, layers)
            {
                self.complain("", origin, complaint(name));
            }
        }
    }

    /// Keeps one value, or adds a problem.
    fn add(
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
                self.values.insert(key.name, value);
                self.origins.insert(key.name, origin);
            }
            Err(complaint) => self.complain(key.name, origin, complaint),
        }
    }

    /// Whether a key of earlier versions is meant. If so, adds a warning.
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
        let Self { draft, values, origins, removed, mut problems, is_readable } = self;
        match draft.finish(purpose) {
            Ok(config) if problems.is_empty() => return Ok(Resolved { config, removed, values }),
            Err(objections) if is_readable => {
                for (key, complaint) in objections {
                    // One problem for each key is enough.
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

/// The complaint about an unknown key: names the keys of the section, or the sections.
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

/// The state directory: of systemd, else of the XDG rules, else below the home directory.
pub(super) fn state_directory(environment: &BTreeMap<String, String>) -> Option<PathBuf> {
    let absolute = |name: &str| environment.get(name).filter(|path| path.starts_with('/'));
    // systemd may name several, separated by colons; the first one is used.
    let given = absolute("STATE_DIRECTORY").and_then(|paths| paths.split(':').next());
    given
        .map(Into::into)
        .or_else(|| absolute("XDG_STATE_HOME").map(|home| format!("{home}/livepeer-edge").into()))
        .or_else(|| {
            absolute("HOME").map(|home| format!("{home}/.local/state/livepeer-edge").into())
        })
}
