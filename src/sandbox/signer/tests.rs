//! Tests each check of the signer with a simulated clock and ids.
//!
//! Does not: use sockets.

use super::*;
use crate::money::TicketIssuer;
use crate::money::key::{ORCHESTRATOR, PAYER};
use crate::money::wire::seal;
use livepeer_gateway::orchestrator::proto::{AuthToken, OrchestratorInfo, PriceInfo};

const NOW: Duration = Duration::from_secs(1_800_000_000);
/// The value of a ticket for 5 s at two wei a second.
const LIVE_TICKET: u64 = 10;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn issuer() -> TicketIssuer {
    TicketIssuer::new(&[1; 32])
}

/// An info with this price, ticket value and `rand_hash`, whose ticket parameters and auth token are valid for an hour.
fn info(wei: i64, ticket: u64, random: u8) -> OrchestratorInfo {
    let price = PriceInfo { price_per_unit: wei, pixels_per_unit: 1, ..PriceInfo::default() };
    let params = issuer().terms(ticket, (&PAYER, &price), NOW + seconds(3600), [random; 32]);
    OrchestratorInfo {
        transcoder: "https://o:1".to_owned(),
        ticket_params: Some(params.encode_to_vec().into()),
        price_info: Some(price),
        address: Bytes::copy_from_slice(&ORCHESTRATOR),
        auth_token: Some(AuthToken {
            token: Bytes::from_static(b"t"),
            session_id: "s".to_owned(),
            expiration: i64::try_from((NOW + seconds(3600)).as_secs()).unwrap(),
        }),
        ..OrchestratorInfo::default()
    }
}

fn sealed(info: &OrchestratorInfo) -> Value {
    json!(STANDARD.encode(seal(info.encode_to_vec())))
}

fn live() -> Value {
    json!({ "orchestrator": sealed(&info(2, LIVE_TICKET, 7)), "type": "live", "ManifestID": "m" })
}

fn ask(body: &Value, now: Duration) -> Result<Signed, SignerRefusal> {
    ask_as(body, now, "")
}

fn ask_as(body: &Value, now: Duration, identity: &str) -> Result<Signed, SignerRefusal> {
    let refresh_before = seconds(180);
    let caller = Caller { payer: &PAYER, identity, now, refresh_before, id: "fresh" };
    pay(body.to_string().as_bytes(), caller)
}

/// The tickets and the manifest id of a payment.
#[track_caller]
fn opened(signed: &Signed) -> (Payment, String) {
    let bytes = |key: &str| STANDARD.decode(signed.body[key].as_str().unwrap()).unwrap();
    let payment = Payment::decode(bytes("payment").as_slice()).unwrap();
    assert!(payment.tickets.iter().all(|ticket| payment.is_signed(ticket)));
    let segment = SegData::decode(bytes("segCreds").as_slice()).unwrap();
    assert!(key::verify(SignaturePurpose::Segment, &PAYER, &content(&segment), &segment.sig));
    (payment, String::from_utf8(segment.manifest_id.to_vec()).unwrap())
}

/// The nonces of a payment's tickets.
fn nonces(payment: &Payment) -> Vec<u32> {
    payment.tickets.iter().map(|ticket| ticket.nonce).collect()
}

#[track_caller]
fn refused(body: &Value, status: u16, message: &str) {
    let refusal = ask(body, NOW).unwrap_err();
    assert_eq!(refusal.status, status, "{refusal:?}");
    assert!(refusal.message.contains(message), "{refusal:?}");
}

/// A first request, with one key changed.
#[track_caller]
fn check(key: &str, value: Value, status: u16, message: &str) {
    let mut body = live();
    body[key] = value;
    refused(&body, status, message);
}

/// A first request, with its info changed.
#[track_caller]
fn check_info(change: impl FnOnce(&mut OrchestratorInfo), status: u16, message: &str) {
    let mut info = info(2, LIVE_TICKET, 7);
    change(&mut info);
    check("orchestrator", sealed(&info), status, message);
}

#[test]
fn the_first_payment_pays_ahead_and_a_later_one_pays_for_the_time_since_the_last() {
    let mut body = live();
    let first = ask(&body, NOW).unwrap();
    let (payment, manifest) = opened(&first);
    // The first payment is for 10 s, which cost 20 wei.
    assert_eq!((nonces(&payment), manifest.as_str()), (vec![1, 2], "m"));
    assert_eq!(first.position, ("fresh".to_owned(), 0));
    body["state"] = first.body["state"].clone();
    let second = ask(&body, NOW + seconds(11)).unwrap();
    let (payment, _) = opened(&second);
    // 22 wei are due, rounded up to tickets; 8 wei are left.
    assert_eq!(nonces(&payment), [3, 4, 5]);
    body["state"] = second.body["state"].clone();
    let (payment, _) = opened(&ask(&body, NOW + seconds(16)).unwrap());
    assert_eq!(
        nonces(&payment),
        [6],
        "the balance of 8 wei is raised to at least the value of a ticket, 10 wei"
    );
    let signed = ask(&body, NOW + seconds(15)).unwrap();
    assert_eq!(opened(&signed).0.tickets.len(), 1);
}

