//! How a publication or subscription ended or failed, without its channel's URL.
//!
//! Does not: decide when one ends; `Publication` and `Subscription` do.

use std::fmt;
use std::time::Duration;

use crate::http::io::ConnectError;
use crate::limits::SEGMENTS_IN_FLIGHT;
use crate::trickle::{Channel, EndReason};
use resilience::fault::Fault;

/// How a publication or subscription ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelEnd {
    /// The caller stopped the publication or subscription, or the pieces ended.
    Finished,
    /// The peer closed the channel.
    Closed,
    /// The channel does not exist.
    Missing,
}

impl fmt::Display for ChannelEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Finished => "finished",
            Self::Closed => "the channel is closed",
            Self::Missing => "the channel does not exist",
        })
    }
}

/// Why one request failed.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No connection.
    #[error(transparent)]
    Connect(Box<ConnectError>),
    /// The connection broke, or the answer is not HTTP.
    #[error("{}", broken(.0))]
    Broken(#[source] hyper::Error),
    /// The time limit passed.
    #[error("the peer does not take or give data in time")]
    Timeout,
    /// The peer answered with this status before a segment was complete, or instead of accepting the segment.
    #[error("the peer answered {}", answered(*.0))]
    Answered(u16),
    /// A segment is larger than this many bytes.
    #[error("a segment is larger than {0} bytes")]
    TooLarge(u64),
    /// The peer sent interim answers (1xx) faster than a real server does.
    #[error("the peer sends too many interim answers (1xx)")]
    Flood,
}

impl LinkError {
    /// Whether the host refused the connection: nothing listens on the port.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, Self::Connect(error) if error.is_refused())
    }

    /// How the caller must react.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Connect(error) => error.fault(),
            Self::Broken(error) if error.is_parse() => Fault::NextPeer,
            Self::Broken(_) | Self::Timeout | Self::Answered(_) => Fault::Retry,
            Self::TooLarge(_) | Self::Flood => Fault::NextPeer,
        }
    }
}

fn broken(error: &hyper::Error) -> &'static str {
    if error.is_parse() { "the answer is not HTTP" } else { "the connection broke" }
}

fn answered(status: u16) -> String {
    match status {
        200 => "before the segment was complete".to_owned(),
        _ => format!("with status {status}"),
    }
}

/// Why a publication or subscription failed.
#[derive(Debug, thiserror::Error)]
pub enum TrickleError {
    /// This many attempts in a row got no answer; with the last cause.
    #[error("{0}: given up after {1} tries")]
    Unreachable(Channel, u32, #[source] Option<LinkError>),
    /// A failure that another attempt does not cure.
    #[error("{0}: cannot be used")]
    Unusable(Channel, #[source] LinkError),
    /// The peer answered with this status several times in a row.
    #[error("{0}: the peer answers with status {1}")]
    Refused(Channel, u16),
    /// An answer has no seq, which it must have.
    #[error("{0}: the peer does not number its segments; is it trickle?")]
    NoSeq(Channel),
    /// This many segments in a row were lost; with the last cause.
    #[error("{0}: {1} segments in a row did not get through")]
    Lost(Channel, u32, #[source] Option<LinkError>),
    /// Nothing was delivered for this long; with the last cause.
    #[error("{0}: nothing was delivered for {seconds} s", seconds = .1.as_secs_f64())]
    Stalled(Channel, Duration, #[source] Option<LinkError>),
    /// The peer answers segments more slowly than they are made.
    #[error(
        "{0}: {SEGMENTS_IN_FLIGHT} segments without an answer; the peer or the link is too slow"
    )]
    TooSlow(Channel),
}

impl TrickleError {
    /// Converts the reason `why` to the end or error for the caller.
    pub(super) fn judge(
        why: EndReason,
        channel: Channel,
        cause: Option<LinkError>,
    ) -> Result<ChannelEnd, Self> {
        match why {
            EndReason::Closed => Ok(ChannelEnd::Closed),
            EndReason::Missing => Ok(ChannelEnd::Missing),
            EndReason::Lost(count) => Err(Self::Lost(channel, count, cause)),
            EndReason::TooSlow => Err(Self::TooSlow(channel)),
            EndReason::Stalled(time) => Err(Self::Stalled(channel, time, cause)),
            EndReason::Refused(status) => Err(Self::Refused(channel, status)),
            EndReason::NoSeq => Err(Self::NoSeq(channel)),
            EndReason::Unreachable(tries) => Err(Self::Unreachable(channel, tries, cause)),
        }
    }

    fn cause(&self) -> Option<&LinkError> {
        match self {
            Self::Unreachable(_, _, cause)
            | Self::Lost(_, _, cause)
            | Self::Stalled(_, _, cause) => cause.as_ref(),
            Self::Unusable(_, cause) => Some(cause),
            Self::Refused(..) | Self::NoSeq(_) | Self::TooSlow(_) => None,
        }
    }

    /// How the caller must react.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Unreachable(..) | Self::Lost(..) | Self::Stalled(..) | Self::Unusable(..) => {
                self.cause().map_or(Fault::Retry, LinkError::fault)
            }
            Self::Refused(..) | Self::NoSeq(_) | Self::TooSlow(_) => Fault::NextPeer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trickle::ChannelKind;
    use resilience::fault::chain;

    #[track_caller]
    fn check(why: EndReason, cause: Option<LinkError>, expected: &str) {
        let channel = Channel::parse("https://o:1/ai/trickle/hunter2", ChannelKind::Control);
        let error = TrickleError::judge(why, channel.expect("a channel"), cause);
        let expected = format!("control channel at https://o:1: {expected}");
        assert_eq!(chain(&error.expect_err("an error")), expected);
    }

    #[test]
    fn each_error_names_the_channel_and_the_cause() {
        let text = "given up after 3 tries: the peer does not take or give data in time";
        check(EndReason::Unreachable(3), Some(LinkError::Timeout), text);
        let text = "3 segments in a row did not get through: the peer answered with status 500";
        check(EndReason::Lost(3), Some(LinkError::Answered(500)), text);
        let text = "3 segments in a row did not get through: \
                    the peer answered before the segment was complete";
        check(EndReason::Lost(3), Some(LinkError::Answered(200)), text);
        let text = "nothing was delivered for 4.5 s";
        check(EndReason::Stalled(Duration::from_millis(4500)), None, text);
        check(EndReason::Refused(503), None, "the peer answers with status 503");
        check(EndReason::NoSeq, None, "the peer does not number its segments; is it trickle?");
        let text = "3 segments without an answer; the peer or the link is too slow";
        check(EndReason::TooSlow, None, text);
    }
}
