//! Stores what a publisher has taken from its source and not yet sent: the next piece, and a message until the peer has
//! answered it.
//!
//! ```text
//!  Empty ──piece──▶ FirstPiece ──a POST is free──▶ NextPiece ──its body takes it──▶ Empty
//!                     ▲                                                              │ a message was lost
//!                     └──────────────── Resend ◀─────────────────────────────────────┘
//! ```
//!
//! Messages are sent one at a time: the next message is taken after the answer to the one before it. So a lost message
//! is sent again before later ones.
//!
//! Does not: send, or look at the clock.

use std::time::Instant;

use bytes::Bytes;

use crate::segment::{Piece, PiecePlace, Seq};

/// The piece that was taken and not yet sent.
#[derive(Debug, Default)]
pub(super) enum PendingState {
    /// No piece is taken.
    #[default]
    Empty,
    /// The first piece of a segment, waiting since this time for a POST.
    FirstPiece(Bytes, Instant),
    /// A piece for the current POST, waiting since this time for room in its body.
    NextPiece(Bytes, Instant),
    /// The lost message is sent again at this time.
    Resend(Instant),
}

/// The message that is being sent.
#[derive(Debug)]
struct PendingMessage {
    bytes: Bytes,
    is_repeated: bool,
    /// The seq under which it is being sent.
    seq: Option<Seq>,
    /// When the message was lost, or its POST failed, for the first time.
    failed_since: Option<Instant>,
}

/// The pending piece, and the message that it belongs to.
#[derive(Debug, Default)]
pub(super) struct PendingPiece {
    pub(super) state: PendingState,
    message: Option<PendingMessage>,
    /// A segment of media was lost, and the next segment has not begun.
    awaits_segment: bool,
}

impl PendingPiece {
    /// Whether to take the next piece from the source.
    pub(super) fn is_free(&self) -> bool {
        matches!(self.state, PendingState::Empty) && self.message.is_none()
    }

    /// Whether a segment waits for the next POST, which is connected in advance.
    pub(super) fn is_waiting(&self) -> bool {
        match self.state {
            PendingState::FirstPiece(..) | PendingState::Resend(_) => true,
            PendingState::NextPiece(..) => false,
            PendingState::Empty => self.awaits_segment,
        }
    }

    /// Whether the pending piece is a message.
    pub(super) fn is_message(&self) -> bool {
        self.message.is_some()
    }

    /// Takes `piece`; `has_begun` says whether a segment is open. At [`PiecePlace::End`] the caller ends the current POST.
    pub(super) fn put(&mut self, piece: Piece, has_begun: bool, now: Instant) {
        let Piece { place, bytes } = piece;
        self.state = match place {
            PiecePlace::Begin => PendingState::FirstPiece(bytes, now),
            PiecePlace::Whole | PiecePlace::Passing => {
                let is_repeated = place == PiecePlace::Whole;
                let bytes_again = bytes.clone();
                self.message = Some(PendingMessage {
                    bytes: bytes_again,
                    is_repeated,
                    seq: None,
                    failed_since: None,
                });
                PendingState::FirstPiece(bytes, now)
            }
            PiecePlace::Continue if has_begun => PendingState::NextPiece(bytes, now),
            // Drop the piece, because its segment was lost.
            PiecePlace::Continue => PendingState::Empty,
            PiecePlace::End => {
                self.awaits_segment = false;
                PendingState::Empty
            }
        };
    }

    /// Call when the waiting segment begins as `seq`.
    pub(super) fn begin(&mut self, seq: Seq, now: Instant) {
        self.awaits_segment = false;
        self.state = match std::mem::take(&mut self.state) {
            PendingState::FirstPiece(bytes, _) => PendingState::NextPiece(bytes, now),
            other @ (PendingState::Empty
            | PendingState::NextPiece(..)
            | PendingState::Resend(_)) => other,
        };
        if let Some(message) = &mut self.message {
            message.seq = Some(seq);
        }
    }

    /// The bytes for the current POST, which has room now; `None` if no piece waits for it.
    pub(super) fn take_bytes(&mut self) -> Option<Bytes> {
        match std::mem::take(&mut self.state) {
            PendingState::NextPiece(bytes, _) => Some(bytes),
            other @ (PendingState::Empty
            | PendingState::FirstPiece(..)
            | PendingState::Resend(_)) => {
                self.state = other;
                None
            }
        }
    }

    /// Drops the first piece of a segment, because its picture is too old.
    pub(super) fn drop_first_piece(&mut self) {
        self.state = PendingState::Empty;
        self.awaits_segment = true;
    }

    /// `None` if `seq` does not carry the message; else whether the message is sent again when it is lost.
    pub(super) fn message_at(&self, seq: Seq) -> Option<bool> {
        let message = self.message.as_ref().filter(|message| message.seq == Some(seq))?;
        Some(message.is_repeated)
    }

    /// Call when the message is answered.
    pub(super) fn end_message(&mut self) {
        self.message = None;
    }

