//! Helps tests to start the program: the arguments of a small job, and an environment without settings of the program.
//!
//! Does not: start the program.

use std::process::Command;

/// The arguments of a job with a small picture, so that several tests can run at a time.
pub(crate) const SMALL: [&str; 8] = [
    "--video.width",
    "320",
    "--video.height",
    "180",
    "--video.segment",
    "1s",
    "--encoder.speed",
    "ultrafast",
];

/// Removes the program's settings in this process's environment from `command`. Set variables of the test afterwards.
pub(crate) fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LIVEPEER_EDGE_")) {
        command.env_remove(name);
    }
    command.env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM");
}
