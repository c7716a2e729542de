//! The pieces of segments that a caller publishes, and the seq that numbers segments.
//!
//! The caller makes pieces of any content; `trickle` sends them and does not look at the content.
//!
//! Does not: read the bytes.

use std::fmt;
use std::future::Future;

use bytes::Bytes;

/// The number of a segment in its channel. It increases by one with each segment, and is never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// The seq after this one; the largest seq stays as it is.
    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The place of a piece in its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PiecePlace {
    /// The first piece of a segment; the segment before it is complete.
    Begin,
    /// A further piece of the segment that has begun.
    Continue,
    /// A whole segment in one piece, such as a control message. It is sent again until the peer answers it; later
    /// pieces wait.
    Whole,
    /// A whole segment in one piece that is sent only once, such as a keep-alive.
    Passing,
    /// No bytes: the open segment is complete, and the next one has not begun.
    End,
}

/// A part of a segment that is sent as one chunk: one access unit, or one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The place in its segment.
    pub place: PiecePlace,
    /// The bytes to send, unchanged.
    pub bytes: Bytes,
}

/// The source of a publisher's pieces.
pub trait Pieces: Send {
    /// The next piece; `None` at the end. Must be cancel safe: dropping the future must not lose a piece.
    fn next(&mut self) -> impl Future<Output = Option<Piece>> + Send;

    /// Called when the open segment was lost. Drop its remaining pieces, and begin a new segment as soon as possible:
    /// for video, ask for a key frame.
    fn resync(&mut self);
}
