//! Tests that a report keeps to its schema, and that a report that does not is found.
//!
//! Does not: test figures; the tests of their parts do.

use std::time::Instant;

use serde_json::{Value, json};

use crate::status::schema::{SCHEMA, violations};
use crate::status::{Status, sample};

/// The report of an agent whose video moves.
fn document() -> Value {
    serde_json::to_value(sample::report(&sample::facts(Instant::now()))).unwrap()
}

#[test]
fn a_report_of_a_program_that_has_just_begun_keeps_to_the_schema() {
    let report = serde_json::to_value(Status::default().report(Instant::now())).unwrap();
    assert_eq!(violations(&report), [""; 0]);
    assert_eq!(report["ready"], false);
    assert_eq!(report["round_trip"], Value::Null);
}

#[test]
fn every_break_of_the_schema_is_found() {
    #[track_caller]
    fn check(change: impl FnOnce(&mut Value), place: &str) {
        let mut document = document();
        change(&mut document);
        let found = violations(&document);
        assert!(found.iter().any(|violation| violation.starts_with(place)), "{place}: {found:?}");
    }
    check(|report| report["version"] = json!(2), "/version");
    check(|report| report["ready"] = json!("yes"), "/ready");
    check(|report| report["uptime"] = json!(-1), "/uptime");
    check(|report| report["extra"] = json!(1), "/extra");
    check(|report| drop(report.as_object_mut().unwrap().remove("time")), ": ");
    check(|report| report["labels"]["site"] = json!(3), "/labels/site");
    check(|report| report["chain"][0]["state"] = json!("good"), "/chain/0/state");
    check(|report| report["chain"][0]["url"] = json!("x"), "/chain/0/url");
    check(|report| drop(report["chain"].as_array_mut().unwrap().pop()), "/chain");
    check(|report| report["camera"]["frames"] = json!(1.5), "/camera/frames");
    check(|report| report["round_trip"]["p50"] = json!("fast"), "/round_trip");
    check(|report| report["payment"]["wei"] = Value::Null, "/payment/wei");
}

#[test]
fn the_schema_describes_what_it_is() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["properties"]["version"]["const"], super::VERSION);
}
