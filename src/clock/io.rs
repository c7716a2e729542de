//! Looks at this machine's clock and at what systemd says of it.
//!
//! systemd-timesyncd leaves a file once it has set the clock. Other time sources (chrony, ntpd, a GPS) tell the
//! kernel alone, and `timedatectl` asks that.
//!
//! Does not: wait, or set the clock.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use super::Look;

/// There from the first synchronisation after boot on (systemd-timesyncd.service(8)).
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";

/// What the clock says now, and whether a time source has set it. Starts a short process where
/// systemd-timesyncd has not set it: call it off the runtime.
pub fn look() -> Look {
    Look { wall: SystemTime::now(), synchronised: synchronised(Path::new(SYNCHRONISED)) }
}

fn synchronised(file: &Path) -> Option<bool> {
    if file.exists() { Some(true) } else { timedatectl("timedatectl") }
}

/// `NTPSynchronized` as the kernel has it; `None` without systemd.
fn timedatectl(program: &str) -> Option<bool> {
    let mut command = Command::new(program);
    command.args(["show", "--property=NTPSynchronized", "--value"]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    match output.stdout.trim_ascii() {
        b"yes" => Some(true),
        b"no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_that_the_clock_is_set() {
        assert_eq!(synchronised(Path::new("/")), Some(true));
    }

    #[test]
    fn without_systemd_nothing_is_known() {
        assert_eq!(timedatectl("/nowhere/timedatectl"), None);
        assert_eq!(timedatectl("true"), None);
    }

    #[test]
    fn the_clock_is_read() {
        assert!(look().wall > SystemTime::UNIX_EPOCH);
    }
}
