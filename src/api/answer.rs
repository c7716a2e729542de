//! Makes the answers to requests: status, headers and body.
//!
//! Does not: send answers.

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use serde_json::json;

use super::refusal::Refusal;

/// The seconds after which a client that was refused for lack of room may try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// The headers of every answer: browsers must not store the answer, must not guess another type, and must let only this
/// origin use the answer.
const ALWAYS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    // The page loads only its own files, and blobs for video. No other site may show the page in a frame.
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
         media-src 'self' blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
];

/// Adds the headers of every answer.
pub(super) fn complete(headers: &mut HeaderMap) {
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// An answer with this body.
pub(super) fn whole(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Bytes> {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// An answer of JSON.
pub(super) fn json(status: StatusCode, value: &serde_json::Value) -> Response<Bytes> {
    whole(status, "application/json", format!("{value}\n"))
}

/// The answer to a request that is refused.
pub(super) fn refused(refusal: &Refusal) -> Response<Bytes> {
    let error = json!({"error": {"code": refusal.code(), "message": refusal.message()}});
    let mut answer = json(refusal.status(), &error);
    let headers = answer.headers_mut();
    match refusal {
        Refusal::Method(allowed) => {
            headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        Refusal::Token => {
            // The second scheme makes a browser ask for a password; programs use the first one.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            let basic =
                HeaderValue::from_static("Basic realm=\"livepeer-edge\", charset=\"UTF-8\"");
            headers.append(header::WWW_AUTHENTICATE, basic);
        }
        Refusal::Viewers | Refusal::EventReaders | Refusal::NoVideo => {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        Refusal::BodyLength | Refusal::BodyTime => {
            // The rest of the body is not read, so the connection cannot carry another request.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Refusal::NotFound
        | Refusal::Query(_)
        | Refusal::Host
        | Refusal::Origin
        | Refusal::MediaType
        | Refusal::Body(_)
        | Refusal::NotReady(_)
        | Refusal::NoPicture(_) => {}
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_the_same_shape() {
        let answer = refused(&Refusal::Method("GET, HEAD"));
        assert_eq!(answer.status(), 405);
        assert_eq!(answer.headers()[header::ALLOW], "GET, HEAD");
        let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        let expected = json!({"error": {"code": "method-not-allowed", "message": "this path takes GET, HEAD"}});
        assert_eq!(body, expected);
    }

    #[test]
    fn a_full_server_says_when_to_try_again() {
        let answer = refused(&Refusal::Viewers);
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()[header::RETRY_AFTER]),
            (503, &RETRY_AFTER)
        );
    }

    #[test]
    fn a_missing_token_is_asked_for_by_both_schemes() {
        let answer = refused(&Refusal::Token);
        let ways: Vec<_> = answer.headers().get_all(header::WWW_AUTHENTICATE).iter().collect();
        assert_eq!(ways.len(), 2);
        assert_eq!(ways[0], "Bearer");
    }
}
