//! Starts the parts of a live job, each as a task whose end is an event, and ends them in order.
//!
//! The order of the end loses no frame in transit: capture stops, so the publisher finishes its segment and deletes its
//! channel; the orchestrator returns the remaining video and closes the output channel; then the other parts stop.
//!
//! Does not: decide when a job ends.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderValue;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::agent::event::{JobsEvent, Part};
use crate::agent::jobs::delivery::Sending;
use crate::agent::jobs::media_flow::MediaFlow;
use crate::agent::output::{Fanout, Outputs};
use crate::status::Status;
use livepeer_gateway::job::{Channels, JobEvent, JobPayments, KEEP_ALIVE, StartedJob};
use livepeer_gateway::limits::CONTROL_MESSAGES;
use livepeer_gateway::session::Network;
use livepeer_gateway::trickle::Channel;
use livepeer_gateway::trickle::io::{
    Documents, MessageSender, NotSent, Published, Publisher, PublisherCounters, Subscriber,
    messages,
};
use media::io::SegmentPieces;
use resilience::stop::{Stop, Stopper};

/// The MIME type of media segments.
const MPEG_TS: HeaderValue = HeaderValue::from_static("video/mp2t");
/// The MIME type of control messages.
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The live job.
pub(super) struct LiveJob {
    pub(super) job: StartedJob,
    parts: Parts,
}

impl LiveJob {
    /// A started job. Call [`LiveJob::run`] to run its parts.
    pub(super) fn new(job: StartedJob) -> Self {
        Self { job, parts: Parts::default() }
    }

    /// Runs the parts: publishes `pieces`, and writes processed video to `outputs`.
    pub(super) fn run(
        &mut self,
        context: PartContext<'_>,
        pieces: SegmentPieces,
        outputs: Outputs,
    ) {
        self.parts = Parts::start(context, &mut self.job, pieces, outputs);
    }

    /// Sends a keep-alive.
    pub(super) fn keep_alive(&self) {
        self.parts.keep_alive();
    }

    /// Sends these parameters: with a call to the app of a runner, else on the control channel. Returns
    /// false if that is impossible, which is logged.
    pub(super) fn set_params(
        &self,
        params: &Map<String, Value>,
        sending: Sending,
        tasks: &mut JoinSet<JobsEvent>,
    ) -> bool {
        if let Some(update) = self.job.update(params) {
            tasks.spawn(async move { JobsEvent::Updated(sending, update.await) });
            return true;
        }
        let Some(sent) = self.parts.send_params(params) else { return false };
        tasks.spawn(async move { JobsEvent::ParamsSent(sending, sent.await.is_ok()) });
        true
    }

    /// Asks the parts to end, and stops the job at its orchestrator or runner.
    pub(super) fn end(self, tasks: &mut JoinSet<JobsEvent>) {
        let Self { job, parts } = self;
        drop(parts);
        tasks.spawn(async move {
            job.stop().await;
            JobsEvent::Stopped
        });
    }
}

/// The handles of a live job's parts. Dropping them stops all parts.
#[derive(Debug, Default)]
struct Parts {
    _stopper: Option<Stopper>,
    control: Option<MessageSender>,
}

/// The agent's state that parts use.
pub(super) struct PartContext<'a> {
    pub(super) network: &'a Network,
    pub(super) status: &'a Status,
    pub(super) events: &'a mpsc::Sender<JobsEvent>,
    pub(super) tasks: &'a mut JoinSet<JobsEvent>,
}

impl Parts {
    /// Starts the parts of `job`: publishes `pieces`, and writes processed video to `outputs`.
    fn start(
        context: PartContext<'_>,
        job: &mut StartedJob,
        pieces: SegmentPieces,
        outputs: Outputs,
    ) -> Self {
        let PartContext { network, status, events, tasks } = context;
        let (stopper, stop) = Stop::new();
        let (pieces, media) = MediaFlow::new(pieces);
        if let Some(payments) = job.take_payments() {
            let now = Instant::now();
            status.payment.set(payments.payer.paid_for(now), now);
            let pay = pay(payments, media, stop.clone(), events.clone());
            tasks.spawn(async move {
                pay.await;
                JobsEvent::PayerEnded
            });
        }
        let channels = job.channels();
        let counters = Arc::clone(&status.publish);
        let run = video_publisher(network, channels, counters).publish(pieces, stop.clone());
        let owed = job.end();
        tasks.spawn(async move {
            let Published { end, is_deleted } = run.await;
            owed.filter(|_| is_deleted).inspect(|owed| owed.confirm());
            JobsEvent::PartEnded(Part::Publisher, end)
        });

        if let Some(channel) = &channels.output {
            let sink = Fanout::new(outputs, status.clone(), events.clone());
            let run = subscriber(network, channel).run(sink, stop.clone());
            tasks.spawn(async move { JobsEvent::PartEnded(Part::Output, run.await) });
        }
        if let Some(channel) = &channels.events {
            let (documents, arrived) = Documents::new();
            let run = subscriber(network, channel).run(documents, stop.clone());
            let forward = forward(arrived, events.clone());
            tasks.spawn(async move {
                let (end, ()) = tokio::join!(run, forward);
                JobsEvent::PartEnded(Part::Events, end)
            });
        }
        let control = channels.control.as_ref().map(|channel| {
            let (sender, pieces) = messages();
            let run = publisher(network, channel, JSON, Arc::default()).run(pieces, stop);
            tasks.spawn(async move { JobsEvent::PartEnded(Part::Control, run.await) });
            sender
        });
        Self { _stopper: Some(stopper), control }
    }

