//! Starts a job on a runner: reserves a session, starts the application, and stops the session if that fails.
//!
//! Does not: move media. Payments that fall due while the application starts are made here; from then on the
//! job's owner runs its [`JobPayments`](crate::job::JobPayments).

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Map, Value};

use super::open::{GrantedRequest, PaidReply, PaidRequest, open};
use super::payments::RunnerPayments;
use super::session::RunnerSession;
use crate::http::Url;
use crate::http::io::{Client, HttpAnswer, HttpRequest};
use crate::job::runner::wire::{AppAnswer, SessionAnswer, app_answer, session_answer, session_id};
use crate::job::runner::{AppApi, RunnerError, Step, UpdateTarget};
use crate::job::{JobError, StartedJob};
use crate::limits::{CALL_TIME, JOB_START_TIME};
use crate::orchestrator::Runner;
use crate::payment::{PaymentKind, clean};
use crate::session::Network;

/// A job that an application on a runner starts in a session.
#[derive(Debug)]
pub struct RunnerJob;

impl RunnerJob {
    /// Reserves a session on `runner` and starts its application with `params`. The answer may take long
    /// while a model loads, at most [`JOB_START_TIME`].
    pub async fn start(
        network: &Network,
        runner: Runner,
        api: AppApi,
        params: &Map<String, Value>,
    ) -> Result<StartedJob, JobError> {
        start(network, runner, api, params).await.map_err(|error| JobError::Runner(Box::new(error)))
    }
}

/// The call that changes the parameters of a job's application.
#[derive(Debug)]
pub(in crate::job) struct AppUpdate {
    client: Client,
    /// The URL of the call; `None` if the application has no such call.
    url: Option<Url>,
    /// Where the API says to find that URL; used for the error if the URL is missing.
    api: Option<UpdateTarget>,
}

impl AppUpdate {
    /// Sends `params`.
    pub(in crate::job) fn send(
        &self,
        params: &Map<String, Value>,
    ) -> impl Future<Output = Result<(), JobError>> + Send + use<> {
        let (client, params) = (self.client.clone(), params.clone());
        let url = self.url.clone().ok_or_else(|| RunnerError::NoUpdate(self.api.clone()));
        async move {
            let failed = |error| JobError::Runner(Box::new(error));
            let answer =
                post(&client, url.map_err(failed)?, &params, CALL_TIME, Step::Update).await;
            answer.map(drop).map_err(failed)
        }
    }
}

async fn start(
    network: &Network,
    runner: Runner,
    api: AppApi,
    params: &Map<String, Value>,
) -> Result<StartedJob, RunnerError> {
    let client = network.client.clone();
    let session = RunnerSession::nothing(network, runner.url.clone());
    let mut reserve = Reserve { client: client.clone(), url: runner.url.clone(), session };
    let kind = runner.price.map(|price| PaymentKind::of_unit(price.unit()));
    let opened = open(network, &runner.url, Step::Reserve, kind, &mut reserve).await;
    let mut session = reserve.session;
    let GrantedRequest { granted, mut payments } = match opened {
        Ok(opened) => opened,
        Err(error) => {
            session.stop().await;
            return Err(error);
        }
    };
    match launch(&client, &runner, &api, params, &granted, payments.as_mut()).await {
        Ok(AppAnswer { channels, update }) => {
            let payments = payments.map(RunnerPayments::of_job);
            let update = AppUpdate { client, url: update, api: api.update };
            Ok(StartedJob::of_runner(runner.url, channels, payments, update, session))
        }
        Err(error) => {
            session.stop().await;
            Err(error)
        }
    }
}

/// Starts the application, and meanwhile makes the payments that fall due.
async fn launch(
    client: &Client,
    runner: &Runner,
    api: &AppApi,
    params: &Map<String, Value>,
    session: &SessionAnswer,
    payments: Option<&mut RunnerPayments>,
) -> Result<AppAnswer, RunnerError> {
    let url = session.app_url.join(&api.start);
    let started = post(client, url, params, JOB_START_TIME, Step::Start);
    let answer = match payments {
        Some(payments) => payments.during(started).await??,
        None => started.await?,
    };
    let peer = &session.app_url;
    app_answer(&answer.body, api, session, answer.answering_peer(&runner.url))
        .map_err(|reason| RunnerError::Nonsense(Step::Start, peer.authority().clone(), reason))
}

/// Posts JSON to the application; a status other than 2xx is an error.
async fn post(
    client: &Client,
    url: Url,
    params: &Map<String, Value>,
    time: Duration,
    step: Step,
) -> Result<HttpAnswer, RunnerError> {
    let peer = url.authority().clone();
    // A map of JSON values always serialises.
    let body = serde_json::to_vec(params).unwrap_or_default();
    let answer = client.call(HttpRequest::post_json(url, body).within(time)).await;
    let answer = answer.map_err(|error| RunnerError::NoAnswer(step, error.without_path()))?;
    match answer.status {
        200..=299 => Ok(answer),
        status => {
            let message = clean(&answer.body, &HeaderMap::new());
            Err(RunnerError::Refused { step, peer, status, message })
        }
    }
}

/// `POST {runner url}`.
struct Reserve {
    client: Client,
    url: Url,
    session: RunnerSession,
}

impl PaidRequest for Reserve {
    type Granted = SessionAnswer;

    async fn ask(
        &mut self,
        headers: HeaderMap<HeaderValue>,
    ) -> Result<PaidReply<SessionAnswer>, RunnerError> {
        let call =
            HttpRequest { method: Method::POST, headers, ..HttpRequest::get(self.url.clone()) };
        let answer = self.client.call(call.within(JOB_START_TIME)).await;
        let answer = answer.map_err(|e| RunnerError::NoAnswer(Step::Reserve, e.without_path()))?;
        if !matches!(answer.status, 200..=299) {
            self.session.let_go();
            return Ok(PaidReply::Refused(answer));
        }
        // Hold the session before parsing the rest of the answer, so that it is stopped if the rest is invalid.
        if let Some(id) = session_id(&answer.body) {
            self.session.hold(&id);
        }
        let session =
            session_answer(&answer.body, answer.answering_peer(&self.url)).map_err(|reason| {
                RunnerError::Nonsense(Step::Reserve, self.url.authority().clone(), reason)
            })?;
        Ok(PaidReply::Granted(session))
    }

    fn on_paid(&mut self, manifest_id: &str) {
        self.session.hold(manifest_id);
    }
}
