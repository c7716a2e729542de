//! The remote signers of one key: who pays, and payments.
//!
//! Signers are stateless, so any of them can go on with any session of the same key. All payers and all starts
//! of the process share one [`Signers`], and with it one pause for each signer: who asks meanwhile gets the
//! signer's last refusal at once, without a call.
//!
//! Does not: keep payments or their states; a [`PaymentSession`] does.

use std::time::Instant;

use http::HeaderName;

use crate::capacity::SIGNERS;
use crate::http::io::Client;
use crate::http::{Scheme, Url};
use crate::payment::io::asking::{Asking, Failure, Question};
use crate::payment::{Made, Payment, PaymentError, PaymentSession, Signature, Verdict};
use crate::secret::SecretSource;

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

/// The signers of one key.
#[derive(Debug)]
pub struct Signers {
    asking: Asking,
    /// Locked while it is asked for, so that it is asked for once.
    signature: tokio::sync::Mutex<Option<(u64, Signature)>>,
}

impl Signers {
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

    /// Who pays, with the proof of it. Asked for once for each credential. While no signer may be asked, there
    /// is none, even if it is known: nothing could be paid.
    pub async fn signature(&self) -> Result<Signature, PaymentError> {
        let mut kept = self.signature.lock().await;
        self.asking.look(Instant::now())?;
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
        let (origin, signature) = asked.map_err(|failure| failure.error)?;
        log::debug!("signer pays as {}", signature.payer());
        *kept = Some((origin.credential, signature.clone()));
        Ok(signature)
    }

    /// A payment for `session`, which is borrowed until the answer is in: one call at a time.
    pub async fn payment(
        &self,
        session: &mut PaymentSession,
        now: Instant,
    ) -> Result<Made, PaymentError> {
        let began = Instant::now();
        loop {
            let question = Question {
                path: "/generate-live-payment",
                body: session.request()?.to_json().map_err(PaymentError::Request)?,
                read: Payment::parse,
                is_of_session: &|status, origin| session.cannot_be_read(status, origin),
            };
            let Failure { origin, error } =
                match self.asking.ask(&question, now + began.elapsed()).await {
                    Ok((origin, payment)) => return Ok(session.on_payment(payment, origin)),
                    Err(failure) => failure,
                };
            let PaymentError::Refused { status, retry_after: None, .. } = error else {
                return Err(error);
            };
            match session.on_refused(status, origin) {
                Verdict::Anew => log::info!("the signer starts the payments of this session anew"),
                Verdict::Stands => return Err(error),
            }
        }
    }
}
