//! Parses the answers of runners and their applications (protocol.md, section 6).
//!
//! Ignores unknown fields, and checks strictly what becomes part of a URL.
//!
//! Does not: make calls.

use serde::Deserialize;
use serde_json::Value;

use super::api::{AppApi, JsonPointer, UpdateTarget};
use crate::http::{AnsweringPeer, Url, follow_text};
use crate::job::Channels;
use crate::job::wire::{channel, is_small};
use crate::limits::NAME_BYTES;
use crate::trickle::ChannelKind;

/// A session on a runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SessionAnswer {
    /// The id of the session, which is also the manifest id of its payments.
    pub(super) id: String,
    /// The URL below which the application is called.
    pub(super) app_url: Url,
}

#[derive(Deserialize)]
struct SessionJson {
    #[serde(default)]
    session_id: Option<String>,
    #[serde(default)]
    app_url: Option<String>,
}

/// Returns the session id in the answer to a reservation, even if other fields of the answer are invalid.
pub(super) fn session_id(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct SessionIdJson {
        session_id: String,
    }
    let json: SessionIdJson = serde_json::from_slice(body).ok()?;
    Some(json.session_id).filter(|id| is_id(id))
}

/// Parses the successful answer to a reservation; `Err` says what is wrong with it.
pub(super) fn session_answer(
    body: &[u8],
    peer: AnsweringPeer<'_>,
) -> Result<SessionAnswer, String> {
    let json: SessionJson =
        serde_json::from_slice(body).map_err(|_| "it is not the JSON of a session".to_owned())?;
    let id = json.session_id.filter(|id| is_id(id)).ok_or("`session_id` is missing or unusable")?;
    let app_url = json.app_url.ok_or("`app_url` is missing")?;
    let app_url = follow_text(peer, &app_url).map_err(|stray| format!("`app_url` {stray}"))?;
    if app_url.path().contains('?') {
        return Err("`app_url` has a query".to_owned());
    }
    Ok(SessionAnswer { id, app_url })
}

/// Whether a session id is safe to use as one segment of a URL path.
pub(super) fn is_id(id: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    !id.is_empty() && id.len() <= NAME_BYTES && id.bytes().all(plain) && id != "." && id != ".."
}

/// The parsed answer to the start of an application.
#[derive(Debug, Clone)]
pub(super) struct AppAnswer {
    pub(super) channels: Channels,
    /// The URL to which new parameters are posted; `None` if there is none.
    pub(super) update: Option<Url>,
}

