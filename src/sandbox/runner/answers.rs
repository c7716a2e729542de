//! The JSON of answers about runners and sessions.
//!
//! Does not: choose an answer.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::runner::RunnerOptions;

/// The path of a runner.
pub(crate) fn path(runner: usize) -> String {
    format!("/apps/r{runner}")
}

/// The entry of a runner in a list. `base` is the orchestrator's URL, `used` the number of open sessions.
pub(crate) fn listed(base: &str, place: usize, runner: &RunnerOptions, used: u32) -> Value {
    let end = if runner.shot.is_some() { "app" } else { "session" };
    let mut entry = json!({
        "url": format!("{base}{}/{end}", path(place)),
        "app": runner.app,
        "version": env!("CARGO_PKG_VERSION"),
        "mode": runner.mode(),
        "capacity": runner.capacity,
        "capacity_used": used,
        "capacity_available": runner.capacity.saturating_sub(used),
        "gpu": runner.gpu.as_ref().map(|name| json!({ "id": "0", "name": name, "vram_mb": 24_576 })),
        "price_info": runner.price.map(|(unit, wei)| {
            json!({ "price": wei, "currency": "wei", "unit": unit.as_str() })
        }),
    });
    // Unknown values are left out.
    if let Some(keys) = entry.as_object_mut() {
        keys.retain(|_, value| !value.is_null());
    }
    entry
}

/// The answer to a reservation.
pub(crate) fn session(base: &str, runner: usize, id: &str) -> Value {
    let control = format!("{base}{}/session/{id}", path(runner));
    json!({ "session_id": id, "app_url": format!("{control}/app"), "control_url": control })
}

/// The payment challenge for `id`. `params` is the `OrchestratorInfo` in base64.
pub(crate) fn challenge(
    base: &str,
    params: &str,
    id: &str,
    payment_url: &str,
    interval: Duration,
) -> Value {
    json!({
        "payment_params": params,
        "orchestrator": base,
        "manifest_id": id,
        "payment_url": payment_url,
        "payment_interval_ms": u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
    })
}

/// Translates the body of a call to the echo app into parameters of the sandbox's app: the key `mode` becomes `effect`.
pub(crate) fn parameters(body: &[u8]) -> Result<Map<String, Value>, String> {
    let mut body: Map<String, Value> = match body {
        [] => Map::new(),
        body => serde_json::from_slice(body).map_err(|error| error.to_string())?,
    };
    let effect = match body.get("mode") {
        None => return Ok(body),
        Some(Value::String(mode)) if mode == "passthrough" => Value::Null,
        Some(Value::String(mode)) if mode == "blur" => {
            let radius = body.get("radius").and_then(Value::as_u64).unwrap_or(5).clamp(1, 20);
            json!(format!("gaussianblur sigma={radius}"))
        }
        Some(Value::String(mode)) => json!(mode),
        Some(_) => return Err("mode must be a string".to_owned()),
    };
    body.insert("effect".to_owned(), effect);
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Result<Value, ()>) {
        let found = parameters(body.as_bytes()).map(|map| map.get("effect").cloned());
        assert_eq!(found.map(|effect| effect.unwrap_or_default()).map_err(drop), expected);
    }

    #[test]
    fn the_mode_of_a_call_becomes_an_effect() {
        check("", Ok(Value::Null));
        check("{}", Ok(Value::Null));
        check(r#"{"mode":"passthrough"}"#, Ok(Value::Null));
        check(r#"{"mode":"gray"}"#, Ok(json!("gray")));
        check(r#"{"mode":"blur","radius":20}"#, Ok(json!("gaussianblur sigma=20")));
        check(r#"{"mode":"blur","radius":"x"}"#, Ok(json!("gaussianblur sigma=5")));
        check(r#"{"mode":7}"#, Err(()));
        check("[]", Err(()));
        check("no json", Err(()));
    }

    #[test]
    fn a_list_entry_has_every_known_value() {
        let runner = RunnerOptions {
            price: Some((livepeer_gateway::price::PriceUnit::Seconds, 7)),
            capacity: 3,
            gpu: Some("T4".to_owned()),
            ..RunnerOptions::default()
        };
        let entry = listed("https://o:1", 2, &runner, 1);
        assert_eq!(entry["url"], "https://o:1/apps/r2/session");
        assert_eq!(
            (&entry["mode"], &entry["capacity_available"]),
            (&json!("persistent"), &json!(2))
        );
        assert_eq!(
            entry["price_info"],
            json!({ "price": 7, "currency": "wei", "unit": "seconds" })
        );
        let single = RunnerOptions { shot: Some(super::super::SingleShot::Plain), ..runner };
        assert_eq!(listed("https://o:1", 0, &single, 0)["url"], "https://o:1/apps/r0/app");
    }
}
