//! One event, and its line of JSON: `{"time":…,"instance":…,"number":…,"type":…, the fields of its kind}`.
//!
//! Does not: read the clock; the bus does.

use std::time::Duration;

use super::Kind;
use resilience::utc::rfc3339;

/// An event with its line of JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    kind: Kind,
    number: u64,
    line: String,
}

impl Event {
    /// The event with this number, of the agent called `instance`, at this time since 1970.
    pub(super) fn new(kind: Kind, number: u64, instance: &str, since_1970: Duration) -> Self {
        let (time, name) = (rfc3339(since_1970), serde_json::Value::from(instance));
        // Texts, numbers and JSON values always serialise.
        let fields = serde_json::to_string(&kind).unwrap_or_default();
        let fields = fields.strip_prefix('{').unwrap_or_default();
        let line = format!(r#"{{"time":"{time}","instance":{name},"number":{number},{fields}"#);
        Self { kind, number, line }
    }

    /// What happened.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The number of the event since the start of the agent: a gap shows that events were lost, a number that comes
    /// twice that one was delivered twice.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The event as one line of JSON, without a line break at its end.
    pub fn line(&self) -> &str {
        &self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: Kind, instance: &str, expected: &str) {
        let event = Event::new(kind, 3, instance, Duration::from_millis(1_795_248_192_007));
        assert_eq!(event.line(), expected);
        assert!(serde_json::from_str::<serde_json::Value>(event.line()).is_ok());
    }

    #[test]
    fn an_event_is_one_line_that_begins_with_its_time() {
        let head = r#"{"time":"2026-11-21T08:03:12.007Z","instance":"front","number":3,"#;
        check(Kind::Stopping, "front", &format!(r#"{head}"type":"stopping"}}"#));
        let reason = "unplugged\n\"by\" the cat".to_owned();
        check(
            Kind::CameraLost { reason },
            "front",
            &format!(r#"{head}"type":"camera_lost","reason":"unplugged\n\"by\" the cat"}}"#),
        );
    }

    #[test]
    fn a_name_cannot_break_the_line() {
        let head = r#"{"time":"2026-11-21T08:03:12.007Z","instance":"a\"\n","number":3,"#;
        check(Kind::ModelWorks, "a\"\n", &format!(r#"{head}"type":"model_works"}}"#));
    }
}
