//! Decides when an output of returned video is written, and when it is opened again after a failure.
//!
//! ```text
//!            a segment begins, and the pause is over
//! ┌────────┐ ───────────────────────────────────────▶ ┌──────┐
//! │ Closed │                                          │ Open │
//! └────────┘ ◀─────────────────────────────────────── └──────┘
//!            it cannot be opened or written
//! ```
//!
//! Bytes that arrive while the output is closed are dropped, so a reader always starts at a segment: tables and a key
//! frame. Pauses grow from `FIRST_PAUSE` to `LONGEST_PAUSE`. A pipe without a reader has no pause, so that the next
//! reader gets the next segment.
//!
//! The same rules serve files, pipes and everything else that is opened, written, lost and opened again.
//!
//! Does not: open, write or log; `io::playback` does.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use bytes::Bytes;

use mpegts::{PACKET, SYNC};
use resilience::backoff::Backoff;
use resilience::log_throttle::{LogLine, LogThrottle};

/// The pause after the first failure.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause: after space was freed on a full disk, writing resumes within this time and one segment.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What to do with the next bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Step {
    /// Write them.
    Write,
    /// Open the output, then write them.
    Open,
    /// Drop them.
    Drop,
}

/// The state of one output across failures.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    state: LifecycleState,
    pauses: Backoff,
    failure: LogThrottle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LifecycleState {
    Open,
    /// Stays closed until then.
    Closed {
        until: Option<Instant>,
    },
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

impl Lifecycle {
    /// An output that has not been opened yet.
    pub(crate) const fn new() -> Self {
        Self {
            state: LifecycleState::Closed { until: None },
            pauses: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            failure: LogThrottle::new(),
        }
    }

    /// Call when a segment begins: the previous one is complete unless the output failed. Returns a line to log.
    pub(crate) fn on_segment(&mut self, now: Instant) -> Option<LogLine> {
        if self.state != LifecycleState::Open {
            return None;
        }
        self.pauses.on_success();
        self.failure.on_success(now)
    }

    /// Call with each chunk of bytes; `begins` if a segment begins with it. Do what the result says.
    pub(crate) fn on_bytes(&mut self, begins: bool, now: Instant) -> Step {
        match self.state {
            LifecycleState::Open => Step::Write,
            LifecycleState::Closed { until }
                if begins && until.is_none_or(|until| until <= now) =>
            {
                Step::Open
            }
            LifecycleState::Closed { .. } => Step::Drop,
        }
    }

    /// Call when the path no longer names the open file. The output is opened again with the segment that begins now.
    pub(crate) fn on_moved(&mut self) {
        self.state = LifecycleState::Closed { until: None };
    }

    /// Call when the output has been opened.
    pub(crate) fn on_opened(&mut self) {
        self.state = LifecycleState::Open;
    }

    /// Call when opening or writing failed, with the reason `what`. `jitter` from 0 to 1 spreads the pause. Returns a line
    /// to log.
    pub(crate) fn on_failure(&mut self, what: &str, now: Instant, jitter: f64) -> Option<LogLine> {
        self.state = LifecycleState::Closed { until: Some(now + self.pauses.on_failure(jitter)) };
        self.failure.on_failure(what, now)
    }

    /// Call when the output has no reader; `what` is the text for the log. It is opened with the next segment once a
    /// reader is there. Returns a line to log.
    pub(crate) fn on_no_reader(&mut self, what: &str, now: Instant) -> Option<LogLine> {
        self.state = LifecycleState::Closed { until: None };
        self.failure.on_failure(what, now)
    }
}

/// Aligns chunks to whole TS packets, so that a packet that is cut off (by a full queue or a network failure) does not
/// misalign the packets after it.
#[derive(Debug, Default)]
pub(crate) struct WholePackets {
    /// An incomplete packet.
    rest: Vec<u8>,
    /// The segment is not a transport stream and is passed on unchanged.
    is_other: bool,
}

impl WholePackets {
    /// Takes the next chunk, with which a segment `begins` or continues. Returns the packets that it completes.
    pub(crate) fn take(&mut self, mut bytes: Bytes, begins: bool) -> [Bytes; 2] {
        if begins {
            self.rest.clear();
            self.is_other = bytes.first().is_some_and(|first| *first != SYNC);
        }
        if self.is_other {
            return [Bytes::new(), bytes];
        }
        let mut head = Bytes::new();
        if !self.rest.is_empty() {
            self.rest.extend_from_slice(&bytes.split_to(bytes.len().min(PACKET - self.rest.len())));
            if self.rest.len() == PACKET {
                head = std::mem::take(&mut self.rest).into();
            }
        }
        let rest = bytes.split_off(bytes.len() - bytes.len() % PACKET);
        self.rest.extend_from_slice(&rest);
        [head, bytes]
    }
}

/// Advice for a failure to write returned video.
pub(crate) fn advice(kind: ErrorKind) -> &'static str {
    let row = ADVICE.iter().find(|(kinds, _)| kinds.contains(&kind));
    row.map_or("check it, or name another file in output.path", |(_, advice)| *advice)
}

