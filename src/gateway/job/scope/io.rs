//! Starts a scope in a session with an orchestrator.
//!
//! Does not: move media or keep the job alive. The job ends when its channels are deleted.

use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value};

use super::{ScopeChannels, answer, request};
use crate::http::io::HttpRequest;
use crate::job::io::request_id;
use crate::job::runner::{
    GrantedRequest, PaidReply, PaidRequest, RunnerError, RunnerPayments, Step, open,
};
use crate::job::{JobError, JobPayments};
use crate::limits::JOB_START_TIME;
use crate::payment::PaymentKind;
use crate::session::OrchestratorSession;

const PATH: &str = "/scope";

/// A scope that an orchestrator has started.
#[derive(Debug)]
pub struct ScopeJob {
    session: OrchestratorSession,
    channels: ScopeChannels,
    payments: Option<RunnerPayments>,
}

impl ScopeJob {
    /// Starts a scope in `session` (`POST /scope`), and pays for it if the orchestrator requires a payment.
    pub async fn start(
        session: OrchestratorSession,
        params: &Map<String, Value>,
    ) -> Result<Self, JobError> {
        let (network, peer) = (session.network().clone(), session.url().clone());
        let mut scope = ScopeRequest { session, body: request(params, &request_id()) };
        let opened = open(&network, &peer, Step::Scope, Some(PaymentKind::Lv2v), &mut scope).await;
        let GrantedRequest { granted: channels, payments } =
            opened.map_err(|error| JobError::Runner(Box::new(error)))?;
        Ok(Self { session: scope.session, channels, payments })
    }

    /// The session in which the scope runs.
    pub fn session(&self) -> &OrchestratorSession {
        &self.session
    }

    /// The channels with which the scope begins.
    pub fn channels(&self) -> &ScopeChannels {
        &self.channels
    }

    /// Takes the payments of the scope; run them while media flows. `None` if nothing more has to be paid, or if they
    /// were taken before.
    pub fn take_payments(&mut self) -> Option<JobPayments> {
        self.payments.take().map(RunnerPayments::of_job)
    }
}

struct ScopeRequest {
    session: OrchestratorSession,
    body: Vec<u8>,
}

impl PaidRequest for ScopeRequest {
    type Granted = ScopeChannels;

    async fn ask(
        &mut self,
        headers: HeaderMap<HeaderValue>,
    ) -> Result<PaidReply<ScopeChannels>, RunnerError> {
        let url = self.session.url().clone();
        let mut call = HttpRequest::post_json(self.session.calls().join(PATH), self.body.clone());
        call.headers.extend(headers);
        // Off-chain, the auth token is the credential. On-chain, the payment is.
        if self.session.network().payments.is_none() {
            let credentials = self.session.credentials(0.0).await.map_err(RunnerError::Session)?;
            credentials.insert_into(&mut call.headers);
        }
        let reply = self.session.network().client.call(call.within(JOB_START_TIME)).await;
        let reply =
            reply.map_err(|error| RunnerError::NoAnswer(Step::Scope, error.without_path()))?;
        if !matches!(reply.status, 200..=299) {
            return Ok(PaidReply::Refused(reply));
        }
        let channels = answer(&reply.body, self.session.answering_peer()).map_err(|reason| {
            RunnerError::Nonsense(Step::Scope, url.authority().clone(), reason)
        })?;
        Ok(PaidReply::Granted(channels))
    }
}
