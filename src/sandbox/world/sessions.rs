//! Makes payment challenges, and books the reservations and payments of runner sessions.
//!
//! Does not: write answers; `io` does.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::http1::Head;
use crate::money::credentials::{CallRefusal, Credentials};
use crate::money::key;
use crate::runner::{RunnerOptions, RunnerSessionError, answers};
use crate::token;
use crate::world::World;
use livepeer_gateway::orchestrator::proto::{OrchestratorInfo, PriceInfo};
use livepeer_gateway::price::PriceUnit;

/// The header with the address of the payer.
const PAYER: &str = "livepeer-payer-address";

/// Whether a call is admitted or must be paid first.
pub(crate) enum Admission {
    /// The caller must pay; answer with this challenge.
    Challenged(Value),
    /// The call is free; the value is the new id.
    Free(String),
    /// The call has a payment; the value is its credentials.
    Paid(Box<Credentials>),
}

impl From<RunnerSessionError> for CallRefusal {
    fn from(reason: RunnerSessionError) -> Self {
        let (status, reason) = reason.reason();
        Self::new(status, reason)
    }
}

impl World {
    /// A runner by its number.
    pub(crate) fn runner(&self, runner: usize) -> Result<&RunnerOptions, CallRefusal> {
        Ok(self.options.runners.get(runner).ok_or(RunnerSessionError::Unknown)?)
    }

    /// Whether a call with these headers must be paid first. `payment_url` returns the URL for further payments of an
    /// id.
    pub(crate) fn admission(
        &self,
        head: &Head,
        price: Option<&(PriceUnit, PriceInfo)>,
        payment_url: impl Fn(&str) -> String,
    ) -> Result<Admission, CallRefusal> {
        let Some(price) = price else { return Ok(Admission::Free(token::random_id())) };
        let has = |name| head.header(name).is_some_and(|value| !value.is_empty());
        if has("livepeer-payment") || has("livepeer-segment") {
            return self.credentials(head).map(|paid| Admission::Paid(Box::new(paid)));
        }
        let payer = head.header(PAYER).and_then(key::address);
        let payer = payer
            .ok_or_else(|| CallRefusal::new(402, "invalid live runner payment signer address"))?;
        let id = token::random_id();
        Ok(Admission::Challenged(self.challenge(&id, price, &payer, &payment_url(&id))))
    }

    /// The challenge that asks `payer` to pay for `id`.
    pub(crate) fn challenge(
        &self,
        id: &str,
        price: &(PriceUnit, PriceInfo),
        payer: &[u8],
        payment_url: &str,
    ) -> Value {
        let base = self.url(false);
        let auth_token = self.tokens.make(id, self.now(), self.options.timings.token);
        let info = OrchestratorInfo {
            transcoder: base.clone(),
            auth_token: Some(auth_token),
            ..OrchestratorInfo::default()
        };
        let params = STANDARD.encode(self.priced(info, price.clone(), payer, Duration::ZERO));
        answers::challenge(&base, &params, id, payment_url, self.options.timings.debit)
    }

    /// The URL for payments of a session.
    pub(crate) fn session_payment_url(&self, runner: usize, id: &str) -> String {
        format!("{}{}/session/{id}/payment", self.url(false), answers::path(runner))
    }

    /// Reserves a runner for an admitted caller. Returns the id of the session.
    pub(crate) fn reserve(
        &self,
        runner: usize,
        admission: &Admission,
    ) -> Result<String, CallRefusal> {
        let (id, credentials) = match admission {
            Admission::Challenged(_) => return Err(CallRefusal::new(402, "not paid yet")),
            Admission::Free(id) => (id.clone(), None),
            Admission::Paid(paid) if paid.manifest != paid.token.session_id => {
                return Err(CallRefusal::new(403, "mismatched manifest and auth token"));
            }
            Admission::Paid(paid) => (paid.manifest.clone(), Some(paid)),
        };
        let price = self.runner(runner)?.price();
        self.lock().sessions.reserve(&self.options.runners, runner, &id)?;
        if let (Some(paid), Some((unit, price))) = (credentials, price) {
            if let Err(unpaid) = self.book(paid, &id) {
                self.lock().sessions.release(&id);
                return Err(unpaid);
            }
            let now = self.now();
            self.lock().ledger.begin(&id, (unit, &price), false, now);
        }
        self.lock().record.counters.reserved += 1;
        self.note();
        Ok(id)
    }

    /// Books a payment for a session. Returns the body of the answer.
    pub(crate) fn pay_session(
        &self,
        runner: usize,
        id: &str,
        head: &Head,
    ) -> Result<Vec<u8>, CallRefusal> {
        self.lock().sessions.check(runner, id)?;
        let credentials = self.credentials(head)?;
        if credentials.manifest != id {
            return Err(CallRefusal::new(403, "mismatched session and payment manifest"));
        }
        let price = match self.runner(runner)?.price() {
            Some((PriceUnit::Fixed, _)) => {
                return Err(CallRefusal::new(409, "a fixed price is paid once"));
            }
            Some(price) => price,
            None => return Err(CallRefusal::new(409, "nothing has to be paid")),
        };
        self.book(&credentials, id)?;
        Ok(self.payment_result(credentials, Some(price)))
    }

    /// A challenge with fresh ticket parameters for a job or session, at its first price (go-livepeer `server/rpc.go:454`).
    pub(crate) fn refresh(&self, body: &[u8]) -> Result<Value, CallRefusal> {
        let json: Value = serde_json::from_slice(body)
            .map_err(|error| CallRefusal::new(400, error.to_string()))?;
        let text = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or_default();
        let sender = key::address(text("sender"));
        let sender = sender.ok_or_else(|| CallRefusal::new(400, "invalid sender"))?;
        let id = text("manifest_id");
        if id.is_empty() {
            return Err(CallRefusal::new(400, "missing manifest_id"));
        }
        let price = self.lock().ledger.account(id).and_then(|account| account.price.clone());
        let price =
            price.ok_or_else(|| CallRefusal::new(409, "fixed price not found for session"))?;
        Ok(self.challenge(id, &price, &sender, &format!("{}/payment", self.url(false))))
    }
}
