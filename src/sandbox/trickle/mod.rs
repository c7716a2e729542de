//! The trickle server: channels that carry numbered segments, and their answers, as the real server's.
//!
//! The truth is tests/fixtures/trickle-transcripts.txt, recorded from the real Go server; a test
//! replays it. What is strange there is strange here: a finished seq that is sent again rewinds the
//! channel, two publishers of one seq mix their bytes.
//!
//! Does not: know jobs, video, or why a channel exists.

mod answers;
mod channel;
mod channels;
pub(crate) mod io;

pub(crate) use channel::{Channel, Index, Readable, Segment, SegmentEnd};
pub(crate) use channels::{Channels, SharedChannel, TooMany};
