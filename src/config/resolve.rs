//! Merges the layers: passes every entry to the row of its key.
//!
//! An entry of a lower layer is checked even if a higher layer overrides it: the override may be removed later.
//!
//! Does not: read files or the environment; [`super::io`] does.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::draft::{Draft, Objection, missing};
use super::keys::{Key, REMOVED, Removed, key, keys};
use super::options::{Output, StreamOf};
use super::outputs::{self, DraftOutput};
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
    values: Values,
    /// The values of each `[[output]]` table.
    tables: Vec<Values>,
}

/// Keys with their values.
type Values = BTreeMap<&'static str, Value>;

impl Resolved {
    /// All set keys as one configuration file that begins with `head`.
    pub fn text(&self, head: &str) -> String {
        write::with_tables(head, &self.values, &self.tables)
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
        plain: Table::of(Origin::Nowhere),
        tables: Vec::new(),
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
    /// The keys outside of tables of the same name.
    plain: Table,
    /// The keys of each `[[output]]` table.
    tables: Vec<Table>,
    removed: Vec<Problem>,
    problems: Vec<Problem>,
    /// Whether the file could be parsed; if not, no key can be called missing.
    is_readable: bool,
}

/// The keys of one table.
struct Table {
    /// Where the table begins.
    origin: Origin,
    values: Values,
    origins: BTreeMap<&'static str, Origin>,
}

impl Table {
    const fn of(origin: Origin) -> Self {
        Self { origin, values: BTreeMap::new(), origins: BTreeMap::new() }
    }
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
            let origin = origin(entry.line);
            match entry.table {
                None => self.draft.is_in_table = false,
                Some(number) if section(&entry.key) == OUTPUT => self.enter(number, &origin),
                Some(_) => {
                    self.complain(&entry.key, origin, Complaint::Unknown { known: vec![OUTPUT] });
                    continue;
                }
            }
            if is_empty_section(&entry) {
                continue;
            }
            self.add(&entry.key, origin, |_| entry.value);
        }
        self.draft.is_in_table = false;
    }

    /// Lets the keys that follow belong to the `[[output]]` table with this number.
    fn enter(&mut self, number: usize, origin: &Origin) {
        self.draft.is_in_table = true;
        if number == self.tables.len() {
            self.tables.push(Table::of(origin.clone()));
            self.draft.tables.push(DraftOutput::default());
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
            return self.complain(name, origin, unknown(section(name)));
        };
        let accept = |value| key.takes.accept(&mut self.draft, &value).map(|()| value);
        match value(key).and_then(accept) {
            Ok(value) => {
                let table = match (self.draft.is_in_table, self.tables.last_mut()) {
                    (true, Some(table)) => table,
                    (_, None) | (false, Some(_)) => &mut self.plain,
                };
                table.values.insert(key.name, value);
                table.origins.insert(key.name, origin);
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

    /// The outputs of the tables; objections become problems.
    fn finish_tables(&mut self) -> Vec<Output> {
        let mut outputs = Vec::new();
        let drafts = std::mem::take(&mut self.draft.tables);
        self.draft.has_stdout_table = drafts.iter().any(DraftOutput::is_stdout);
        let is_sound = self.is_readable && self.problems.iter().all(|p| section(&p.key) != OUTPUT);
        for ((number, draft), table) in drafts.into_iter().enumerate().zip(&self.tables) {
            let objections = match draft.finish(number + 1) {
                Ok(Some(output)) => {
                    outputs.push(output);
                    continue;
                }
                Ok(None) if table.values.contains_key("output.path") => continue,
                Ok(None) => vec![missing("output.kind", "an [[output]] needs it, or output.path")],
                Err(objections) => objections,
            };
            let problem = |(key, complaint): Objection| {
                let origin = table.origins.get(key).unwrap_or(&table.origin).clone();
                Problem { origin, key: key.to_owned(), complaint }
            };
            // The key that seems missing may be one whose value was refused.
            if is_sound {
                self.problems.extend(objections.into_iter().map(problem));
            }
        }
        outputs
    }

    fn finish(mut self, purpose: Purpose, nowhere: &Origin) -> Result<Resolved, Vec<Problem>> {
        let outputs = self.finish_tables();
        let Self { draft, plain, tables, removed, mut problems, is_readable } = self;
        let Table { values, origins, .. } = plain;
        match draft.finish(purpose) {
            Ok(mut config) if problems.is_empty() => {
                config.outputs.extend(outputs);
                let is_input = |output: &Output| output.stream == StreamOf::Input;
                config.media.records = config.outputs.iter().any(is_input);
                problems.extend(outputs::repeated(&config.outputs, |number, key| {
                    // The output outside of tables comes first, if there is one.
                    let plain = config.outputs.len().saturating_sub(tables.len());
                    let table = number.checked_sub(plain).and_then(|number| tables.get(number));
                    let at = table.map(|table| table.origins.get(key).unwrap_or(&table.origin));
                    at.unwrap_or(nowhere).clone()
                }));
                if problems.is_empty() {
                    let tables = tables.into_iter().map(|table| table.values).collect();
                    return Ok(Resolved { config, removed, values, tables });
                }
            }
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

/// The section that may be there several times.
const OUTPUT: &str = "output";

/// The part of a key before the dot.
fn section(key: &str) -> &str {
    key.split_once('.').map_or(key, |(section, _)| section)
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
