//! Parses and verifies the two headers of a paid call, `Livepeer-Payment` and `Livepeer-Segment`.
//!
//! The answer to a malformed payment is 402; the answer to credentials that are missing, forged, or signed by another
//! payer is 403 (go-livepeer `server/segment_rpc.go`).
//!
//! Does not: check the tickets; the ticket issuer does.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use prost::Message;

use crate::money::key::{self, SignaturePurpose};
use crate::money::wire::Payment;
use crate::token::{BadToken, Tokens};
use livepeer_gateway::orchestrator::proto::{AuthToken, SegData};

/// Why a call is refused: HTTP status and reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallRefusal {
    pub(crate) status: u16,
    pub(crate) reason: String,
}

impl CallRefusal {
    pub(crate) fn new(status: u16, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }
}

/// The decoded content of the two headers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Credentials {
    pub(crate) payment: Payment,
    /// The manifest id to book the payment under.
    pub(crate) manifest: String,
    pub(crate) token: AuthToken,
}

/// Parses and verifies both headers; `now` is the time since 1970.
pub(crate) fn read(
    payment: Option<&str>,
    segment: Option<&str>,
    tokens: &Tokens,
    now: Duration,
) -> Result<Credentials, CallRefusal> {
    let payment = STANDARD.decode(payment.unwrap_or_default()).ok();
    let payment = payment.and_then(|bytes| Payment::decode(bytes.as_slice()).ok());
    let payment = payment.ok_or_else(|| CallRefusal::new(402, "payment is malformed"))?;
    let forbidden = |reason: &str| CallRefusal::new(403, reason);
    let segment = STANDARD.decode(segment.unwrap_or_default()).ok().filter(|s| !s.is_empty());
    let segment = segment.and_then(|bytes| SegData::decode(bytes.as_slice()).ok());
    let segment = segment.ok_or_else(|| forbidden("missing or malformed segment credentials"))?;
    let sender = &payment.sender;
    let is_signed =
        key::verify(SignaturePurpose::Segment, sender, &content(&segment), &segment.sig);
    if sender.is_empty() || !is_signed {
        return Err(forbidden("segment sig check failed"));
    }
    let token = segment.auth_token.ok_or_else(|| forbidden("missing auth token"))?;
    tokens.check(&token, now).map_err(|bad| match bad {
        BadToken::Forged => forbidden("auth token is not valid"),
        BadToken::Expired => forbidden("auth token has expired"),
    })?;
    let manifest = String::from_utf8(segment.manifest_id.to_vec());
    let manifest = manifest.map_err(|_| forbidden("manifest id is not UTF-8"))?;
    Ok(Credentials { payment, manifest, token })
}

/// The signed bytes of a segment's credentials.
pub(crate) fn content(segment: &SegData) -> Vec<u8> {
    SegData { sig: Bytes::new(), ..segment.clone() }.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::key::PAYER;

    const NOW: Duration = Duration::from_secs(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn payment() -> Payment {
        Payment { sender: Bytes::copy_from_slice(&PAYER), ..Payment::default() }
    }

    fn segment(tokens: &Tokens) -> SegData {
        signed(SegData {
            manifest_id: Bytes::from_static(b"m"),
            auth_token: Some(tokens.make("s", NOW, HOUR)),
            ..SegData::default()
        })
    }

    fn signed(segment: SegData) -> SegData {
        SegData {
            sig: key::sign(SignaturePurpose::Segment, &PAYER, &content(&segment)).into(),
            ..segment
        }
    }

    #[track_caller]
    fn check(payment: &str, segment: &str, now: Duration, status: Result<&str, u16>) {
        let read = read(Some(payment), Some(segment), &Tokens::new(&[1; 32]), now);
        assert_eq!(read.as_ref().map(|c| c.manifest.as_str()).map_err(|u| u.status), status);
    }

    #[test]
    fn only_credentials_signed_by_the_payer_are_accepted() {
        let tokens = Tokens::new(&[1; 32]);
        let text = |segment: &SegData| STANDARD.encode(segment.encode_to_vec());
        let (pay, good) = (STANDARD.encode(payment().encode_to_vec()), segment(&tokens));
        check(&pay, &text(&good), NOW, Ok("m"));
        check("%", &text(&good), NOW, Err(402));
        check("AAAA", &text(&good), NOW, Err(402));
        check("", &text(&good), NOW, Err(403));
        check(&pay, "", NOW, Err(403));
        check(&pay, "%", NOW, Err(403));
        check(&pay, &text(&SegData { sig: Bytes::new(), ..good.clone() }), NOW, Err(403));
        let other = SegData { manifest_id: Bytes::from_static(b"n"), ..good.clone() };
        check(&pay, &text(&other), NOW, Err(403));
        check(&pay, &text(&good), NOW + HOUR, Err(403));
        check(&pay, &text(&segment(&Tokens::new(&[2; 32]))), NOW, Err(403));
        check(&pay, &text(&signed(SegData { auth_token: None, ..good })), NOW, Err(403));
        assert_eq!(read(None, None, &tokens, NOW).unwrap_err().status, 403);
    }
}
