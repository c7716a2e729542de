//! Watches that states come back in order, one call at a time.
//!
//! The real signer keeps nothing and would sign; the orchestrator then refuses tickets it has seen. Here an
//! old state is refused at once, so that a test says what went wrong. The last state may come again where its
//! answer was lost.
//!
//! Bounded: the sessions seen longest ago are forgotten.
//!
//! Does not: decide whether a state is genuine.

use std::collections::VecDeque;

/// Sessions that are watched.
const SESSIONS: usize = 256;

/// What is wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StateMisuse {
    /// Its state is older than the last one.
    Outdated,
    /// Its state has been answered already, and the answer was delivered.
    Reused,
    /// Another call of the session is under way.
    Concurrent,
}

#[derive(Debug)]
struct Session {
    id: String,
    /// The place of the last payment that was made.
    made: u64,
    /// It reached the gateway, as far as we know.
    is_delivered: bool,
    is_under_way: bool,
}

/// The sessions of a signer.
#[derive(Debug, Default)]
pub(crate) struct StateOrder {
    sessions: VecDeque<Session>,
}

impl StateOrder {
    /// A call with the state that the payment at `place` came with.
    pub(crate) fn begin(&mut self, id: &str, place: u64) -> Result<(), StateMisuse> {
        let Some(session) = self.find(id) else {
            self.add(id, place, true);
            return Ok(());
        };
        let next = place.saturating_add(1);
        if session.is_under_way {
            return Err(StateMisuse::Concurrent);
        }
        if next < session.made {
            return Err(StateMisuse::Outdated);
        }
        let is_again = next == session.made && session.is_delivered;
        session.is_under_way = true;
        if is_again { Err(StateMisuse::Reused) } else { Ok(()) }
    }

    /// The call is over; if a payment was made, this is its place.
    pub(crate) fn end(&mut self, id: &str, made: Option<u64>, is_delivered: bool) {
        if self.find(id).is_none() {
            self.add(id, 0, false);
        }
        if let Some(session) = self.find(id) {
            session.is_under_way = false;
            if let Some(made) = made {
                session.made = made;
                session.is_delivered = is_delivered;
            }
        }
    }

    fn find(&mut self, id: &str) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.id == id)
    }

    fn add(&mut self, id: &str, made: u64, is_under_way: bool) {
        if self.sessions.len() == SESSIONS {
            self.sessions.pop_front();
        }
        self.sessions.push_back(Session {
            id: id.to_owned(),
            made,
            is_delivered: true,
            is_under_way,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_come_in_order() {
        let mut order = StateOrder::default();
        order.end("a", Some(0), true);
        for place in 0..3 {
            assert_eq!(order.begin("a", place), Ok(()));
            order.end("a", Some(place + 1), true);
        }
        assert_eq!(order.begin("a", 1), Err(StateMisuse::Outdated));
        assert_eq!(order.begin("a", 2), Err(StateMisuse::Reused));
        order.end("a", None, true);
        assert_eq!(order.begin("a", 3), Ok(()));
        assert_eq!(order.begin("a", 3), Err(StateMisuse::Concurrent));
        assert_eq!(order.begin("b", 9), Ok(()), "made by another signer");
    }

    #[test]
    fn a_lost_answer_may_be_asked_for_again() {
        let mut order = StateOrder::default();
        order.end("a", Some(0), true);
        assert_eq!(order.begin("a", 0), Ok(()));
        order.end("a", Some(1), false);
        assert_eq!(order.begin("a", 0), Ok(()));
        order.end("a", Some(1), true);
        // A refusal changes nothing: the state is still the newest.
        assert_eq!(order.begin("a", 1), Ok(()));
        order.end("a", None, true);
        assert_eq!(order.begin("a", 1), Ok(()));
    }

    #[test]
    fn the_watch_is_bounded() {
        let mut order = StateOrder::default();
        (0..SESSIONS + 9).for_each(|i| order.end(&i.to_string(), Some(0), true));
        assert_eq!(order.sessions.len(), SESSIONS);
    }
}
