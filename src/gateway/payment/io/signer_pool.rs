//! Sends each request to the signers of a list in turn until one answers; skips a signer whose gate is shut.
//!
//! A refused credential is read again, at once and at each further request. If it has changed, the request is repeated
//! with the new one.
//!
//! Does not: know what is requested.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue};

use crate::http::Authority;
use crate::http::io::{CallError, Client, HttpAnswer, HttpRequest};
use crate::payment::gate::Gate;
use crate::payment::io::SignerOptions;
use crate::payment::retry_after::retry_after;
use crate::payment::{PaymentError, Refusal, SignerOrigin, WireError, clean};
use resilience::backoff::jitter;
use resilience::fault::Scope;
use resilience::secret::io::read_headers;

/// A request to the signers, and how to parse the answer.
pub(super) struct SignerRequest<'a, T> {
    pub(super) path: &'static str,
    pub(super) body: Vec<u8>,
    pub(super) read: fn(&[u8]) -> Result<T, WireError>,
    /// Whether a refusal with this status concerns only the requesting session.
    pub(super) is_of_session: &'a (dyn Fn(u16, SignerOrigin) -> bool + Sync),
}

/// The answer of a signer.
#[derive(Debug)]
pub(super) struct SignerAnswer<T> {
    pub(super) origin: SignerOrigin,
    pub(super) read: T,
    /// How long the call took.
    pub(super) took: Duration,
}

/// Why the request failed, and the signer whose error this is.
#[derive(Debug)]
pub(super) struct SignerFailure {
    pub(super) origin: SignerOrigin,
    pub(super) error: PaymentError,
}

/// The signers of a list, with their gates and the current headers.
#[derive(Debug)]
pub(super) struct SignerPool {
    client: Client,
    options: SignerOptions,
    state: Mutex<PoolState>,
}

#[derive(Debug)]
struct PoolState {
    headers: HeaderMap<HeaderValue>,
    /// The signer that answered last, with the number of changes of the headers.
    origin: SignerOrigin,
    /// One gate for each signer.
    gates: Vec<Gate<SignerCallFailure>>,
}

/// Why the call to a signer failed.
#[derive(Debug, Clone)]
enum SignerCallFailure {
    Refused { refusal: Refusal, status: u16, message: String },
    Malformed(WireError),
    Unreachable(Arc<CallError>),
}

/// A signer whose call failed, the reason, and the time until the signer is asked again; `None` if the signer refused
/// only this session.
type NoAnswer = (SignerOrigin, SignerCallFailure, Option<Duration>);

impl SignerPool {
    /// Reads the headers; fails if they cannot be read.
    pub(super) fn new(client: Client, options: SignerOptions) -> Result<Self, PaymentError> {
        let headers = read_headers(&options.headers).map_err(PaymentError::Credential)?;
        let gates = options.urls.iter().map(|_| Gate::new()).collect();
        let origin = SignerOrigin { signer: 0, credential: 0 };
        let state = Mutex::new(PoolState { headers, origin, gates });
        Ok(Self { client, options, state })
    }

    /// The configuration of the signers.
    pub(super) fn options(&self) -> &SignerOptions {
        &self.options
    }

    /// The signer that is asked first, and the number of the current credential.
    pub(super) fn origin(&self) -> SignerOrigin {
        self.state().origin
    }

    /// Reads the headers again; `true` if they have changed. If they cannot be read, the old ones stay in use.
    pub(super) fn reread(&self) -> Result<bool, PaymentError> {
        let headers = read_headers(&self.options.headers).map_err(PaymentError::Credential)?;
        let mut state = self.state();
        if state.headers == headers {
            return Ok(false);
        }
        state.headers = headers;
        state.origin.credential += 1;
        state.gates.iter_mut().for_each(Gate::on_new_credential);
        log::info!("the signer's credential has changed");
        Ok(true)
    }

    /// Fails with the reason if no signer may be asked now. Reads the credential again if it was refused.
    pub(super) fn check_ready(&self, now: Instant) -> Result<(), PaymentError> {
        match self.shut(now) {
            Some(_) if self.is_barred() && self.reread()? => {
                self.shut(now).map_or(Ok(()), |no_answer| Err(self.error(no_answer)))
            }
            Some(no_answer) => Err(self.error(no_answer)),
            None => Ok(()),
        }
    }

    /// Asks the signers that may be asked now, one after another, and returns the first answer.
    pub(super) async fn ask<T>(
        &self,
        request: &SignerRequest<'_, T>,
        now: Instant,
    ) -> Result<SignerAnswer<T>, SignerFailure> {
        let began = Instant::now();
        let no_answer = match self.ask_all(request, now).await {
            Ok(answer) => return Ok(answer),
            Err(no_answer) => no_answer,
        };
        let failure = |error| SignerFailure { origin: no_answer.0, error };
        if no_answer.2.is_some() && self.is_barred() && self.reread().map_err(failure)? {
            let asked = self.ask_all(request, now + began.elapsed()).await;
            return asked
                .map_err(|again| SignerFailure { origin: again.0, error: self.error(again) });
        }
        Err(failure(self.error(no_answer.clone())))
    }

