//! `spend`: shows what was paid today and this month, for each orchestrator and model, from the file in the state
//! directory.
//!
//! An agent that runs writes once a minute; what it may pay until the next line shows as reserved.
//!
//! Does not: need an agent that runs, or write the file.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::{Error, Settings, print, remote};
use crate::agent::local_offset;
use crate::config::Config;
use livepeer_gateway::budget::io::SPEND_FILE;
use livepeer_gateway::budget::{Budget, BudgetUse, Unit};
use resilience::ledger::io::read;
use resilience::ledger::{Item, Ledger, LocalTime, Period, Stamp, Total};

/// Why the payments cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum SpendError {
    /// The file cannot be read.
    #[error("{}: cannot be read; run this command as root", .0.display())]
    Read(PathBuf, #[source] io::Error),
}

/// Prints the payments of today and of this month: as a table, or as JSON.
pub fn spend(config: &Config, settings: &Settings, json: bool) -> Result<(), Error> {
    let own = config.state_directory.clone();
    let directory = own.unwrap_or_else(|| remote::state_of_service(settings.file.as_deref()));
    let path = directory.join(SPEND_FILE);
    let content = read(&path).map_err(|error| Error::Spend(SpendError::Read(path, error)))?;
    let (ledger, _) = Ledger::parse(&content);
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = LocalTime::new(since_1970, local_offset(since_1970));
    let spending = Spending::of(&ledger, config.access.budget, now);
    print(&if json { format!("{}\n", spending.json()) } else { spending.table() });
    Ok(())
}

/// What was paid today and this month.
struct Spending {
    items: BTreeMap<Item, [Total; 2]>,
    budget: Option<BudgetUse>,
}

impl Spending {
    fn of(ledger: &Ledger, budget: Option<Budget>, now: LocalTime) -> Self {
        let stamp = now.stamp();
        let mut items: BTreeMap<Item, [Total; 2]> = BTreeMap::new();
        for (place, period) in [Period::Day, Period::Month].into_iter().enumerate() {
            for entry in ledger.by_item(period, stamp) {
                if let Some(total) = items.entry(entry.item).or_default().get_mut(place) {
                    *total = entry.total;
                }
            }
        }
        let budget = budget.map(|budget| used(ledger, budget, stamp, now));
        Self { items, budget }
    }

    fn totals(&self) -> [Total; 2] {
        let mut sum = [Total::default(); 2];
        for totals in self.items.values() {
            for (sum, total) in sum.iter_mut().zip(totals) {
                sum.count += total.count;
                sum.amount = sum.amount.saturating_add(total.amount);
            }
        }
        sum
    }

    fn json(&self) -> Value {
        let items = self.items.iter().map(|(item, totals)| {
            let names = match *item == Item::unsettled() {
                true => json!({ "reserved": true }),
                false => json!({ "orchestrator": item.at, "model": item.what }),
            };
            with(names, totals)
        });
        let budget = self.budget.map(|used| {
            json!({
                "period": used.budget.period.name(),
                "limit_wei": used.limit().to_string(),
                "added_wei": used.added.to_string(),
                "spent_wei": used.spent.to_string(),
                "left_wei": used.left().to_string(),
            })
        });
        let items: Vec<Value> = items.collect();
        with(json!({ "items": items, "budget": budget }), &self.totals())
    }

    fn table(&self) -> String {
        let head = [
            "orchestrator",
            "model",
            "payments today",
            "today",
            "payments this month",
            "this month",
        ];
        let mut rows = vec![head.map(str::to_owned)];
        for (item, totals) in &self.items {
            let names = match *item == Item::unsettled() {
                true => ["(reserved, or lost in a power cut)".to_owned(), String::new()],
                false => [item.at.clone(), item.what.clone()],
            };
            rows.push(row(names, totals));
        }
        rows.push(row(["total".to_owned(), String::new()], &self.totals()));
        let mut text = aligned(&rows);
        if let Some(used) = self.budget {
            let limit = if used.added == 0 {
                String::new()
            } else {
                format!(" and {} added", Unit::Wei.shown(used.added))
            };
            text += &format!(
                "budget: {}{limit}; {} spent, {} left\n",
                used.budget,
                Unit::Wei.shown(used.spent),
                Unit::Wei.shown(used.left())
            );
        }
        text
    }
}

fn used(ledger: &Ledger, budget: Budget, stamp: Stamp, now: LocalTime) -> BudgetUse {
    let spent = ledger.spent(budget.period, stamp);
    BudgetUse { budget, spent, added: ledger.added(budget.period, stamp), now: Some(now) }
}

/// The object with these totals. Amounts are texts, because they may be larger than a number in JSON is everywhere.
fn with(mut object: Value, totals: &[Total; 2]) -> Value {
    if let Value::Object(fields) = &mut object {
        for (name, total) in ["today", "month"].into_iter().zip(totals) {
            let total = json!({ "payments": total.count, "wei": total.amount.to_string() });
            fields.insert(name.to_owned(), total);
        }
    }
    object
}

fn row([at, what]: [String; 2], [day, month]: &[Total; 2]) -> [String; 6] {
    let cells = |total: &Total| (total.count.to_string(), Unit::Wei.shown(total.amount));
    let ((days, day), (months, month)) = (cells(day), cells(month));
    [at, what, days, day, months, month]
}

/// The rows with columns of the same width.
fn aligned(rows: &[[String; 6]]) -> String {
    let mut widths = [0; 6];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    rows.iter().fold(String::new(), |mut text, row| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text + "\n"
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The file of 2026-11-29, 14:00; the agent has reserved 500 wei.
    const FILE: &str = "livepeer-edge ledger 1\n\
        2026110323 held 0\ta.example:8935\tflux\t10\t1000\n\
        2026112914 added 250\n\
        2026112914 held 500\ta.example:8935\tflux\t2\t200\tb.example:8935\techo\t1\t30\n";

    fn spending(budget: Option<&str>) -> Spending {
        let now = LocalTime::new(Duration::from_secs(1_795_960_800), 0);
        let (ledger, malformed) = Ledger::parse(FILE);
        assert_eq!((malformed, now.stamp().to_string().as_str()), (0, "2026112914"));
        Spending::of(&ledger, budget.map(|text| text.parse().unwrap()), now)
    }

    #[test]
    fn the_table_shows_today_and_the_month() {
        let expected = "\
orchestrator                        model  payments today  today    payments this month  this month
(reserved, or lost in a power cut)         0               500 wei  0                    500 wei
a.example:8935                      flux   2               200 wei  12                   1200 wei
b.example:8935                      echo   1               30 wei   1                    30 wei
total                                      3               730 wei  13                   1730 wei
budget: 1000 wei per day and 250 wei added; 730 wei spent, 520 wei left
";
        assert_eq!(spending(Some("1000 wei per day")).table(), expected);
    }

    #[test]
    fn the_json_has_amounts_as_texts_because_they_may_be_large() {
        let json = spending(None).json();
        assert_eq!(json["month"], json!({ "payments": 13, "wei": "1730" }));
        assert_eq!(json["items"][1]["orchestrator"], "a.example:8935");
        assert_eq!(json["items"][0]["reserved"], true);
        assert_eq!(json["budget"], Value::Null);
        let json = spending(Some("1000 wei per month")).json();
        assert_eq!(json["budget"]["left_wei"], "0");
    }

    #[test]
    fn nothing_was_paid_without_a_file() {
        let spending = Spending { items: BTreeMap::new(), budget: None };
        assert!(spending.table().ends_with(
            "\ntotal                0               0 wei  0                    0 wei\n"
        ));
    }
}
