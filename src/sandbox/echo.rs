//! The decisions of a job's app: which effect the parameters request, and the content of events.
//!
//! An effect is a chain of GStreamer elements that change pictures. Effects come from the network, so only elements
//! without any other function are allowed ([`ELEMENTS`]).
//!
//! Does not: run effects, or write to channels.

use std::time::Duration;

use serde_json::{Map, Value, json};

/// Effects by name.
const NAMED: &[(&str, &str)] = &[
    ("gray", "videobalance saturation=0.0"),
    ("edge", "edgetv"),
    // The property `method` would not work: GStreamer 1.22.0 accepts it but ignores it.
    ("flip", "videoflip video-direction=horiz"),
    ("invert", "coloreffects preset=xray"),
];

/// The elements allowed in an effect.
const ELEMENTS: &[&str] = &[
    "agingtv",
    "alpha",
    "bulge",
    "coloreffects",
    "dicetv",
    "edgetv",
    "exclusion",
    "fisheye",
    "gamma",
    "gaussianblur",
    "identity",
    "mirror",
    "optv",
    "pinch",
    "quarktv",
    "radioactv",
    "revtv",
    "rippletv",
    "rotate",
    "shagadelictv",
    "solarize",
    "sphere",
    "square",
    "streaktv",
    "stretch",
    "timeoverlay",
    "tunnel",
    "twirl",
    "vertigotv",
    "videobalance",
    "videobox",
    "videoconvert",
    "videocrop",
    "videoflip",
    "videomedian",
    "videoscale",
    "warptv",
    "waterripple",
];
/// The time for which an error changes the state to degraded (ai-runner `process_guardian.py:220`).
const RECENT: Duration = Duration::from_secs(15);
/// The longest effect, in bytes.
const LENGTH: usize = 512;

/// How the app changes the video.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Effect {
    /// The bytes are returned unchanged.
    #[default]
    None,
    /// A GStreamer fragment, from raw video to raw video.
    Fragment(String),
}

/// Why an effect is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadEffect(pub(crate) String);

/// A message on the control channel.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ControlMessage {
    /// `{"keep":"alive"}`.
    KeepAlive,
    /// New parameters.
    Update(Map<String, Value>),
}

impl ControlMessage {
    /// Reads a message; `None` if it is not a JSON object.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let object: Map<String, Value> = serde_json::from_slice(bytes).ok()?;
        let keep_alive = object.get("keep").is_some_and(|value| value == "alive");
        Some(if keep_alive { Self::KeepAlive } else { Self::Update(object) })
    }
}

/// The effect that parameters request; `None` if they do not mention one.
pub(crate) fn wanted(params: &Map<String, Value>) -> Result<Option<Effect>, BadEffect> {
    match params.get("effect") {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(Effect::None)),
        Some(Value::String(text)) => effect(text.trim()).map(Some),
        Some(other) => Err(BadEffect(format!("`effect` must be a string, not {other}"))),
    }
}

fn effect(text: &str) -> Result<Effect, BadEffect> {
    if text.is_empty() || text == "none" {
        return Ok(Effect::None);
    }
    if let Some((_, fragment)) = NAMED.iter().find(|(name, _)| *name == text) {
        return Ok(Effect::Fragment((*fragment).to_owned()));
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " =!-_.".contains(c);
    if text.len() > LENGTH || !text.chars().all(is_plain) {
        return Err(BadEffect(
            "effect is too long or has characters that are not allowed".to_owned(),
        ));
    }
    for element in text.split('!') {
        let mut words = element.split_whitespace();
        let name = words.next().unwrap_or_default();
        if !ELEMENTS.contains(&name) {
            return Err(BadEffect(format!("effect `{name}` is not allowed")));
        }
        // GStreamer would take a word without `=` for another element.
        if let Some(word) = words.find(|word| !word.contains('=')) {
            return Err(BadEffect(format!("`{word}` is not of the form property=value")));
        }
    }
    Ok(Effect::Fragment(text.to_owned()))
}

/// Frames per second, measured between two calls of [`FrameRate::sample`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FrameRate {
    count: u64,
}

impl FrameRate {
    /// The rate since the last call, `elapsed` ago; `count` is the total number of frames.
    pub(crate) fn sample(&mut self, count: u64, elapsed: Duration) -> f64 {
        let new = count.saturating_sub(self.count);
        self.count = count;
        if elapsed.is_zero() {
            0.0
        } else {
            (new as f64 / elapsed.as_secs_f64() * 10.0).round() / 10.0
        }
    }
}

/// The event of an error, in the form of the network's runner.
pub(crate) fn error(reason: &str, now: Duration) -> String {
    json!({
        "event": {
            "type": "error",
            "pipeline": "echo",
            "message": reason,
            "time": now.as_secs_f64(),
            "timestamp": now.as_millis() as u64,
        },
        "queue_event_type": "ai_stream_events",
    })
    .to_string()
}

/// The content of a status event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StatusEvent<'a> {
    /// The time of the event, since 1970.
    pub(crate) now: Duration,
    /// The start of the stream, as time since 1970.
    pub(crate) began: Duration,
    /// Input frames per second.
    pub(crate) input_fps: f64,
    /// Output frames per second.
    pub(crate) output_fps: f64,
    /// The present parameters.
    pub(crate) params: &'a Value,
    /// The arrival of the present parameters, as time since 1970.
    pub(crate) params_at: Duration,
    /// The last error and its time since 1970.
    pub(crate) error: Option<(&'a str, Duration)>,
}

