//! The arguments of a small job, and an environment without settings: the start of a program in tests.
//!
//! Does not: start it.

use std::process::Command;

/// The arguments of a small job, so that many run on a small machine.
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

/// Removes from `command` all settings of this environment. Set the test's own variables afterwards.
pub(crate) fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LIVEPEER_EDGE_")) {
        command.env_remove(name);
    }
    command.env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM");
}
