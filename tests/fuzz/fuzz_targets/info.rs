//! Parses `OrchestratorInfo` as protobuf, and reads capability, price and token from it.
//!
//! Does not: speak gRPC.
#![no_main]

use libfuzzer_sys::fuzz_target;
use livepeer_gateway::orchestrator::proto::OrchestratorInfo;
use livepeer_gateway::orchestrator::{Capability, Pipeline};
use livepeer_gateway::session::selection::{Offer, OfferRules};
use prost::Message;

fuzz_target!(|bytes: &[u8]| {
    let Ok(info) = OrchestratorInfo::decode(bytes) else { return };
    let capability = Capability { pipeline: Pipeline::LIVE_VIDEO_TO_VIDEO, model: "m".to_owned() };
    let offer = Offer::of_info(&info, &capability);
    if let Some(reason) = OfferRules::default().against(&offer) {
        let _ = reason.to_string();
    }
    let again = OrchestratorInfo::decode(info.encode_to_vec().as_slice());
    assert_eq!(again.expect("what we wrote is an info"), info);
});
