//! A piece of a segment: the bytes that are written to the network or to a file at once.
//!
//! Does not: parse the bytes.

use bytes::Bytes;

/// Position of a piece in its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TsPiecePlace {
    /// The first piece of a segment; the previous segment is complete.
    Begin,
    /// A further piece of the current segment.
    Continue,
    /// A piece without bytes: the current segment is complete and the next one has not begun.
    End,
}

/// One access unit as MPEG-TS packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TsPiece {
    /// The position of the piece in its segment.
    pub place: TsPiecePlace,
    /// Whole packets of MPEG-TS.
    pub bytes: Bytes,
}
