//! Reads the sources: the errors of media, and the texts of warnings and of repeated failures.
//!
//! Does not: parse Rust; it knows how rustfmt lays out what it looks for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What a warning or a repeated failure begins with.
const CALLS: [&str; 4] = ["log::warn!(", "log::error!(", "on_failure(&format!(", "on_failure(\n"];

/// All files below `directory`, with their texts.
fn files(directory: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            files.push((path, text));
        }
    }
    files
}

/// The sources without their tests, and without the sandbox, which is no part of the agent.
fn shipped() -> Vec<String> {
    let is_sandbox =
        |path: &Path| path.iter().any(|part| part == "sandbox" || part == "sandbox.rs");
    let files = files("src").into_iter().filter(|(path, _)| !is_sandbox(path));
    files.map(|(_, text)| text.split("#[cfg(test)]").next().unwrap().to_owned()).collect()
}

/// The keys of all that has to have a cause.
pub(crate) fn keys() -> BTreeSet<String> {
    let shipped = shipped();
    let mut keys = BTreeSet::new();
    for text in &shipped {
        keys.extend(calls(text));
        keys.extend(variants(text));
    }
    keys
}

/// The first text of each call, with its lines joined.
fn calls(source: &str) -> Vec<String> {
    let behind = |call: &&str| -> Vec<String> {
        source
            .match_indices(*call)
            .filter_map(|(at, _)| literal(&source[at + call.len()..]))
            .collect()
    };
    CALLS.iter().flat_map(behind).collect()
}

/// The text that stands in front of everything else, if one does.
fn literal(code: &str) -> Option<String> {
    let code = code.trim_start();
    let code = code.strip_prefix("&format!(").unwrap_or(code).trim_start().strip_prefix('"')?;
    let mut text = String::new();
    let mut chars = code.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            ('"', _) => return Some(text),
            (_, true) => match chars.next()? {
                '\n' => chars = chars.as_str().trim_start().chars(),
                escaped => text.push(escaped),
            },
            (c, false) => text.push(c),
        }
    }
    None
}

/// The variants of the errors of media.
fn variants(source: &str) -> Vec<String> {
    let Some((_, behind)) = source.split_once("\npub enum MediaError {\n") else {
        return Vec::new();
    };
    let body = behind.split("\n}\n").next().unwrap();
    let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
    let names = lines.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    names
        .map(|line| format!("MediaError::{}", line.split(['(', ' ', ',']).next().unwrap()))
        .collect()
}

/// The names of all functions of tests.
pub(crate) fn functions() -> BTreeSet<String> {
    let named = |text: &str| -> Vec<String> {
        text.split("fn ")
            .skip(1)
            .filter_map(|code| code.split('(').next().map(str::to_owned))
            .collect()
    };
    ["src", "tests"].iter().flat_map(|at| files(at)).flat_map(|(_, text)| named(&text)).collect()
}

#[test]
fn texts_and_errors_are_found() {
    let source = "\npub enum MediaError {\n    /// A.\n    One(String),\n    Two {\n        /// B.\n        a: u8,\n    },\n    Three,\n}\n\
                  log::warn!(\n    \"a \\\"b\\\" \\\n     c {d}\"\n); log::warn!(\"{line}\") x.on_failure(&format!(\"e {f}\"), now) \
                  x.on_failure(\n    &format!(\"g\"), now) log::warn!(target) .on_failure(&text, now)";
    assert_eq!(calls(source), ["a \"b\" c {d}", "{line}", "e {f}", "g"]);
    assert_eq!(variants(source), ["MediaError::One", "MediaError::Two", "MediaError::Three"]);
    let keys = keys();
    assert!(keys.contains("MediaError::NoVideo") && keys.contains("no sound: {error}"), "{keys:?}");
}
