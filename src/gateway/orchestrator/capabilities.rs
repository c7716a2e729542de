//! Pipelines by name and number, and whether an orchestrator's capabilities fit a job.
//!
//! | capabilities in the `OrchestratorInfo` | [`Fit`] |
//! |---|---|
//! | absent, or without models | `Unsaid`: only the start of the job shows whether the orchestrator fits |
//! | present, without the job's pipeline | `NoPipeline` |
//! | the pipeline, without the job's model | `NoModel` |
//! | the model, with all its capacity in use | `Full` |
//! | the model, with free or unknown capacity | `Has`, with the model loaded or not |
//!
//! A capacity of 0 with nothing in use means unknown: older go-livepeer versions do not report capacities.
//!
//! Does not: choose among orchestrators; `session::selection` does.

use std::fmt;
use std::str::FromStr;

use crate::limits::NAME_BYTES;
use crate::orchestrator::proto::{
    Capabilities, CapabilityConstraints, Constraints, ModelConstraint,
};
use bytes::Bytes;
use prost::Message as _;

/// Numbers and names of go-livepeer `core/capabilities.go`.
const PIPELINES: [(u32, &str); 11] = [
    (27, "text-to-image"),
    (28, "image-to-image"),
    (29, "image-to-video"),
    (30, "upscale"),
    (31, "audio-to-text"),
    (32, "segment-anything-2"),
    (33, "llm"),
    (34, "image-to-text"),
    (35, "live-video-to-video"),
    (36, "text-to-speech"),
    (37, "byoc"),
];

/// A pipeline of go-livepeer, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pipeline(u32);

impl Pipeline {
    /// Live video in, live video out.
    pub const LIVE_VIDEO_TO_VIDEO: Self = Self(35);

    /// Finds the pipeline with this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        PIPELINES.iter().find(|(_, known)| *known == name).map(|(id, _)| Self(*id))
    }

    /// The pipeline's number in protobuf messages.
    pub fn id(self) -> u32 {
        self.0
    }

    /// The pipeline's name in discovery and in paths.
    pub(crate) fn name(self) -> &'static str {
        PIPELINES.iter().find(|(id, _)| *id == self.0).map_or("", |(_, name)| name)
    }
}

/// A pipeline with one model, written `pipeline/model`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Capability {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// The model id, which may contain slashes.
    pub model: String,
}

/// Why a text is not a capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    /// Not of the form `pipeline/model`.
    #[error("`{0}` is not a capability; write pipeline/model")]
    Syntax(String),
    /// No pipeline has this name.
    #[error("pipeline `{0}` is unknown; the known pipelines are{known}", known = known())]
    Pipeline(String),
}

/// The names of all known pipelines.
fn known() -> String {
    PIPELINES.iter().map(|(_, name)| format!(" {name}")).collect()
}

impl FromStr for Capability {
    type Err = CapabilityError;

    fn from_str(text: &str) -> Result<Self, CapabilityError> {
        let cut = |text: &str| text.chars().take(64).collect::<String>();
        match text.split_once('/') {
            Some((pipeline, model)) if !model.is_empty() && model.len() <= NAME_BYTES => {
                let pipeline = Pipeline::from_name(pipeline)
                    .ok_or_else(|| CapabilityError::Pipeline(cut(pipeline)))?;
                Ok(Self { pipeline, model: model.to_owned() })
            }
            Some(_) | None => Err(CapabilityError::Syntax(cut(text))),
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pipeline.name(), self.model)
    }
}

/// Whether an orchestrator can run a job, by its capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// The orchestrator has the model.
    Has {
        /// Whether the model is loaded.
        warm: bool,
        /// Jobs that it can still take; `None` if it does not report them.
        free: Option<u32>,
    },
    /// The orchestrator reports no capabilities, or no models.
    Unsaid,
    /// The orchestrator does not have the pipeline.
    NoPipeline,
    /// The orchestrator has the pipeline, but not the model.
    NoModel,
    /// The orchestrator has the model, but all its capacity is in use.
    Full,
}

impl Capability {
    /// The protobuf message that requests this model.
    pub fn request(&self) -> Capabilities {
        let models = [(self.model.clone(), ModelConstraint::default())].into();
        let per_capability = [(self.pipeline.id(), CapabilityConstraints { models })].into();
        Capabilities {
            capacities: [(self.pipeline.id(), 1)].into(),
            constraints: Some(Constraints { per_capability, ..Constraints::default() }),
            ..Capabilities::default()
        }
    }

    /// The encoded message of [`Capability::request`], for the signer's payment request.
    pub fn encoded(&self) -> Bytes {
        self.request().encode_to_vec().into()
    }

