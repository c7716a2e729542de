//! Describes the device to Home Assistant: one device with its entities, in one message ("device discovery", Home
//! Assistant 2024.11 and later).
//!
//! Values are taken from the report by templates. A value that is not known is `none`, which Home Assistant shows as
//! unknown. Keys and rules: home-assistant.io/integrations/mqtt, "Device discovery payload".
//!
//! Does not: publish the values.

use serde_json::{Map, Value, json};

use super::Options;
use super::topics::{Place, Topics};

/// The longest state of an entity, in characters.
const STATE_CHARS: usize = 255;

/// The message for `PREFIX/device/ID/config`. `instance` is the name of the device for people.
pub(super) fn device(topics: &Topics, instance: &str, options: &Options) -> Value {
    let id = format!("livepeer-edge-{}", topics.id);
    let version = env!("CARGO_PKG_VERSION");
    json!({
        "device": {
            "identifiers": [id],
            "name": instance,
            "manufacturer": "Livepeer",
            "model": "livepeer-edge",
            "sw_version": version,
        },
        "origin": { "name": "livepeer-edge", "sw_version": version },
        "availability_topic": &*topics.status,
        "qos": 1,
        "components": Value::Object(entities(topics, &id, options)),
    })
}

/// All entities. One that the options do not want has only its platform, which removes it.
fn entities(topics: &Topics, id: &str, options: &Options) -> Map<String, Value> {
    let wanted = figures(topics).into_iter().chain(controls(topics, options));
    wanted
        .map(|(name, mut entity)| {
            if let Value::Object(keys) = &mut entity
                && keys.len() > 1
            {
                keys.insert("unique_id".to_owned(), format!("{id}-{name}").into());
            }
            (name.to_owned(), entity)
        })
        .collect()
}

