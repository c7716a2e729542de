//! Decides whether to connect to a URL that a peer gave: one rule for channels, calls, payments, runners and lists.
//!
//! A peer must not make the agent reach services that the peer cannot reach itself: on this machine, or in the user's own
//! network.
//!
//! | the URL names | peer on the Internet | peer on a private network | peer on this machine |
//! |---|---|---|---|
//! | this machine | refuse | refuse | follow |
//! | a private address | refuse | follow, https only | follow, https only |
//! | a public address | follow, https only | follow, https only | follow, https only |
//! | a name | follow, https only; to public addresses | …; to private and public ones | …; to any |
//!
//! A name is resolved when a connection is made, and its owner may change its addresses until then. So the URL carries
//! its [reach](Url::reach), and the connector checks each address against it, see [`within_reach`]. A peer's zone is
//! that of the connection on which it answered. The peer's own name and address follow the same rule.
//!
//! A followed URL belongs to the orchestrator that named it: its certificate is pinned for that orchestrator
//! ([`Url::under`]).
//!
//! URLs of the user's configuration may lead anywhere.
//!
//! Does not: resolve names, or judge certificates.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::http::{Authority, Scheme, Url, Zone};

/// A peer that gives URLs.
#[derive(Debug, Clone, Copy)]
pub struct Giver<'a> {
    /// The URL that it answered on.
    pub url: &'a Url,
    /// The zone of the connection on which it answered.
    pub zone: Zone,
}

/// A URL that is refused. The path is left out, because it may be a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray(Box<(Authority, Reason)>);

/// Why a URL is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    /// It cannot be parsed.
    NoUrl,
    /// It names another machine over plain HTTP.
    PlainHttp(Authority),
    /// It leads to a nearer zone than that of the peer that gave it.
    TooNear {
        /// The host that it names.
        named: Authority,
        /// The zone of that host.
        zone: Zone,
        /// The zone of the peer.
        giver: Zone,
    },
}

impl Stray {
    fn new(giver: Giver<'_>, reason: Reason) -> Self {
        Self(Box::new((giver.url.authority().clone(), reason)))
    }
}

impl fmt::Display for Stray {
    /// Continues a sentence that begins with the name of the field that holds the URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (peer, reason) = &*self.0;
        match reason {
            Reason::NoUrl => f.write_str("is not a URL"),
            Reason::PlainHttp(named) => write!(
                f,
                "names {named} over plain HTTP, which is refused; {peer} has to name it with https"
            ),
            Reason::TooNear { named, zone, giver } => write!(
                f,
                "names {named}, which is {zone}, while {peer} is {giver}: refused; if both are yours, set {peer} by its nearer address in your configuration"
            ),
        }
    }
}

impl std::error::Error for Stray {}

/// Checks the URL `given` by `giver`. Connect to the returned URL, which carries its limits.
pub fn follow(giver: Giver<'_>, given: Url) -> Result<Url, Stray> {
    let named = given.authority().clone();
    let zone = named.zone();
    let refused = |reason| Err(Stray::new(giver, reason));
    // If another peer named the giver, the giver's own reach is the limit.
    let reach = giver.zone.max(giver.url.reach());
    if let Some(zone) = zone.filter(|zone| *zone < reach) {
        return refused(Reason::TooNear { named, zone, giver: reach });
    }
    if given.scheme() == Scheme::Http && !named.is_loopback() {
        return refused(Reason::PlainHttp(named));
    }
    let orchestrator = giver.url.under().unwrap_or(giver.url.authority()).clone();
    Ok(given.with_reach(reach).with_under(Some(orchestrator)))
}

/// Parses the URL `given` by `giver` and checks it as [`follow`] does.
pub fn follow_text(giver: Giver<'_>, given: &str) -> Result<Url, Stray> {
    let url = Url::parse(given.trim());
    follow(giver, url.map_err(|_| Stray::new(giver, Reason::NoUrl))?)
}

