//! Follows the data budget: counts bytes, limits the bitrate while the budget is nearly spent, and forbids jobs while it
//! is spent.
//!
//! | `network.interface` | what is counted |
//! |---|---|
//! | not set | what this program's own connections carry, with 6 % for TLS, TCP and IP |
//! | names | what the kernel counts on these interfaces, of all programs and in both directions |
//!
//! Bytes are counted only while there is a budget and the program runs.
//!
//! Does not: decide the bitrate; `traffic` does.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::agent::spending::{SpendingReport, hold, publish};
use crate::agent::traffic::{TrafficRate, bitrate_limit};
use crate::agent::wanted::Hold;
use crate::agent::{Change, Control, ControlError};
use crate::events::Bus;
use livepeer_gateway::budget::io::Purse;
use livepeer_gateway::budget::{BudgetUse, Level};
use livepeer_gateway::http::io::Traffic;
use media::io::AccessUnits;
use resilience::ledger::Item;

/// How often bytes are counted.
const COUNT_EVERY: Duration = Duration::from_secs(2);
/// The kernel's directory of interfaces.
const INTERFACES: &str = "/sys/class/net";
/// The name of what the program's own connections carry.
const OWN: &str = "livepeer-edge";
/// The smallest relative change of the bitrate's limit that is passed on.
const MIN_CHANGE: f64 = 0.05;

/// The interfaces to count; empty for the program's own connections.
pub type Interfaces = Vec<String>;

/// What the loop steers.
#[derive(Debug)]
pub struct Steered<'a> {
    /// Forbids jobs.
    pub control: &'a Control,
    /// Takes the limit of the bitrate.
    pub changes: &'a mpsc::Sender<Change>,
    /// Takes the events.
    pub bus: &'a Bus,
    /// Knows the encoder's bitrate.
    pub units: &'a AccessUnits,
}

/// Counts bytes in `purse` and follows its budget; ends only with the agent.
pub async fn follow_data(
    purse: &Purse,
    interfaces: &mut watch::Receiver<Interfaces>,
    steered: Steered<'_>,
) -> Infallible {
    let mut following = Following::default();
    loop {
        let names = interfaces.borrow_and_update().clone();
        following.count(purse, &names).await;
        if following.steer(purse.budget_use(), &steered).await.is_err() {
            // The agent has ended, and this program does too.
            return std::future::pending().await;
        }
        // An error means that the configuration does not change any more.
        let _ = timeout(COUNT_EVERY, interfaces.changed()).await;
    }
}

/// What was counted, published and set so far.
#[derive(Debug, Default)]
struct Following {
    counted: Counted,
    rate: TrafficRate,
    report: SpendingReport,
    is_held: bool,
    limit: Option<u32>,
}

impl Following {
    /// Counts what was added since the last call.
    async fn count(&mut self, purse: &Purse, interfaces: &[String]) {
        let new = self.counted.since_last(read_counters(Path::new(INTERFACES), interfaces));
        let has_budget = purse.budget_use().is_some();
        let mut bytes = 0_u64;
        for (name, Traffic { sent, received }) in new.into_iter().filter(|_| has_budget) {
            for (what, amount) in [("sent", sent), ("received", received)] {
                bytes = bytes.saturating_add(amount);
                if amount > 0 {
                    purse.count(Item::new(&name, what), amount.into()).await;
                }
            }
        }
        self.rate.add(bytes, Instant::now());
    }

    /// Publishes and sets what follows from the budget; fails if the agent has ended.
    async fn steer(
        &mut self,
        used: Option<BudgetUse>,
        steered: &Steered<'_>,
    ) -> Result<(), ControlError> {
        let per_second = self.rate.per_second();
        let per_hour = per_second.map(|rate| (rate * 3600.0) as u128);
        // A limit of the bitrate makes the rest last.
        let lasting = per_hour.filter(|_| self.limit.is_none() && self.rate.is_settled());
        publish(self.report.on(used, lasting), steered.bus);
        let spent = used.filter(|used| used.level() == Level::Spent);
        if spent.is_some() != self.is_held {
            self.is_held = spent.is_some();
            hold(steered.control, Hold::DataCap, spent).await?;
        }
        let next = used.and_then(|used| limit_now(&used, per_second, steered.units));
        if differs(self.limit, next) {
            self.limit = next;
            let sent = steered.changes.send(Change::BitrateLimit(next)).await;
            sent.map_err(|_| ControlError::Ended)?;
        }
        Ok(())
    }
}

