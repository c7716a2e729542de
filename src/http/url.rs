//! Parses addresses once, strictly, into a [`Url`] that cannot be wrong.
//!
//! Only `http` and `https`; user info and fragments are refused, a query only where it is allowed.
//!
//! Does not: resolve names, and does not hide secrets: a trickle URL has its own type.

use std::fmt;
use std::net::Ipv6Addr;

use crate::capacity::URL_BYTES;
use crate::words;

/// The longest name of a host (RFC 1035).
const HOST_BYTES: usize = 255;

/// The two schemes of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Without TLS: loopback, or where the user allowed it.
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    /// The scheme's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// A host (name or IP address, without brackets) and its port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Authority {
    host: String,
    port: u16,
}

impl Authority {
    /// The host: a name in lower case, an IPv4 address, or an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the host is this machine itself.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Why a text is no URL of this network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UrlError {
    /// No host, or characters that no URL has.
    Malformed(String),
    /// Another scheme than http or https.
    Scheme(String),
    /// `user:password@`: credentials do not belong into a URL.
    UserInfo,
    /// A query or a fragment where none belongs.
    Query(String),
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(text) => write!(f, "`{text}` is no URL; use https://host:port"),
            Self::Scheme(scheme) => write!(f, "scheme `{scheme}` is not supported; use https"),
            Self::UserInfo => f.write_str("a URL must not hold a user name or password"),
            Self::Query(text) => write!(f, "`{text}` must not have a query or fragment"),
        }
    }
}

impl std::error::Error for UrlError {}

/// An absolute URL. The path begins with `/` and holds the query, if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Url {
    scheme: Scheme,
    authority: Authority,
    path: String,
}

impl Url {
    /// Parses the base of a service: `https://host[:port][/path]`, or without a scheme, which means
    /// https. Trailing slashes are dropped. A missing port is `default_port` for a text without a
    /// scheme, else the scheme's own (80, 443).
    pub fn parse_base(text: &str, default_port: u16) -> Result<Self, UrlError> {
        let text = text.trim();
        if text.contains(['?', '#']) {
            return Err(UrlError::Query(without_query(text)));
        }
        let mut url = if text.contains("://") {
            Self::parse(text)?
        } else {
            Self::parse_with(&format!("https://{text}"), Some(default_port))?
        };
        url.path.truncate(url.path.trim_end_matches('/').len());
        Ok(url)
    }

    /// Parses a whole URL as a peer sends it: with scheme, a query allowed.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        Self::parse_with(text, None)
    }

    fn parse_with(text: &str, default_port: Option<u16>) -> Result<Self, UrlError> {
        let malformed = || UrlError::Malformed(without_query(text));
        // A URL is ASCII (RFC 3986); `http::Uri` is not as strict.
        if text.len() > URL_BYTES || !text.is_ascii() {
            return Err(malformed());
        }
        if text.contains('#') {
            return Err(UrlError::Query(without_query(text)));
        }
        let uri: http::Uri = text.parse().map_err(|_| malformed())?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            Some(other) => return Err(UrlError::Scheme(words::shown(other))),
            None => return Err(malformed()),
        };
        let authority = uri.authority().ok_or_else(malformed)?;
        if authority.as_str().contains('@') {
            return Err(UrlError::UserInfo);
        }
        let host = match authority.host().strip_prefix('[') {
            // Brackets stand around an IPv6 address, and nowhere else.
            Some(rest) => rest
                .strip_suffix(']')
                .filter(|host| host.parse::<Ipv6Addr>().is_ok())
                .ok_or_else(malformed)?,
            None => authority.host(),
        };
        if host.contains(['[', ']']) || host.is_empty() || host.len() > HOST_BYTES {
            return Err(malformed());
        }
        // http::Uri shows a port that it cannot read (`host:`, `host:99999`) as none at all.
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => default_port.unwrap_or(match scheme {
                Scheme::Http => 80,
                Scheme::Https => 443,
            }),
            rest => rest
                .and_then(|rest| rest.strip_prefix(':')?.parse().ok())
                .filter(|port| *port != 0)
                .ok_or_else(malformed)?,
        };
        Ok(Self {
            scheme,
            authority: Authority { host: host.to_ascii_lowercase(), port },
            path: uri.path_and_query().map_or_else(String::new, |p| p.as_str().to_owned()),
        })
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Host and port.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The path and query as they stand in a request line.
    pub fn path(&self) -> &str {
        if self.path.is_empty() { "/" } else { &self.path }
    }

    /// Scheme, host and port alone.
    #[must_use]
    pub fn origin(&self) -> Self {
        Self { scheme: self.scheme, authority: self.authority.clone(), path: String::new() }
    }

    /// This URL with `rest` (which begins with `/`) behind its path.
    pub fn join(&self, rest: &str) -> Self {
        let base = self.path.trim_end_matches('/');
        Self {
            scheme: self.scheme,
            authority: self.authority.clone(),
            path: format!("{base}/{}", rest.trim_start_matches('/')),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.as_str(), self.authority, self.path)
    }
}

