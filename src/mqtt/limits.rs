//! The bounds and times of the MQTT client.
//!
//! Does not: apply the limits; the parts that use them do.

use std::time::Duration;

/// The longest message that is taken from the broker, in bytes: parameters of 64 KiB with their topic.
pub(super) const INCOMING_BYTES: usize = (64 << 10) + 1024;
/// The longest topic that is read.
pub(super) const TOPIC_BYTES: usize = 1024;
/// The longest message that is published: a picture.
pub(super) const OUTGOING_BYTES: usize = 1 << 20;
/// Messages that wait for the broker. When full, the oldest that is not a state is dropped.
pub(super) const WAITING: usize = 32;
/// Published messages that wait for the broker's confirmation. When full, publishing waits.
pub(super) const IN_FLIGHT: usize = 8;
/// Answers to the broker that wait to be written. When full, reading waits.
pub(super) const ANSWERS: usize = 32;
/// The bytes that are read from the broker in a second, on average: more than any use needs, and little work for a
/// small board.
pub(super) const PACKETS_PER_SECOND: u32 = 100;
pub(super) const BYTES_PER_SECOND: u32 = 256 << 10;
/// Commands that wait for the one that is carried out: more than come at once. When full, a command is refused.
pub(super) const COMMANDS: usize = 8;
/// Commands of a second, on average. Each change of the parameters is a message to the job and a write of a file.
pub(super) const COMMANDS_PER_SECOND: u32 = 5;
/// The time between two new jobs: each may cost the payment for a start.
pub(super) const RESTART_PAUSE: Duration = Duration::from_secs(10);
/// The longest id of a request.
pub(super) const ID_BYTES: usize = 64;
/// The time in which the agent has to answer a command; its loop never waits this long.
pub(super) const STEER_TIME: Duration = Duration::from_secs(10);
/// The bytes of one read.
pub(super) const READ_BYTES: usize = 4 << 10;

/// The first and the longest pause between two connections.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// After a connection of this length, the pauses begin short again.
pub(super) const LASTING: Duration = Duration::from_secs(30);

/// Times that tests shorten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// The broker must answer a new connection within this time.
    pub answer: Duration,
    /// A sign of life is asked for this often.
    pub ping: Duration,
    /// A connection on which nothing arrives or can be written for this long is given up.
    pub silence: Duration,
    /// A connection on which a message is not confirmed for this long is given up.
    pub confirmation: Duration,
    /// How often the agent's state is read, to find a change.
    pub look: Duration,
    /// How often the report is published if no state changes.
    pub report: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(15),
            ping: Duration::from_secs(20),
            silence: Duration::from_secs(35),
            confirmation: Duration::from_secs(120),
            look: Duration::from_secs(5),
            report: Duration::from_secs(60),
        }
    }
}

/// The time after which the broker may take this client for dead, in seconds: three pings.
pub(super) const KEEP_ALIVE: u16 = 60;
