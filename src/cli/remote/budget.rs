//! `budget`: shows the budgets of a running agent, or adds an amount to one of them for the present period.
//!
//! Does not: change the configuration; the agent keeps the addition in its state directory.

use std::time::Duration;

use serde_json::{Value, json};

use super::http::Request;
use super::{Agent, RemoteError, Settings};
use crate::cli::print;
use crate::config::Config;
use livepeer_gateway::budget::Unit;

/// Time for an answer: the agent writes the addition to its disk first.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// Adds the amount, if there is one, and prints the budgets.
pub(super) fn budget(
    config: &Config,
    settings: &Settings,
    add: Option<&str>,
) -> Result<(), RemoteError> {
    let agent = Agent::find(config, settings)?;
    let body = add.map(|amount| json!({ "add": amount }).to_string());
    let request = match &body {
        Some(body) => Request { method: "POST", path: "/budget", body: Some(body) },
        None => Request::get("/budget"),
    };
    print(&shown(&agent.json(request, ANSWER_TIME)?));
    Ok(())
}

fn shown(budgets: &Value) -> String {
    let lines = [("payments", Unit::Wei), ("data", Unit::Bytes)].map(|(name, unit)| {
        let budget = budgets.get(name).filter(|budget| !budget.is_null());
        budget.map_or_else(|| format!("{name}: no budget\n"), |budget| line(name, unit, budget))
    });
    lines.concat()
}

fn line(name: &str, unit: Unit, budget: &Value) -> String {
    // Amounts above 2^64 are read as floats.
    let amount = |name: &str| {
        let value = budget.get(name).unwrap_or(&Value::Null);
        let amount = value.as_u64().map(u128::from);
        unit.shown(amount.or_else(|| value.as_f64().map(|n| n as u128)).unwrap_or_default())
    };
    let period = budget.get("period").and_then(Value::as_str).unwrap_or("period");
    let [spent, limit, left] = ["spent", "limit", "left"].map(amount);
    format!("{name}: {spent} of {limit} spent in this {period}, {left} left\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_budget_is_shown_in_one_line() {
        let budget = json!({ "period": "day", "limit": 30, "added": 0, "spent": 10, "left": 20 });
        let expected =
            "payments: 10 wei of 30 wei spent in this day, 20 wei left\ndata: no budget\n";
        assert_eq!(shown(&json!({ "payments": budget, "data": null })), expected);
        let budget = json!({ "period": "month", "limit": 5e9, "spent": 1e9, "left": 4e9 });
        let expected = "payments: no budget\ndata: 1 GB of 5 GB spent in this month, 4 GB left\n";
        assert_eq!(shown(&json!({ "payments": null, "data": budget })), expected);
    }
}
