//! Parses lists of orchestrators and their runners, as served by a discovery endpoint, a signer or an orchestrator,
//! and builds the URLs that request them.
//!
//! All three serve one format: entries with `address` and `capabilities`, with `runners`, or both. Malformed entries
//! and entries beyond the bounds are skipped and counted. Entries are sorted by `score`, then by their order in the
//! list.
//!
//! Does not: fetch or store lists, or contact the orchestrators in them.

mod read;
mod write;

use std::cmp::Ordering;

use crate::http::{AnsweringPeer, RefusedUrl, Url, UrlError, Zone, follow};
use crate::limits::{CANDIDATES, JSON_BODY};
use crate::orchestrator::Capability;
use crate::price::Price;

/// A parsed discovery list.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DiscoveryList {
    /// Orchestrators, the best score first; at most [`CANDIDATES`].
    pub entries: Vec<DiscoveryEntry>,
    /// The number of malformed or repeated entries and runners.
    pub malformed: usize,
    /// The number of entries and runners beyond the bounds.
    pub beyond: usize,
    /// The URLs that were dropped because they must not be followed; at most [`CANDIDATES`].
    pub strays: Vec<RefusedUrl>,
}

/// One orchestrator in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct DiscoveryEntry {
    /// The orchestrator's base URL.
    pub address: Url,
    /// Capabilities as `pipeline/model`; empty if the list does not state them.
    pub capabilities: Vec<String>,
    /// The orchestrator's runners.
    pub runners: Vec<Runner>,
}

/// One runner of an orchestrator.
#[derive(Debug, Clone, PartialEq)]
pub struct Runner {
    /// The URL that reserves a session, or that calls a single-shot runner.
    pub url: Url,
    /// The name of the application that it runs.
    pub app: String,
    /// The application's version.
    pub version: Option<String>,
    /// How the runner serves; `None` if the list does not state it.
    pub mode: Option<RunnerMode>,
    /// The number of sessions that it can run at once.
    pub capacity: Option<u32>,
    /// The number of further sessions that it can take now.
    pub free: Option<u32>,
    /// The runner's GPU.
    pub gpu: Option<Gpu>,
    /// The runner's price; `None` if the runner is free.
    pub price: Option<Price>,
}

/// How a runner serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunnerMode {
    /// The caller reserves a session, uses it and stops it.
    Persistent,
    /// The caller sends one request and gets one response.
    SingleShot,
}

impl RunnerMode {
    /// The mode's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Persistent => "persistent",
            Self::SingleShot => "single-shot",
        }
    }

    /// Finds the mode with this name on the wire.
    pub(crate) fn from_wire(name: &str) -> Option<Self> {
        [Self::Persistent, Self::SingleShot].into_iter().find(|mode| mode.as_str() == name)
    }
}

/// The GPU of a runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// The GPU's name, such as `NVIDIA L40S`.
    pub name: String,
    /// The GPU's memory in MB.
    pub(crate) vram_mb: Option<u64>,
}

/// A query for orchestrators that offer any of these.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DiscoveryQuery {
    /// Pipelines with their models.
    pub capabilities: Vec<Capability>,
    /// Applications of runners.
    pub apps: Vec<String>,
}

/// Why a body could not be parsed as a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Not a JSON list; the line and column of the error.
    #[error("not a JSON list of orchestrators: error at line {0} column {1}")]
    Json(usize, usize),
    /// Longer than [`JSON_BODY`]; the length in bytes.
    #[error("list has {0} bytes; at most {JSON_BODY} are accepted")]
    TooLarge(usize),
}

