//! The wire format of a job's start and of its events (protocol.md, section 5).
//!
//! Fields that a peer adds are ignored; a missing or bad value that the job needs is an error.
//!
//! Does not: send requests.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::http::{AnsweringPeer, follow};
use crate::job::JobOptions;
use crate::trickle::{Channel, ChannelKind};
use resilience::sanitize::{is_harmful, line};

/// Maximum number of values in a peer's JSON text that is parsed into a tree. A value whose text has 8 bytes may take
/// 600 bytes of memory.
const JSON_VALUES: usize = 16 << 10;

/// The control message that keeps a job alive. Send it every 10 s (protocol.md, section 5).
pub const KEEP_ALIVE: &str = r#"{"keep":"alive"}"#;

/// Maximum length of a manifest id, in bytes.
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

/// The body of `POST /live-video-to-video`. Use a new `request_id` for each job: it tells the runner that another
/// stream begins, whose parameters may set another frame size.
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
    /// The channel to publish video to.
    pub publish: Channel,
    /// The channel of the processed video.
    pub output: Option<Channel>,
    /// The channel to send parameters and keep-alives to.
    pub control: Option<Channel>,
    /// The channel of the job's events.
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

/// Parses the answer of `peer` to `POST /live-video-to-video`. An error says what is wrong with the answer.
pub fn start_answer(body: &[u8], peer: AnsweringPeer<'_>) -> Result<Channels, String> {
    let answer: StartAnswer =
        serde_json::from_slice(body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => {
                "its JSON does not have the types of a job's answer".to_owned()
            }
            serde_json::error::Category::Io
            | serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof => "it is not JSON".to_owned(),
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
        publish: channel("publish_url", ChannelKind::Publish, answer.publish_url)?
            .ok_or("`publish_url` is missing")?,
        output: channel("subscribe_url", ChannelKind::Subscribe, answer.subscribe_url)?,
        control: channel("control_url", ChannelKind::Control, answer.control_url)?,
        events: channel("events_url", ChannelKind::Events, answer.events_url)?,
    })
}

/// Whether the runner refused the model or its parameters. The orchestrator then answers with 500 and a text that
/// contains the runner's own status (go-livepeer `ai/worker/worker.go`): 422 for a wrong type, 400 for another model
/// or for parameters that the pipeline does not accept.
pub(super) fn refuses_params(status: u16, words: &str) -> bool {
    status == 500
        && ["container returned 400", "container returned 422"]
            .iter()
            .any(|said| words.contains(said))
}

/// Parses and checks the URL of a channel that `peer` gave. The error does not show the URL's path, because the path is
/// a credential.
pub(in crate::job) fn channel(
    text: &str,
    purpose: ChannelKind,
    peer: AnsweringPeer<'_>,
) -> Result<Channel, String> {
    let channel = Channel::parse(text, purpose).map_err(|error| error.to_string())?;
    channel.followed(|url| follow(peer, url)).map_err(|stray| format!("the channel {stray}"))
}

/// An event of a job. It has only the structure that the events of all pipelines share.
#[derive(Debug, Clone, PartialEq)]
pub struct JobEvent {
    /// The event's name: `status`, `error`, …
    pub(crate) kind: String,
    /// All fields of the event.
    pub(crate) body: Map<String, Value>,
}

impl JobEvent {
    /// Parses one segment of the events channel: the event itself, or the event wrapped as
    /// `{"queue_event_type":…,"event":{…}}`. `None` if the segment is not a JSON object, or has too many values.
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

    /// All fields of the event, as the peer sent them. Sanitize them before you show them.
    pub fn body(&self) -> &Map<String, Value> {
        &self.body
    }
}

/// Whether a JSON text has at most [`JSON_VALUES`] values: each value but the first follows a bracket or a comma.
pub(in crate::job) fn is_small(json: &[u8]) -> bool {
    let before_a_value = |byte: &&u8| matches!(**byte, b'[' | b'{' | b',');
    json.iter().filter(before_a_value).take(JSON_VALUES).count() < JSON_VALUES
}

impl fmt::Display for JobEvent {
    /// Writes one line for the log, of bounded length. A value that may contain a URL is shown as `***`.
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
        start_answer(body.as_bytes(), AnsweringPeer { url: &url, zone: Zone::Public })
    }

    #[test]
    fn the_request_contains_only_the_options_that_are_set() {
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
    fn a_complete_answer_has_four_channels() {
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
    fn an_unusable_answer_is_refused_without_showing_a_url() {
        refused("<html>", "not JSON");
        refused("", "not JSON");
        refused("[1]", "does not have the types");
        refused(r#"{"manifest_id":1}"#, "does not have the types");
        refused("{}", "manifest_id");
        refused(r#"{"manifest_id":"a\nb","publish_url":"https://o/s3cret"}"#, "manifest_id");
        refused(r#"{"manifest_id":"m"}"#, "publish_url");
        refused(r#"{"manifest_id":"m","publish_url":"ftp://o/s3cret"}"#, "publish_url");
        refused(r#"{"manifest_id":"m","publish_url":"http://o/s3cret"}"#, "plain HTTP");
        refused(
            r#"{"manifest_id":"m","publish_url":"http://127.0.0.1:8081/s3cret"}"#,
            "names 127.0.0.1:8081, which is on this computer",
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
    fn refused_parameters_are_recognised_by_the_runners_status() {
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
