//! Starts a scope in a session with an orchestrator.
//!
//! Does not: move media or keep the job alive. It ends when its channels are deleted, as every job of this
//! kind.

use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value};

use super::{ScopeChannels, answer, request};
use crate::capacity::JOB_START_TIME;
use crate::http::Url;
use crate::http::io::Call;
use crate::job::JobError;
use crate::job::runner::{Ask, Ground, Opened, Payments, Reply, RunnerError, Step, open};
use crate::payment::Kind;
use crate::session::{OrchestratorSession, SessionError};

const PATH: &str = "/scope";

/// A scope that an orchestrator has started.
#[derive(Debug)]
pub struct ScopeJob {
    session: OrchestratorSession,
    channels: ScopeChannels,
    payments: Option<Payments>,
}

impl ScopeJob {
    /// Starts a scope in `session` (`POST /scope`), and pays it if the orchestrator asks for that.
    pub async fn start(
        ground: &Ground,
        session: OrchestratorSession,
        params: &Map<String, Value>,
    ) -> Result<Self, JobError> {
        let peer = session.url().clone();
        let pays = ground.signers.is_some();
        let mut scope = Scope { session, body: request(params), pays };
        let opened = open(ground, &peer, Step::Scope, Some(Kind::Lv2v), &mut scope).await;
        let Opened { granted: channels, payments } =
            opened.map_err(|error| JobError::Runner(Box::new(error)))?;
        Ok(Self { session: scope.session, channels, payments })
    }

    /// The session that it runs in.
    pub fn session(&self) -> &OrchestratorSession {
        &self.session
    }

    /// The channels with which it begins.
    pub fn channels(&self) -> &ScopeChannels {
        &self.channels
    }

    /// Its payments, to be run while media flows; `None` where nothing more has to be paid, or if they
    /// were taken before.
    pub fn take_payments(&mut self) -> Option<Payments> {
        self.payments.take()
    }
}

struct Scope {
    session: OrchestratorSession,
    body: Vec<u8>,
    pays: bool,
}

impl Ask for Scope {
    type Granted = ScopeChannels;

    async fn ask(
        &mut self,
        headers: HeaderMap<HeaderValue>,
    ) -> Result<Reply<ScopeChannels>, RunnerError> {
        let Self { session, body, pays } = self;
        let url = &session.url().clone();
        let reply = if *pays {
            let mut call = Call::post_json(calls(session)?.join(PATH), body.clone());
            call.headers.extend(headers);
            let call = session.network().client.call(call.within(JOB_START_TIME)).await;
            call.map_err(|error| RunnerError::NoAnswer(Step::Scope, error.without_path()))?
        } else {
            let credentials = session.credentials(0.0).await.map_err(RunnerError::Session)?;
            let call = session.post_json(PATH, body.clone(), &credentials, JOB_START_TIME).await;
            call.map_err(RunnerError::Session)?
        };
        if !matches!(reply.status, 200..=299) {
            return Ok(Reply::Refused(reply));
        }
        let channels = answer(&reply.body, url).map_err(|reason| {
            RunnerError::Nonsense(Step::Scope, url.authority().clone(), reason)
        })?;
        Ok(Reply::Granted(channels))
    }
}

/// Where the orchestrator takes calls; the session has judged it.
fn calls(session: &OrchestratorSession) -> Result<Url, RunnerError> {
    let url = session.url();
    let calls = Url::parse_base(&session.info().transcoder, url.authority().port());
    calls.map_err(|reason| {
        let orchestrator = url.clone();
        RunnerError::Session(SessionError::Transcoder { orchestrator, reason })
    })
}
