//! The remote signers of one key. [`Signers`] fetches the payer's signature and requests payments.
//!
//! Signers are stateless, so any of them can continue any session of the same key. All payers and all job starts of
//! the process share one [`Signers`], and with it one pause for each signer: a request during the pause fails at
//! once with the signer's last refusal, without a call.
//!
//! A signer may return from an outage with another key behind the same URL. Terms are made for one payer, so the
//! orchestrator refuses a payment by another key (`invalid recipientRand`), and the signer refuses a state made by
//! another key (`invalid sig`). In both cases the payer's signature is requested again, and the session fails: the
//! next session begins with the new key.
//!
//! Does not: keep payments or their states; a [`PaymentSession`] does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderName;

use crate::budget::io::{Admission, Purse, SETTLE_EVERY};
use crate::http::io::Client;
use crate::http::{Scheme, Url};
use crate::limits::SIGNERS;
use crate::payment::io::signer_pool::{SignerAnswer, SignerFailure, SignerPool, SignerRequest};
use crate::payment::{
    AfterRefusal, OutgoingPayment, Payment, PaymentError, PaymentSession, Signature, SignerOrigin,
    Spent,
};
use resilience::secret::SecretSource;

/// The URLs of the signers, and the headers to send to them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignerOptions {
    /// Base URLs, the preferred one first.
    pub urls: Vec<Url>,
    /// Headers of every call, such as `Authorization`.
    pub headers: Vec<(HeaderName, SecretSource)>,
    /// Whether plain HTTP to other computers is allowed.
    pub allow_plain_http: bool,
}

/// A payment that a signer has just made.
#[derive(Debug)]
pub struct SignedPayment {
    /// The payment.
    pub(crate) made: OutgoingPayment,
    /// How long the call took; the signer read its clock during the call.
    pub(crate) took: Duration,
}

/// The signers of one key.
#[derive(Debug)]
pub struct Signers {
    pool: SignerPool,
    spent: Arc<Spent>,
    purse: Purse,
    /// The signature, with the number of its credential. Locked during a request, so that only one is made.
    signature: tokio::sync::Mutex<Option<(u64, Signature)>>,
}

impl Signers {
    /// Creates a list of one signer, at `url`, without a credential.
    pub fn at(client: Client, url: Url) -> Result<Self, PaymentError> {
        Self::new(client, SignerOptions { urls: vec![url], ..SignerOptions::default() })
    }

    /// Checks the options and reads the headers; fails if either cannot be used.
    pub fn new(client: Client, options: SignerOptions) -> Result<Self, PaymentError> {
        let urls = &options.urls;
        if urls.is_empty() {
            return Err(PaymentError::NoSigner);
        }
        if urls.len() > SIGNERS {
            return Err(PaymentError::TooManySigners(urls.len()));
        }
        let is_open = |url: &&Url| url.scheme() == Scheme::Http && !url.authority().is_loopback();
        if let Some(url) = urls.iter().find(is_open).filter(|_| !options.allow_plain_http) {
            return Err(PaymentError::PlainHttp(url.clone()));
        }
        let pool = SignerPool::new(client, options)?;
        let (spent, purse) = (Arc::default(), Purse::default());
        Ok(Self { pool, spent, purse, signature: tokio::sync::Mutex::new(None) })
    }

    /// The same signers; their payments are counted in `purse`, and limited by its budget.
    #[must_use]
    pub fn with_purse(self, purse: Purse) -> Self {
        Self { purse, ..self }
    }

    /// Where payments are counted.
    pub fn purse(&self) -> &Purse {
        &self.purse
    }

    /// The payments that these signers have made.
    pub fn spent(&self) -> &Arc<Spent> {
        &self.spent
    }

    /// The configuration of the signers.
    pub fn options(&self) -> &SignerOptions {
        self.pool.options()
    }

    /// Reads the headers again; `true` if they have changed. Call this on SIGHUP. If the headers cannot be read, the
    /// old ones stay in use.
    pub fn reread(&self) -> Result<bool, PaymentError> {
        self.pool.reread()
    }

