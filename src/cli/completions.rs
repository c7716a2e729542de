//! Completions for bash, zsh and fish, from the table of commands and the table of keys.
//!
//! A script completes commands, options, keys, and the values that the table of keys lists; a value that names a file
//! is completed with the names of files.
//!
//! Does not: print, or complete the values that only the network or this computer's devices know.

use super::command::{Flag, Row, rows};
use crate::config::keys::{Key, Takes, keys};

/// Beginnings of the kinds of text that are paths of this computer.
const PATHS: [&str; 3] = ["path of a ", "path or file://", "path, name or number"];

/// A shell whose completion can be printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    /// GNU bash.
    Bash,
    /// The Z shell.
    Zsh,
    /// fish.
    Fish,
}

impl Shell {
    /// The shell of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "bash" => Some(Self::Bash),
            "zsh" => Some(Self::Zsh),
            "fish" => Some(Self::Fish),
            _ => None,
        }
    }
}

/// The script for `shell`, for its folder of completions.
pub fn completions(shell: Shell) -> String {
    match shell {
        Shell::Bash => bash(),
        Shell::Zsh => zsh(),
        Shell::Fish => fish(),
    }
}

/// What a value is completed with.
enum Values {
    Files,
    Words(Vec<&'static str>),
    /// The possible values are not known.
    Unknown,
}

fn of_flag(flag: &Flag) -> Values {
    match flag.value {
        "FILE" => Values::Files,
        "WORD" => Values::Words(vec!["keep", "replace"]),
        "STREAM" => Values::Words(vec!["output", "input"]),
        "SOURCE" => Values::Words(vec!["test", "auto", "libcamera", "nvargus"]),
        _ => Values::Unknown,
    }
}

fn of_key(key: &Key) -> Values {
    let is_path = |kind: &str| PATHS.iter().any(|start| kind.starts_with(start));
    match &key.takes {
        Takes::OneOf(words) => Values::Words(words.iter().map(|(word, _)| *word).collect()),
        Takes::Flag(_) => Values::Words(vec!["true", "false"]),
        Takes::Text { kind, .. } if is_path(kind) => Values::Files,
        Takes::Whole { .. }
        | Takes::BitRate { .. }
        | Takes::Time { .. }
        | Takes::Text { .. }
        | Takes::Texts { .. }
        | Takes::Table { .. } => Values::Unknown,
    }
}

/// The words that may stand behind a command without dashes.
fn operands(row: &Row) -> Values {
    match row.operand {
        Some("FILE") => Values::Files,
        Some("TOPIC") => {
            Values::Words(rows().map(|row| row.name).chain(["config", "man"]).collect())
        }
        Some("list|forget HOST") => Values::Words(vec!["list", "forget"]),
        Some("[add AMOUNT]") => Values::Words(vec!["add"]),
        Some(words) if words.contains('|') => Values::Words(words.split('|').collect()),
        Some(_) | None => Values::Unknown,
    }
}

/// Each option that takes a value, once, with what its value is completed with.
fn options() -> Vec<(String, Values)> {
    let mut options: Vec<(String, Values)> = Vec::new();
    let flags = rows().flat_map(|row| row.flags).filter(|flag| !flag.value.is_empty());
    let flags = flags.map(|flag| (format!("--{}", flag.name), of_flag(flag)));
    for option in flags.chain(keys().map(|key| (format!("--{}", key.name), of_key(key)))) {
        if !options.iter().any(|(known, _)| *known == option.0) {
            options.push(option);
        }
    }
    options
}

/// The options of a command; its keys are `keys`.
fn words(row: &Row, keys: &str) -> String {
    let mut words: Vec<String> = row.flags.iter().map(|flag| format!("--{}", flag.name)).collect();
    words.push("--help".to_owned());
    if row.takes_keys {
        words.push(keys.to_owned());
    }
    words.join(" ")
}

/// The names of all keys, as options.
fn all_keys() -> String {
    keys().map(|key| format!("--{}", key.name)).collect::<Vec<_>>().join(" ")
}

/// The names of the options whose values are files, or unknown, as a pattern of `case`.
fn pattern(options: &[(String, Values)], is_it: impl Fn(&Values) -> bool) -> String {
    let names = options.iter().filter(|(_, values)| is_it(values)).map(|(name, _)| name.as_str());
    names.collect::<Vec<_>>().join("|")
}

fn bash() -> String {
    let options = options();
    let mut text = format!(
        "# livepeer-edge: completion for bash\n\
         _livepeer_edge() {{\n  \
           local word=${{COMP_WORDS[COMP_CWORD]}} last=${{COMP_WORDS[COMP_CWORD-1]}} words= files=\n  \
           local keys='{}'\n  \
           COMPREPLY=()\n  \
           if ((COMP_CWORD == 1)); then\n    \
             words='{} --help --version'\n  \
           else\n    \
             case $last in\n",
        all_keys(),
        rows().map(|row| row.name).collect::<Vec<_>>().join(" ")
    );
    text.push_str(&format!(
        "      {}) files=1 ;;\n",
        pattern(&options, |values| matches!(values, Values::Files))
    ));
    for (name, values) in &options {
        if let Values::Words(words) = values {
            text.push_str(&format!("      {name}) words='{}' ;;\n", words.join(" ")));
        }
    }
    text.push_str(&format!(
        "      {}) return ;;\n      *)\n        case ${{COMP_WORDS[1]}} in\n",
        pattern(&options, |values| matches!(values, Values::Unknown))
    ));
    for row in rows() {
        let (more, files) = match operands(row) {
            Values::Words(words) => (format!("{} ", words.join(" ")), ""),
            Values::Files => (String::new(), " files=1"),
            Values::Unknown => (String::new(), ""),
        };
        let words = words(row, "$keys");
        text.push_str(&format!("          {}) words=\"{more}{words}\"{files} ;;\n", row.name));
    }
    text.push_str(
        "        esac ;;\n    esac\n  fi\n  \
           [[ -z $words || ( -n $files && $word != -* ) ]] || mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n  \
           if [[ -n $files && $word != -* ]]; then\n    \
             compopt -o filenames 2>/dev/null\n    \
             mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n  \
           fi\n}\n\
         complete -F _livepeer_edge livepeer-edge\n",
    );
    text
}

fn zsh() -> String {
    let options = options();
    let mut text = format!(
        "#compdef livepeer-edge\n\
         # livepeer-edge: completion for zsh\n\
         _livepeer_edge() {{\n  \
           local -a commands keys\n  \
           keys=({})\n  \
           commands=(\n",
        all_keys()
    );
    for row in rows() {
        text.push_str(&format!("    {}\n", quoted(&format!("{}:{}", row.name, row.what))));
    }
    text.push_str(
        "  )\n  if (( CURRENT == 2 )); then\n    _describe -t commands command commands\n    \
         compadd -- --help --version\n    return\n  fi\n  case $words[CURRENT-1] in\n",
    );
    text.push_str(&format!(
        "    {}) _files; return ;;\n",
        pattern(&options, |values| matches!(values, Values::Files))
    ));
    for (name, values) in &options {
        if let Values::Words(words) = values {
            text.push_str(&format!("    {name}) compadd -- {}; return ;;\n", words.join(" ")));
        }
    }
    text.push_str(&format!(
        "    {}) return ;;\n  esac\n  case $words[2] in\n",
        pattern(&options, |values| matches!(values, Values::Unknown))
    ));
    for row in rows() {
        let (more, files) = match operands(row) {
            Values::Words(words) => (format!("{} ", words.join(" ")), ""),
            Values::Files => (String::new(), "; _files"),
            Values::Unknown => (String::new(), ""),
        };
        let words = words(row, "$keys");
        text.push_str(&format!("    {}) compadd -- {more}{words}{files} ;;\n", row.name));
    }
    text.push_str("  esac\n}\n_livepeer_edge \"$@\"\n");
    text
}

fn fish() -> String {
    let mut text = "# livepeer-edge: completion for fish\n\
                    complete -c livepeer-edge -f\n\
                    complete -c livepeer-edge -n __fish_use_subcommand -l version\n\
                    complete -c livepeer-edge -l help\n"
        .to_owned();
    let value = |values: Values| match values {
        Values::Files => " -r -F".to_owned(),
        Values::Words(words) => format!(" -x -a {}", quoted(&words.join(" "))),
        Values::Unknown => " -x".to_owned(),
    };
    for row in rows() {
        let (name, what) = (row.name, quoted(row.what));
        text.push_str(&format!(
            "complete -c livepeer-edge -n __fish_use_subcommand -a {name} -d {what}\n"
        ));
        let within = format!("complete -c livepeer-edge -n '__fish_seen_subcommand_from {name}'");
        match operands(row) {
            Values::Files => text.push_str(&format!("{within} -F\n")),
            Values::Words(words) => {
                text.push_str(&format!("{within} -a {}\n", quoted(&words.join(" "))));
            }
            Values::Unknown => {}
        }
        for flag in row.flags {
            let takes = if flag.value.is_empty() { String::new() } else { value(of_flag(flag)) };
            let what = quoted(flag.what);
            text.push_str(&format!("{within} -l {}{takes} -d {what}\n", flag.name));
        }
    }
    let with_keys = rows().filter(|row| row.takes_keys).map(|row| row.name);
    let with_keys = with_keys.collect::<Vec<_>>().join(" ");
    for key in keys() {
        text.push_str(&format!(
            "complete -c livepeer-edge -n '__fish_seen_subcommand_from {with_keys}' -l {}{} -d {}\n",
            key.name,
            value(of_key(key)),
            quoted(first_sentence(key.what))
        ));
    }
    text
}

/// The first sentence of a description, as a menu shows it.
fn first_sentence(what: &str) -> &str {
    what.split_once(". ").map_or(what, |(first, _)| first)
}

/// A text in single quotes, as fish and zsh read it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_option_and_key_is_in_each_script() {
        for shell in [Shell::Bash, Shell::Zsh] {
            let text = completions(shell);
            for row in rows() {
                assert!(text.contains(row.name), "{shell:?} {}", row.name);
                for flag in row.flags {
                    assert!(text.contains(&format!("--{}", flag.name)), "{shell:?} {}", flag.name);
                }
            }
            for key in keys() {
                assert!(text.contains(&format!("--{}", key.name)), "{shell:?} {}", key.name);
            }
        }
        let fish = completions(Shell::Fish);
        for row in rows() {
            assert!(fish.contains(&format!("__fish_use_subcommand -a {} ", row.name)));
        }
        for key in keys() {
            assert!(fish.contains(&format!("-l {} ", key.name)), "{}", key.name);
        }
    }

    #[test]
    fn values_that_the_tables_know_are_offered() {
        let bash = completions(Shell::Bash);
        assert!(bash.contains("--source.repeat) words='true false'"), "{bash}");
        assert!(bash.contains("|--source.path|") || bash.contains("--source.path|"), "{bash}");
        assert!(bash.contains("completions) words=\"bash zsh fish --help\""), "{bash}");
        let files = bash.lines().find(|line| line.contains("files=1 ;;")).unwrap();
        assert!(files.contains("--config") && files.contains("--store.directory"), "{files}");
    }
}
