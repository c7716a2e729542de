//! Says how a publication or subscription ended, or what went wrong with it, without showing its channel's URL.
//!
//! Does not: decide when it is over; the machines do.

use std::fmt;

use crate::fault::Fault;
use crate::http::io::ConnectError;
use crate::trickle::{Channel, LOST_IN_A_ROW, TRIES, Why};

/// How a publication or subscription ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// We stopped it, or there were no more pieces.
    Finished,
    /// The channel was closed by the peer.
    Closed,
    /// The channel is not there (any more).
    Missing,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Finished => "finished",
            Self::Closed => "the peer closed the channel",
            Self::Missing => "the channel does not exist any more",
        })
    }
}

/// Why one request got no answer.
#[derive(Debug)]
pub enum LinkError {
    /// No connection.
    Connect(Box<ConnectError>),
    /// The connection broke, or what came back is no HTTP.
    Broken(hyper::Error),
    /// Not within the time limit.
    Timeout,
    /// A segment is larger than this many bytes.
    TooLarge(u64),
    /// Interim answers (1xx) came faster than any server has reason to send them.
    Flood,
}

impl LinkError {
    /// Whether the host is there, but nobody listens any more.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Connect(error) if error.is_refused())
    }

    /// What comes next.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Connect(error) => error.fault(),
            Self::Broken(error) if error.is_parse() => Fault::NextPeer,
            Self::Broken(_) | Self::Timeout => Fault::Retry,
            Self::TooLarge(_) | Self::Flood => Fault::NextPeer,
        }
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => error.fmt(f),
            Self::Broken(error) if error.is_parse() => f.write_str("the answer is no HTTP"),
            Self::Broken(_) => f.write_str("the connection broke"),
            Self::Timeout => f.write_str("the peer does not take or give data in time"),
            Self::TooLarge(limit) => write!(f, "a segment is larger than {limit} bytes"),
            Self::Flood => f.write_str("the peer floods us with interim answers"),
        }
    }
}

impl std::error::Error for LinkError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect(error) => error.source(),
            Self::Broken(error) => Some(error),
            Self::Timeout | Self::TooLarge(_) | Self::Flood => None,
        }
    }
}

/// What went wrong with a publication or subscription.
#[derive(Debug)]
pub enum TrickleError {
    /// No connection, or only broken ones, several times in a row; the last cause.
    Unreachable(Channel, Option<LinkError>),
    /// The peer answers with this status, several times in a row.
    Refused(Channel, u16),
    /// The answer to `/next` holds no seq.
    NoSeq(Channel),
    /// Several segments in a row were lost; the last cause, if it was a connection.
    Lost(Channel, Option<LinkError>),
    /// The peer takes segments slower than they are made.
    TooSlow(Channel),
}

impl TrickleError {
    /// What `why` is for a caller: an end or an error.
    pub(super) fn judge(why: Why, channel: Channel, cause: Option<LinkError>) -> Result<End, Self> {
        match why {
            Why::Closed => Ok(End::Closed),
            Why::Missing => Ok(End::Missing),
            Why::Lost => Err(Self::Lost(channel, cause)),
            Why::TooSlow => Err(Self::TooSlow(channel)),
            Why::Refused(status) => Err(Self::Refused(channel, status)),
            Why::Unreachable => Err(Self::Unreachable(channel, cause)),
        }
    }

    /// What comes next.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Unreachable(_, cause) | Self::Lost(_, cause) => {
                cause.as_ref().map_or(Fault::Retry, LinkError::fault)
            }
            Self::Refused(..) | Self::NoSeq(_) | Self::TooSlow(_) => Fault::NextPeer,
        }
    }
}

impl fmt::Display for TrickleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(channel, Some(cause)) if cause.fault() != Fault::Retry => {
                write!(f, "{channel}: cannot be used")
            }
            Self::Unreachable(channel, _) => write!(f, "{channel}: no answer in {TRIES} tries"),
            Self::Refused(channel, status) => {
                write!(f, "{channel}: the peer answers with status {status}")
            }
            Self::NoSeq(channel) => {
                write!(f, "{channel}: the peer does not tell the next segment; is it trickle?")
            }
            Self::Lost(channel, _) => {
                write!(f, "{channel}: {LOST_IN_A_ROW} segments in a row lost")
            }
            Self::TooSlow(channel) => {
                write!(f, "{channel}: the peer or the link is too slow for this bitrate")
            }
        }
    }
}

impl std::error::Error for TrickleError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreachable(_, cause) | Self::Lost(_, cause) => {
                cause.as_ref().map(|cause| cause as &(dyn std::error::Error + 'static))
            }
            Self::Refused(..) | Self::NoSeq(_) | Self::TooSlow(_) => None,
        }
    }
}
