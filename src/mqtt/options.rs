//! The options of the MQTT client.
//!
//! Does not: contain the credential; the options name the place where it is kept.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::api::Which;
use crate::events::Types;
use livepeer_gateway::http::{Fingerprint, Scheme, ServiceTrust, Url, UrlError, Zone};
use resilience::secret::SecretSource;

/// The port of a broker without TLS.
const PORT: u16 = 1883;
/// The port of a broker with TLS.
const TLS_PORT: u16 = 8883;
/// The longest prefix of topics.
const PREFIX_BYTES: usize = 200;

/// The options of the client: the broker, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The broker; `None` if MQTT is not used.
    pub url: Option<BrokerUrl>,
    /// Where `user:password` is kept.
    pub credential: Option<SecretSource>,
    /// The SHA-256 of the broker's certificate; the certificate is then trusted by this pin alone.
    pub pin: Option<Fingerprint>,
    /// A PEM file of authorities that replace those of the system.
    pub ca_file: Option<PathBuf>,
    /// Allows a broker on the Internet without TLS.
    pub allow_plain: bool,
    /// The beginning of all topics; `None` for `livepeer-edge/` and the name of the instance.
    pub prefix: Option<String>,
    /// The beginning of the topic in which Home Assistant finds the device; `None` if it must not find the device.
    pub discovery_prefix: Option<String>,
    /// Whether commands are taken from the broker: whoever may publish there steers the job, which may cost money.
    pub takes_commands: bool,
    /// Which events are published.
    pub events: Types,
    /// How often a picture is published; `None` for none.
    pub picture_every: Option<Duration>,
    /// Of which stream.
    pub picture: Which,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            url: None,
            credential: None,
            pin: None,
            ca_file: None,
            allow_plain: false,
            prefix: None,
            discovery_prefix: Some("homeassistant".to_owned()),
            takes_commands: false,
            events: Types::without_model(),
            picture_every: None,
            picture: Which::Output,
        }
    }
}

impl Options {
    /// Which certificate of the broker is trusted.
    pub(super) fn trust(&self, broker: &BrokerUrl) -> ServiceTrust {
        let pin = self.pin.map(|pin| (broker.0.authority().clone(), pin));
        ServiceTrust { pins: pin.into_iter().collect(), ca_file: self.ca_file.clone() }
    }

    /// The key that does not fit the other options, and why; `None` if all fit.
    pub(crate) fn objection(&self) -> Option<(&'static str, String)> {
        let Some(broker) = &self.url else { return None };
        let authority = broker.0.authority();
        if broker.has_tls() {
            return None;
        }
        if authority.zone() == Some(Zone::Public) && !self.allow_plain {
            let reason = format!(
                "{authority} is on the Internet, and mqtt:// has no TLS; use mqtts://, or set mqtt.allow-plain = true"
            );
            return Some(("mqtt.url", reason));
        }
        let unused = "would not be used without TLS; use an mqtts:// URL, or leave it out";
        let keys = [("mqtt.pin", self.pin.is_some()), ("mqtt.ca-file", self.ca_file.is_some())];
        let key = keys.into_iter().find(|(_, is_set)| *is_set);
        key.map(|(key, _)| (key, unused.to_owned()))
    }
}

/// The URL of a broker: `mqtts://host[:port]` or `mqtt://host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerUrl(pub(super) Url);

impl BrokerUrl {
    /// Whether the broker is reached by TLS.
    pub fn has_tls(&self) -> bool {
        self.0.scheme() == Scheme::Https
    }
}

impl FromStr for BrokerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (scheme, port, place) = match text.split_once("://") {
            Some(("mqtts", place)) => ("https", TLS_PORT, place),
            Some(("mqtt", place)) => ("http", PORT, place),
            Some(_) | None => {
                return Err("is not mqtts://host[:port] or mqtt://host[:port]".to_owned());
            }
        };
        let place = place.strip_suffix('/').unwrap_or(place);
        // The first colon outside of the brackets of an IPv6 address begins the port.
        let behind_host = place.rsplit_once(']').map_or(place, |(_, rest)| rest);
        let port = if behind_host.contains(':') { String::new() } else { format!(":{port}") };
        match Url::parse_base(&format!("{scheme}://{place}{port}"), PORT) {
            Ok(url) if place.contains('/') => {
                Err(format!("{}: a broker's URL has no path", url.authority()))
            }
            Ok(url) => Ok(Self(url)),
            Err(UrlError::UserInfo) => {
                Err("must not hold a user name or password; use mqtt.credential".to_owned())
            }
            Err(_) => Err("is not mqtts://host[:port] or mqtt://host[:port]".to_owned()),
        }
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.has_tls() { "mqtts" } else { "mqtt" };
        write!(f, "{scheme}://{}", self.0.authority())
    }
}

