//! Looks at this machine's clock, and asks who may know whether a time source has set it.
//!
//! The kernel knows (`adjtimex(2)`): every time source reports to it, be it systemd-timesyncd, chrony, ntpd, that of
//! busybox, or PTP. The call itself is not made. std has none, and of the crates, nix 0.32 and rustix 1.1 do not have
//! it, clock-steering 0.2 only sets with it, that of nc 0.9 is unsafe, and rtime-clock 0.15 is a young project of one
//! author, which would bring six crates. Our own unit forbids it too, with the calls that set the clock
//! (`ProtectClock=`). So a program is asked that may ask the kernel:
//!
//! | asked | where it is found | whom it asks |
//! |---|---|---|
//! | a file | systemd-timesyncd, from the first synchronisation after boot on | |
//! | `timedatectl` | systemd, which asks for us also where the unit does not let us | the kernel |
//! | `adjtimex` | busybox (Alpine, OpenWrt, Yocto), Debian's package | the kernel |
//! | `chronyc` | chrony | chrony |
//!
//! The first that knows is believed.
//!
//! Does not: wait, or set the clock.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use super::ClockReading;
use super::answer;

/// There from the first synchronisation after boot on (systemd-timesyncd.service(8)).
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";

/// Reads whether the clock is synchronised out of what a program says.
type Read = fn(&str) -> Option<bool>;

/// The programs, each with its arguments. Debian's `adjtimex` wants to be told to print, that of busybox does nothing
/// else.
const PROGRAMS: [(&str, &[&str], Read); 4] = [
    ("timedatectl", &["show", "--property=NTPSynchronized", "--value"], answer::of_timedatectl),
    ("adjtimex", &["--print"], answer::of_adjtimex),
    ("adjtimex", &[], answer::of_adjtimex),
    ("chronyc", &["-c", "tracking"], answer::of_chronyc),
];

/// What the clock says now, and whether a time source has set it. Starts short processes where systemd-timesyncd has
/// not set it: call it off the runtime.
pub fn read_clock() -> ClockReading {
    ClockReading { wall: SystemTime::now(), synchronised: synchronised(Path::new(SYNCHRONISED)) }
}

fn synchronised(file: &Path) -> Option<bool> {
    if file.exists() {
        return Some(true);
    }
    PROGRAMS.iter().find_map(|(program, arguments, read)| ask(program, arguments, *read))
}

/// What `program` knows; `None` where it is not there, or does not know.
fn ask(program: &str, arguments: &[&str], read: Read) -> Option<bool> {
    let mut command = Command::new(program);
    // Words and numbers as they are looked for.
    command.args(arguments).env("LC_ALL", "C");
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    read(&String::from_utf8_lossy(&output.stdout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_that_the_clock_is_set() {
        assert_eq!(synchronised(Path::new("/")), Some(true));
    }

    #[test]
    fn a_program_that_is_not_there_or_says_nothing_knows_nothing() {
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
