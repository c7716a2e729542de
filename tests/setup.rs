//! The command `setup` at a terminal: it asks questions, and writes a configuration that `run` accepts. If the terminal
//! closes before the last answer, no file is written.
//!
//! The program `script` of Debian's package bsdutils provides the terminal; `cross/setup.sh` installs it.
//!
//! Does not: use the cameras of this computer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test may panic and print"
)]

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_livepeer-edge");

fn path(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_file(&path);
    path
}

/// Runs `setup`, answers each question when it appears, and closes the terminal after the last answer. Returns the text
/// on the screen and the exit code.
fn talk(arguments: &str, answers: &[(&str, &str)]) -> (String, Option<i32>) {
    // If a question does not appear within a minute, the test fails with the text on the screen.
    let mut child: Child = Command::new("timeout")
        .args(["--foreground", "60", "script"])
        .args(["-qec", &format!("'{BINARY}' setup {arguments}"), "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script, which cross/setup.sh installs");
    let mut keyboard = child.stdin.take().unwrap();
    let mut screen = child.stdout.take().unwrap();
    let (mut shown, mut from) = (String::new(), 0);
    for (question, answer) in answers {
        let mut byte = [0];
        while !shown.get(from..).unwrap_or_default().ends_with(question) {
            assert_eq!(screen.read(&mut byte).unwrap(), 1, "{question} is not asked: {shown}");
            shown.push(char::from(byte[0]));
        }
        from = shown.len();
        writeln!(keyboard, "{answer}").unwrap();
    }
    drop(keyboard);
    let mut rest = Vec::new();
    screen.read_to_end(&mut rest).unwrap();
    shown.push_str(&String::from_utf8_lossy(&rest));
    (shown, child.wait().unwrap().code())
}

#[test]
fn the_answers_to_six_questions_make_a_valid_configuration() {
    let path = path("setup-asked.toml");
    let (shown, code) = talk(
        &format!("--config '{}'", path.display()),
        &[
            ("]: ", "webcam"),
            ("]: ", "test"),
            ("comma-separated: ", "http://o.example"),
            ("comma-separated: ", "o.example"),
            ("Model: ", ""),
            ("Model: ", "noop"),
            ("nothing: ", "signer.example"),
            ("no limit: ", "5 wei per 720p-pixel-second"),
            ("nothing: ", "/tmp/processed.ts"),
        ],
    );
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("auto  the first that works"), "{shown}");
    assert!(shown.contains("is written. To use it:"), "{shown}");
    let text = fs::read_to_string(&path).unwrap();
    let settings: Vec<&str> = text.lines().filter(|line| line.contains(" = ")).collect();
    let expected = [
        "kind = \"test\"",
        "urls = [\"o.example\"]",
        "model = \"noop\"",
        "urls = [\"signer.example\"]",
        "max-price = \"5 wei per 720p-pixel-second\"",
        "path = \"/tmp/processed.ts\"",
    ];
    assert_eq!(settings, expected);
    let checked = Command::new(BINARY).arg("check-config").arg(&path).env_clear().output().unwrap();
    assert!(checked.status.success(), "{checked:?}");

    // An existing configuration is not replaced, and no question is asked.
    let (shown, code) = talk(&format!("--config '{}'", path.display()), &[]);
    assert_eq!(code, Some(2), "{shown}");
    assert!(shown.contains("--existing replace") && !shown.contains("Model"), "{shown}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn if_the_terminal_closes_early_no_configuration_is_written() {
    let path = path("setup-left.toml");
    let arguments = format!("--config '{}' --source test", path.display());
    let (shown, code) = talk(&arguments, &[("comma-separated: ", "o.example")]);
    assert_eq!(code, Some(2), "{shown}");
    assert!(
        shown.contains("error: not all questions were answered; nothing was written"),
        "{shown}"
    );
    assert!(!path.exists());
}
