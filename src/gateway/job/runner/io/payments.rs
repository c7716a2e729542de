//! Makes the payments of a session on a runner. The caller sends the first one with its request; further ones are sent
//! to the payment URL of the challenge.
//!
//! Fresh terms come from the orchestrator's `/refresh-payment`. Before the session exists, that call fails, and the
//! reservation is repeated for a fresh challenge instead.
//!
//! Does not: decide when to pay; the schedule of `payment` does.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::http::{AnsweringPeer, Url, follow};
use crate::job::JobPayments;
use crate::job::runner::RunnerError;
use crate::job::runner::wire::is_id;
use crate::payment::io::{
    Payer, PayerEvent, PaymentOutcome, TermsFuture, TermsRefresh, TermsSource,
};
use crate::payment::{
    Challenge, PaymentError, PaymentHeaders, PaymentKind, PaymentSession, WireError,
};
use crate::session::{Network, PaymentSetup};
use resilience::fault::{Failure, Fault, chain};
use resilience::wait::sleep_until;

/// A fixed value instead of a random one: no other session waits for the same signer, so retries need not be spread.
const JITTER: f64 = 0.5;

/// The payments of a session.
#[derive(Debug)]
pub(in crate::job) struct RunnerPayments {
    payer: Payer,
    kind: PaymentKind,
    manifest_id: String,
    url: Url,
    exists: Arc<AtomicBool>,
}

impl RunnerPayments {
    /// Prepares the payments for the challenge of `peer`; fails if a URL in the challenge must not be followed.
    pub(super) async fn new(
        network: &Network,
        paid: &PaymentSetup,
        peer: AnsweringPeer<'_>,
        kind: PaymentKind,
        challenge: Challenge,
    ) -> Result<Self, RunnerError> {
        let judged = |name: &'static str, url: &Option<Url>| match url.clone() {
            None => Ok(None),
            Some(url) => follow(peer, url)
                .map(Some)
                .map_err(|stray| RunnerError::Stray(peer.url.authority().clone(), name, stray)),
        };
        let orchestrator = judged("orchestrator", &challenge.orchestrator)?;
        let payment_url = judged("payment_url", &challenge.payment_url)?;
        let peer = peer.url;
        let manifest_id = challenge.manifest_id.clone();
        let url = match payment_url {
            Some(url) => url,
            None if is_id(&manifest_id) => peer.join(&format!("/{manifest_id}/payment")),
            None => {
                let field = WireError::Field("payment_url");
                return Err(RunnerError::Challenge(peer.authority().clone(), field));
            }
        };
        let signature = paid.signers.signature().await.map_err(RunnerError::NotPaid)?;
        let options = paid.options.clone();
        let Challenge { terms, interval, .. } = challenge;
        let session = PaymentSession::new(kind, terms, Some(manifest_id.clone()), options)
            .map_err(RunnerError::NotPaid)?
            .paid_by(signature.address())
            .counted_for(peer.authority());
        let exists = Arc::new(AtomicBool::new(false));
        let base = orchestrator.unwrap_or_else(|| peer.origin());
        let refresh = TermsRefresh::new(network.client.clone(), &base, signature.payer());
        let terms = RunnerTerms { refresh, exists: Arc::clone(&exists) };
        let payer = Payer::new(
            Arc::clone(&paid.signers),
            network.client.clone(),
            session,
            interval,
            terms,
            Instant::now(),
        );
        Ok(Self { payer, kind, manifest_id, url, exists })
    }

    /// Makes the first payment, which the caller sends; `None` if the challenge has expired.
    pub(super) async fn open(
        &mut self,
        peer: &Url,
        now: Instant,
    ) -> Result<Option<PaymentHeaders>, RunnerError> {
        match self.payer.open(now, JITTER).await {
            Ok(headers) => Ok(Some(headers)),
            Err(PaymentOutcome::Later(PaymentError::NoFreshTerms(_))) => Ok(None),
            Err(
                PaymentOutcome::Later(error)
                | PaymentOutcome::Leave(error)
                | PaymentOutcome::Failed(error),
            ) => Err(RunnerError::NotPaid(error)),
            Err(PaymentOutcome::Skipped | PaymentOutcome::NotYet | PaymentOutcome::Paid) => {
                Err(RunnerError::NothingToPay(peer.authority().clone()))
            }
        }
    }

    /// Call this when the first payment is about to be sent: from then on the session may exist.
    pub(super) fn opened(&mut self, now: Instant) -> Result<(), RunnerError> {
        self.exists.store(true, Ordering::Relaxed);
        self.payer.opened(&self.manifest_id, now).map_err(RunnerError::NotPaid)
    }

    /// Whether payments follow the first one.
    pub(super) fn go_on(&self) -> bool {
        self.kind.preload().is_some()
    }

    /// Runs `work`, and makes the payments that fall due during that time, as if media flowed. If `work` ends during a
    /// payment, this waits for the payment, because dropping it would lose the signed tickets.
    pub(super) async fn during<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> Result<T, RunnerError> {
        let mut work = pin!(work);
        loop {
            let outcome = {
                let now = tokio::time::Instant::now().into_std();
                let mut turn = pin!(self.payer.turn(&self.url, PayerEvent::Media, now, JITTER));
                tokio::select! {
                    biased;
                    done = &mut work => {
                        let _ = turn.await;
                        return Ok(done);
                    }
                    outcome = &mut turn => outcome,
                }
            };
            match outcome {
                PaymentOutcome::NotYet | PaymentOutcome::Paid | PaymentOutcome::Skipped => {}
                PaymentOutcome::Later(error) => {
                    log::warn!("payment failed during the start, retrying: {}", chain(&error))
                }
                PaymentOutcome::Leave(error) | PaymentOutcome::Failed(error) => {
                    return Err(RunnerError::NotPaid(error));
                }
            }
            let due = self.payer.poll_timeout();
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                () = sleep_until(due) => {}
            }
        }
    }

    /// Hands the payments over to the job that has started.
    pub(in crate::job) fn of_job(self) -> JobPayments {
        JobPayments { payer: self.payer, url: self.url }
    }
}

/// Fetches fresh terms from the orchestrator's `/refresh-payment`; fails until the session exists.
#[derive(Debug)]
struct RunnerTerms {
    refresh: TermsRefresh,
    exists: Arc<AtomicBool>,
}

impl TermsSource for RunnerTerms {
    fn fresh_terms<'a>(&'a mut self, manifest_id: Option<&'a str>) -> TermsFuture<'a> {
        Box::pin(async move {
            match manifest_id.filter(|_| self.exists.load(Ordering::Relaxed)) {
                Some(id) => self.refresh.terms(id).await.map_err(|error| error.failure()),
                None => Err(Failure::of_peer("there is no session yet", Fault::Refresh)),
            }
        })
    }
}
