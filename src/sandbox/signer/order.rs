//! Checks that the states of a session are used in order, one call at a time.
//!
//! The real signer is stateless: it would sign for an outdated state, and the orchestrator would then refuse the
//! tickets as used. The sandbox refuses an outdated state at once, so that a test shows the cause. The last state may
//! be used again if its answer was lost.
//!
//! Bounded: the oldest session is dropped first.
//!
//! Does not: verify the signature of a state.

use std::collections::VecDeque;

/// Maximum number of sessions kept.
const SESSIONS: usize = 256;

/// How a gateway used a state wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StateMisuse {
    /// The state is older than the last one.
    Outdated,
    /// The state was used before, and the answer to that use was delivered.
    Reused,
    /// Another call of the session is in progress.
    Concurrent,
}

#[derive(Debug)]
struct UsedSession {
    id: String,
    /// The sequence number of the last payment made.
    made: u64,
    /// Whether the answer with that payment was delivered, as far as the signer knows.
    is_delivered: bool,
    is_in_progress: bool,
}

/// The sessions of a signer.
#[derive(Debug, Default)]
pub(crate) struct StateOrder {
    sessions: VecDeque<UsedSession>,
}

impl StateOrder {
    /// Call before answering a request with the state of payment `sequence`. After success and after
    /// [`StateMisuse::Reused`], call [`Self::end`].
    pub(crate) fn begin(&mut self, id: &str, sequence: u64) -> Result<(), StateMisuse> {
        let Some(session) = self.find(id) else {
            self.add(id, sequence, true);
            return Ok(());
        };
        let next = sequence.saturating_add(1);
        if session.is_in_progress {
            return Err(StateMisuse::Concurrent);
        }
        if next < session.made {
            return Err(StateMisuse::Outdated);
        }
        let is_again = next == session.made && session.is_delivered;
        session.is_in_progress = true;
        if is_again { Err(StateMisuse::Reused) } else { Ok(()) }
    }

    /// Call when a request was answered; `made` is the sequence number of the payment, if one was made.
    pub(crate) fn end(&mut self, id: &str, made: Option<u64>, is_delivered: bool) {
        if self.find(id).is_none() {
            self.add(id, 0, false);
        }
        if let Some(session) = self.find(id) {
            session.is_in_progress = false;
            if let Some(made) = made {
                session.made = made;
                session.is_delivered = is_delivered;
            }
        }
    }

    fn find(&mut self, id: &str) -> Option<&mut UsedSession> {
        self.sessions.iter_mut().find(|session| session.id == id)
    }

    fn add(&mut self, id: &str, made: u64, is_in_progress: bool) {
        if self.sessions.len() == SESSIONS {
            self.sessions.pop_front();
        }
        self.sessions.push_back(UsedSession {
            id: id.to_owned(),
            made,
            is_delivered: true,
            is_in_progress,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_must_be_used_in_order() {
        let mut order = StateOrder::default();
        order.end("a", Some(0), true);
        for sequence in 0..3 {
            assert_eq!(order.begin("a", sequence), Ok(()));
            order.end("a", Some(sequence + 1), true);
        }
        assert_eq!(order.begin("a", 1), Err(StateMisuse::Outdated));
        assert_eq!(order.begin("a", 2), Err(StateMisuse::Reused));
        order.end("a", None, true);
        assert_eq!(order.begin("a", 3), Ok(()));
        assert_eq!(order.begin("a", 3), Err(StateMisuse::Concurrent));
        assert_eq!(
            order.begin("b", 9),
            Ok(()),
            "the session of another signer may begin with any number"
        );
    }

    #[test]
    fn a_call_may_be_repeated_after_a_lost_answer() {
        let mut order = StateOrder::default();
        order.end("a", Some(0), true);
        assert_eq!(order.begin("a", 0), Ok(()));
        order.end("a", Some(1), false);
        assert_eq!(order.begin("a", 0), Ok(()));
        order.end("a", Some(1), true);
        // A refused call makes no payment, so the state can be used again.
        assert_eq!(order.begin("a", 1), Ok(()));
        order.end("a", None, true);
        assert_eq!(order.begin("a", 1), Ok(()));
    }

    #[test]
    fn the_number_of_sessions_is_limited() {
        let mut order = StateOrder::default();
        (0..SESSIONS + 9).for_each(|i| order.end(&i.to_string(), Some(0), true));
        assert_eq!(order.sessions.len(), SESSIONS);
    }
}
