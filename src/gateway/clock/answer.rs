//! Reads what programs say of whether a time source has set this machine's clock.
//!
//! Does not: start them; `io` does.

/// The kernel's flag for a clock that nobody has set, or nobody for long (`STA_UNSYNC` in `linux/timex.h`).
const UNSYNC: u32 = 0x40;

/// `timedatectl show --property=NTPSynchronized --value`.
pub(super) fn of_timedatectl(text: &str) -> Option<bool> {
    match text.trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// `adjtimex`, of busybox and of Debian: among other lines `status: 64`, with or without words behind.
pub(super) fn of_adjtimex(text: &str) -> Option<bool> {
    let status = text.lines().find_map(|line| line.trim().strip_prefix("status:"))?;
    let status: u32 = status.split_whitespace().next()?.parse().ok()?;
    Some(status & UNSYNC == 0)
}

/// `chronyc -c tracking`: values by commas, the last of which is the leap status.
pub(super) fn of_chronyc(text: &str) -> Option<bool> {
    match text.trim().rsplit(',').next()? {
        "Normal" | "Insert second" | "Delete second" => Some(true),
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

    #[test]
    fn adjtimex_tells_the_kernels_status() {
        let busybox = |status: &str| {
            format!(
                "    mode:         0\n-o  offset:       0 us\n    maxerror:     16000000\n    status:       {status}\n-p  timeconstant: 2\n"
            )
        };
        let debian = |status: &str| {
            format!(
                "         mode: 0\n       offset: 0\n       status: {status}\n         tick: 10000\n"
            )
        };
        for (status, expected) in [
            ("64 (UNSYNC)", Some(false)),
            ("1 (PLL)", Some(true)),
            ("0", Some(true)),
            ("8257", Some(false)),
            ("8193", Some(true)),
            ("soon", None),
        ] {
            assert_eq!(of_adjtimex(&busybox(status)), expected, "{status}");
            assert_eq!(of_adjtimex(&debian(status)), expected, "{status}");
        }
        assert_eq!(of_adjtimex("adjtimex: unrecognized option '--print'"), None);
    }

    #[test]
    fn chronyc_says_in_which_state_it_is() {
        let line = |status: &str| {
            format!("A29FC801,162.159.200.1,4,1795.1,0.0000,0.1,0.2,-0.3,64.9,{status}\n")
        };
        for (status, expected) in [
            ("Normal", Some(true)),
            ("Insert second", Some(true)),
            ("Not synchronised", Some(false)),
            ("?", None),
        ] {
            assert_eq!(of_chronyc(&line(status)), expected, "{status}");
        }
        assert_eq!(of_chronyc("506 Cannot talk to daemon"), None);
    }
}
