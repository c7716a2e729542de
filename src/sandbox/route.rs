//! Which part of the orchestrator a request is for.
//!
//! Does not: answer.

/// Where trickle channels live, as on go-livepeer.
pub(crate) const TRICKLE: &str = "/ai/trickle/";

/// A part of the orchestrator, by method and path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// Start a live video job.
    Start,
    /// Pay for one.
    Payment,
    /// Make a channel.
    Create(&'a str),
    /// Close a channel.
    Delete(&'a str),
    /// Write a segment.
    Publish(&'a str, &'a str),
    /// Read a segment, or ask for the next seq; `body` is false for HEAD.
    Subscribe {
        /// The channel's name.
        name: &'a str,
        /// The last part of the path.
        index: &'a str,
        /// Whether the segment's bytes are wanted.
        body: bool,
    },
    /// Close a segment.
    DeleteSegment(&'a str, &'a str),
    /// The path exists, the method does not; the ones that do.
    NotAllowed(&'static str),
    /// Nothing is there.
    Nothing,
}

impl<'a> Route<'a> {
    /// Finds the part.
    pub(crate) fn of(method: &str, path: &'a str) -> Self {
        let path = path.split('?').next().unwrap_or_default();
        if let Some(rest) = path.strip_prefix(TRICKLE) {
            return Self::trickle(method, rest);
        }
        match (path, method) {
            ("/live-video-to-video", "POST") => Self::Start,
            ("/payment", "POST") => Self::Payment,
            ("/live-video-to-video" | "/payment", _) => Self::NotAllowed("POST"),
            _ => Self::Nothing,
        }
    }

    fn trickle(method: &str, rest: &'a str) -> Self {
        let (name, index) = match rest.split_once('/') {
            None => (rest, None),
            Some((name, index)) => (name, Some(index)),
        };
        match (index, method) {
            _ if name.is_empty() || index.is_some_and(|i| i.is_empty() || i.contains('/')) => {
                Self::Nothing
            }
            (None, "POST") => Self::Create(name),
            (None, "DELETE") => Self::Delete(name),
            (None, _) => Self::NotAllowed("DELETE, POST"),
            (Some(index), "POST") => Self::Publish(name, index),
            (Some(index), "GET") => Self::Subscribe { name, index, body: true },
            (Some(index), "HEAD") => Self::Subscribe { name, index, body: false },
            (Some(index), "DELETE") => Self::DeleteSegment(name, index),
            (Some(_), _) => Self::NotAllowed("DELETE, GET, HEAD, POST"),
        }
    }

    /// The channel and the segment in it, if it is about one.
    pub(crate) fn channel(self) -> Option<(&'a str, Option<&'a str>)> {
        match self {
            Self::Create(name) | Self::Delete(name) => Some((name, None)),
            Self::Publish(name, index)
            | Self::Subscribe { name, index, .. }
            | Self::DeleteSegment(name, index) => Some((name, Some(index))),
            Self::Start | Self::Payment | Self::NotAllowed(_) | Self::Nothing => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &str, path: &str, expected: Route<'_>) {
        assert_eq!(Route::of(method, path), expected);
    }

    #[test]
    fn paths_lead_where_the_real_server_leads_them() {
        check("POST", "/live-video-to-video", Route::Start);
        check("GET", "/live-video-to-video", Route::NotAllowed("POST"));
        check("POST", "/payment", Route::Payment);
        check("POST", "/ai/trickle/a", Route::Create("a"));
        check("DELETE", "/ai/trickle/a?x", Route::Delete("a"));
        check("GET", "/ai/trickle/a", Route::NotAllowed("DELETE, POST"));
        check("POST", "/ai/trickle/a/-1", Route::Publish("a", "-1"));
        let wanted = Route::Subscribe { name: "a", index: "next", body: true };
        check("GET", "/ai/trickle/a/next", wanted);
        check("DELETE", "/ai/trickle/a/3", Route::DeleteSegment("a", "3"));
        check("PUT", "/ai/trickle/a/0", Route::NotAllowed("DELETE, GET, HEAD, POST"));
        for path in ["/", "/ai/trickle/", "/ai/trickle/a/", "/ai/trickle/a/0/", "/ai/trickle//0"] {
            check("POST", path, Route::Nothing);
        }
    }
}
