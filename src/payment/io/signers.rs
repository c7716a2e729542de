//! Asks the remote signers: the next of the list where one is down.
//!
//! Signers are stateless, so any of them can go on with any session of the same key. The one that answered
//! last is asked first. Each is asked once for a call; how soon there is another call is the schedule's
//! matter.
//!
//! Does not: keep payments or their states; a [`PaymentSession`] does.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::capacity::SIGNERS;
use crate::http::io::{Answer, Call, Client};
use crate::http::{Scheme, Url};
use crate::payment::{
    Made, Origin, Payment, PaymentError, PaymentSession, Refusal, Signature, Verdict, clean,
};
use crate::secret::SecretSource;
use crate::secret::io::read_headers;

/// Where the signers are, and what they want to see.
#[derive(Debug, Clone, Default)]
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
    client: Client,
    urls: Vec<Url>,
    sources: Vec<(HeaderName, SecretSource)>,
    known: Mutex<Known>,
    /// Locked while it is asked for, so that it is asked for once.
    signature: tokio::sync::Mutex<Option<(u64, Signature)>>,
}

#[derive(Debug)]
struct Known {
    headers: HeaderMap<HeaderValue>,
    /// Counts the changes of the headers.
    credential: u64,
    /// The signer that answered last.
    signer: usize,
}

impl Signers {
    /// Checks the options and reads the headers.
    pub fn new(client: Client, options: SignerOptions) -> Result<Self, PaymentError> {
        let SignerOptions { urls, headers: sources, allow_plain_http } = options;
        if urls.is_empty() {
            return Err(PaymentError::NoSigner);
        }
        if urls.len() > SIGNERS {
            return Err(PaymentError::TooManySigners(urls.len()));
        }
        let is_open = |url: &&Url| url.scheme() == Scheme::Http && !url.authority().is_loopback();
        if let Some(url) = urls.iter().find(is_open).filter(|_| !allow_plain_http) {
            return Err(PaymentError::PlainHttp(url.clone()));
        }
        let headers = read_headers(&sources).map_err(PaymentError::Credential)?;
        Ok(Self {
            client,
            urls,
            sources,
            known: Mutex::new(Known { headers, credential: 0, signer: 0 }),
            signature: tokio::sync::Mutex::new(None),
        })
    }

    /// Reads the headers again (on SIGHUP, or when they are refused). Whether they have changed. Where they
    /// cannot be read, the old ones stay.
    pub fn reread(&self) -> Result<bool, PaymentError> {
        let headers = read_headers(&self.sources).map_err(PaymentError::Credential)?;
        let mut known = self.known();
        if known.headers == headers {
            return Ok(false);
        }
        known.headers = headers;
        known.credential += 1;
        log::info!("the signer's credential has changed");
        Ok(true)
    }

    /// Who pays, with the proof of it. Asked for once for each credential.
    pub async fn signature(&self) -> Result<Signature, PaymentError> {
        let mut kept = self.signature.lock().await;
        let credential = self.known().credential;
        if let Some((_, signature)) = kept.as_ref().filter(|(made_for, _)| *made_for == credential)
        {
            return Ok(signature.clone());
        }
        let (origin, answer) = self.ask("/sign-orchestrator-info", b"{}".to_vec()).await?;
        if answer.status != 200 {
            return Err(self.refused(origin, &answer));
        }
        let signature =
            Signature::parse(&answer.body).map_err(|error| self.nonsense(origin, error))?;
        log::debug!("signer pays as {}", signature.payer());
        *kept = Some((origin.credential, signature.clone()));
        Ok(signature)
    }

    /// A payment for `session`, which is borrowed until the answer is in: one call at a time.
    pub async fn payment(&self, session: &mut PaymentSession) -> Result<Made, PaymentError> {
        loop {
            // Only values of our own stand in a request, so that it cannot fail but by our fault.
            let body = session.request()?.to_json();
            let body = body.map_err(|error| self.nonsense(self.origin(), error))?;
            let (origin, answer) = self.ask("/generate-live-payment", body).await?;
            if answer.status == 200 {
                let payment =
                    Payment::parse(&answer.body).map_err(|error| self.nonsense(origin, error))?;
                return Ok(session.on_payment(payment, origin));
            }
            match session.on_refused(answer.status, origin) {
                Verdict::Anew => log::info!("the signer starts the payments of this session anew"),
                Verdict::Stands => return Err(self.refused(origin, &answer)),
            }
        }
    }

    /// The first answer of a signer that is not down, or else what the first of them says.
    async fn ask(&self, path: &str, body: Vec<u8>) -> Result<(Origin, Answer), PaymentError> {
        let (headers, Origin { signer: first, credential }) = {
            let known = self.known();
            (known.headers.clone(), Origin { signer: known.signer, credential: known.credential })
        };
        let mut last = Err(PaymentError::NoSigner);
        let order = (0..self.urls.len()).cycle().skip(first).take(self.urls.len());
        for (signer, url) in order.filter_map(|at| Some((at, self.urls.get(at)?))) {
            let mut call = Call::post_json(url.join(path), body.clone());
            call.headers.extend(headers.clone());
            let origin = Origin { signer, credential };
            match self.client.call(call).await {
                Ok(answer) if answer.status >= 500 => {
                    log::debug!("signer {} is down: status {}", url.authority(), answer.status);
                    // The one that was asked first knows the session best.
                    last = last.or(Ok((origin, answer)));
                }
                Ok(answer) => {
                    if signer != first {
                        log::info!("signer {} takes over", url.authority());
                    }
                    self.known().signer = signer;
                    return Ok((origin, answer));
                }
                Err(error) => {
                    log::debug!("signer {error}");
                    // A status says more than no answer.
                    last = last.or(Err(PaymentError::NoAnswer(error)));
                }
            }
        }
        last
    }

    fn refused(&self, origin: Origin, answer: &Answer) -> PaymentError {
        let Some(url) = self.urls.get(origin.signer) else { return PaymentError::NoSigner };
        PaymentError::Refused {
            signer: url.authority().clone(),
            refusal: Refusal::of_status(answer.status),
            status: answer.status,
            message: clean(&answer.body, &self.known().headers),
            retry_after: retry_after(&answer.headers),
        }
    }

    fn nonsense(&self, origin: Origin, error: crate::payment::WireError) -> PaymentError {
        let Some(url) = self.urls.get(origin.signer) else { return PaymentError::NoSigner };
        PaymentError::Answer(url.authority().clone(), error)
    }

    fn origin(&self) -> Origin {
        let known = self.known();
        Origin { signer: known.signer, credential: known.credential }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The seconds of `Retry-After`. A date is not read: the device's clock may be wrong.
fn retry_after(headers: &HeaderMap<HeaderValue>) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
