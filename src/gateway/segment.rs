//! What media and trickle say to each other: a piece of a segment, and the seq that numbers segments.
//!
//! `media` makes pieces without knowing of HTTP, `trickle` carries them without knowing of video.
//!
//! Does not: look into the bytes.

use std::fmt;
use std::future::Future;

use bytes::Bytes;

/// The number of a segment in its channel: up by one for each segment, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// The seq after this one. The last seq of all stays where it is.
    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a piece stands in its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The first piece of a segment; the segment before it is complete.
    Begin,
    /// A further piece of the segment that has begun.
    Continue,
    /// A segment of its own in one piece: nothing follows (control messages). It is sent again until it gets
    /// through, before all that comes after it.
    Whole,
    /// The same, but worth nothing later (keep-alives): it is sent once.
    Passing,
    /// No bytes: the segment that has begun is complete, and the next one is not there yet.
    End,
}

/// A part of a segment that is written to the network at once: one access unit, or one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where it stands in its segment.
    pub place: Place,
    /// The bytes, as they go on the wire.
    pub bytes: Bytes,
}

/// Where a publisher takes its pieces from.
pub trait Pieces: Send {
    /// The next piece; `None` when there will be no more. Cancel safe: a dropped future loses nothing.
    fn next(&mut self) -> impl Future<Output = Option<Piece>> + Send;

    /// The segment under way was lost on the network: what was to follow in it is worthless, so the
    /// next piece is to be no `Continue`, as soon as can be.
    fn resync(&mut self);
}
