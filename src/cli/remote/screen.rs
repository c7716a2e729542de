//! The state of an agent as text for a terminal.
//!
//! Reads the report as JSON, so that an agent of another version can be shown too: a field that is not there is left
//! out.
//!
//! Does not: ask the agent.

use std::time::Duration;

use serde_json::Value;

/// The text of a report: its summary, one line for each link, and what to do.
pub(super) fn text(report: &Value) -> String {
    let field = |name: &str| report.get(name).and_then(Value::as_str).unwrap_or_default();
    let uptime = report.get("uptime").and_then(Value::as_f64).unwrap_or_default();
    let mut text = format!(
        "livepeer-edge {} · {} · up {}\n{}\n\n",
        field("program"),
        field("instance"),
        span(uptime),
        field("summary")
    );
    let links =
        report.get("chain").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for link in links {
        let field = |name: &str| link.get(name).and_then(Value::as_str).unwrap_or_default();
        let seconds = link.get("seconds").and_then(Value::as_f64).unwrap_or_default();
        let facts = facts(field("link"), report);
        let facts = [field("why"), &facts].into_iter().filter(|part| !part.is_empty());
        let facts = facts.collect::<Vec<_>>().join(", ");
        let line =
            format!("  {:<13} {:<8} {:>9}  {facts}", field("link"), field("state"), span(seconds));
        text += line.trim_end();
        text.push('\n');
        if !field("advice").is_empty() {
            text += &format!("  {:<32}  ▸ {}\n", "", field("advice"));
        }
    }
    text
}

/// What is known about a link.
fn facts(link: &str, report: &Value) -> String {
    let text = |path: &str| report.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let number = |path: &str| report.pointer(path).and_then(Value::as_f64);
    let fps = |path: &str| number(path).map(|fps| format!("{fps:.1} frames/s"));
    let bits = |path: &str| number(path).map(bit_rate);
    let count = |path: &str, what: &str| {
        number(path).filter(|count| *count > 0.0).map(|count| format!("{count} {what}"))
    };
    let parts = match link {
        "camera" => {
            vec![text("/camera/name"), fps("/camera/fps"), count("/camera/losses", "losses")]
        }
        "encoder" => {
            let size = number("/encoder/width").zip(number("/encoder/height"));
            let size = size.map(|(width, height)| format!("{width}×{height}"));
            vec![text("/encoder/name"), size, fps("/encoder/fps")]
        }
        "uplink" => vec![
            bits("/uplink/bits_per_second"),
            count("/uplink/segments", "segments"),
            count("/uplink/segments_lost", "lost"),
        ],
        "orchestrator" => vec![text("/job/orchestrator"), count("/job/swaps", "swaps")],
        "model" => vec![text("/job/model")],
        "return" => {
            vec![fps("/returned/fps"), bits("/returned/bits_per_second"), round_trip(report)]
        }
        "payment" => vec![
            number("/payment/seconds_paid_for")
                .map(|seconds| format!("{} paid for", span(seconds))),
            number("/payment/wei_per_hour").map(|wei| format!("{wei} wei per hour")),
            text("/payment/budget/lasts_until").map(|end| format!("the budget lasts until {end}")),
        ],
        _ => Vec::new(),
    };
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn round_trip(report: &Value) -> Option<String> {
    let p50 = report.pointer("/round_trip/p50")?.as_f64()?;
    Some(format!("round trip {:.0} ms", p50 * 1000.0))
}

/// Bits a second with a unit.
fn bit_rate(bits: f64) -> String {
    match bits {
        bits if bits >= 1e6 => format!("{:.1} Mbit/s", bits / 1e6),
        bits => format!("{:.0} kbit/s", bits / 1e3),
    }
}

/// A duration in its two largest units.
fn span(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_is_one_line_for_each_link_and_what_to_do() {
        let report = json!({
            "program": "0.1.0", "instance": "front", "uptime": 7512.3, "summary": "waiting for video",
            "chain": [
                {"link": "camera", "state": "failed", "seconds": 61.0, "why": "unplugged", "advice": "plug it in"},
                {"link": "uplink", "state": "ok", "seconds": 5.0, "why": "", "advice": ""},
                {"link": "new", "state": "ok", "seconds": 5.0},
            ],
            "camera": {"name": "Webcam", "fps": 23.96, "losses": 2},
            "uplink": {"bits_per_second": 1_950_000.0, "segments": 7, "segments_lost": 0},
        });
        let expected = "\
livepeer-edge 0.1.0 · front · up 2 h 5 min
waiting for video

  camera        failed   1 min 1 s  unplugged, Webcam, 24.0 frames/s, 2 losses
                                    ▸ plug it in
  uplink        ok             5 s  1.9 Mbit/s, 7 segments
  new           ok             5 s
";
        assert_eq!(text(&report), expected);
    }

    #[test]
    fn an_answer_that_is_not_a_report_is_shown_without_facts() {
        assert!(text(&json!([])).starts_with("livepeer-edge"));
        assert!(text(&json!({"chain": [1, null]})).lines().count() >= 4);
    }
}
