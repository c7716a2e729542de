//! Builds the requests of a session to the signer, and keeps terms, manifest id and `state` between them.
//!
//! ```text
//!            on_payment                 on_payment
//!   Opening ────────────▶ Running(state) ──────┐
//!      ▲                        │ ▲            │
//!      │  on_refused: another   │ └────────────┘
//!      └── origin cannot read ──┘
//!          the state
//! ```
//!
//! The caller borrows the session exclusively until the response is in, so there is one call at a time and states
//! are returned in order.
//!
//! A state belongs to the key of a signer and to the identity of a payer. After a change of the credential the session
//! still sends its state, because the new credential usually has the same identity; if it does not, the signer answers
//! 500. Another signer in the list answers 400 if its key differs. After such an answer the session drops the state and
//! reopens, which costs the first payment again. No other event drops a state.
//!
//! Terms are kept until they expire. The `OrchestratorInfo` in the answer to a payment does not replace them, because
//! it has the current price and not the session's, and a signer refuses a price that has risen (protocol.md, section
//! 5). Terms also expire after 600 tickets. A payment has at most 100 tickets. If a payment goes beyond the 600th
//! ticket, the orchestrator accepts only a part of it, and the rest is lost.
//!
//! Does not: decide when to pay, or send anything.

use bytes::Bytes;

use crate::http::Authority;
use crate::payment::{
    Payment, PaymentError, PaymentHeaders, PaymentKind, PaymentRequest, SignerState, Terms,
};
use crate::price::MaxPrice;
use resilience::ledger::Item;
use resilience::sanitize;

/// Tickets that can be made from the same terms (go-livepeer `pm/recipient.go:26`).
const TICKETS: usize = 600;
/// The most tickets of a payment (go-livepeer `server/remote_signer.go:615`).
const PAYMENT_TICKETS: usize = 100;

/// The options of a session's payments.
#[derive(Debug, Clone, Default)]
pub struct SessionOptions {
    /// The application's name, for the signer.
    pub app: Option<String>,
    /// The maximum price that the signer may agree to.
    pub max_price: Option<MaxPrice>,
    /// The bytes of the `Capabilities` that the job needs.
    pub capabilities: Option<Bytes>,
    /// The model or app of the job: what was paid is counted by it.
    pub work: String,
}

/// The origin of a state: the signer that made it, and the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignerOrigin {
    /// The signer's index in the list.
    pub(crate) signer: usize,
    /// Counts the changes of the credential.
    pub(crate) credential: u64,
}

/// A payment, ready to be sent to the orchestrator.
#[derive(Debug, Clone)]
pub struct OutgoingPayment {
    /// The headers that carry the payment.
    pub(crate) headers: PaymentHeaders,
    /// Whether the payment opens the session, and so pays ahead.
    pub(crate) opens: bool,
}

/// What the caller must do after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum AfterRefusal {
    /// Send the request again: the session reopens without the refused state.
    Reopen,
    /// Report the refusal: another request would not help.
    Final,
}

#[derive(Debug)]
enum SessionAccount {
    Opening,
    Running { state: SignerState, origin: SignerOrigin },
}

/// The payments of one job or runner session with one orchestrator.
#[derive(Debug)]
pub struct PaymentSession {
    kind: PaymentKind,
    terms: Terms,
    manifest_id: Option<String>,
    options: SessionOptions,
    account: SessionAccount,
    /// The address that the orchestrator made the terms for, if it is known.
    payer: Option<Bytes>,
    /// What its payments are counted for.
    item: Item,
    /// The number of tickets made from the terms.
    tickets: usize,
}

