//! The remote signers of one key: who pays, and payments.
//!
//! Signers are stateless, so any of them can go on with any session of the same key. All payers and all starts
//! of the process share one [`Signers`], and with it one pause for each signer: who asks meanwhile gets the
//! signer's last refusal at once, without a call.
//!
//! A signer may come back with another key behind the same URL. Terms are made for one payer, so a payment of
//! another is refused by the orchestrator (`invalid recipientRand`), and a state of another by the signer
//! (`invalid sig`). Either way who pays is asked for anew, and the session fails: the next one begins with the
//! other key.
//!
//! Does not: keep payments or their states; a [`PaymentSession`] does.

use std::time::{Duration, Instant};

use http::HeaderName;

use crate::http::io::Client;
use crate::http::{Scheme, Url};
use crate::limits::SIGNERS;
use crate::payment::io::asking::{Asking, Failure, Question, Reply};
use crate::payment::{
    AfterRefusal, OutgoingPayment, Payment, PaymentError, PaymentSession, Signature, SignerOrigin,
};
use resilience::secret::SecretSource;

/// Where the signers are, and what they want to see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignerOptions {
    /// Base URLs, the preferred one first.
    pub urls: Vec<Url>,
    /// Headers of every call, such as `Authorization`.
    pub headers: Vec<(HeaderName, SecretSource)>,
    /// Allows plain HTTP to other machines than this one.
    pub allow_plain_http: bool,
}

/// A payment that was made now.
#[derive(Debug)]
pub struct SignedPayment {
    /// The payment.
    pub(crate) made: OutgoingPayment,
    /// How long the call took in which the signer looked at its clock.
    pub(crate) took: Duration,
}

/// The signers of one key.
#[derive(Debug)]
pub struct Signers {
    asking: Asking,
    /// Locked while it is asked for, so that it is asked for once.
    signature: tokio::sync::Mutex<Option<(u64, Signature)>>,
}

impl Signers {
    /// The one signer at `url`, which asks for no credential, called by `client`.
    pub fn at(client: Client, url: Url) -> Result<Self, PaymentError> {
        Self::new(client, SignerOptions { urls: vec![url], ..SignerOptions::default() })
    }

    /// Checks the options and reads the headers.
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
        let asking = Asking::new(client, options)?;
        Ok(Self { asking, signature: tokio::sync::Mutex::new(None) })
    }

    /// How they are set up.
    pub fn options(&self) -> &SignerOptions {
        self.asking.options()
    }

    /// Reads the headers again (on SIGHUP, or when they are refused). Whether they have changed. Where they
    /// cannot be read, the old ones stay.
    pub fn reread(&self) -> Result<bool, PaymentError> {
        self.asking.reread()
    }

    /// Whether one of them may be asked now; if not, why, and when.
    pub fn ready(&self) -> Result<(), PaymentError> {
        self.asking.look(Instant::now())
    }

    /// Who pays, with the proof of it. Asked for once for each credential. While no signer may be asked, there
    /// is none, even if it is known: nothing could be paid.
    pub async fn signature(&self) -> Result<Signature, PaymentError> {
        let mut kept = self.signature.lock().await;
        self.ready()?;
        let credential = self.asking.origin().credential;
        if let Some((_, signature)) = kept.as_ref().filter(|(made_for, _)| *made_for == credential)
        {
            return Ok(signature.clone());
        }
        let question = Question {
            path: "/sign-orchestrator-info",
            body: b"{}".to_vec(),
            read: Signature::parse,
            is_of_session: &|_, _| false,
        };
        let asked = self.asking.ask(&question, Instant::now()).await;
        let Reply { origin, read: signature, .. } = asked.map_err(|failure| failure.error)?;
        log::debug!("signer pays as {}", signature.payer());
        *kept = Some((origin.credential, signature.clone()));
        Ok(signature)
    }

    /// A payment for `session`, which is borrowed until the answer is in: one call at a time.
    pub(crate) async fn payment(
        &self,
        session: &mut PaymentSession,
        now: Instant,
    ) -> Result<SignedPayment, PaymentError> {
        let began = Instant::now();
        loop {
            let question = Question {
                path: "/generate-live-payment",
                body: session.request()?.to_json().map_err(PaymentError::Request)?,
                read: Payment::parse,
                is_of_session: &|status, origin| session.cannot_be_read(status, origin),
            };
            let asked = self.asking.ask(&question, now + began.elapsed()).await;
            let Failure { origin, error } = match asked {
                Ok(reply) => return self.made(session, reply).await,
                Err(failure) => failure,
            };
            let PaymentError::Refused { status, retry_after: None, .. } = error else {
                return Err(error);
            };
            match session.on_refused(status, origin) {
                AfterRefusal::Reopen => {
                    log::info!("the signer starts the payments of this session anew")
                }
                // It may be that the state is one of another key: `invalid sig`.
                AfterRefusal::Final if status == 400 && session.is_running() => {
                    return Err(self.other_key(session, origin).await.unwrap_or(error));
                }
                AfterRefusal::Final => return Err(error),
            }
        }
    }

    /// The signer made a payment. One by another key than the terms are for is worth nothing, and is not sent.
    async fn made(
        &self,
        session: &mut PaymentSession,
        Reply { origin, read: payment, took }: Reply<Payment>,
    ) -> Result<SignedPayment, PaymentError> {
        match (&payment.payer, session.payer()) {
            (Some(payer), Some(known)) if payer != known => {
                *self.signature.lock().await = None;
                Err(PaymentError::OtherKey(self.asking.name(origin)?))
            }
            _ => Ok(SignedPayment { made: session.on_payment(payment, origin), took }),
        }
    }

    /// Whether the signer has another key by now than the session's terms are for.
    async fn other_key(
        &self,
        session: &PaymentSession,
        origin: SignerOrigin,
    ) -> Option<PaymentError> {
        let payer = session.payer()?;
        *self.signature.lock().await = None;
        let signature = self.signature().await.ok()?;
        let name = self.asking.name(origin).ok()?;
        (signature.address() != *payer).then_some(PaymentError::OtherKey(name))
    }
}
