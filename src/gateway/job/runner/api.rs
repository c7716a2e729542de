//! Describes the HTTP API of an application under a runner's `app_url`: the calls to make, and where its answer
//! contains the URLs of the channels.
//!
//! Every application has its own API, so the API is configured; [`AppApi::echo`] is the API of
//! `livepeer-example/echo`.
//!
//! Does not: make calls.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

/// A JSON pointer (RFC 6901) to a text, such as `/channels/0/url`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPointer(String);

/// Why a text cannot be parsed as a part of an API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The text is not a usable JSON pointer.
    #[error("is not a JSON pointer; write one such as /in or /channels/0/url")]
    Pointer,
    /// The text is not a usable path.
    #[error("is not a path; write one such as /echo")]
    Path,
}

impl FromStr for JsonPointer {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        // RFC 6901 allows `~` only before 0 or 1.
        let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if text.starts_with('/') && text.len() > 1 && escapes {
            Ok(Self(text.to_owned()))
        } else {
            Err(ApiError::Pointer)
        }
    }
}

impl fmt::Display for JsonPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonPointer {
    /// Returns the string at this place in `answer`; `None` if it is missing, empty, or not a string.
    pub(crate) fn text<'a>(&self, answer: &'a Value) -> Option<&'a str> {
        answer.pointer(&self.0)?.as_str().filter(|text| !text.is_empty())
    }
}

/// Where parameters are posted while the application runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateTarget {
    /// The parameters are posted to this path under `app_url`.
    Path(String),
    /// The parameters are posted to the URL at this place in the answer to the start.
    Answer(JsonPointer),
}

impl FromStr for UpdateTarget {
    type Err = ApiError;

    /// Reads `/path`, or `answer:/pointer`.
    fn from_str(text: &str) -> Result<Self, ApiError> {
        match text.strip_prefix("answer:") {
            Some(pointer) => pointer.parse().map(Self::Answer),
            None => path(text).map(Self::Path),
        }
    }
}

/// Checks a path below `app_url`: it must start with `/`, have no query, and not lead out of `app_url`.
pub fn path(text: &str) -> Result<String, ApiError> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'\\' | b'%');
    let inside = !text.split('/').any(|part| matches!(part, "." | ".."));
    if text.starts_with('/') && inside && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err(ApiError::Path)
    }
}

/// Checks a path below the URL of a single-shot runner, like [`path`]; it may have a query.
pub fn call_path(text: &str) -> Result<String, ApiError> {
    let (before, query) = text.split_once('?').unwrap_or((text, ""));
    path(before)?;
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if query.bytes().all(plain) { Ok(text.to_owned()) } else { Err(ApiError::Path) }
}

/// The HTTP API of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppApi {
    /// The path below `app_url` to which a POST with the job's parameters starts the application.
    pub start: String,
    /// Where the answer to the start contains the URL of the channel for our video.
    pub publish: JsonPointer,
    /// Where that answer contains the URL of the channel of the processed video.
    pub output: Option<JsonPointer>,
    /// Where that answer contains the URL of the control channel.
    pub control: Option<JsonPointer>,
    /// Where that answer contains the URL of the events channel.
    pub events: Option<JsonPointer>,
    /// Where new parameters are posted while the application runs; `None` if it accepts none.
    pub update: Option<UpdateTarget>,
}

impl AppApi {
    /// The API of `livepeer-example/echo` (protocol.md, section 6).
    pub fn echo() -> Self {
        Self {
            start: "/echo".to_owned(),
            publish: JsonPointer("/in".to_owned()),
            output: Some(JsonPointer("/out".to_owned())),
            control: None,
            events: None,
            update: Some(UpdateTarget::Path("/update".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(pointer: &str, expected: Option<&str>) {
        let answer = json!({"in": "a", "deep": [{"url": "b"}], "x/y": "c", "n": 1, "empty": ""});
        let found = pointer.parse::<JsonPointer>().map(|p| p.text(&answer).map(str::to_owned));
        assert_eq!(found, Ok(expected.map(str::to_owned)), "{pointer}");
    }

    #[test]
    fn pointers_find_only_texts() {
        check("/in", Some("a"));
        check("/deep/0/url", Some("b"));
        check("/x~1y", Some("c"));
        check("/n", None);
        check("/empty", None);
        check("/deep", None);
        check("/deep/9/url", None);
        for wrong in ["", "/", "in", "/a~", "/a~2"] {
            assert_eq!(wrong.parse::<JsonPointer>(), Err(ApiError::Pointer), "{wrong}");
        }
    }

    #[test]
    fn updates_go_to_a_path_or_to_a_url_from_the_answer() {
        assert_eq!("/update".parse(), Ok(UpdateTarget::Path("/update".into())));
        assert_eq!("answer:/u".parse(), Ok(UpdateTarget::Answer(JsonPointer("/u".into()))));
        for wrong in ["", "update", "/a?b", "/a#b", "/../stop", "/a/./b", "/a b", "/%2e%2e/stop"] {
            assert_eq!(wrong.parse::<UpdateTarget>(), Err(ApiError::Path), "{wrong}");
        }
        assert_eq!("answer:u".parse::<UpdateTarget>(), Err(ApiError::Pointer));
    }

    #[test]
    fn a_call_takes_a_path_and_a_query() {
        for good in ["/", "/v1/images", "/v1/images/", "/predict?seed=1&name=%20/.."] {
            assert_eq!(call_path(good), Ok(good.to_owned()));
        }
        for wrong in ["", "predict", "?a", "/a b", "/../stop", "/%2e%2e/stop", "/a#b", "/a?b#c"] {
            assert_eq!(call_path(wrong), Err(ApiError::Path), "{wrong}");
        }
    }
}
