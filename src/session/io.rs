//! Opens a session with an orchestrator and makes calls in it.
//!
//! Does not: decide which orchestrator, and does not read what a job's answer says.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use prost::Message;

use crate::http::io::{Answer, Call, Client, Connector};
use crate::http::{Scheme, Url};
use crate::orchestrator::TrustOptions;
use crate::orchestrator::io::{PinFile, fetch_info};
use crate::orchestrator::proto::{Capabilities, OrchestratorInfo, OrchestratorRequest, SegData};
use crate::session::SessionError;

const PAYMENT: HeaderName = HeaderName::from_static("livepeer-payment");
const SEGMENT: HeaderName = HeaderName::from_static("livepeer-segment");

/// How orchestrators are reached: connections and calls under one policy of trust.
#[derive(Debug, Clone)]
pub struct Network {
    /// Connections for streams.
    pub connector: Arc<Connector>,
    /// Calls with short bodies.
    pub client: Client,
}

impl Network {
    /// A network under `trust`, with pins kept in `state`, if there is such a directory.
    pub fn new(trust: TrustOptions, state: Option<&Path>) -> Self {
        let connector = Arc::new(Connector::new(Arc::new(PinFile::open(trust, state))));
        Self { client: Client::new(Arc::clone(&connector)), connector }
    }
}

/// One orchestrator that has answered.
#[derive(Debug)]
pub struct OrchestratorSession {
    network: Network,
    url: Url,
    transcoder: Url,
    bytes: Bytes,
    info: OrchestratorInfo,
}

impl OrchestratorSession {
    /// Asks the orchestrator at `url` for its info, off-chain, for work that needs `capabilities`.
    pub async fn open(
        network: &Network,
        url: &Url,
        capabilities: Option<Capabilities>,
    ) -> Result<Self, SessionError> {
        let request = OrchestratorRequest { capabilities, ..OrchestratorRequest::default() };
        let (bytes, info) =
            fetch_info(&network.connector, url, &request).await.map_err(SessionError::Info)?;
        let transcoder = Url::parse_base(&info.transcoder, url.authority().port())
            .map_err(|reason| SessionError::Transcoder { orchestrator: url.clone(), reason })?;
        if transcoder.scheme() == Scheme::Http && !transcoder.authority().is_loopback() {
            return Err(SessionError::PlainHttp { orchestrator: url.clone() });
        }
        log::debug!("{url}: info of {} bytes, calls go to {transcoder}", bytes.len());
        Ok(Self { network: network.clone(), url: url.clone(), transcoder, bytes, info })
    }

    /// The orchestrator as the configuration or discovery names it.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// How it is reached.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The info, byte for byte as it came: what a signer wants.
    pub fn info_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What the info says.
    pub fn info(&self) -> &OrchestratorInfo {
        &self.info
    }

    /// Posts a JSON body to `path` with the session's credentials, and returns the answer whatever its
    /// status.
    pub async fn post_json(
        &self,
        path: &str,
        body: Vec<u8>,
        time: Duration,
    ) -> Result<Answer, SessionError> {
        let call = Call::post_json(self.transcoder.join(path), body)
            .header(PAYMENT, HeaderValue::from_static(""))
            .header(SEGMENT, self.offchain_segment()?)
            .within(time);
        self.network.client.call(call).await.map_err(SessionError::Call)
    }

    /// Off-chain, the credential is the auth token alone.
    fn offchain_segment(&self) -> Result<HeaderValue, SessionError> {
        let no_token = || SessionError::NoToken(self.url.clone());
        let auth_token = Some(self.info.auth_token.clone().ok_or_else(no_token)?);
        let segment = SegData { auth_token, ..SegData::default() };
        let mut value = HeaderValue::try_from(STANDARD.encode(segment.encode_to_vec()))
            .map_err(|_| no_token())?;
        value.set_sensitive(true);
        Ok(value)
    }
}
