//! Checks the README pages against the project: the links, scripts, tests, commands, keys, files and messages in them
//! exist, their example configurations are accepted, and README.md is short.
//!
//! Does not: run the commands; `cross/readme.sh` does.
#![cfg(feature = "sandbox")]
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use livepeer_edge::cli::rows;
use livepeer_edge::config::keys::keys;
use livepeer_edge::config::{Layers, Purpose, resolve};

const PAGES: [&str; 4] = ["README.md", "cross/README.md", "systemd/README.md", "tests/README.md"];
/// The pages that the Debian package and the tarball contain.
const HANDED_OUT: [&str; 2] = ["README.md", "systemd/README.md"];
/// The maximum length of README.md, in bytes.
const LONGEST: usize = 14 * 1024;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The code blocks of a page, as pairs of the language and the lines.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut parts = page.split("\n```");
    parts.next();
    let inside = parts.step_by(2);
    let block = |text: &str| text.split_once('\n').map(|(a, b)| (a.to_owned(), b.to_owned()));
    inside.filter_map(block).collect()
}

/// The texts between backticks, outside of code blocks.
fn quoted(page: &str) -> Vec<String> {
    let outside = page.split("\n```").step_by(2);
    let mut all = Vec::new();
    for line in outside.flat_map(str::lines) {
        assert!(
            line.matches('`').count() % 2 == 0,
            "text between backticks must not continue on the next line: {line}"
        );
        all.extend(line.split('`').skip(1).step_by(2).map(|text| text.replace("\\|", "|")));
    }
    all
}

/// The words of each command in a code block or between backticks.
fn commands(page: &str) -> Vec<Vec<String>> {
    let mut lines = quoted(page);
    for (language, text) in blocks(page) {
        if language == "sh" {
            lines.extend(text.lines().flat_map(|line| line.split("&&")).map(str::to_owned));
        }
    }
    let words = |line: &String| line.split_whitespace().map(str::to_owned).collect();
    lines.iter().map(words).filter(|words: &Vec<String>| !words.is_empty()).collect()
}

/// The targets of the links to files.
fn relative_links(page: &str) -> Vec<&str> {
    let targets = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://")).collect()
}

/// Applies `rule`, which returns a number of items and complaints, to each page. Panics if there are complaints, or
/// fewer than `least` items in all.
#[track_caller]
fn assert_true(least: usize, rule: impl Fn(&str, &str) -> (usize, Vec<String>)) {
    let (mut looked_at, mut complaints) = (0, Vec::new());
    for path in PAGES {
        let (count, found) = rule(path, &read(path));
        looked_at += count;
        complaints.extend(found.into_iter().map(|complaint| format!("{path}: {complaint}")));
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
    assert!(
        looked_at >= least,
        "only {looked_at} items were found, at least {least} were expected"
    );
}

/// Returns the number of items in `found`, and a complaint about each item that is not `right`.
fn judge(found: Vec<String>, what: &str, right: impl Fn(&str) -> bool) -> (usize, Vec<String>) {
    let wrong = found.iter().filter(|name| !right(name)).map(|name| format!("{what}: {name}"));
    (found.len(), wrong.collect())
}

#[test]
fn the_readme_is_short() {
    let length = read("README.md").len();
    assert!(length <= LONGEST, "README.md has {length} bytes: put details into {:?}", &PAGES[1..]);
}

#[test]
fn every_link_leads_to_a_file() {
    assert_true(12, |path, page| {
        let folder = root().join(path);
        let folder = folder.parent().expect("a folder");
        let links = relative_links(page).into_iter().map(str::to_owned).collect();
        judge(links, "no such file", |link| folder.join(link).exists())
    });
}

#[test]
fn every_script_exists_and_is_executable() {
    assert_true(12, |_, page| {
        let words = commands(page).into_iter().flatten();
        let scripts = words.filter(|word| word.ends_with(".sh") && word.contains('/')).collect();
        judge(scripts, "cannot be run", |script| {
            let mode = fs::metadata(root().join(script)).map(|file| file.permissions().mode());
            mode.unwrap_or(0) & 0o111 != 0
        })
    });
}

#[test]
fn every_test_named_in_a_command_exists() {
    assert_true(5, |_, page| {
        let mut tests = Vec::new();
        for command in commands(page) {
            let pairs = command.windows(2).filter(|pair| pair[0] == "--test");
            tests.extend(pairs.map(|pair| pair[1].clone()));
        }
        let folder = root().join("tests");
        judge(tests, "no such test", |name| {
            folder.join(format!("{name}.rs")).exists() || folder.join(name).join("main.rs").exists()
        })
    });
}

/// Returns what is wrong with the arguments of `livepeer-edge`, or `None`.
fn usage_complaint(words: &[String]) -> Option<String> {
    let row = match words[0].as_str() {
        "--version" | "--help" => return None,
        name => match rows().find(|row| row.name == name) {
            Some(row) => row,
            None => return Some(format!("no such command: {name}")),
        },
    };
    let mut options = words.iter().filter_map(|word| word.strip_prefix("--"));
    let is_unknown = |option: &&str| {
        let is_key = row.takes_keys && keys().any(|key| key.name == *option);
        !is_key && row.flags.iter().all(|flag| flag.name != *option)
    };
    options.find(is_unknown).map(|option| format!("{}: no such option: --{option}", row.name))
}

#[test]
fn every_command_of_the_program_exists() {
    assert_true(12, |_, page| {
        let (mut count, mut complaints) = (0, Vec::new());
        for command in commands(page) {
            let command: Vec<String> =
                command.into_iter().skip_while(|word| word == "sudo").collect();
            let words = match command.first().map(String::as_str) {
                Some("livepeer-edge") => &command[1..],
                Some("cargo") if command.get(1).is_some_and(|word| word == "run") => {
                    let at = command.iter().position(|word| word == "--").expect("its arguments");
                    &command[at + 1..]
                }
                _ => continue,
            };
            if !words.is_empty() {
                count += 1;
                complaints.extend(usage_complaint(words));
            }
        }
        (count, complaints)
    });
}

#[test]
fn the_rule_for_commands_catches_wrong_usage() {
    let complaint = |line: &str| {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        usage_complaint(&words)
    };
    assert_eq!(complaint("run --config a.toml --video.fps 15"), None);
    assert!(complaint("watch").is_some() && complaint("run --seconds 5").is_some());
    assert!(complaint("run --video.fbs 15").is_some());
}

#[test]
fn every_option_exists() {
    assert_true(5, |_, page| {
        let names = commands(page).into_iter().filter_map(|words| {
            let name = words[0].strip_prefix("--")?;
            (!["", "version"].contains(&name)).then(|| name.to_owned())
        });
        judge(names.collect(), "no such option", |name| {
            keys().any(|key| key.name == name)
                || rows().any(|row| row.flags.iter().any(|flag| flag.name == name))
        })
    });
}

#[test]
fn every_key_exists() {
    let sections: BTreeSet<&str> = keys().map(|key| key.section()).collect();
    assert_true(20, |_, page| {
        let words = commands(page).into_iter().flatten();
        let named = words.filter(|word| {
            let is_name = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c == '-');
            word.split_once('.')
                .is_some_and(|(section, key)| sections.contains(section) && is_name(key))
        });
        judge(named.collect(), "no such key", |name| keys().any(|key| key.name == name))
    });
}

