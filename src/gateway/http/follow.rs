//! Decides whether to connect to a URL that a peer gave: one rule for channels, calls, payments, runners and lists.
//!
//! A peer must not make the agent reach services that the peer cannot reach itself: on this computer, or in the user's own
//! network.
//!
//! | the URL names | peer on the Internet | peer on a private network | peer on this computer |
//! |---|---|---|---|
//! | this computer | refuse | refuse | follow |
//! | a private address | refuse | follow, https only | follow, https only |
//! | a public address | follow, https only | follow, https only | follow, https only |
//! | a name | follow, https only; to public addresses | …; to private and public ones | …; to any |
//!
//! A name is resolved when a connection is made, and its owner may change its addresses until then. So the URL carries
//! its [reach](Url::reach), and the connector checks each address against the reach (see [`within_reach`]). A peer's
//! zone is the zone of the connection on which the peer answered. A URL that names the peer itself follows the same
//! rules.
//!
//! A followed URL belongs to the orchestrator that named it: the certificate of the URL's host is pinned for that
//! orchestrator ([`Url::under`]).
//!
//! URLs of the user's configuration may lead anywhere.
//!
//! Does not: resolve names, or judge certificates.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::http::{Authority, Scheme, Url, Zone};

/// A peer that answered a call and may name URLs in its answer.
#[derive(Debug, Clone, Copy)]
pub struct AnsweringPeer<'a> {
    /// The URL that was called.
    pub url: &'a Url,
    /// The zone of the connection on which it answered.
    pub zone: Zone,
}

/// A URL that is refused. The path is left out, because it may be a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedUrl(Box<(Authority, RefusalReason)>);

/// Why a URL is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
enum RefusalReason {
    /// The text cannot be parsed as a URL.
    NoUrl,
    /// The URL names another computer over plain HTTP.
    PlainHttp(Authority),
    /// The URL leads to a nearer zone than that of the peer that named it.
    TooNear {
        /// The host that it names.
        named: Authority,
        /// The zone of that host.
        zone: Zone,
        /// The zone of the peer.
        peer_zone: Zone,
    },
}

impl RefusedUrl {
    fn new(peer: AnsweringPeer<'_>, reason: RefusalReason) -> Self {
        Self(Box::new((peer.url.authority().clone(), reason)))
    }
}

impl fmt::Display for RefusedUrl {
    /// Continues a sentence that begins with the name of the field that holds the URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (peer, reason) = &*self.0;
        match reason {
            RefusalReason::NoUrl => f.write_str("is not a URL"),
            RefusalReason::PlainHttp(named) => write!(
                f,
                "names {named} over plain HTTP, which is refused; {peer} has to name it with https"
            ),
            RefusalReason::TooNear { named, zone, peer_zone } => write!(
                f,
                "names {named}, which is {zone}, while {peer} is {peer_zone}: refused; if both are yours, set {peer} by its nearer address in your configuration"
            ),
        }
    }
}

impl std::error::Error for RefusedUrl {}

/// Checks the URL `given` by `peer`. Connect to the returned URL, which carries its limits.
pub fn follow(peer: AnsweringPeer<'_>, given: Url) -> Result<Url, RefusedUrl> {
    let named = given.authority().clone();
    let zone = named.zone();
    let refused = |reason| Err(RefusedUrl::new(peer, reason));
    // If another peer named this peer, this peer's own reach is the limit.
    let reach = peer.zone.max(peer.url.reach());
    if let Some(zone) = zone.filter(|zone| *zone < reach) {
        return refused(RefusalReason::TooNear { named, zone, peer_zone: reach });
    }
    if given.scheme() == Scheme::Http && !named.is_loopback() {
        return refused(RefusalReason::PlainHttp(named));
    }
    let orchestrator = peer.url.under().unwrap_or(peer.url.authority()).clone();
    Ok(given.with_reach(reach).with_under(Some(orchestrator)))
}

/// Parses the URL `given` by `peer` and checks it as [`follow`] does.
pub fn follow_text(peer: AnsweringPeer<'_>, given: &str) -> Result<Url, RefusedUrl> {
    let url = Url::parse(given.trim());
    follow(peer, url.map_err(|_| RefusedUrl::new(peer, RefusalReason::NoUrl))?)
}

/// The `addresses` that are within the reach of `url`. If no address is, the error is the first address.
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
        ("http://127.0.0.1:8935", Zone::ThisComputer),
    ];

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    /// Checks whether a peer may name this URL: one on the Internet, on a private network, on this computer.
    #[track_caller]
    fn check(given: &str, expected: [bool; 3]) {
        for (peer, zone) in PEERS {
            let expected = expected[2 - zone as usize];
            let peer = url(peer);
            let followed = follow_text(AnsweringPeer { url: &peer, zone }, given);
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
        // The address of a name is known only when a connection is made.
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
    fn plain_http_and_odd_spellings_are_refused_from_every_peer() {
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
    fn a_url_named_by_a_followed_url_may_not_be_nearer_than_the_first_peer() {
        let orchestrator = url("https://o.example:8935");
        let given = AnsweringPeer { url: &orchestrator, zone: Zone::Public };
        let runner = follow(given, url("https://r.example/app")).unwrap();
        // The runner's name has come to lead to this computer. The runner still must not name this computer.
        let moved = AnsweringPeer { url: &runner, zone: Zone::ThisComputer };
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
        assert_eq!(kept(Zone::ThisComputer), all());
        let near = vec![at("192.168.1.1"), at("127.0.0.1")];
        let refused = within_reach(&reaching(Zone::Public), near);
        assert_eq!(refused, Err("192.168.1.1".parse().unwrap()));
        assert_eq!(within_reach(&reaching(Zone::Public), Vec::new()), Ok(Vec::new()));
    }

    #[test]
    fn a_refusal_names_the_peer_the_host_and_the_remedy() {
        let peer = url("https://o.example:8935");
        let peer = AnsweringPeer { url: &peer, zone: Zone::Public };
        let text = follow_text(peer, "https://192.168.1.1/s3cret").unwrap_err().to_string();
        assert_eq!(
            text,
            "names 192.168.1.1:443, which is on a private network, while o.example:8935 is on the Internet: refused; if both are yours, set o.example:8935 by its nearer address in your configuration"
        );
        let text = follow_text(peer, "http://p.example/s3cret").unwrap_err().to_string();
        assert!(text.contains("p.example:80 over plain HTTP"), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}
