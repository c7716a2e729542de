//! Writes rows as a table for people or as JSON for programs.
//!
//! Wei per hour are strings in JSON, because many JSON parsers do not keep numbers of that size exactly.
//!
//! Does not: print; it returns texts.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::rows::{Offers, Row};
use livepeer_gateway::price::{Price, eth};
use resilience::sanitize::is_harmful;

const HEAD: [&str; 9] = [
    "ADDRESS",
    "MODEL OR APP",
    "WEI/HOUR",
    "ETH/HOUR",
    "FREE",
    "WARM",
    "GPU",
    "ANSWER",
    "CERTIFICATE",
];

/// The table of offers, and below it the rejected ones with their reasons.
pub(super) fn table(rows: &[Row], malformed: usize) -> String {
    let good: Vec<[String; 9]> =
        rows.iter().filter(|row| row.rejected.is_none()).map(cells).collect();
    let mut widths = HEAD.map(str::len);
    for cells in &good {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for cells in std::iter::once(HEAD.map(str::to_owned)).chain(good) {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    let out: Vec<&Row> = rows.iter().filter(|row| row.rejected.is_some()).collect();
    if !out.is_empty() {
        text.push_str("\nRejected:\n");
    }
    for row in out {
        let reason = row.rejected.as_deref().unwrap_or_default();
        text.push_str(&format!("  {} {}: {reason}\n", row.address, name(row)));
    }
    match malformed {
        0 => {}
        count => text.push_str(&format!("\n{count} entries could not be read\n")),
    }
    text
}

/// The rows as JSON.
pub(super) fn json(rows: &[Row], malformed: usize) -> String {
    let (mut good, mut rejected) = (Vec::new(), Vec::new());
    for row in rows {
        match &row.rejected {
            None => good.push(object(row)),
            Some(reason) => {
                let mut object = object(row);
                object.insert("reason".to_owned(), json!(reason));
                rejected.push(object);
            }
        }
    }
    format!("{:#}\n", json!({ "offers": good, "rejected": rejected, "malformed": malformed }))
}

fn cells(row: &Row) -> [String; 9] {
    let dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let per_hour = row.price.as_ref().map(|price| match price.wei_per_hour() {
        Some(wei) => (wei.to_string(), eth(wei)),
        None => (price.to_string(), "-".to_owned()),
    });
    let (wei, eth) = per_hour.unzip();
    [
        row.address.to_string(),
        name(row),
        dash(wei),
        dash(eth),
        dash(row.free.map(|free| match row.capacity {
            Some(all) => format!("{free} of {all}"),
            None => free.to_string(),
        })),
        dash(row.warm.map(|warm| if warm { "yes" } else { "no" }.to_owned())),
        dash(row.gpu.as_deref().map(clean)),
        dash(row.answer_time.map(|time| format!("{} ms", time.as_millis()))),
        row.certificate.to_string(),
    ]
}

fn name(row: &Row) -> String {
    match &row.offers {
        Offers::Unsaid => "-".to_owned(),
        Offers::Model(model) => clean(model),
        Offers::App(app, Some(mode)) => format!("{} ({})", clean(app), mode.as_str()),
        Offers::App(app, None) => clean(app),
    }
}

/// A text of a peer, without control characters.
fn clean(text: &str) -> String {
    text.chars().map(|c| if is_harmful(c) { '?' } else { c }).collect()
}

fn object(row: &Row) -> Map<String, Value> {
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            object.insert(key.to_owned(), value);
        }
    };
    put("address", json!(row.address.to_string()));
    match &row.offers {
        Offers::Unsaid => {}
        Offers::Model(model) => put("model", json!(model)),
        Offers::App(app, mode) => {
            put("app", json!(app));
            put("mode", json!(mode.map(livepeer_gateway::orchestrator::RunnerMode::as_str)));
        }
    }
    put("price", json!(row.price.as_ref().map(ToString::to_string)));
    let per_hour = row.price.as_ref().and_then(Price::wei_per_hour);
    put("wei_per_hour", json!(per_hour.map(|wei| wei.to_string())));
    put("eth_per_hour", json!(per_hour.map(eth)));
    put("capacity", json!(row.capacity));
    put("free", json!(row.free));
    put("warm", json!(row.warm));
    put("gpu", json!(row.gpu));
    put("answer_ms", json!(row.answer_time.as_ref().map(Duration::as_millis)));
    put("certificate", json!(row.certificate.to_string()));
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::discover::survey::Certificate;
    use livepeer_gateway::http::Url;
    use livepeer_gateway::orchestrator::RunnerMode;
    use livepeer_gateway::price::PriceUnit;

    fn rows() -> Vec<Row> {
        let url = |host: &str| Url::parse_base(host, 8935).unwrap();
        let runner = Row {
            offers: Offers::App("echo\u{1b}[2J".into(), Some(RunnerMode::Persistent)),
            price: Price::parse("10", PriceUnit::Seconds).ok(),
            capacity: Some(4),
            free: Some(3),
            gpu: Some("NVIDIA L40S".into()),
            answer_time: Some(Duration::from_millis(42)),
            ..Row::bare(&url("a.example"), Certificate::Pinned)
        };
        let call = Row {
            offers: Offers::App("one".into(), Some(RunnerMode::SingleShot)),
            price: Price::parse("7", PriceUnit::Fixed).ok(),
            ..Row::bare(&url("a.example"), Certificate::Pinned)
        };
        let out = Row {
            rejected: Some("connection refused".into()),
            ..Row::bare(&url("b.example"), Certificate::Unseen)
        };
        vec![runner, call, out]
    }

    #[test]
    fn the_table_lines_up_and_moves_no_cursor() {
        let table = table(&rows(), 2);
        let lines: Vec<&str> = table.lines().collect();
        assert!(!table.contains('\u{1b}'));
        assert_eq!(
            lines[1].split_whitespace().collect::<Vec<_>>().join(" "),
            "https://a.example:8935 echo?[2J (persistent) 36000 0.000000000000036 3 of 4 - NVIDIA L40S 42 ms pinned"
        );
        assert!(lines[2].contains("one (single-shot)") && lines[2].contains("7 wei per call"));
        let at = lines[0].find("CERTIFICATE").unwrap();
        assert!(lines[1][at..].starts_with("pinned") && lines[2][at..].starts_with("pinned"));
        assert_eq!(
            lines[3..],
            [
                "",
                "Rejected:",
                "  https://b.example:8935 -: connection refused",
                "",
                "2 entries could not be read"
            ]
        );
    }

    #[test]
    fn the_json_has_the_same_content() {
        let json: Value = serde_json::from_str(&json(&rows(), 2)).unwrap();
        assert_eq!(
            json["offers"][0],
            json!({
                "address": "https://a.example:8935", "app": "echo\u{1b}[2J", "mode": "persistent",
                "price": "10 wei per second", "wei_per_hour": "36000", "eth_per_hour": "0.000000000000036",
                "capacity": 4, "free": 3, "gpu": "NVIDIA L40S", "answer_ms": 42, "certificate": "pinned"
            })
        );
        assert_eq!(json["offers"][1]["wei_per_hour"], Value::Null);
        assert_eq!(json["rejected"][0]["reason"], "connection refused");
        assert_eq!(json["malformed"], 2);
    }
}
