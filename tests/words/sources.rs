//! Finds in the sources the variants of errors, and the texts of warnings and of repeated failures.
//!
//! Does not: parse Rust; it relies on the layout that rustfmt gives to the code it looks for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The calls that log a warning or a repeated failure.
const CALLS: [&str; 4] = ["log::warn!(", "log::error!(", "on_failure(&format!(", "on_failure(\n"];

/// All Rust files below `directory`, with their texts.
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

/// Enums that are not errors, but whose texts are a part of an error or a warning.
const PARTS: [&str; 7] = [
    "ChannelEnd",
    "Complaint",
    "Loss",
    "RedirectError",
    "RefusalReason",
    "RejectionReason",
    "Unsent",
];

/// Crates whose errors are listed by the name of the type. Errors of the program are listed with the name of their
/// module.
const CRATES: [&str; 4] = ["gateway", "media", "mpegts", "resilience"];

/// The sources without tests, and without the sandbox, which is not a part of the agent. Each has the name of its
/// module of the program, or an empty name if it is in a crate.
fn shipped() -> Vec<(String, String)> {
    let is_sandbox =
        |path: &Path| path.iter().any(|part| part == "sandbox" || part == "sandbox.rs");
    let files = files("src").into_iter().filter(|(path, _)| !is_sandbox(path));
    let module = |path: &Path| {
        let mut parts = path.iter().skip_while(|part| *part != "src").skip(1);
        let first = parts.next().unwrap().to_str().unwrap();
        if CRATES.contains(&first) { String::new() } else { format!("{first}::") }
    };
    let text = |text: &str| text.split("#[cfg(test)]").next().unwrap().to_owned();
    files.map(|(path, source)| (module(&path), text(&source))).collect()
}

/// The errors and log texts that must have a row in the table.
pub(crate) fn keys() -> BTreeSet<String> {
    let shipped = shipped();
    let mut keys = BTreeSet::new();
    for (module, text) in &shipped {
        keys.extend(calls(text));
        keys.extend(variants(text).into_iter().map(|variant| format!("{module}{variant}")));
    }
    keys
}

/// The first string of each call of [`CALLS`], with its lines joined.
fn calls(source: &str) -> Vec<String> {
    let behind = |call: &&str| -> Vec<String> {
        source
            .match_indices(*call)
            .filter_map(|(at, _)| literal(&source[at + call.len()..]))
            .collect()
    };
    CALLS.iter().flat_map(behind).collect()
}

/// The string literal at the start of `code`, if there is one.
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

/// The variants of the errors in a source. An error that is a struct counts as one variant.
fn variants(source: &str) -> Vec<String> {
    let mut variants = Vec::new();
    for kind in ["enum ", "struct "] {
        for (at, _) in source.match_indices(kind) {
            let begin = source[..at].rfind('\n').map_or(0, |line| line + 1);
            let visibility = &source[begin..at];
            if !(visibility.is_empty() || visibility.starts_with("pub")) {
                continue;
            }
            let behind = &source[at + kind.len()..];
            let name = behind.split(|c: char| !c.is_alphanumeric()).next().unwrap();
            // The attributes and the documentation of an item are between an empty line and the item.
            let head = source[..begin].rsplit("\n\n").next().unwrap();
            if !(is_error(source, head, name) || PARTS.contains(&name)) {
                continue;
            }
            if kind == "struct " {
                variants.push(name.to_owned());
                continue;
            }
            let body = behind.split("\n}\n").next().unwrap();
            let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
            let lines = lines.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
            let names = lines.map(|line| line.split(['(', ' ', ',']).next().unwrap());
            variants.extend(names.map(|variant| format!("{name}::{variant}")));
        }
    }
    variants
}

/// Whether the item with this name and these attributes is an error: it derives or implements the trait `Error`.
fn is_error(source: &str, head: &str, name: &str) -> bool {
    let derived = head.split("#[derive(").skip(1).filter_map(|list| list.split(")]").next());
    let mut derived = derived.flat_map(|list| list.split(',').map(str::trim));
    derived.any(|name| matches!(name, "Error" | "thiserror::Error"))
        || source.contains(&format!("Error for {name} {{"))
}

/// The names of all tests.
pub(crate) fn tests() -> BTreeSet<String> {
    ["src", "tests"]
        .iter()
        .flat_map(|at| files(at))
        .flat_map(|(_, text)| test_names(&text))
        .collect()
}

fn test_names(source: &str) -> Vec<String> {
    let named = |attribute: &str| -> Vec<String> {
        let behind = source.split(attribute).skip(1);
        // Between `#[test]` and `fn` there may be other attributes, but no other item.
        let head = behind.filter_map(|code| code.split_once("fn "));
        let tests =
            head.filter(|(between, _)| !between.contains('}') && !between.contains("#[test]"));
        tests.filter_map(|(_, code)| code.split('(').next().map(str::to_owned)).collect()
    };
    ["#[test]", "#[tokio::test"].into_iter().flat_map(named).collect()
}

#[test]
fn an_error_without_a_row_and_a_row_without_a_test_are_found() {
    let source = "use a;\n\n/// A.\n#[derive(Debug, thiserror::Error)]\npub enum A {\n    /// One.\n    \
                  #[error(\n        \"x\"\n    )]\n    One(String),\n    Two,\n}\n\n\
                  #[derive(Debug)]\npub enum B {\n    One,\n}\n\nimpl std::error::Error for B {}\n\n\
                  #[derive(\n    Debug, Error,\n)]\n#[error(\"y\")]\nstruct C(u8);\n\n\
                  #[derive(Debug)]\npub enum D {\n    One,\n}\n\n/// No error: an enum of words.\nenum E {\n    One,\n}\n\n\
                  pub enum Loss {\n    One,\n}\n";
    assert_eq!(variants(source), ["A::One", "A::Two", "B::One", "Loss::One", "C"]);
    let source = "fn a() {}\n#[test]\nfn b() {}\n#[tokio::test(start_paused = true)]\nasync fn c() {}\n\
                  #[test]\n#[ignore]\nfn d() {}\nfn e() {}";
    assert_eq!(test_names(source), ["b", "d", "c"]);
}

#[test]
fn texts_and_errors_are_found() {
    let source = "log::warn!(\n    \"a \\\"b\\\" \\\n     c {d}\"\n); log::warn!(\"{line}\") x.on_failure(&format!(\"e {f}\"), now) \
                  x.on_failure(\n    &format!(\"g\"), now) log::warn!(target) .on_failure(&text, now)";
    assert_eq!(calls(source), ["a \"b\" c {d}", "{line}", "e {f}", "g"]);
    let keys = keys();
    assert!(keys.contains("MediaError::NoVideo") && keys.contains("cli::Error::Usage"));
    assert!(keys.contains("PaymentError::Free") && keys.contains("no sound: {error}"), "{keys:?}");
}
