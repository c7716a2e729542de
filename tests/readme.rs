//! The commands that the README names exist.
//!
//! Does not: run them; `cross/readme.sh` does.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// The words of all commands in the README: of its code blocks, and between backticks in its text.
fn commands(readme: &str) -> Vec<Vec<&str>> {
    let mut commands = Vec::new();
    let mut in_block = false;
    for line in readme.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            commands.extend(line.split("&&").map(|command| command.split_whitespace().collect()));
        } else {
            let quoted = line.split('`').skip(1).step_by(2);
            commands.extend(quoted.map(|command| command.split_whitespace().collect::<Vec<_>>()));
        }
    }
    commands
}

#[test]
fn every_script_is_there_and_can_be_run() {
    use std::os::unix::fs::PermissionsExt;
    let (readme, mut found) = (readme(), 0);
    for command in commands(&readme) {
        for word in command {
            if !word.ends_with(".sh") || !word.contains('/') {
                continue;
            }
            found += 1;
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(word);
            let mode = fs::metadata(&path).map(|file| file.permissions().mode()).unwrap_or(0);
            assert!(mode & 0o111 != 0, "README.md names {word}, which cannot be run");
        }
    }
    assert!(found > 10, "the README names only {found} scripts");
}

#[test]
fn every_test_that_cargo_is_asked_for_is_there() {
    let (readme, mut found) = (readme(), 0);
    for command in commands(&readme) {
        let named = command.windows(2).filter(|pair| pair.first() == Some(&"--test"));
        for name in named.filter_map(|pair| pair.last()) {
            found += 1;
            let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
            let is_there = tests.join(format!("{name}.rs")).exists()
                || tests.join(name).join("main.rs").exists();
            assert!(is_there, "README.md names the test {name}, which is not there");
        }
    }
    assert!(found >= 3, "the README names only {found} tests");
}
