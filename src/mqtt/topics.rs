//! The names of all topics of one instance.
//!
//! Does not: say what is published there; [`super`] has the table.

use std::sync::Arc;

use mqtt_proto::TopicName;

use super::Options;
use super::error::BrokerError;

/// The topics of one instance.
#[derive(Debug, Clone)]
pub(super) struct Topics {
    /// The instance, in letters, digits, `-` and `_`.
    pub(super) id: Arc<str>,
    pub(super) status: TopicName,
    pub(super) report: TopicName,
    pub(super) discovery: Option<TopicName>,
}

impl Topics {
    /// The topics of this instance.
    pub(super) fn new(options: &Options, instance: &str) -> Result<Self, BrokerError> {
        let id = id(instance);
        let prefix = match &options.prefix {
            Some(prefix) => prefix.clone(),
            None => format!("livepeer-edge/{id}"),
        };
        let named =
            |name: String| TopicName::try_from(name.as_str()).map_err(|_| BrokerError::Topic(name));
        let below = |name: &str| named(format!("{prefix}/{name}"));
        let discovery = options.discovery_prefix.as_ref();
        let discovery =
            discovery.map(|root| named(format!("{root}/device/livepeer-edge-{id}/config")));
        Ok(Self {
            status: below("status")?,
            report: below("report")?,
            discovery: discovery.transpose()?,
            id: id.into(),
        })
    }
}

/// The name with `_` for each character that is not a letter, digit, `-` or `_`: Home Assistant's ids allow no others.
fn id(instance: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    instance.chars().map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_begin_with_the_prefix_or_the_instance() {
        let usual = Topics::new(&Options::default(), "front door/1#").unwrap();
        assert_eq!(&*usual.status, "livepeer-edge/front_door_1_/status");
        let discovery = usual.discovery.unwrap();
        assert_eq!(&*discovery, "homeassistant/device/livepeer-edge-front_door_1_/config");
        let prefix = Some("home/door".to_owned());
        let own = Options { prefix, discovery_prefix: None, ..Options::default() };
        let own = Topics::new(&own, "pi").unwrap();
        assert_eq!(&*own.report, "home/door/report");
        assert_eq!(own.discovery, None);
    }
}
