//! Starts the parts of a live job, each as a task whose end is an event, and ends them in order.
//!
//! Order of the end, so that no frame on its way is lost: capture stops, so the publisher finishes its
//! segment and deletes its channel, the orchestrator returns what it still has and closes the output
//! channel; then the others are stopped.
//!
//! Does not: decide that it is time to end.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::agent::event::{Event, Part};
use crate::agent::fanout::{Fanout, Outputs};
use crate::agent::flow::Flow;
use crate::status::Status;
use livepeer_gateway::job::{Channels, JobEvent, JobPayments, KEEP_ALIVE, StartedJob};
use livepeer_gateway::session::Network;
use livepeer_gateway::trickle::Channel;
use livepeer_gateway::trickle::io::{
    Counters, Documents, MessageSender, NotSent, Published, Publisher, Subscriber, messages,
};
use media::io::SegmentPieces;
use resilience::capacity::CONTROL_MESSAGES;
use resilience::stop::{Stop, Stopper};

/// The MIME type of media segments.
const MPEG_TS: HeaderValue = HeaderValue::from_static("video/mp2t");
/// The MIME type of control messages.
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What the parts of a live job are held by: dropped, it stops them all.
#[derive(Debug, Default)]
pub(super) struct Parts {
    _stopper: Option<Stopper>,
    control: Option<MessageSender>,
}

/// What every part needs.
pub(super) struct Ground<'a> {
    pub(super) network: &'a Network,
    pub(super) status: &'a Status,
    pub(super) events: &'a mpsc::Sender<Event>,
    pub(super) tasks: &'a mut JoinSet<Event>,
}

impl Parts {
    /// Starts the parts of `job`; video comes from `pieces`, what returns goes to `outputs`.
    pub(super) fn start(
        ground: Ground<'_>,
        job: &mut StartedJob,
        pieces: SegmentPieces,
        outputs: Outputs,
    ) -> Self {
        let Ground { network, status, events, tasks } = ground;
        let (stopper, stop) = Stop::new();
        let (pieces, media) = Flow::new(pieces);
        if let Some(payments) = job.take_payments() {
            let pay = pay(payments, media, stop.clone(), events.clone());
            tasks.spawn(async move {
                pay.await;
                Event::PayerEnded
            });
        }
        let channels = job.channels();
        let counters = Arc::clone(&status.publish);
        let run = video_publisher(network, channels, counters).publish(pieces, stop.clone());
        let owed = job.end();
        tasks.spawn(async move {
            let Published { end, is_deleted } = run.await;
            owed.filter(|_| is_deleted).inspect(|owed| owed.confirm());
            Event::PartEnded(Part::Publisher, end)
        });

        if let Some(channel) = &channels.output {
            let sink = Fanout::new(outputs, Arc::clone(&status.returned), events.clone());
            let run = subscriber(network, channel).run(sink, stop.clone());
            tasks.spawn(async move { Event::PartEnded(Part::Output, run.await) });
        }
        if let Some(channel) = &channels.events {
            let (documents, arrived) = Documents::new();
            let run = subscriber(network, channel).run(documents, stop.clone());
            let forward = forward(arrived, events.clone());
            tasks.spawn(async move {
                let (end, ()) = tokio::join!(run, forward);
                Event::PartEnded(Part::Events, end)
            });
        }
        let control = channels.control.as_ref().map(|channel| {
            let (sender, pieces) = messages();
            let run = publisher(network, channel, JSON, Arc::default()).run(pieces, stop);
            tasks.spawn(async move { Event::PartEnded(Part::Control, run.await) });
            sender
        });
        Self { _stopper: Some(stopper), control }
    }

    /// Sends a sign of life on the control channel.
    pub(super) fn keep_alive(&self) {
        let message = Bytes::from_static(KEEP_ALIVE.as_bytes());
        let sent = self.control.as_ref().map(|control| control.try_send_once(message));
        if !matches!(sent, Some(Ok(()))) {
            log::debug!("no keep-alive: there is no control channel, or one waits in it already");
        }
    }

    /// Queues `message` for the control channel.
    pub(super) fn control(&self, message: Bytes) -> Result<(), Unsent> {
        let control = self.control.as_ref().ok_or(Unsent::NoChannel)?;
        control.try_send(message).map_err(|error| match error {
            NotSent::Full(_) => Unsent::Full,
            NotSent::Ended(_) => Unsent::Ended,
        })
    }
}

/// Why a message does not go to the job that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsent {
    /// The orchestrator gave none.
    NoChannel,
    /// It does not take messages as fast.
    Full,
    /// It was closed.
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

/// Ends a job that nobody wants, and of which no part ever ran.
pub(super) async fn end_unwanted(network: Network, job: StartedJob) {
    let publisher = video_publisher(&network, job.channels(), Arc::default());
    let owed = job.end();
    let (is_deleted, ()) = tokio::join!(publisher.delete(), job.stop());
    owed.filter(|_| is_deleted).inspect(|owed| owed.confirm());
}

/// The publisher of a job's video.
fn video_publisher(network: &Network, channels: &Channels, counters: Arc<Counters>) -> Publisher {
    publisher(network, &channels.publish, MPEG_TS, counters)
}

fn publisher(
    network: &Network,
    channel: &Channel,
    mime: HeaderValue,
    counters: Arc<Counters>,
) -> Publisher {
    Publisher::new(Arc::clone(&network.connector), channel.clone(), mime, counters)
}

fn subscriber(network: &Network, channel: &Channel) -> Subscriber {
    Subscriber::new(Arc::clone(&network.connector), channel.clone())
}

/// Pays as long as media flows, and tells the loop how each payment went.
async fn pay(
    payments: JobPayments,
    media: watch::Receiver<()>,
    mut stop: Stop,
    events: mpsc::Sender<Event>,
) {
    let (tell, mut turns) = mpsc::channel(1);
    let forward = async {
        while let Some(turn) = turns.recv().await {
            if events.send(Event::Payment(turn)).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = stop.wait() => {}
        ((), ()) = async { tokio::join!(payments.run(media, tell), forward) } => {}
    }
}

/// Hands events on to the loop until the channel ends.
async fn forward(mut arrived: mpsc::Receiver<Bytes>, events: mpsc::Sender<Event>) {
    while let Some(document) = arrived.recv().await {
        match JobEvent::parse(&document) {
            Some(event) => {
                if events.send(Event::Job(event)).await.is_err() {
                    return;
                }
            }
            None => log::debug!("an event of {} bytes is no JSON object; left out", document.len()),
        }
    }
}
