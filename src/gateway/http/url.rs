//! Parses a text strictly into a [`Url`], which is always valid.
//!
//! The scheme is `http` or `https`. User info and fragments are refused; a query is allowed in [`Url::parse`] only.
//! Hosts are normalised: lower case, no trailing dot, IPv6 addresses in their shortest form. Numbers that a resolver
//! would read as an IPv4 address (`127.1`, `0x7f000001`, `0177.0.0.1`) are refused.
//!
//! A URL that a peer gave also carries the zones that it may lead to and the orchestrator that named it; see `follow`.
//!
//! Does not: resolve names, or hide secrets: use `trickle::Channel` for trickle URLs.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::http::Zone;
use resilience::sanitize;

/// The longest URL: a channel's has 150 bytes, one with a token in its query some 2 KiB.
const URL_BYTES: usize = 8 << 10;

/// The longest host name, in bytes (RFC 1035).
const HOST_BYTES: usize = 255;

/// The scheme of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Without TLS: for loopback, or where the user allows it.
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    /// The scheme's name.
    pub(crate) fn as_str(self) -> &'static str {
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
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The zone of an address or of `localhost`; `None` for other names, which must be resolved first.
    pub fn zone(&self) -> Option<Zone> {
        if self.host == "localhost" || self.host.ends_with(".localhost") {
            return Some(Zone::ThisComputer);
        }
        self.host.parse().ok().map(Zone::of)
    }

    /// Whether the host is certainly this computer, so that plain HTTP never leaves it.
    pub fn is_loopback(&self) -> bool {
        // Some resolvers send names below `localhost` to a DNS server (RFC 6761, section 6.3).
        let is_address = |host: &str| host.parse::<IpAddr>().is_ok();
        self.zone() == Some(Zone::ThisComputer)
            && (self.host == "localhost" || is_address(&self.host))
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

/// Why a text cannot be used as a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No host, or invalid characters.
    #[error("`{0}` is not a URL; use https://host:port")]
    Malformed(String),
    /// Another scheme than http or https.
    #[error("scheme `{0}` is not supported; use https")]
    Scheme(String),
    /// `user:password@`: credentials are not allowed in a URL.
    #[error("a URL must not hold a user name or password")]
    UserInfo,
    /// A query or fragment that is not allowed here.
    #[error("`{0}` must not have a query or fragment")]
    Query(String),
}

/// An absolute URL. The path begins with `/` and includes the query.
///
/// URLs with equal scheme, host, port and path are equal, whatever their reach and orchestrator.
#[derive(Debug, Clone)]
pub struct Url {
    scheme: Scheme,
    authority: Authority,
    path: Box<str>,
    reach: Zone,
    under: Option<Arc<Authority>>,
}

impl PartialEq for Url {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Url {}

impl Hash for Url {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl Url {
    fn parts(&self) -> (Scheme, &Authority, &str) {
        (self.scheme, &self.authority, &self.path)
    }

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
        url.path = url.path.trim_end_matches('/').into();
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
            Some(other) => return Err(UrlError::Scheme(sanitize::message(other))),
            None => return Err(malformed()),
        };
        let authority = uri.authority().ok_or_else(malformed)?;
        if authority.as_str().contains('@') {
            return Err(UrlError::UserInfo);
        }
        let host = host(authority.host()).ok_or_else(malformed)?;
        // http::Uri returns no port for an invalid one (`host:`, `host:99999`).
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
            authority: Authority { host, port },
            path: uri.path_and_query().map_or_else(Box::default, |p| p.as_str().into()),
            reach: Zone::ThisComputer,
            under: None,
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

    /// The path and query for a request line.
    pub fn path(&self) -> &str {
        if self.path.is_empty() { "/" } else { &self.path }
    }

    /// Scheme, host and port alone.
    #[must_use]
    pub fn origin(&self) -> Self {
        Self { path: Box::default(), ..self.clone() }
    }

    /// This URL with `rest` appended to its path.
    pub fn join(&self, rest: &str) -> Self {
        let base = self.path.trim_end_matches('/');
        let path = format!("{base}/{}", rest.trim_start_matches('/'));
        Self { path: path.into(), ..self.clone() }
    }

    /// The nearest zone that this URL may lead to. URLs of the user may lead anywhere; URLs of a peer must not lead to
    /// a nearer zone than that of the peer.
    pub fn reach(&self) -> Zone {
        self.reach
    }

    /// The orchestrator that named this URL; `None` for a URL of the user, and for the orchestrator itself.
    pub fn under(&self) -> Option<&Authority> {
        self.under.as_deref()
    }

    /// The URL with its reach and orchestrator, for a file; read it with [`Url::parse_kept`].
    pub(crate) fn kept(&self) -> String {
        let under = self.under.as_ref().map(|under| format!(" {under}")).unwrap_or_default();
        format!("{self} {}{under}", self.reach.as_str())
    }

    /// Reads the text of [`Url::kept`]. A URL without a reach may lead to the Internet only.
    pub(crate) fn parse_kept(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let url = Self::parse(words.next()?).ok()?;
        let reach = words.next().map_or(Some(Zone::Public), Zone::parse)?;
        let under = match words.next() {
            Some(under) => Some(Self::parse(&format!("https://{under}")).ok()?.authority),
            None => None,
        };
        words.next().is_none().then(|| url.with_reach(reach).with_under(under))
    }

