//! A simulated remote signer. It signs with one of the sandbox's fixed keys, and is stateless like the real one.
//!
//! The signer makes the checks of the real signer (go-livepeer `server/remote_signer.go`) in the same order. Two checks
//! are added: the seal shows that the `OrchestratorInfo` has exactly the orchestrator's bytes, and states must be used
//! in order. The real signer cannot check the order, so with the real signer the orchestrator would refuse the tickets.
//!
//! ```text
//!   credential ─▶ PaymentRequest (request) ─▶ SessionState (state) ─▶ Bill (bill) ─▶ payment, segment, next state
//!    401, 403        400                400, 500       400, 480-482
//! ```
//!
//! | copied behaviour | source (go-livepeer) |
//! |---|---|
//! | 480 for expired ticket parameters, and in the last tenth of a token's lifetime | `server/remote_signer.go:525`, `server/broadcast.go:1638` |
//! | the seconds of `live` are rounded up; the pixels of `lv2v` are not | `server/remote_signer.go:557`, `:551` |
//! | 481 for any price above that of the session's first payment | `server/remote_signer.go:586` |
//! | the fee is computed with the first price of the session | `server/remote_signer.go:597` |
//! | 482 does not change the state, so the next payment also covers the time before it | `server/remote_signer.go:606` |
//! | a state that another key signed is refused with `invalid sig` | `server/remote_signer.go:414` |
//!
//! Does not: hold money or keys of any value.

mod bill;
mod credential;
pub(crate) mod io;
mod order;
mod request;
mod state;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use prost::Message;
use serde_json::{Value, json};

use crate::money::credentials::content;
use crate::money::key::{self, SignaturePurpose};
use crate::money::wire::Payment;
use livepeer_gateway::orchestrator::proto::SegData;

pub(crate) use credential::identity;
pub(crate) use order::{StateMisuse, StateOrder};
use request::PaymentRequest;
use state::SessionState;

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignerRefusal {
    pub(crate) status: u16,
    pub(crate) message: String,
    /// With 480: the URL of the orchestrator to ask for new ticket parameters.
    pub(crate) orchestrator: Option<String>,
}

impl SignerRefusal {
    fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), orchestrator: None }
    }

    fn bad(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }
}

/// The context of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    /// The address of the signer's key.
    pub(crate) payer: &'a [u8],
    /// The owner of the caller's credential; empty if none is required.
    pub(crate) identity: &'a str,
    /// The time since 1970.
    pub(crate) now: Duration,
    /// Auth tokens count as expired this long before they expire.
    pub(crate) refresh_before: Duration,
    /// A random id, for a new session.
    pub(crate) id: &'a str,
}

/// A signed payment.
#[derive(Debug)]
pub(crate) struct Signed {
    /// The body of the answer.
    pub(crate) body: Value,
    /// The id of the session, and the sequence number of the payment in it.
    pub(crate) position: (String, u64),
}

/// The answer to `POST /sign-orchestrator-info` of the signer whose key has this address.
pub(crate) fn sign_info(payer: &[u8]) -> Value {
    json!({
        "address": key::hex(payer),
        "signature": key::hex(&key::sign(SignaturePurpose::Address, payer, payer)),
    })
}

/// The session of a request, and the sequence number of the payment before it. `None` for a first or an invalid
/// request.
pub(crate) fn position(body: &[u8], payer: &[u8]) -> Option<(String, u64)> {
    let state = PaymentRequest::read(body).ok()?.state?;
    SessionState::open(&state, payer).ok().map(|state| (state.id, state.sequence))
}

/// The answer to `POST /generate-live-payment`.
pub(crate) fn pay(body: &[u8], caller: Caller<'_>) -> Result<Signed, SignerRefusal> {
    let wanted = PaymentRequest::read(body)?;
    let state = match &wanted.state {
        Some(signed) => SessionState::open(signed, caller.payer)?.follow(&wanted)?,
        None => SessionState::begin(&wanted, caller.id),
    };
    let manifest = match (&wanted.manifest_id, &wanted.state) {
        (Some(manifest), _) => manifest.clone(),
        (None, Some(_)) => return Err(SignerRefusal::bad("missing manifestID")),
        (None, None) => caller.id.to_owned(),
    };
    let bill = bill::make(&wanted, &state, caller.now, caller.refresh_before)?;
    let nonce = if state.tickets_of == wanted.params.rand_hash[..] { state.nonce } else { 0 };
    let payment = Payment {
        params: Some(wanted.params),
        sender: Bytes::copy_from_slice(caller.payer),
        tickets: Vec::new(),
        expected_price: Some(wanted.price),
    };
    let payment = payment.with_tickets(nonce, bill.tickets);
    let segment = SegData {
        manifest_id: Bytes::from(manifest),
        capabilities: wanted.capabilities,
        auth_token: Some(wanted.token),
        ..SegData::default()
    };
    let sig = key::sign(SignaturePurpose::Segment, caller.payer, &content(&segment)).into();
    let segment = SegData { sig, ..segment };
    let next = state.owned_by(caller.identity)?.paid(&bill, caller.now, &payment);
    Ok(Signed {
        body: json!({
            "payment": STANDARD.encode(payment.encode_to_vec()),
            "segCreds": STANDARD.encode(segment.encode_to_vec()),
            "state": next.seal(caller.payer),
        }),
        position: (next.id, next.sequence),
    })
}

#[cfg(test)]
mod tests;
