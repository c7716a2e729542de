//! Failures of real links: lost links, changed addresses, names that do not resolve, uplinks too narrow for the video.
//!
//! `cargo test --release --test links -- --nocapture` runs this table, as root; arguments after `--` choose rows, and
//! `LONG=1` includes the rows that take ten minutes. The agent runs in its own network namespace, and a program between
//! two TUN interfaces delays, drops and counts the agent's packets.
//!
//! Does not: need `sch_netem` in the kernel, or change the computer's own network.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic and print"
)]

mod link;
mod lost;
mod names;
mod narrow;
#[path = "../rig/mod.rs"]
mod rig;

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// The environment variable that is set if this process already runs in its own namespaces.
const INSIDE: &str = "EDGE_LINKS_INSIDE";

fn main() -> ExitCode {
    if std::env::var_os(INSIDE).is_some() {
        prepare();
        let rows = [lost::ROWS, narrow::ROWS].concat();
        return rig::table::play("links", &rows, "links");
    }
    if let Some(missing) = missing() {
        println!("links: failed: {missing}");
        return ExitCode::FAILURE;
    }
    let mut inside = Command::new("unshare");
    inside.args(["--net", "--mount", "--kill-child", "--fork"]);
    inside.arg(std::env::current_exe().unwrap()).args(std::env::args_os().skip(1));
    let done = inside.env(INSIDE, "1").status().unwrap();
    done.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// What this computer lacks to run the table; `None` if nothing.
fn missing() -> Option<&'static str> {
    let works = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !works("unshare", &["--net", "--mount", "true"]) {
        return Some("needs root, to create network namespaces");
    }
    if !Path::new("/dev/net/tun").exists() {
        return Some("needs /dev/net/tun");
    }
    if !works("ip", &["-V"]) || !works("python3", &["-V"]) {
        return Some("needs iproute2 and python3");
    }
    None
}

/// Mounts empty directories for network namespaces, so that names cannot clash with those of the system.
fn prepare() {
    for folder in ["/run/netns", "/etc/netns"] {
        std::fs::create_dir_all(folder).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "tmpfs", folder]).status();
        assert!(mounted.unwrap().success(), "{folder}");
    }
    link::ip("link set lo up");
}
