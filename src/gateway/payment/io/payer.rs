//! Makes the payments of one session by its schedule, while media flows.
//!
//! A payment that could not be sent is kept, and sent the next time before a new one is made. A payment that may have
//! arrived is never sent twice, because its tickets count only once.
//!
//! Does not: start or stop the job; the owner does, by the report of each payment.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use tokio::sync::{mpsc, watch};

use crate::http::Url;
use crate::http::io::{CallError, Client, HttpRequest};
use crate::payment::io::{SignedPayment, Signers, TermsSource};
use crate::payment::{
    OutgoingPayment, PaidPeriod, PaymentDecision, PaymentError, PaymentHeaders, PaymentSchedule,
    PaymentSession, clean,
};
use resilience::backoff::jitter;
use resilience::fault::{Failure, chain};
use resilience::wait::sleep_until;

/// An event that may make a payment due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayerEvent {
    /// Time has passed.
    Tick,
    /// A segment of media went out or came back.
    Media,
}

/// The outcome of a payer's turn.
#[derive(Debug)]
pub enum PaymentOutcome {
    /// No payment was due.
    NotYet,
    /// Paid.
    Paid,
    /// The signer or orchestrator required no payment.
    Skipped,
    /// Not paid; the payer tries again. The job continues on the time paid ahead.
    Later(PaymentError),
    /// Not paid: leave this orchestrator and try the next.
    Leave(PaymentError),
    /// Not paid: this session cannot be paid any more.
    Failed(PaymentError),
}

/// The report of one payment to the session's owner.
#[derive(Debug)]
pub struct PayerReport {
    /// The outcome.
    pub outcome: PaymentOutcome,
    /// The estimated time that is paid ahead; `None` for a single payment.
    pub paid_for: Option<Duration>,
}

/// Pays one session.
pub struct Payer {
    signers: Arc<Signers>,
    client: Client,
    session: PaymentSession,
    schedule: PaymentSchedule,
    fresh: Box<dyn TermsSource>,
    /// A payment that was made but not sent.
    unsent: Option<OutgoingPayment>,
}

impl fmt::Debug for Payer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payer").field("session", &self.session).finish_non_exhaustive()
    }
}

impl Payer {
    /// Pays `session`, whose first payment is due `now`, by calls of `client` to the orchestrator. `interval` is the
    /// interval of the challenge; `None` for the usual one.
    pub fn new(
        signers: Arc<Signers>,
        client: Client,
        session: PaymentSession,
        interval: Option<Duration>,
        fresh: impl TermsSource + 'static,
        now: Instant,
    ) -> Self {
        let schedule = PaymentSchedule::new(session.kind(), interval, now);
        Self { signers, client, session, schedule, fresh: Box::new(fresh), unsent: None }
    }

    /// Makes the first payment. Send it with the call that starts the job, and then call [`Payer::opened`].
    pub async fn open(
        &mut self,
        now: Instant,
        jitter: f64,
    ) -> Result<PaymentHeaders, PaymentOutcome> {
        let clock = CallClock::at(now);
        if self.schedule.on_tick(now) != PaymentDecision::Pay {
            return Err(PaymentOutcome::NotYet);
        }
        loop {
            match self.sign(&clock).await {
                Ok(made) => return Ok(made.headers),
                Err(error) => self.after(error, jitter, &clock).await?,
            }
        }
    }

    /// Call this, with the job's id, when the first payment is accepted, or already when it is about to be sent.
    pub fn opened(&mut self, manifest_id: &str, now: Instant) -> Result<(), PaymentError> {
        self.schedule.on_paid(now);
        self.session.started(manifest_id)
    }

    /// The time from `now` that is paid ahead; `None` for a single payment.
    pub fn paid_for(&self, now: Instant) -> Option<Duration> {
        self.schedule.paid_for(now)
    }