/// The `addresses` that are within the reach of `url`. If none is, the error is the first address.
pub fn within_reach(url: &Url, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, IpAddr> {
    let first = addresses.first().map(SocketAddr::ip);
    let mut allowed = addresses;
    allowed.retain(|address| Zone::of(address.ip()) >= url.reach());
    match first {
        Some(first) if allowed.is_empty() => Err(first),
        Some(_) | None => Ok(allowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEERS: [(&str, Zone); 5] = [
        ("https://o.example:8935", Zone::Public),
        ("https://203.0.113.7:8935", Zone::Public),
        ("https://o.lan:8935", Zone::Private),
        ("https://192.168.1.5:8935", Zone::Private),
        ("http://127.0.0.1:8935", Zone::ThisMachine),
    ];

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    /// Who may give this URL: of the peers on the Internet, on a private network, on this machine.
    #[track_caller]
    fn check(given: &str, expected: [bool; 3]) {
        for (peer, zone) in PEERS {
            let expected = expected[2 - zone as usize];
            let peer = url(peer);
            let followed = follow_text(Giver { url: &peer, zone }, given);
            assert_eq!(followed.is_ok(), expected, "{given} from {peer}: {followed:?}");
            if let Ok(followed) = followed {
                assert_eq!(followed.reach(), zone, "{given} from {peer}");
                assert_eq!(followed.to_string(), url(given.trim()).to_string());
            }
        }
    }

    #[test]
    fn a_peer_names_nothing_nearer_than_itself() {
        const ALL: [bool; 3] = [true; 3];
        const NEAR: [bool; 3] = [false, true, true];
        const HERE: [bool; 3] = [false, false, true];
        for public in ["https://o.example:8935/x", "https://other.example/x", "https://8.8.8.8/x"] {
            check(public, ALL);
        }
        // Where a name leads is known when a connection is made.
        for name in ["https://o.lan/x", "https://printer/x", "https://rebind.example:22/x"] {
            check(name, ALL);
        }
        for private in [
            "https://192.168.1.5:8935/x",
            "https://192.168.1.1/x",
            "https://10.1.2.3/x",
            "https://100.64.1.1/x",
            "https://169.254.169.254/x",
            "https://[fe80::1]/x",
            "https://[fd00::1]/x",
            "https://[::ffff:192.168.1.1]/x",
        ] {
            check(private, NEAR);
        }
        for here in [
            "http://127.0.0.1:1/x",
            "https://127.0.0.1/x",
            "https://127.9.9.9/x",
            "http://localhost/x",
            "https://LOCALHOST./x",
            "https://app.localhost/x",
            "http://0.0.0.0:8081/x",
            "https://0.0.0.0/x",
            "http://[::1]/x",
            "https://[::]/x",
            "https://[::ffff:127.0.0.1]/x",
            "https://[0:0:0:0:0:ffff:7f00:1]/x",
            "https://127.0.0.1./x",
        ] {
            check(here, HERE);
        }
    }

    #[test]
    fn plain_http_and_odd_spellings_are_refused_from_everybody() {
        for refused in [
            "http://o.example:8935/x",
            "http://192.168.1.5/x",
            "http://app.localhost/x",
            "ftp://o.example/x",
            "/x",
            "",
            "https://me:pw@o.example/x",
            "https://o.example@127.0.0.1/x",
            "https://2130706433/x",
            "https://0x7f000001/x",
            "https://0x7f.1/x",
            "https://0177.0.0.1/x",
            "https://127.1/x",
            "https://1.2.3.4.5/x",
            "https://[fe80::1%25eth0]/x",
            "https://%31%32%37.0.0.1/x",
            "https://127.0.0.1../x",
        ] {
            check(refused, [false; 3]);
        }
    }

    #[test]
    fn what_a_followed_url_leads_to_is_never_nearer_than_who_named_it_first() {
        let orchestrator = url("https://o.example:8935");
        let given = Giver { url: &orchestrator, zone: Zone::Public };
        let runner = follow(given, url("https://r.example/app")).unwrap();
        // Its name leads to this machine meanwhile: that gives it no right to name this machine.
        let moved = Giver { url: &runner, zone: Zone::ThisMachine };
        assert!(follow(moved, url("https://127.0.0.1/x")).is_err());
        let channel = follow(moved, url("https://c.example/x")).unwrap();
        assert_eq!(channel.reach(), Zone::Public);
        assert_eq!(channel.under(), Some(orchestrator.authority()));
        let own = follow(given, url("https://o.example:8935/channel")).unwrap();
        assert_eq!(own.under(), None);
        assert_eq!(own.join("/1").reach(), Zone::Public);
        assert_eq!(channel.origin().join("/1").under(), Some(orchestrator.authority()));
    }

    #[test]
    fn addresses_of_a_name_are_kept_within_its_reach() {
        let at = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 1);
        let all = || vec![at("127.0.0.1"), at("192.168.1.1"), at("8.8.8.8"), at("fd00::1")];
        let reaching = |zone| url("https://rebind.example:1").with_reach(zone);
        let kept = |zone| within_reach(&reaching(zone), all()).unwrap();
        assert_eq!(kept(Zone::Public), [at("8.8.8.8")]);
        assert_eq!(kept(Zone::Private), [at("192.168.1.1"), at("8.8.8.8"), at("fd00::1")]);
        assert_eq!(kept(Zone::ThisMachine), all());
        let near = vec![at("192.168.1.1"), at("127.0.0.1")];
        let refused = within_reach(&reaching(Zone::Public), near);
        assert_eq!(refused, Err("192.168.1.1".parse().unwrap()));
        assert_eq!(within_reach(&reaching(Zone::Public), Vec::new()), Ok(Vec::new()));
    }

    #[test]
    fn a_refusal_says_who_named_which_host_and_what_to_do() {
        let peer = url("https://o.example:8935");
        let giver = Giver { url: &peer, zone: Zone::Public };
        let text = follow_text(giver, "https://192.168.1.1/s3cret").unwrap_err().to_string();
        assert_eq!(
            text,
            "names 192.168.1.1:443, which is on a private network, while o.example:8935 is on the Internet: refused; if both are yours, set o.example:8935 by its nearer address in your configuration"
        );
        let text = follow_text(giver, "http://p.example/s3cret").unwrap_err().to_string();
        assert!(text.contains("p.example:80 over plain HTTP"), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}