/// Parses the answer to the start of an application; `Err` says what is wrong with it.
pub(super) fn app_answer(
    body: &[u8],
    api: &AppApi,
    session: &SessionAnswer,
    peer: AnsweringPeer<'_>,
) -> Result<AppAnswer, String> {
    if !is_small(body) {
        return Err("it is too large".to_owned());
    }
    let answer: Value = serde_json::from_slice(body).map_err(|_| "it is not JSON".to_owned())?;
    let channel = |pointer: &JsonPointer, purpose| match pointer.text(&answer) {
        None => Ok(None),
        Some(text) => {
            channel(text, purpose, peer).map(Some).map_err(|e| format!("`{pointer}`: {e}"))
        }
    };
    let optional = |pointer: &Option<JsonPointer>, purpose| match pointer {
        None => Ok(None),
        Some(pointer) => channel(pointer, purpose),
    };
    let channels = Channels {
        manifest_id: session.id.clone(),
        publish: channel(&api.publish, ChannelKind::Publish)?
            .ok_or_else(|| format!("`{}` is missing", api.publish))?,
        output: optional(&api.output, ChannelKind::Subscribe)?,
        control: optional(&api.control, ChannelKind::Control)?,
        events: optional(&api.events, ChannelKind::Events)?,
    };
    let update = match &api.update {
        None => None,
        Some(UpdateTarget::Path(path)) => Some(session.app_url.join(path)),
        Some(UpdateTarget::Answer(pointer)) => match pointer.text(&answer) {
            None => None,
            Some(text) => Some(follow_text(peer, text).map_err(|e| format!("`{pointer}` {e}"))?),
        },
    };
    Ok(AppAnswer { channels, update })
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use serde_json::json;

    use super::*;
    use crate::http::Zone;

    static PEER: LazyLock<Url> =
        LazyLock::new(|| Url::parse("https://o.example:8935/apps/r/session").unwrap());

    fn peer() -> AnsweringPeer<'static> {
        AnsweringPeer { url: &PEER, zone: Zone::Public }
    }

    fn good() -> Value {
        json!({"session_id": "s-1", "app_url": "https://o.example:8935/apps/r/session/s-1/app", "control_url": "x"})
    }

    #[track_caller]
    fn check_session(key: &str, value: Value, expected: Option<&str>) {
        let mut body = good();
        body[key] = value;
        let answer = session_answer(body.to_string().as_bytes(), peer());
        match expected {
            None => assert_eq!(answer.unwrap().id, "s-1"),
            Some(reason) => {
                let error = answer.unwrap_err();
                assert!(error.contains(reason) && !error.contains("s3cret"), "{error}");
            }
        }
    }

    #[test]
    fn a_session_has_an_id_and_an_app_url() {
        check_session("more", json!([1]), None);
        for id in [json!(null), json!(""), json!("a/b"), json!(".."), json!("a?b"), json!("a b")] {
            check_session("session_id", id, Some("session_id"));
        }
        check_session("session_id", json!("x".repeat(NAME_BYTES + 1)), Some("session_id"));
        check_session("session_id", json!(7), Some("not the JSON"));
        check_session("app_url", json!(null), Some("app_url"));
        check_session("app_url", json!("s3cret"), Some("is not a URL"));
        check_session("app_url", json!("http://o.example/s3cret"), Some("plain HTTP"));
        check_session("app_url", json!("https://127.0.0.1/s3cret"), Some("this computer"));
        check_session("app_url", json!("https://o.example/a?s3cret"), Some("query"));
    }

    fn session() -> SessionAnswer {
        session_answer(good().to_string().as_bytes(), peer()).unwrap()
    }

    #[test]
    fn the_answer_of_an_echo_app_has_two_channels_and_an_update_url() {
        let body =
            json!({"in": "https://o.example/t/i", "out": "https://o.example/t/o"}).to_string();
        let answer = app_answer(body.as_bytes(), &AppApi::echo(), &session(), peer()).unwrap();
        assert_eq!(answer.channels.manifest_id, "s-1");
        assert_eq!(answer.channels.publish.expose().path(), "/t/i");
        assert!(answer.channels.output.is_some() && answer.channels.events.is_none());
        assert_eq!(answer.update.unwrap().path(), "/apps/r/session/s-1/app/update");
    }

    #[track_caller]
    fn check_app(body: &str, reason: &str) {
        let api = AppApi { update: Some("answer:/update".parse().unwrap()), ..AppApi::echo() };
        let error = app_answer(body.as_bytes(), &api, &session(), peer()).unwrap_err();
        assert!(error.contains(reason) && !error.contains("s3cret"), "{error}");
    }

    #[test]
    fn an_answer_without_usable_channels_is_refused_without_showing_a_url() {
        check_app("", "not JSON");
        check_app("<html>", "not JSON");
        check_app("[]", "`/in` is missing");
        check_app(r#"{"in":1}"#, "`/in` is missing");
        check_app(r#"{"in":"s3cret"}"#, "`/in`");
        check_app(r#"{"in":"http://o.example/s3cret"}"#, "plain HTTP");
        check_app(r#"{"in":"https://[::1]/s3cret"}"#, "this computer");
        check_app(r#"{"in":"https://o/a","out":"ftp://o/s3cret"}"#, "`/out`");
        check_app(
            r#"{"in":"https://o/a","update":"http://o/s3cret"}"#,
            "`/update` names o:80 over plain HTTP",
        );
    }

    #[test]
    fn truncated_and_corrupt_answers_do_not_panic() {
        let body = good().to_string().into_bytes();
        for at in 0..body.len() {
            for value in [0, b'"', b'{', b'9', 0xff] {
                let mut flipped = body.clone();
                flipped[at] = value;
                let _ = session_answer(&flipped, peer());
                let _ = app_answer(&flipped, &AppApi::echo(), &session(), peer());
            }
            let _ = session_answer(&body[..at], peer());
        }
        let deep = "[".repeat(100_000);
        assert!(session_answer(deep.as_bytes(), peer()).is_err());
        assert!(app_answer(deep.as_bytes(), &AppApi::echo(), &session(), peer()).is_err());
    }
}
