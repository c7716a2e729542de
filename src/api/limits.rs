//! The bounds of the API: how much a client may send, how long it may take, how many clients there may be.
//!
//! Does not: hold addresses; those are in `listen`.

use std::time::Duration;

/// The most connections at a time. A further one is answered with 503 and closed.
pub const CONNECTIONS: usize = 32;
/// The most viewers of live video at a time, over both streams. A further one is answered with 503.
pub const VIEWERS: usize = 8;
/// The most readers of events at a time. A further one is answered with 503.
pub const EVENT_READERS: usize = 8;
/// The largest head of a request, in bytes: twice what browsers send with cookies of other ports. A request with a
/// larger head is answered with 431.
pub const HEAD_BYTES: usize = 16 << 10;
/// Header lines of a request; browsers send about 15.
pub const HEAD_LINES: usize = 64;
/// The time limit for the head of a request. The time starts with the connection, or with the end of the answer before,
/// so it also limits how long a connection may be idle.
pub const HEAD_TIME: Duration = Duration::from_secs(10);
/// The largest body of a request. Prompts and settings of a model are a few KiB.
pub const BODY_BYTES: usize = 64 << 10;
/// Time for the body of a request.
pub const BODY_TIME: Duration = Duration::from_secs(10);
/// The longest time in which a client takes no byte of its answer.
pub const WRITE_TIME: Duration = Duration::from_secs(10);
/// Bytes that the kernel holds for a client: about a second of video, so that a slow viewer is noticed early.
pub const SEND_BUFFER: u32 = 256 << 10;
/// Bytes of video that may wait for one viewer: 4 s at 8 Mbit/s. A viewer for whom more would wait continues at the
/// newest key frame.
pub const VIEWER_BYTES: usize = 4 << 20;
/// Pieces of video that may wait for one viewer: 10 s at 24 frames/s.
pub const VIEWER_PIECES: usize = 256;
/// The longest time that a piece of video may wait for a viewer.
pub const VIEWER_TIME: Duration = Duration::from_secs(5);
/// The time limit for the first key frame after a viewer came. Without a key frame in this time, the answer is 503.
pub const FIRST_KEY_TIME: Duration = Duration::from_secs(10);
/// The time limits of one API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// [`HEAD_TIME`].
    pub head: Duration,
    /// [`BODY_TIME`].
    pub body: Duration,
    /// [`WRITE_TIME`].
    pub write: Duration,
    /// [`FIRST_KEY_TIME`].
    pub first_key: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self { head: HEAD_TIME, body: BODY_TIME, write: WRITE_TIME, first_key: FIRST_KEY_TIME }
    }
}

/// How long the newest pictures are kept after a snapshot, so that the next one does not wait for a key frame.
pub const SNAPSHOT_HOLD: Duration = Duration::from_secs(5);
/// The interval at which a snapshot checks for the first key frame.
pub const PICTURE_WAIT: Duration = Duration::from_millis(50);
/// The longest silence between two messages to a reader of events.
pub const EVENT_SILENCE: Duration = Duration::from_secs(15);
/// The shortest token. Shorter ones can be guessed.
pub const TOKEN_BYTES: usize = 16;
/// The first pause before the next try to listen.
pub const LISTEN_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two tries to listen.
pub const LISTEN_PAUSE_LIMIT: Duration = Duration::from_secs(60);
/// The pause after a connection could not be accepted, because the process has no descriptor left.
pub const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
