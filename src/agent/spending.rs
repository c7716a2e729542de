//! Follows the budget of payments: publishes what becomes of it, and forbids jobs while it is spent.
//!
//! | the budget | event | job |
//! |---|---|---|
//! | 80 % are spent | `budget_near`, once a period | goes on |
//! | the price of the job would spend it before the next period | `budget_short`, and again when the price rises by a tenth | goes on |
//! | all is spent | `budget_spent` | ends, and waits |
//! | the next period, or an addition | `budget_open` | may run |
//!
//! Does not: count payments or refuse one; the purse does.

use std::convert::Infallible;
use std::time::Duration;

use crate::agent::wanted::Hold;
use crate::agent::{Control, ControlError};
use crate::events::{Bus, Kind};
use crate::status::Payments;
use livepeer_gateway::budget::io::Purse;
use livepeer_gateway::budget::{BudgetUse, Level};

/// How often the price of the job is looked at; a changed level is noticed at once.
const PRICE_EVERY: Duration = Duration::from_secs(2);

/// What was published about the budget.
#[derive(Debug, Default)]
pub(super) struct SpendingReport {
    level: Option<Level>,
    /// The rate for which it was published that the budget ends early.
    short_at: Option<u128>,
}

impl SpendingReport {
    /// What is new about the budget, at this rate for an hour.
    pub(super) fn on(&mut self, used: Option<BudgetUse>, per_hour: Option<u128>) -> Vec<Kind> {
        let Some(used) = used else {
            *self = Self::default();
            return Vec::new();
        };
        let (level, budget) = (used.level(), used.budget.to_string());
        let before = self.level.replace(level).unwrap_or(Level::Free);
        let mut news = Vec::new();
        match (before, level) {
            (Level::Free, Level::Near) => {
                let left = used.budget.unit.shown(used.left());
                news.push(Kind::BudgetNear { budget: budget.clone(), left });
            }
            (Level::Free | Level::Near, Level::Spent) => {
                news.push(Kind::BudgetSpent { budget: budget.clone() });
            }
            (Level::Spent, Level::Free | Level::Near) => {
                news.push(Kind::BudgetOpen { budget: budget.clone() });
            }
            (Level::Near, Level::Free)
            | (Level::Free, Level::Free)
            | (Level::Near, Level::Near)
            | (Level::Spent, Level::Spent) => {}
        }
        if level < before {
            self.short_at = None;
        }
        let price = per_hour.filter(|_| level != Level::Spent);
        let end = price.and_then(|price| used.lasts_until(price)).zip(used.now);
        let is_new = |rate| self.short_at.is_none_or(|before| rate > before + before / 10);
        if let Some((end, now)) = end.filter(|_| per_hour.is_some_and(is_new)) {
            self.short_at = per_hour;
            let rate = used.budget.unit.shown(per_hour.unwrap_or_default());
            news.push(Kind::BudgetShort { budget, until: end.shown(now), rate });
        }
        news
    }
}

/// Logs and publishes events of a budget.
pub(super) fn publish(news: Vec<Kind>, bus: &Bus) {
    for kind in news {
        log(&kind);
        bus.publish(|| kind);
    }
}

fn log(kind: &Kind) {
    if let Kind::BudgetNear { budget, left } = kind {
        log::warn!("80 % of the budget of {budget} is spent; {left} are left");
    } else if let Kind::BudgetSpent { budget } = kind {
        log::warn!(
            "the budget of {budget} is spent: no job runs until the next period or `livepeer-edge budget add`"
        );
    } else if let Kind::BudgetShort { budget, until, rate } = kind {
        log::warn!("at {rate} an hour, the budget of {budget} lasts until {until}");
    } else {
        log::info!("the budget has something left again");
    }
}

/// Follows `purse` and the price of the present job; ends only with the agent.
pub async fn follow_budget(
    purse: &Purse,
    payments: &Payments,
    control: &Control,
    bus: &Bus,
) -> Infallible {
    let (mut level, mut report, mut is_held) = (purse.level(), SpendingReport::default(), false);
    loop {
        let used = purse.budget_use();
        publish(report.on(used, payments.wei_per_hour()), bus);
        let spent = used.filter(|used| used.level() == Level::Spent);
        if spent.is_some() != is_held {
            is_held = spent.is_some();
            if hold(control, Hold::Budget, spent).await.is_err() {
                // The agent has ended, and this program does too.
                return std::future::pending().await;
            }
        }
        // The purse outlives this loop, so the wait for a change does not fail.
        let _ = tokio::time::timeout(PRICE_EVERY, level.changed()).await;
    }
}

/// Forbids jobs while a budget is spent.
pub(super) async fn hold(
    control: &Control,
    why: Hold,
    spent: Option<BudgetUse>,
) -> Result<(), ControlError> {
    let reason = spent.map(|used| format!("the budget of {} is spent", used.budget));
    control.hold(why, reason).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use resilience::ledger::LocalTime;

    /// Each step has what is spent of 100 wei a day, the price, and the names of the events. It is 12:00.
    #[track_caller]
    fn check(steps: &[(u128, Option<u128>, &[&str])]) {
        let now = LocalTime::new(Duration::from_secs(1_796_040_000), 0);
        let budget = "100 wei per day".parse().unwrap();
        let mut report = SpendingReport::default();
        for (spent, price, expected) in steps {
            let used = BudgetUse { budget, spent: *spent, added: 0, now: Some(now) };
            let news = report.on(Some(used), *price);
            let names: Vec<_> = news.iter().map(Kind::name).collect();
            assert_eq!(names, *expected, "{spent} {price:?}");
        }
    }

    #[test]
    fn each_level_is_published_once() {
        check(&[
            (0, None, &[]),
            (79, None, &[]),
            (80, None, &["budget_near"]),
            (99, None, &[]),
            (103, None, &["budget_spent"]),
            (103, None, &[]),
            (0, None, &["budget_open"]),
            (100, None, &["budget_spent"]),
            (85, None, &["budget_open"]),
        ]);
    }

    #[test]
    fn a_price_that_ends_the_budget_early_is_published_again_when_it_rises() {
        check(&[
            (0, Some(8), &[]),
            (10, Some(8), &["budget_short"]),
            (12, Some(8), &[]),
            (12, Some(9), &["budget_short"]),
            (12, Some(8), &[]),
            (80, Some(9), &["budget_near"]),
            (100, Some(10), &["budget_spent"]),
            (10, Some(9), &["budget_open", "budget_short"]),
        ]);
    }

    #[test]
    fn the_end_is_named_by_the_local_clock() {
        let now = LocalTime::new(Duration::from_secs(1_796_040_000), 0);
        let budget = "100 wei per day".parse().unwrap();
        let used = BudgetUse { budget, spent: 65, added: 0, now: Some(now) };
        let news = SpendingReport::default().on(Some(used), Some(15));
        let Some(Kind::BudgetShort { until, .. }) = news.first() else { panic!("{news:?}") };
        assert_eq!(until, "14:20");
    }
}
