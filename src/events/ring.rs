//! The events that wait for one subscriber: a ring that is bounded by count and bytes, and drops the oldest.
//!
//! Does not: wait, or share itself between threads; `io::bus` does.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Event;

/// Maximum number of events that wait for one subscriber.
pub const WAITING: usize = 256;
/// Maximum bytes of lines that wait for one subscriber; one event may be longer.
pub const WAITING_BYTES: usize = 512 << 10;

/// The waiting events of one subscriber.
#[derive(Debug, Default)]
pub(super) struct Ring {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// Events dropped since the last [`Next::Lost`].
    lost: u64,
}

/// What a subscriber gets next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Next {
    Event(Arc<Event>),
    /// This many events were dropped here; the number of the last one of them follows.
    Lost(u64, u64),
}

impl Ring {
    /// Adds an event, and drops the oldest if there is no room.
    pub(super) fn push(&mut self, event: Arc<Event>) {
        self.bytes += event.line().len();
        self.events.push_back(event);
        while self.events.len() > 1 && (self.events.len() > WAITING || self.bytes > WAITING_BYTES) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.events.pop_front() {
            self.bytes -= oldest.line().len();
            self.lost += 1;
        }
    }

    /// Takes the oldest event, or first the number of those that were dropped before it.
    pub(super) fn pop(&mut self) -> Option<Next> {
        let oldest = self.events.front()?;
        if self.lost > 0 {
            let last = oldest.number().saturating_sub(1);
            return Some(Next::Lost(std::mem::take(&mut self.lost), last));
        }
        let event = self.events.pop_front()?;
        self.bytes -= event.line().len();
        Some(Next::Event(event))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::events::Kind;

    fn event(number: u64, length: usize) -> Arc<Event> {
        let kind = Kind::NoJob { reason: "x".repeat(length) };
        Arc::new(Event::new(kind, number, "i", Duration::ZERO))
    }

    fn drain(ring: &mut Ring) -> Vec<String> {
        let shown = |next| match next {
            Next::Event(event) => event.number().to_string(),
            Next::Lost(count, last) => format!("lost {count} up to {last}"),
        };
        std::iter::from_fn(|| ring.pop()).map(shown).collect()
    }

    #[test]
    fn events_come_in_their_order() {
        let mut ring = Ring::default();
        assert_eq!(ring.pop(), None);
        (0..3).for_each(|number| ring.push(event(number, 1)));
        assert_eq!(drain(&mut ring), ["0", "1", "2"]);
        assert_eq!(ring.bytes, 0);
    }

    #[test]
    fn a_full_ring_drops_the_oldest_and_says_how_many() {
        let mut ring = Ring::default();
        (0..WAITING as u64 + 3).for_each(|number| ring.push(event(number, 1)));
        let seen = drain(&mut ring);
        assert_eq!(seen[..2], ["lost 3 up to 2", "3"]);
        assert_eq!(seen.len(), 1 + WAITING);
        ring.push(event(999, 1));
        assert_eq!(drain(&mut ring), ["999"]);
    }

    #[test]
    fn long_events_are_bounded_by_their_bytes_and_the_newest_always_stays() {
        let mut ring = Ring::default();
        (0..9).for_each(|number| ring.push(event(number, WAITING_BYTES / 4)));
        assert!(ring.bytes <= WAITING_BYTES);
        assert_eq!(drain(&mut ring), ["lost 6 up to 5", "6", "7", "8"]);
        ring.push(event(1, 1));
        ring.push(event(2, 2 * WAITING_BYTES));
        assert_eq!(drain(&mut ring), ["lost 1 up to 1", "2"]);
        assert_eq!(ring.bytes, 0);
    }
}