#[test]
fn live_video_is_paid_60_s_ahead_and_by_the_pixel() {
    let ticket = 1280 * 720 * 30 * 5;
    let body = json!({ "orchestrator": sealed(&info(1, ticket, 7)), "type": "lv2v" });
    let first = ask(&body, NOW).unwrap();
    let (payment, manifest) = opened(&first);
    assert_eq!(
        (payment.tickets.len(), manifest.as_str()),
        (12, "fresh"),
        "the signer chose the manifest id"
    );
    let mut body = body;
    body["state"] = first.body["state"].clone();
    refused(&body, 400, "missing manifestID");
    body["ManifestID"] = json!("m");
    let (payment, manifest) = opened(&ask(&body, NOW + seconds(5)).unwrap());
    assert_eq!((payment.tickets.len(), manifest.as_str()), (1, "m"));
    let refusal = ask(&body, NOW + seconds(506)).unwrap_err();
    assert_eq!(refusal.status, 400, "more than 100 tickets: {refusal:?}");
}

#[test]
fn no_ticket_is_signed_while_the_balance_is_sufficient() {
    let mut body = live();
    body["orchestrator"] = sealed(&info(2, 100, 7));
    let first = ask(&body, NOW).unwrap();
    assert_eq!(opened(&first).0.tickets.len(), 1);
    body["state"] = first.body["state"].clone();
    // The balance is 80 wei, less than the value of a ticket.
    let second = ask(&body, NOW + seconds(5)).unwrap();
    body["state"] = second.body["state"].clone();
    // The balance is 170 wei, enough for 85 s.
    for later in [6, 50, 90] {
        assert_eq!(ask(&body, NOW + seconds(later)).unwrap_err().status, 482, "{later}");
    }
    assert!(ask(&body, NOW + seconds(91)).is_ok());
}

#[test]
fn fixed_and_pixels_pay_the_requested_units() {
    let fixed = json!({ "orchestrator": sealed(&info(30, 10, 7)), "type": "fixed" });
    assert_eq!(opened(&ask(&fixed, NOW).unwrap()).0.tickets.len(), 3);
    let pixels = json!({ "orchestrator": sealed(&info(2, 10, 7)), "inPixels": 21 });
    assert_eq!(opened(&ask(&pixels, NOW).unwrap()).0.tickets.len(), 5);
}

#[test]
fn an_invalid_request_is_refused() {
    for body in [json!([]), json!(null), json!("text"), json!({ "orchestrator": 7 })] {
        assert_eq!(ask(&body, NOW).unwrap_err().status, 400, "{body}");
    }
    check("orchestrator", json!(""), 400, "missing orchestrator");
    check("orchestrator", json!("%"), 400, "not base64");
    check("orchestrator", json!("AAAA"), 400, "not an OrchestratorInfo");
    check("type", json!("byoc"), 400, "invalid job type");
    check("type", json!(""), 400, "missing billable unit");
    check("capabilities", json!("%"), 400, "not base64");
    check("capabilities", json!("AAAA"), 400, "not a Capabilities");
    check_info(|info| info.price_info = None, 400, "priceInfo");
    check_info(|info| info.price_info.as_mut().unwrap().price_per_unit = 0, 400, "priceInfo");
    check_info(|info| info.ticket_params = None, 400, "ticketParams");
    check_info(|info| info.auth_token = None, 400, "auth token");
}

#[test]
fn an_info_that_the_gateway_encoded_again_is_refused() {
    let changed = json!(STANDARD.encode(info(2, LIVE_TICKET, 7).encode_to_vec()));
    check("orchestrator", changed, 400, "differs from the bytes");
}

#[test]
fn expired_ticket_parameters_must_be_refreshed() {
    for (late, status) in [(3419, None), (3420, Some(480)), (3600, Some(480))] {
        let refused = ask(&live(), NOW + seconds(late)).err();
        assert_eq!(refused.as_ref().map(|refusal| refusal.status), status, "{late}");
        if let Some(refusal) = refused {
            assert_eq!(refusal.orchestrator.as_deref(), Some("https://o:1"));
        }
    }
    let price = PriceInfo { price_per_unit: 2, pixels_per_unit: 1, ..PriceInfo::default() };
    let old = issuer().terms(10, (&PAYER, &price), NOW, [7; 32]).encode_to_vec();
    check_info(|info| info.ticket_params = Some(old.into()), 480, "refresh");
}

