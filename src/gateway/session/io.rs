//! Opens a session with an orchestrator, pays for it, and makes calls in it.
//!
//! Does not: choose the orchestrator, or interpret the response to a job's start.

mod select;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message;

use crate::endings::io::Endings;
use crate::http::io::{Client, Connector, HttpAnswer, HttpRequest};
use crate::http::{AnsweringPeer, Url, WallClock, Zone, follow};
use crate::limits::CALL_TIME;
use crate::orchestrator::io::{FetchedInfo, PinFile, fetch_info};
use crate::orchestrator::proto::{OrchestratorInfo, OrchestratorRequest};
use crate::orchestrator::{Capability, TrustOptions};
use crate::payment::io::{Payer, RefreshError, Signers, TermsFuture, TermsRefresh, TermsSource};
use crate::payment::{
    PaymentError, PaymentHeaders, PaymentKind, PaymentSession, SessionOptions as PaymentOptions,
    Signature, Terms,
};
use crate::session::SessionError;
use resilience::fault::Failure;

/// The connections, calls and payments that all jobs share.
#[derive(Debug, Clone)]
pub struct Network {
    /// Opens connections for streams.
    pub connector: Arc<Connector>,
    /// Makes calls with short bodies.
    pub client: Client,
    /// How orchestrators are paid; `None` off-chain.
    pub payments: Option<PaymentSetup>,
    /// Jobs whose end has not been delivered to their orchestrator.
    pub endings: Endings,
}

/// The signers that pay, and the options of payments.
#[derive(Debug, Clone)]
pub struct PaymentSetup {
    /// The remote signers.
    pub signers: Arc<Signers>,
    /// Options that apply to every session.
    pub options: PaymentOptions,
}

/// How a network judges certificates.
#[derive(Debug, Clone)]
pub struct NetworkOptions<'a> {
    /// The trust policy.
    pub trust: TrustOptions,
    /// The directory of the pin file; without it, pins last as long as the process.
    pub state: Option<&'a Path>,
    /// The orchestrators of the configuration, whose pins are never dropped for others.
    pub configured: &'a [Url],
    /// The state of this computer's clock.
    pub clock: Arc<WallClock>,
}

impl Default for Network {
    /// Creates a network without payments. It trusts certificates that an authority of this system signed, and else the
    /// first certificate of each peer.
    fn default() -> Self {
        Self::new(TrustOptions::default(), None, None)
    }
}

impl Network {
    /// Creates a network with the policy `trust` and its pins in the directory `state`, if there is one. Undelivered
    /// ends of jobs are kept in memory; to keep them across restarts, replace `endings` by [`Endings::open`].
    pub fn new(trust: TrustOptions, state: Option<&Path>, payments: Option<PaymentSetup>) -> Self {
        let clock = Arc::default();
        Self::with_options(NetworkOptions { trust, state, configured: &[], clock }, payments)
    }

    /// Like [`Network::new`], with all options.
    pub fn with_options(policy: NetworkOptions<'_>, payments: Option<PaymentSetup>) -> Self {
        let NetworkOptions { trust, state, configured, clock } = policy;
        let judge = Arc::new(PinFile::open(trust, state, configured));
        let connector = Arc::new(Connector::by(judge, clock));
        let client = Client::new(Arc::clone(&connector));
        Self { endings: Endings::in_memory(client.clone()), client, connector, payments }
    }
}

/// Fetches fresh terms when those of a live video job have expired.
///
/// `/refresh-payment` returns fresh terms at the price at which the job started. Orchestrators before 0.9.0 do not have
/// this call, and a job that has not started has no such price: then the `OrchestratorInfo` is fetched again, at the
/// current price. A running job may use all capacity of the orchestrator, so the request skips the capacity check.
#[derive(Debug)]
struct JobTerms {
    connector: Arc<Connector>,
    url: Url,
    request: OrchestratorRequest,
    refresh: TermsRefresh,
}

impl TermsSource for JobTerms {
    fn fresh_terms<'a>(&'a mut self, manifest_id: Option<&'a str>) -> TermsFuture<'a> {
        Box::pin(self.fetch(manifest_id))
    }
}

impl JobTerms {
    async fn fetch(&mut self, manifest_id: Option<&str>) -> Result<Terms, Failure> {
        if let Some(manifest_id) = manifest_id {
            match self.refresh.terms(manifest_id).await {
                Ok(terms) => return Ok(terms),
                Err(error @ RefreshError::NoAnswer(_)) => return Err(error.failure()),
                Err(error) => log::debug!("{error}; fetching the OrchestratorInfo instead"),
            }
        }
        let ignore_capacity_check = manifest_id.is_some();
        let request = OrchestratorRequest { ignore_capacity_check, ..self.request.clone() };
        match fetch_info(&self.connector, &self.url, &request, CALL_TIME).await {
            Ok(fetched) => Ok(Terms::Info(fetched.bytes)),
            Err(error) => Err(SessionError::Info(error).failure()),
        }
    }
}

/// A session with one orchestrator, which returned its `OrchestratorInfo`.
pub struct OrchestratorSession {
    network: Network,
    url: Url,
    zone: Zone,
    transcoder: Url,
    info: OrchestratorInfo,
    payer: Option<Payer>,
}