impl DiscoveryList {
    /// Parses a list from the network, or one that [`DiscoveryList::to_json`] wrote.
    pub fn parse(body: &[u8]) -> Result<Self, ListError> {
        if body.len() > JSON_BODY {
            return Err(ListError::TooLarge(body.len()));
        }
        let mut list = Self::default();
        let mut scored: Vec<(f64, DiscoveryEntry)> = Vec::new();
        read::entries(body, |read| match read {
            None => list.malformed += 1,
            Some(read) => {
                list.malformed += read.malformed;
                list.beyond += read.beyond;
                if scored.iter().any(|(_, known)| known.address == read.entry.address) {
                    list.malformed += 1;
                    return;
                }
                scored.push((read.score, read.entry));
                if scored.len() >= 2 * CANDIDATES {
                    list.beyond += keep_best(&mut scored);
                }
            }
        })
        .map_err(|error| ListError::Json(error.line(), error.column()))?;
        list.beyond += keep_best(&mut scored);
        list.entries = scored.into_iter().map(|(_, entry)| entry).collect();
        Ok(list)
    }

    /// Creates a list of these orchestrators, without capabilities or runners.
    pub fn named(urls: &[Url]) -> Self {
        let entry = |url: &Url| DiscoveryEntry {
            address: url.clone(),
            capabilities: Vec::new(),
            runners: Vec::new(),
        };
        Self { entries: urls.iter().take(CANDIDATES).map(entry).collect(), ..Self::default() }
    }

    /// Keeps the entries that may be followed in a list from `peer`. A list must not name an address in a nearer zone
    /// than that of `peer`, and an orchestrator must not name a runner in a nearer zone than its own.
    #[must_use]
    pub(crate) fn followed(mut self, peer: AnsweringPeer<'_>) -> Self {
        let entries = std::mem::take(&mut self.entries);
        for entry in entries {
            let address = match follow(peer, entry.address) {
                Ok(address) => address.with_under(None),
                Err(stray) => {
                    self.on_stray(stray);
                    continue;
                }
            };
            // The zone of a host name is unknown until the name is resolved, so the test gives loopback as an address.
            let zone = address.authority().zone().unwrap_or(Zone::Private).max(peer.zone);
            let mut runners = entry.runners;
            runners.retain_mut(|runner| {
                match runner.follow(AnsweringPeer { url: &address, zone }) {
                    Ok(()) => true,
                    Err(stray) => {
                        self.on_stray(stray);
                        false
                    }
                }
            });
            self.entries.push(DiscoveryEntry { address, runners, ..entry });
        }
        self
    }

    /// Records a dropped URL.
    pub(crate) fn on_stray(&mut self, stray: RefusedUrl) {
        if self.strays.len() < CANDIDATES {
            self.strays.push(stray);
        }
    }

    /// Serializes the list for the state directory, without values that change by the minute: the same orchestrators
    /// always give the same bytes.
    pub fn to_json(&self) -> Vec<u8> {
        write::entries(&self.entries)
    }
}

impl DiscoveryEntry {
    /// Whether the orchestrator may offer `wanted`: true if it lists `wanted` or lists no capabilities.
    pub fn may_offer(&self, wanted: &Capability) -> bool {
        let wanted = wanted.to_string();
        self.capabilities.is_empty() || self.capabilities.contains(&wanted)
    }
}

impl Runner {
    /// Checks the runner's URL, which came from `peer`, and limits its reach. An error means that the runner must not
    /// be used.
    pub(crate) fn follow(&mut self, peer: AnsweringPeer<'_>) -> Result<(), RefusedUrl> {
        self.url = follow(peer, self.url.clone())?;
        Ok(())
    }
}

/// Adds the query for what is `wanted` to the URL of a discovery endpoint.
pub fn list_url(endpoint: &Url, wanted: &DiscoveryQuery) -> Result<Url, UrlError> {
    let caps = wanted.capabilities.iter().map(|capability| ("caps", capability.to_string()));
    let apps = wanted.apps.iter().map(|app| ("app", app.clone()));
    let mut text = endpoint.to_string();
    for (key, value) in caps.chain(apps) {
        text.push(if text.contains('?') { '&' } else { '?' });
        text.push_str(key);
        text.push('=');
        escape(&value, &mut text);
    }
    Ok(Url::parse(&text)?.with_rights_of(endpoint))
}