    async fn ask_all<T>(
        &self,
        request: &SignerRequest<'_, T>,
        now: Instant,
    ) -> Result<SignerAnswer<T>, NoAnswer> {
        let (began, count, first) = (Instant::now(), self.options.urls.len(), self.origin());
        let mut failed: Option<NoAnswer> = None;
        for signer in (0..count).cycle().skip(first.signer).take(count) {
            let no_answer = match self.ask_one(request, signer, now + began.elapsed()).await {
                Ok(reply) => {
                    let other = self.options.urls.get(signer).filter(|_| signer != first.signer);
                    if let Some(url) = other {
                        log::info!("signer {} takes over from the one before", url.authority());
                    }
                    self.state().origin.signer = signer;
                    return Ok(reply);
                }
                Err(no_answer) if no_answer.2.is_none() => return Err(no_answer),
                Err(no_answer) => no_answer,
            };
            failed = Some(failed.map_or(no_answer.clone(), |before| foremost(before, no_answer)));
        }
        // This does not happen, because a list has at least one signer.
        let none = SignerCallFailure::Malformed(WireError::Field("signer"));
        Err(failed.unwrap_or((first, none, None)))
    }

    async fn ask_one<T>(
        &self,
        request: &SignerRequest<'_, T>,
        signer: usize,
        now: Instant,
    ) -> Result<SignerAnswer<T>, NoAnswer> {
        let began = Instant::now();
        let (headers, origin, may) = {
            let mut state = self.state();
            let may = state.gates.get_mut(signer).map_or(Ok(()), |gate| gate.ask(now));
            (state.headers.clone(), SignerOrigin { signer, ..state.origin }, may)
        };
        may.map_err(|(why, left)| (origin, why, Some(left)))?;
        let Some(url) = self.options.urls.get(signer) else {
            return Err((origin, SignerCallFailure::Malformed(WireError::Field("signer")), None));
        };
        let mut call = HttpRequest::post_json(url.join(request.path), request.body.clone());
        call.headers.extend(headers.clone());
        let (refusal, why, asked) = match self.client.call(call).await {
            Err(error) => (Refusal::Down, SignerCallFailure::Unreachable(Arc::new(error)), None),
            Ok(answer) if answer.status == 200 => match (request.read)(&answer.body) {
                Ok(read) => {
                    self.with_gate(signer, Gate::on_answer);
                    return Ok(SignerAnswer { origin, read, took: began.elapsed() });
                }
                Err(error) => (Refusal::Down, SignerCallFailure::Malformed(error), None),
            },
            Ok(HttpAnswer { status, headers: told, body, .. }) => {
                let refusal = Refusal::of_status(status);
                let why =
                    SignerCallFailure::Refused { refusal, status, message: clean(&body, &headers) };
                if refusal.scope() != Scope::Everyone || (request.is_of_session)(status, origin) {
                    self.with_gate(signer, Gate::on_answer);
                    return Err((origin, why, None));
                }
                (refusal, why, retry_after(&told))
            }
        };
        let (jitter, now) = (jitter(), now + began.elapsed());
        let shut = |gate: &mut Gate<SignerCallFailure>| {
            gate.on_failure(refusal, why.clone(), asked, jitter, now)
        };
        let pause = self.with_gate(signer, shut).unwrap_or_default();
        let no_answer = (origin, why, Some(pause));
        log::debug!("{}; not asked for {} s", self.error(no_answer.clone()), pause.as_secs());
        Err(no_answer)
    }

    /// Why no signer may be asked now; `None` if one may.
    fn shut(&self, now: Instant) -> Option<NoAnswer> {
        let state = self.state();
        let mut all: Option<NoAnswer> = None;
        let gates = state.gates.iter().enumerate().cycle().skip(state.origin.signer);
        for (signer, gate) in gates.take(state.gates.len()) {
            let (why, left) = gate.check(now).err()?;
            let one = (SignerOrigin { signer, ..state.origin }, why, Some(left));
            all = Some(all.map_or(one.clone(), |before| foremost(before, one)));
        }
        all
    }

    /// The host and port of the signer that gave an answer.
    pub(super) fn name(&self, origin: SignerOrigin) -> Result<Authority, PaymentError> {
        let url = self.options.urls.get(origin.signer).ok_or(PaymentError::NoSigner)?;
        Ok(url.authority().clone())
    }

    fn is_barred(&self) -> bool {
        self.state().gates.iter().any(Gate::is_barred)
    }

    fn with_gate<T>(
        &self,
        signer: usize,
        change: impl FnOnce(&mut Gate<SignerCallFailure>) -> T,
    ) -> Option<T> {
        self.state().gates.get_mut(signer).map(change)
    }

    fn error(&self, (origin, why, left): NoAnswer) -> PaymentError {
        let Ok(signer) = self.name(origin) else { return PaymentError::NoSigner };
        let retry_after = left.unwrap_or_default();
        match why {
            SignerCallFailure::Refused { refusal, status, message } => {
                PaymentError::Refused { signer, refusal, status, message, retry_after: left }
            }
            SignerCallFailure::Malformed(error) => {
                PaymentError::Answer { signer, error, retry_after }
            }
            SignerCallFailure::Unreachable(error) => PaymentError::NoAnswer { error, retry_after },
        }
    }

    fn state(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Chooses which of two signers' errors to report: that of the signer that was asked first, because it knows the
/// session best, unless that signer did not answer at all. The time left is the shorter one of the two.
fn foremost(first: NoAnswer, other: NoAnswer) -> NoAnswer {
    let left = first.2.min(other.2);
    let (origin, why, _) =
        if matches!(first.1, SignerCallFailure::Unreachable(_)) { other } else { first };
    (origin, why, left)
}