    /// When to call [`Payer::turn`] with a tick; `None` if only media can change anything.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.schedule.poll_timeout()
    }

    /// Pays at `url` if a payment is due.
    pub async fn turn(
        &mut self,
        url: &Url,
        told: PayerEvent,
        now: Instant,
        jitter: f64,
    ) -> PaymentOutcome {
        let clock = CallClock::at(now);
        let decision = match told {
            PayerEvent::Tick => self.schedule.on_tick(now),
            PayerEvent::Media => self.schedule.on_media(now),
        };
        if decision != PaymentDecision::Pay {
            return PaymentOutcome::NotYet;
        }
        loop {
            let paid = match self.have_terms(jitter, &clock).await {
                Ok(()) => self.pay(url, &clock).await,
                Err(outcome) => return outcome,
            };
            let Err(error) = paid else {
                // Fetch terms now, so that the next payment is in time. If this fails, the next turn tries again.
                let _ = self.fetch_terms_ahead().await;
                return PaymentOutcome::Paid;
            };
            if let Err(outcome) = self.after(error, jitter, &clock).await {
                return outcome;
            }
        }
    }

    /// Pays at `url` until the session ends or the sender of `media` is dropped. Each change of `media` says
    /// that media flows. Every outcome but `NotYet` goes to `turns`; `Leave` and `Failed` are the last.
    pub(crate) async fn run(
        mut self,
        url: Url,
        mut media: watch::Receiver<()>,
        turns: mpsc::Sender<PayerReport>,
    ) {
        loop {
            let due = self.poll_timeout();
            let told = tokio::select! {
                biased;
                changed = media.changed() => match changed {
                    Ok(()) => PayerEvent::Media,
                    Err(_) => return,
                },
                () = sleep_until(due) => PayerEvent::Tick,
            };
            let now = tokio::time::Instant::now().into_std();
            let outcome = self.turn(&url, told, now, jitter()).await;
            let last = matches!(outcome, PaymentOutcome::Leave(_) | PaymentOutcome::Failed(_));
            let news = !matches!(outcome, PaymentOutcome::NotYet);
            let turn = PayerReport { outcome, paid_for: self.paid_for(now) };
            if (news && turns.send(turn).await.is_err()) || last {
                return;
            }
        }
    }

    async fn sign(&mut self, clock: &CallClock) -> Result<OutgoingPayment, PaymentError> {
        let signed = self.signers.payment(&mut self.session, clock.now()).await?;
        let SignedPayment { made, took } = signed;
        let covers = if made.opens { PaidPeriod::Ahead } else { PaidPeriod::SinceLast };
        let now = clock.now();
        self.schedule.on_signed(covers, now.checked_sub(took).unwrap_or(now), now);
        Ok(made)
    }

    async fn pay(&mut self, url: &Url, clock: &CallClock) -> Result<(), PaymentError> {
        let made = match self.unsent.take() {
            Some(made) => made,
            None => self.sign(clock).await?,
        };
        match deliver(&self.client, url, &made.headers).await {
            Ok(()) => {
                self.schedule.on_paid(clock.now());
                Ok(())
            }
            Err(error) => {
                if let PaymentError::NotDelivered(CallError::Connect(_)) = error {
                    self.unsent = Some(made);
                } else {
                    self.schedule.on_lost();
                }
                Err(error)
            }
        }
    }

    /// Reacts to an error as the schedule says; `Ok` if the caller must try again at once.
    async fn after(
        &mut self,
        error: PaymentError,
        jitter: f64,
        clock: &CallClock,
    ) -> Result<(), PaymentOutcome> {
        let (refusal, retry_after) = (error.refusal(), error.retry_after());
        let decision = self.schedule.on_refused(refusal, retry_after, jitter, clock.now());
        log::debug!("no payment: {}: {decision:?}", chain(&error));
        match decision {
            PaymentDecision::Refresh => {
                self.refresh(jitter, clock).await?;
                let was_made = matches!(error, PaymentError::NotAccepted { .. });
                match self.schedule.on_refreshed(clock.now()) == PaymentDecision::Pay {
                    true => Ok(()),
                    false if was_made => Err(PaymentOutcome::Later(error)),
                    false => Err(PaymentOutcome::NotYet),
                }
            }
            PaymentDecision::Skip => Err(PaymentOutcome::Skipped),
            PaymentDecision::Leave => Err(PaymentOutcome::Leave(error)),
            PaymentDecision::Fail => Err(PaymentOutcome::Failed(error)),
            PaymentDecision::Pay | PaymentDecision::NotYet => Err(PaymentOutcome::Later(error)),
        }
    }

    /// Fetches fresh terms if the current terms may not allow enough tickets.
    async fn have_terms(&mut self, jitter: f64, clock: &CallClock) -> Result<(), PaymentOutcome> {
        if self.unsent.is_none() && self.session.needs_fresh_terms() {
            self.refresh(jitter, clock).await?;
        }
        Ok(())
    }

    async fn fetch_terms_ahead(&mut self) -> Result<(), Failure> {
        if self.session.needs_fresh_terms() {
            self.fetch_terms().await?;
        }
        Ok(())
    }

    async fn fetch_terms(&mut self) -> Result<(), Failure> {
        let terms = self.fresh.fresh_terms(self.session.manifest_id()).await?;
        self.session.renew(terms);
        Ok(())
    }

    async fn refresh(&mut self, jitter: f64, clock: &CallClock) -> Result<(), PaymentOutcome> {
        self.fetch_terms().await.map_err(|failure| {
            let _ = self.schedule.on_refresh_failed(jitter, clock.now());
            PaymentOutcome::Later(PaymentError::NoFreshTerms(failure))
        })
    }
}

/// Sends a payment. Ignores the `OrchestratorInfo` in the answer; see [`PaymentSession`].
async fn deliver(client: &Client, url: &Url, payment: &PaymentHeaders) -> Result<(), PaymentError> {
    let mut call = HttpRequest { method: Method::POST, ..HttpRequest::get(url.clone()) };
    payment.insert_into(&mut call.headers);
    let sent = call.headers.clone();
    let answer = client.call(call).await.map_err(PaymentError::NotDelivered)?;
    if (200..300).contains(&answer.status) {
        return Ok(());
    }
    Err(PaymentError::NotAccepted {
        orchestrator: url.authority().clone(),
        status: answer.status,
        message: clean(&answer.body, &sent),
    })
}

/// A clock that starts at the caller's `now` and runs in real time, so that the time of calls counts.
struct CallClock {
    now: Instant,
    began: Instant,
}

impl CallClock {
    fn at(now: Instant) -> Self {
        Self { now, began: Instant::now() }
    }

    fn now(&self) -> Instant {
        self.now + self.began.elapsed()
    }
}
