//! A scope: a live video job that begins with its control and events channels alone (protocol.md, section 5).
//!
//! The URLs of the media channels come later, in an event. [`ScopeChannels::with_media`] combines them with the first
//! channels into those of a complete job.
//!
//! Does not: find the URLs in the event, because its format depends on the model.

mod io;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::http::{AnsweringPeer, Url, Zone};
use crate::job::Channels;
use crate::job::wire::channel;
use crate::limits::NAME_BYTES;
use crate::trickle::{Channel, ChannelKind};
use resilience::sanitize::is_harmful;

pub use io::ScopeJob;

/// The model id in the request for a scope.
const MODEL: &str = "scope";

/// The channels with which a scope begins. Their URLs are credentials.
#[derive(Debug, Clone)]
pub struct ScopeChannels {
    /// The orchestrator's id of the job.
    pub manifest_id: String,
    /// The channel to send parameters and keep-alives to.
    pub control: Channel,
    /// The channel of the job's events.
    pub events: Channel,
    /// The orchestrator that gave the channels. The URLs of the media channels are checked as URLs of this
    /// orchestrator.
    peer: Url,
    /// The zone of the connection to the orchestrator.
    zone: Zone,
}

impl ScopeChannels {
    /// The channels of a complete job: these, and the media channels whose URLs an event gave. An error says what is
    /// wrong with the URLs without showing them.
    pub fn with_media(&self, publish: &str, output: Option<&str>) -> Result<Channels, String> {
        let peer = AnsweringPeer { url: &self.peer, zone: self.zone };
        let output = output.map(|output| channel(output, ChannelKind::Subscribe, peer));
        Ok(Channels {
            manifest_id: self.manifest_id.clone(),
            publish: channel(publish, ChannelKind::Publish, peer)?,
            output: output.transpose()?,
            control: Some(self.control.clone()),
            events: Some(self.events.clone()),
        })
    }
}

#[derive(Deserialize)]
struct ScopeAnswer {
    #[serde(default)]
    manifest_id: Option<String>,
    #[serde(default)]
    control_url: Option<String>,
    #[serde(default)]
    events_url: Option<String>,
}

/// The body of `POST /scope`.
fn request(params: &Map<String, Value>, request_id: &str) -> Vec<u8> {
    let mut body = json!({ "model_id": MODEL, "gateway_request_id": request_id });
    if let Some(body) = body.as_object_mut().filter(|_| !params.is_empty()) {
        body.insert("params".to_owned(), Value::Object(params.clone()));
    }
    // JSON values always serialise.
    serde_json::to_vec(&body).unwrap_or_default()
}

/// Parses the answer of `peer` to `POST /scope`. An error says what is wrong with the answer.
fn answer(body: &[u8], peer: AnsweringPeer<'_>) -> Result<ScopeChannels, String> {
    let answer: ScopeAnswer =
        serde_json::from_slice(body).map_err(|_| "it is not the JSON of a job".to_owned())?;
    let is_id = |id: &String| !id.is_empty() && id.len() <= NAME_BYTES && !id.contains(is_harmful);
    let manifest_id =
        answer.manifest_id.filter(is_id).ok_or("`manifest_id` is missing or unusable")?;
    let named = |key: &str, url: Option<String>, purpose| {
        let url = url.filter(|url| !url.is_empty()).ok_or(format!("`{key}` is missing"))?;
        channel(&url, purpose, peer).map_err(|error| format!("`{key}`: {error}"))
    };
    Ok(ScopeChannels {
        manifest_id,
        control: named("control_url", answer.control_url, ChannelKind::Control)?,
        events: named("events_url", answer.events_url, ChannelKind::Events)?,
        peer: peer.url.clone(),
        zone: peer.zone,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> Url {
        Url::parse("https://o.example:8935").unwrap()
    }

    fn answering_peer(url: &Url) -> AnsweringPeer<'_> {
        AnsweringPeer { url, zone: Zone::Public }
    }

    #[track_caller]
    fn check(body: &str, reason: &str) {
        let error = answer(body.as_bytes(), answering_peer(&peer())).unwrap_err();
        assert!(error.contains(reason) && !error.contains("s3cret"), "{error}");
    }

    #[test]
    fn an_answer_without_both_channels_is_refused() {
        check("", "not the JSON");
        check("[]", "manifest_id");
        check("{}", "manifest_id");
        check(r#"{"manifest_id":"m"}"#, "`control_url` is missing");
        check(r#"{"manifest_id":"m","control_url":"https://o/c"}"#, "`events_url` is missing");
        check(r#"{"manifest_id":"m","control_url":"http://o/s3cret"}"#, "plain HTTP");
        check(r#"{"manifest_id":"m","control_url":"https://127.0.0.1/s3cret"}"#, "this computer");
    }

    #[test]
    fn media_channels_come_later() {
        let body = r#"{"manifest_id":"m","control_url":"https://o/c","events_url":"https://o/e"}"#;
        let scope = answer(body.as_bytes(), answering_peer(&peer())).unwrap();
        let job = scope.with_media("https://o/in", Some("https://o/out")).unwrap();
        assert_eq!(job.manifest_id, "m");
        assert!(job.output.is_some() && job.control.is_some() && job.events.is_some());
        assert!(scope.with_media("http://o/s3cret", None).unwrap_err().contains("plain HTTP"));
        assert!(scope.with_media("https://o/in", Some("")).is_err());
    }

    #[test]
    fn the_request_asks_for_a_scope() {
        let plain = br#"{"gateway_request_id":"r","model_id":"scope"}"#;
        assert_eq!(request(&Map::new(), "r"), plain);
        let params = Map::from_iter([("a".to_owned(), json!(1))]);
        let whole = br#"{"gateway_request_id":"r","model_id":"scope","params":{"a":1}}"#;
        assert_eq!(request(&params, "r"), whole);
    }
}
