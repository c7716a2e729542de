//! The names of all topics of one instance.
//!
//! Does not: say what is published there; [`super`] has the table.

use std::sync::Arc;

use mqtt_proto::{TopicFilter, TopicName};

use super::Options;
use super::error::BrokerError;

/// The topics of one instance.
#[derive(Debug, Clone)]
pub(super) struct Topics {
    /// The instance, in letters, digits, `-` and `_`.
    pub(super) id: Arc<str>,
    pub(super) status: TopicName,
    pub(super) report: TopicName,
    pub(super) event: TopicName,
    pub(super) params: TopicName,
    pub(super) answer: TopicName,
    pub(super) picture: TopicName,
    pub(super) discovery: Option<TopicName>,
    prefix: String,
}

/// Where commands come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// JSON for everything.
    Set,
    /// Parameters, to be merged.
    Params,
    /// The parameter `prompt`.
    Prompt,
    /// A job or none.
    Job,
    /// A new job.
    Restart,
}

impl Place {
    /// All of them.
    pub(super) const ALL: [Self; 5] =
        [Self::Set, Self::Params, Self::Prompt, Self::Job, Self::Restart];

    /// The end of the topic.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Params => "params/set",
            Self::Prompt => "prompt/set",
            Self::Job => "job/set",
            Self::Restart => "restart/set",
        }
    }
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
            event: below("event")?,
            params: below("params")?,
            answer: below("answer")?,
            picture: below("picture")?,
            discovery: discovery.transpose()?,
            id: id.into(),
            prefix,
        })
    }

    /// The topic of commands of this place.
    pub(super) fn command(&self, place: Place) -> String {
        format!("{}/{}", self.prefix, place.name())
    }

    /// The topics of all commands, to subscribe to.
    pub(super) fn commands(&self) -> Result<Vec<TopicFilter>, BrokerError> {
        let filter = |place: Place| {
            let topic = self.command(place);
            TopicFilter::try_from(topic.as_str()).map_err(|_| BrokerError::Topic(topic))
        };
        Place::ALL.into_iter().map(filter).collect()
    }

    /// The place of a command that came on this topic.
    pub(super) fn place(&self, topic: &str) -> Option<Place> {
        let name = topic.strip_prefix(self.prefix.as_str())?.strip_prefix('/')?;
        Place::ALL.into_iter().find(|place| place.name() == name)
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
        for place in Place::ALL {
            assert_eq!(own.place(&own.command(place)), Some(place));
        }
        for other in ["home/door", "home/door/status", "home/doors/set", "x/home/door/set", ""] {
            assert_eq!(own.place(other), None, "{other}");
        }
    }
}
