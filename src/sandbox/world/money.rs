//! The world's dealings in money: infos with a price, payments, debits.
//!
//! Does not: decide what a payment is worth; `money` does.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;

use crate::orchestrator::proto::{
    AuthToken, OrchestratorInfo, OrchestratorRequest, PaymentResult, PriceInfo,
};
use crate::price::Unit;
use crate::sandbox::http1::Head;
use crate::sandbox::money::credentials::{self, Credentials, Unpaid};
use crate::sandbox::money::key::{self, Matter, ORCHESTRATOR};
use crate::sandbox::money::{Rate, wire};
use crate::sandbox::offer::NoCapacity;
use crate::sandbox::script::Role;
use crate::sandbox::token;
use crate::sandbox::world::World;

/// What goes into an info besides the offer.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// With an auth token.
    pub(crate) token: bool,
    /// How old it is already.
    pub(crate) token_age: Duration,
    /// How old the ticket parameters are already.
    pub(crate) age: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self { token: true, token_age: Duration::ZERO, age: Duration::ZERO }
    }
}

impl World {
    /// What live video costs now.
    pub(crate) fn live_price(&self) -> Option<PriceInfo> {
        let wei = self.lock().price?;
        Some(PriceInfo {
            price_per_unit: i64::from(wei),
            pixels_per_unit: 1,
            ..PriceInfo::default()
        })
    }

    /// Where something is paid, whoever asks for the info has to prove who pays.
    pub(crate) fn check_payer(&self, request: &OrchestratorRequest) -> Result<(), &'static str> {
        let is_signed = key::verify(Matter::Address, &request.address, &request.sig);
        if self.live_price().is_some() && !(is_signed && request.address == key::PAYER[..]) {
            return Err("orchestrator req sig check failed");
        }
        Ok(())
    }

    /// The bytes of the info for one who asks for it.
    pub(crate) fn info(
        &self,
        request: &OrchestratorRequest,
        terms: &Terms,
    ) -> Result<Vec<u8>, NoCapacity> {
        let made = self.now().saturating_sub(terms.token_age);
        let token = terms
            .token
            .then(|| self.tokens.make(&token::random_id(), made, self.options.timings.token));
        let info = self.offer(&self.url(false), |offer| offer.info(request, token))?;
        Ok(match self.live_price() {
            Some(price) => self.priced(info, price, Unit::PixelSeconds720p, terms.age),
            None => info.encode_to_vec(),
        })
    }

    /// The bytes of an info that asks for `price` per `unit`, with ticket parameters of this age, sealed.
    pub(crate) fn priced(
        &self,
        info: OrchestratorInfo,
        price: PriceInfo,
        unit: Unit,
        age: Duration,
    ) -> Vec<u8> {
        let value = self.ticket_value(unit, &price);
        let expires = (self.now() + self.options.timings.terms).saturating_sub(age);
        let params = self.till.terms(value, expires, token::random());
        let info = OrchestratorInfo {
            ticket_params: Some(Bytes::from(params.encode_to_vec())),
            price_info: Some(price),
            address: Bytes::copy_from_slice(&ORCHESTRATOR),
            ..info
        };
        wire::seal(info.encode_to_vec())
    }

    /// Takes the payment of a call, which is booked under `manifest`, or else under what its credentials say.
    /// There must be enough for a job to go on then.
    pub(crate) fn take_payment(
        &self,
        head: &Head,
        price: &PriceInfo,
        manifest: Option<&str>,
    ) -> Result<Credentials, Unpaid> {
        let credentials = self.credentials(head)?;
        let manifest = manifest.unwrap_or(&credentials.manifest);
        self.book(&credentials, price, manifest)?;
        if self.lock().ledger.balance(manifest) == 0 {
            return Err(Unpaid::new(400, "Insufficient balance"));
        }
        Ok(credentials)
    }

    /// The credentials of a call.
    pub(crate) fn credentials(&self, head: &Head) -> Result<Credentials, Unpaid> {
        let (payment, segment) = (head.header("livepeer-payment"), head.header("livepeer-segment"));
        credentials::read(payment, segment, &self.tokens, self.now())
    }

    /// Books a payment under `manifest`.
    pub(crate) fn book(
        &self,
        credentials: &Credentials,
        price: &PriceInfo,
        manifest: &str,
    ) -> Result<(), Unpaid> {
        let refused = |reason: &str| Unpaid::new(400, reason);
        let payment = &credentials.payment;
        let now = self.now();
        let mut state = self.lock();
        // A job goes on at the price that it began with.
        let fixed = state.ledger.account(manifest).and_then(|account| account.price.clone());
        let wei = self.till.check(payment, fixed.as_ref().unwrap_or(price), now);
        let wei = wei.map_err(refused)?;
        let hash = payment.params.as_ref().map(|params| params.rand_hash.as_ref());
        if wei > 0 && !state.ledger.is_new(hash.unwrap_or_default(), payment.nonce, payment.tickets)
        {
            return Err(refused("invalid ticket senderNonce"));
        }
        state.ledger.credit(manifest, wei);
        Ok(())
    }

    /// The answer to a payment: fresh terms, and the token that it came with.
    pub(crate) fn payment_result(
        &self,
        token: AuthToken,
        price: Option<PriceInfo>,
        unit: Unit,
    ) -> Vec<u8> {
        let request =
            OrchestratorRequest { ignore_capacity_check: true, ..OrchestratorRequest::default() };
        let info = self.offer(&self.url(false), |offer| offer.info(&request, Some(token)));
        let info = info.map(|info| match price {
            Some(price) => self.priced(info, price, unit, Duration::ZERO),
            None => info.encode_to_vec(),
        });
        PaymentResult { info: info.ok().map(Bytes::from) }.encode_to_vec()
    }

    /// Debits what is due, and ends the jobs of those who cannot pay.
    pub(crate) fn debit(&self) {
        let now = self.now();
        let unpaid = self.lock().ledger.debit(now, self.options.timings.debit);
        for manifest in unpaid {
            log::warn!("sandbox: {manifest} is not paid for, so it ends");
            self.end(&manifest);
        }
        self.note();
    }

    /// Ends a job or session: its channels close, and then its app goes.
    pub(crate) fn end(&self, manifest: &str) {
        {
            let mut state = self.lock();
            state.ledger.end(manifest);
            state.sessions.release(manifest);
        }
        for role in Role::ALL {
            self.delete(&format!("{manifest}{}", role.suffix()));
        }
    }

    fn ticket_value(&self, unit: Unit, price: &PriceInfo) -> u64 {
        let value = match Rate::of(unit, price) {
            Some(rate) => rate.wei(self.options.ticket),
            None => u128::try_from(price.price_per_unit).unwrap_or_default(),
        };
        u64::try_from(value.max(1)).unwrap_or(u64::MAX)
    }
}