    /// Call when the POST with the message is lost. The message is sent again at `again_at`, or dropped if it must be
    /// sent only once.
    pub(super) fn lose_message(&mut self, now: Instant, again_at: Instant) {
        let Some(message) = self.message.as_mut().filter(|message| message.is_repeated) else {
            (self.state, self.message) = (PendingState::Empty, None);
            return;
        };
        message.seq = None;
        message.failed_since.get_or_insert(now);
        self.state = PendingState::Resend(again_at);
    }

    /// Call when the POST that the message waits for failed. The message waits for the next POST, or is dropped if it
    /// must be sent only once.
    pub(super) fn keep_message(&mut self, now: Instant) {
        match &mut self.message {
            Some(message) if message.is_repeated => {
                message.failed_since.get_or_insert(now);
            }
            Some(_) => (self.state, self.message) = (PendingState::Empty, None),
            None => {}
        }
    }

    /// Call when the current segment of media is lost.
    pub(super) fn lose_media(&mut self) {
        self.state = PendingState::Empty;
        self.awaits_segment = true;
    }

    /// Sends the lost message again if its time has come.
    pub(super) fn resend_if_due(&mut self, now: Instant) {
        if let (PendingState::Resend(at), Some(message)) = (&self.state, &self.message)
            && *at <= now
        {
            self.state = PendingState::FirstPiece(message.bytes.clone(), now);
        }
    }

    /// When the current message failed for the first time.
    pub(super) fn failed_since(&self) -> Option<Instant> {
        self.message.as_ref()?.failed_since
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn piece(place: PiecePlace) -> Piece {
        Piece { place, bytes: Bytes::from_static(b"x") }
    }

    #[test]
    fn a_message_stays_until_its_answer_and_its_first_failure_is_kept() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut pending = PendingPiece::default();
        pending.put(piece(PiecePlace::Whole), false, now);
        assert!(pending.is_waiting() && !pending.is_free());
        for seq in [7, 8] {
            pending.begin(Seq(seq), now);
            assert_eq!(pending.take_bytes(), Some(Bytes::from_static(b"x")));
            assert!(
                !pending.is_waiting() && !pending.is_free(),
                "the next message is not taken before the answer"
            );
            assert_eq!(
                (pending.message_at(Seq(seq)), pending.message_at(Seq(6))),
                (Some(true), None)
            );
            pending.lose_message(at(seq), at(1000));
            assert!(pending.is_waiting());
            pending.resend_if_due(at(999));
            assert_eq!(pending.message_at(Seq(seq)), None);
            assert!(matches!(pending.state, PendingState::Resend(_)));
            pending.resend_if_due(at(1000));
            assert!(matches!(pending.state, PendingState::FirstPiece(..)));
            assert_eq!(pending.failed_since(), Some(at(7)));
        }
        pending.begin(Seq(9), now);
        pending.end_message();
        let _ = pending.take_bytes();
        assert!(pending.is_free() && pending.failed_since().is_none());
    }

    #[test]
    fn a_lost_keep_alive_is_not_sent_again() {
        let now = Instant::now();
        let mut pending = PendingPiece::default();
        pending.put(piece(PiecePlace::Passing), false, now);
        pending.begin(Seq(7), now);
        assert_eq!(pending.message_at(Seq(7)), Some(false));
        pending.lose_message(now, now);
        assert!(pending.is_free() && !pending.is_waiting() && pending.failed_since().is_none());
        pending.put(piece(PiecePlace::Passing), false, now);
        pending.keep_message(now);
        assert!(pending.is_free() && !pending.is_waiting());
    }

    #[test]
    fn a_message_without_a_post_waits_for_one() {
        let now = Instant::now();
        let mut pending = PendingPiece::default();
        pending.put(piece(PiecePlace::Whole), false, now);
        pending.keep_message(now);
        pending.keep_message(now + Duration::from_secs(1));
        assert!(pending.is_waiting() && pending.failed_since() == Some(now));
    }

    #[test]
    fn after_a_loss_media_waits_for_the_next_key_frame() {
        let now = Instant::now();
        let mut pending = PendingPiece::default();
        pending.put(piece(PiecePlace::Continue), false, now);
        assert!(pending.is_free() && !pending.is_waiting(), "the rest of a segment that was lost");
        pending.put(piece(PiecePlace::Begin), false, now);
        pending.begin(Seq(7), now);
        assert!(pending.take_bytes().is_some() && pending.take_bytes().is_none());
        pending.put(piece(PiecePlace::Continue), true, now);
        assert!(!pending.is_waiting());
        pending.lose_media();
        assert!(pending.is_free() && pending.is_waiting());
        pending.put(piece(PiecePlace::Begin), false, now);
        pending.drop_first_piece();
        assert!(pending.is_free() && pending.is_waiting(), "waits for a newer segment");
        pending.put(piece(PiecePlace::End), false, now);
        assert!(pending.is_free() && !pending.is_waiting(), "a camera that paused");
    }
}
