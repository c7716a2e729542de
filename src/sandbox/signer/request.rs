//! Parses the body of `POST /generate-live-payment`, and makes the checks that do not need the state.
//!
//! Does not: compare the request with earlier ones; `state` does.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::money::wire::{TicketParams, check_seal};
use crate::signer::SignerRefusal;
use livepeer_gateway::orchestrator::proto::{AuthToken, Capabilities, OrchestratorInfo, PriceInfo};
use livepeer_gateway::price::{Price, PriceUnit};

/// Maximum number of pixels in a request: more than a day of live video.
const PIXELS: i64 = 1 << 42;

/// The billed quantity of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PaymentKind {
    /// `lv2v`: time, in pixels of live video.
    Lv2v,
    /// `live`: time, in seconds.
    Live,
    /// `fixed`: one call.
    Fixed,
    /// `inPixels`: this number of pixels.
    Pixels(u64),
}

impl PaymentKind {
    /// The value of `type`; empty for `inPixels`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lv2v => "lv2v",
            Self::Live => "live",
            Self::Fixed => "fixed",
            Self::Pixels(_) => "",
        }
    }

    fn unit(self) -> Option<PriceUnit> {
        match self {
            Self::Lv2v => Some(PriceUnit::PixelSeconds720p),
            Self::Live => Some(PriceUnit::Seconds),
            Self::Fixed => Some(PriceUnit::Fixed),
            Self::Pixels(_) => None,
        }
    }
}

/// A state as received.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignedState {
    #[serde(rename = "State")]
    pub(super) state: String,
    #[serde(rename = "Sig")]
    pub(super) signature: String,
}

/// A request for a payment.
#[derive(Debug)]
pub(super) struct PaymentRequest {
    pub(super) kind: PaymentKind,
    pub(super) orchestrator: String,
    pub(super) address: Vec<u8>,
    pub(super) price: PriceInfo,
    pub(super) params: TicketParams,
    pub(super) token: AuthToken,
    pub(super) manifest_id: Option<String>,
    pub(super) state: Option<SignedState>,
    pub(super) app: Option<String>,
    pub(super) max_price: Option<Price>,
    pub(super) capabilities: Option<Capabilities>,
}

#[derive(Deserialize)]
struct PaymentRequestJson {
    #[serde(default)]
    orchestrator: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default, rename = "inPixels")]
    pixels: i64,
    #[serde(default, rename = "ManifestID")]
    manifest_id: Option<String>,
    #[serde(default)]
    state: Option<SignedState>,
    #[serde(default)]
    app: Option<String>,
    #[serde(default, rename = "maxPrice")]
    max_price: Option<MaxPrice>,
    #[serde(default)]
    capabilities: String,
}

#[derive(Deserialize)]
struct MaxPrice {
    price: Box<RawValue>,
    currency: String,
    unit: String,
}

impl PaymentRequest {
    /// Parses and checks a body.
    pub(super) fn read(body: &[u8]) -> Result<Self, SignerRefusal> {
        let json: PaymentRequestJson =
            serde_json::from_slice(body).map_err(|e| SignerRefusal::bad(e.to_string()))?;
        let bytes = decode("orchestrator", &json.orchestrator)?;
        if bytes.is_empty() {
            return Err(SignerRefusal::bad("missing orchestrator"));
        }
        let info = OrchestratorInfo::decode(bytes.as_slice())
            .map_err(|_| SignerRefusal::bad("orchestrator is not an OrchestratorInfo"))?;
        let is_positive = |price: &PriceInfo| price.price_per_unit > 0 && price.pixels_per_unit > 0;
        let price = info.price_info.filter(is_positive);
        let price = price.ok_or_else(|| SignerRefusal::bad("missing or zero priceInfo"))?;
        let params = info.ticket_params.filter(|params| !params.is_empty());
        let params =
            params.ok_or_else(|| SignerRefusal::bad("missing ticketParams in OrchestratorInfo"))?;
        let params = TicketParams::decode(params).map_err(|_| {
            SignerRefusal::bad("failed to derive ticket params from OrchestratorInfo")
        })?;
        check_seal(&bytes).map_err(|_| {
            SignerRefusal::bad("OrchestratorInfo differs from the bytes that the orchestrator sent")
        })?;
        let token = info.auth_token.ok_or_else(|| SignerRefusal::bad("missing auth token"))?;
        let kind = kind(&json.kind, json.pixels)?;
        let max_price = json.max_price.as_ref().map(|max| max.read(kind)).transpose()?;
        let capabilities = decode("capabilities", &json.capabilities)?;
        let capabilities =
            match capabilities.as_slice() {
                [] => None,
                bytes => Some(Capabilities::decode(bytes).map_err(|_| {
                    SignerRefusal::bad("capabilities is not a Capabilities message")
                })?),
            };
        Ok(Self {
            kind,
            orchestrator: info.transcoder,
            address: info.address.to_vec(),
            price,
            params,
            token,
            manifest_id: json.manifest_id.filter(|id| !id.is_empty()),
            state: json.state,
            app: json.app,
            max_price,
            capabilities,
        })
    }
}

fn kind(name: &str, pixels: i64) -> Result<PaymentKind, SignerRefusal> {
    match name {
        "lv2v" => Ok(PaymentKind::Lv2v),
        "live" => Ok(PaymentKind::Live),
        "fixed" => Ok(PaymentKind::Fixed),
        "" if (1..=PIXELS).contains(&pixels) => Ok(PaymentKind::Pixels(pixels.unsigned_abs())),
        "" => Err(SignerRefusal::bad("missing billable unit or job type")),
        _ => Err(SignerRefusal::bad("invalid job type")),
    }
}

fn decode(name: &str, text: &str) -> Result<Vec<u8>, SignerRefusal> {
    STANDARD.decode(text).map_err(|_| SignerRefusal::bad(format!("{name} is not base64")))
}

impl MaxPrice {
    fn read(&self, kind: PaymentKind) -> Result<Price, SignerRefusal> {
        if self.currency != "wei" {
            return Err(SignerRefusal::bad("maxPrice must be in wei"));
        }
        let unit = PriceUnit::from_wire(&self.unit).filter(|unit| Some(*unit) == kind.unit());
        let unit =
            unit.ok_or_else(|| SignerRefusal::bad("unit of maxPrice does not fit the type"))?;
        Price::parse(self.price.get(), unit).map_err(|error| SignerRefusal::bad(error.to_string()))
    }
}