impl PaymentSession {
    /// A session that has paid nothing yet. Pass the `manifest_id` for a runner, `None` for an LV2V job. Fails if the
    /// terms are free of charge, or if the unit of the maximum price is not that of `kind`.
    pub fn new(
        kind: PaymentKind,
        terms: Terms,
        manifest_id: Option<String>,
        options: SessionOptions,
    ) -> Result<Self, PaymentError> {
        if let Some(orchestrator) = terms.free() {
            return Err(PaymentError::Free(sanitize::message(&orchestrator)));
        }
        if let Some(max) = options.max_price.filter(|max| Some(max.price().unit()) != kind.unit()) {
            return Err(PaymentError::MaxPriceUnit(max, kind.unit()));
        }
        let account = SessionAccount::Opening;
        let item = Item::new("", &options.work);
        Ok(Self { kind, terms, manifest_id, options, account, payer: None, item, tickets: 0 })
    }

    /// Call this if the orchestrator made the terms for the payer with this address: tickets signed with another key
    /// are worthless.
    #[must_use]
    pub fn paid_by(self, address: Bytes) -> Self {
        Self { payer: Some(address), ..self }
    }

    /// Counts the payments for the orchestrator or runner at this address.
    #[must_use]
    pub fn counted_for(self, at: &Authority) -> Self {
        Self { item: Item::new(&at.to_string(), &self.options.work), ..self }
    }

    /// What the payments are counted for.
    pub(crate) fn item(&self) -> &Item {
        &self.item
    }

    /// How this session is paid.
    pub(crate) fn kind(&self) -> PaymentKind {
        self.kind
    }

    /// The id of the job, if it is known.
    pub(crate) fn manifest_id(&self) -> Option<&str> {
        self.manifest_id.as_deref()
    }

    /// Call this when the job has started, with its id. Fails if the session already has another id.
    pub(crate) fn started(&mut self, manifest_id: &str) -> Result<(), PaymentError> {
        match &self.manifest_id {
            Some(known) if known != manifest_id => Err(PaymentError::ManifestChanged),
            Some(_) => Ok(()),
            None => {
                self.manifest_id = Some(manifest_id.to_owned());
                Ok(())
            }
        }
    }

    /// The address that the terms were made for, if it is known.
    pub(crate) fn payer(&self) -> Option<&Bytes> {
        self.payer.as_ref()
    }

    /// Replaces the terms by fresh ones from the orchestrator; tickets are counted from 0 again.
    pub(crate) fn renew(&mut self, terms: Terms) {
        self.terms = terms;
        self.tickets = 0;
    }

    /// Whether the terms may allow too few tickets for the next payment.
    pub(crate) fn needs_fresh_terms(&self) -> bool {
        self.tickets + PAYMENT_TICKETS > TICKETS
    }