impl StatusEvent<'_> {
    /// The event, in the form of the network's runner.
    pub(crate) fn to_json(&self) -> String {
        let is_recent = |(_, at)| self.now.saturating_sub(at) < RECENT;
        let state = if self.error.is_some_and(is_recent) {
            "DEGRADED_INFERENCE"
        } else if self.input_fps > 0.0 {
            "ONLINE"
        } else {
            "DEGRADED_INPUT"
        };
        json!({
            "type": "status",
            "timestamp": self.now.as_millis() as u64,
            "start_time": self.began.as_millis() as u64,
            "state": state,
            "input_status": { "fps": self.input_fps },
            "inference_status": {
                "fps": self.output_fps,
                "last_params": self.params,
                "last_params_update_time": self.params_at.as_millis() as u64,
                "last_error": self.error.map(|(error, _)| error),
                "last_error_time": self.error.map(|(_, at)| at.as_millis() as u64),
            },
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(params: Value, expected: Result<Option<&str>, ()>) {
        let found = wanted(params.as_object().unwrap()).map_err(|_| ());
        let expected = expected.map(|effect| {
            effect.map(|text| match text {
                "" => Effect::None,
                text => Effect::Fragment(text.to_owned()),
            })
        });
        assert_eq!(found, expected, "{params}");
    }

    #[test]
    fn parameters_choose_an_effect() {
        check(json!({}), Ok(None));
        check(json!({"prompt": "a cat"}), Ok(None));
        check(json!({"effect": null}), Ok(Some("")));
        check(json!({"effect": "none"}), Ok(Some("")));
        check(json!({"effect": "edge"}), Ok(Some("edgetv")));
        let chain = "videoflip method=horizontal-flip ! gamma gamma=2.0";
        check(json!({"effect": chain}), Ok(Some(chain)));
    }

    #[test]
    fn only_elements_that_change_pictures_are_allowed() {
        for bad in [
            "filesink location=x",
            "videoflip ! filesink location=x",
            "videoflip filesink location=x",
            "videoflip name=a a. ! filesink",
            "( videoflip )",
            "videoflip ! ",
            "videoflip method=\"a b\"",
            "identity ! shell",
        ] {
            check(json!({ "effect": bad }), Err(()));
        }
        check(json!({"effect": 7}), Err(()));
        check(json!({"effect": "a".repeat(LENGTH + 1)}), Err(()));
    }

    #[test]
    fn control_messages_are_keep_alives_or_updates() {
        assert_eq!(ControlMessage::parse(br#"{"keep":"alive"}"#), Some(ControlMessage::KeepAlive));
        let Some(ControlMessage::Update(params)) = ControlMessage::parse(br#"{"a":1}"#) else {
            panic!()
        };
        assert_eq!(params["a"], 1);
        for bad in ["", "[]", "1", "{", "\"keep\""] {
            assert_eq!(ControlMessage::parse(bad.as_bytes()), None);
        }
    }

    #[test]
    fn rates_are_measured_between_samples() {
        let mut rate = FrameRate::default();
        assert_eq!(rate.sample(0, Duration::ZERO), 0.0);
        assert_eq!(rate.sample(48, Duration::from_secs(2)), 24.0);
        assert_eq!(rate.sample(48, Duration::from_secs(2)), 0.0);
    }

    #[test]
    fn a_status_event_has_the_form_of_the_runner() {
        let status = StatusEvent {
            now: Duration::from_millis(1234),
            began: Duration::from_millis(34),
            input_fps: 24.0,
            output_fps: 23.9,
            params: &json!({"effect": "edge"}),
            params_at: Duration::from_millis(34),
            error: None,
        };
        let event: Value = serde_json::from_str(&status.to_json()).unwrap();
        assert_eq!(event["type"], "status");
        assert_eq!((&event["timestamp"], &event["start_time"]), (&json!(1234), &json!(34)));
        assert_eq!(event["state"], "ONLINE");
        assert_eq!(event["inference_status"]["fps"], 23.9);
        assert_eq!(event["inference_status"]["last_params"]["effect"], "edge");
        assert!(event["inference_status"]["last_error_time"].is_null());
    }

    #[test]
    fn an_error_degrades_the_state_for_a_while() {
        let params = json!({});
        let state = |now: u64| {
            let status = StatusEvent {
                now: Duration::from_secs(now),
                began: Duration::ZERO,
                input_fps: 24.0,
                output_fps: 24.0,
                params: &params,
                params_at: Duration::ZERO,
                error: Some(("too large", Duration::from_secs(100))),
            };
            let event: Value = serde_json::from_str(&status.to_json()).unwrap();
            assert_eq!(event["inference_status"]["last_error"], "too large");
            event["state"].as_str().unwrap().to_owned()
        };
        assert_eq!((state(114).as_str(), state(115).as_str()), ("DEGRADED_INFERENCE", "ONLINE"));
        let event: Value =
            serde_json::from_str(&error("too large", Duration::from_secs(1))).unwrap();
        assert_eq!(
            (&event["event"]["type"], &event["event"]["message"]),
            (&json!("error"), &json!("too large"))
        );
    }
}
