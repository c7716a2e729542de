//! One connection to the broker: reads and writes at the same time, each with its own bound, and looks at the state.
//!
//! A broker that does not read stops what is published, and a flood stops what is read; neither stops the other.
//!
//! Does not: decide what follows a packet or a silence; [`Session`] does.

use std::convert::Infallible;
use std::io;
use std::time::Instant;

use bytes::Bytes;
use heapless::Deque;
use mqtt_proto::TopicName;
use mqtt_proto::v3::Packet;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};

use super::Client;
use crate::mqtt::allowance::Allowance;
use crate::mqtt::discovery;
use crate::mqtt::error::BrokerError;
use crate::mqtt::frames::{Frame, Frames};
use crate::mqtt::limits::{ANSWERS, BYTES_PER_SECOND, PACKETS_PER_SECOND, READ_BYTES};
use crate::mqtt::outbox::{Message, MessageKind, Outbox};
use crate::mqtt::session::{ONLINE, Reaction, Session, connect};
use crate::mqtt::topics::Topics;
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
}

/// What comes from the broker.
struct Input {
    reader: ReadHalf<MaybeTlsStream>,
    frames: Frames,
    /// Whether `frames` has no whole packet.
    is_used_up: bool,
    packets: Allowance,
    bytes: Allowance,
}

/// What goes to the broker.
struct Output {
    writer: WriteHalf<MaybeTlsStream>,
    /// Answers, which go before messages.
    answers: Deque<Packet, ANSWERS>,
    /// The packet that is being written, and how much of it was.
    packet: Vec<u8>,
    written: usize,
    is_flushed: bool,
    /// When the packet began, or the last byte of it was taken.
    moved: Instant,
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
        let input = Input {
            reader,
            frames: Frames::default(),
            is_used_up: true,
            packets: Allowance::new(PACKETS_PER_SECOND, now),
            bytes: Allowance::new(BYTES_PER_SECOND, now),
        };
        let session = Session::new(client.times, now);
        let looked = Looked { at: now, publish_at: now, states: Vec::new() };
        Ok(Self { client, topics, session, input, output, outbox: Outbox::default(), looked })
    }

    /// Runs until the connection ends. `on_open` is called when the broker accepts it.
    pub(super) async fn run(
        mut self,
        mut on_open: impl FnMut(),
    ) -> Result<Infallible, BrokerError> {
        loop {
            let now = Instant::now();
            if self.receive(now)? {
                on_open();
                self.announce();
            }
            if self.session.is_open() && self.looked.at <= now {
                self.look(now);
            }
            self.fill(now)?;
            let mut buffer = [0; READ_BYTES];
            match self.next(&mut buffer, now).await {
                Event::Read(read) => self.on_read(read, &buffer)?,
                Event::Wrote(wrote) => self.output.on_wrote(wrote, Instant::now())?,
                Event::Time => self.on_time(Instant::now())?,
            }
        }
    }

    /// Waits for the next event. What it waits for may be cancelled.
    async fn next(&mut self, buffer: &mut [u8], now: Instant) -> Event {
        let ready = self.input.ready_at();
        let may_read = self.input.is_used_up && ready <= now;
        let wake = self.wake_at(now);
        let Self { input, output, .. } = self;
        let has_output = output.has_begun();
        tokio::select! {
            read = input.reader.read(buffer), if may_read => Event::Read(read),
            wrote = output.write(), if has_output => Event::Wrote(wrote),
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
            if let Frame::TooLong(_, size) = &frame {
                log::debug!("MQTT: a message of {size} bytes was skipped");
            }
            match self.session.on(frame, now)? {
                Reaction::Nothing => {}
                Reaction::Opened => has_opened = true,
                Reaction::Answer(packet) => self.output.answer(packet),
            }
        }
        Ok(has_opened)
    }

    /// Publishes what the broker keeps.
    fn announce(&mut self) {
        if let Some(topic) = self.topics.discovery.clone() {
            let instance = self.client.sources.status.identity().instance;
            let device = discovery::device(&self.topics, &instance);
            self.put(topic, device.to_string().into());
        }
        self.put(self.topics.status.clone(), Bytes::from_static(ONLINE.as_bytes()));
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

impl Input {
    /// When more may be read.
    fn ready_at(&self) -> Instant {
        self.packets.ready_at().max(self.bytes.ready_at())
    }
}

impl Output {
    fn new(writer: WriteHalf<MaybeTlsStream>, now: Instant) -> Self {
        let (answers, packet) = (Deque::new(), Vec::new());
        Self { writer, answers, packet, written: 0, is_flushed: true, moved: now }
    }

    /// Adds an answer. A ping or a confirmation that finds no room is left out: others are under way.
    fn answer(&mut self, packet: Packet) {
        let _ = self.answers.push_back(packet);
    }

    fn begin(&mut self, packet: &Packet, now: Instant) -> Result<(), BrokerError> {
        let bytes = packet.encode().map_err(|_| BrokerError::Malformed)?;
        self.packet.clear();
        self.packet.extend_from_slice(bytes.as_ref());
        (self.written, self.is_flushed, self.moved) = (0, false, now);
        Ok(())
    }

    /// Whether a packet is being written.
    fn has_begun(&self) -> bool {
        !self.is_flushed
    }

    /// Writes a part of the packet, or flushes the end of it. Cancel safe.
    async fn write(&mut self) -> io::Result<usize> {
        let rest = self.packet.get(self.written..).unwrap_or_default();
        if rest.is_empty() {
            self.writer.flush().await.map(|()| 0)
        } else {
            self.writer.write(rest).await
        }
    }

    fn on_wrote(&mut self, wrote: io::Result<usize>, now: Instant) -> Result<(), BrokerError> {
        let length = wrote.map_err(BrokerError::Broken)?;
        if self.written == self.packet.len() {
            self.is_flushed = true;
        } else if length == 0 {
            return Err(BrokerError::Closed);
        }
        self.written += length;
        self.moved = now;
        Ok(())
    }
}

/// The states of a report, whose changes are published at once.
fn states(report: &StatusReport) -> Vec<(LinkState, String)> {
    report.chain.iter().map(|link| (link.state, link.why.clone())).collect()
}