/// The files of the Debian package: the installed path of each, and its source file.
fn assets() -> Vec<(String, String)> {
    let manifest = read("Cargo.toml");
    let (_, list) = manifest.split_once("\nassets = [\n").expect("the assets");
    let lines = list.lines().take_while(|line| *line != "]");
    let mut assets = Vec::new();
    for line in lines {
        let texts: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        let (source, target) = (texts[0], texts[1]);
        let name = source.rsplit('/').next().expect("a name");
        let file = if target.ends_with('/') { name } else { "" };
        assets.push((format!("/{target}{file}"), source.to_owned()));
    }
    assets
}

#[test]
fn every_file_of_the_project_and_of_the_package_exists() {
    let assets = assets();
    assert_true(20, |_, page| {
        let starts = ["cross/", "src/", "systemd/", "tests/", "/usr/"];
        let words = commands(page).into_iter().flatten();
        let files = words.filter(|word| starts.iter().any(|start| word.starts_with(start)));
        judge(files.collect(), "no such file", |file| match file.starts_with('/') {
            true => assets.iter().any(|(installed, _)| installed == file),
            false => root().join(file).exists(),
        })
    });
}

#[test]
fn every_configuration_is_accepted() {
    assert_true(3, |path, page| {
        let files: Vec<String> = blocks(page)
            .into_iter()
            .filter_map(|(language, text)| (language == "toml").then_some(text))
            .collect();
        judge(files, "refused", |text| {
            let file = Some((path.to_owned(), text.to_owned()));
            resolve(&Layers { file, ..Layers::default() }, Purpose::Demo).is_ok()
        })
    });
}

/// All Rust sources as one text, with strings that continue over several lines joined.
fn sources() -> String {
    let mut folders: Vec<PathBuf> = ["src", "tests"].map(|name| root().join(name)).into();
    let mut all = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                all.push_str(&fs::read_to_string(&path).expect("a text"));
            }
        }
    }
    let lines = all.split("\\\n").map(str::trim_start);
    lines.collect()
}

#[test]
fn every_message_of_the_troubleshooting_table_exists() {
    let readme = read("README.md");
    let (_, section) = readme.split_once("\n## Troubleshooting\n").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("a section behind it");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let first = rows.filter_map(|row| row.split(" | ").next());
    let (sources, mut found) = (sources(), 0);
    for message in first.flat_map(quoted) {
        for part in message.split('…').map(str::trim).filter(|part| !part.is_empty()) {
            found += 1;
            assert!(sources.contains(part), "README.md: no message says: {part}");
        }
    }
    assert!(found > 20, "only {found} parts of messages");
}

#[test]
fn pages_of_the_package_have_no_dead_links() {
    for page in HANDED_OUT {
        let output = Command::new(root().join("cross/handed-out.sh"))
            .arg(root().join(page))
            .output()
            .expect("the script");
        let text = String::from_utf8(output.stdout).expect("a text");
        assert!(output.status.success() && !relative_links(&read(page)).is_empty());
        assert_eq!(relative_links(&text), Vec::<&str>::new(), "{page}");
        let whole = read(page);
        assert_eq!(
            text.matches("](https://").count(),
            whole.matches("](https://").count(),
            "{page}"
        );
        assert_eq!(quoted(&text), quoted(&whole), "{page}");
    }
    let pages: Vec<_> = assets().into_iter().filter(|(to, _)| to.ends_with(".md")).collect();
    assert_eq!(pages.len(), HANDED_OUT.len());
    for (installed, source) in pages {
        assert!(source.starts_with("target/"), "cross/package.sh does not create {installed}");
    }
}