    /// The same URL with the reach and the orchestrator of `other`.
    #[must_use]
    pub(crate) fn with_rights_of(self, other: &Self) -> Self {
        Self { reach: other.reach, under: other.under.clone(), ..self }
    }

    /// The same URL, which may lead to `reach` and farther zones only.
    #[must_use]
    pub fn with_reach(self, reach: Zone) -> Self {
        Self { reach, ..self }
    }

    /// The same URL, named by `orchestrator`; `None` is stored if the URL is that orchestrator itself.
    #[must_use]
    pub(crate) fn with_under(self, orchestrator: Option<Authority>) -> Self {
        let under = orchestrator.filter(|orchestrator| *orchestrator != self.authority);
        Self { under: under.map(Arc::new), ..self }
    }
}

/// A host in its normal form; `None` if the text is not a host.
fn host(text: &str) -> Option<String> {
    if let Some(rest) = text.strip_prefix('[') {
        // Only an IPv6 address has brackets.
        let address: Ipv6Addr = rest.strip_suffix(']')?.parse().ok()?;
        return Some(address.to_string());
    }
    let host = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let is_name = !host.is_empty()
        && !host.ends_with('.')
        && host.len() <= HOST_BYTES
        && host.bytes().all(is_plain);
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    let is_hex = |digits: &str| digits.bytes().all(|b| b.is_ascii_hexdigit());
    // Resolvers accept other spellings of an IPv4 address too; here only the usual one is accepted.
    let is_like_address = is_number(last) || last.strip_prefix("0x").is_some_and(is_hex);
    (is_name && (!is_like_address || host.parse::<Ipv4Addr>().is_ok())).then_some(host)
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.as_str(), self.authority, self.path)
    }
}

/// The text for an error message, without the parts after `?` and `#` and before `@`, which may be credentials.
fn without_query(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let text = text.rsplit('@').next().unwrap_or_default();
    sanitize::message(text)
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
    fn hosts_are_normalised() {
        check("https://Orch.Example.:1", Ok("https://orch.example:1"));
        check("https://[0:0:0:0:0:0:0:1]:1", Ok("https://[::1]:1"));
        check("https://[FD00::0001]:1", Ok("https://[fd00::1]:1"));
        check("https://10.0.0.1.:1", Ok("https://10.0.0.1:1"));
        check("https://3com:1", Ok("https://3com:1"));
        check("https://a_b-c.9x:1", Ok("https://a_b-c.9x:1"));
        for bad in [
            "https://2130706433:1",
            "https://0x7f000001:1",
            "https://127.1:1",
            "https://0177.0.0.1:1",
            "https://1.2.3.4.5:1",
            "https://a.0x7f:1",
            "https://a..:1",
            "https://.:1",
            "https://a%2eb:1",
            "https://a,b:1",
        ] {
            check(bad, Err(UrlError::Malformed(bad.into())));
        }
    }

    #[test]
    fn a_kept_url_has_its_reach_and_orchestrator() {
        let orchestrator = Url::parse("https://[fd00::1]:8935").expect("a URL");
        let url = Url::parse("https://c.example:1/x").expect("a URL");
        let given = url.clone().with_reach(Zone::Private);
        let given = given.with_under(Some(orchestrator.authority().clone()));
        assert_eq!(given.kept(), "https://c.example:1/x private [fd00::1]:8935");
        for url in [url, given] {
            let read = Url::parse_kept(&url.kept()).expect("as it was written");
            assert_eq!((&read, read.reach(), read.under()), (&url, url.reach(), url.under()));
        }
        let bare = Url::parse_kept("https://c.example:1/x").expect("a URL");
        assert_eq!(bare.reach(), Zone::Public);
        for bad in
            ["", "x private", "https://c/x near", "https://c/x public a b", "https://c/x public ?"]
        {
            assert_eq!(Url::parse_kept(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_address_has_a_zone_and_a_name_has_none() {
        #[track_caller]
        fn check(host: &str, zone: Option<Zone>, is_loopback: bool) {
            let url = Url::parse(&format!("https://{host}")).expect("a URL");
            assert_eq!((url.authority.zone(), url.authority.is_loopback()), (zone, is_loopback));
        }
        for here in ["localhost", "127.0.0.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]"] {
            check(here, Some(Zone::ThisComputer), true);
        }
        check("app.localhost", Some(Zone::ThisComputer), false);
        check("192.168.1.1", Some(Zone::Private), false);
        check("8.8.8.8", Some(Zone::Public), false);
        check("localhost.example", None, false);
    }

    #[test]
    fn paths_are_joined_with_one_slash() {
        let base = Url::parse_base("https://h:1/a/", 1).expect("a URL");
        assert_eq!(base.join("/b/c").to_string(), "https://h:1/a/b/c");
        assert_eq!(base.join("b").path(), "/a/b");
        assert_eq!(Url::parse("https://h:1").expect("a URL").path(), "/");
    }

    #[test]
    fn urls_are_bounded_and_their_errors_are_one_line() {
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
            assert!(!error.contains(sanitize::is_harmful), "{error:?}");
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
