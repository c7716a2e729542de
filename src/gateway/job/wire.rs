//! What the start of a job and its events look like on the wire (protocol.md, section 5).
//!
//! Lenient with what a peer adds, strict on what the job needs.
//!
//! Does not: call anybody.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::http::{Giver, follow};
use crate::job::JobOptions;
use crate::trickle::{Channel, Purpose};
use resilience::sanitize::{is_harmful, line};

/// Values in a JSON text of a peer that is read as a tree; each may take 600 bytes where its text takes 8.
const JSON_VALUES: usize = 16 << 10;

/// The control message that keeps a job alive; sent every 10 s (protocol.md, section 5).
pub const KEEP_ALIVE: &str = r#"{"keep":"alive"}"#;

/// Longest manifest id that is believed.
const MANIFEST_ID: usize = 256;

#[derive(Serialize)]
struct StartRequest<'a> {
    model_id: &'a str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    params: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_id: Option<&'a str>,
    gateway_request_id: &'a str,
}

/// The body of `POST /live-video-to-video`. A `request_id` of its own tells the runner that another stream begins,
/// whose size its parameters may set.
pub(super) fn start_request(options: &JobOptions, request_id: &str) -> Vec<u8> {
    let request = StartRequest {
        model_id: &options.model,
        params: &options.params,
        stream_id: options.stream_id.as_deref(),
        gateway_request_id: request_id,
    };
    // Strings and JSON values always serialise.
    serde_json::to_vec(&request).unwrap_or_default()
}

/// The channels of a job. Their URLs are credentials.
#[derive(Debug, Clone)]
pub struct Channels {
    /// The orchestrator's id of the job.
    pub manifest_id: String,
    /// Where our video goes.
    pub publish: Channel,
    /// Where the processed video comes from.
    pub output: Option<Channel>,
    /// Where parameters and keep-alives go.
    pub control: Option<Channel>,
    /// Where events come from.
    pub events: Option<Channel>,
}

#[derive(Deserialize)]
struct StartAnswer {
    manifest_id: Option<String>,
    publish_url: Option<String>,
    subscribe_url: Option<String>,
    control_url: Option<String>,
    events_url: Option<String>,
}

/// Reads the answer to `POST /live-video-to-video` that `peer` gave; an error says what is wrong with it.
pub fn start_answer(body: &[u8], peer: Giver<'_>) -> Result<Channels, String> {
    let answer: StartAnswer =
        serde_json::from_slice(body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => "its JSON has other types than a job's".to_owned(),
            serde_json::error::Category::Io
            | serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof => "it is no JSON".to_owned(),
        })?;
    let manifest_id = answer
        .manifest_id
        .filter(|id| !id.is_empty() && id.len() <= MANIFEST_ID && !id.contains(is_harmful))
        .ok_or("`manifest_id` is missing or unusable")?;
    let channel = |key: &str, purpose, url: Option<String>| {
        let url = url.filter(|url| !url.is_empty());
        let channel = url.map(|url| channel(&url, purpose, peer)).transpose();
        channel.map_err(|error| format!("`{key}`: {error}"))
    };
    Ok(Channels {
        manifest_id,
        publish: channel("publish_url", Purpose::Publish, answer.publish_url)?
            .ok_or("`publish_url` is missing")?,
        output: channel("subscribe_url", Purpose::Subscribe, answer.subscribe_url)?,
        control: channel("control_url", Purpose::Control, answer.control_url)?,
        events: channel("events_url", Purpose::Events, answer.events_url)?,
    })
}

/// Whether a start was refused for what was asked of the runner. The orchestrator answers with 500 and the runner's own
/// status in its words (go-livepeer `ai/worker/worker.go`): 422 for a wrong type, 400 for another model, or for
/// parameters that the pipeline does not take.
pub(super) fn refuses_params(status: u16, words: &str) -> bool {
    status == 500
        && ["container returned 400", "container returned 422"]
            .iter()
            .any(|said| words.contains(said))
}

/// A channel that `peer` gave, without a word of its path in the error: it is a credential.
pub(in crate::job) fn channel(
    text: &str,
    purpose: Purpose,
    peer: Giver<'_>,
) -> Result<Channel, String> {
    let channel = Channel::parse(text, purpose).map_err(|error| error.to_string())?;
    channel.followed(|url| follow(peer, url)).map_err(|stray| format!("the channel {stray}"))
}

/// An event of a job, as far as every pipeline words it alike.
#[derive(Debug, Clone, PartialEq)]
pub struct JobEvent {
    /// Its name: `status`, `error`, …
    pub(crate) kind: String,
    /// All of it.
    pub(crate) body: Map<String, Value>,
}

impl JobEvent {
    /// Reads one segment of the events channel: the event itself, or one wrapped as
    /// `{"queue_event_type":…,"event":{…}}`.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if !is_small(bytes) {
            return None;
        }
        let Value::Object(mut body) = serde_json::from_slice(bytes).ok()? else { return None };
        if body.contains_key("queue_event_type")
            && let Some(Value::Object(event)) = body.remove("event")
        {
            body = event;
        }
        let kind = body
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or("unnamed")
            .chars()
            .filter(|c| !is_harmful(*c))
            .take(64)
            .collect();
        Some(Self { kind, body })
    }
}

/// Whether a JSON text has at most [`JSON_VALUES`] values: each but the first stands behind a bracket or comma.
pub(in crate::job) fn is_small(json: &[u8]) -> bool {
    let before_a_value = |byte: &&u8| matches!(**byte, b'[' | b'{' | b',');
    json.iter().filter(before_a_value).take(JSON_VALUES).count() < JSON_VALUES
}

