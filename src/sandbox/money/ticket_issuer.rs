//! Makes the orchestrator's ticket parameters, and computes the value of a payment's tickets.
//!
//! Does not: check whether a ticket was used before; the ledger does.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use ring::hmac;

use crate::money::key::ORCHESTRATOR;
use crate::money::wire::{Payment, TicketParams};
use livepeer_gateway::orchestrator::proto::PriceInfo;

/// Makes and checks ticket parameters with one secret key.
pub(crate) struct TicketIssuer {
    key: hmac::Key,
}

impl std::fmt::Debug for TicketIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TicketIssuer(***)")
    }
}

impl TicketIssuer {
    /// `key` must be random.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key) }
    }

    /// Makes parameters for tickets of this value. The parameters are for `sender` and `price`, and valid until
    /// `expires` (time since 1970). `random` must differ in each call.
    pub(crate) fn terms(
        &self,
        value: u64,
        (sender, price): (&[u8], &PriceInfo),
        expires: Duration,
        random: [u8; 32],
    ) -> TicketParams {
        let params = TicketParams {
            recipient: Bytes::copy_from_slice(&ORCHESTRATOR),
            rand_hash: Bytes::copy_from_slice(&random),
            expires: u64::try_from(expires.as_millis()).unwrap_or(u64::MAX),
            ..TicketParams::always_winning(value)
        };
        let tag = hmac::sign(&self.key, &content(&params, sender, price));
        TicketParams { tag: Bytes::copy_from_slice(tag.as_ref()), ..params }
    }

    /// Checks the ticket parameters of a payment. Returns the value of one ticket in wei. The caller must check each
    /// ticket's signature and nonce.
    pub(crate) fn check(&self, payment: &Payment) -> Result<u128, &'static str> {
        let params = payment.params.as_ref().ok_or("missing ticket params")?;
        let price = payment.expected_price.as_ref();
        let price = price.ok_or("invalid expected price sent with payment")?;
        if params.recipient != ORCHESTRATOR[..] {
            return Err("invalid ticket recipient");
        }
        if payment.sender.len() != ORCHESTRATOR.len() {
            return Err("invalid ticket sender");
        }
        let content = content(params, &payment.sender, price);
        if hmac::verify(&self.key, &content, &params.tag).is_err() {
            return Err("invalid recipientRand for ticket recipientRandHash");
        }
        Ok(u128::from(params.value()))
    }

    /// Whether the ticket parameters of this payment have expired at `now`.
    pub(crate) fn is_expired(payment: &Payment, now: Duration) -> bool {
        let expires = payment.params.as_ref().map_or(0, |params| params.expires);
        now.as_millis() >= u128::from(expires)
    }
}

/// The authenticated bytes: a change of the parameters, the sender or the price invalidates the tag.
fn content(params: &TicketParams, sender: &[u8], price: &PriceInfo) -> Vec<u8> {
    let mut content = TicketParams { tag: Bytes::new(), ..params.clone() }.encode_to_vec();
    content.extend_from_slice(sender);
    content.extend_from_slice(&price.encode_to_vec());
    content
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::key::{PAYER, payer};
    use crate::money::wire::Ticket;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn price(price_per_unit: i64) -> PriceInfo {
        PriceInfo { price_per_unit, pixels_per_unit: 1, ..PriceInfo::default() }
    }

    fn good(issuer: &TicketIssuer) -> Payment {
        let (expires, price) = (NOW + Duration::from_secs(60), price(5));
        Payment {
            params: Some(issuer.terms(100, (&PAYER, &price), expires, [7; 32])),
            sender: Bytes::copy_from_slice(&PAYER),
            tickets: Vec::new(),
            expected_price: Some(price),
        }
        .with_tickets(0, 3)
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Payment), expected: Result<u128, &'static str>) {
        let issuer = TicketIssuer::new(&[1; 32]);
        let mut payment = good(&issuer);
        change(&mut payment);
        assert_eq!(issuer.check(&payment), expected);
    }

    #[test]
    fn ticket_parameters_are_valid_for_one_sender_and_price() {
        fn params(payment: &mut Payment) -> &mut TicketParams {
            payment.params.as_mut().unwrap()
        }
        let forged = "invalid recipientRand for ticket recipientRandHash";
        check(|_| {}, Ok(100));
        check(|payment| payment.params = None, Err("missing ticket params"));
        check(|payment| params(payment).recipient.clear(), Err("invalid ticket recipient"));
        check(|payment| params(payment).face_value.clear(), Err(forged));
        check(|payment| params(payment).expires += 1, Err(forged));
        check(|payment| params(payment).tag.clear(), Err(forged));
        let other = TicketIssuer::new(&[2; 32]);
        check(|payment| *payment = good(&other), Err(forged));
        check(|payment| payment.sender.clear(), Err("invalid ticket sender"));
        check(|payment| payment.sender = Bytes::copy_from_slice(&payer(1)), Err(forged));
        check(|payment| payment.expected_price = Some(price(4)), Err(forged));
        let none = "invalid expected price sent with payment";
        check(|payment| payment.expected_price = None, Err(none));
    }

    #[test]
    fn each_ticket_has_its_own_signature() {
        let payment = good(&TicketIssuer::new(&[1; 32]));
        let nonces: Vec<u32> = payment.tickets.iter().map(|ticket| ticket.nonce).collect();
        assert_eq!(nonces, [1, 2, 3]);
        assert!(payment.tickets.iter().all(|ticket| payment.is_signed(ticket)));
        let other = Ticket { nonce: 4, ..payment.tickets[0].clone() };
        assert!(!payment.is_signed(&other));
    }

    #[test]
    fn ticket_parameters_expire() {
        let payment = good(&TicketIssuer::new(&[1; 32]));
        let end = NOW + Duration::from_secs(60);
        assert!(!TicketIssuer::is_expired(&payment, end - Duration::from_millis(1)));
        assert!(TicketIssuer::is_expired(&payment, end));
    }
}
