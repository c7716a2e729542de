//! The keys of the MQTT client: `[mqtt]`.
//!
//! Does not: contain the credential; only the place where it is kept.

use std::time::Duration;

use super::{Initial, Key, Takes, filled};
use crate::api::Which;
use crate::config::events::keep_types;
use crate::config::peers;
use crate::mqtt::{checked_discovery_prefix, checked_prefix};

pub(super) static KEYS: &[Key] = &[
    Key {
        name: "mqtt.url",
        initial: Initial::Unset { means: "MQTT is off", example: r#""mqtts://broker.example""# },
        what: "The MQTT broker to which state and events are published: mqtts://host[:port] with TLS (port 8883), mqtt://host[:port] without (port 1883), which is refused for addresses on the Internet.",
        takes: Takes::Text {
            kind: "mqtts:// or mqtt:// URL",
            keep: |d, text| {
                d.mqtt.url = Some(text.parse()?);
                Ok(())
            },
        },
    },
    Key {
        name: "mqtt.credential",
        initial: Initial::Unset { means: "none", example: r#""credential:mqtt""# },
        what: "Where user:password for the broker are kept.",
        takes: Takes::Text {
            kind: "file:/path, credential:NAME or env:VARIABLE",
            keep: |d, text| {
                d.mqtt.credential = Some(text.parse().map_err(|error| format!("{error}"))?);
                Ok(())
            },
        },
    },
    Key {
        name: "mqtt.ca-file",
        initial: Initial::Unset {
            means: "the system's authorities",
            example: r#""/etc/livepeer-edge/broker-ca.pem""#,
        },
        what: "A PEM file of certificate authorities for the broker, in place of those of the system.",
        takes: Takes::Text {
            kind: "path",
            keep: |d, text| filled(text).map(|path| d.mqtt.ca_file = Some(path.into())),
        },
    },
    Key {
        name: "mqtt.pin",
        initial: Initial::Unset {
            means: "the certificate must be signed by an authority",
            example: r#""00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF""#,
        },
        what: "The SHA-256 of the broker's certificate; it is then trusted by this pin alone.",
        takes: Takes::Text {
            kind: "SHA-256 fingerprint",
            keep: |d, text| {
                d.mqtt.pin = Some(peers::fingerprint(text)?);
                Ok(())
            },
        },
    },
    Key {
        name: "mqtt.allow-plain",
        initial: Initial::Is("false"),
        what: "Allows mqtt:// to addresses on the Internet: everyone on the path can then read the password, watch and send commands.",
        takes: Takes::Flag(|d, is_set| d.mqtt.allow_plain = is_set),
    },
    Key {
        name: "mqtt.prefix",
        initial: Initial::Unset {
            means: "livepeer-edge/ and the name of the instance",
            example: r#""home/front-door""#,
        },
        what: "The beginning of all topics. Each agent needs its own.",
        takes: Takes::Text {
            kind: "beginning of a topic",
            keep: |d, text| {
                d.mqtt.prefix = Some(checked_prefix(text)?);
                Ok(())
            },
        },
    },
    Key {
        name: "mqtt.discovery-prefix",
        initial: Initial::Is(r#""homeassistant""#),
        what: "The beginning of the topic in which Home Assistant finds the device, or off.",
        takes: Takes::Text {
            kind: "beginning of a topic, or off",
            keep: |d, text| {
                d.mqtt.discovery_prefix = checked_discovery_prefix(text)?;
                Ok(())
            },
        },
    },
    Key {
        name: "mqtt.commands",
        initial: Initial::Is("false"),
        what: "Takes commands from the broker: other parameters, a job or none, a new job. Whoever may publish there can then steer the job and cause costs.",
        takes: Takes::Flag(|d, is_set| d.mqtt.takes_commands = is_set),
    },
    Key {
        name: "mqtt.event-types",
        initial: Initial::Unset { means: "all but model", example: r#"["camera_lost"]"# },
        what: "The types of events that are published.",
        takes: Takes::Texts {
            kind: "types of events (see systemd/README.md)",
            separator: ',',
            keep: |d, names| {
                let mut types = None;
                keep_types(&mut types, names)?;
                types.into_iter().for_each(|types| d.mqtt.events = types);
                Ok(())
            },
        },
    },
    Key {
        name: "mqtt.picture-every",
        initial: Initial::Unset { means: "no pictures", example: r#""10 s""# },
        what: "How often a picture is published as JPEG while video comes. A picture of 1280x720 has about 100 kB.",
        takes: Takes::Time {
            from: Duration::from_secs(1),
            to: Duration::from_secs(3600),
            keep: |d, time| d.mqtt.picture_every = Some(time),
        },
    },
    Key {
        name: "mqtt.picture",
        initial: Initial::Is(r#""output""#),
        what: "Which stream the picture is of: the processed video, or the input.",
        takes: Takes::OneOf(&[
            ("output", |d| d.mqtt.picture = Which::Output),
            ("input", |d| d.mqtt.picture = Which::Input),
        ]),
    },
];
