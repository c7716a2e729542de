//! The protocol of one connection to the broker, without its input and output.
//!
//! ```text
//!  CONNECT ──▶ Opening ── accepted ──▶ Open ── silence, or no confirmation ──▶ error
//!                 └──── refused, or no answer ──▶ error
//! ```
//!
//! Does not: read or write, or know what a message means.

use std::time::Instant;

use bytes::Bytes;
use mqtt_proto::v3::{
    Connect, ConnectReturnCode, LastWill, Packet, Publish, Suback, Subscribe, SubscribeReturnCode,
};
use mqtt_proto::{Pid, QoS, QosPid, TopicFilter};

use super::Times;
use super::error::BrokerError;
use super::frames::Frame;
use super::limits::{IN_FLIGHT, KEEP_ALIVE};
use super::outbox::{Message, MessageKind};
use super::topics::Topics;
use resilience::secret::Secret;

/// What is published in `PREFIX/status` while this client is connected.
pub(super) const ONLINE: &str = "online";
/// What the broker publishes there when the connection ends.
pub(super) const OFFLINE: &str = "offline";

/// One connection to the broker.
#[derive(Debug)]
pub(super) struct Session {
    times: Times,
    state: State,
    next_id: Pid,
}

#[derive(Debug)]
enum State {
    /// The end of the time in which the broker has to accept the connection.
    Opening {
        until: Instant,
    },
    Open(Open),
}

#[derive(Debug)]
struct Open {
    /// When something came from the broker for the last time.
    heard: Instant,
    ping_at: Instant,
    /// The messages that the broker has not confirmed, with the times when they were sent: [`IN_FLIGHT`] at most.
    in_flight: Vec<(Pid, Instant)>,
}

/// What the caller must do after a packet.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Reaction {
    /// Nothing.
    Nothing,
    /// The connection is open: publish the present state.
    Opened,
    /// A message has come. Confirm it with [`confirmation`].
    Message(Publish),
    /// A message has come that was too long: its size. Send the packet, if any.
    TooLong(Option<Packet>, usize),
    /// The broker has answered the subscription. Whether it grants all of it.
    Subscribed(bool),
}

/// The packet that confirms a message, if the broker wants one.
pub(super) fn confirmation(message: &Publish) -> Option<Packet> {
    match message.qos_pid {
        QosPid::Level1(id) => Some(Packet::Puback(id)),
        QosPid::Level0 | QosPid::Level2(_) => None,
    }
}

impl Session {
    /// A session whose connection has just been made. Send [`connect`] first.
    pub(super) fn new(times: Times, now: Instant) -> Self {
        let state = State::Opening { until: now + times.answer };
        Self { times, state, next_id: Pid::default() }
    }

    /// Whether the broker has accepted the connection.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Whether a message may be published now.
    pub(super) fn may_publish(&self) -> bool {
        matches!(&self.state, State::Open(open) if open.in_flight.len() < IN_FLIGHT)
    }

    /// The packet that publishes `message`. Call it only while [`Self::may_publish`].
    pub(super) fn publish(&mut self, message: Message, now: Instant) -> Packet {
        let Message { topic, payload, kind } = message;
        let (qos, retain) = match kind {
            MessageKind::State => (QosPid::Level1(self.id(now)), true),
            MessageKind::Note => (QosPid::Level1(self.id(now)), false),
            MessageKind::Picture => (QosPid::Level0, false),
        };
        Packet::Publish(Publish { retain, ..Publish::new(qos, topic, payload) })
    }

    /// The packet that subscribes to these topics. Call it once, when the connection is open.
    pub(super) fn subscribe(&mut self, topics: Vec<TopicFilter>, now: Instant) -> Packet {
        let topics = topics.into_iter().map(|topic| (topic, QoS::Level1)).collect();
        Packet::Subscribe(Subscribe::new(self.id(now), topics))
    }

    /// A number for a message, which the broker has to confirm.
    fn id(&mut self, now: Instant) -> Pid {
        let id = self.next_id;
        self.next_id += 1;
        if let State::Open(open) = &mut self.state {
            open.in_flight.push((id, now));
        }
        id
    }