impl fmt::Display for JobEvent {
    /// One line for the log, of bounded length, without anything that may be a URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        for (key, value) in self.body.iter().filter(|(key, _)| *key != "type").take(8) {
            let text = value.to_string();
            let shown = if text.contains("://") { "***".to_owned() } else { line(&text, 120) };
            write!(f, " {}={shown}", line(key, 32))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Url, Zone};

    #[test]
    fn an_event_in_the_log_is_short_and_shows_no_url() {
        let text = r#"{"type":"status","fps":20,"urls":["https://o/s3cret"],"long":"LONG"}"#;
        let event = JobEvent::parse(text.replace("LONG", &"x".repeat(9999)).as_bytes()).unwrap();
        let line = event.to_string();
        assert!(line.starts_with("status fps=20 long=\"xxx"), "{line}");
        assert!(line.contains("urls=***") && line.len() < 400, "{line}");
    }

    fn answer(body: &str) -> Result<Channels, String> {
        let url = Url::parse("https://orch:8935").unwrap();
        start_answer(body.as_bytes(), Giver { url: &url, zone: Zone::Public })
    }

    #[test]
    fn the_request_holds_what_is_known_and_nothing_else() {
        let mut options = JobOptions { model: "noop".into(), ..JobOptions::default() };
        let request = br#"{"model_id":"noop","gateway_request_id":"r1"}"#;
        assert_eq!(start_request(&options, "r1"), request);
        options.params.insert("effect".into(), "gray".into());
        options.stream_id = Some("door".into());
        assert_eq!(
            start_request(&options, "r2"),
            br#"{"model_id":"noop","params":{"effect":"gray"},"stream_id":"door","gateway_request_id":"r2"}"#
        );
    }

    #[test]
    fn a_whole_answer_gives_four_channels() {
        let channels = answer(
            r#"{"manifest_id":"m1","publish_url":"https://o:1/ai/trickle/m1","subscribe_url":"https://o:1/ai/trickle/m1-out",
                "control_url":"https://o:1/ai/trickle/m1-control","events_url":"https://o:1/ai/trickle/m1-events","more":1}"#,
        )
        .unwrap();
        assert_eq!(channels.manifest_id, "m1");
        assert!(
            channels.output.is_some() && channels.control.is_some() && channels.events.is_some()
        );
    }

    #[track_caller]
    fn refused(body: &str, reason: &str) {
        let error = answer(body).unwrap_err();
        assert!(error.contains(reason), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }

    #[test]
    fn an_answer_that_makes_no_job_is_refused_without_showing_a_url() {
        refused("<html>", "no JSON");
        refused("", "no JSON");
        refused("[1]", "other types");
        refused(r#"{"manifest_id":1}"#, "other types");
        refused("{}", "manifest_id");
        refused(r#"{"manifest_id":"a\nb","publish_url":"https://o/s3cret"}"#, "manifest_id");
        refused(r#"{"manifest_id":"m"}"#, "publish_url");
        refused(r#"{"manifest_id":"m","publish_url":"ftp://o/s3cret"}"#, "publish_url");
        refused(r#"{"manifest_id":"m","publish_url":"http://o/s3cret"}"#, "plain HTTP");
        refused(
            r#"{"manifest_id":"m","publish_url":"http://127.0.0.1:8081/s3cret"}"#,
            "names 127.0.0.1:8081, which is on this machine",
        );
        refused(
            r#"{"manifest_id":"m","publish_url":"https://o/x","events_url":"https://10.0.0.1/s3cret"}"#,
            "`events_url`: the channel names 10.0.0.1:443, which is on a private network",
        );
        refused(
            r#"{"manifest_id":"m","publish_url":"https://o/x","control_url":"s3cret"}"#,
            "control_url",
        );
    }

    #[test]
    fn refused_parameters_are_told_by_the_runners_status() {
        let from_runner = "live-video-to-video container returned ";
        for (status, words, expected) in [
            (500, format!("{from_runner}400: Error during model execution."), true),
            (500, format!("{from_runner}422: [{{}}]"), true),
            (500, format!("{from_runner}500: GPU out of memory."), false),
            (500, "no workers can process job requested".to_owned(), false),
            (400, format!("{from_runner}400"), false),
        ] {
            assert_eq!(refuses_params(status, &words), expected, "{status} {words}");
        }
    }

    #[track_caller]
    fn event(text: &str, kind: Option<&str>) {
        assert_eq!(JobEvent::parse(text.as_bytes()).map(|e| e.kind).as_deref(), kind);
    }

    #[test]
    fn events_are_read_bare_or_wrapped() {
        event(r#"{"type":"status","inference_status":{"fps":20}}"#, Some("status"));
        event(r#"{"queue_event_type":"ai_stream_events","event":{"type":"error"}}"#, Some("error"));
        event(r#"{"queue_event_type":"x"}"#, Some("unnamed"));
        event(r#"{"type":7}"#, Some("unnamed"));
        event("[]", None);
        event(&format!(r#"{{"type":"big","x":[{}0]}}"#, "0,".repeat(JSON_VALUES - 4)), Some("big"));
        event(&format!(r#"{{"type":"big","x":[{}0]}}"#, "0,".repeat(JSON_VALUES)), None);
        event("{", None);
        event("", None);
    }
}