#[test]
fn a_price_above_a_limit_is_refused() {
    let max = |price: Value, unit: &str| json!({ "price": price, "currency": "wei", "unit": unit });
    check("maxPrice", max(json!(1.5), "seconds"), 481, "exceeds maximum");
    check("maxPrice", max(json!(2), "720p-pixel-seconds"), 400, "unit");
    check("maxPrice", max(json!(2), "fixed"), 400, "unit");
    check("maxPrice", max(json!(2), "hours"), 400, "unit");
    check("maxPrice", max(json!("2"), "seconds"), 400, "price");
    let usd = json!({ "price": 2, "currency": "usd", "unit": "seconds" });
    check("maxPrice", usd, 400, "wei");
    let mut body = live();
    body["maxPrice"] = max(json!(2.0), "seconds");
    let first = ask(&body, NOW).unwrap();
    body["state"] = first.body["state"].clone();
    body["maxPrice"] = Value::Null;
    for cheaper in [1, 2] {
        body["orchestrator"] = sealed(&info(cheaper, LIVE_TICKET, 7));
        assert!(ask(&body, NOW + seconds(5)).is_ok());
    }
    body["orchestrator"] = sealed(&info(3, LIVE_TICKET, 7));
    refused(&body, 481, "exceeds initial session price");
}

/// A later request, with one key changed.
#[track_caller]
fn check_later(key: &str, value: Value, message: &str) {
    let mut body = live();
    body["app"] = json!("a");
    body["state"] = ask(&body, NOW).unwrap().body["state"].clone();
    body[key] = value;
    refused(&body, 400, message);
}

#[test]
fn a_state_is_refused_for_another_session() {
    check_later("app", Value::Null, "app mismatch");
    check_later("app", json!("b"), "app mismatch");
    check_later("type", json!("fixed"), "job type mismatch");
    check_later("ManifestID", Value::Null, "missing manifestID");
    check_later("ManifestID", json!(""), "missing manifestID");
    check_later("state", json!({ "State": "e30=", "Sig": "" }), "invalid sig");
    check_later("state", json!({ "State": "%", "Sig": "" }), "invalid state");
    check_later("state", json!({ "State": "e30=" }), "missing field");
    let other = OrchestratorInfo {
        address: Bytes::from_static(b"another-orchestrator"),
        ..info(2, LIVE_TICKET, 7)
    };
    check_later("orchestrator", sealed(&other), "orchestratorAddress mismatch");
}

#[test]
fn a_changed_state_is_refused() {
    let mut body = live();
    let state = ask(&body, NOW).unwrap().body["state"].clone();
    let bytes = STANDARD.decode(state["State"].as_str().unwrap()).unwrap();
    for at in (0..bytes.len()).step_by(7) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        body["state"] = json!({ "State": STANDARD.encode(flipped), "Sig": state["Sig"] });
        refused(&body, 400, "invalid sig");
    }
}

#[test]
fn a_state_signed_with_another_key_is_refused() {
    let mut body = live();
    body["state"] = ask(&body, NOW).unwrap().body["state"].clone();
    let other = key::payer(1);
    let caller = Caller {
        payer: &other,
        identity: "",
        now: NOW + seconds(5),
        refresh_before: seconds(180),
        id: "fresh",
    };
    let refusal = pay(body.to_string().as_bytes(), caller).unwrap_err();
    assert_eq!((refusal.status, refusal.message.as_str()), (400, "invalid sig"));
}

#[test]
fn time_is_rounded_up_to_whole_seconds() {
    let mut body = live();
    body["orchestrator"] = sealed(&info(2, 1, 7));
    body["state"] = ask(&body, NOW).unwrap().body["state"].clone();
    for (ms, seconds) in [(4999, 5), (5000, 5), (5001, 6)] {
        let signed = ask(&body, NOW + Duration::from_millis(ms)).unwrap();
        assert_eq!(opened(&signed).0.tickets.len(), 2 * seconds, "{ms} ms");
    }
}

#[test]
fn a_state_is_refused_for_another_owner_of_the_credential() {
    let mut body = live();
    body["state"] = ask_as(&body, NOW, "me").unwrap().body["state"].clone();
    assert!(ask_as(&body, NOW + seconds(5), "me").is_ok());
    let refusal = ask_as(&body, NOW + seconds(5), "you").unwrap_err();
    assert_eq!((refusal.status, refusal.message.as_str()), (500, "remote signer auth ID changed"));
}

#[test]
fn new_ticket_parameters_restart_the_nonces() {
    let mut body = live();
    body["state"] = ask(&body, NOW).unwrap().body["state"].clone();
    body["orchestrator"] = sealed(&info(2, LIVE_TICKET, 8));
    assert_eq!(nonces(&opened(&ask(&body, NOW + seconds(5)).unwrap()).0), [1]);
}

#[test]
fn the_position_of_a_request_is_read_from_its_state() {
    let mut body = live();
    assert_eq!(position(body.to_string().as_bytes(), &PAYER), None);
    body["state"] = ask(&body, NOW).unwrap().body["state"].clone();
    assert_eq!(position(body.to_string().as_bytes(), &PAYER), Some(("fresh".to_owned(), 0)));
    let second = ask(&body, NOW + seconds(5)).unwrap();
    assert_eq!(second.position, ("fresh".to_owned(), 1));
    assert_eq!(position(b"nonsense", &PAYER), None);
}

#[test]
fn the_signature_is_as_long_as_a_real_one() {
    let signed = sign_info(&PAYER);
    let length = |key: &str| signed[key].as_str().unwrap().len();
    assert_eq!((length("address"), length("signature")), (42, 132));
}
