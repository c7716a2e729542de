//! Computes the amount that a payment must cover, and the number of tickets for it.
//!
//! | kind | the first payment covers | a later payment covers |
//! |---|---|---|
//! | lv2v | 60 s of 1280 × 720 × 30 pixels/s | the time since the last payment |
//! | live | 10 s | the time since the last payment, rounded up to seconds |
//! | fixed | one unit | one unit |
//! | pixels | the pixels | the pixels |
//!
//! A payment must raise the balance to the amount due, and at least to the value of one ticket. If the balance is high
//! enough already, no ticket is signed (482). More than 100 tickets in a payment are refused (400).
//!
//! Does not: make tickets.

use std::time::Duration;

use crate::money::{fee, pixels};
use crate::signer::SignerRefusal;
use crate::signer::request::{PaymentKind, PaymentRequest};
use crate::signer::state::SessionState;
use livepeer_gateway::orchestrator::proto::PriceInfo;
use livepeer_gateway::price::{Price, PriceUnit};

const PRELOAD_LV2V: Duration = Duration::from_secs(60);
const PRELOAD_LIVE: Duration = Duration::from_secs(10);
/// Ticket parameters count as expired this long before they expire: one block (go-livepeer `pm/sender.go`).
const BLOCK: Duration = Duration::from_secs(12);
/// Maximum number of tickets in a payment.
const TICKETS: u128 = 100;

/// The tickets of a payment, before they are signed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bill {
    /// The number of tickets to make.
    pub(super) tickets: u32,
    /// The balance after the payment, in wei.
    pub(super) balance: u64,
}

/// The bill for a request at `now`, or the reason why the request is refused.
pub(super) fn make(
    wanted: &PaymentRequest,
    state: &SessionState,
    now: Duration,
    refresh_before: Duration,
) -> Result<Bill, SignerRefusal> {
    if is_expired(wanted, now, refresh_before) {
        let refusal = SignerRefusal::new(480, "refresh session for remote signer");
        return Err(SignerRefusal { orchestrator: Some(wanted.orchestrator.clone()), ..refusal });
    }
    let units = units(wanted.kind, state, now);
    if let Some(max) = &wanted.max_price {
        let asked = price(wanted.kind, &wanted.price);
        if asked.is_none_or(|asked| asked.partial_cmp(max).is_none_or(|order| order.is_gt())) {
            return Err(SignerRefusal::new(481, "orchestrator price exceeds maximum price"));
        }
    }
    if is_above(&wanted.price, &state.first_price()) {
        return Err(SignerRefusal::new(
            481,
            "orchestrator price exceeds initial session price ceiling",
        ));
    }
    let value = u128::from(wanted.params.value());
    let due = fee(&state.first_price(), units).filter(|_| value > 0);
    let due = due.ok_or_else(|| SignerRefusal::bad("ticket or price is worth nothing"))?;
    let balance = u128::from(state.balance);
    let tickets = due.max(value).saturating_sub(balance).div_ceil(value);
    match u32::try_from(tickets) {
        Ok(0) => Err(SignerRefusal::new(482, "no tickets")),
        Ok(count) if tickets <= TICKETS => {
            let left = balance + tickets * value - due;
            let left =
                u64::try_from(left).map_err(|_| SignerRefusal::bad("balance is too large"))?;
            Ok(Bill { tickets: count, balance: left })
        }
        _ => Err(SignerRefusal::bad(format!("numTickets {tickets} exceeds maximum of {TICKETS}"))),
    }
}

fn is_expired(wanted: &PaymentRequest, now: Duration, refresh_before: Duration) -> bool {
    let token = Duration::from_secs(u64::try_from(wanted.token.expiration).unwrap_or_default());
    let is_token_old = now + refresh_before >= token;
    is_token_old || (now + BLOCK).as_millis() >= u128::from(wanted.params.expires)
}

fn units(kind: PaymentKind, state: &SessionState, now: Duration) -> u128 {
    let since = now.saturating_sub(state.last);
    // Another call at the time of the last payment counts as a first payment, as in go-livepeer.
    let is_first = state.is_first() || since.is_zero();
    match kind {
        PaymentKind::Lv2v => pixels(if is_first { PRELOAD_LV2V } else { since }),
        PaymentKind::Live => {
            let time = if is_first { PRELOAD_LIVE } else { since };
            time.as_nanos().div_ceil(Duration::from_secs(1).as_nanos())
        }
        PaymentKind::Fixed => 1,
        PaymentKind::Pixels(pixels) => u128::from(pixels),
    }
}

/// The price in the unit of this kind; `None` if it is not a whole number of wei in this unit.
fn price(kind: PaymentKind, price: &PriceInfo) -> Option<Price> {
    let unit = match kind {
        PaymentKind::Lv2v | PaymentKind::Pixels(_) => {
            return Price::per_pixels(price.price_per_unit, price.pixels_per_unit).ok();
        }
        PaymentKind::Live => PriceUnit::Seconds,
        PaymentKind::Fixed => PriceUnit::Fixed,
    };
    let is_whole = price.pixels_per_unit == 1;
    is_whole.then(|| Price::parse(&price.price_per_unit.to_string(), unit).ok())?
}

fn is_above(now: &PriceInfo, first: &PriceInfo) -> bool {
    let cross = |a: i64, b: i64| i128::from(a) * i128::from(b);
    cross(now.price_per_unit, first.pixels_per_unit)
        > cross(first.price_per_unit, now.pixels_per_unit)
}