fn limit_now(used: &BudgetUse, rate: Option<f64>, units: &AccessUnits) -> Option<u32> {
    let bitrate = units.flow(Instant::now()).bitrate?;
    bitrate_limit(used, bitrate, rate)
}

/// Whether the limit has changed enough to pass it on.
fn differs(old: Option<u32>, new: Option<u32>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => {
            (f64::from(new) - f64::from(old)).abs() > MIN_CHANGE * f64::from(old)
        }
        (None, None) => false,
        (Some(_), None) | (None, Some(_)) => true,
    }
}

/// The counters at the last reading, by the name of the interface.
#[derive(Debug, Default)]
struct Counted(BTreeMap<String, Traffic>);

impl Counted {
    /// What was added since the last reading. An interface that is new counts from now on.
    fn since_last(&mut self, read: BTreeMap<String, Traffic>) -> BTreeMap<String, Traffic> {
        let known = read.iter().filter_map(|(name, now)| {
            self.0.get(name).map(|before| (name.clone(), now.since(*before)))
        });
        let since = known.collect();
        // An interface that is away for a while, as a modem that is plugged in again, counts from 0 again.
        self.0.extend(read);
        since
    }
}

/// The counters of these interfaces below `directory`, or of the program's own connections.
fn read_counters(directory: &Path, interfaces: &[String]) -> BTreeMap<String, Traffic> {
    if interfaces.is_empty() {
        return [(OWN.to_owned(), Traffic::now().on_wire())].into();
    }
    let read = |name: &String| {
        let number = |file: &str| {
            let path = directory.join(name).join("statistics").join(file);
            fs::read_to_string(path).ok()?.trim().parse().ok()
        };
        let traffic = Traffic { sent: number("tx_bytes")?, received: number("rx_bytes")? };
        Some((name.clone(), traffic))
    };
    interfaces.iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sent: u64, received: u64) -> BTreeMap<String, Traffic> {
        [("wwan0".to_owned(), Traffic { sent, received })].into()
    }

    #[test]
    fn an_interface_counts_from_its_first_reading_on_and_over_its_absence() {
        let mut counted = Counted::default();
        assert_eq!(counted.since_last(of(100, 100)), BTreeMap::new());
        assert_eq!(counted.since_last(of(150, 110)), of(50, 10));
        assert_eq!(counted.since_last(BTreeMap::new()), BTreeMap::new());
        assert_eq!(counted.since_last(of(7, 120)), of(7, 10));
    }

    #[test]
    fn the_kernels_counters_are_read_by_interface() {
        let directory = std::env::temp_dir().join(format!("net-{}", std::process::id()));
        let statistics = directory.join("wwan0/statistics");
        fs::create_dir_all(&statistics).unwrap();
        fs::write(statistics.join("tx_bytes"), "150\n").unwrap();
        let names = ["wwan0".to_owned(), "eth7".to_owned()];
        assert_eq!(read_counters(&directory, &names), BTreeMap::new(), "half of it");
        fs::write(statistics.join("rx_bytes"), "110\n").unwrap();
        assert_eq!(read_counters(&directory, &names), of(150, 110));
        fs::remove_dir_all(&directory).unwrap();
        assert!(read_counters(&directory, &[]).contains_key(OWN));
    }

    #[test]
    fn small_changes_of_the_limit_are_not_passed_on() {
        assert!(!differs(Some(1000), Some(1040)) && differs(Some(1000), Some(940)));
        assert!(!differs(None, None) && differs(None, Some(1)) && differs(Some(1), None));
    }
}
