//! The messages that wait for the broker: at most [`WAITING`]. A newer state takes the place of an older one.
//!
//! Does not: keep messages over a reconnect; the caller puts the present state again.

use std::collections::VecDeque;

use bytes::Bytes;
use mqtt_proto::TopicName;

use super::limits::{OUTGOING_BYTES, WAITING};

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: TopicName,
    pub(super) payload: Bytes,
    /// What it is.
    pub(super) kind: MessageKind,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessageKind {
    /// A state: the broker keeps and confirms the message, and a newer one replaces it.
    State,
    /// An event or an answer: the broker confirms it.
    Note,
    /// A picture: only the newest counts.
    Picture,
}

/// The messages that wait.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Message>,
    /// Messages that were dropped.
    dropped: u64,
}

impl Outbox {
    /// Adds a message.
    pub(super) fn put(&mut self, message: Message) {
        if message.payload.len() > OUTGOING_BYTES {
            self.dropped += 1;
            return;
        }
        let is_newest_alone = matches!(message.kind, MessageKind::State | MessageKind::Picture);
        let same = self.waiting.iter_mut().find(|other| other.topic == message.topic);
        if let Some(same) = same.filter(|_| is_newest_alone) {
            *same = message;
            return;
        }
        if self.waiting.len() >= WAITING {
            let oldest = self.waiting.iter().position(|other| other.kind != MessageKind::State);
            self.waiting.remove(oldest.unwrap_or_default());
            self.dropped += 1;
        }
        self.waiting.push_back(message);
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes the oldest message.
    pub(super) fn take(&mut self) -> Option<Message> {
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(topic: &str, payload: &str) -> Message {
        let topic = TopicName::try_from(topic).unwrap();
        Message { topic, payload: Bytes::from(payload.to_owned()), kind: MessageKind::State }
    }

    #[test]
    fn a_newer_state_takes_the_place_of_an_older_one() {
        let mut outbox = Outbox::default();
        outbox.put(state("a", "1"));
        outbox.put(state("b", "1"));
        outbox.put(state("a", "2"));
        assert_eq!(outbox.take(), Some(state("a", "2")));
        assert_eq!(outbox.take(), Some(state("b", "1")));
        assert_eq!(outbox.take(), None);
    }

    #[test]
    fn notes_keep_their_order_and_make_room_before_states_do() {
        let mut outbox = Outbox::default();
        let note = |n: usize| Message { kind: MessageKind::Note, ..state("note", &n.to_string()) };
        outbox.put(state("a", "1"));
        (0..WAITING + 5).for_each(|n| outbox.put(note(n)));
        assert_eq!(outbox.take(), Some(state("a", "1")));
        assert_eq!(outbox.take(), Some(note(6)));
        assert_eq!((outbox.waiting.len(), outbox.dropped), (WAITING - 2, 6));
        assert!(!outbox.is_empty());
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut outbox = Outbox::default();
        (0..2 * WAITING).for_each(|n| outbox.put(state(&format!("t{n}"), "")));
        assert_eq!((outbox.waiting.len(), outbox.dropped), (WAITING, 32));
        outbox.put(state("t", &"x".repeat(OUTGOING_BYTES + 1)));
        assert_eq!(outbox.dropped, 33);
    }
}