    /// The error for a connection that the broker closed.
    pub(super) fn closed(&self) -> BrokerError {
        if self.is_open() { BrokerError::Closed } else { BrokerError::HungUp }
    }

    /// Call it when bytes came from the broker, whole packet or not.
    pub(super) fn on_bytes(&mut self, now: Instant) {
        if let State::Open(open) = &mut self.state {
            open.heard = now;
        }
    }

    /// Handles what the broker sent.
    pub(super) fn on(&mut self, frame: Frame, now: Instant) -> Result<Reaction, BrokerError> {
        let open = match (&mut self.state, frame) {
            (State::Opening { .. }, Frame::Packet(Packet::Connack(connack))) => {
                accepted(connack.code)?;
                let ping_at = now + self.times.ping;
                self.state = State::Open(Open { heard: now, ping_at, in_flight: Vec::new() });
                return Ok(Reaction::Opened);
            }
            (State::Open(open), Frame::Packet(packet)) => (open, packet),
            (State::Open(_), Frame::TooLong(id, size)) => {
                let id = id.and_then(|id| Pid::try_from(id).ok());
                return Ok(Reaction::TooLong(id.map(Packet::Puback), size));
            }
            (State::Opening { .. }, _) => return Err(BrokerError::Malformed),
        };
        match open {
            (open, Packet::Puback(id)) => {
                open.in_flight.retain(|(other, _)| *other != id);
                Ok(Reaction::Nothing)
            }
            (_, Packet::Pingresp) => Ok(Reaction::Nothing),
            (open, Packet::Suback(Suback { pid, topics })) => {
                open.in_flight.retain(|(other, _)| *other != pid);
                Ok(Reaction::Subscribed(!topics.contains(&SubscribeReturnCode::Failure)))
            }
            // Messages of level 2 are not subscribed to.
            (_, Packet::Publish(Publish { qos_pid: QosPid::Level2(_), .. })) => {
                Err(BrokerError::Malformed)
            }
            (_, Packet::Publish(message)) => Ok(Reaction::Message(message)),
            (
                _,
                Packet::Connect(_)
                | Packet::Connack(_)
                | Packet::Pubrec(_)
                | Packet::Pubrel(_)
                | Packet::Pubcomp(_)
                | Packet::Subscribe(_)
                | Packet::Unsubscribe(_)
                | Packet::Unsuback(_)
                | Packet::Pingreq
                | Packet::Disconnect,
            ) => Err(BrokerError::Malformed),
        }
    }

    /// When to call [`Self::on_time`].
    pub(super) fn poll_timeout(&self) -> Instant {
        match &self.state {
            State::Opening { until } => *until,
            State::Open(open) => {
                let dead = open.heard + self.times.silence;
                let sent = open.in_flight.first().map(|(_, at)| *at + self.times.confirmation);
                dead.min(open.ping_at).min(sent.unwrap_or(dead))
            }
        }
    }

    /// Handles the passing of time. Returns a packet to send, if any.
    pub(super) fn on_time(&mut self, now: Instant) -> Result<Option<Packet>, BrokerError> {
        let times = self.times;
        match &mut self.state {
            State::Opening { until } if *until <= now => Err(BrokerError::NoAnswer(times.answer)),
            State::Opening { .. } => Ok(None),
            State::Open(open) => {
                if open.heard + times.silence <= now {
                    return Err(BrokerError::Silent(times.silence));
                }
                let sent = open.in_flight.first().map(|(_, at)| *at + times.confirmation);
                if sent.is_some_and(|due| due <= now) {
                    return Err(BrokerError::NotConfirmed(times.confirmation));
                }
                if open.ping_at > now {
                    return Ok(None);
                }
                open.ping_at = now + times.ping;
                Ok(Some(Packet::Pingreq))
            }
        }
    }
}

/// The first packet: the client's id, the credential and the last will. `credential` is `user:password`.
pub(super) fn connect(topics: &Topics, credential: Option<&Secret>) -> Result<Packet, BrokerError> {
    let mut connect = Connect::new(format!("livepeer-edge-{}", topics.id).into(), KEEP_ALIVE);
    connect.last_will = Some(LastWill {
        qos: QoS::Level1,
        retain: true,
        topic_name: topics.status.clone(),
        message: Bytes::from_static(OFFLINE.as_bytes()),
    });
    with_credential(connect, credential)
}