/// Percent-encodes all but the unreserved characters of RFC 3986 and `/`, which signers expect unescaped.
fn escape(value: &str, into: &mut String) {
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                into.push(char::from(byte));
            }
            _ => into.push_str(&format!("%{byte:02X}")),
        }
    }
}

/// Sorts by score and keeps the best. Returns the number dropped.
fn keep_best(scored: &mut Vec<(f64, DiscoveryEntry)>) -> usize {
    scored.sort_by(|(a, _), (b, _)| b.partial_cmp(a).unwrap_or(Ordering::Equal));
    let beyond = scored.len().saturating_sub(CANDIDATES);
    scored.truncate(CANDIDATES);
    beyond
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::read::DEFAULT_PORT;
    use super::*;
    use crate::limits::{CAPABILITIES, NAME_BYTES, RUNNERS};
    use crate::price::PriceUnit;

    fn parse(list: &Value) -> DiscoveryList {
        DiscoveryList::parse(list.to_string().as_bytes()).unwrap()
    }

    fn url(text: &str) -> Url {
        Url::parse_base(text, DEFAULT_PORT).unwrap()
    }

    fn full() -> Value {
        json!([
            {"address": "https://a.example:8935/", "score": 1, "capabilities": ["live-video-to-video/m"]},
            {"address": "https://b.example:8935", "runners": [{
                "url": "https://b.example:8935/apps/echo/session", "app": "echo", "version": "1.2",
                "mode": "persistent", "capacity": 4, "capacity_used": 1, "capacity_available": 3,
                "gpu": {"id": "0", "name": "NVIDIA L40S", "vram_mb": 46068}, "metadata": {"x": [1]},
                "price_info": {"price": 12.50, "currency": "wei", "unit": "seconds"}
            }]},
        ])
    }

    #[test]
    fn both_forms_of_a_list_are_parsed() {
        let list = parse(&full());
        let a = DiscoveryEntry {
            address: url("https://a.example:8935"),
            capabilities: vec!["live-video-to-video/m".into()],
            runners: vec![],
        };
        let runner = Runner {
            url: url("https://b.example:8935/apps/echo/session"),
            app: "echo".into(),
            version: Some("1.2".into()),
            mode: Some(RunnerMode::Persistent),
            capacity: Some(4),
            free: Some(3),
            gpu: Some(Gpu { name: "NVIDIA L40S".into(), vram_mb: Some(46068) }),
            price: Price::parse("12.5", PriceUnit::Seconds).ok(),
        };
        assert_eq!((list.malformed, list.beyond), (0, 0));
        assert_eq!(list.entries[0], a);
        assert_eq!(list.entries[1].runners, [runner]);
    }

    /// Checks how many entries and runners `[item]` has, and how many are counted as malformed.
    #[track_caller]
    fn check(item: Value, entries: usize, runners: usize, malformed: usize) {
        let list = parse(&json!([item]));
        let count = list.entries.iter().map(|entry| entry.runners.len()).sum::<usize>();
        assert_eq!(
            (list.entries.len(), count, list.malformed),
            (entries, runners, malformed),
            "{item}"
        );
    }

    #[test]
    fn malformed_entries_are_skipped_and_counted() {
        for wrong in [
            json!(1),
            json!("https://a"),
            json!([]),
            json!(null),
            json!({}),
            json!({"address": ""}),
        ] {
            check(wrong, 0, 0, 1);
        }
        for address in
            ["ftp://a", "https://u:p@a", "https://a?x=1", "https://a#x", "https://a:0", "a b"]
        {
            check(json!({"address": address}), 0, 0, 1);
        }
        check(json!({"address": "https://".to_owned() + &"a".repeat(NAME_BYTES)}), 0, 0, 1);
        check(json!({"address": "a.example"}), 1, 0, 0);
        check(json!({"address": "https://[::1]:8935"}), 1, 0, 0);
        check(json!({"address": "a", "score": "high", "capabilities": 7, "runners": {}}), 1, 0, 0);
        check(json!({"address": "a", "capabilities": ["llm/x", 1, ""]}), 1, 0, 2);
    }

    #[test]
    fn malformed_runners_are_skipped_but_not_their_orchestrator() {
        let check_runner = |key: &str, value: Value, runners: usize| {
            let mut runner = json!({"url": "https://a:1/apps/e/session", "app": "e"});
            runner[key] = value;
            check(json!({"address": "a", "runners": [runner]}), 1, runners, 1 - runners);
        };
        check_runner("url", json!(""), 0);
        check_runner("url", json!("/apps/e/session"), 0);
        check_runner("url", json!("https://a:1/apps/e?x=1"), 0);
        check_runner("app", json!(" "), 0);
        check_runner("app", json!(null), 0);
        check_runner("mode", json!("sometimes"), 1);
        check_runner("capacity", json!(-1), 1);
        check_runner("gpu", json!("L40S"), 1);
        let price = |price: Value, currency: &str, unit: &str| json!({"price": price, "currency": currency, "unit": unit});
        check_runner("price_info", price(json!(1), "wei", "fixed"), 1);
        check_runner("price_info", price(json!("10"), "wei", "720p-pixel-seconds"), 1);
        check_runner("price_info", price(json!(1), "usd", "fixed"), 0);
        check_runner("price_info", price(json!(1), "wei", "fortnight"), 0);
        check_runner("price_info", price(json!(-1), "wei", "fixed"), 0);
        check_runner("price_info", price(json!(null), "wei", "fixed"), 0);
        check_runner("price_info", json!(5), 0);
        check_runner("price_info", json!(null), 1);
        let alone = json!({"runners": [{"url": "https://a:1/apps/e/session", "app": "e"}]});
        assert_eq!(parse(&json!([alone])).entries[0].address, url("https://a:1"));
    }

    /// Checks which hosts of orchestrators and runners may be followed, and in which zone.
    #[track_caller]
    fn check_followed(list: &Value, zone: Zone, expected: &[(&str, Zone)], strays: usize) {
        let from = url("https://discovery.example");
        let list = parse(list).followed(AnsweringPeer { url: &from, zone });
        let urls = list.entries.iter().flat_map(|entry| {
            let runners = entry.runners.iter().map(|runner| &runner.url);
            std::iter::once(&entry.address).chain(runners)
        });
        let urls: Vec<_> = urls.map(|url| (url.authority().host(), url.reach())).collect();
        assert_eq!((urls.as_slice(), list.strays.len()), (expected, strays));
    }

    #[test]
    fn a_list_cannot_name_hosts_nearer_than_its_peer() {
        use Zone::{Private, Public, ThisComputer};
        let list = json!([
            {"address": "https://o.example"}, {"address": "https://10.0.0.1"},
            {"address": "https://127.0.0.1"}, {"address": "http://p.example"},
        ]);
        check_followed(&list, Public, &[("o.example", Public)], 3);
        check_followed(&list, Private, &[("o.example", Private), ("10.0.0.1", Private)], 2);
        let all =
            [("o.example", ThisComputer), ("10.0.0.1", ThisComputer), ("127.0.0.1", ThisComputer)];
        check_followed(&list, ThisComputer, &all, 1);
    }

    #[test]
    fn a_runner_cannot_be_nearer_than_its_orchestrator() {
        use Zone::{Private, Public, ThisComputer};
        let entry = |address: &str| {
            let runner = |url: &str| json!({"url": url, "app": "e"});
            let runners = [
                "https://r.example/s",
                "https://10.0.0.1/s",
                "https://127.0.0.1/s",
                "http://p.example/s",
            ];
            json!([{"address": address, "runners": runners.map(runner)}])
        };
        let far = [("8.8.8.8", ThisComputer), ("r.example", Public)];
        check_followed(&entry("https://8.8.8.8"), ThisComputer, &far, 3);
        let named = [("o.example", ThisComputer), ("r.example", Private), ("10.0.0.1", Private)];
        check_followed(&entry("https://o.example"), ThisComputer, &named, 2);
        let here =
            ["127.0.0.1", "r.example", "10.0.0.1", "127.0.0.1"].map(|host| (host, ThisComputer));
        check_followed(&entry("https://127.0.0.1"), ThisComputer, &here, 1);
        check_followed(
            &entry("https://o.example"),
            Public,
            &[("o.example", Public), ("r.example", Public)],
            3,
        );
        let list = parse(&entry("https://o.example:1"));
        let list = list.followed(AnsweringPeer { url: &url("https://d.example"), zone: Public });
        let [orchestrator] = list.entries.as_slice() else { panic!("{list:?}") };
        assert_eq!(orchestrator.address.under(), None);
        let under = orchestrator.runners[0].url.under();
        assert_eq!(under, Some(orchestrator.address.authority()));
    }

    #[test]
    fn a_price_is_parsed_without_floats() {
        let body = br#"[{"address":"a","runners":[{"url":"https://a:1/s","app":"e",
            "price_info":{"price":9007199254740993,"currency":"wei","unit":"seconds"}}]}]"#;
        let list = DiscoveryList::parse(body).unwrap();
        let price = list.entries[0].runners[0].price.unwrap();
        assert_eq!(price.decimal().unwrap(), "9007199254740993");
    }

    #[test]
    fn the_best_score_comes_first_and_repeats_are_dropped() {
        let list = parse(&json!([
            {"address": "a"}, {"address": "b", "score": 0.5}, {"address": "c", "score": 1},
            {"address": "d", "score": 0.5}, {"address": "https://A:8935/", "score": 9},
        ]));
        let hosts: Vec<&str> = list.entries.iter().map(|e| e.address.authority().host()).collect();
        assert_eq!((hosts, list.malformed), (vec!["c", "b", "d", "a"], 1));
    }

    #[test]
    fn a_long_list_keeps_the_best_within_bounds() {
        let items: Vec<Value> =
            (0..1000).map(|n| json!({"address": format!("h{n}"), "score": n})).collect();
        let list = parse(&json!(items));
        assert_eq!((list.entries.len(), list.beyond), (CANDIDATES, 1000 - CANDIDATES));
        assert_eq!(list.entries[0].address.authority().host(), "h999");
        let runner = json!({"url": "https://a:1/s", "app": "e"});
        let list = parse(&json!([{"address": "a", "runners": vec![runner; RUNNERS + 5],
            "capabilities": vec!["llm/x"; CAPABILITIES + 7]}]));
        assert_eq!((list.entries[0].runners.len(), list.beyond), (RUNNERS, 12));
    }

    #[test]
    fn urls_too_long_after_normalization_are_dropped() {
        // Normalization adds `https://` and `:8935`.
        for (path, expected) in [(NAME_BYTES - 15, 1), (NAME_BYTES - 14, 0), (NAME_BYTES - 2, 0)] {
            let list = parse(&json!([{"address": format!("h/{}", "p".repeat(path))}]));
            assert_eq!((list.entries.len(), list.malformed), (expected, 1 - expected), "{path}");
            assert_eq!(DiscoveryList::parse(&list.to_json()).unwrap().to_json(), list.to_json());
        }
        let url = format!("https://h/{}", "p".repeat(NAME_BYTES - 10));
        let list = parse(&json!([{"address": "h", "runners": [{"url": url, "app": "e"}]}]));
        assert_eq!((list.entries[0].runners.len(), list.malformed), (0, 1));
    }

    #[test]
    fn names_with_control_characters_are_dropped() {
        let list = parse(&json!([{"address": "h", "capabilities": ["llm/a", "llm/\u{1b}[2Jb"]}]));
        assert_eq!((list.entries[0].capabilities.len(), list.malformed), (1, 1));
    }

    #[test]
    fn a_body_that_is_not_a_list_is_an_error() {
        for body in ["", "{}", "null", "\"a\"", "[", "[1", "[1] 2", "<html>"] {
            assert!(
                matches!(DiscoveryList::parse(body.as_bytes()), Err(ListError::Json(..))),
                "{body}"
            );
        }
        let large = vec![b' '; JSON_BODY + 1];
        assert_eq!(DiscoveryList::parse(&large), Err(ListError::TooLarge(JSON_BODY + 1)));
        assert!(DiscoveryList::parse("[".repeat(JSON_BODY).as_bytes()).is_err());
        let many = format!("[{}0]", "0,".repeat(JSON_BODY / 2 - 2));
        assert_eq!(DiscoveryList::parse(many.as_bytes()).unwrap().malformed, JSON_BODY / 2 - 1);
    }

    #[test]
    fn truncated_and_corrupt_lists_do_not_panic() {
        let body = full().to_string().into_bytes();
        for at in 0..body.len() {
            let _ = DiscoveryList::parse(&body[..at]);
            for value in [0, b'"', b'{', b'9', 0xff] {
                let mut flipped = body.clone();
                flipped[at] = value;
                let _ = DiscoveryList::parse(&flipped);
            }
        }
    }

    #[test]
    fn a_saved_list_reads_back_without_values_that_change_by_the_minute() {
        let list = parse(&full());
        let kept = list.to_json();
        let mut read = DiscoveryList::parse(&kept).unwrap();
        assert_eq!(read.to_json(), kept);
        let runner = &mut read.entries[1].runners[0];
        assert_eq!((runner.capacity.take(), runner.free.take()), (None, None));
        (runner.capacity, runner.free) = (Some(4), Some(3));
        assert_eq!(read, list);
        let mut busy = full();
        busy[1]["runners"][0]["capacity_available"] = json!(0);
        assert_eq!(parse(&busy).to_json(), kept, "not worth a write");
    }

    #[track_caller]
    fn check_query(endpoint: &str, capabilities: &[&str], apps: &[&str], expected: &str) {
        let capabilities: Vec<Capability> =
            capabilities.iter().map(|c| c.parse().unwrap()).collect();
        let endpoint = Url::parse(endpoint).unwrap();
        let apps = apps.iter().map(|app| (*app).to_owned()).collect();
        let url = list_url(&endpoint, &DiscoveryQuery { capabilities, apps }).unwrap();
        assert_eq!(url.to_string(), expected);
    }

    #[test]
    fn queries_keep_the_slash_and_escape_hostile_names() {
        let s = "https://s.example:1/discover-orchestrators";
        check_query(s, &[], &[], s);
        check_query(
            s,
            &["live-video-to-video/a", "llm/org/b-1.5_x~"],
            &[],
            &format!("{s}?caps=live-video-to-video/a&caps=llm/org/b-1.5_x~"),
        );
        check_query(
            s,
            &["llm/a b&caps=x#?%=+\r\n\"é"],
            &[],
            &format!("{s}?caps=llm/a%20b%26caps%3Dx%23%3F%25%3D%2B%0D%0A%22%C3%A9"),
        );
        check_query(
            "https://d:1/l?team=1",
            &[],
            &["echo", "a/b"],
            "https://d:1/l?team=1&app=echo&app=a/b",
        );
    }

    #[test]
    fn entries_match_capabilities_that_they_may_offer() {
        let list = parse(&full());
        let wanted = |text: &str| text.parse::<Capability>().unwrap();
        assert!(list.entries[0].may_offer(&wanted("live-video-to-video/m")));
        assert!(!list.entries[0].may_offer(&wanted("live-video-to-video/n")));
        assert!(list.entries[1].may_offer(&wanted("llm/n")), "it lists no capabilities");
    }
}
