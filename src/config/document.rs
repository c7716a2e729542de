//! Generates texts from the table of keys: the example file, the help text.
//!
//! Does not: print; it returns texts.

use super::keys::{Initial, Key, keys};

/// Columns of texts for a terminal or an editor.
const WIDTH: usize = 96;

/// A complete configuration file with every key commented out, with its default.
pub fn example() -> String {
    let mut text = String::from(
        "# Configuration of livepeer-edge. Every key is here, commented out with its default.\n\
         # A key can also be set by an environment variable, LIVEPEER_EDGE_SECTION_KEY, or an\n\
         # argument, --section.key VALUE; both override this file.\n\
         # `livepeer-edge check-config FILE` shows every mistake with its line.\n",
    );
    let mut section = "";
    for key in keys() {
        if key.section() != section {
            section = key.section();
            text.push_str(&format!("\n[{section}]\n"));
        }
        text.push('\n');
        for line in wrapped(key.what, WIDTH - 2) {
            text.push_str(&format!("# {line}\n"));
        }
        let (meaning, shown) = match key.initial {
            Initial::Is(value) => (String::new(), value),
            Initial::Unset { means, example } => (format!(" Default: {means}."), example),
        };
        for line in wrapped(&format!("Allowed: {}.{meaning}", key.takes.allowed()), WIDTH - 2) {
            text.push_str(&format!("# {line}\n"));
        }
        text.push_str(&format!("#{} = {shown}\n", key.short()));
    }
    text
}

/// The keys for `--help`: one line each.
pub fn help() -> String {
    let width = keys().map(|key| key.name.len()).max().unwrap_or_default();
    keys()
        .map(|key| format!("  --{:width$}  {}; {}\n", key.name, key.takes.allowed(), initial(key)))
        .collect()
}

/// The value of a key that is not set, for people.
pub fn initial(key: &Key) -> String {
    match key.initial {
        Initial::Is(value) => format!("default {value}"),
        Initial::Unset { means, .. } => means.to_owned(),
    }
}

/// Wraps words into lines of at most `width` characters; a longer word has a line of its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