/// The picture, and what steers the agent.
fn controls(topics: &Topics, options: &Options) -> [(&'static str, Value); 4] {
    let only_if = |is_wanted: bool, entity: Value| match is_wanted {
        true => entity,
        false => json!({ "platform": entity.get("platform") }),
    };
    let picture = json!({
        "platform": "image",
        "name": "Picture",
        "image_topic": &*topics.picture,
        "content_type": "image/jpeg",
    });
    let prompt = json!({
        "platform": "text",
        "name": "Prompt",
        "icon": "mdi:text-box-edit",
        "command_topic": topics.command(Place::Prompt),
        "state_topic": &*topics.params,
        "value_template":
            format!("{{{{ (value_json.params.prompt | default('') | string)[:{STATE_CHARS}] }}}}"),
        "max": STATE_CHARS,
    });
    let job = json!({
        "platform": "switch",
        "name": "Job",
        "icon": "mdi:play-network",
        "command_topic": topics.command(Place::Job),
        "payload_on": "start",
        "payload_off": "stop",
        "state_topic": &*topics.report,
        "value_template": "{{ 'start' if value_json.job.wanted else 'stop' }}",
    });
    let restart = json!({
        "platform": "button",
        "name": "New job",
        "icon": "mdi:restart",
        "command_topic": topics.command(Place::Restart),
        "payload_press": "restart",
    });
    let takes_commands = options.takes_commands;
    [
        ("picture", only_if(options.picture_every.is_some(), picture)),
        ("prompt", only_if(takes_commands, prompt)),
        ("job", only_if(takes_commands, job)),
        ("restart", only_if(takes_commands, restart)),
    ]
}

/// What the report says.
fn figures(topics: &Topics) -> [(&'static str, Value); 5] {
    [
        (
            "state",
            figure(
                topics,
                "State",
                &format!("value_json.summary[:{STATE_CHARS}]"),
                json!({
                    "icon": "mdi:video-wireless",
                }),
            ),
        ),
        ("problem", problem(topics)),
        (
            "fps",
            figure(
                topics,
                "Frames per second",
                "value_json.returned.fps | round(1)",
                json!({
                    "unit_of_measurement": "fps",
                    "state_class": "measurement",
                    "icon": "mdi:filmstrip",
                }),
            ),
        ),
        (
            "latency",
            figure(
                topics,
                "Latency",
                LATENCY,
                json!({
                    "unit_of_measurement": "ms",
                    "device_class": "duration",
                    "state_class": "measurement",
                }),
            ),
        ),
        (
            "cost",
            figure(
                topics,
                "Cost per hour",
                COST,
                json!({
                    "unit_of_measurement": "ETH/h",
                    "state_class": "measurement",
                    "icon": "mdi:ethereum",
                }),
            ),
        ),
    ]
}

/// The median round trip of a frame, in milliseconds.
const LATENCY: &str = "(value_json.round_trip.p50 * 1000) | round if value_json.round_trip and value_json.round_trip.p50 is not none else none";
/// The price of the job, from wei.
const COST: &str = "value_json.payment.wei_per_hour / 1e18 if value_json.payment.wei_per_hour is not none else none";

/// An entity that shows a value of the report. `keys` are further keys.
fn figure(topics: &Topics, name: &str, value: &str, keys: Value) -> Value {
    let mut entity = json!({
        "platform": "sensor",
        "name": name,
        "state_topic": &*topics.report,
        "value_template": format!("{{{{ {value} }}}}"),
    });
    if let (Value::Object(entity), Value::Object(keys)) = (&mut entity, keys) {
        entity.extend(keys);
    }
    entity
}

/// On while a link of the chain is at fault.
fn problem(topics: &Topics) -> Value {
    json!({
        "platform": "binary_sensor",
        "name": "Problem",
        "device_class": "problem",
        "state_topic": &*topics.report,
        "value_template": "{{ 'ON' if value_json.chain | selectattr('state', 'eq', 'failed') | list else 'OFF' }}",
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The keys of the message, from home-assistant.io/integrations/mqtt and the schema `DEVICE_DISCOVERY_SCHEMA` of
    /// Home Assistant: the required ones, and the others that are allowed.
    const DEVICE_MESSAGE: Keys = (
        &["device", "origin", "components"],
        &[
            "availability",
            "availability_mode",
            "availability_template",
            "availability_topic",
            "payload_available",
            "payload_not_available",
            "state_topic",
            "command_topic",
            "qos",
            "encoding",
        ],
    );
    const DEVICE: Keys = (
        &["identifiers"],
        &[
            "configuration_url",
            "connections",
            "hw_version",
            "manufacturer",
            "model",
            "model_id",
            "name",
            "serial_number",
            "suggested_area",
            "sw_version",
            "via_device",
        ],
    );
    const ORIGIN: Keys = (&["name"], &["sw_version", "support_url"]);
    /// Keys of every entity.
    const ENTITY: &[&str] = &[
        "availability",
        "availability_mode",
        "availability_template",
        "availability_topic",
        "default_entity_id",
        "enabled_by_default",
        "encoding",
        "entity_category",
        "entity_picture",
        "icon",
        "json_attributes_template",
        "json_attributes_topic",
        "name",
        "payload_available",
        "payload_not_available",
        "qos",
    ];
    /// The keys of each platform: those that are required beside `platform` and `unique_id`, and the others that are
    /// allowed.
    const PLATFORMS: &[(&str, Keys)] = &[
        (
            "sensor",
            (
                &["state_topic"],
                &[
                    "device_class",
                    "expire_after",
                    "force_update",
                    "last_reset_value_template",
                    "options",
                    "state_class",
                    "suggested_display_precision",
                    "unit_of_measurement",
                    "value_template",
                ],
            ),
        ),
        (
            "binary_sensor",
            (
                &["state_topic"],
                &[
                    "device_class",
                    "expire_after",
                    "force_update",
                    "off_delay",
                    "payload_off",
                    "payload_on",
                    "value_template",
                ],
            ),
        ),
        (
            "switch",
            (
                &["command_topic"],
                &[
                    "command_template",
                    "device_class",
                    "optimistic",
                    "payload_off",
                    "payload_on",
                    "retain",
                    "state_off",
                    "state_on",
                    "state_topic",
                    "value_template",
                ],
            ),
        ),
        (
            "text",
            (
                &["command_topic"],
                &[
                    "command_template",
                    "max",
                    "min",
                    "mode",
                    "pattern",
                    "retain",
                    "state_topic",
                    "value_template",
                ],
            ),
        ),
        (
            "button",
            (&["command_topic"], &["command_template", "device_class", "payload_press", "retain"]),
        ),
        (
            "image",
            (&["image_topic"], &["content_type", "image_encoding", "url_template", "url_topic"]),
        ),
    ];

    type Keys = (&'static [&'static str], &'static [&'static str]);

    #[track_caller]
    fn check(object: &Value, (required, allowed): Keys, more: &[&str]) {
        let object = object.as_object().unwrap();
        for key in required {
            assert!(object.contains_key(*key), "`{key}` is missing in {object:?}");
        }
        for key in object.keys() {
            let is_known =
                [required, allowed, more].iter().any(|keys| keys.contains(&key.as_str()));
            assert!(is_known, "`{key}` is not a key of {object:?}");
        }
    }

    fn message(options: &Options) -> Value {
        let topics = Topics::new(options, "front door").unwrap();
        device(&topics, "front door", options)
    }

    fn with_everything() -> Options {
        let picture_every = Some(Duration::from_secs(10));
        Options { takes_commands: true, picture_every, ..Options::default() }
    }

    #[test]
    fn the_message_keeps_to_home_assistants_schema() {
        let message = message(&with_everything());
        check(&message, DEVICE_MESSAGE, &[]);
        check(&message["device"], DEVICE, &[]);
        check(&message["origin"], ORIGIN, &[]);
        let mut ids = Vec::new();
        for (name, entity) in message["components"].as_object().unwrap() {
            let platform = entity["platform"].as_str().unwrap();
            let keys = PLATFORMS.iter().find(|(known, _)| *known == platform);
            let (_, keys) = keys.unwrap_or_else(|| panic!("{name}: {platform}"));
            let own = ["platform", "unique_id"];
            assert!(own.iter().all(|key| entity[key].is_string()), "{name}");
            check(entity, *keys, &[ENTITY, &own].concat());
            for (key, value) in entity.as_object().unwrap() {
                let is_topic = key.ends_with("_topic");
                let text = value.as_str().unwrap_or_default();
                assert!(
                    !is_topic || text.starts_with("livepeer-edge/front_door/"),
                    "{name}: {text}"
                );
                let is_template = key.ends_with("_template");
                assert!(!is_template || text.matches("{{").count() == text.matches("}}").count());
            }
            ids.push(entity["unique_id"].as_str().unwrap().to_owned());
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), message["components"].as_object().unwrap().len());
    }

    #[test]
    fn entities_that_are_not_wanted_have_only_their_platform() {
        let all = message(&with_everything());
        let few = message(&Options::default());
        for (name, entity) in few["components"].as_object().unwrap() {
            let is_optional = ["picture", "prompt", "job", "restart"].contains(&name.as_str());
            let platform = &all["components"][name]["platform"];
            match is_optional {
                true => assert_eq!(*entity, json!({ "platform": platform })),
                false => assert_eq!(*entity, all["components"][name]),
            }
        }
    }
}
