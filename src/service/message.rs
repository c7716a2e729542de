//! The messages of `sd_notify(3)`: one assignment a line.
//!
//! Does not: send messages.

use std::time::Duration;

use resilience::sanitize;

/// The most characters of a status: it may contain a message of a peer.
const STATUS_CHARS: usize = 400;

/// A notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notification<'a> {
    /// The start has succeeded.
    Ready,
    /// Extends the time limit of start or stop to this long from now.
    Extend(Duration),
    /// The status line of `systemctl status`.
    Status(&'a str),
    /// Feeds the watchdog.
    Watchdog,
    /// The stop has begun.
    Stopping,
}

impl Notification<'_> {
    /// The text of the datagram.
    pub(super) fn text(self) -> String {
        match self {
            Self::Ready => "READY=1".to_owned(),
            Self::Extend(time) => format!("EXTEND_TIMEOUT_USEC={}", time.as_micros()),
            // A line break would end the assignment.
            Self::Status(text) => format!("STATUS={}", sanitize::line(text, STATUS_CHARS)),
            Self::Watchdog => "WATCHDOG=1".to_owned(),
            Self::Stopping => "STOPPING=1".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: Notification<'_>, expected: &str) {
        assert_eq!(message.text(), expected);
    }

    #[test]
    fn each_message_is_one_assignment() {
        check(Notification::Ready, "READY=1");
        check(Notification::Watchdog, "WATCHDOG=1");
        check(Notification::Stopping, "STOPPING=1");
        check(Notification::Extend(Duration::from_millis(1500)), "EXTEND_TIMEOUT_USEC=1500000");
        check(Notification::Status("live at o.example:8935"), "STATUS=live at o.example:8935");
        check(Notification::Status(""), "STATUS=");
    }

    #[test]
    fn a_status_cannot_smuggle_another_assignment() {
        check(Notification::Status("a\nWATCHDOG=1\r\x1b[2Jb"), "STATUS=a WATCHDOG=1  [2Jb");
        let long = "ü".repeat(1000);
        let expected = format!("STATUS={}…", "ü".repeat(STATUS_CHARS - 1));
        check(Notification::Status(&long), &expected);
    }
}
