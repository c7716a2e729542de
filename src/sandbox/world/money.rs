//! Makes each `OrchestratorInfo` with its price, and books payments and debits.
//!
//! Does not: decide the value of a payment; `money` does.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;

use crate::http1::Head;
use crate::money::credentials::{self, CallRefusal, Credentials};
use crate::money::key::{self, ORCHESTRATOR, SignaturePurpose};
use crate::money::{Rate, TicketIssuer, wire};
use crate::offer::NoCapacity;
use crate::script::Role;
use crate::token;
use crate::world::World;
use livepeer_gateway::orchestrator::proto::{
    OrchestratorInfo, OrchestratorRequest, PaymentResult, PriceInfo,
};
use livepeer_gateway::price::PriceUnit;

/// The token and the ages of the parts of an `OrchestratorInfo`, as the script demands.
#[derive(Debug, Clone)]
pub(crate) struct InfoTerms {
    /// Whether the info has an auth token.
    pub(crate) token: bool,
    /// The age of the token.
    pub(crate) token_age: Duration,
    /// The age of the ticket parameters.
    pub(crate) age: Duration,
}

impl Default for InfoTerms {
    fn default() -> Self {
        Self { token: true, token_age: Duration::ZERO, age: Duration::ZERO }
    }
}

impl World {
    /// The address of the signer's key.
    pub(crate) fn payer(&self) -> [u8; 20] {
        key::payer(self.lock().signer_key)
    }

    /// The price of live video to quote. The script may raise the price at each call.
    pub(crate) fn quote(&self) -> Option<PriceInfo> {
        {
            let mut state = self.lock();
            if let Some(by) = state.script.drift() {
                state.price = state.price.map(|wei| wei.saturating_add(by));
            }
        }
        self.live_price()
    }

    /// The present price of live video.
    pub(crate) fn live_price(&self) -> Option<PriceInfo> {
        let wei = self.lock().price?;
        Some(PriceInfo {
            price_per_unit: i64::from(wei),
            pixels_per_unit: 1,
            ..PriceInfo::default()
        })
    }