    /// The next request to the signer. After the first payment it fails until [`Self::started`] has set the manifest
    /// id; a session created with a `manifest_id` does not need that call.
    pub(crate) fn request(&self) -> Result<PaymentRequest<'_>, PaymentError> {
        let state = match &self.account {
            SessionAccount::Opening => None,
            SessionAccount::Running { .. } if self.manifest_id.is_none() => {
                return Err(PaymentError::NoManifest);
            }
            SessionAccount::Running { state, .. } => Some(state),
        };
        Ok(PaymentRequest {
            terms: &self.terms,
            kind: self.kind,
            manifest_id: self.manifest_id.as_deref(),
            state,
            app: self.options.app.as_deref(),
            max_price: self.options.max_price.as_ref(),
            capabilities: self.options.capabilities.as_ref(),
        })
    }

    /// Call this when the signer made a payment; `origin` is the signer and its credential. Send the returned payment
    /// to the orchestrator.
    pub(crate) fn on_payment(&mut self, payment: Payment, origin: SignerOrigin) -> OutgoingPayment {
        let opens = matches!(self.account, SessionAccount::Opening);
        self.account = SessionAccount::Running { state: payment.state, origin };
        self.tickets = self.tickets.saturating_add(payment.tickets);
        OutgoingPayment { headers: payment.headers, opens }
    }

    /// Whether the signer has made a payment.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.account, SessionAccount::Running { .. })
    }

    /// Whether a refusal with `status` means that the signer cannot read the state: 400 if another signer or
    /// credential made it, 500 if another credential did. `origin` is the signer that refused, and its credential.
    pub(crate) fn cannot_be_read(&self, status: u16, origin: SignerOrigin) -> bool {
        let SessionAccount::Running { origin: maker, .. } = &self.account else { return false };
        match status {
            400 => *maker != origin,
            500 => maker.credential != origin.credential,
            _ => false,
        }
    }

    /// Call this when the signer refused a request with `status`; `origin` is that signer and its credential. Drops
    /// the state if the signer cannot read it.
    pub(crate) fn on_refused(&mut self, status: u16, origin: SignerOrigin) -> AfterRefusal {
        if !self.cannot_be_read(status, origin) {
            return AfterRefusal::Final;
        }
        self.account = SessionAccount::Opening;
        AfterRefusal::Reopen
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use resilience::fault::Fault;

    const ORIGIN: SignerOrigin = SignerOrigin { signer: 0, credential: 0 };
    const NEW_CREDENTIAL: SignerOrigin = SignerOrigin { credential: 1, ..ORIGIN };
    const OTHER_SIGNER: SignerOrigin = SignerOrigin { signer: 1, ..ORIGIN };

    fn payment(state: &str) -> Payment {
        let body =
            format!(r#"{{"payment":"cA==","segCreds":"cw==","state":{{"State":"{state}"}}}}"#);
        Payment::parse(body.as_bytes()).unwrap()
    }

    fn session(kind: PaymentKind) -> PaymentSession {
        let terms = Terms::Params("dA==".into());
        PaymentSession::new(kind, terms, None, SessionOptions::default()).unwrap()
    }

    fn body(session: &PaymentSession) -> String {
        String::from_utf8(session.request().unwrap().to_json().unwrap()).unwrap()
    }

    #[test]
    fn states_go_back_in_order_and_the_first_payment_opens() {
        let mut session = session(PaymentKind::Lv2v);
        assert_eq!(body(&session), r#"{"orchestrator":"dA==","type":"lv2v"}"#);
        assert!(session.on_payment(payment("one"), ORIGIN).opens);
        session.started("m").unwrap();
        assert!(body(&session).contains(r#""ManifestID":"m","state":{"State":"one"}"#));
        assert!(!session.on_payment(payment("two"), ORIGIN).opens);
        session.renew(Terms::Params("bmV3".into()));
        let expected =
            r#"{"orchestrator":"bmV3","type":"lv2v","ManifestID":"m","state":{"State":"two"}}"#;
        assert_eq!(body(&session), expected);
    }

    #[test]
    fn a_later_payment_needs_the_manifest_id_which_never_changes() {
        let mut session = session(PaymentKind::Lv2v);
        let _ = session.on_payment(payment("one"), ORIGIN);
        assert!(matches!(session.request(), Err(PaymentError::NoManifest)));
        session.started("m").unwrap();
        session.started("m").unwrap();
        assert!(matches!(session.started("n"), Err(PaymentError::ManifestChanged)));
        assert_eq!(session.manifest_id(), Some("m"));
    }

    #[track_caller]
    fn check(status: u16, origin: SignerOrigin, expected: AfterRefusal) {
        let mut session = session(PaymentKind::Live);
        assert_eq!(session.on_refused(status, origin), AfterRefusal::Final, "nothing to drop yet");
        let _ = session.on_payment(payment("one"), ORIGIN);
        session.started("m").unwrap();
        assert_eq!(session.on_refused(status, origin), expected, "{status}");
        assert_eq!(body(&session).contains("state"), expected == AfterRefusal::Final);
        assert_eq!(session.on_refused(status, origin), AfterRefusal::Final, "once");
    }

    #[test]
    fn a_state_that_another_origin_cannot_read_is_dropped_once() {
        check(500, NEW_CREDENTIAL, AfterRefusal::Reopen);
        check(400, NEW_CREDENTIAL, AfterRefusal::Reopen);
        check(400, OTHER_SIGNER, AfterRefusal::Reopen);
    }

    #[test]
    fn other_refusals_keep_the_state() {
        for status in [400, 401, 402, 403, 429, 480, 481, 482, 483, 500, 502, 503] {
            check(status, ORIGIN, AfterRefusal::Final);
        }
        for status in [401, 403, 429, 480, 481, 482, 483, 502, 503, 504] {
            check(status, NEW_CREDENTIAL, AfterRefusal::Final);
            check(status, OTHER_SIGNER, AfterRefusal::Final);
        }
        check(500, OTHER_SIGNER, AfterRefusal::Final);
    }

    #[test]
    fn a_reopened_session_keeps_its_manifest_id_and_opens_again() {
        let mut session = session(PaymentKind::Lv2v);
        let _ = session.on_payment(payment("one"), ORIGIN);
        session.started("m").unwrap();
        assert_eq!(session.on_refused(500, NEW_CREDENTIAL), AfterRefusal::Reopen);
        assert_eq!(body(&session), r#"{"orchestrator":"dA==","type":"lv2v","ManifestID":"m"}"#);
        assert!(session.on_payment(payment("two"), NEW_CREDENTIAL).opens);
    }

    /// A payment with this many tickets, as a protobuf message.
    fn of_tickets(count: usize) -> Payment {
        let bytes = [0x22, 0x02, 0x08, 0x01].repeat(count);
        let text = STANDARD.encode([vec![0x12, 0x00], bytes].concat());
        let body = format!(r#"{{"payment":"{text}","segCreds":"cw==","state":{{}}}}"#);
        Payment::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn fresh_terms_are_needed_before_the_tickets_run_out() {
        let mut session = session(PaymentKind::Live);
        for made in [100, 200, 300, 400, 500, 520] {
            let before = if made == 520 { 20 } else { 100 };
            assert!(!session.needs_fresh_terms(), "before {made}");
            let _ = session.on_payment(of_tickets(before), ORIGIN);
        }
        assert!(session.needs_fresh_terms());
        session.renew(Terms::Params("bmV3".into()));
        assert!(!session.needs_fresh_terms());
    }

    #[test]
    fn a_free_on_chain_orchestrator_is_refused() {
        // transcoder, ticket params, price.
        let (name, params) = (b"\x0a\x0bhttps://o:1", b"\x12\x01x");
        let price = |wei| [0x1a, 4, 8, wei, 16, 1];
        let check = |info: Vec<u8>, is_free: bool| {
            for terms in [Terms::Params(STANDARD.encode(&info)), Terms::Info(info.into())] {
                let made =
                    PaymentSession::new(PaymentKind::Lv2v, terms, None, SessionOptions::default());
                match made {
                    Ok(_) => assert!(!is_free),
                    Err(error) => {
                        let text = error.to_string();
                        assert!(is_free && text.starts_with("orchestrator https://o:1 asks"));
                        assert_eq!(error.fault(), Fault::NextPeer);
                    }
                }
            }
        };
        check([&name[..], params, &price(0)].concat(), true);
        check([&name[..], params].concat(), true);
        check([&name[..], params, &price(7)].concat(), false);
        // Off-chain there are no ticket params, so this check passes.
        check(name.to_vec(), false);
        check(b"no protobuf".to_vec(), false);
    }

    #[track_caller]
    fn check_unit(kind: PaymentKind, max: &str, fits: bool) {
        let options = SessionOptions { max_price: max.parse().ok(), ..SessionOptions::default() };
        let session = PaymentSession::new(kind, Terms::Params("dA==".into()), None, options);
        assert_eq!(session.is_ok(), fits, "{kind:?} {max}");
    }

    #[test]
    fn a_maximum_price_must_be_of_the_kinds_unit() {
        let pixels = PaymentKind::Pixels(9.try_into().unwrap());
        for (max, kind) in [
            ("1 wei per second", PaymentKind::Live),
            ("1 wei per 720p-pixel-second", PaymentKind::Lv2v),
            ("1 wei per call", PaymentKind::Fixed),
        ] {
            for other in [PaymentKind::Live, PaymentKind::Lv2v, PaymentKind::Fixed, pixels] {
                check_unit(other, max, other == kind);
            }
        }
    }
}
