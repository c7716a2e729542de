//! One connection to the broker: reads and writes at the same time, each with its own bound, and looks at the state.
//!
//! A broker that does not read stops what is published, and a flood stops what is read; neither stops the other.
//!
//! Does not: decide what follows a packet or a silence; [`Session`] does.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use mqtt_proto::TopicName;
use mqtt_proto::v3::Publish;
use serde_json::Value;
use tokio::io::{AsyncReadExt, split};

use super::Client;
use super::picturing::Picturing;
use super::steering::{Steered, Steering};
use super::wire::{Input, Output};
use crate::events::{Event as Happened, Kind, Subscription};
use crate::mqtt::discovery;
use crate::mqtt::error::BrokerError;
use crate::mqtt::limits::READ_BYTES;
use crate::mqtt::outbox::{Message, MessageKind, Outbox};
use crate::mqtt::session::{ONLINE, Reaction, Session, confirmation, connect};
use crate::mqtt::topics::{Place, Topics};
use crate::status::{LinkState, StatusReport};
use livepeer_gateway::http::io::MaybeTlsStream;
use resilience::secret::Secret;
use resilience::wait::sleep_until;

/// A connection that the broker has not accepted yet.
pub(super) struct Connection<'a> {
    client: Client<'a>,
    topics: Topics,
    session: Session,
    input: Input,
    output: Output,
    outbox: Outbox,
    looked: Looked,
    /// `None` if no commands are taken.
    steering: Option<Steering>,
    /// `None` if no pictures are published.
    picturing: Option<Picturing>,
    /// The agent has ended.
    has_all_events: bool,
}

/// The part of the agent's state that was published.
struct Looked {
    /// When to read the agent's state again.
    at: Instant,
    /// When to publish even if no state has changed.
    publish_at: Instant,
    /// The states that were published last.
    states: Vec<(LinkState, String)>,
}

/// What has happened.
enum Event {
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
    Happened(Option<Arc<Happened>>),
    Steered(Steered),
    Picture(Option<Bytes>),
    Time,
}

impl<'a> Connection<'a> {
    /// Takes over `stream`.
    pub(super) fn new(
        stream: MaybeTlsStream,
        client: Client<'a>,
        topics: Topics,
        credential: Option<&Secret>,
    ) -> Result<Self, BrokerError> {
        let now = Instant::now();
        let (reader, writer) = split(stream);
        let mut output = Output::new(writer, now);
        output.begin(&connect(&topics, credential)?, now)?;
        let Client { options, sources, times } = client;
        let steering = options.takes_commands.then(|| Steering::new(sources.control.clone(), now));
        let picturing = options
            .picture_every
            .map(|every| Picturing::new(sources.pictures.clone(), options.picture, every, now));
        Ok(Self {
            client,
            topics,
            session: Session::new(times, now),
            input: Input::new(reader, now),
            output,
            outbox: Outbox::default(),
            looked: Looked { at: now, publish_at: now, states: Vec::new() },
            steering,
            picturing,
            has_all_events: false,
        })
    }

    /// Runs until the connection ends, and publishes `events`. `on_open` is called when the broker accepts it.
    pub(super) async fn run(
        mut self,
        mut on_open: impl FnMut(),
        events: &mut Subscription,
    ) -> Result<Infallible, BrokerError> {
        loop {
            let now = Instant::now();
            if self.receive(now)? {
                on_open();
                self.announce(now)?;
            }
            if self.session.is_open() && self.looked.at <= now {
                self.look(now);
            }
            self.fill(now)?;
            let mut buffer = [0; READ_BYTES];
            match self.next(&mut buffer, events, now).await {
                Event::Read(read) => self.on_read(read, &buffer)?,
                Event::Wrote(wrote) => self.output.on_wrote(wrote, Instant::now())?,
                Event::Happened(event) => self.on_happened(event, Instant::now()),
                Event::Steered(steered) => self.on_steered(steered, Instant::now()),
                Event::Picture(picture) => self.on_picture(picture),
                Event::Time => self.on_time(Instant::now())?,
            }
        }
    }

