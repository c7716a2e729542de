//! Reads and checks the request that starts a live video job, and writes the answer.
//!
//! The checks come in go-livepeer's order (`server/ai_http.go`): JSON (400), capacity (503), payment (402),
//! credentials (403), tickets and balance (400).
//!
//! Does not: make channels.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http1::Answer;
use crate::money::credentials::CallRefusal;
use crate::token::{BadToken, Tokens};
use crate::{Role, token};
use livepeer_gateway::orchestrator::proto::SegData;

/// The body of the request that starts a job. Other keys are ignored.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct StartRequest {
    /// The model.
    pub(crate) model_id: String,
    /// The parameters of the pipeline.
    #[serde(default)]
    pub(crate) params: Value,
    /// The gateway's id for this request.
    #[serde(default)]
    pub(crate) gateway_request_id: String,
}

/// Why the start of a job is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StartRefusal {
    /// The body is not a JSON [`StartRequest`]; the value is the parser's reason.
    BadJson(String),
    /// The `Livepeer-Segment` header is missing or not base64 of a `SegData`.
    NoCredential,
    /// The token was not issued by this sandbox.
    Forged,
    /// The token has expired.
    Expired,
    /// The model is not offered, or all capacity is in use.
    NoCapacity,
    /// The payment or its credentials are refused.
    Payment(CallRefusal),
}

impl StartRefusal {
    /// The HTTP status and the reason of the answer.
    pub(crate) fn reason(&self) -> (u16, &str) {
        match self {
            Self::BadJson(reason) => (400, reason),
            Self::NoCredential => (403, "missing or malformed segment credentials"),
            Self::Forged => (403, "auth token is not valid"),
            Self::Expired => (403, "auth token has expired"),
            Self::NoCapacity => (503, "insufficient capacity"),
            Self::Payment(refusal) => (refusal.status, &refusal.reason),
        }
    }
}

/// Reads the body of the request that starts a job.
pub(crate) fn read(body: &[u8]) -> Result<StartRequest, StartRefusal> {
    serde_json::from_slice(body).map_err(|error| StartRefusal::BadJson(error.to_string()))
}

/// Checks the `Livepeer-Segment` header of an off-chain call; `now` is the time since 1970.
pub(crate) fn check_credential(
    header: Option<&str>,
    tokens: &Tokens,
    now: Duration,
) -> Result<(), StartRefusal> {
    let bytes =
        STANDARD.decode(header.unwrap_or_default()).map_err(|_| StartRefusal::NoCredential)?;
    let segment = SegData::decode(bytes.as_slice()).map_err(|_| StartRefusal::NoCredential)?;
    let token = segment.auth_token.ok_or(StartRefusal::NoCredential)?;
    tokens.check(&token, now).map_err(|bad| match bad {
        BadToken::Forged => StartRefusal::Forged,
        BadToken::Expired => StartRefusal::Expired,
    })
}

/// A started job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Job {
    /// The manifest id, which is also the name of the publish channel.
    pub(crate) manifest: String,
    /// The first parameters of the app.
    pub(crate) params: Value,
    /// The gateway's id for the request; `None` for the app of a runner session.
    pub(crate) request: Option<String>,
    /// An event to send before the first status event.
    pub(crate) announce: Option<Value>,
}

impl Job {
    /// Makes a job with a random id.
    pub(crate) fn new(wish: StartRequest) -> Self {
        let (params, request) = (wish.params, Some(wish.gateway_request_id));
        Self { manifest: token::random_id(), params, request, announce: None }
    }

    /// The name of the job's channel of this role.
    pub(crate) fn channel(&self, role: Role) -> String {
        format!("{}{}", self.manifest, role.suffix())
    }

    /// The answer to the start; `url` makes the URL of a channel.
    pub(crate) fn answer(&self, url: impl Fn(&str) -> String) -> Answer {
        let of = |role| url(&self.channel(role));
        let body = json!({
            "manifest_id": self.manifest,
            "publish_url": of(Role::Publish),
            "subscribe_url": of(Role::Output),
            "control_url": of(Role::Control),
            "events_url": of(Role::Events),
        });
        Answer::new(200).with("Content-Type", "application/json").body(body.to_string())
    }
}

/// The MIME type of the segments of a channel.
pub(crate) fn content_type(role: Role) -> &'static str {
    match role {
        Role::Publish | Role::Output => "video/MP2T",
        Role::Control | Role::Events => "application/json",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_ignored_and_wrong_types_refused() {
        let wish = read(br#"{"model_id":"m","params":{"a":1},"stream_id":"s","new":[]}"#).unwrap();
        assert_eq!((wish.model_id.as_str(), &wish.params["a"]), ("m", &json!(1)));
        assert_eq!(read(br#"{"model_id":"m"}"#).unwrap().params, Value::Null);
        for bad in ["", "{}", "[]", r#"{"model_id":3}"#, "<html>"] {
            assert!(matches!(read(bad.as_bytes()), Err(StartRefusal::BadJson(_))), "{bad}");
        }
    }

    #[test]
    fn credentials_need_an_unexpired_token_of_this_sandbox() {
        let (tokens, now) = (Tokens::new(&[1; 32]), Duration::from_secs(1_800_000_000));
        let check = |header: Option<&str>, now| check_credential(header, &tokens, now);
        let header = |auth_token| {
            STANDARD.encode(SegData { auth_token, ..SegData::default() }.encode_to_vec())
        };
        let hour = Duration::from_secs(3600);
        let good = header(Some(tokens.make("s", now, hour)));
        assert_eq!(check(Some(&good), now), Ok(()));
        assert_eq!(check(Some(&good), now + hour), Err(StartRefusal::Expired));
        let forged = header(Some(Tokens::new(&[2; 32]).make("s", now, hour)));
        assert_eq!(check(Some(&forged), now), Err(StartRefusal::Forged));
        for none in [None, Some(""), Some("%%%"), Some("AAAA"), Some(header(None).as_str())] {
            assert_eq!(check(none, now), Err(StartRefusal::NoCredential), "{none:?}");
        }
    }

    #[test]
    fn the_answer_names_every_channel() {
        let job =
            Job { manifest: "m".to_owned(), params: Value::Null, request: None, announce: None };
        let bytes = job.answer(|name| format!("https://o/{name}")).to_bytes();
        let text = String::from_utf8(bytes).unwrap();
        let body: Value = serde_json::from_str(text.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        let expected = json!({
            "manifest_id": "m",
            "publish_url": "https://o/m",
            "subscribe_url": "https://o/m-out",
            "control_url": "https://o/m-control",
            "events_url": "https://o/m-events",
        });
        assert_eq!(body, expected);
    }
}
