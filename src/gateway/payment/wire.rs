//! Parses and serializes the payment messages between this gateway, the signer and the orchestrator.
//!
//! Three things are passed on unchanged: the bytes of an `OrchestratorInfo` (in base64), the `payment_params` of a
//! challenge, and the signer's `state` (the exact text of the JSON object, because the signer's signature covers its
//! bytes). Answers are parsed leniently, but their size is limited, and what becomes a header must be base64. Two
//! things are inspected, if they can be decoded: the payer, the number and the value of the tickets of a payment, and
//! whether terms ask for a price.
//!
//! Does not: send anything, or check signatures and tickets: those are opaque here.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use prost::Message;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::limits::{JSON_BODY, PAYMENT_BYTES};
use crate::payment::PaymentKind;
use crate::payment::spent::expected_value;
use crate::price::MaxPrice;

const PAYMENT: HeaderName = HeaderName::from_static("livepeer-payment");
const SEGMENT: HeaderName = HeaderName::from_static("livepeer-segment");
/// The number of bytes in an Ethereum address.
const ADDRESS: usize = 20;

/// What is wrong with a response. The error never contains the response, which may contain payments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not the expected JSON; the line and column of the error.
    #[error("answer is not the JSON expected, at line {0} column {1}")]
    Json(usize, usize),
    /// This field is missing, empty or malformed.
    #[error("answer has no usable `{0}`")]
    Field(&'static str),
    /// This field is longer than its limit.
    #[error("`{0}` of the answer is too large")]
    TooLarge(&'static str),
}

impl WireError {
    pub(super) fn json(error: &serde_json::Error) -> Self {
        Self::Json(error.line(), error.column())
    }
}

/// The payment terms of an orchestrator, as received.
#[derive(Clone, PartialEq, Eq)]
pub enum Terms {
    /// The bytes of an `OrchestratorInfo`.
    Info(Bytes),
    /// The `payment_params` of a runner's challenge, which are base64.
    Params(String),
}

impl Terms {
    /// Returns the orchestrator's URL if the orchestrator is on-chain and asks no price.
    pub(super) fn free(&self) -> Option<String> {
        let bytes = match self {
            Self::Info(bytes) => bytes.clone(),
            Self::Params(text) => STANDARD.decode(text).ok()?.into(),
        };
        let info = AskedInfo::decode(bytes).ok()?;
        let is_onchain = info.ticket_params.is_some_and(|params| !params.is_empty());
        let asks = |price: &AskedPrice| price.price_per_unit != 0 && price.pixels_per_unit != 0;
        (is_onchain && !info.price_info.as_ref().is_some_and(asks)).then_some(info.transcoder)
    }
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Info(bytes) => write!(f, "Info({} bytes)", bytes.len()),
            Self::Params(text) => write!(f, "Params({} bytes)", text.len()),
        }
    }
}

/// The signer's state of the session: opaque, signed, and a credential.
#[derive(Clone)]
pub struct SignerState(Box<RawValue>);

impl fmt::Debug for SignerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A request for a payment.
#[derive(Debug)]
pub struct PaymentRequest<'a> {
    /// The terms of the orchestrator that is to be paid.
    pub(crate) terms: &'a Terms,
    /// How the payment is counted.
    pub(crate) kind: PaymentKind,
    /// The id of the job or session; `None` on the very first call of an LV2V job.
    pub(crate) manifest_id: Option<&'a str>,
    /// The `state` from the signer's last answer; `None` on the first call.
    pub(crate) state: Option<&'a SignerState>,
    /// The application's name, the same on every call.
    pub(crate) app: Option<&'a str>,
    /// The maximum price that the signer may accept.
    pub(crate) max_price: Option<&'a MaxPrice>,
    /// The bytes of the `Capabilities` that the job needs.
    pub(crate) capabilities: Option<&'a Bytes>,
}