    /// Fails if no signer may be asked now; the error has the reason and the time to wait.
    pub fn ready(&self) -> Result<(), PaymentError> {
        self.pool.check_ready(Instant::now())
    }

    /// The payer's address and signature, requested once for each credential. Fails while no signer may be asked, even
    /// if the signature is known, because no payment would be possible.
    pub async fn signature(&self) -> Result<Signature, PaymentError> {
        let mut kept = self.signature.lock().await;
        self.ready()?;
        let credential = self.pool.origin().credential;
        if let Some((_, signature)) = kept.as_ref().filter(|(made_for, _)| *made_for == credential)
        {
            return Ok(signature.clone());
        }
        let request = SignerRequest {
            path: "/sign-orchestrator-info",
            body: b"{}".to_vec(),
            read: Signature::parse,
            is_of_session: &|_, _| false,
        };
        let asked = self.pool.ask(&request, Instant::now()).await;
        let SignerAnswer { origin, read: signature, .. } =
            asked.map_err(|failure| failure.error)?;
        log::debug!("signer pays as {}", signature.payer());
        *kept = Some((origin.credential, signature.clone()));
        Ok(signature)
    }

    /// Requests a payment for `session`, counts it, and releases it. Every payment passes this function. The session is
    /// borrowed exclusively, because it can have only one request at a time.
    pub(crate) async fn payment(
        &self,
        session: &mut PaymentSession,
        now: Instant,
    ) -> Result<SignedPayment, PaymentError> {
        let began = Instant::now();
        let admission = self.purse.admit().await.map_err(|used| {
            let next = used.now.map(|now| now.until_next(used.budget.period));
            let retry_after = next.map_or(SETTLE_EVERY, |next| next.min(SETTLE_EVERY));
            PaymentError::BudgetSpent { budget: Box::new(used.budget), retry_after }
        })?;
        loop {
            let request = SignerRequest {
                path: "/generate-live-payment",
                body: session.request()?.to_json().map_err(PaymentError::Request)?,
                read: Payment::parse,
                is_of_session: &|status, origin| session.cannot_be_read(status, origin),
            };
            let asked = self.pool.ask(&request, now + began.elapsed()).await;
            let SignerFailure { origin, error } = match asked {
                Ok(reply) => return self.made(session, reply, admission).await,
                Err(failure) => failure,
            };
            let PaymentError::Refused { status, retry_after: None, .. } = error else {
                return Err(error);
            };
            match session.on_refused(status, origin) {
                AfterRefusal::Reopen => {
                    log::info!(
                        "the signer cannot read the state of this session; reopening its payments"
                    )
                }
                // Another key may have made the state: `invalid sig`.
                AfterRefusal::Final if status == 400 && session.is_running() => {
                    return Err(self.other_key(session, origin).await.unwrap_or(error));
                }
                AfterRefusal::Final => return Err(error),
            }
        }
    }

    /// Accepts a payment by the signer. Fails if the terms are for another key: the payment must not be sent then.
    async fn made(
        &self,
        session: &mut PaymentSession,
        SignerAnswer { origin, read: payment, took }: SignerAnswer<Payment>,
        admission: Admission,
    ) -> Result<SignedPayment, PaymentError> {
        match (&payment.payer, session.payer()) {
            (Some(payer), Some(known)) if payer != known => {
                *self.signature.lock().await = None;
                Err(PaymentError::OtherKey(self.pool.name(origin)?))
            }
            _ => {
                if admission.is_limited() && payment.wei == 0 {
                    return Err(PaymentError::Uncounted);
                }
                admission.spend(session.item().clone(), payment.wei).await;
                self.spent.add(payment.wei);
                Ok(SignedPayment { made: session.on_payment(payment, origin), took })
            }
        }
    }

    /// Requests the signature again; returns the error if the signer's key is not the one that the terms are for.
    async fn other_key(
        &self,
        session: &PaymentSession,
        origin: SignerOrigin,
    ) -> Option<PaymentError> {
        let payer = session.payer()?;
        *self.signature.lock().await = None;
        let signature = self.signature().await.ok()?;
        let name = self.pool.name(origin).ok()?;
        (signature.address() != *payer).then_some(PaymentError::OtherKey(name))
    }
}
