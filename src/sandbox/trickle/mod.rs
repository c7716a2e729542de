//! The trickle server: channels of numbered segments, with the real server's answers.
//!
//! The test `sandbox_replay` compares the answers with tests/fixtures/trickle-transcripts.txt, a recording of the real
//! Go server. The faults of the real server are copied: a finished seq that is sent again moves the leading edge back,
//! and the bytes of two publishers of one seq are mixed.
//!
//! Does not: know jobs or video.

mod answers;
mod channel;
mod channels;
pub(crate) mod io;

pub(crate) use channel::{Channel, Index, Readable, Segment, SegmentEnd};
pub(crate) use channels::{Channels, SharedChannel, TooMany};