    /// Waits for the next event. What it waits for may be cancelled.
    async fn next(&mut self, buffer: &mut [u8], events: &mut Subscription, now: Instant) -> Event {
        let ready = self.input.ready_at();
        let may_read = self.input.is_used_up && ready <= now;
        let wake = self.wake_at(now);
        let is_open = self.session.is_open();
        // Events wait where they are counted, until there is room.
        let has_room = self.session.may_publish() && self.outbox.is_empty();
        let wants_events = has_room && !self.has_all_events;
        let Self { input, output, steering, picturing, .. } = self;
        let has_output = output.has_begun();
        tokio::select! {
            read = input.reader.read(buffer), if may_read => Event::Read(read),
            wrote = output.write(), if has_output => Event::Wrote(wrote),
            event = events.next(), if wants_events => Event::Happened(event),
            steered = maybe(steering, Steering::next), if is_open => Event::Steered(steered),
            picture = maybe(picturing, Picturing::next), if is_open => Event::Picture(picture),
            () = sleep_until(Some(wake)) => Event::Time,
        }
    }

    /// When there is something to do even if nothing arrives.
    fn wake_at(&self, now: Instant) -> Instant {
        let mut wake = self.session.poll_timeout();
        if self.session.is_open() {
            wake = wake.min(self.looked.at);
        }
        if self.output.has_begun() {
            wake = wake.min(self.output.moved + self.client.times.silence);
        }
        let ready = self.input.ready_at();
        if ready > now { wake.min(ready) } else { wake }
    }

    fn on_time(&mut self, now: Instant) -> Result<(), BrokerError> {
        let silence = self.client.times.silence;
        if self.output.has_begun() && self.output.moved + silence <= now {
            return Err(BrokerError::Stuck(silence));
        }
        if let Some(packet) = self.session.on_time(now)? {
            self.output.answer(packet);
        }
        Ok(())
    }

