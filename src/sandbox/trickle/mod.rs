//! The trickle server: channels of numbered segments, with the real server's answers.
//!
//! A test compares it with tests/fixtures/trickle-transcripts.txt, recorded from the real Go server. The real server's
//! faults are copied: a finished seq that is sent again rewinds the channel, and two publishers of one seq mix their
//! bytes.
//!
//! Does not: know jobs or video.

mod answers;
mod channel;
mod channels;
pub(crate) mod io;

pub(crate) use channel::{Channel, Index, Readable, Segment, SegmentEnd};
pub(crate) use channels::{Channels, SharedChannel, TooMany};
