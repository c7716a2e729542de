//! Parses CPU time and memory of this process from `/proc/self`.
//!
//! Does not: read files; the caller passes their texts.

use std::time::Duration;

/// CPU time in `/proc/self/stat` counts in 1/100 s on every Linux (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

/// CPU time, user and system, from the text of `/proc/self/stat`.
pub(super) fn cpu(stat: &str) -> Option<Duration> {
    // The second field is a name in parentheses with any characters; fields 14 and 15 are needed.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * (1000 / TICKS_PER_SECOND)))
}

/// A line of `/proc/self/status` in its own unit: `VmHWM` (peak memory) in KiB, `Threads`.
pub(super) fn status(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_from_what_the_kernel_writes() {
        let stat = "7 (a) b) R 1 7 7 0 -1 4194304 100 0 0 0 150 25 0 0 20 0 1 0 5 6 7";
        assert_eq!(cpu(stat), Some(Duration::from_millis(1750)));
        assert_eq!(cpu("7 (a R 1"), None);
        let text = "Name:\tx\nVmHWM:\t   51200 kB\nThreads:\t9\n";
        assert_eq!(status(text, "VmHWM"), Some(51_200));
        assert_eq!(status(text, "Threads"), Some(9));
        assert_eq!(status(text, "Vm"), None);
    }
}
