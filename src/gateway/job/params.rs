//! Reads from a job's events whether its model has taken the parameters that were sent to it.
//!
//! Facts of ai-runner 0.14.1 (`runner/src/runner/live/process/`):
//!
//! - `status` comes every 10 s. The first one after new parameters has them in `inference_status.last_params`, with the
//!   time in `last_params_update_time`; later ones have `null` there. Both are set when the runner receives the
//!   parameters, before the model does.
//! - The model's refusal is an `error` event (`Error updating params: …`), up to a second later, and then
//!   `last_error` in the `status`.
//! - New parameters replace all earlier ones.
//!
//! So reported parameters count as accepted if no error follows within [`ERROR_TIME`]. Models of other runners may
//! report more parameters than were sent, such as their defaults.
//!
//! Does not: know what was sent, or wait; the caller does.

use std::time::Duration;

use serde_json::{Map, Value};

use super::JobEvent;
use super::model::message;
use resilience::sanitize;

/// The longest time from the receipt of parameters to the event of an error that they cause: the runner looks for
/// errors every second.
const ERROR_TIME: Duration = Duration::from_secs(2);

/// What an event says about parameters that were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParamsReport {
    /// The model reports the parameters. They are in use if no error comes within this time.
    Reported(Duration),
    /// The model has reported an error since the parameters were sent: its message, in one line.
    Refused(String),
}

impl ParamsReport {
    /// What `event` says about `params`; `None` if nothing. Call it only while they are sent and not confirmed: any
    /// error event counts as the answer to them.
    pub fn of(event: &JobEvent, params: &Map<String, Value>) -> Option<Self> {
        let body = &event.body;
        match event.kind.as_str() {
            "error" => Some(Self::Refused(message(event))),
            "status" => {
                let inference = body.get("inference_status")?;
                let reported = inference.get("last_params")?.as_object()?;
                if !covers(reported, params) {
                    return None;
                }
                let time = |key: &str| inference.get(key).and_then(Value::as_u64);
                let updated = time("last_params_update_time");
                if let Some(words) = inference.get("last_error").and_then(Value::as_str)
                    && time("last_error_time").zip(updated).is_some_and(|(at, sent)| at >= sent)
                {
                    return Some(Self::Refused(sanitize::without_urls(words)));
                }
                let now = body.get("timestamp").and_then(Value::as_u64);
                let age = now.zip(updated).map(|(now, updated)| now.saturating_sub(updated));
                let age = age.map_or(ERROR_TIME, Duration::from_millis);
                Some(Self::Reported(ERROR_TIME.saturating_sub(age)))
            }
            // Earlier versions of the runner send this event as soon as they receive parameters.
            "params_update" => {
                let reported = body.get("params")?.as_object()?;
                covers(reported, params).then_some(Self::Reported(ERROR_TIME))
            }
            _ => None,
        }
    }
}

/// Whether every parameter was reported with its value.
fn covers(reported: &Map<String, Value>, sent: &Map<String, Value>) -> bool {
    sent.iter().all(|(key, value)| reported.get(key).is_some_and(|seen| is_same(seen, value)))
}

/// Whether two values are equal, with numbers compared by value: a runner may write 1 as 1.0.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && covers(a, b),
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SETTLED: ParamsReport = ParamsReport::Reported(Duration::ZERO);

    #[track_caller]
    fn check(event: Value, expected: Option<ParamsReport>) {
        let params = json!({ "prompt": "a cat", "steps": [1, 2.5], "o": { "a": 1 } });
        let event = JobEvent::parse(event.to_string().as_bytes()).unwrap();
        assert_eq!(ParamsReport::of(&event, params.as_object().unwrap()), expected, "{event}");
    }

    fn status(params: &Value, age_ms: u64, error_ms: Option<u64>) -> Value {
        json!({ "type": "status", "timestamp": 10_000 + age_ms, "inference_status": {
            "last_params": params, "last_params_update_time": 10_000,
            "last_error": error_ms.map(|_| "Error updating params: no"), "last_error_time": error_ms } })
    }

    #[test]
    fn a_status_with_the_parameters_confirms_them_once_an_error_would_have_come() {
        let params = json!({ "prompt": "a cat", "steps": [1.0, 2.5], "o": { "a": 1 }, "seed": 7 });
        check(status(&params, 2000, None), Some(SETTLED));
        let soon = ParamsReport::Reported(Duration::from_millis(1500));
        check(status(&params, 500, None), Some(soon));
        let bare = json!({ "type": "status", "inference_status": { "last_params": params } });
        check(bare, Some(SETTLED));
        let update = json!({ "type": "params_update", "params": params });
        check(update, Some(ParamsReport::Reported(ERROR_TIME)));
    }

    #[test]
    fn other_parameters_confirm_nothing() {
        for other in [
            json!({ "prompt": "a dog", "steps": [1, 2.5], "o": { "a": 1 } }),
            json!({ "prompt": "a cat", "steps": [1], "o": { "a": 1 } }),
            json!({ "prompt": "a cat", "steps": [1, 2.5], "o": { "a": 1, "b": 2 } }),
            json!({ "prompt": "a cat" }),
            json!({}),
            Value::Null,
            json!("a cat"),
        ] {
            check(status(&other, 5000, None), None);
            check(json!({ "type": "params_update", "params": other }), None);
        }
        check(json!({ "type": "status" }), None);
        check(json!({ "type": "restart" }), None);
    }

    #[test]
    fn an_error_after_the_update_is_the_models_answer() {
        let words = || Some(ParamsReport::Refused("Error updating params: no".to_owned()));
        check(json!({ "type": "error", "message": "Error updating params: no" }), words());
        let params = json!({ "prompt": "a cat", "steps": [1, 2.5], "o": { "a": 1 } });
        check(status(&params, 5000, Some(10_000)), words());
        // The error is older than the parameters.
        check(status(&params, 5000, Some(9_999)), Some(SETTLED));
    }
}
