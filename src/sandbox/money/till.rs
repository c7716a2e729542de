//! The orchestrator's till: makes ticket parameters, and says what a payment is worth.
//!
//! Does not: remember tickets; the ledger does, so that none counts twice.

use std::time::Duration;

use bytes::Bytes;
use ring::hmac;

use crate::orchestrator::proto::PriceInfo;
use crate::sandbox::money::key::{self, Matter, ORCHESTRATOR, PAYER};
use crate::sandbox::money::wire::{Payment, TicketParams};

/// Makes and checks ticket parameters with a key of its own.
pub(crate) struct Till {
    key: hmac::Key,
}

impl std::fmt::Debug for Till {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Till(***)")
    }
}

impl Till {
    /// A till with a key made of 32 random bytes.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key) }
    }

    /// Parameters for tickets of this value, good until `expires` (time since 1970); `random` tells them
    /// from all others.
    pub(crate) fn terms(&self, value: u64, expires: Duration, random: [u8; 32]) -> TicketParams {
        let params = TicketParams {
            recipient: Bytes::copy_from_slice(&ORCHESTRATOR),
            value,
            rand_hash: Bytes::copy_from_slice(&random),
            expires: u64::try_from(expires.as_millis()).unwrap_or(u64::MAX),
            tag: Bytes::new(),
        };
        let tag = hmac::sign(&self.key, &content(&params));
        TicketParams { tag: Bytes::copy_from_slice(tag.as_ref()), ..params }
    }

    /// What a payment is worth in wei, where `price` is asked; or what is wrong with it.
    pub(crate) fn check(
        &self,
        payment: &Payment,
        price: &PriceInfo,
        now: Duration,
    ) -> Result<u128, &'static str> {
        if payment.tickets == 0 {
            return Ok(0);
        }
        let params = payment.params.as_ref().ok_or("missing ticket params")?;
        if params.recipient != ORCHESTRATOR[..] {
            return Err("invalid ticket recipient");
        }
        if hmac::verify(&self.key, &content(params), &params.tag).is_err() {
            return Err("invalid recipientRand for ticket recipientRandHash");
        }
        if now.as_millis() >= u128::from(params.expires) {
            return Err("ticket params are expired");
        }
        if payment.sender != PAYER[..] {
            return Err("invalid ticket sender");
        }
        if !key::verify(Matter::Tickets, &payment.content(), &payment.signature) {
            return Err("invalid ticket signature");
        }
        let expected = payment.expected_price.as_ref().ok_or("missing expected price")?;
        if is_less(expected, price) {
            return Err("expected price is lower than the price asked");
        }
        Ok(u128::from(params.value) * u128::from(payment.tickets))
    }
}

fn content(params: &TicketParams) -> Vec<u8> {
    prost::Message::encode_to_vec(&TicketParams { tag: Bytes::new(), ..params.clone() })
}

fn is_less(offered: &PriceInfo, asked: &PriceInfo) -> bool {
    let cross = |a: i64, b: i64| i128::from(a) * i128::from(b);
    cross(offered.price_per_unit, asked.pixels_per_unit)
        < cross(asked.price_per_unit, offered.pixels_per_unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn price(price_per_unit: i64) -> PriceInfo {
        PriceInfo { price_per_unit, pixels_per_unit: 1, ..PriceInfo::default() }
    }

    fn signed(payment: Payment) -> Payment {
        let signature = key::sign(Matter::Tickets, &payment.content());
        Payment { signature: signature.into(), ..payment }
    }

    fn good(till: &Till) -> Payment {
        signed(Payment {
            params: Some(till.terms(100, NOW + Duration::from_secs(60), [7; 32])),
            sender: Bytes::copy_from_slice(&PAYER),
            nonce: 1,
            tickets: 3,
            expected_price: Some(price(5)),
            signature: Bytes::new(),
        })
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Payment), expected: Result<u128, &'static str>) {
        let till = Till::new(&[1; 32]);
        let mut payment = good(&till);
        change(&mut payment);
        assert_eq!(till.check(&payment, &price(5), NOW), expected);
    }

    #[test]
    fn good_tickets_are_worth_their_value() {
        check(|_| {}, Ok(300));
        check(|payment| payment.tickets = 0, Ok(0));
    }

    #[test]
    fn everything_about_a_ticket_is_checked() {
        fn params(payment: &mut Payment) -> &mut TicketParams {
            payment.params.as_mut().unwrap()
        }
        let forged = "invalid recipientRand for ticket recipientRandHash";
        check(|payment| payment.params = None, Err("missing ticket params"));
        check(|payment| params(payment).recipient.clear(), Err("invalid ticket recipient"));
        check(|payment| params(payment).value = 1_000_000, Err(forged));
        check(|payment| params(payment).expires += 1, Err(forged));
        check(|payment| params(payment).tag.clear(), Err(forged));
        let other = Till::new(&[2; 32]);
        check(|payment| *payment = good(&other), Err(forged));
        check(|payment| payment.sender.clear(), Err("invalid ticket sender"));
        check(|payment| payment.tickets = 4, Err("invalid ticket signature"));
        check(|payment| payment.nonce = 4, Err("invalid ticket signature"));
        let cheap = |payment: &mut Payment| {
            payment.expected_price = Some(price(4));
            *payment = signed(payment.clone());
        };
        check(cheap, Err("expected price is lower than the price asked"));
        let till = Till::new(&[1; 32]);
        let late = NOW + Duration::from_secs(60);
        assert_eq!(till.check(&good(&till), &price(5), late), Err("ticket params are expired"));
    }
}
