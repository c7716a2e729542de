//! Parses the challenge in a runner's 402 response, and the same format from `/refresh-payment`.
//!
//! Does not: pay; the signer does.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::http::Url;
use crate::limits::{JSON_BODY, NAME_BYTES, PAYMENT_BYTES};
use crate::payment::{Terms, WireError};

/// Minimum and maximum of a challenge's payment interval.
const INTERVAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The payment that a runner demands before it serves a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The terms that the signer must pay.
    pub terms: Terms,
    /// The session's id, under which payments are booked.
    pub manifest_id: String,
    /// The orchestrator, for `/refresh-payment`; `None` if the challenge does not name it.
    pub(crate) orchestrator: Option<Url>,
    /// The URL for further payments.
    pub payment_url: Option<Url>,
    /// The payment interval, 1 to 60 s; `None` for the default of 5 s.
    pub interval: Option<Duration>,
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = |url: &Option<Url>| url.as_ref().map(|url| url.authority().to_string());
        f.debug_struct("Challenge")
            .field("terms", &self.terms)
            .field("orchestrator", &host(&self.orchestrator))
            .field("payment_host", &host(&self.payment_url))
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct ChallengeJson {
    #[serde(default)]
    payment_params: Option<String>,
    #[serde(default)]
    manifest_id: Option<String>,
    #[serde(default)]
    orchestrator: Option<String>,
    #[serde(default)]
    payment_url: Option<String>,
    #[serde(default)]
    payment_interval_ms: Option<Box<RawValue>>,
}

impl Challenge {
    /// Parses the body of a 402 response.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let json = ChallengeJson::read(body)?;
        Ok(Self {
            terms: json.terms()?,
            manifest_id: text("manifest_id", &json.manifest_id, NAME_BYTES)?,
            orchestrator: url("orchestrator", &json.orchestrator)?,
            payment_url: url("payment_url", &json.payment_url)?,
            interval: json.interval(),
        })
    }
}

impl ChallengeJson {
    fn read(body: &[u8]) -> Result<Self, WireError> {
        if body.len() > JSON_BODY {
            return Err(WireError::TooLarge("payment_params"));
        }
        serde_json::from_slice(body).map_err(|e| WireError::json(&e))
    }

    fn terms(&self) -> Result<Terms, WireError> {
        text("payment_params", &self.payment_params, PAYMENT_BYTES).map(Terms::Params)
    }

    fn interval(&self) -> Option<Duration> {
        let (least, most) = INTERVAL;
        let ms = serde_json::from_str(self.payment_interval_ms.as_ref()?.get()).ok()?;
        let ms = Some(ms).filter(|ms| *ms > 0)?;
        Some(Duration::from_millis(ms).clamp(least, most))
    }
}

fn text(name: &'static str, text: &Option<String>, most: usize) -> Result<String, WireError> {
    match text {
        Some(text) if text.len() > most => Err(WireError::TooLarge(name)),
        Some(text) if !text.trim().is_empty() => Ok(text.clone()),
        Some(_) | None => Err(WireError::Field(name)),
    }
}

fn url(name: &'static str, text: &Option<String>) -> Result<Option<Url>, WireError> {
    match text.as_deref().map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => Url::parse(text).map(Some).map_err(|_| WireError::Field(name)),
    }
}

/// The fresh terms in an answer to `/refresh-payment`, which is a challenge. Keep the session id and the payment URL of
/// the first challenge.
pub(super) fn refreshed_terms(body: &[u8]) -> Result<Terms, WireError> {
    ChallengeJson::read(body)?.terms()
}

/// The body of `POST {orchestrator}/refresh-payment`.
pub(super) fn refresh_request(payer: &str, manifest_id: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct RefreshRequest<'a> {
        sender: &'a str,
        manifest_id: &'a str,
    }
    // Serializing two texts cannot fail.
    serde_json::to_vec(&RefreshRequest { sender: payer, manifest_id }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn good() -> Value {
        json!({
            "payment_params": "cGFyYW1z", "manifest_id": "s1", "orchestrator": "https://o.example:8935",
            "payment_url": "https://o.example:8935/apps/r/session/s1/payment", "payment_interval_ms": 2500
        })
    }

    #[track_caller]
    fn check(key: &str, value: Value, expected: Result<Challenge, WireError>) {
        let mut body = good();
        body[key] = value;
        assert_eq!(Challenge::parse(body.to_string().as_bytes()), expected);
    }

    fn challenge() -> Challenge {
        let url = |text| Some(Url::parse(text).unwrap());
        Challenge {
            terms: Terms::Params("cGFyYW1z".into()),
            manifest_id: "s1".into(),
            orchestrator: url("https://o.example:8935"),
            payment_url: url("https://o.example:8935/apps/r/session/s1/payment"),
            interval: Some(Duration::from_millis(2500)),
        }
    }

    #[test]
    fn optional_fields_of_a_challenge_are_read_leniently() {
        let interval = |seconds| Ok(Challenge { interval: seconds, ..challenge() });
        check("unknown", json!({"a": 1}), Ok(challenge()));
        check("payment_interval_ms", json!(1), interval(Some(Duration::from_secs(1))));
        check("payment_interval_ms", json!(u64::MAX), interval(Some(Duration::from_secs(60))));
        for odd in [json!(0), json!(-5), json!("5000"), json!(null), json!(2.5)] {
            check("payment_interval_ms", odd, interval(None));
        }
        check("payment_url", json!(null), Ok(Challenge { payment_url: None, ..challenge() }));
        check("orchestrator", json!(""), Ok(Challenge { orchestrator: None, ..challenge() }));
    }

    #[test]
    fn a_challenge_that_cannot_be_paid_is_refused() {
        check("payment_params", json!(""), Err(WireError::Field("payment_params")));
        check("manifest_id", json!(null), Err(WireError::Field("manifest_id")));
        check(
            "manifest_id",
            json!("x".repeat(NAME_BYTES + 1)),
            Err(WireError::TooLarge("manifest_id")),
        );
        check("payment_url", json!("file:///etc/passwd"), Err(WireError::Field("payment_url")));
        check("payment_url", json!("https://me:pw@h/"), Err(WireError::Field("payment_url")));
        check("orchestrator", json!("nonsense"), Err(WireError::Field("orchestrator")));
        for body in ["", "[]", "null", "{\"payment_params\":1}"] {
            assert!(Challenge::parse(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn a_refresh_changes_only_the_terms() {
        let fresh = Terms::Params("ZnJlc2g=".into());
        let body = br#"{"payment_params":"ZnJlc2g=","payment_url":"https://evil:1/"}"#;
        assert_eq!(refreshed_terms(body), Ok(fresh));
        assert_eq!(refreshed_terms(b"{}"), Err(WireError::Field("payment_params")));
    }

    #[test]
    fn truncated_and_corrupt_challenges_do_not_panic() {
        let body = good().to_string().into_bytes();
        for at in 0..body.len() {
            let mut flipped = body.clone();
            flipped[at] ^= 0x81;
            let _ = (Challenge::parse(&flipped), Challenge::parse(&body[..at]));
        }
    }

    #[test]
    fn a_refresh_names_payer_and_session() {
        let body = String::from_utf8(refresh_request("0xab", "s\"1")).unwrap();
        assert_eq!(body, r#"{"sender":"0xab","manifest_id":"s\"1"}"#);
    }
}
