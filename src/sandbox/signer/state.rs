//! What the signer has the gateway carry from one payment to the next: opaque there, signed here.
//!
//! Does not: know whether a state is the newest; nothing in it can tell.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::money::key::{self, Matter};
use crate::money::wire::Payment;
use crate::signer::Refusal;
use crate::signer::bill::Bill;
use crate::signer::request::{SignedState, Wanted};
use livepeer_gateway::orchestrator::proto::PriceInfo;

/// The account of a session, between two payments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// The session.
    pub(super) id: String,
    /// The place of the last payment in it, from 0.
    pub(super) sequence: u64,
    orchestrator: Vec<u8>,
    kind: String,
    app: Option<String>,
    owner: String,
    /// The price that the session began with: wei, for so many units.
    price: (i64, i64),
    /// Wei in tickets that were made and not used up.
    pub(super) balance: u64,
    /// When the last payment was made.
    pub(super) last: Duration,
    /// The ticket parameters of the last payment.
    pub(super) tickets_of: Vec<u8>,
    /// The nonce of the last ticket for these.
    pub(super) nonce: u32,
}

impl State {
    /// Before the first payment of a session.
    pub(super) fn begin(wanted: &Wanted, id: &str) -> Self {
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

    /// Reads a state that was sealed here with the key of `payer`.
    pub(super) fn open(signed: &SignedState, payer: &[u8]) -> Result<Self, Refusal> {
        let decode = |text: &str| STANDARD.decode(text).map_err(|_| Refusal::bad("invalid state"));
        let (state, signature) = (decode(&signed.state)?, decode(&signed.signature)?);
        if !key::verify(Matter::State, payer, &state, &signature) {
            return Err(Refusal::bad("invalid sig"));
        }
        serde_json::from_slice(&state).map_err(|_| Refusal::bad("invalid state"))
    }

    /// The next payment of the same session, if `wanted` is one.
    pub(super) fn follow(self, wanted: &Wanted) -> Result<Self, Refusal> {
        if self.orchestrator != wanted.address {
            return Err(Refusal::bad("orchestratorAddress mismatch"));
        }
        if self.kind != wanted.kind.name() {
            return Err(Refusal::bad("job type mismatch"));
        }
        if self.app != wanted.app {
            return Err(Refusal::bad("app mismatch"));
        }
        Ok(Self { sequence: self.sequence.saturating_add(1), ..self })
    }

    /// The same, for the owner of this credential, who stays the same.
    pub(super) fn owned_by(self, owner: &str) -> Result<Self, Refusal> {
        if !self.owner.is_empty() && self.owner != owner {
            return Err(Refusal::new(500, "remote signer auth ID changed"));
        }
        Ok(Self { owner: owner.to_owned(), ..self })
    }

    /// After a payment.
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

    /// As the gateway gets it.
    pub(super) fn seal(&self, payer: &[u8]) -> Value {
        // Plain values always are JSON.
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        let signature = key::sign(Matter::State, payer, &bytes);
        json!({ "State": STANDARD.encode(bytes), "Sig": STANDARD.encode(signature) })
    }

    /// Whether this is the first payment.
    pub(super) fn is_first(&self) -> bool {
        self.last == Duration::ZERO
    }

    /// The price that the session began with.
    pub(super) fn first_price(&self) -> PriceInfo {
        let (price_per_unit, pixels_per_unit) = self.price;
        PriceInfo { price_per_unit, pixels_per_unit, ..PriceInfo::default() }
    }
}
