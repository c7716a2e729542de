//! What a publisher has in hand: the next piece, and a message until the peer has answered it.
//!
//! ```text
//!  Empty ──piece──▶ Opener ──a POST is free──▶ Chunk ──its body takes it──▶ Empty
//!                     ▲                                                      │ it is a message, and lost
//!                     └───────────── Again ◀─────────────────────────────────┘
//! ```
//!
//! Messages go one at a time: the next one is taken when the last one was answered, so one that was lost is sent
//! again before those that come after it.
//!
//! Does not: send, or look at the clock.

use std::time::Instant;

use bytes::Bytes;

use crate::segment::{Piece, Place, Seq};

/// The piece in hand.
#[derive(Debug, Default)]
pub(super) enum Next {
    /// There is none.
    #[default]
    Empty,
    /// A segment is to begin with it, which has waited since then.
    Opener(Bytes, Instant),
    /// The current POST is to take it, which has waited since then.
    Chunk(Bytes, Instant),
    /// The message begins again then.
    Again(Instant),
}

/// The message under way.
#[derive(Debug)]
struct Message {
    bytes: Bytes,
    is_repeated: bool,
    /// The seq under which it is being sent.
    seq: Option<Seq>,
    /// When it was lost, or its POST failed, for the first time.
    failed_since: Option<Instant>,
}

/// The piece and the message in hand.
#[derive(Debug, Default)]
pub(super) struct Hand {
    pub(super) next: Next,
    message: Option<Message>,
    /// A segment of media was lost, and what is to follow it has not come.
    owes: bool,
}

impl Hand {
    /// Whether the next piece is wanted.
    pub(super) fn is_free(&self) -> bool {
        matches!(self.next, Next::Empty) && self.message.is_none()
    }

    /// Whether something waits for the POST that is connected ahead.
    pub(super) fn waits(&self) -> bool {
        match self.next {
            Next::Opener(..) | Next::Again(_) => true,
            Next::Chunk(..) => false,
            Next::Empty => self.owes,
        }
    }

    /// Whether the piece in hand is a message.
    pub(super) fn is_message(&self) -> bool {
        self.message.is_some()
    }

    /// A piece comes, to a segment that has begun or not. The end of the segment under way, if it is that, is the
    /// caller's to carry out.
    pub(super) fn take(&mut self, piece: Piece, has_begun: bool, now: Instant) {
        let Piece { place, bytes } = piece;
        self.next = match place {
            Place::Begin => Next::Opener(bytes, now),
            Place::Whole | Place::Passing => {
                let is_repeated = place == Place::Whole;
                let bytes_again = bytes.clone();
                self.message = Some(Message {
                    bytes: bytes_again,
                    is_repeated,
                    seq: None,
                    failed_since: None,
                });
                Next::Opener(bytes, now)
            }
            Place::Continue if has_begun => Next::Chunk(bytes, now),
            // The rest of a segment that was lost.
            Place::Continue => Next::Empty,
            Place::End => {
                self.owes = false;
                Next::Empty
            }
        };
    }

    /// The segment that waits begins under this seq.
    pub(super) fn begin(&mut self, seq: Seq, now: Instant) {
        self.owes = false;
        self.next = match std::mem::take(&mut self.next) {
            Next::Opener(bytes, _) => Next::Chunk(bytes, now),
            other @ (Next::Empty | Next::Chunk(..) | Next::Again(_)) => other,
        };
        if let Some(message) = &mut self.message {
            message.seq = Some(seq);
        }
    }

    /// The POST takes the piece that waits for it.
    pub(super) fn give(&mut self) -> Option<Bytes> {
        match std::mem::take(&mut self.next) {
            Next::Chunk(bytes, _) => Some(bytes),
            other @ (Next::Empty | Next::Opener(..) | Next::Again(_)) => {
                self.next = other;
                None
            }
        }
    }

    /// The picture that waits is too old.
    pub(super) fn drop_opener(&mut self) {
        self.next = Next::Empty;
        self.owes = true;
    }

    /// Whether `seq` carries the message: `Some(true)` if that is sent again when it is lost.
    pub(super) fn message_at(&self, seq: Seq) -> Option<bool> {
        let message = self.message.as_ref().filter(|message| message.seq == Some(seq))?;
        Some(message.is_repeated)
    }

    /// The message got through.
    pub(super) fn end_message(&mut self) {
        self.message = None;
    }

