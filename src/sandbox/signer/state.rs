//! The state of a session. The signer signs it, and the gateway passes it unread from one call of the signer to the
//! next.
//!
//! Does not: check whether a state is the newest; `order` does.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::money::key::{self, SignaturePurpose};
use crate::money::wire::Payment;
use crate::signer::SignerRefusal;
use crate::signer::bill::Bill;
use crate::signer::request::{PaymentRequest, SignedState};
use livepeer_gateway::orchestrator::proto::PriceInfo;

/// The state of a session between two payments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SessionState {
    /// The id of the session.
    pub(super) id: String,
    /// The sequence number of the last payment, from 0.
    pub(super) sequence: u64,
    orchestrator: Vec<u8>,
    kind: String,
    app: Option<String>,
    owner: String,
    /// The first price of the session: wei, and the number of units.
    price: (i64, i64),
    /// The rest of the prepaid amount, in wei.
    pub(super) balance: u64,
    /// The time of the last payment.
    pub(super) last: Duration,
    /// The `rand_hash` of the last payment's ticket parameters.
    pub(super) tickets_of: Vec<u8>,
    /// The nonce of the last ticket with these parameters.
    pub(super) nonce: u32,
}

impl SessionState {
    /// The state before the first payment of a session.
    pub(super) fn begin(wanted: &PaymentRequest, id: &str) -> Self {
        Self {
            id: id.to_owned(),
            sequence: 0,
            orchestrator: wanted.address.clone(),
            kind: wanted.kind.name().to_owned(),
            app: wanted.app.clone(),
            owner: String::new(),
            price: (wanted.price.price_per_unit, wanted.price.pixels_per_unit),
            balance: 0,
            last: Duration::ZERO,
            tickets_of: Vec::new(),
            nonce: 0,
        }
    }

    /// Verifies and parses a state that [`Self::seal`] signed with the key of `payer`.
    pub(super) fn open(signed: &SignedState, payer: &[u8]) -> Result<Self, SignerRefusal> {
        let decode =
            |text: &str| STANDARD.decode(text).map_err(|_| SignerRefusal::bad("invalid state"));
        let (state, signature) = (decode(&signed.state)?, decode(&signed.signature)?);
        if !key::verify(SignaturePurpose::State, payer, &state, &signature) {
            return Err(SignerRefusal::bad("invalid sig"));
        }
        serde_json::from_slice(&state).map_err(|_| SignerRefusal::bad("invalid state"))
    }

    /// The state for the next payment. Fails if `wanted` is not for the same session.
    pub(super) fn follow(self, wanted: &PaymentRequest) -> Result<Self, SignerRefusal> {
        if self.orchestrator != wanted.address {
            return Err(SignerRefusal::bad("orchestratorAddress mismatch"));
        }
        if self.kind != wanted.kind.name() {
            return Err(SignerRefusal::bad("job type mismatch"));
        }
        if self.app != wanted.app {
            return Err(SignerRefusal::bad("app mismatch"));
        }
        Ok(Self { sequence: self.sequence.saturating_add(1), ..self })
    }

    /// Sets the owner of the session. Fails if it has another one.
    pub(super) fn owned_by(self, owner: &str) -> Result<Self, SignerRefusal> {
        if !self.owner.is_empty() && self.owner != owner {
            return Err(SignerRefusal::new(500, "remote signer auth ID changed"));
        }
        Ok(Self { owner: owner.to_owned(), ..self })
    }

    /// The state after a payment.
    pub(super) fn paid(self, bill: &Bill, now: Duration, payment: &Payment) -> Self {
        let params = payment.params.as_ref();
        Self {
            balance: bill.balance,
            last: now,
            tickets_of: params.map(|params| params.rand_hash.to_vec()).unwrap_or_default(),
            nonce: payment.tickets.last().map_or(self.nonce, |ticket| ticket.nonce),
            ..self
        }
    }

    /// The signed JSON for the gateway.
    pub(super) fn seal(&self, payer: &[u8]) -> Value {
        // Serializing plain values cannot fail.
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        let signature = key::sign(SignaturePurpose::State, payer, &bytes);
        json!({ "State": STANDARD.encode(bytes), "Sig": STANDARD.encode(signature) })
    }

    /// Whether no payment has been made yet.
    pub(super) fn is_first(&self) -> bool {
        self.last == Duration::ZERO
    }

    /// The first price of the session.
    pub(super) fn first_price(&self) -> PriceInfo {
        let (price_per_unit, pixels_per_unit) = self.price;
        PriceInfo { price_per_unit, pixels_per_unit, ..PriceInfo::default() }
    }
}