    /// If the sandbox has a price, fails unless the payer signed the request for the info.
    pub(crate) fn check_payer(&self, request: &OrchestratorRequest) -> Result<(), &'static str> {
        let address = &request.address;
        let is_signed = key::verify(SignaturePurpose::Address, address, address, &request.sig);
        if self.live_price().is_some() && !(is_signed && address.len() == ORCHESTRATOR.len()) {
            return Err("orchestrator req sig check failed");
        }
        Ok(())
    }

    /// The encoded info for a request.
    pub(crate) fn info(
        &self,
        request: &OrchestratorRequest,
        terms: &InfoTerms,
    ) -> Result<Vec<u8>, NoCapacity> {
        let made = self.now().saturating_sub(terms.token_age);
        let token = terms
            .token
            .then(|| self.tokens.make(&token::random_id(), made, self.options.timings.token));
        let info = self.offer(&self.url(false), |offer| offer.info(request, token))?;
        Ok(match self.quote() {
            Some(price) => {
                let price = (PriceUnit::PixelSeconds720p, price);
                self.priced(info, price, &request.address, terms.age)
            }
            None => info.encode_to_vec(),
        })
    }

    /// The encoded and sealed `info`, with a price per unit, and ticket parameters for `sender` that are `age` old.
    pub(crate) fn priced(
        &self,
        info: OrchestratorInfo,
        (unit, price): (PriceUnit, PriceInfo),
        sender: &[u8],
        age: Duration,
    ) -> Vec<u8> {
        let value = self.ticket_value(unit, &price);
        let expires = (self.now() + self.options.timings.terms).saturating_sub(age);
        let params = self.ticket_issuer.terms(value, (sender, &price), expires, token::random());
        let info = OrchestratorInfo {
            ticket_params: Some(Bytes::from(params.encode_to_vec())),
            price_info: Some(price),
            address: Bytes::copy_from_slice(&ORCHESTRATOR),
            ..info
        };
        wire::seal(info.encode_to_vec())
    }

    /// Books the payment of a call under `manifest`, or else under the manifest id in its credentials. Fails if the
    /// balance is zero afterwards.
    pub(crate) fn take_payment(
        &self,
        head: &Head,
        manifest: Option<&str>,
    ) -> Result<Credentials, CallRefusal> {
        let credentials = self.credentials(head)?;
        let manifest = manifest.unwrap_or(&credentials.manifest);
        self.book(&credentials, manifest)?;
        if self.lock().ledger.balance(manifest) == 0 {
            return Err(CallRefusal::new(400, "Insufficient balance"));
        }
        Ok(credentials)
    }

    /// The credentials of a call.
    pub(crate) fn credentials(&self, head: &Head) -> Result<Credentials, CallRefusal> {
        let (payment, segment) = (head.header("livepeer-payment"), head.header("livepeer-segment"));
        credentials::read(payment, segment, &self.tokens, self.now())
    }

    /// Books a payment under `manifest`. Tickets after the first invalid one are used up without credit.
    pub(crate) fn book(
        &self,
        credentials: &Credentials,
        manifest: &str,
    ) -> Result<(), CallRefusal> {
        let payment = &credentials.payment;
        let Some(params) = payment.params.as_ref().filter(|_| !payment.tickets.is_empty()) else {
            return Ok(());
        };
        let value =
            self.ticket_issuer.check(payment).map_err(|reason| CallRefusal::new(400, reason))?;
        let is_expired = TicketIssuer::is_expired(payment, self.now());
        let mut state = self.lock();
        let (mut wei, mut refused) = (0, None);
        for ticket in &payment.tickets {
            let taken = match payment.is_signed(ticket) {
                false => Err("invalid ticket signature".to_owned()),
                true => state.ledger.take_nonce(&params.rand_hash, ticket.nonce),
            };
            match taken {
                Ok(()) if is_expired => refused = Some("TicketParams expired".to_owned()),
                Ok(()) if refused.is_none() => wei += value,
                Ok(()) => {}
                Err(reason) => refused = Some(reason),
            }
        }
        state.ledger.credit(manifest, wei);
        refused.map_or(Ok(()), |reason| Err(CallRefusal::new(400, reason)))
    }

    /// The answer to a payment: an info with fresh ticket parameters at this price, and the token of the call.
    pub(crate) fn payment_result(
        &self,
        Credentials { payment, token, .. }: Credentials,
        price: Option<(PriceUnit, PriceInfo)>,
    ) -> Vec<u8> {
        let request =
            OrchestratorRequest { ignore_capacity_check: true, ..OrchestratorRequest::default() };
        let info = self.offer(&self.url(false), |offer| offer.info(&request, Some(token)));
        let info = info.map(|info| match price {
            Some(price) => self.priced(info, price, &payment.sender, Duration::ZERO),
            None => info.encode_to_vec(),
        });
        PaymentResult { info: info.ok().map(Bytes::from) }.encode_to_vec()
    }

    /// Debits the amounts due, and ends the jobs whose balance does not cover them.
    pub(crate) fn debit(&self) {
        let now = self.now();
        let unpaid = self.lock().ledger.debit(now, self.options.timings.debit);
        for manifest in unpaid {
            log::warn!("sandbox: ending {manifest}: not paid");
            self.end(&manifest);
        }
        self.note();
    }

    /// Ends a job or session: closes its channels, which ends its app.
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

    fn ticket_value(&self, unit: PriceUnit, price: &PriceInfo) -> u64 {
        let value = match Rate::of(unit, price) {
            Some(rate) => rate.wei(self.options.ticket),
            None => u128::try_from(price.price_per_unit).unwrap_or_default(),
        };
        u64::try_from(value.max(1)).unwrap_or(u64::MAX)
    }
}
