//! Repeats a request that may have to be paid first, until it is granted or refused.
//!
//! Does not: know what is requested; the implementations of [`PaidRequest`] do.

use std::future::Future;
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::payments::RunnerPayments;
use crate::http::io::HttpAnswer;
use crate::http::{AnsweringPeer, Url};
use crate::job::runner::{Reservation, ReservationStep, RunnerError, Step};
use crate::payment::{Challenge, PaymentHeaders, PaymentKind, clean};
use crate::session::Network;

const PAYER: HeaderName = HeaderName::from_static("livepeer-payer-address");

/// A request that may have to be paid before it is granted.
pub(in crate::job) trait PaidRequest: Send {
    /// The result of a granted request.
    type Granted: Send;

    /// Whether the answer may take so long that further payments fall due. If so, they are made during the wait.
    const PAYS_MEANWHILE: bool = false;

    /// Sends the request once, with these headers: the payer's address, and the payment if there is one.
    fn ask(
        &mut self,
        headers: HeaderMap<HeaderValue>,
    ) -> impl Future<Output = Result<PaidReply<Self::Granted>, RunnerError>> + Send;

    /// Called before a request that carries a payment: it may be granted under this id even if no answer arrives.
    fn on_paid(&mut self, _manifest_id: &str) {}
}

/// The answer to a request.
#[derive(Debug)]
pub(in crate::job) enum PaidReply<G> {
    /// A status from 200 to 299.
    Granted(G),
    /// Any other status.
    Refused(HttpAnswer),
}

/// The result of a granted request, and its further payments.
#[derive(Debug)]
pub(in crate::job) struct GrantedRequest<G> {
    pub(in crate::job) granted: G,
    /// `None` if nothing more has to be paid.
    pub(in crate::job) payments: Option<RunnerPayments>,
}

/// Sends the request to `peer` until it is granted or refused. `kind` must fit the unit of the peer's price; `None` if
/// the peer names no price.
pub(in crate::job) async fn open<A: PaidRequest>(
    network: &Network,
    peer: &Url,
    step: Step,
    kind: Option<PaymentKind>,
    ask: &mut A,
) -> Result<GrantedRequest<A::Granted>, RunnerError> {
    let mut common = HeaderMap::new();
    if let Some(paid) = &network.payments {
        let payer = paid.signers.signature().await.map_err(RunnerError::NotPaid)?.payer();
        if let Ok(payer) = HeaderValue::try_from(payer) {
            common.insert(PAYER, payer);
        }
    }
    let mut reservation = Reservation::default();
    let mut headers = common.clone();
    let mut payments: Option<RunnerPayments> = None;
    loop {
        let sent = headers.clone();
        let asked = ask.ask(headers);
        let reply = match payments.as_mut().filter(|_| A::PAYS_MEANWHILE) {
            Some(payments) => payments.during(asked).await??,
            None => asked.await?,
        };
        let answer = match reply {
            PaidReply::Granted(granted) => {
                let payments = payments.filter(RunnerPayments::go_on);
                return Ok(GrantedRequest { granted, payments });
            }
            PaidReply::Refused(answer) => answer,
        };
        headers = common.clone();
        payments = None;
        let next = match reservation.on_answer(answer.status) {
            ReservationStep::Pay => {
                match challenged(network, answer.answering_peer(peer), kind, &answer.body, ask)
                    .await?
                {
                    Some((mut paid, payment)) => {
                        payment.insert_into(&mut headers);
                        paid.opened(Instant::now())?;
                        payments = Some(paid);
                        reservation.on_payment();
                        continue;
                    }
                    None => reservation.on_expired(),
                }
            }
            next @ (ReservationStep::Accepted
            | ReservationStep::AskAgain
            | ReservationStep::Refused
            | ReservationStep::NoEnd) => next,
        };
        match next {
            ReservationStep::AskAgain => {
                log::debug!("{}: terms of the {step} have expired", peer.authority());
            }
            ReservationStep::NoEnd => return Err(RunnerError::NoEnd(peer.authority().clone())),
            ReservationStep::Refused | ReservationStep::Accepted | ReservationStep::Pay => {
                return Err(RunnerError::Refused {
                    step,
                    peer: peer.authority().clone(),
                    status: answer.status,
                    message: clean(&answer.body, &sent),
                });
            }
        }
    }
}

/// Requests the payment for a challenge from the signer; `None` if the signer says that the challenge has expired.
async fn challenged<A: PaidRequest>(
    network: &Network,
    peer: AnsweringPeer<'_>,
    kind: Option<PaymentKind>,
    body: &[u8],
    ask: &mut A,
) -> Result<Option<(RunnerPayments, PaymentHeaders)>, RunnerError> {
    let at = || peer.url.authority().clone();
    let paid = network.payments.as_ref().ok_or_else(|| RunnerError::NeedsSigner(at()))?;
    let kind = kind.ok_or_else(|| RunnerError::NoPrice(at()))?;
    let challenge = Challenge::parse(body).map_err(|error| RunnerError::Challenge(at(), error))?;
    let id = challenge.manifest_id.clone();
    let mut payments = RunnerPayments::new(network, paid, peer, kind, challenge).await?;
    match payments.open(peer.url, Instant::now()).await? {
        Some(headers) => {
            ask.on_paid(&id);
            Ok(Some((payments, headers)))
        }
        None => Ok(None),
    }
}
