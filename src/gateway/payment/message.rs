//! Sanitizes a peer's error message for the log: one line of bounded length, without secrets.
//!
//! A peer may echo its request. Therefore every known secret is replaced, and so is every word long enough to be a
//! payment, a token or a trickle URL.
//!
//! Does not: decide by the text of a message; statuses decide.

use http::{HeaderMap, HeaderValue};
use serde::Deserialize;

use resilience::sanitize::MESSAGE_CHARS;
use resilience::sanitize::is_harmful;

/// The longest word shown: an Ethereum address has 42 characters, tokens have more.
const WORD_CHARS: usize = 48;
/// The part of a body that is read.
const TEXT_BYTES: usize = 16 << 10;

/// Returns the message of an error body, `{"error":{"message":"…"}}` or plain text, with every sensitive value of
/// `sent` replaced.
pub fn clean(body: &[u8], sent: &HeaderMap<HeaderValue>) -> String {
    let mut text = message(body);
    for value in sent.values().filter(|value| value.is_sensitive()) {
        let Ok(value) = value.to_str() else { continue };
        // The peer may echo only `abc` of `Bearer abc`.
        for secret in std::iter::once(value).chain(value.split_whitespace().skip(1)) {
            if !secret.is_empty() {
                text = text.replace(secret, "***");
            }
        }
    }
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || is_harmful(c)).filter(|w| !w.is_empty()) {
        let word = if word.chars().count() > WORD_CHARS { "***" } else { word };
        if line.chars().count() + 1 + word.chars().count() > MESSAGE_CHARS {
            line.push_str(" …");
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorMessage,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ErrorMessage {
    Object { message: String },
    Text(String),
}

fn message(body: &[u8]) -> String {
    let body = body.get(..TEXT_BYTES).unwrap_or(body);
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(ErrorBody { error: ErrorMessage::Object { message } | ErrorMessage::Text(message) }) => {
            message
        }
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &str) {
        let mut value = HeaderValue::from_static("Bearer hunter2");
        value.set_sensitive(true);
        let mut sent = HeaderMap::new();
        sent.insert(http::header::AUTHORIZATION, value);
        sent.insert(http::header::ACCEPT, HeaderValue::from_static("json"));
        assert_eq!(clean(body.as_bytes(), &sent), expected);
    }

    #[test]
    fn messages_become_one_clean_line() {
        check(r#"{"error":{"message":"missing orchestrator"}}"#, "missing orchestrator");
        check(r#"{"error":"no json here"}"#, "no json here");
        check("404 page\r\nnot found\n", "404 page not found");
        check(r#"{"error":{"message":"a\u001b[31m\nb"}}"#, "a [31m b");
        check(r#"{"other":1}"#, r#"{"other":1}"#);
        check("", "");
        check("unknown token hunter2", "unknown token ***");
        check("got Bearer hunter2!", "got ***!");
        check(&format!("payment {} is bad", "QUJD".repeat(20)), "payment *** is bad");
        check("json", "json");
    }

    #[test]
    fn a_huge_message_stays_short() {
        for body in ["word ".repeat(1 << 18), "x".repeat(1 << 20), "\u{1F600} ".repeat(1 << 16)] {
            assert!(clean(body.as_bytes(), &HeaderMap::new()).chars().count() <= MESSAGE_CHARS + 2);
        }
        assert_eq!(clean(&[0xff; 40], &HeaderMap::new()).chars().count(), 40);
    }
}
