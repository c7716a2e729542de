//! Maps the method and path of a request to a part of the orchestrator.
//!
//! Does not: answer requests.

use crate::script::Endpoint;

/// The path of all trickle channels, as on go-livepeer.
pub(crate) const TRICKLE: &str = "/ai/trickle/";

/// A call with a short answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndpointCall<'a> {
    /// Pay for a live video job.
    Payment,
    /// Get fresh ticket parameters for a session.
    Refresh,
    /// Start a scope.
    Scope,
    /// List the runners.
    Discovery,
    /// Reserve a runner.
    Reserve(usize),
    /// End the session of a runner: runner and session.
    Stop(usize, &'a str),
    /// Pay for the session of a runner: runner and session.
    SessionPayment(usize, &'a str),
    /// Call the app of a session: runner, session and path.
    App(usize, &'a str, &'a str),
    /// Call the app of a single-shot runner: runner and path.
    Single(usize, &'a str),
}

impl EndpointCall<'_> {
    /// The name of the call in scripts and records.
    pub(crate) fn endpoint(self) -> Endpoint {
        match self {
            Self::Payment => Endpoint::Payment,
            Self::Refresh => Endpoint::Refresh,
            Self::Scope => Endpoint::Scope,
            Self::Discovery => Endpoint::Discovery,
            Self::Reserve(_) => Endpoint::Reserve,
            Self::Stop(..) => Endpoint::Stop,
            Self::SessionPayment(..) => Endpoint::SessionPayment,
            Self::App(..) => Endpoint::App,
            Self::Single(..) => Endpoint::Single,
        }
    }
}

/// The part of the orchestrator that answers a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// Start a live video job.
    Start,
    /// Answer a call for payments, runners or a scope.
    Call(EndpointCall<'a>),
    /// Make a channel.
    Create(&'a str),
    /// Close a channel.
    Delete(&'a str),
    /// Write a segment: channel and index.
    Publish(&'a str, &'a str),
    /// Read a segment, or get the next seq.
    Subscribe {
        /// The channel's name.
        name: &'a str,
        /// The last part of the path: a seq, `-1`, `-2` or `next`.
        index: &'a str,
        /// Whether to send the segment's bytes; false for HEAD.
        body: bool,
    },
    /// Close a segment: channel and index.
    DeleteSegment(&'a str, &'a str),
    /// Redirect to the same path with a slash at its end. The values are the path without the slash, and the query.
    Redirect(&'a str, Option<&'a str>),
    /// Refuse the method; the value lists the allowed methods.
    NotAllowed(&'static str),
    /// Answer 404.
    NotFound,
}

impl<'a> Route<'a> {
    /// Finds the route of a request.
    pub(crate) fn of(method: &str, path: &'a str) -> Self {
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        if let Some(rest) = path.strip_prefix(TRICKLE) {
            return Self::trickle(method, rest);
        }
        match (path, method) {
            ("/live-video-to-video", "POST") => Self::Start,
            ("/payment", "POST") => Self::Call(EndpointCall::Payment),
            ("/refresh-payment", "POST") => Self::Call(EndpointCall::Refresh),
            ("/scope", "POST") => Self::Call(EndpointCall::Scope),
            ("/discovery", "GET") => Self::Call(EndpointCall::Discovery),
            ("/live-video-to-video" | "/payment" | "/refresh-payment" | "/scope", _) => {
                Self::NotAllowed("POST")
            }
            ("/discovery", _) => Self::NotAllowed("GET"),
            _ if Self::is_app(path) => Self::Redirect(path, query),
            _ => Self::runner(method, path).unwrap_or(Self::NotFound),
        }
    }

    /// Whether the path is the root of an app without the slash at its end.
    fn is_app(path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').skip(1).take(6).collect();
        match parts.as_slice() {
            ["apps", runner, "app"] | ["apps", runner, "session", _, "app"] => {
                runner.strip_prefix('r').is_some_and(|number| number.parse::<usize>().is_ok())
            }
            _ => false,
        }
    }

    /// The route of `/apps/r{number}/…`.
    fn runner(method: &str, path: &'a str) -> Option<Self> {
        let (runner, rest) = path.strip_prefix("/apps/r")?.split_once('/')?;
        let runner = runner.parse().ok()?;
        if let Some(path) = rest.strip_prefix("app/") {
            let call = EndpointCall::Single(runner, path);
            return Some(if method == "POST" {
                Self::Call(call)
            } else {
                Self::NotAllowed("POST")
            });
        }
        let mut parts = rest.splitn(4, '/');
        let call = match (parts.next()?, parts.next(), parts.next(), parts.next()) {
            ("session", None, ..) => EndpointCall::Reserve(runner),
            ("session", Some(id), Some("stop"), None) => EndpointCall::Stop(runner, id),
            ("session", Some(id), Some("payment"), None) => {
                EndpointCall::SessionPayment(runner, id)
            }
            ("session", Some(id), Some("app"), Some(path)) => EndpointCall::App(runner, id, path),
            _ => return None,
        };
        Some(if method == "POST" { Self::Call(call) } else { Self::NotAllowed("POST") })
    }

    fn trickle(method: &str, rest: &'a str) -> Self {
        let (name, index) = match rest.split_once('/') {
            None => (rest, None),
            Some((name, index)) => (name, Some(index)),
        };
        match (index, method) {
            _ if name.is_empty() || index.is_some_and(|i| i.is_empty() || i.contains('/')) => {
                Self::NotFound
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

    /// The channel of a trickle request, and the index of the segment, if the path has one.
    pub(crate) fn channel(self) -> Option<(&'a str, Option<&'a str>)> {
        match self {
            Self::Create(name) | Self::Delete(name) => Some((name, None)),
            Self::Publish(name, index)
            | Self::Subscribe { name, index, .. }
            | Self::DeleteSegment(name, index) => Some((name, Some(index))),
            Self::Start
            | Self::Call(_)
            | Self::Redirect(..)
            | Self::NotAllowed(_)
            | Self::NotFound => None,
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
    fn paths_are_routed_as_by_the_real_server() {
        check("POST", "/live-video-to-video", Route::Start);
        check("GET", "/live-video-to-video", Route::NotAllowed("POST"));
        check("POST", "/payment", Route::Call(EndpointCall::Payment));
        check("POST", "/refresh-payment", Route::Call(EndpointCall::Refresh));
        check("GET", "/discovery", Route::Call(EndpointCall::Discovery));
        check("POST", "/discovery", Route::NotAllowed("GET"));
        check("POST", "/apps/r1/session", Route::Call(EndpointCall::Reserve(1)));
        check("POST", "/apps/r1/session/a/stop", Route::Call(EndpointCall::Stop(1, "a")));
        check(
            "POST",
            "/apps/r1/session/a/payment",
            Route::Call(EndpointCall::SessionPayment(1, "a")),
        );
        check("POST", "/apps/r1/session/a/app/x/y", Route::Call(EndpointCall::App(1, "a", "x/y")));
        check("POST", "/apps/r1/app/", Route::Call(EndpointCall::Single(1, "")));
        check("POST", "/apps/r1/app/v1/x?y", Route::Call(EndpointCall::Single(1, "v1/x")));
        check("POST", "/apps/r1/app", Route::Redirect("/apps/r1/app", None));
        check("GET", "/apps/r1/app?a=b", Route::Redirect("/apps/r1/app", Some("a=b")));
        let session = "/apps/r1/session/a/app";
        check("POST", session, Route::Redirect(session, None));
        check("GET", "/apps/r1/session", Route::NotAllowed("POST"));
        for path in ["/apps/r1", "/apps/x/session", "/apps/r1/session/a/b", "/apps/r-1/app"] {
            check("POST", path, Route::NotFound);
        }
        check("POST", "/ai/trickle/a", Route::Create("a"));
        check("DELETE", "/ai/trickle/a?x", Route::Delete("a"));
        check("GET", "/ai/trickle/a", Route::NotAllowed("DELETE, POST"));
        check("POST", "/ai/trickle/a/-1", Route::Publish("a", "-1"));
        let wanted = Route::Subscribe { name: "a", index: "next", body: true };
        check("GET", "/ai/trickle/a/next", wanted);
        check("DELETE", "/ai/trickle/a/3", Route::DeleteSegment("a", "3"));
        check("PUT", "/ai/trickle/a/0", Route::NotAllowed("DELETE, GET, HEAD, POST"));
        for path in ["/", "/ai/trickle/", "/ai/trickle/a/", "/ai/trickle/a/0/", "/ai/trickle//0"] {
            check("POST", path, Route::NotFound);
        }
    }
}
