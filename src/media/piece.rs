//! A part of a segment: what is written to the network or to a file at once.
//!
//! Does not: look into the bytes.

use bytes::Bytes;

/// Where a piece stands in its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The first piece of a segment; the segment before it is complete.
    Begin,
    /// A further piece of the segment that has begun.
    Continue,
    /// No bytes: the segment that has begun is complete, and the next one has not begun yet.
    End,
}

/// One access unit as MPEG-TS packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where it stands in its segment.
    pub place: Place,
    /// Whole packets.
    pub bytes: Bytes,
}
