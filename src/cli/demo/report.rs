//! The report of a demo: a line each second, a summary, and the verdict.
//!
//! Does not: count.

use std::fmt;
use std::time::Duration;

use sandbox::Violations;

/// Everything counted so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    /// Frames that went into the encoder.
    pub(super) captured: u64,
    /// Access units dropped before the network.
    pub(super) dropped: u64,
    /// Segments that the orchestrator has answered as complete.
    pub(super) segments: u64,
    /// Segments lost on the network.
    pub(super) lost: u64,
    /// Bytes of transport stream.
    pub(super) sent: u64,
    /// Access units that returned.
    pub(super) returned: u64,
    /// Access units that returned before an earlier one.
    pub(super) out_of_order: u64,
    /// The latency from the encoder's input to the last byte received: p50, p95, p99.
    pub(super) latency: [Option<Duration>; 3],
}

impl Counts {
    /// The progress since `before`, a second ago, in one line.
    pub(super) fn line(&self, before: &Self, elapsed: Duration) -> String {
        let rate = |now: u64, then: u64| now.saturating_sub(then);
        format!(
            "{:4} s  {:2} fps  {} segments  {} kbit/s  back {:2} fps  latency {}",
            elapsed.as_secs(),
            rate(self.captured, before.captured),
            self.segments,
            rate(self.sent, before.sent) * 8 / 1000,
            rate(self.returned, before.returned),
            millis(self.latency.first().copied().flatten()),
        )
    }
}

/// The summary of a demo.
#[derive(Debug)]
pub(super) struct DemoReport {
    pub(super) counts: Counts,
    /// Access units that the sandbox received whole.
    pub(super) published: u64,
    pub(super) violations: Violations,
    pub(super) elapsed: Duration,
    /// CPU time of the process, sandbox included.
    pub(super) cpu: Option<Duration>,
    /// Peak memory in KiB, sandbox included.
    pub(super) peak_kib: Option<u64>,
}

impl DemoReport {
    /// An error that names violations and losses, if there were any.
    pub(super) fn verdict(&self) -> Result<(), String> {
        let counts = &self.counts;
        let missing = self.published.saturating_sub(counts.returned);
        let faults: Vec<String> = [
            (self.violations.count(), "violations of the protocol"),
            (counts.dropped, "frames dropped before the network"),
            (counts.lost, "segments lost on the network"),
            (missing, "frames did not come back"),
            (counts.out_of_order, "frames came back out of order"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        match (faults.is_empty(), counts.returned) {
            (true, 0) => Err("no frame came back".to_owned()),
            (true, _) => Ok(()),
            (false, _) => Err(faults.join(", ")),
        }
    }
}

impl fmt::Display for DemoReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        let [p50, p95, p99] = counts.latency.map(millis);
        writeln!(
            f,
            "frames      {} captured, {} published, {} returned, {} dropped",
            counts.captured, self.published, counts.returned, counts.dropped
        )?;
        writeln!(f, "segments    {} published, {} lost", counts.segments, counts.lost)?;
        writeln!(f, "violations  {}", self.violations.count())?;
        for violation in self.violations.list() {
            writeln!(f, "            {violation}")?;
        }
        writeln!(f, "latency     p50 {p50}, p95 {p95}, p99 {p99} (encoder input to subscriber)")?;
        match self.cpu.filter(|_| !self.elapsed.is_zero()) {
            Some(cpu) => writeln!(
                f,
                "CPU         {:.0} % of one core (sandbox included)",
                100.0 * cpu.as_secs_f64() / self.elapsed.as_secs_f64()
            )?,
            None => writeln!(f, "CPU         unknown")?,
        }
        match self.peak_kib {
            Some(kib) => {
                writeln!(f, "memory      {} MiB at its peak (sandbox included)", kib / 1024)
            }
            None => writeln!(f, "memory      unknown"),
        }
    }
}

fn millis(duration: Option<Duration>) -> String {
    duration.map_or_else(|| "-".to_owned(), |d| format!("{:.1} ms", d.as_secs_f64() * 1000.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(published: u64, counts: Counts, expected: Result<(), &str>) {
        let report = DemoReport {
            counts,
            published,
            violations: Violations::default(),
            elapsed: Duration::from_secs(1),
            cpu: None,
            peak_kib: None,
        };
        assert_eq!(report.verdict(), expected.map_err(str::to_owned));
    }

    #[test]
    fn whatever_is_lost_fails_the_demo() {
        let good = || Counts { captured: 10, returned: 10, ..Counts::default() };
        check(10, good(), Ok(()));
        check(10, Counts { returned: 9, ..good() }, Err("1 frames did not come back"));
        check(10, Counts { dropped: 2, ..good() }, Err("2 frames dropped before the network"));
        check(
            10,
            Counts { lost: 1, out_of_order: 1, ..good() },
            Err("1 segments lost on the network, 1 frames came back out of order"),
        );
        check(0, Counts::default(), Err("no frame came back"));
    }
}