    fn on_read(&mut self, read: io::Result<usize>, buffer: &[u8]) -> Result<(), BrokerError> {
        let now = Instant::now();
        let bytes = match read {
            Ok(0) => return Err(self.session.closed()),
            Ok(length) => buffer.get(..length).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(self.session.closed());
            }
            Err(error) => return Err(BrokerError::Broken(error)),
        };
        self.session.on_bytes(now);
        self.input.bytes.spend(bytes.len(), now);
        self.input.frames.push(bytes);
        self.input.is_used_up = false;
        Ok(())
    }

    /// Handles the packets that have arrived, while there is room for the answers. Returns whether the broker has accepted
    /// the connection.
    fn receive(&mut self, now: Instant) -> Result<bool, BrokerError> {
        let mut has_opened = false;
        while !self.output.answers.is_full() && !self.input.is_used_up {
            let Some(frame) = self.input.frames.next()? else {
                self.input.is_used_up = true;
                break;
            };
            self.input.packets.spend(1, now);
            match self.session.on(frame, now)? {
                Reaction::Nothing => {}
                Reaction::Opened => has_opened = true,
                Reaction::Message(message) => self.on_message(&message, now),
                Reaction::TooLong(confirmation, size) => {
                    confirmation.into_iter().for_each(|packet| self.output.answer(packet));
                    let answer =
                        self.steering.as_mut().and_then(|s| s.commands.on_too_long(size, now));
                    self.put_answer(answer);
                }
                Reaction::Subscribed(true) => {}
                Reaction::Subscribed(false) => log::warn!(
                    "MQTT: the broker does not let this user read {}: commands do not arrive; check its access list",
                    self.topics.command(Place::Set)
                ),
            }
        }
        Ok(has_opened)
    }

    /// Takes a message, which is a command if its topic is one of commands.
    fn on_message(&mut self, message: &Publish, now: Instant) {
        confirmation(message).into_iter().for_each(|packet| self.output.answer(packet));
        let Publish { topic_name, payload, retain, .. } = message;
        let (Some(steering), Some(place)) = (&mut self.steering, self.topics.place(topic_name))
        else {
            return;
        };
        let answer = steering.commands.on_message(place, payload, *retain, now);
        self.put_answer(answer);
    }

    fn on_steered(&mut self, steered: Steered, now: Instant) {
        match steered {
            Steered::Answer(answer) => {
                self.put_answer(Some(answer));
                self.looked.at = now;
            }
            Steered::Params(params) => {
                let payload = params.map(|params| Bytes::from(Value::from(params).to_string()));
                payload.into_iter().for_each(|p| self.put(self.topics.params.clone(), p));
            }
        }
    }

    fn put_answer(&mut self, answer: Option<Value>) {
        let Some(answer) = answer else { return };
        let (topic, payload) = (self.topics.answer.clone(), answer.to_string().into());
        self.outbox.put(Message { topic, payload, kind: MessageKind::Note });
    }

    /// Publishes an event, and soon what has changed with it.
    fn on_happened(&mut self, event: Option<Arc<Happened>>, now: Instant) {
        let Some(event) = event else {
            self.has_all_events = true;
            return;
        };
        let kind = event.kind();
        if !matches!(kind, Kind::Model { .. }) {
            self.looked.at = now;
        }
        if let Some(steering) = self.steering.as_mut().filter(|_| changes_params(kind)) {
            steering.on_params();
        }
        if self.client.options.events.contain(kind) {
            let payload = Bytes::copy_from_slice(event.line().as_bytes());
            let topic = self.topics.event.clone();
            self.outbox.put(Message { topic, payload, kind: MessageKind::Note });
        }
    }

    fn on_picture(&mut self, picture: Option<Bytes>) {
        if let Some(payload) = picture {
            let topic = self.topics.picture.clone();
            self.outbox.put(Message { topic, payload, kind: MessageKind::Picture });
        }
    }

    /// Publishes what the broker keeps, and subscribes to commands.
    fn announce(&mut self, now: Instant) -> Result<(), BrokerError> {
        match &mut self.steering {
            Some(steering) => {
                steering.on_params();
                let topics = self.topics.commands()?;
                self.output.answer(self.session.subscribe(topics, now));
            }
            // Parameters that were published when commands were taken must not stay there.
            None => self.put(self.topics.params.clone(), Bytes::new()),
        }
        if let Some(topic) = self.topics.discovery.clone() {
            let instance = self.client.sources.status.identity().instance;
            let device = discovery::device(&self.topics, &instance, self.client.options);
            self.put(topic, device.to_string().into());
        }
        self.put(self.topics.status.clone(), Bytes::from_static(ONLINE.as_bytes()));
        Ok(())
    }

    /// Publishes the report if a state has changed or it is time.
    fn look(&mut self, now: Instant) {
        let report = self.client.sources.status.report(now);
        let states = states(&report);
        self.looked.at = now + self.client.times.look;
        if states == self.looked.states && now < self.looked.publish_at {
            return;
        }
        self.looked.states = states;
        self.looked.publish_at = now + self.client.times.report;
        // A report always serialises.
        let payload = serde_json::to_vec(&report).unwrap_or_default();
        self.put(self.topics.report.clone(), payload.into());
    }

    fn put(&mut self, topic: TopicName, payload: Bytes) {
        self.outbox.put(Message { topic, payload, kind: MessageKind::State });
    }

    /// Begins the next packet, if none is being written.
    fn fill(&mut self, now: Instant) -> Result<(), BrokerError> {
        if self.output.has_begun() {
            return Ok(());
        }
        if let Some(packet) = self.output.answers.pop_front() {
            return self.output.begin(&packet, now);
        }
        if self.session.may_publish()
            && let Some(message) = self.outbox.take()
        {
            let packet = self.session.publish(message, now);
            return self.output.begin(&packet, now);
        }
        Ok(())
    }
}

/// The states of a report, whose changes are published at once.
fn states(report: &StatusReport) -> Vec<(LinkState, String)> {
    report.chain.iter().map(|link| (link.state, link.why.clone())).collect()
}

/// Whether the parameters, or what became of them, may be others after this event.
fn changes_params(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::JobStarted { .. }
            | Kind::ConfigurationApplied
            | Kind::ParametersSent { .. }
            | Kind::ParametersApplied { .. }
            | Kind::ParametersRefused { .. }
            | Kind::ParametersNotConfirmed { .. }
    )
}

/// Waits for the next of `part`, if there is one; never without.
async fn maybe<'a, T, F: Future>(
    part: &'a mut Option<T>,
    next: impl FnOnce(&'a mut T) -> F,
) -> F::Output {
    match part {
        Some(part) => next(part).await,
        None => pending().await,
    }
}
