//! A job that a peer has started, whoever that is and whatever asked for it.
//!
//! | | live video job | job on a runner |
//! |---|---|---|
//! | started by | [`LiveVideoJob::start`](crate::job::LiveVideoJob::start) | [`RunnerJob::start`](crate::job::runner::RunnerJob::start) |
//! | runs at | an orchestrator | a runner |
//! | parameters change | by a message on the control channel | by a call to its application |
//! | ends | with its publish channel, which whoever publishes deletes | with its session, which [`StartedJob::stop`] stops |
//!
//! Does not: move media, or decide how long the job runs.

use std::future::Future;
use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};

use crate::endings::io::Owed;
use crate::http::Url;
use crate::job::runner::{AppUpdate, RunnerSession};
use crate::job::{Channels, JobError};
use crate::payment::io::{Payer, PayerReport};

/// A job that has started: its channels exist and wait for video, and it costs until it is ended.
///
/// To end it, delete its publish channel, [confirm](Owed::confirm) its [`StartedJob::end`] if it has one, and call
/// [`StartedJob::stop`]. If it is dropped instead, its end is asked for all the same, and the drop of a job on a
/// runner may take a second.
#[derive(Debug)]
pub struct StartedJob {
    url: Url,
    channels: Channels,
    payments: Option<JobPayments>,
    update: Option<AppUpdate>,
    end: JobEnd,
}

/// What ends a job.
#[derive(Debug)]
pub(in crate::job) enum JobEnd {
    /// The end of its publish channel.
    Channel(Arc<Owed>),
    /// The stop of its session.
    Session(RunnerSession),
}

/// What goes on paying for a job: the payer, and where it pays.
#[derive(Debug)]
pub struct JobPayments {
    /// Decides when to pay, and does.
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
        end: Owed,
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

    /// Where it runs.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The job's channels.
    pub fn channels(&self) -> &Channels {
        &self.channels
    }

    /// Its payments, to be run while media flows; `None` where nothing more has to be paid, or if they were taken
    /// before.
    pub fn take_payments(&mut self) -> Option<JobPayments> {
        self.payments.take()
    }

    /// Changes its parameters by a call to its application; `None` where a message on the control channel does that.
    pub fn update(
        &self,
        params: &Map<String, Value>,
    ) -> Option<impl Future<Output = Result<(), JobError>> + Send + use<>> {
        self.update.as_ref().map(|update| update.send(params))
    }

    /// The end that the job owes, for a job that ends with its publish channel: whoever deletes that confirms it. Once
    /// the job and all copies of this are dropped without that, the end is due.
    pub fn end(&self) -> Option<Arc<Owed>> {
        match &self.end {
            JobEnd::Channel(end) => Some(Arc::clone(end)),
            JobEnd::Session(_) => None,
        }
    }

    /// Whether it runs in a session on a runner.
    pub fn is_on_runner(&self) -> bool {
        matches!(self.end, JobEnd::Session(_))
    }

    /// Stops the session of a job on a runner. For any other job, nothing is left to do but to delete its channel.
    pub async fn stop(self) {
        if let JobEnd::Session(mut session) = self.end {
            session.stop().await;
        }
    }
}
