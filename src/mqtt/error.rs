//! Why there is no connection to the broker.
//!
//! Does not: contain the credential, or words of the broker.

use std::io;
use std::time::Duration;

use livepeer_gateway::http::io::{CaFileError, ConnectError};
use resilience::secret::io::SecretError;

/// Why there is no connection to the broker. The caller adds the broker's address.
#[derive(Debug, thiserror::Error)]
pub(super) enum BrokerError {
    /// The credential cannot be read.
    #[error("mqtt.credential: {0}")]
    Credential(SecretError),
    /// The credential has no colon.
    #[error("mqtt.credential: the secret is not `user:password`")]
    NoPassword,
    /// The authorities cannot be read.
    #[error("mqtt.ca-file: {0}")]
    Authorities(CaFileError),
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
