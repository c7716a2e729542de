//! What is asked of an orchestrator: a capability (by number) and a model.
//!
//! Does not: judge what an orchestrator offers.

use std::collections::BTreeMap;

use crate::orchestrator::proto::{
    Capabilities, CapabilityConstraints, Constraints, ModelConstraint,
};

/// The capability of live video jobs (protocol.md, section 3).
pub const LIVE_VIDEO_TO_VIDEO: u32 = 35;

/// Asks for `live-video-to-video` with `model`.
pub fn live_video(model: &str) -> Capabilities {
    let models = BTreeMap::from([(model.to_owned(), ModelConstraint::default())]);
    let constraint = CapabilityConstraints { models };
    Capabilities {
        capacities: BTreeMap::from([(LIVE_VIDEO_TO_VIDEO, 1)]),
        constraints: Some(Constraints {
            per_capability: BTreeMap::from([(LIVE_VIDEO_TO_VIDEO, constraint)]),
            ..Constraints::default()
        }),
        ..Capabilities::default()
    }
}
