//! A job that has started, on an orchestrator or on a runner.
//!
//! | | live video job | job on a runner |
//! |---|---|---|
//! | started by | [`LiveVideoJob::start`](crate::job::LiveVideoJob::start) | [`RunnerJob::start`](crate::job::runner::RunnerJob::start) |
//! | runs at | an orchestrator | a runner |
//! | parameters change | by a message on the control channel | by a call to its application |
//! | ends | when the publisher deletes its publish channel | when [`StartedJob::stop`] stops its session |
//!
//! Does not: move media, or decide how long the job runs.

use std::future::Future;
use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};

use crate::endings::io::EndGuard;
use crate::http::Url;
use crate::job::runner::{AppUpdate, RunnerSession};
use crate::job::{Channels, JobError};
use crate::payment::io::{Payer, PayerReport};

/// A job that has started: its channels exist and wait for video, and the job may cost money until it is ended.
///
/// To end it, delete its publish channel, [confirm](crate::endings::io::EndGuard::confirm) its [`StartedJob::end`] if there is one, and call
/// [`StartedJob::stop`]. If the job is dropped instead, its end is still requested, and the drop of a job on a runner
/// may take a second.
#[derive(Debug)]
pub struct StartedJob {
    url: Url,
    channels: Channels,
    payments: Option<JobPayments>,
    update: Option<AppUpdate>,
    end: JobEnd,
}

/// How to end a job.
#[derive(Debug)]
pub(in crate::job) enum JobEnd {
    /// Delete its publish channel.
    Channel(Arc<EndGuard>),
    /// Stop its session.
    Session(RunnerSession),
}

/// The payments for a job while it runs: run them with [`JobPayments::run`].
#[derive(Debug)]
pub struct JobPayments {
    /// Decides when to pay, and pays.
    pub payer: Payer,
    /// The payment URL.
    pub url: Url,
}

impl JobPayments {
    /// Pays until the job ends or the sender of `media` is dropped; see `Payer::run`.
    pub async fn run(self, media: watch::Receiver<()>, turns: mpsc::Sender<PayerReport>) {
        self.payer.run(self.url, media, turns).await;
    }
}

impl StartedJob {
    /// A job of an orchestrator at `url`.
    pub(in crate::job) fn of_orchestrator(
        url: Url,
        channels: Channels,
        payments: Option<JobPayments>,
        end: EndGuard,
    ) -> Self {
        Self { url, channels, payments, update: None, end: JobEnd::Channel(Arc::new(end)) }
    }

    /// A job of a runner at `url`.
    pub(in crate::job) fn of_runner(
        url: Url,
        channels: Channels,
        payments: Option<JobPayments>,
        update: AppUpdate,
        session: RunnerSession,
    ) -> Self {
        Self { url, channels, payments, update: Some(update), end: JobEnd::Session(session) }
    }

    /// The URL of the orchestrator or runner.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The job's channels.
    pub fn channels(&self) -> &Channels {
        &self.channels
    }

    /// Takes the job's payments; run them while media flows. `None` if nothing more has to be paid, or if they were
    /// taken before.
    pub fn take_payments(&mut self) -> Option<JobPayments> {
        self.payments.take()
    }

    /// Changes the job's parameters by a call to its application. `None` if the parameters must be sent on the control
    /// channel instead.
    pub fn update(
        &self,
        params: &Map<String, Value>,
    ) -> Option<impl Future<Output = Result<(), JobError>> + Send + use<>> {
        self.update.as_ref().map(|update| update.send(params))
    }

    /// The pending end of a job that ends with its publish channel: confirm it after deleting that channel. If the job
    /// and all clones of the returned `Arc` are dropped without a confirmation, the end is requested.
    pub fn end(&self) -> Option<Arc<EndGuard>> {
        match &self.end {
            JobEnd::Channel(end) => Some(Arc::clone(end)),
            JobEnd::Session(_) => None,
        }
    }

    /// Whether the job runs in a session on a runner.
    pub fn is_on_runner(&self) -> bool {
        matches!(self.end, JobEnd::Session(_))
    }

    /// Stops the session of a job on a runner. Does nothing for any other job: delete its publish channel instead.
    pub async fn stop(self) {
        if let JobEnd::Session(mut session) = self.end {
            session.stop().await;
        }
    }
}