/// A text for an error message: what stands behind `?`, `#` or before `@` may be a credential.
fn without_query(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let text = text.rsplit('@').next().unwrap_or_default();
    words::shown(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, UrlError>) {
        assert_eq!(Url::parse_base(text, 8935).map(|u| u.to_string()), expected.map(str::to_owned));
    }

    #[test]
    fn bases_are_read_strictly() {
        check("https://orch.example:8935", Ok("https://orch.example:8935"));
        check("https://Orch.Example:8935///", Ok("https://orch.example:8935"));
        check("orch.example", Ok("https://orch.example:8935"));
        check("orch.example:9000/base/", Ok("https://orch.example:9000/base"));
        check("https://orch.example", Ok("https://orch.example:443"));
        check("http://127.0.0.1:80", Ok("http://127.0.0.1:80"));
        check("https://[::1]:8935/", Ok("https://[::1]:8935"));
        check("https://u:p@h:1", Err(UrlError::UserInfo));
        check("ftp://h:1", Err(UrlError::Scheme("ftp".into())));
        check("https://h:1/?a=b", Err(UrlError::Query("https://h:1/".into())));
        check("https://h:1#x", Err(UrlError::Query("https://h:1".into())));
        check("", Err(UrlError::Malformed("https://".into())));
        check("https://h:99999", Err(UrlError::Malformed("https://h:99999".into())));
        check("https://h:", Err(UrlError::Malformed("https://h:".into())));
        check("https://h:0", Err(UrlError::Malformed("https://h:0".into())));
        check(
            "https://h/d\u{e9}j\u{e0}",
            Err(UrlError::Malformed("https://h/d\u{e9}j\u{e0}".into())),
        );
        check("https://h/\u{9d}", Err(UrlError::Malformed("https://h/ ".into())));
        for bad in
            ["https://h[]/h", "https://[h]:1", "https://[::1", "https://::1]", "https://[]:1"]
        {
            check(bad, Err(UrlError::Malformed(bad.into())));
        }
        check("https://h h:1", Err(UrlError::Malformed("https://h h:1".into())));
    }

    #[test]
    fn paths_are_joined_with_one_slash() {
        let base = Url::parse_base("https://h:1/a/", 1).expect("a URL");
        assert_eq!(base.join("/b/c").to_string(), "https://h:1/a/b/c");
        assert_eq!(base.join("b").path(), "/a/b");
        assert_eq!(Url::parse("https://h:1").expect("a URL").path(), "/");
    }

    #[test]
    fn a_url_is_bounded_and_an_error_of_it_is_one_line() {
        let long = |host: usize, path: usize| {
            Url::parse(&format!("https://{}/{}", "h".repeat(host), "p".repeat(path)))
        };
        assert!(long(255, 1000).is_ok());
        for (host, path) in [(256, 1), (1, URL_BYTES), (1 << 20, 1)] {
            let error = long(host, path).expect_err("refused").to_string();
            assert!(error.chars().count() < 300, "{error}");
        }
        for bad in ["https://h\u{1b}[2J\r\nINFO all is well", "\u{202e}https://h"] {
            let error = Url::parse(bad).expect_err("refused").to_string();
            assert!(!error.contains(words::is_harmful), "{error:?}");
        }
    }

    #[test]
    fn an_error_shows_no_credential() {
        for bad in ["https://me:hunter2@ h:1", "https://h h/?token=hunter2"] {
            let error = Url::parse(bad).expect_err("refused").to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
