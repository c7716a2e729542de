//! How a publication or subscription ended or failed, without its channel's URL.
//!
//! Does not: decide when it ends; `Publication` and `Subscription` do.

use std::fmt;
use std::time::Duration;

use crate::http::io::ConnectError;
use crate::limits::SEGMENTS_IN_FLIGHT;
use crate::trickle::{Channel, EndReason};
use resilience::fault::Fault;

/// How a publication or subscription ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelEnd {
    /// The caller stopped it, or its pieces ended.
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
#[derive(Debug)]
pub enum LinkError {
    /// No connection.
    Connect(Box<ConnectError>),
    /// The connection broke, or the answer is not HTTP.
    Broken(hyper::Error),
    /// The time limit passed.
    Timeout,
    /// The peer answered with this status before a segment was complete, or instead of accepting the segment.
    Answered(u16),
    /// A segment is larger than this many bytes.
    TooLarge(u64),
    /// The peer sent interim answers (1xx) faster than a real server does.
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

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => error.fmt(f),
            Self::Broken(error) if error.is_parse() => f.write_str("the answer is not HTTP"),
            Self::Broken(_) => f.write_str("the connection broke"),
            Self::Timeout => f.write_str("the peer does not take or give data in time"),
            Self::Answered(200) => f.write_str("the peer answered before the segment was complete"),
            Self::Answered(status) => write!(f, "the peer answered with status {status}"),
            Self::TooLarge(limit) => write!(f, "a segment is larger than {limit} bytes"),
            Self::Flood => f.write_str("the peer sends too many interim answers (1xx)"),
        }
    }
}

impl std::error::Error for LinkError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect(error) => error.source(),
            Self::Broken(error) => Some(error),
            Self::Timeout | Self::Answered(_) | Self::TooLarge(_) | Self::Flood => None,
        }
    }
}

/// Why a publication or subscription failed.
#[derive(Debug)]
pub enum TrickleError {
    /// This many attempts in a row got no answer; with the last cause.
    Unreachable(Channel, u32, Option<LinkError>),
    /// A failure that another attempt does not cure.
    Unusable(Channel, LinkError),
    /// The peer answered with this status several times in a row.
    Refused(Channel, u16),
    /// An answer has no seq, which it must have.
    NoSeq(Channel),
    /// This many segments in a row were lost; with the last cause.
    Lost(Channel, u32, Option<LinkError>),
    /// Nothing was delivered for this long; with the last cause.
    Stalled(Channel, Duration, Option<LinkError>),
    /// The peer answers segments more slowly than they are made.
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

impl fmt::Display for TrickleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(channel, tries, _) => {
                write!(f, "{channel}: given up after {tries} tries")
            }
            Self::Unusable(channel, _) => write!(f, "{channel}: cannot be used"),
            Self::Refused(channel, status) => {
                write!(f, "{channel}: the peer answers with status {status}")
            }
            Self::NoSeq(channel) => {
                write!(f, "{channel}: the peer does not number its segments; is it trickle?")
            }
            Self::Lost(channel, count, _) => {
                write!(f, "{channel}: {count} segments in a row did not get through")
            }
            Self::Stalled(channel, time, _) => {
                let seconds = time.as_secs_f64();
                write!(f, "{channel}: what was to be sent did not get through for {seconds} s")
            }
            Self::TooSlow(channel) => write!(
                f,
                "{channel}: {SEGMENTS_IN_FLIGHT} segments without an answer; the peer or the link is too slow"
            ),
        }
    }
}

impl std::error::Error for TrickleError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause().map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trickle::Purpose;
    use resilience::fault::chain;

    #[track_caller]
    fn check(why: EndReason, cause: Option<LinkError>, expected: &str) {
        let channel = Channel::parse("https://o:1/ai/trickle/hunter2", Purpose::Control);
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
        let text = "what was to be sent did not get through for 4.5 s";
        check(EndReason::Stalled(Duration::from_millis(4500)), None, text);
        check(EndReason::Refused(503), None, "the peer answers with status 503");
        check(EndReason::NoSeq, None, "the peer does not number its segments; is it trickle?");
        let text = "3 segments without an answer; the peer or the link is too slow";
        check(EndReason::TooSlow, None, text);
    }
}
