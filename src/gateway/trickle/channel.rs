//! A channel's URL, which is never shown in a log or error: anyone who has the URL may read and write the channel.
//!
//! Does not: open connections.

use std::fmt;

use crate::http::{Url, UrlError};
use crate::segment::Seq;

/// The purpose of a channel; logs name the channel by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelKind {
    /// Media to the orchestrator.
    Publish,
    /// Processed media from the orchestrator.
    Subscribe,
    /// Parameters and keep-alives to the orchestrator.
    Control,
    /// Events from the orchestrator.
    Events,
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
            Self::Control => "control",
            Self::Events => "events",
        })
    }
}

/// A channel's URL. `Debug` and `Display` show its purpose, scheme, host and port only.
#[derive(Clone, PartialEq, Eq)]
pub struct Channel {
    url: Url,
    purpose: ChannelKind,
}

impl Channel {
    /// Parses the URL that a peer gave for a channel. It needs a scheme and must not have a query. Trailing slashes are
    /// dropped, because the server has no channel at such a path.
    pub fn parse(text: &str, purpose: ChannelKind) -> Result<Self, ChannelError> {
        let failed = |reason| ChannelError { purpose, reason };
        if !text.contains("://") {
            return Err(failed("it has no scheme"));
        }
        let url = Url::parse_base(text, 443).map_err(|error| {
            failed(match error {
                UrlError::Malformed(_) => "it is not a URL",
                UrlError::Scheme(_) => "its scheme is neither http nor https",
                UrlError::UserInfo => "it holds a user name or password",
                UrlError::Query(_) => "it has a query or a fragment",
            })
        })?;
        if url.path() == "/" {
            return Err(failed("it has no path"));
        }
        Ok(Self { url, purpose })
    }

    /// The same channel, if `follow` allows its URL. Use it to check where the URL leads before connecting.
    pub fn followed<E>(self, follow: impl FnOnce(Url) -> Result<Url, E>) -> Result<Self, E> {
        Ok(Self { url: follow(self.url)?, purpose: self.purpose })
    }

    /// The whole URL. Use it for requests only: it is a credential.
    pub fn expose(&self) -> &Url {
        &self.url
    }

    /// The path of a segment.
    pub(super) fn segment_path(&self, seq: Seq) -> String {
        format!("{}/{seq}", self.url.path())
    }

    /// The path of a request for the next seq to write.
    pub(super) fn next_path(&self) -> String {
        format!("{}/next", self.url.path())
    }

    /// The path of the newest segment, which is still being written.
    pub(super) fn live_path(&self) -> String {
        format!("{}/-2", self.url.path())
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, purpose } = self;
        write!(f, "{purpose} channel at {}://{}", url.scheme().as_str(), url.authority())
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Channel({self})")
    }
}

/// Why a text cannot be used as a channel's URL. The text is not kept, because it may be a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the peer's URL of the {purpose} channel is unusable: {reason}")]
pub struct ChannelError {
    purpose: ChannelKind,
    reason: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let channel = Channel::parse(text, ChannelKind::Publish);
        let paths = channel.as_ref().map(|c| c.segment_path(Seq(7))).map_err(|e| e.reason);
        assert_eq!(paths, expected.map(str::to_owned));
    }

    #[test]
    fn a_channel_is_a_whole_url_without_query() {
        check("https://o.example:8935/ai/trickle/abc", Ok("/ai/trickle/abc/7"));
        check("http://127.0.0.1:1/ai/trickle/abc//", Ok("/ai/trickle/abc/7"));
        check("o.example:8935/ai/trickle/abc", Err("it has no scheme"));
        check("https://o.example:8935", Err("it has no path"));
        check("https://o.example:8935/", Err("it has no path"));
        check("ftp://o.example/abc", Err("its scheme is neither http nor https"));
        check("https://u:p@o.example/abc", Err("it holds a user name or password"));
        check("https://o.example/abc?t=1", Err("it has a query or a fragment"));
        check("https://o example/abc", Err("it is not a URL"));
        check("", Err("it has no scheme"));
    }

    #[test]
    fn a_channel_never_shows_its_path() {
        let channel =
            Channel::parse("https://o.example:8935/ai/trickle/hunter2", ChannelKind::Events);
        let channel = channel.expect("a channel");
        assert_eq!(channel.to_string(), "events channel at https://o.example:8935");
        assert_eq!(format!("{channel:?}"), "Channel(events channel at https://o.example:8935)");
        assert_eq!(channel.next_path(), "/ai/trickle/hunter2/next");
        assert_eq!(channel.live_path(), "/ai/trickle/hunter2/-2");
        let error =
            Channel::parse("https://o example/hunter2", ChannelKind::Events).expect_err("no");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
