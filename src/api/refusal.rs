//! Why a request is refused: the status, a code for programs and a sentence for people.
//!
//! Every refusal has the same JSON body: `{"error": {"code": "not-found", "message": "…"}}`. The codes stay the same
//! from version to version.
//!
//! Does not: quote what the client sent.

use http::StatusCode;

use super::limits::{BODY_BYTES, EVENT_READERS, VIEWERS};

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The path does not exist.
    NotFound,
    /// The path does not accept the request's method, only these.
    Method(&'static str),
    /// A value of the query is not known.
    Query(&'static str),
    /// `Host` is missing, repeated or not a name of this device.
    Host,
    /// Another site's page sent the request.
    Origin,
    /// The token is missing or wrong.
    Token,
    /// The body is not announced as JSON.
    MediaType,
    /// The body is longer than [`BODY_BYTES`].
    BodyLength,
    /// The body did not arrive in time, or broke off.
    BodyTime,
    /// The path does not accept the body; the text says what is wrong.
    Body(String),
    /// All places for viewers are taken.
    Viewers,
    /// All places for readers of events are taken.
    EventReaders,
    /// No key frame came in time.
    NoVideo,
    /// Video does not move from the camera back to this device; the state in one line.
    NotReady(String),
    /// The newest pictures cannot be decoded, for this reason.
    NoPicture(String),
}

impl Refusal {
    /// The status of the answer.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Query(_) | Self::Body(_) => StatusCode::BAD_REQUEST,
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Origin => StatusCode::FORBIDDEN,
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyLength => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTime => StatusCode::REQUEST_TIMEOUT,
            Self::Viewers | Self::EventReaders | Self::NoVideo | Self::NotReady(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::NoPicture(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The code for programs.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::Method(_) => "method-not-allowed",
            Self::Query(_) => "wrong-query",
            Self::Host => "wrong-host",
            Self::Origin => "cross-site",
            Self::Token => "wrong-token",
            Self::MediaType => "wrong-content-type",
            Self::BodyLength => "body-too-long",
            Self::BodyTime => "body-too-slow",
            Self::Body(_) => "wrong-body",
            Self::Viewers => "too-many-viewers",
            Self::EventReaders => "too-many-readers",
            Self::NoVideo => "no-video",
            Self::NotReady(_) => "not-ready",
            Self::NoPicture(_) => "no-picture",
        }
    }

    /// The sentence for people.
    pub(super) fn message(&self) -> String {
        match self {
            Self::NotFound => "this path does not exist; /openapi.json lists all paths".to_owned(),
            Self::Method(allowed) => format!("this path takes {allowed}"),
            Self::Query(allowed) => format!("the query takes {allowed}"),
            Self::Host => {
                "the Host header must be an IP address, localhost or this device's name".to_owned()
            }
            Self::Origin => "pages of other sites may not use this API".to_owned(),
            Self::Token => {
                "send the token: Authorization: Bearer TOKEN, or the token as password of any user"
                    .to_owned()
            }
            Self::MediaType => "send the body with Content-Type: application/json".to_owned(),
            Self::BodyLength => format!("a body has at most {BODY_BYTES} bytes"),
            Self::BodyTime => "the body did not arrive in time".to_owned(),
            Self::Body(what) | Self::NotReady(what) => what.clone(),
            Self::Viewers => format!("{VIEWERS} viewers are connected already; try again later"),
            Self::EventReaders => {
                format!("{EVENT_READERS} readers of events are connected already; try again later")
            }
            Self::NoVideo => "no key frame has come; /status says what is missing".to_owned(),
            Self::NoPicture(why) => format!("the newest picture cannot be decoded: {why}"),
        }
    }
}