/// Checks the beginning of topics.
pub(crate) fn checked_prefix(text: &str) -> Result<String, String> {
    let is_usable = |c: char| !c.is_control() && !matches!(c, '#' | '+');
    let is_whole = text.split('/').all(|level| !level.is_empty());
    if text.len() > PREFIX_BYTES
        || !is_whole
        || text.starts_with('$')
        || !text.chars().all(is_usable)
    {
        return Err(format!(
            "is not the beginning of a topic: at most {PREFIX_BYTES} bytes, without #, + and empty levels, not from $ on"
        ));
    }
    Ok(text.to_owned())
}

/// Checks the beginning of discovery topics; `off` for none.
pub(crate) fn checked_discovery_prefix(text: &str) -> Result<Option<String>, String> {
    if text == "off" { Ok(None) } else { checked_prefix(text).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let url = text.parse::<BrokerUrl>().map(|url| url.to_string());
        match expected {
            Ok(expected) => assert_eq!(url.as_deref(), Ok(expected), "{text}"),
            Err(part) => assert!(url.as_ref().is_err_and(|e| e.contains(part)), "{text}: {url:?}"),
        }
    }

    #[test]
    fn a_broker_is_named_by_its_url() {
        check("mqtts://broker.example", Ok("mqtts://broker.example:8883"));
        check("mqtt://192.168.1.7/", Ok("mqtt://192.168.1.7:1883"));
        check("mqtt://Pi.local:1884", Ok("mqtt://pi.local:1884"));
        check("mqtts://[fd00::1]", Ok("mqtts://[fd00::1]:8883"));
        check("mqtts://[fd00::1]:8884", Ok("mqtts://[fd00::1]:8884"));
        for wrong in ["", "broker:1883", "https://broker", "mqtt://", "mqtt://a b", "mqtt://a:0"] {
            check(wrong, Err("mqtt"));
        }
        check("mqtt://me:secret@broker", Err("mqtt.credential"));
        check("mqtt://broker/topic", Err("no path"));
        assert!(!"mqtt://me:secret@broker".parse::<BrokerUrl>().unwrap_err().contains("secret"));
    }

    #[test]
    fn plain_mqtt_to_the_internet_needs_a_setting() {
        let options = |url: &str| Options { url: Some(url.parse().unwrap()), ..Options::default() };
        let key = |options: Options| options.objection().map(|(key, _)| key);
        assert_eq!(key(options("mqtt://8.8.8.8")), Some("mqtt.url"));
        assert_eq!(key(Options { allow_plain: true, ..options("mqtt://8.8.8.8") }), None);
        // A name has to be resolved first: its address is judged when the client connects.
        for near in ["mqtt://127.0.0.1", "mqtt://192.168.1.7", "mqtt://broker.example"] {
            assert_eq!(key(options(near)), None, "{near}");
        }
        assert_eq!(key(options("mqtts://8.8.8.8")), None);
        let pin = Some(Fingerprint([1; 32]));
        assert_eq!(key(Options { pin, ..options("mqtt://127.0.0.1") }), Some("mqtt.pin"));
        assert_eq!(key(Options { pin, ..options("mqtts://127.0.0.1") }), None);
    }

    #[test]
    fn a_prefix_is_the_beginning_of_a_topic() {
        for good in ["home", "home/cameras/front door"] {
            assert_eq!(checked_prefix(good).as_deref(), Ok(good));
        }
        for wrong in ["", "/home", "home/", "a//b", "a/#", "+/b", "$SYS", "a\u{0}b"] {
            assert!(checked_prefix(wrong).is_err(), "{wrong}");
        }
        assert_eq!(checked_discovery_prefix("off"), Ok(None));
    }
}