const ADVICE: &[(&[ErrorKind], &str)] = &[
    (&[ErrorKind::StorageFull, ErrorKind::QuotaExceeded], "make room there"),
    (&[ErrorKind::FileTooLarge], "name another file in output.path"),
    (&[ErrorKind::NotFound], "mount its disk, or make its directory"),
    (
        &[ErrorKind::ReadOnlyFilesystem],
        "mount it for writing, or name it in ReadWritePaths= of the service",
    ),
    (&[ErrorKind::PermissionDenied], "let the agent's user write there"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// `s` begins a segment, `.` continues one; after the letter, what became of it: `w` written, `o` opened and
    /// written, `-` dropped, `x` failed on write, `X` failed on opening, `n` no reader. A number waits so many ms.
    #[track_caller]
    fn check(story: &str, expected: &[&str]) {
        let start = Instant::now();
        let mut now = start;
        let mut life = Lifecycle::new();
        let mut lines = Vec::new();
        for word in story.split_whitespace() {
            if let Ok(ms) = word.parse() {
                now += Duration::from_millis(ms);
                continue;
            }
            let begins = word.starts_with('s');
            let mut due = begins.then(|| life.on_segment(now)).flatten();
            let step = match &word[1..] {
                "w" | "x" => Step::Write,
                "o" | "X" | "n" => Step::Open,
                _ => Step::Drop,
            };
            assert_eq!(life.on_bytes(begins, now), step, "{word} of {story}");
            due = due.or(match &word[1..] {
                "o" => {
                    life.on_opened();
                    None
                }
                "x" | "X" => life.on_failure("it is full", now, 1.0),
                "n" => life.on_no_reader("it has no reader", now),
                _ => None,
            });
            let at = now.duration_since(start).as_millis();
            lines.extend(due.map(|line| format!("{at}: {line}")));
        }
        assert_eq!(lines, expected, "{story}");
    }

    #[test]
    fn an_output_is_opened_and_written() {
        check("so .w .w sw .w", &[]);
    }

    #[test]
    fn a_failure_drops_the_rest_of_its_segment_and_is_reported_once_with_its_end() {
        check(
            "so .x .- 1000 so .w 1000 sw .w",
            &["0: it is full", "2000: recovered after 2 s, 1 attempt"],
        );
    }

    #[test]
    fn the_pauses_grow_and_a_whole_segment_ends_them() {
        check(
            "so .x 499 s- .- 1 sX 999 s- 1 sX 1999 s- 1 so .w 5000 sw .w 9000 sx 499 s- 1 so",
            &["0: it is full", "8500: recovered after 8 s, 3 attempts", "17500: it is full"],
        );
    }

    #[test]
    fn a_pipe_is_written_with_the_next_segment_that_finds_a_reader() {
        check(
            "sn .- 1 sn .- 1 so .w 1 sw",
            &["0: it has no reader", "3: recovered after 0 s, 2 attempts"],
        );
    }

    /// Feeds chunks of these sizes, and gives the sizes of what is written of each.
    fn cut(first: u8, sizes: &[(usize, bool)]) -> Vec<usize> {
        let mut packets = WholePackets::default();
        let take = |(size, begins): &(usize, bool)| {
            packets.take(Bytes::from(vec![first; *size]), *begins).iter().map(Bytes::len).sum()
        };
        sizes.iter().map(take).collect()
    }

    #[test]
    fn only_whole_packets_are_written() {
        assert_eq!(cut(SYNC, &[(188, true), (376, false)]), [188, 376]);
        assert_eq!(
            cut(SYNC, &[(100, true), (88, false), (189, false), (187, false)]),
            [0, 188, 188, 188]
        );
        assert_eq!(cut(SYNC, &[(1, true); 3]), [0, 0, 0]);
        // The rest of a packet that never came.
        assert_eq!(cut(SYNC, &[(200, true), (188, true), (0, false)]), [188, 188, 0]);
    }

    #[test]
    fn bytes_that_are_not_a_transport_stream_pass_unchanged() {
        assert_eq!(cut(0x1a, &[(5, true), (7, false)]), [5, 7]);
    }

    #[test]
    fn packets_keep_their_bytes() {
        let stream: Vec<u8> =
            (0..188 * 50).map(|n| if n % 188 == 0 { SYNC } else { n as u8 }).collect();
        for size in [1, 7, 187, 188, 189, 500, 9400] {
            let mut packets = WholePackets::default();
            let mut out = Vec::new();
            for (n, chunk) in stream.chunks(size).enumerate() {
                let parts = packets.take(Bytes::copy_from_slice(chunk), n == 0);
                parts.iter().for_each(|part| {
                    assert_eq!(part.len() % 188, 0);
                    out.extend_from_slice(part);
                });
            }
            assert_eq!(out, stream, "{size}");
        }
    }
}
