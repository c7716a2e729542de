//! Decides whether a URL that a peer gave is followed.
//!
//! | the URL names | peer on another machine | peer on this machine |
//! |---|---|---|
//! | another machine, https | follow | follow |
//! | another machine, plain HTTP | refuse | refuse |
//! | this machine | refuse: nobody out there sends us to our own services | follow |
//!
//! The certificate behind it is judged like that of any orchestrator.
//!
//! Does not: resolve names.

use std::fmt;

use crate::http::{Scheme, Url};

/// Why a URL is not followed. It does not show: it may be a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stray {
    /// It is no URL.
    NoUrl,
    /// It names another machine over plain HTTP.
    PlainHttp,
    /// It names this machine, and comes from another.
    Here,
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoUrl => "is no URL",
            Self::PlainHttp => "is plain HTTP to another machine, which is refused",
            Self::Here => "names this machine, which is refused",
        })
    }
}

impl std::error::Error for Stray {}

/// `given`, which came from `peer`, if it may be followed.
pub fn follow(peer: &Url, given: Url) -> Result<Url, Stray> {
    let here = |url: &Url| url.authority().is_loopback();
    match (here(&given), given.scheme()) {
        (true, _) if !here(peer) => Err(Stray::Here),
        (false, Scheme::Http) => Err(Stray::PlainHttp),
        (true | false, _) => Ok(given),
    }
}

/// Reads and judges a URL that came from `peer`.
pub(super) fn follow_text(peer: &Url, given: &str) -> Result<Url, Stray> {
    follow(peer, Url::parse(given.trim()).map_err(|_| Stray::NoUrl)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(peer: &str, given: &str, expected: Option<Stray>) {
        let peer = Url::parse(peer).unwrap();
        assert_eq!(follow_text(&peer, given).err(), expected, "{given} from {peer}");
    }

    #[test]
    fn the_table_holds() {
        let (far, near) = ("https://o.example:8935/apps/r/session", "http://127.0.0.1:8935/s");
        for peer in [far, near] {
            check(peer, "https://o.example:8935/x", None);
            check(peer, "https://other.example/x", None);
            check(peer, "http://o.example:8935/x", Some(Stray::PlainHttp));
            check(peer, "ftp://o.example/x", Some(Stray::NoUrl));
            check(peer, "/x", Some(Stray::NoUrl));
            check(peer, "https://me:pw@o.example/x", Some(Stray::NoUrl));
            check(peer, "", Some(Stray::NoUrl));
        }
        for given in ["http://127.0.0.1:1/x", "https://[::1]/x", "https://localhost/x"] {
            check(far, given, Some(Stray::Here));
            check(near, given, None);
        }
    }
}
