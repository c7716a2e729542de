//! Decides whether an HTTP redirect is followed.
//!
//! | answer | result |
//! |---|---|
//! | 301, 307 or 308 to the same scheme, host and port | the same request, with the same headers and body, to the new path |
//! | 301, 307 or 308 to another origin | refused: the body and the payment are meant for this peer only |
//! | more than [`MAX_REDIRECTS`] redirects in one call | refused |
//! | anything else | taken as the final answer |
//!
//! go-livepeer redirects `…/app` to `…/app/`, because its mux serves `/apps/{id}/app/{app_path...}`: with 307 if it
//! is built with Go 1.26, with 301 before.
//!
//! Does not: repeat the request.

use std::fmt;

use crate::http::Url;

/// The maximum number of redirects that one call follows.
const MAX_REDIRECTS: u8 = 4;

/// Why a redirect is not followed. The error does not contain the target, which may be a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedirectError {
    /// The `Location` of the redirect is missing or unusable.
    Nowhere,
    /// The redirect leads to another scheme, host or port.
    OtherOrigin,
    /// The call was redirected too often.
    NoEnd,
}

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nowhere => "is redirected without a usable Location",
            Self::OtherOrigin => "is redirected to another host, which is refused",
            Self::NoEnd => "is redirected again and again",
        })
    }
}

/// What the caller must do with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub(super) enum RedirectDecision {
    /// Use the answer as the final one.
    No,
    /// Repeat the same request at this URL.
    To(Url),
    /// Fail the call, for this reason.
    Refused(RedirectError),
}

/// The number of redirects in one call so far.
#[derive(Debug, Default)]
pub(super) struct RedirectCount(u8);

impl RedirectCount {
    /// Call this with the status and the `Location` of each answer to a request at `from`.
    pub(super) fn on_answer(
        &mut self,
        from: &Url,
        status: u16,
        location: Option<&str>,
    ) -> RedirectDecision {
        if !matches!(status, 301 | 307 | 308) {
            return RedirectDecision::No;
        }
        if self.0 == MAX_REDIRECTS {
            return RedirectDecision::Refused(RedirectError::NoEnd);
        }
        self.0 += 1;
        match location.and_then(|location| resolve(from, location)) {
            None => RedirectDecision::Refused(RedirectError::Nowhere),
            Some(to) if to.origin() != from.origin() => {
                RedirectDecision::Refused(RedirectError::OtherOrigin)
            }
            Some(to) => RedirectDecision::To(to.with_rights_of(from)),
        }
    }
}

/// A `Location` as a URL: a whole one, one without its scheme, or a path of this host.
fn resolve(from: &Url, location: &str) -> Option<Url> {
    let text = if location.starts_with("//") {
        format!("{}:{location}", from.scheme().as_str())
    } else if location.starts_with('/') {
        format!("{}{location}", from.origin())
    } else {
        location.to_owned()
    };
    Url::parse(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{AnsweringPeer, Zone, follow};

    fn from() -> Url {
        Url::parse("https://o.example:8935/apps/r/app").unwrap()
    }

    #[track_caller]
    fn check(status: u16, location: Option<&str>, expected: RedirectDecision) {
        let found = RedirectCount::default().on_answer(&from(), status, location);
        assert_eq!(found, expected, "{status} {location:?}");
    }

    #[test]
    fn a_redirect_keeps_the_reach_of_its_url() {
        let orchestrator = Url::parse("https://orchestrator.example").unwrap();
        let given = AnsweringPeer { url: &orchestrator, zone: Zone::Public };
        let from = follow(given, from()).unwrap();
        let RedirectDecision::To(to) = RedirectCount::default().on_answer(&from, 307, Some("/x"))
        else {
            panic!()
        };
        assert_eq!((to.reach(), to.under()), (Zone::Public, Some(orchestrator.authority())));
    }

    #[test]
    fn redirects_are_followed_as_the_table_says() {
        let to = |text| RedirectDecision::To(Url::parse(text).unwrap());
        let here = "https://o.example:8935/apps/r/app/";
        for status in [301, 307, 308] {
            check(status, Some("/apps/r/app/"), to(here));
            check(status, Some(here), to(here));
            check(status, Some("//o.example:8935/apps/r/app/"), to(here));
            check(status, Some("/a?b=c"), to("https://o.example:8935/a?b=c"));
        }
        for status in [200, 302, 303, 304, 402, 503] {
            check(status, Some("/apps/r/app/"), RedirectDecision::No);
        }
        for other in [
            "http://o.example:8935/apps/r/app/",
            "https://o.example/apps/r/app/",
            "https://o.example:8936/",
            "https://other.example:8935/apps/r/app/",
            "//other.example:8935/",
            "http://127.0.0.1:8935/",
        ] {
            check(307, Some(other), RedirectDecision::Refused(RedirectError::OtherOrigin));
        }
        for none in
            [None, Some(""), Some("app/"), Some("https://me:pw@o.example:8935/"), Some("/\0")]
        {
            check(307, none, RedirectDecision::Refused(RedirectError::Nowhere));
        }
    }

    #[test]
    fn the_number_of_redirects_is_limited() {
        let mut moves = RedirectCount::default();
        for _ in 0..MAX_REDIRECTS {
            assert!(matches!(moves.on_answer(&from(), 307, Some("/x")), RedirectDecision::To(_)));
        }
        let ended = moves.on_answer(&from(), 307, Some("/x"));
        assert_eq!(ended, RedirectDecision::Refused(RedirectError::NoEnd));
    }
}
