//! Posts to a web server: the signature of an event, and what follows an answer.
//!
//! Does not: make calls, or wait.

use ring::hmac;

use resilience::secret::Secret;

/// What to do after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The event is delivered.
    Delivered,
    /// Post it again later.
    Again,
    /// The server refuses the event, and would refuse it again. A redirect is not followed, because it might lead to
    /// another host.
    Refused,
}

impl Outcome {
    /// What to do after an answer with this status.
    pub(super) fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Delivered,
            408 | 425 | 429 | 500..=599 => Self::Again,
            _ => Self::Refused,
        }
    }
}

/// The value of the signature's header: `sha256=` and the HMAC-SHA256 of the body under `secret`, in hexadecimal.
pub(super) fn signature(secret: &Secret, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let mut text = String::from("sha256=");
    for byte in hmac::sign(&key, body).as_ref() {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_decides_what_comes_next() {
        for (status, expected) in [
            (200, Outcome::Delivered),
            (204, Outcome::Delivered),
            (302, Outcome::Refused),
            (400, Outcome::Refused),
            (401, Outcome::Refused),
            (410, Outcome::Refused),
            (429, Outcome::Again),
            (500, Outcome::Again),
            (503, Outcome::Again),
        ] {
            assert_eq!(Outcome::of(status), expected, "{status}");
        }
    }

    #[test]
    fn the_signature_is_that_of_other_programs() {
        // printf '{"a":1}' | openssl dgst -sha256 -hmac s3cret
        let expected = "sha256=5910e62016ef5034272c926c27071992a465c2335cecf41851bda071577f4f6d";
        assert_eq!(signature(&Secret::new("s3cret"), br#"{"a":1}"#), expected);
    }
}
