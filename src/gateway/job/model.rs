//! Decides from a job's events whether its model works, and keeps the model's last error.
//!
//! The events are those of ai-runner (`process_guardian.py`); other runners may send others.
//!
//! | event | means |
//! |---|---|
//! | `error` | the model failed, or refused parameters: a failure at once, with the message of the event |
//! | `status` with an error of this stream that no event reported | the same, because a job's first events may be missed |
//! | `restart` | the model's process crashed and was restarted: a failure at once |
//! | `status`, state `ERROR` | a failure at once |
//! | `status`, state `DEGRADED_INFERENCE` | a failure the second time in a row, because a starting model reports it once |
//! | `status`, state `ONLINE` or `DEGRADED_INPUT` | the model works; the agent monitors its input itself |
//! | anything else | nothing |
//!
//! An error is kept even when the model works again, until the parameters change or another job starts: parameters
//! that were refused stay refused.
//!
//! Does not: end a job; `Machine` does when no processed video is received.

use serde_json::{Map, Value};

use super::JobEvent;
use resilience::sanitize;

/// The effect of an event on the health of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The event changes nothing.
    Nothing,
    /// The model fails; the reason in one line.
    Trouble(String),
    /// The model works.
    Works,
}

/// The health of a job's model. Use a new one for each job.
#[derive(Debug, Clone, Default)]
pub struct ModelHealth {
    is_degraded: bool,
    known: Option<ModelFailure>,
    /// Time of the newest error that was reported already, in ms by the runner's clock.
    told: u64,
}

#[derive(Debug, Clone)]
enum ModelFailure {
    /// A bad state. It is dropped when the model works again.
    State(String),
    /// An error. It is kept when the model works again.
    Error(String),
}

impl ModelHealth {
    /// Call for every event of the job.
    pub fn on_event(&mut self, event: &JobEvent) -> Verdict {
        let body = &event.body;
        match event.kind.as_str() {
            "error" => {
                let time = body.get("time").and_then(Value::as_f64).unwrap_or_default();
                self.told = self.told.max((time * 1000.0) as u64);
                self.on_error(format!("the model reports an error: {}", message(event)))
            }
            "restart" => self.on_error("the model crashed and was restarted".to_owned()),
            "status" => match untold(body, self.told) {
                Some((words, time)) => {
                    self.told = time;
                    self.on_error(format!(
                        "the model reports an error: {}",
                        sanitize::without_urls(words)
                    ))
                }
                None => self.on_status(body),
            },
            _ => Verdict::Nothing,
        }
    }

    /// Call when the job gets other parameters: forgets the error or state known so far.
    pub fn on_parameters(&mut self) {
        *self = Self { told: self.told, ..Self::default() };
    }

    /// The present failure of the model, or its last error, in one line.
    pub fn known(&self) -> Option<&str> {
        match &self.known {
            Some(ModelFailure::State(text) | ModelFailure::Error(text)) => Some(text),
            None => None,
        }
    }

    fn on_status(&mut self, body: &Map<String, Value>) -> Verdict {
        match body.get("state").and_then(Value::as_str) {
            Some("ERROR") => self.on_state(format!("the model has failed{}", rates(body))),
            Some("DEGRADED_INFERENCE") => {
                let was_degraded = std::mem::replace(&mut self.is_degraded, true);
                if was_degraded {
                    self.on_state(format!("the model runs degraded{}", rates(body)))
                } else {
                    Verdict::Nothing
                }
            }
            Some("ONLINE" | "DEGRADED_INPUT") => {
                self.is_degraded = false;
                self.known.take_if(|known| matches!(known, ModelFailure::State(_)));
                Verdict::Works
            }
            Some(_) | None => Verdict::Nothing,
        }
    }

    fn on_error(&mut self, text: String) -> Verdict {
        self.known = Some(ModelFailure::Error(text.clone()));
        Verdict::Trouble(text)
    }

    /// Keeps a known error, because it says more than the bad state that it leads to.
    fn on_state(&mut self, text: String) -> Verdict {
        if !matches!(self.known, Some(ModelFailure::Error(_))) {
            self.known = Some(ModelFailure::State(text.clone()));
        }
        Verdict::Trouble(text)
    }
}

/// The message of an `error` event; the whole event if none of the usual fields holds a message.
pub(super) fn message(event: &JobEvent) -> String {
    let text = ["message", "error", "reason"].iter().find_map(|key| event.body.get(*key)?.as_str());
    text.map_or_else(|| event.to_string(), sanitize::without_urls)
}

/// The last error in a `status` event and its time, if the error is of this stream and newer than `told`. A `status`
/// event may hold the error of an earlier stream, because the runner keeps its last error.
fn untold(body: &Map<String, Value>, told: u64) -> Option<(&str, u64)> {
    let inference = body.get("inference_status")?;
    let words = inference.get("last_error")?.as_str()?;
    let time = inference.get("last_error_time")?.as_u64()?;
    (time > told && time >= body.get("start_time")?.as_u64()?).then_some((words, time))
}