    /// The POST with the message was lost: it is sent again at `again_at`, or not any more.
    pub(super) fn lose_message(&mut self, now: Instant, again_at: Instant) {
        let Some(message) = self.message.as_mut().filter(|message| message.is_repeated) else {
            (self.next, self.message) = (Next::Empty, None);
            return;
        };
        message.seq = None;
        message.failed_since.get_or_insert(now);
        self.next = Next::Again(again_at);
    }

    /// The POST that the message waits for failed: it waits for the next one, if it is sent again at all.
    pub(super) fn hold_message(&mut self, now: Instant) {
        match &mut self.message {
            Some(message) if message.is_repeated => {
                message.failed_since.get_or_insert(now);
            }
            Some(_) => (self.next, self.message) = (Next::Empty, None),
            None => {}
        }
    }

    /// The current segment of media was lost.
    pub(super) fn lose_media(&mut self) {
        self.next = Next::Empty;
        self.owes = true;
    }

    /// The time has come to send the message again.
    pub(super) fn repeat(&mut self, now: Instant) {
        if let (Next::Again(at), Some(message)) = (&self.next, &self.message) {
            if *at <= now {
                self.next = Next::Opener(message.bytes.clone(), now);
            }
        }
    }

    /// When the message under way failed for the first time.
    pub(super) fn failed_since(&self) -> Option<Instant> {
        self.message.as_ref()?.failed_since
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn piece(place: Place) -> Piece {
        Piece { place, bytes: Bytes::from_static(b"x") }
    }

    #[test]
    fn a_message_stays_until_it_is_answered_and_counts_from_its_first_loss() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut hand = Hand::default();
        hand.take(piece(Place::Whole), false, now);
        assert!(hand.waits() && !hand.is_free());
        for seq in [7, 8] {
            hand.begin(Seq(seq), now);
            assert_eq!(hand.give(), Some(Bytes::from_static(b"x")));
            assert!(
                !hand.waits() && !hand.is_free(),
                "the next one is not taken before its answer"
            );
            assert_eq!((hand.message_at(Seq(seq)), hand.message_at(Seq(6))), (Some(true), None));
            hand.lose_message(at(seq), at(1000));
            assert!(hand.waits());
            hand.repeat(at(999));
            assert_eq!(hand.message_at(Seq(seq)), None);
            assert!(matches!(hand.next, Next::Again(_)));
            hand.repeat(at(1000));
            assert!(matches!(hand.next, Next::Opener(..)));
            assert_eq!(hand.failed_since(), Some(at(7)));
        }
        hand.begin(Seq(9), now);
        hand.end_message();
        let _ = hand.give();
        assert!(hand.is_free() && hand.failed_since().is_none());
    }

    #[test]
    fn what_is_worth_nothing_later_is_not_sent_again() {
        let now = Instant::now();
        let mut hand = Hand::default();
        hand.take(piece(Place::Passing), false, now);
        hand.begin(Seq(7), now);
        assert_eq!(hand.message_at(Seq(7)), Some(false));
        hand.lose_message(now, now);
        assert!(hand.is_free() && !hand.waits() && hand.failed_since().is_none());
        hand.take(piece(Place::Passing), false, now);
        hand.hold_message(now);
        assert!(hand.is_free() && !hand.waits());
    }

    #[test]
    fn a_message_that_finds_no_post_waits_for_one() {
        let now = Instant::now();
        let mut hand = Hand::default();
        hand.take(piece(Place::Whole), false, now);
        hand.hold_message(now);
        hand.hold_message(now + Duration::from_secs(1));
        assert!(hand.waits() && hand.failed_since() == Some(now));
    }

    #[test]
    fn media_that_was_lost_waits_for_its_next_key() {
        let now = Instant::now();
        let mut hand = Hand::default();
        hand.take(piece(Place::Continue), false, now);
        assert!(hand.is_free() && !hand.waits(), "the rest of a segment that was lost");
        hand.take(piece(Place::Begin), false, now);
        hand.begin(Seq(7), now);
        assert!(hand.give().is_some() && hand.give().is_none());
        hand.take(piece(Place::Continue), true, now);
        assert!(!hand.waits());
        hand.lose_media();
        assert!(hand.is_free() && hand.waits());
        hand.take(piece(Place::Begin), false, now);
        hand.drop_opener();
        assert!(hand.is_free() && hand.waits(), "for a newer one");
        hand.take(piece(Place::End), false, now);
        assert!(hand.is_free() && !hand.waits(), "a camera that paused");
    }
}
