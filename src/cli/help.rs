//! The help texts, from the table of commands and the table of keys.
//!
//! Does not: print.

use super::command::{Row, Topic, rows};
use super::man;
use crate::config::document;

/// The text on a topic.
pub fn text(topic: Topic) -> String {
    match topic {
        Topic::Program => program(),
        Topic::Config => document::example(),
        Topic::Man => man::page(),
        Topic::Command(name) => {
            rows().find(|row| row.name == name).map(command).unwrap_or_default()
        }
    }
}

/// Name and version.
pub fn version() -> String {
    concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"), "\n").to_owned()
}

fn program() -> String {
    let mut text = version();
    text.push_str(env!("CARGO_PKG_DESCRIPTION"));
    text.push_str(".\n\nCommands:\n");
    for row in rows() {
        text.push_str(&format!("  {}\n      {}\n", usage(row), row.what));
    }
    text.push_str("  --version\n  --help\n\n");
    text.push_str(KEYS);
    text.push_str(&document::help());
    text.push_str(
        "\nExit codes: 0 done, 1 failed, 2 wrong usage or configuration.\n\
         `livepeer-edge help config` prints a complete configuration file.\n",
    );
    text
}

const KEYS: &str = "\
Keys of the configuration, as arguments; weaker: the environment (LIVEPEER_EDGE_VIDEO_FPS),
the file (fps in [video]), the default:
";

fn command(row: &Row) -> String {
    let mut text = format!("livepeer-edge {}\n\n{}\n", usage(row), row.what);
    if !row.flags.is_empty() {
        text.push('\n');
    }
    for flag in row.flags {
        let name = flag.usage();
        text.push_str(&format!("  {name:20}{}\n", flag.what));
    }
    if row.takes_keys {
        text.push_str(&format!("\n{KEYS}{}", document::help()));
    }
    text
}

/// The command with its operand and options, in one line.
pub(super) fn usage(row: &Row) -> String {
    let mut words = vec![row.name.to_owned()];
    words.extend(row.operand.map(str::to_owned));
    words.extend(row.flags.iter().map(|flag| format!("[{}]", flag.usage())));
    if row.takes_keys {
        words.push("[--section.key VALUE]...".to_owned());
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::keys;

    #[test]
    fn every_command_flag_and_key_has_help() {
        let all = text(Topic::Program);
        for key in keys() {
            assert!(all.contains(&format!("--{} ", key.name)), "{}", key.name);
        }
        for row in rows() {
            assert!(all.contains(row.what), "{}", row.name);
            let own = text(Topic::Command(row.name));
            for flag in row.flags {
                assert!(own.contains(flag.what), "{} --{}", row.name, flag.name);
            }
        }
    }
}