/// The output and input frame rates of a `status` event as text; empty if one is missing.
fn rates(body: &Map<String, Value>) -> String {
    let rate = |section: &str| body.get(section)?.get("fps")?.as_f64();
    match (rate("inference_status"), rate("input_status")) {
        (Some(output), Some(input)) => format!(", {output:.1} of {input:.1} frames/s"),
        (_, _) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(body: &Value) -> JobEvent {
        JobEvent::parse(body.to_string().as_bytes()).unwrap()
    }

    fn status(state: &str) -> Value {
        json!({ "type": "status", "state": state })
    }

    /// Checks the verdict on each event: `-` for nothing, `+` for works, else a part of the failure's text.
    #[track_caller]
    fn check(story: &[(Value, &str)], known: Option<&str>) {
        let mut health = ModelHealth::default();
        for (nth, (body, expected)) in story.iter().enumerate() {
            match (health.on_event(&event(body)), *expected) {
                (Verdict::Nothing, "-") | (Verdict::Works, "+") => {}
                (Verdict::Trouble(text), words) if text.contains(words) => {}
                (found, expected) => panic!("event {nth}: {found:?}, not {expected}"),
            }
        }
        assert_eq!(health.known(), known);
        health.on_parameters();
        assert_eq!(health.known(), None);
    }

    #[test]
    fn an_error_is_a_failure_at_once_and_is_kept() {
        let error = json!({ "queue_event_type": "ai_stream_events", "event": {
            "type": "error", "pipeline": "p", "message": "Error updating params: no such prompt" } });
        let words = "the model reports an error: Error updating params: no such prompt";
        let degraded = status("DEGRADED_INFERENCE");
        let story = [(error, words), (degraded, "-"), (status("ONLINE"), "+")];
        check(&story, Some(words));
        let restart = json!({ "type": "restart", "restart_logs": ["a", "b"] });
        let words = "the model crashed and was restarted";
        check(&[(restart, words), (status("ONLINE"), "+")], Some(words));
    }

    #[test]
    fn a_degraded_state_is_a_failure_only_while_it_lasts() {
        let degraded = json!({ "type": "status", "state": "DEGRADED_INFERENCE",
            "input_status": { "fps": 23.97 }, "inference_status": { "fps": 3.04 } });
        let words = "the model runs degraded, 3.0 of 24.0 frames/s";
        check(&[(degraded.clone(), "-"), (status("ONLINE"), "+"), (degraded.clone(), "-")], None);
        check(&[(degraded.clone(), "-"), (degraded.clone(), words)], Some(words));
        check(&[(degraded.clone(), "-"), (degraded.clone(), words), (status("ONLINE"), "+")], None);
        check(&[(degraded.clone(), "-"), (status("LOADING"), "-"), (degraded, words)], Some(words));
        check(&[(status("ERROR"), "the model has failed")], Some("the model has failed"));
    }

    #[test]
    fn an_error_whose_event_was_missed_is_found_in_the_status() {
        let status = |state: &str, start: u64, time: u64| {
            json!({ "type": "status", "state": state, "start_time": start,
                "inference_status": { "last_error": "Error updating params: no", "last_error_time": time } })
        };
        let words = "the model reports an error: Error updating params: no";
        let (missed, later) =
            (status("DEGRADED_INFERENCE", 1000, 1500), status("ONLINE", 1000, 1500));
        check(&[(missed.clone(), words), (later.clone(), "+")], Some(words));
        check(&[(later, words)], Some(words));
        // The error was reported already, or is of an earlier stream.
        let error = json!({ "type": "error", "message": "Error updating params: no", "time": 1.5 });
        check(&[(error, words), (missed, "-")], Some(words));
        check(&[(status("ONLINE", 1000, 999), "+")], None);
    }

    #[test]
    fn new_parameters_clear_the_error_but_do_not_report_it_again() {
        let mut health = ModelHealth::default();
        let status = json!({ "type": "status", "state": "ONLINE", "start_time": 1,
            "inference_status": { "last_error": "no", "last_error_time": 2 } });
        assert!(matches!(health.on_event(&event(&status)), Verdict::Trouble(_)));
        health.on_parameters();
        assert_eq!((health.on_event(&event(&status)), health.known()), (Verdict::Works, None));
    }

    #[test]
    fn events_without_a_state_of_the_model_change_nothing() {
        check(&[(status("DEGRADED_INPUT"), "+")], None);
        for body in [
            json!({ "type": "status" }),
            json!({ "type": "status", "state": 7 }),
            json!({ "type": "channels", "message": "x" }),
            json!({}),
            status("OFFLINE"),
        ] {
            check(&[(body, "-")], None);
        }
    }

    #[test]
    fn an_error_is_one_line_without_a_url() {
        for (body, expected) in [
            (
                json!({ "type": "error", "message": "no\n\u{1b}[2J https://o/s3cret" }),
                "no  [2J ***",
            ),
            (json!({ "type": "error", "error": "a" }), "error: a"),
            (json!({ "type": "error", "code": 7 }), "error: error code=7"),
            (json!({ "type": "error", "message": "x".repeat(9999) }), "xxx…"),
        ] {
            let mut health = ModelHealth::default();
            let Verdict::Trouble(text) = health.on_event(&event(&body)) else { panic!("{body}") };
            assert!(text.ends_with(expected) && text.chars().count() < 300, "{text}");
        }
    }
}
