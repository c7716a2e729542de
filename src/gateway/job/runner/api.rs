//! What an application under a runner's `app_url` wants to be called with, and where the channels stand in its
//! answer.
//!
//! Every application has an API of its own, so that this is configuration; [`Api::echo`] is that of
//! `livepeer-example/echo`.
//!
//! Does not: call anybody.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

/// A JSON pointer (RFC 6901) to a text: `/channels/0/url`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(String);

/// Why a text is no part of an API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// No JSON pointer.
    Pointer,
    /// No path.
    Path,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pointer => "is no JSON pointer; write one such as /in or /channels/0/url",
            Self::Path => "is no path; write one such as /echo",
        })
    }
}

impl std::error::Error for ApiError {}

impl FromStr for Pointer {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        // `~` stands before 0 or 1 only.
        let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if text.starts_with('/') && text.len() > 1 && escapes {
            Ok(Self(text.to_owned()))
        } else {
            Err(ApiError::Pointer)
        }
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pointer {
    /// The text it points to.
    pub(crate) fn text<'a>(&self, answer: &'a Value) -> Option<&'a str> {
        answer.pointer(&self.0)?.as_str().filter(|text| !text.is_empty())
    }
}

/// Where parameters are posted while the application runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// To this path under `app_url`.
    Path(String),
    /// To the URL that stands here in the answer.
    Answer(Pointer),
}

impl FromStr for Update {
    type Err = ApiError;

    /// Reads `/path`, or `answer:/pointer`.
    fn from_str(text: &str) -> Result<Self, ApiError> {
        match text.strip_prefix("answer:") {
            Some(pointer) => pointer.parse().map(Self::Answer),
            None => path(text).map(Self::Path),
        }
    }
}

/// A path under `app_url`, without a query and without a way out of it.
pub fn path(text: &str) -> Result<String, ApiError> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'\\' | b'%');
    let inside = !text.split('/').any(|part| matches!(part, "." | ".."));
    if text.starts_with('/') && inside && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err(ApiError::Path)
    }
}

/// A path under the URL of a single-shot runner, perhaps with a query.
pub fn call_path(text: &str) -> Result<String, ApiError> {
    let (before, query) = text.split_once('?').unwrap_or((text, ""));
    path(before)?;
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if query.bytes().all(plain) { Ok(text.to_owned()) } else { Err(ApiError::Path) }
}

/// The API of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// The path under `app_url` whose POST starts it; the body are the job's parameters.
    pub start: String,
    /// Where the URL of our video's channel stands in the answer.
    pub publish: Pointer,
    /// Where the URL of the processed video's channel stands.
    pub output: Option<Pointer>,
    /// Where the URL of the control channel stands.
    pub control: Option<Pointer>,
    /// Where the URL of the events channel stands.
    pub events: Option<Pointer>,
    /// Where parameters are posted later; `None` if it takes none.
    pub update: Option<Update>,
}

impl Api {
    /// The API of `livepeer-example/echo` (protocol.md, section 6).
    pub fn echo() -> Self {
        Self {
            start: "/echo".to_owned(),
            publish: Pointer("/in".to_owned()),
            output: Some(Pointer("/out".to_owned())),
            control: None,
            events: None,
            update: Some(Update::Path("/update".to_owned())),
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
        let found = pointer.parse::<Pointer>().map(|p| p.text(&answer).map(str::to_owned));
        assert_eq!(found, Ok(expected.map(str::to_owned)), "{pointer}");
    }

    #[test]
    fn pointers_find_texts_and_nothing_else() {
        check("/in", Some("a"));
        check("/deep/0/url", Some("b"));
        check("/x~1y", Some("c"));
        check("/n", None);
        check("/empty", None);
        check("/deep", None);
        check("/deep/9/url", None);
        for wrong in ["", "/", "in", "/a~", "/a~2"] {
            assert_eq!(wrong.parse::<Pointer>(), Err(ApiError::Pointer), "{wrong}");
        }
    }

    #[test]
    fn updates_go_to_a_path_or_to_what_the_answer_says() {
        assert_eq!("/update".parse(), Ok(Update::Path("/update".into())));
        assert_eq!("answer:/u".parse(), Ok(Update::Answer(Pointer("/u".into()))));
        for wrong in ["", "update", "/a?b", "/a#b", "/../stop", "/a/./b", "/a b", "/%2e%2e/stop"] {
            assert_eq!(wrong.parse::<Update>(), Err(ApiError::Path), "{wrong}");
        }
        assert_eq!("answer:u".parse::<Update>(), Err(ApiError::Pointer));
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
