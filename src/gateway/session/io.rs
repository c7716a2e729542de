//! Opens a session with an orchestrator, pays for it, and makes calls in it.
//!
//! Does not: decide which orchestrator, and does not read what a job's answer says.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message;

use crate::endings::io::Endings;
use crate::http::io::{Answer, Call, Client, Connector};
use crate::http::{Giver, Url, WallClock, Zone, follow};
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

/// How orchestrators are reached, and how they are paid.
#[derive(Debug, Clone)]
pub struct Network {
    /// Connections for streams.
    pub connector: Arc<Connector>,
    /// Calls with short bodies.
    pub client: Client,
    /// Who pays; off-chain, nobody does.
    pub payments: Option<PaymentSetup>,
    /// The ends that jobs owe.
    pub endings: Endings,
}

/// Who pays, and what is configured for it.
#[derive(Debug, Clone)]
pub struct PaymentSetup {
    /// The signers.
    pub signers: Arc<Signers>,
    /// What every session tells them.
    pub options: PaymentOptions,
}

/// Whom a network believes.
#[derive(Debug, Clone)]
pub struct NetworkOptions<'a> {
    /// Which certificates.
    pub trust: TrustOptions,
    /// Where what is known of them is kept.
    pub state: Option<&'a Path>,
    /// The orchestrators of the configuration: what is known of them is never forgotten for others.
    pub configured: &'a [Url],
    /// What is known of this machine's clock.
    pub clock: Arc<WallClock>,
}

impl Network {
    /// A network under `trust`, with pins kept in `state`, if there is such a directory. The ends that jobs owe are
    /// kept in memory; a program that runs for long puts [`Endings::open`] in their place.
    pub fn new(trust: TrustOptions, state: Option<&Path>, payments: Option<PaymentSetup>) -> Self {
        let clock = Arc::default();
        Self::with_options(NetworkOptions { trust, state, configured: &[], clock }, payments)
    }

    /// A network under `policy`.
    pub fn with_options(policy: NetworkOptions<'_>, payments: Option<PaymentSetup>) -> Self {
        let NetworkOptions { trust, state, configured, clock } = policy;
        let judge = Arc::new(PinFile::open(trust, state, configured));
        let connector = Arc::new(Connector::by(judge, clock));
        let client = Client::new(Arc::clone(&connector));
        Self { endings: Endings::in_memory(client.clone()), client, connector, payments }
    }
}

/// Where fresh terms come from when those of a live video job have expired.
///
/// `/refresh-payment` gives them at the price that the job began with. Orchestrators before 0.9.0 do not know it,
/// and before a job has begun it has no price: then the info is asked for again, at the price of now. A job that
/// runs fills the orchestrator, so its capacity is not asked for.
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
                Err(error) => log::debug!("{error}; the info is asked for instead"),
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

/// One orchestrator that has answered.
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
    /// Asks the orchestrator at `url` for its info, for work that needs `capability`; where somebody pays,
    /// with the signer's proof of who that is.
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
        let transcoder = follow(Giver { url, zone }, transcoder)
            .map_err(|stray| SessionError::Stray { orchestrator: url.clone(), stray })?;
        log::debug!("{url}: info of {} bytes, calls go to {transcoder}", bytes.len());
        let payer = match network.payments.as_ref().zip(signature) {
            Some((payments, signature)) => {
                let refresh =
                    TermsRefresh::new(network.client.clone(), &transcoder, signature.payer());
                let connector = Arc::clone(&network.connector);
                let again = JobTerms { connector, url: url.clone(), request, refresh };
                let payer = payer(network, payments, &bytes, &signature, again);
                Some(payer.map_err(SessionError::Payment)?)
            }
            None => None,
        };
        let (network, url) = (network.clone(), url.clone());
        Ok(Self { network, url, zone, transcoder, info, payer })
    }

    /// The orchestrator as the configuration or discovery names it.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The orchestrator as the giver of URLs.
    pub(crate) fn giver(&self) -> Giver<'_> {
        Giver { url: &self.url, zone: self.zone }
    }

    /// Where it takes calls.
    pub(crate) fn calls(&self) -> &Url {
        &self.transcoder
    }

    /// How it is reached.
    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// What the info says.
    pub fn info(&self) -> &OrchestratorInfo {
        &self.info
    }

    /// Where the orchestrator takes payments.
    pub fn payment_url(&self) -> Url {
        self.transcoder.join("/payment")
    }

    /// The credentials for the call that starts a job: the first payment, or off-chain the auth token.
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

    /// The job has started and has this id: payments are booked under it.
    pub(crate) fn started(&mut self, manifest_id: &str) -> Result<(), SessionError> {
        match &mut self.payer {
            Some(payer) => payer.opened(manifest_id, Instant::now()).map_err(SessionError::Payment),
            None => Ok(()),
        }
    }

    /// What goes on paying for the job; there is one at most, and none off-chain.
    pub(crate) fn take_payer(&mut self) -> Option<Payer> {
        self.payer.take()
    }

    /// Posts a JSON body to `path` with `credentials`, and returns the answer whatever its status.
    pub(crate) async fn post_json(
        &self,
        path: &str,
        body: Vec<u8>,
        credentials: &PaymentHeaders,
        time: Duration,
    ) -> Result<Answer, SessionError> {
        let mut call = Call::post_json(self.transcoder.join(path), body).within(time);
        credentials.insert_into(&mut call.headers);
        self.network.client.call(call).await.map_err(SessionError::Call)
    }
}

fn payer(
    network: &Network,
    payments: &PaymentSetup,
    info: &Bytes,
    signature: &Signature,
    again: JobTerms,
) -> Result<Payer, PaymentError> {
    let terms = Terms::Info(info.clone());
    let session = PaymentSession::new(PaymentKind::Lv2v, terms, None, payments.options.clone())?;
    let session = session.paid_by(signature.address());
    let (signers, client) = (Arc::clone(&payments.signers), network.client.clone());
    Ok(Payer::new(signers, client, session, None, again, Instant::now()))
}
