//! Evaluates the measurements of a soak: the resources of the process over time, and the times of recovery.
//!
//! Growth is the difference between the medians of the first and the last fifth of the time after the warm-up, so that
//! a single sample has no effect.
//!
//! Does not: take samples.

use std::process::ExitCode;
use std::time::Duration;

use crate::rig::program::Holds;

/// The highest allowed growth of memory in an hour: 2 MB.
const KIB_PER_HOUR: f64 = 2_000_000.0 / 1024.0;
/// Growth by this many threads or descriptors is within the random variation, and is allowed.
const CHANCE: u64 = 2;

/// The measurements so far.
pub(crate) struct Figures {
    warm_up: Duration,
    held: Vec<(Duration, Holds)>,
    recoveries: Vec<(Duration, String)>,
}

impl Figures {
    /// Creates an empty set of measurements for a soak of this duration. The warm-up is the first tenth of the soak,
    /// but at most ten minutes.
    pub(crate) fn new(time: Duration) -> Self {
        let warm_up = (time / 10).min(Duration::from_secs(600));
        Self { warm_up, held: Vec::new(), recoveries: Vec::new() }
    }

    /// Adds a sample.
    pub(crate) fn add(&mut self, at: Duration, holds: Holds) {
        self.held.push((at, holds));
    }

    /// Adds the recovery time of a fault.
    pub(crate) fn recovered(&mut self, fault: &str, after: Duration) {
        self.recoveries.push((after, fault.to_owned()));
    }

    /// Prints the measurements. Returns whether the growth is within its limits.
    pub(crate) fn tell(mut self) -> ExitCode {
        self.recoveries.sort();
        let after = |share: f64| {
            let at = (self.recoveries.len() as f64 * share) as usize;
            self.recoveries.get(at).map_or(0.0, |(after, _)| after.as_secs_f64())
        };
        println!(
            "
{} faults; time from the end of a fault to frames: p50 {:.2} s, p90 {:.2} s",
            self.recoveries.len(),
            after(0.5),
            after(0.9)
        );
        for (after, fault) in self.recoveries.iter().rev().take(3) {
            println!("  slowest {:.2} s: {fault}", after.as_secs_f64());
        }
        let held: Vec<_> = self.held.iter().filter(|(at, _)| *at >= self.warm_up).collect();
        let fifth = held.len() / 5;
        if fifth == 0 {
            println!("too short to measure growth");
            return ExitCode::SUCCESS;
        }
        let (first, last) = (&held[..fifth], &held[held.len() - fifth..]);
        let between = (last[fifth / 2].0 - first[fifth / 2].0).as_secs_f64() / 3600.0;
        let median = |part: &[&(Duration, Holds)], of: fn(&Holds) -> u64| {
            let mut values: Vec<u64> = part.iter().map(|(_, holds)| of(holds)).collect();
            values.sort_unstable();
            values[values.len() / 2]
        };
        let mut passes = true;
        for (name, of, unit) in [
            ("memory", (|holds| holds.rss) as fn(&Holds) -> u64, "KiB"),
            ("threads", |holds| holds.threads, ""),
            ("descriptors", |holds| holds.fds, ""),
        ] {
            let (from, to) = (median(first, of), median(last, of));
            let growth = (to as f64 - from as f64) / between;
            let most = held.iter().map(|(_, holds)| of(holds)).max().unwrap_or_default();
            let is_good = match name {
                "memory" => growth <= KIB_PER_HOUR,
                _ => to <= from + CHANCE,
            };
            passes &= is_good;
            let word = if is_good { "" } else { "  GROWS" };
            println!("{name}: {from} → {to} {unit}, {growth:+.0} an hour, at most {most}{word}");
        }
        println!("{}", if passes { "passed" } else { "FAILED: it grows" });
        if passes { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
