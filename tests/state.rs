//! A state directory that fails: not writable, disk full, corrupt files. The agent continues without the directory,
//! warns once for each file, and renames corrupt files.
//!
//! Does not: test the format of each file; unit tests do.
#![cfg(feature = "sandbox")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod edge;
mod peer;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use edge::{Edge, Ended, LIMIT, SMALL, temporary};
use peer::{Peer, json, text};
use sandbox::{Handle, Options, Sandbox};
use serde_json::json;

const FILES: [&str; 3] = ["certificates", "encoders", "orchestrators"];

/// Starts an agent that ends if discovery finds no orchestrator.
fn start(state: &Path, discovery: &str) -> Edge {
    let job = ["run", "--discovery.url", discovery, "--job.model", "m", "--job.on-loss", "exit"];
    let state = ["--state.directory", state.to_str().unwrap()];
    Edge::start(&[&job[..], &SMALL, &state].concat())
}

/// A discovery endpoint that lists this orchestrator.
async fn discovery(sandbox: &Handle) -> Peer {
    let list = json!([{ "address": sandbox.url() }]);
    Peer::start(move |_| json(200, &list)).await
}

/// Runs a job until it is live, or, with `changes`, until it has accepted a changed certificate. Then stops the agent.
async fn run(state: &Path, changes: bool) -> Ended {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    let discovery = discovery(&sandbox).await;
    let mut edge = start(state, &discovery.url.to_string());
    assert!(sandbox.until(LIMIT, |record| record.counters.segments > 0).await);
    if changes {
        sandbox.change_certificate().unwrap();
        edge.hear("certificate changed from");
    }
    edge.signal("TERM");
    edge.end().with_code(0)
}

/// The warnings that name this file.
fn warnings<'a>(ended: &'a Ended, file: &Path) -> Vec<&'a str> {
    let name = format!(" {}: ", file.display());
    ended.stderr.lines().filter(|l| l.starts_with("WARN") && l.contains(&name)).collect()
}

#[track_caller]
fn check_warned_once(ended: &Ended, state: &Path, file: &str, words: &str) {
    let lines = warnings(ended, &state.join(file));
    let [line] = lines[..] else { panic!("{file}: {lines:?}:\n{}", ended.stderr) };
    assert!(line.contains(words), "{line}");
}

#[tokio::test]
async fn an_unwritable_state_directory_is_a_warning_once_for_each_file() {
    let no_directory = temporary("no-directory");
    fs::write(&no_directory, "").unwrap();
    let state = no_directory.join("state");
    let ended = run(&state, true).await;
    for file in FILES {
        check_warned_once(&ended, &state, file, " cannot be written (Not a directory");
    }
}

#[tokio::test]
async fn a_full_disk_is_a_warning_once_for_each_file() {
    let state = temporary("full");
    fs::create_dir_all(&state).unwrap();
    for file in FILES {
        // Every write to `/dev/full` fails like a write to a full disk.
        symlink("/dev/full", state.join(file).with_extension("new")).unwrap();
    }
    let ended = run(&state, true).await;
    for file in FILES {
        check_warned_once(&ended, &state, file, " cannot be written (No space left on device");
    }
    // The new file is written to the disk again when the certificate changes.
    assert!(ended.stderr.contains("certificates: written again"), "{}", ended.stderr);
    assert!(state.join("certificates").is_file());
}

#[tokio::test]
async fn corrupt_files_are_renamed_and_created_again() {
    let state = temporary("torn");
    run(&state, false).await;
    let whole = FILES.map(|file| fs::read(state.join(file)).unwrap());
    let tear = |name, whole: &[u8]| match name {
        "garbage" => b"\0\xff\x1b[2J\n\n\xfe torn".to_vec(),
        "half" => whole[..whole.len() / 2].to_vec(),
        _ => Vec::new(),
    };
    for name in ["garbage", "half", "empty"] {
        for (file, whole) in FILES.iter().zip(&whole) {
            fs::write(state.join(file), tear(name, whole)).unwrap();
            let _ = fs::remove_file(state.join(file).with_extension("torn"));
        }
        let ended = run(&state, false).await;
        for (file, whole) in FILES.iter().zip(&whole) {
            let aside = state.join(file).with_extension("torn");
            // An empty file is valid, and the list of orchestrators is read only if discovery fails.
            if name != "empty" && *file != "orchestrators" {
                check_warned_once(&ended, &state, file, "; renamed to ");
                assert_eq!(fs::read(aside).unwrap(), tear(name, whole));
            } else {
                assert!(warnings(&ended, &state.join(file)).is_empty() && !aside.exists());
            }
            assert!(!fs::read(state.join(file)).unwrap().is_empty(), "{name} {file}");
        }
    }
}

#[tokio::test]
async fn a_corrupt_list_is_not_used_when_discovery_fails() {
    let down = Peer::start(|_| text(500, "")).await;
    for torn in ["", "[", "\0\u{1b}[2J", "0123456789\n[]"] {
        let state = temporary("list");
        fs::create_dir_all(&state).unwrap();
        fs::write(state.join("orchestrators"), torn).unwrap();
        let edge = start(&state, &down.url.to_string());
        let ended = tokio::task::spawn_blocking(|| edge.end()).await.unwrap().with_code(1);
        check_warned_once(&ended, &state, "orchestrators", "; renamed to ");
        assert!(ended.error().contains("gave status 500"), "{}", ended.error());
        assert_eq!(fs::read_to_string(state.join("orchestrators.torn")).unwrap(), torn);
    }
}