impl PaymentRequest<'_> {
    /// The JSON body of `POST /generate-live-payment`.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, WireError> {
        let orchestrator = match self.terms {
            Terms::Info(bytes) => STANDARD.encode(bytes),
            Terms::Params(text) => text.clone(),
        };
        let max_price = match self.max_price {
            None => None,
            Some(max) => Some(MaxPriceJson {
                price: RawValue::from_string(max.number()).map_err(|e| WireError::json(&e))?,
                currency: "wei",
                unit: max.price().unit().as_str(),
            }),
        };
        let body = RequestJson {
            orchestrator,
            kind: self.kind.wire_type(),
            in_pixels: self.kind.pixels(),
            manifest_id: self.manifest_id,
            state: self.state.map(|state| &*state.0),
            app: self.app,
            max_price,
            capabilities: self.capabilities.map(|bytes| STANDARD.encode(bytes)),
        };
        serde_json::to_vec(&body).map_err(|e| WireError::json(&e))
    }
}

#[derive(Serialize)]
struct RequestJson<'a> {
    orchestrator: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(rename = "inPixels", skip_serializing_if = "Option::is_none")]
    in_pixels: Option<u32>,
    #[serde(rename = "ManifestID", skip_serializing_if = "Option::is_none")]
    manifest_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<&'a str>,
    #[serde(rename = "maxPrice", skip_serializing_if = "Option::is_none")]
    max_price: Option<MaxPriceJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities: Option<String>,
}

#[derive(Serialize)]
struct MaxPriceJson {
    price: Box<RawValue>,
    currency: &'static str,
    unit: &'static str,
}

/// The headers that carry a payment. They are marked sensitive, so that `Debug` does not print them.
#[derive(Debug, Clone)]
pub struct PaymentHeaders {
    payment: HeaderValue,
    segment: HeaderValue,
}

impl PaymentHeaders {
    /// The headers for an orchestrator that is not paid: an empty payment, and a `SegData` that contains only the
    /// encoded `AuthToken` in `auth_token`.
    pub(crate) fn offchain(auth_token: &[u8]) -> Result<Self, WireError> {
        if auth_token.is_empty() {
            return Err(WireError::Field("auth_token"));
        }
        let segment = AuthSegment { auth_token: Bytes::copy_from_slice(auth_token) };
        let segment = STANDARD.encode(segment.encode_to_vec());
        Ok(Self {
            payment: HeaderValue::from_static(""),
            segment: header_value("auth_token", &segment)?,
        })
    }

    /// Adds `Livepeer-Payment` and `Livepeer-Segment` to `headers`.
    pub fn insert_into(&self, headers: &mut HeaderMap<HeaderValue>) {
        headers.insert(PAYMENT, self.payment.clone());
        headers.insert(SEGMENT, self.segment.clone());
    }
}

/// A payment by the signer.
#[derive(Debug)]
pub struct Payment {
    /// The headers to send to the orchestrator.
    pub(crate) headers: PaymentHeaders,
    /// The state to send with the next request to the signer.
    pub(crate) state: SignerState,
    /// The address of the key that signed the payment, if it can be decoded.
    pub(crate) payer: Option<Bytes>,
    /// The number of the payment's tickets; 0 if it cannot be decoded.
    pub(crate) tickets: usize,
    /// The expected value of the payment's tickets in wei; 0 if it cannot be decoded.
    pub(crate) wei: u128,
}

#[derive(Deserialize)]
struct PaymentJson {
    #[serde(default)]
    payment: Option<String>,
    #[serde(default, rename = "segCreds")]
    seg_creds: Option<String>,
    #[serde(default)]
    state: Option<Box<RawValue>>,
}

impl Payment {
    /// Reads the answer to `POST /generate-live-payment`.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        if body.len() > JSON_BODY {
            return Err(WireError::TooLarge("payment"));
        }
        let json: PaymentJson = serde_json::from_slice(body).map_err(|e| WireError::json(&e))?;
        let text = json.payment.unwrap_or_default();
        let payment = header_value("payment", &text)?;
        let made = STANDARD.decode(&text).ok().and_then(|bytes| MadePayment::decode(&*bytes).ok());
        let MadePayment { params, sender, tickets } = made.unwrap_or_default();
        let TicketParams { face_value, win_prob } =
            TicketParams::decode(params).unwrap_or_default();
        let segment = header_value("segCreds", &json.seg_creds.unwrap_or_default())?;
        let state = json.state.ok_or(WireError::Field("state"))?;
        if state.get().len() > PAYMENT_BYTES {
            return Err(WireError::TooLarge("state"));
        }
        if !state.get().starts_with('{') {
            return Err(WireError::Field("state"));
        }
        Ok(Self {
            headers: PaymentHeaders { payment, segment },
            state: SignerState(state),
            payer: Some(sender).filter(|sender| sender.len() == ADDRESS),
            tickets: tickets.len(),
            wei: expected_value(tickets.len(), &face_value, &win_prob),
        })
    }
}

