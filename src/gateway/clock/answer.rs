//! Parses the output of programs that report whether a time source has set this computer's clock.
//!
//! Does not: start these programs; `io` does.

/// The error of a clock, in microseconds, from which on the kernel reports the clock as not synchronised
/// (`NTP_PHASE_LIMIT` in `linux/timex.h`). The error is set by the time source and grows by 500 µs a second.
///
/// The flag `STA_UNSYNC` cannot be used: without `rtcsync` in its configuration, chrony leaves the flag set on purpose,
/// because the flag also keeps the kernel from writing the battery clock.
const UNSYNCHRONISED: u64 = 16_000_000;
/// The reference ID, in hexadecimal digits, of a chrony that serves its own clock (`local`): 127.127.1.1.
const OWN_CLOCK: &str = "7F7F0101";

/// Reads the output of `timedatectl show --property=NTPSynchronized --value`.
pub(super) fn of_timedatectl(text: &str) -> Option<bool> {
    match text.trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// Reads the output of `adjtimex`, of busybox and of Debian. It has a line such as `maxerror: 16000000`.
pub(super) fn of_adjtimex(text: &str) -> Option<bool> {
    let error = text.lines().find_map(|line| line.trim().strip_prefix("maxerror:"))?;
    let error: u64 = error.trim().parse().ok()?;
    Some(error < UNSYNCHRONISED)
}

/// Reads the output of `chronyc -c tracking`: comma-separated values, the first of which is the reference ID and the
/// last the leap status.
pub(super) fn of_chronyc(text: &str) -> Option<bool> {
    let mut values = text.trim().split(',');
    let reference = values.next()?;
    match values.next_back()? {
        "Normal" | "Insert second" | "Delete second" => Some(reference != OWN_CLOCK),
        "Not synchronised" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timedatectl_says_yes_or_no() {
        for (text, expected) in
            [("yes\n", Some(true)), ("no\n", Some(false)), ("", None), ("n/a", None)]
        {
            assert_eq!(of_timedatectl(text), expected, "{text}");
        }
    }

    /// The output of the programs on Debian 12 (chrony 4.3, adjtimex 1.29, busybox 1.35). A file is named after the
    /// state of the clock: `unset` since boot; set by `chrony` with or without `rtcsync`; chrony without a reachable
    /// server (`alone`); chrony that serves its own clock (`local`).
    macro_rules! printed {
        ($name:literal) => {
            include_str!(concat!("../../../tests/fixtures/clock/", $name, ".txt"))
        };
    }

    #[test]
    fn adjtimex_reports_the_maximum_error() {
        for (text, expected) in [
            (printed!("adjtimex-unset"), Some(false)),
            (printed!("adjtimex-chrony"), Some(true)),
            (printed!("adjtimex-chrony-rtcsync"), Some(true)),
            (printed!("adjtimex-chrony-local"), Some(false)),
            (printed!("busybox-adjtimex-unset"), Some(false)),
            (printed!("busybox-adjtimex-chrony"), Some(true)),
            (printed!("busybox-adjtimex-chrony-rtcsync"), Some(true)),
            (printed!("busybox-adjtimex-chrony-local"), Some(false)),
            (" maxerror: 15999999\n", Some(true)),
            (" maxerror: soon\n", None),
            ("adjtimex: unrecognized option '--print'", None),
            ("", None),
        ] {
            assert_eq!(of_adjtimex(text), expected, "{text}");
        }
    }

    #[test]
    fn chronyc_reports_whether_a_source_is_followed() {
        let line = |status: &str| format!("A29FC801,162.159.200.1,4,1795.1,0.0,64.9,{status}\n");
        for (text, expected) in [
            (printed!("chronyc-unset"), None),
            (printed!("chronyc-chrony-alone"), Some(false)),
            (printed!("chronyc-chrony"), Some(true)),
            (printed!("chronyc-chrony-rtcsync"), Some(true)),
            (printed!("chronyc-chrony-local"), Some(false)),
            (&line("Insert second"), Some(true)),
            (&line("Delete second"), Some(true)),
            (&line("?"), None),
            ("Normal", None),
        ] {
            assert_eq!(of_chronyc(text), expected, "{text}");
        }
    }
}
