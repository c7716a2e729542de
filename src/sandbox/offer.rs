//! Makes the `OrchestratorInfo`, and decides whether a job with a model can start.
//!
//! Does not: add the price and ticket parameters; `world::money` does.

use std::collections::BTreeMap;

use livepeer_gateway::orchestrator::proto::{
    AuthToken, Capabilities, CapabilityConstraints, Constraints, ModelConstraint, OrchestratorInfo,
    OrchestratorRequest,
};

/// The capability `live-video-to-video`.
const LIVE_VIDEO: u32 = 35;
/// Maximum number of models read from a request.
const MODELS: usize = 32;

/// The present offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer<'a> {
    /// The base URL for all calls.
    pub(crate) url: &'a str,
    /// The offered models; an empty list offers every model.
    pub(crate) models: &'a [String],
    /// Whether the models are announced as loaded.
    pub(crate) warm: bool,
    /// Maximum number of jobs at a time.
    pub(crate) capacity: u32,
    /// The number of running jobs.
    pub(crate) in_use: u32,
}

/// The model is not offered, or all capacity is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoCapacity;

impl Offer<'_> {
    /// The info for a client. Fails if a job with one of the requested models could not start, unless the request
    /// ignores the capacity.
    pub(crate) fn info(
        &self,
        request: &OrchestratorRequest,
        token: Option<AuthToken>,
    ) -> Result<OrchestratorInfo, NoCapacity> {
        let asked = asked_models(request);
        if !request.ignore_capacity_check && !asked.is_empty() {
            asked.iter().try_for_each(|model| self.admit(model))?;
        }
        Ok(OrchestratorInfo {
            transcoder: self.url.to_owned(),
            capabilities: Some(self.capabilities(&asked)),
            auth_token: token,
            ..OrchestratorInfo::default()
        })
    }

    /// Whether a job with this model can start.
    pub(crate) fn admit(&self, model: &str) -> Result<(), NoCapacity> {
        let is_known = self.models.is_empty() || self.models.iter().any(|known| known == model);
        if is_known && self.in_use < self.capacity { Ok(()) } else { Err(NoCapacity) }
    }

    /// The offered models; if every model is offered, the requested ones.
    fn capabilities(&self, asked: &[String]) -> Capabilities {
        let models = if self.models.is_empty() { asked } else { self.models };
        let model = ModelConstraint {
            warm: self.warm,
            capacity: self.capacity,
            capacity_in_use: self.in_use,
            ..ModelConstraint::default()
        };
        let models = models.iter().map(|name| (name.clone(), model.clone())).collect();
        Capabilities {
            bitstring: vec![1 << LIVE_VIDEO],
            capacities: BTreeMap::from([(LIVE_VIDEO, self.capacity)]),
            version: concat!("sandbox-", env!("CARGO_PKG_VERSION")).to_owned(),
            constraints: Some(Constraints {
                per_capability: BTreeMap::from([(LIVE_VIDEO, CapabilityConstraints { models })]),
                ..Constraints::default()
            }),
            ..Capabilities::default()
        }
    }
}

fn asked_models(request: &OrchestratorRequest) -> Vec<String> {
    let constraints = request.capabilities.as_ref().and_then(|c| c.constraints.as_ref());
    constraints
        .and_then(|constraints| constraints.per_capability.get(&LIVE_VIDEO))
        .map(|asked| asked.models.keys().take(MODELS).cloned().collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(model: &str, ignore_capacity_check: bool) -> OrchestratorRequest {
        let models = BTreeMap::from([(model.to_owned(), ModelConstraint::default())]);
        let constraints = Constraints {
            per_capability: BTreeMap::from([(LIVE_VIDEO, CapabilityConstraints { models })]),
            ..Constraints::default()
        };
        let capabilities =
            Capabilities { constraints: Some(constraints), ..Capabilities::default() };
        OrchestratorRequest {
            capabilities: Some(capabilities),
            ignore_capacity_check,
            ..OrchestratorRequest::default()
        }
    }

    #[track_caller]
    fn check(
        models: &[&str],
        in_use: u32,
        request: &OrchestratorRequest,
        expected: Option<&[&str]>,
    ) {
        let models: Vec<String> = models.iter().map(|m| (*m).to_owned()).collect();
        let offer = Offer { url: "https://o:1", models: &models, warm: true, capacity: 2, in_use };
        let info = offer.info(request, None).ok();
        let offered = info.map(|info| {
            assert_eq!(info.transcoder, "https://o:1");
            let constraints = info.capabilities.unwrap().constraints.unwrap();
            constraints.per_capability[&LIVE_VIDEO].models.keys().cloned().collect::<Vec<_>>()
        });
        assert_eq!(offered, expected.map(|e| e.iter().map(|m| (*m).to_owned()).collect()));
    }

    #[test]
    fn a_job_needs_an_offered_model_and_free_capacity() {
        check(&[], 0, &request("any", false), Some(&["any"]));
        check(&["a", "b"], 1, &request("a", false), Some(&["a", "b"]));
        check(&["a"], 0, &request("z", false), None);
        check(&["a"], 2, &request("a", false), None);
        check(&["a"], 2, &request("z", true), Some(&["a"]));
        check(&["a"], 2, &OrchestratorRequest::default(), Some(&["a"]));
    }
}