/// The payer's address, and the signature that proves it. Both are the same for all orchestrators.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature {
    address: [u8; ADDRESS],
    signature: Bytes,
}

#[derive(Deserialize)]
struct SignatureJson {
    #[serde(default)]
    address: String,
    #[serde(default)]
    signature: String,
}

impl Signature {
    /// Reads the answer to `POST /sign-orchestrator-info`.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        if body.len() > JSON_BODY {
            return Err(WireError::TooLarge("signature"));
        }
        let json: SignatureJson = serde_json::from_slice(body).map_err(|e| WireError::json(&e))?;
        let address = hex::<ADDRESS>(&json.address).ok_or(WireError::Field("address"))?;
        let signature = hex::<65>(&json.signature).ok_or(WireError::Field("signature"))?;
        Ok(Self { address, signature: Bytes::copy_from_slice(&signature) })
    }

    /// The payer's address, in the form for `OrchestratorRequest`.
    pub fn address(&self) -> Bytes {
        Bytes::copy_from_slice(&self.address)
    }

    /// The payer's address as `0x…`, for `Livepeer-Payer-Address` and `/refresh-payment`.
    pub fn payer(&self) -> String {
        self.address.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
    }

    /// The signature, in the form for `OrchestratorRequest`.
    pub fn signature(&self) -> Bytes {
        self.signature.clone()
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signature").field("payer", &self.payer()).finish_non_exhaustive()
    }
}

/// `SegData` with only its auth token, as bytes: a nested message is encoded like bytes, with its length in front.
#[derive(Clone, PartialEq, Message)]
struct AuthSegment {
    #[prost(bytes = "bytes", tag = "8")]
    auth_token: Bytes,
}

/// The fields of a `Payment` that are inspected.
#[derive(Clone, PartialEq, Message)]
struct MadePayment {
    #[prost(bytes = "bytes", tag = "1")]
    params: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    sender: Bytes,
    #[prost(bytes = "bytes", repeated, tag = "4")]
    tickets: Vec<Bytes>,
}

/// The fields of a payment's `TicketParams` that are inspected.
#[derive(Clone, PartialEq, Message)]
struct TicketParams {
    #[prost(bytes = "bytes", tag = "2")]
    face_value: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    win_prob: Bytes,
}

/// The fields of an `OrchestratorInfo` that are inspected.
#[derive(Clone, PartialEq, Message)]
struct AskedInfo {
    #[prost(string, tag = "1")]
    transcoder: String,
    #[prost(bytes = "bytes", optional, tag = "2")]
    ticket_params: Option<Bytes>,
    #[prost(message, optional, tag = "3")]
    price_info: Option<AskedPrice>,
}

#[derive(Clone, PartialEq, Message)]
struct AskedPrice {
    #[prost(int64, tag = "1")]
    price_per_unit: i64,
    #[prost(int64, tag = "2")]
    pixels_per_unit: i64,
}