    /// Whether an orchestrator that offers these capabilities can run this model.
    pub(crate) fn fit(&self, offered: Option<&Capabilities>) -> Fit {
        let Some(offered) = offered else { return Fit::Unsaid };
        let id = self.pipeline.id();
        let models = offered.constraints.as_ref().map(|constraints| &constraints.per_capability);
        let Some(models) = models.filter(|models| !models.is_empty()) else {
            let says_nothing =
                offered.capacities.is_empty() || offered.capacities.contains_key(&id);
            return if says_nothing { Fit::Unsaid } else { Fit::NoPipeline };
        };
        let Some(models) = models.get(&id) else {
            return if offered.capacities.contains_key(&id) {
                Fit::NoModel
            } else {
                Fit::NoPipeline
            };
        };
        match models.models.get(&self.model) {
            None => Fit::NoModel,
            Some(ModelConstraint { warm, capacity: 0, capacity_in_use: 0, .. }) => {
                Fit::Has { warm: *warm, free: None }
            }
            Some(model) => match model.capacity.saturating_sub(model.capacity_in_use) {
                0 => Fit::Full,
                free => Fit::Has { warm: model.warm, free: Some(free) },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::orchestrator::proto::OrchestratorInfo;
    use crate::orchestrator::proto::tests::vector;

    fn capability(text: &str) -> Capability {
        text.parse().unwrap()
    }

    #[test]
    fn names_and_numbers_belong_together() {
        for (id, name) in PIPELINES {
            let pipeline = Pipeline::from_name(name).unwrap();
            assert_eq!((pipeline.id(), pipeline.name()), (id, name));
        }
        assert_eq!(Pipeline::from_name("LLM"), None);
        assert_eq!(Pipeline::LIVE_VIDEO_TO_VIDEO.name(), "live-video-to-video");
    }

    #[track_caller]
    fn check(text: &str, expected: Result<(u32, &str), CapabilityError>) {
        let read = text.parse::<Capability>().map(|c| (c.pipeline.id(), c.model));
        assert_eq!(read, expected.map(|(id, model)| (id, model.to_owned())));
    }

    #[test]
    fn capabilities_are_a_pipeline_and_a_model() {
        check("live-video-to-video/streamdiffusion", Ok((35, "streamdiffusion")));
        check("text-to-image/org/model-1", Ok((27, "org/model-1")));
        check("llm/", Err(CapabilityError::Syntax("llm/".into())));
        check("streamdiffusion", Err(CapabilityError::Syntax("streamdiffusion".into())));
        check("dance/x", Err(CapabilityError::Pipeline("dance".into())));
        let long = format!("llm/{}", "x".repeat(NAME_BYTES + 1));
        check(&long, Err(CapabilityError::Syntax(long[..64].into())));
    }

    #[test]
    fn a_request_equals_that_of_an_independent_implementation() {
        let golden = Capabilities::decode(vector("capabilities-lv2v-model").as_slice()).unwrap();
        assert_eq!(capability("live-video-to-video/streamdiffusion").request(), golden);
    }

    #[test]
    fn an_info_fits_only_its_own_model() {
        let info = OrchestratorInfo::decode(vector("info-full").as_slice()).unwrap();
        let fit = |text| capability(text).fit(info.capabilities.as_ref());
        let has = Fit::Has { warm: true, free: Some(1) };
        assert_eq!(fit("live-video-to-video/streamdiffusion"), has);
        assert_eq!(fit("live-video-to-video/other"), Fit::NoModel);
        assert_eq!(fit("llm/streamdiffusion"), Fit::NoPipeline);
        let info = OrchestratorInfo::decode(vector("info-offchain-minimal").as_slice()).unwrap();
        assert_eq!(capability("llm/x").fit(info.capabilities.as_ref()), Fit::Unsaid);
    }

    #[track_caller]
    fn check_fit(warm: bool, capacity: u32, capacity_in_use: u32, expected: Fit) {
        let wanted = capability("llm/m");
        let mut offered = wanted.request();
        let constraints = &mut offered.constraints.as_mut().unwrap().per_capability;
        let model =
            ModelConstraint { warm, capacity, capacity_in_use, ..ModelConstraint::default() };
        constraints.get_mut(&33).unwrap().models.insert("m".into(), model);
        assert_eq!(wanted.fit(Some(&offered)), expected);
    }

    #[test]
    fn free_capacity_is_the_capacity_not_in_use() {
        check_fit(true, 2, 1, Fit::Has { warm: true, free: Some(1) });
        check_fit(false, 4, 0, Fit::Has { warm: false, free: Some(4) });
        check_fit(true, 1, 1, Fit::Full);
        check_fit(true, 1, u32::MAX, Fit::Full);
        check_fit(true, 0, 3, Fit::Full);
        check_fit(true, 0, 0, Fit::Has { warm: true, free: None });
    }

    #[test]
    fn an_orchestrator_without_models_may_fit() {
        let wanted = capability("llm/m");
        let fit = |capacities: &[u32]| {
            let capacities = capacities.iter().map(|id| (*id, 1)).collect();
            wanted.fit(Some(&Capabilities { capacities, ..Capabilities::default() }))
        };
        assert_eq!((fit(&[]), fit(&[33]), fit(&[35])), (Fit::Unsaid, Fit::Unsaid, Fit::NoPipeline));
    }
}