impl fmt::Debug for OrchestratorSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrchestratorSession").field("url", &self.url).finish_non_exhaustive()
    }
}

impl OrchestratorSession {
    /// Opens a session: fetches the `OrchestratorInfo` of the orchestrator at `url` for a job that needs `capability`.
    /// With payments, the request contains the signer's address and signature.
    pub async fn open(
        network: &Network,
        url: &Url,
        capability: &Capability,
    ) -> Result<Self, SessionError> {
        let mut request =
            OrchestratorRequest { capabilities: Some(capability.request()), ..Default::default() };
        let signature = match &network.payments {
            Some(payments) => {
                Some(payments.signers.signature().await.map_err(SessionError::Payment)?)
            }
            None => None,
        };
        if let Some(signature) = &signature {
            request.address = signature.address();
            request.sig = signature.signature();
        }
        let fetched = fetch_info(&network.connector, url, &request, CALL_TIME);
        let FetchedInfo { bytes, info, zone } = fetched.await.map_err(SessionError::Info)?;
        let transcoder = Url::parse_base(&info.transcoder, url.authority().port())
            .map_err(|reason| SessionError::Transcoder { orchestrator: url.clone(), reason })?;
        let transcoder = follow(AnsweringPeer { url, zone }, transcoder)
            .map_err(|stray| SessionError::Stray { orchestrator: url.clone(), stray })?;
        log::debug!("{url}: OrchestratorInfo of {} bytes, calls go to {transcoder}", bytes.len());
        let payer = match network.payments.as_ref().zip(signature) {
            Some((payments, signature)) => {
                let refresh =
                    TermsRefresh::new(network.client.clone(), &transcoder, signature.payer());
                let connector = Arc::clone(&network.connector);
                let again = JobTerms { connector, url: url.clone(), request, refresh };
                let payer = payer(network, payments, (url, &bytes), &signature, again);
                Some(payer.map_err(SessionError::Payment)?)
            }
            None => None,
        };
        let (network, url) = (network.clone(), url.clone());
        Ok(Self { network, url, zone, transcoder, info, payer })
    }

    /// The orchestrator's URL, as the configuration or discovery names it.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The orchestrator as a peer that names URLs; pass it to [`crate::http::follow`].
    pub(crate) fn answering_peer(&self) -> AnsweringPeer<'_> {
        AnsweringPeer { url: &self.url, zone: self.zone }
    }

    /// The base URL of HTTP calls.
    pub(crate) fn calls(&self) -> &Url {
        &self.transcoder
    }

    /// The network that the session was opened with.
    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// The `OrchestratorInfo`.
    pub fn info(&self) -> &OrchestratorInfo {
        &self.info
    }

    /// The URL that accepts payments.
    pub fn payment_url(&self) -> Url {
        self.transcoder.join("/payment")
    }

    /// Returns the credentials for the call that starts a job: the first payment, or the auth token off-chain.
    pub(crate) async fn credentials(
        &mut self,
        jitter: f64,
    ) -> Result<PaymentHeaders, SessionError> {
        match &mut self.payer {
            Some(payer) => {
                payer.open(Instant::now(), jitter).await.map_err(SessionError::of_outcome)
            }
            None => {
                let token = self.info.auth_token.as_ref();
                token
                    .and_then(|token| PaymentHeaders::offchain(&token.encode_to_vec()).ok())
                    .ok_or_else(|| SessionError::NoToken(self.url.clone()))
            }
        }
    }

    /// Whether a signer pays for this session.
    pub(crate) fn pays(&self) -> bool {
        self.payer.is_some()
    }

    /// Call this when the job has started, with its id: later payments need it.
    pub(crate) fn started(&mut self, manifest_id: &str) -> Result<(), SessionError> {
        match &mut self.payer {
            Some(payer) => payer.opened(manifest_id, Instant::now()).map_err(SessionError::Payment),
            None => Ok(()),
        }
    }

    /// Takes the payer that pays for the running job. `None` off-chain, and on a second call.
    pub(crate) fn take_payer(&mut self) -> Option<Payer> {
        self.payer.take()
    }

    /// Posts a JSON body to `path` with `credentials`, and returns the response with any status.
    pub(crate) async fn post_json(
        &self,
        path: &str,
        body: Vec<u8>,
        credentials: &PaymentHeaders,
        time: Duration,
    ) -> Result<HttpAnswer, SessionError> {
        let mut call = HttpRequest::post_json(self.transcoder.join(path), body).within(time);
        credentials.insert_into(&mut call.headers);
        self.network.client.call(call).await.map_err(SessionError::Call)
    }
}

fn payer(
    network: &Network,
    payments: &PaymentSetup,
    (url, info): (&Url, &Bytes),
    signature: &Signature,
    again: JobTerms,
) -> Result<Payer, PaymentError> {
    let terms = Terms::Info(info.clone());
    let session = PaymentSession::new(PaymentKind::Lv2v, terms, None, payments.options.clone())?;
    let session = session.paid_by(signature.address()).counted_for(url.authority());
    let (signers, client) = (Arc::clone(&payments.signers), network.client.clone());
    Ok(Payer::new(signers, client, session, None, again, Instant::now()))
}