fn header_value(name: &'static str, text: &str) -> Result<HeaderValue, WireError> {
    if text.len() > PAYMENT_BYTES {
        return Err(WireError::TooLarge(name));
    }
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    if text.is_empty() || !text.bytes().all(is_base64) {
        return Err(WireError::Field(name));
    }
    let mut value = HeaderValue::from_str(text).map_err(|_| WireError::Field(name))?;
    value.set_sensitive(true);
    Ok(value)
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.trim();
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    if digits.len() != 2 * N || !digits.is_ascii() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        for digit in pair {
            let value = char::from(*digit).to_digit(16)?;
            *byte = *byte << 4 | u8::try_from(value).ok()?;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::orchestrator::proto::tests::vector;

    fn request(terms: &Terms) -> PaymentRequest<'_> {
        PaymentRequest {
            terms,
            kind: PaymentKind::Lv2v,
            manifest_id: None,
            state: None,
            app: None,
            max_price: None,
            capabilities: None,
        }
    }

    #[test]
    fn the_first_request_of_a_job_has_only_required_fields() {
        let info = vector("info-full");
        let terms = Terms::Info(Bytes::from(info.clone()));
        let body = request(&terms).to_json().unwrap();
        let expected = format!(r#"{{"orchestrator":"{}","type":"lv2v"}}"#, STANDARD.encode(info));
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }

    #[test]
    fn a_later_request_has_all_configured_fields() {
        let state = r#"{ "Sig":"c2ln", "State":"e30=",  "new": 1e400 }"#;
        let answer = format!(r#"{{"payment":"cA==","segCreds":"cw==","state":{state}}}"#);
        let payment = Payment::parse(answer.as_bytes()).unwrap();
        let max = "0.10 wei per second".parse().unwrap();
        let terms = Terms::Params("b2Zm+/8=".into());
        let capabilities = Bytes::from(vector("capabilities-lv2v-model"));
        let body = PaymentRequest {
            kind: PaymentKind::Live,
            manifest_id: Some("m\"1"),
            state: Some(&payment.state),
            app: Some("echo"),
            max_price: Some(&max),
            capabilities: Some(&capabilities),
            ..request(&terms)
        }
        .to_json()
        .unwrap();
        let expected = format!(
            r#"{{"orchestrator":"b2Zm+/8=","type":"live","ManifestID":"m\"1","state":{state},"app":"echo","maxPrice":{{"price":0.1,"currency":"wei","unit":"seconds"}},"capabilities":"{}"}}"#,
            STANDARD.encode(&capabilities)
        );
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }

    #[test]
    fn pixels_are_paid_without_a_type() {
        let terms = Terms::Params("cA==".into());
        let kind = PaymentKind::Pixels(1_048_576.try_into().unwrap());
        let body = PaymentRequest { kind, ..request(&terms) }.to_json().unwrap();
        assert_eq!(body, br#"{"orchestrator":"cA==","inPixels":1048576}"#);
    }

    #[track_caller]
    fn check(answer: serde_json::Value, expected: Result<(), WireError>) {
        let payment = Payment::parse(answer.to_string().as_bytes());
        assert_eq!(payment.map(|_| ()), expected);
    }

    #[test]
    fn a_payment_needs_only_its_required_fields() {
        let good =
            || json!({"payment": "cA==", "segCreds": "cw==", "state": {"State": "", "Sig": ""}});
        let with = |key: &str, value: serde_json::Value| {
            let mut answer = good();
            answer[key] = value;
            answer
        };
        check(good(), Ok(()));
        check(with("more", json!([1])), Ok(()));
        check(with("payment", json!("")), Err(WireError::Field("payment")));
        check(with("payment", json!(null)), Err(WireError::Field("payment")));
        check(with("payment", json!("a\r\nX-Evil: 1")), Err(WireError::Field("payment")));
        check(with("segCreds", json!(null)), Err(WireError::Field("segCreds")));
        check(with("state", json!(null)), Err(WireError::Field("state")));
        check(with("state", json!("text")), Err(WireError::Field("state")));
        check(with("state", json!([1])), Err(WireError::Field("state")));
        check(
            with("payment", json!("A".repeat(PAYMENT_BYTES + 1))),
            Err(WireError::TooLarge("payment")),
        );
        check(
            with("state", json!({"State": "A".repeat(PAYMENT_BYTES)})),
            Err(WireError::TooLarge("state")),
        );
        assert_eq!(
            Payment::parse(&vec![b' '; JSON_BODY + 1]).map(|_| ()),
            Err(WireError::TooLarge("payment"))
        );
    }

    #[test]
    fn an_error_does_not_show_the_answer() {
        let error = Payment::parse(br#"{"payment":["hunter2"]}"#).unwrap_err();
        assert_eq!(error.to_string(), "answer is not the JSON expected, at line 1 column 11");
    }

    #[test]
    fn payments_and_state_never_show() {
        let body = br#"{"payment":"aHVudGVy","segCreds":"aHVudGVy","state":{"State":"aHVudGVy"}}"#;
        let payment = Payment::parse(body).unwrap();
        let terms = Terms::Params("aHVudGVy".into());
        let shown = format!(
            "{payment:?} {:?}",
            PaymentRequest { state: Some(&payment.state), ..request(&terms) }
        );
        assert!(!shown.contains("aHVudGVy"), "{shown}");
        let mut headers = HeaderMap::new();
        payment.headers.insert_into(&mut headers);
        assert_eq!(headers["livepeer-payment"], "aHVudGVy");
        assert!(!format!("{headers:?}").contains("aHVudGVy"));
    }

    #[test]
    fn the_offchain_segment_equals_that_of_an_independent_implementation() {
        // In the golden SegData the token follows a tag and a length of one byte each.
        let golden = vector("segdata-offchain");
        let headers = PaymentHeaders::offchain(&golden[2..]).unwrap();
        assert_eq!(headers.segment, STANDARD.encode(&golden));
        assert_eq!(headers.payment, "");
        assert_eq!(PaymentHeaders::offchain(&[]).map(|_| ()), Err(WireError::Field("auth_token")));
    }

    #[test]
    fn the_payer_and_the_number_of_tickets_are_read_from_a_payment() {
        let ticket = [0x22, 4, 8, 7, 18, 0];
        let made = |bytes: &[u8]| {
            let text = STANDARD.encode(bytes);
            let body = json!({"payment": text, "segCreds": "cw==", "state": {}}).to_string();
            let payment = Payment::parse(body.as_bytes()).unwrap();
            (payment.payer.map(|payer| payer.to_vec()), payment.tickets)
        };
        let sender = [vec![0x12, 20], vec![0xab; 20]].concat();
        let payment = [sender, ticket.repeat(42), vec![0x2a, 2, 8, 1]].concat();
        assert_eq!(made(&payment), (Some(vec![0xab; 20]), 42));
        assert_eq!(made(&[0x12, 1, 7]), (None, 0));
        assert_eq!(made(b"no protobuf"), (None, 0));
    }

    #[test]
    fn a_signature_is_twenty_and_sixty_five_bytes_of_hex() {
        let body = |address: &str, signature: &str| {
            json!({"address": address, "signature": signature}).to_string().into_bytes()
        };
        let (address, signature) =
            (format!("0x{}", "aB".repeat(20)), format!("0x{}", "01".repeat(65)));
        let good = Signature::parse(&body(&address, &signature)).unwrap();
        assert_eq!(good.payer(), address.to_lowercase());
        assert_eq!((good.address().len(), good.signature()[..].len()), (20, 65));
        let field = |name| Err(WireError::Field(name));
        assert_eq!(Signature::parse(&body("0x12", &signature)), field("address"));
        assert_eq!(Signature::parse(&body(&address, "0x")), field("signature"));
        assert_eq!(Signature::parse(&body(&"é".repeat(20), &signature)), field("address"));
        assert_eq!(Signature::parse(b"{}"), field("address"));
        assert!(Signature::parse(b"[]").is_err());
    }

    #[test]
    fn truncated_and_corrupt_answers_do_not_panic() {
        let answers: [&[u8]; 3] = [
            br#"{"payment":"cA==","segCreds":"cw==","state":{"State":"e30=","Sig":"c2ln"}}"#,
            br#"{"address":"0x0102","signature":"0x"}"#,
            &vector("payment-result"),
        ];
        for answer in answers {
            for at in 0..answer.len() {
                for value in [0, 0x22, 0x7b, 0xff, answer[at] ^ 0x80] {
                    let mut bytes = answer.to_vec();
                    bytes[at] = value;
                    for bytes in [&bytes[..], &answer[..at]] {
                        let _ = (Payment::parse(bytes), Signature::parse(bytes));
                    }
                }
            }
        }
        let deep = "[".repeat(JSON_BODY);
        assert!(Payment::parse(deep.as_bytes()).is_err());
    }
}
