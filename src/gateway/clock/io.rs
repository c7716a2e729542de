//! Reads this computer's clock, and finds out whether a time source has set it.
//!
//! Every time source (systemd-timesyncd, chrony, ntpd, busybox's ntpd, PTP) reports to the kernel, which answers
//! `adjtimex(2)`. This program does not make that call. std does not offer the call. Of the crates, nix 0.32 and rustix
//! 1.1 lack it, clock-steering 0.2 only sets the clock with it, nc 0.9 needs unsafe code, and rtime-clock 0.15 is a
//! young project of one author that would add six crates. The service's unit forbids the call too (`ProtectClock=`). So
//! another program, which may ask the kernel, is started:
//!
//! | asked | where it is found | whom it asks |
//! |---|---|---|
//! | a file | systemd-timesyncd, from the first synchronisation after boot on | |
//! | `timedatectl` | systemd, which asks for us also where the unit does not let us | the kernel |
//! | `adjtimex` | busybox (Alpine, OpenWrt, Yocto), Debian's package | the kernel |
//! | `chronyc` | chrony | chrony |
//!
//! The sources are tried in this order, and the first answer is used.
//!
//! Does not: wait, or set the clock.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use super::ClockReading;
use super::answer;

/// Exists from the first synchronisation after boot on (systemd-timesyncd.service(8)).
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";

/// Parses a program's output: whether the clock is synchronised.
type OutputParser = fn(&str) -> Option<bool>;

/// The programs, each with its arguments. Debian's `adjtimex` needs `--print`; busybox's prints without it.
const PROGRAMS: [(&str, &[&str], OutputParser); 4] = [
    ("timedatectl", &["show", "--property=NTPSynchronized", "--value"], answer::of_timedatectl),
    ("adjtimex", &["--print"], answer::of_adjtimex),
    ("adjtimex", &[], answer::of_adjtimex),
    ("chronyc", &["-c", "tracking"], answer::of_chronyc),
];

/// The time of day, and whether a time source has set the clock. Call it on a blocking thread: it starts short processes
/// unless systemd-timesyncd has set the clock.
pub fn read_clock() -> ClockReading {
    ClockReading { wall: SystemTime::now(), synchronised: synchronised(Path::new(SYNCHRONISED)) }
}

fn synchronised(file: &Path) -> Option<bool> {
    if file.exists() {
        return Some(true);
    }
    PROGRAMS.iter().find_map(|(program, arguments, read)| ask(program, arguments, *read))
}

/// What `program` reports; `None` if it does not exist or does not know.
fn ask(program: &str, arguments: &[&str], read: OutputParser) -> Option<bool> {
    let mut command = Command::new(program);
    // The parsers expect untranslated output.
    command.args(arguments).env("LC_ALL", "C");
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    read(&String::from_utf8_lossy(&output.stdout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_timesyncd_shows_that_the_clock_is_set() {
        assert_eq!(synchronised(Path::new("/")), Some(true));
    }

    #[test]
    fn a_missing_or_silent_program_reports_nothing() {
        for program in ["/nowhere/timedatectl", "true", "false"] {
            assert_eq!(ask(program, &[], answer::of_timedatectl), None, "{program}");
        }
        assert_eq!(ask("echo", &["yes"], answer::of_timedatectl), Some(true));
        assert_eq!(ask("echo", &["  maxerror: 16000000"], answer::of_adjtimex), Some(false));
    }

    #[test]
    fn the_clock_is_read() {
        assert!(read_clock().wall > SystemTime::UNIX_EPOCH);
    }
}
