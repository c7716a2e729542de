//! Why there is no connection to the broker, and why a command is refused.
//!
//! Does not: contain the credential, or words of the broker or of the sender of a command.

use std::io;
use std::time::Duration;

use super::limits::{COMMANDS_PER_SECOND, ID_BYTES, INCOMING_BYTES, RESTART_PAUSE, STEER_TIME};
use crate::agent::ControlError;
use livepeer_gateway::http::io::{CaFileError, ConnectError};
use resilience::secret::io::SecretError;

/// Why there is no connection to the broker. The caller adds the broker's address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokerError {
    /// The credential cannot be read.
    #[error("mqtt.credential")]
    Credential(#[source] SecretError),
    /// The credential has no colon.
    #[error("mqtt.credential: the secret is not `user:password`")]
    NoPassword,
    /// The authorities cannot be read.
    #[error("mqtt.ca-file")]
    Authorities(#[source] CaFileError),
    /// A topic is not valid.
    #[error("mqtt.prefix: `{0}` is not a topic")]
    Topic(String),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The broker is on the Internet, and the connection is not encrypted.
    #[error(
        "its address is on the Internet, and mqtt:// has no TLS; use mqtts://, or set mqtt.allow-plain = true"
    )]
    Public,
    /// The broker refuses the credential, or wants one.
    #[error("the broker refuses the user or password; check mqtt.credential")]
    Credentials,
    /// The broker refuses this client for another reason.
    #[error("the broker refuses the connection: {0}")]
    Refused(&'static str),
    /// The broker did not answer the request for a connection.
    #[error("the broker has not answered within {} s", .0.as_secs())]
    NoAnswer(Duration),
    /// The connection is dead.
    #[error("nothing has come from the broker for {} s", .0.as_secs())]
    Silent(Duration),
    /// The broker does not read.
    #[error("the broker has read nothing for {} s", .0.as_secs())]
    Stuck(Duration),
    /// The broker does not confirm messages.
    #[error("the broker has not confirmed a message within {} s", .0.as_secs())]
    NotConfirmed(Duration),
    /// The broker closed the connection before it accepted it.
    #[error("the broker closed the connection without an answer; check the port")]
    HungUp,
    /// The broker closed the connection.
    #[error(
        "the broker closed the connection; another client may have the same name (status.instance)"
    )]
    Closed,
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    /// The broker sent something that is not MQTT 3.1.1.
    #[error("the broker does not speak MQTT 3.1.1; check the port")]
    Malformed,
}

/// Why a command is refused. The texts are the answers to the sender.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    /// The broker had kept the message.
    #[error(
        "the broker has kept this command: it is not carried out, because it would be again with each connection; publish commands without retain, and clear the topic with an empty retained message"
    )]
    Kept,
    /// The message is not a JSON object.
    #[error("the message must be a JSON object")]
    NoObject,
    /// The message is not text.
    #[error("the message must be text in UTF-8")]
    NoText,
    /// The message is not the only word that is taken.
    #[error("the message must be {0}")]
    Word(&'static str),
    /// A key has a wrong value.
    #[error("{0} must be {1}")]
    Value(&'static str, &'static str),
    /// None or several commands.
    #[error("exactly one of params, job and restart must be given")]
    NotOne,
    /// A key is unknown, or does not belong to the command.
    #[error(
        "a key is not known here: params may have replace, a start may have for, each command may have id"
    )]
    UnknownKey,
    /// The id cannot be repeated in the answer.
    #[error("id must be a number, or text of at most {ID_BYTES} bytes")]
    Id,
    /// The message was not read.
    #[error("a message of {0} bytes is too long: at most {INCOMING_BYTES} bytes are read")]
    TooLong(usize),
    /// There are too many commands.
    #[error(
        "too many commands: at most {COMMANDS_PER_SECOND} a second on average; more are dropped"
    )]
    TooMany,
    /// Other commands wait.
    #[error("the commands before this one are not done yet: send it again later")]
    Busy,
    /// The last new job is too recent.
    #[error("a new job was asked for less than {} s ago", RESTART_PAUSE.as_secs())]
    TooSoon,
    /// The agent is busy.
    #[error("the agent has not answered within {} s", STEER_TIME.as_secs())]
    NoAnswer,
    /// The agent refuses.
    #[error(transparent)]
    Control(#[from] ControlError),
}
