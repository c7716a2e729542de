//! The completion scripts in real shells: bash completes lines; zsh and fish, if installed, parse their scripts.
//!
//! Does not: simulate keys; the completion function is called with the words of a line.
#![allow(clippy::expect_used, reason = "a test may panic")]

mod skip;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use livepeer_edge::cli::{Shell, completions, rows};
use skip::skip;

/// What bash offers for the last of `words`, which may be the beginning of a word.
fn bash(words: &[&str]) -> Vec<String> {
    let script = "eval \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _livepeer_edge; \
                  printf '%s\\n' \"${COMPREPLY[@]}\"";
    let output = Command::new("bash")
        .args(["--norc", "-u", "-c", script, "bash", &completions(Shell::Bash)])
        .args(words)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("bash");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{words:?}: {errors}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[track_caller]
fn check(words: &[&str], expected: &[&str]) {
    let line = [&["livepeer-edge"], words].concat();
    assert_eq!(bash(&line), expected, "{words:?}");
}

#[test]
fn bash_completes_commands_options_and_values() {
    check(&["dis"], &["discover"]);
    check(&["--v"], &["--version"]);
    check(&["run", "--conf"], &["--config"]);
    check(&["devices", "--js"], &["--json"]);
    check(&["run", "--js"], &[]);
    check(&["run", "--video.fp"], &["--video.fps"]);
    check(&["sandbox", "--video"], &[]);
    check(&["run", "--log.level", "de"], &["debug"]);
    check(&["run", "--video.fps", ""], &[]);
    check(&["run", "--source.repeat", ""], &["true", "false"]);
    check(&["setup", "--existing", "re"], &["replace"]);
    check(&["completions", "z"], &["zsh"]);
    check(&["help", "check-"], &["check-config"]);
    check(&["trust", "f"], &["forget"]);
    check(&["no-such-command", ""], &[]);
}

#[test]
fn bash_completes_files_where_a_file_is_wanted() {
    check(&["run", "--config", "READ"], &["README.md"]);
    check(&["check-config", "READ"], &["README.md"]);
    check(&["check-config", "--job.mod"], &["--job.model"]);
    check(&["run", "--source.path", "READ"], &["README.md"]);
    check(&["run", "READ"], &[]);
}

#[test]
fn bash_offers_every_command_and_its_help() {
    let all = bash(&["livepeer-edge", ""]);
    for row in rows() {
        assert!(all.iter().any(|word| word == row.name), "{}", row.name);
        assert!(bash(&["livepeer-edge", row.name, "--he"]).contains(&"--help".to_owned()));
    }
}

/// Asserts that `shell` finds no syntax error in its script.
#[track_caller]
fn check_syntax(shell: &str, script: Shell) {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("completion.{shell}"));
    std::fs::write(&path, completions(script)).expect("a writable target directory");
    let read = Command::new(shell).arg("-n").arg(&path).stdin(Stdio::null()).output();
    match read {
        Ok(output) => {
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && errors.is_empty(), "{shell}: {errors}");
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            skip(&format!("needs {shell}: apt install {shell}"));
        }
        Err(error) => panic!("{shell}: {error}"),
    }
}

#[test]
fn bash_parses_its_script() {
    check_syntax("bash", Shell::Bash);
}

#[test]
fn zsh_parses_its_script() {
    check_syntax("zsh", Shell::Zsh);
}

#[test]
fn fish_parses_its_script() {
    check_syntax("fish", Shell::Fish);
}