/// The first packet of a trial, which nobody notices. `number` makes the client's name one of its own.
pub(super) fn trial(number: u32, credential: Option<&Secret>) -> Result<Packet, BrokerError> {
    let connect = Connect::new(format!("livepeer-edge-check-{number}").into(), KEEP_ALIVE);
    with_credential(connect, credential)
}

fn with_credential(
    mut connect: Connect,
    credential: Option<&Secret>,
) -> Result<Packet, BrokerError> {
    if let Some(credential) = credential {
        let (user, password) =
            credential.expose().split_once(':').ok_or(BrokerError::NoPassword)?;
        connect.username = Some(user.into());
        connect.password = Some(Bytes::copy_from_slice(password.as_bytes()));
    }
    Ok(Packet::Connect(connect))
}

fn accepted(code: ConnectReturnCode) -> Result<(), BrokerError> {
    Err(match code {
        ConnectReturnCode::Accepted => return Ok(()),
        ConnectReturnCode::BadUserNameOrPassword | ConnectReturnCode::NotAuthorized => {
            BrokerError::Credentials
        }
        ConnectReturnCode::UnacceptableProtocolVersion => {
            BrokerError::Refused("it does not speak MQTT 3.1.1")
        }
        ConnectReturnCode::IdentifierRejected => {
            BrokerError::Refused("it does not take the name of this client; set status.instance")
        }
        ConnectReturnCode::ServerUnavailable => BrokerError::Refused("it is not available now"),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mqtt_proto::TopicName;
    use mqtt_proto::v3::Connack;

    use super::*;
    use crate::mqtt::Options;

    fn connack(code: ConnectReturnCode) -> Frame {
        Frame::Packet(Packet::Connack(Connack::new(false, code)))
    }

    fn open(now: Instant) -> Session {
        let mut session = Session::new(Times::default(), now);
        let opened = session.on(connack(ConnectReturnCode::Accepted), now);
        assert!(matches!(opened, Ok(Reaction::Opened)));
        session
    }

    fn state() -> Message {
        let topic = TopicName::try_from("p/status").unwrap();
        Message { topic, payload: Bytes::from_static(b"online"), kind: MessageKind::State }
    }

    fn after(now: Instant, seconds: u64) -> Instant {
        now + Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_packet_has_the_last_will_and_the_credential() {
        let topics = Topics::new(&Options::default(), "pi").unwrap();
        let Ok(Packet::Connect(packet)) = connect(&topics, Some(&Secret::new("me:a:b"))) else {
            panic!("CONNECT")
        };
        let will = packet.last_will.unwrap();
        assert_eq!(
            (&*will.topic_name, &*will.message),
            ("livepeer-edge/pi/status", &b"offline"[..])
        );
        assert!(will.retain && packet.clean_session);
        assert_eq!(packet.username.as_deref(), Some("me"));
        assert_eq!(packet.password.as_deref(), Some(&b"a:b"[..]));
        let error = connect(&topics, Some(&Secret::new("hunter2"))).unwrap_err().to_string();
        assert!(error.contains("user:password") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_refusal_names_what_to_check() {
        for (code, part) in [
            (ConnectReturnCode::BadUserNameOrPassword, "mqtt.credential"),
            (ConnectReturnCode::NotAuthorized, "mqtt.credential"),
            (ConnectReturnCode::UnacceptableProtocolVersion, "3.1.1"),
            (ConnectReturnCode::IdentifierRejected, "status.instance"),
            (ConnectReturnCode::ServerUnavailable, "not available"),
        ] {
            let mut session = Session::new(Times::default(), Instant::now());
            let error = session.on(connack(code), Instant::now()).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_broker_that_does_not_answer_is_given_up() {
        let now = Instant::now();
        let mut session = Session::new(Times::default(), now);
        assert!(!session.may_publish());
        assert_eq!(session.poll_timeout(), after(now, 15));
        assert!(matches!(session.on_time(after(now, 14)), Ok(None)));
        assert!(matches!(session.on_time(after(now, 15)), Err(BrokerError::NoAnswer(_))));
    }

    #[test]
    fn a_silent_connection_is_asked_for_a_sign_and_given_up_without_one() {
        let now = Instant::now();
        let mut session = open(now);
        assert_eq!(session.poll_timeout(), after(now, 20));
        assert!(matches!(session.on_time(after(now, 20)), Ok(Some(Packet::Pingreq))));
        assert_eq!(session.poll_timeout(), after(now, 35));
        session.on_bytes(after(now, 21));
        assert_eq!(session.poll_timeout(), after(now, 40));
        assert!(matches!(session.on_time(after(now, 40)), Ok(Some(Packet::Pingreq))));
        assert!(matches!(session.on_time(after(now, 56)), Err(BrokerError::Silent(_))));
    }

    #[test]
    fn publishing_waits_for_confirmations_and_a_broker_that_gives_none_is_given_up() {
        let now = Instant::now();
        let mut session = open(now);
        let mut ids = Vec::new();
        while session.may_publish() {
            let Packet::Publish(packet) = session.publish(state(), now) else { panic!("PUBLISH") };
            assert!(packet.retain);
            let QosPid::Level1(id) = packet.qos_pid else { panic!("{:?}", packet.qos_pid) };
            ids.push(id);
        }
        assert_eq!(ids.len(), IN_FLIGHT);
        let confirmed = session.on(Frame::Packet(Packet::Puback(ids[0])), now);
        assert!(matches!(confirmed, Ok(Reaction::Nothing)) && session.may_publish());
        for second in (10..120).step_by(10) {
            session.on_bytes(after(now, second));
            assert!(session.on_time(after(now, second)).is_ok(), "{second}");
        }
        session.on_bytes(after(now, 120));
        assert!(matches!(session.on_time(after(now, 120)), Err(BrokerError::NotConfirmed(_))));
    }

    #[test]
    fn a_subscription_is_confirmed_or_denied_and_messages_come() {
        let now = Instant::now();
        let mut session = open(now);
        let topics = Topics::new(&Options::default(), "pi").unwrap();
        let Packet::Subscribe(packet) = session.subscribe(topics.commands().unwrap(), now) else {
            panic!("SUBSCRIBE")
        };
        assert_eq!(session.poll_timeout(), after(now, 20));
        for (last, is_granted) in
            [(SubscribeReturnCode::Failure, false), (SubscribeReturnCode::MaxLevel1, true)]
        {
            let codes = vec![SubscribeReturnCode::MaxLevel1, last];
            let answer = Frame::Packet(Packet::Suback(Suback::new(packet.pid, codes)));
            let reaction = session.on(answer, now).unwrap();
            assert_eq!(reaction, Reaction::Subscribed(is_granted));
        }
        session.on_bytes(after(now, 119));
        assert!(session.on_time(after(now, 120)).is_ok(), "the subscription was confirmed");
        let topic = TopicName::try_from("p/set").unwrap();
        let id = Pid::try_from(9).unwrap();
        let message = Publish::new(QosPid::Level1(id), topic, Bytes::from_static(b"{}"));
        assert_eq!(confirmation(&message), Some(Packet::Puback(id)));
        let came = session.on(Frame::Packet(Packet::Publish(message.clone())), now).unwrap();
        assert_eq!(came, Reaction::Message(message));
        let long = session.on(Frame::TooLong(Some(9), 70_000), now).unwrap();
        assert_eq!(long, Reaction::TooLong(Some(Packet::Puback(id)), 70_000));
    }

    #[test]
    fn packets_that_only_a_client_sends_are_refused() {
        let now = Instant::now();
        for packet in [Packet::Pingreq, Packet::Disconnect, Packet::Pubrec(Pid::default())] {
            let refused = open(now).on(Frame::Packet(packet), now);
            assert!(matches!(refused, Err(BrokerError::Malformed)));
        }
        let mut opening = Session::new(Times::default(), now);
        let refused = opening.on(Frame::Packet(Packet::Pingresp), now);
        assert!(matches!(refused, Err(BrokerError::Malformed)));
    }
}