    /// Sends a keep-alive on the control channel.
    fn keep_alive(&self) {
        let message = Bytes::from_static(KEEP_ALIVE.as_bytes());
        let sent = self.control.as_ref().map(|control| control.try_send_once(message));
        if !matches!(sent, Some(Ok(()))) {
            log::debug!(
                "keep-alive not sent: the job has no control channel, or a keep-alive waits in it already"
            );
        }
    }

    /// Queues `params` for the control channel; the receiver is notified when they are sent. If that fails, the next job
    /// gets them.
    fn send_params(&self, params: &Map<String, Value>) -> Option<oneshot::Receiver<()>> {
        // A map of JSON values always serialises.
        let message = serde_json::to_vec(params).unwrap_or_default();
        let queued = self.control(message.into());
        match &queued {
            Ok(_) => log::info!("parameters queued for the job's control channel"),
            Err(why) => log::warn!(
                "the live job keeps its parameters: {why}; the next job gets the new ones"
            ),
        }
        queued.ok()
    }

    fn control(&self, message: Bytes) -> Result<oneshot::Receiver<()>, Unsent> {
        let control = self.control.as_ref().ok_or(Unsent::NoChannel)?;
        control.try_send_notified(message).map_err(|error| match error {
            NotSent::Full(_) => Unsent::Full,
            NotSent::Ended(_) => Unsent::Ended,
        })
    }
}

/// Why a message cannot be sent to the live job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unsent {
    /// The job has no control channel.
    NoChannel,
    /// The queue of the control channel is full.
    Full,
    /// The control channel has ended.
    Ended,
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoChannel => f.write_str("it has no control channel"),
            Self::Full => {
                write!(f, "{CONTROL_MESSAGES} messages wait for its control channel already")
            }
            Self::Ended => f.write_str("its control channel has ended"),
        }
    }
}

/// Stops a job whose parts never ran.
pub(super) async fn stop_unused(network: Network, job: StartedJob) {
    let publisher = video_publisher(&network, job.channels(), Arc::default());
    let owed = job.end();
    let (is_deleted, ()) = tokio::join!(publisher.delete(), job.stop());
    owed.filter(|_| is_deleted).inspect(|owed| owed.confirm());
}

/// The publisher of a job's video.
fn video_publisher(
    network: &Network,
    channels: &Channels,
    counters: Arc<PublisherCounters>,
) -> Publisher {
    publisher(network, &channels.publish, MPEG_TS, counters)
}

fn publisher(
    network: &Network,
    channel: &Channel,
    mime: HeaderValue,
    counters: Arc<PublisherCounters>,
) -> Publisher {
    Publisher::new(Arc::clone(&network.connector), channel.clone(), mime, counters)
}

fn subscriber(network: &Network, channel: &Channel) -> Subscriber {
    Subscriber::new(Arc::clone(&network.connector), channel.clone())
}

/// Pays as long as media flows, and reports each turn to the loop.
async fn pay(
    payments: JobPayments,
    media: watch::Receiver<()>,
    mut stop: Stop,
    events: mpsc::Sender<JobsEvent>,
) {
    let (reports, mut turns) = mpsc::channel(1);
    let forward = async {
        while let Some(turn) = turns.recv().await {
            if events.send(JobsEvent::Payment(turn)).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = stop.wait() => {}
        ((), ()) = async { tokio::join!(payments.run(media, reports), forward) } => {}
    }
}

/// Passes events on to the loop until the channel ends.
async fn forward(mut arrived: mpsc::Receiver<Bytes>, events: mpsc::Sender<JobsEvent>) {
    while let Some(document) = arrived.recv().await {
        match JobEvent::parse(&document) {
            Some(event) => {
                if events.send(JobsEvent::Model(event)).await.is_err() {
                    return;
                }
            }
            None => {
                log::debug!("an event of {} bytes is not a JSON object: ignored", document.len())
            }
        }
    }
}
