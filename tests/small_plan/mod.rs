//! The options of an agent in the test's own process: a small picture, and a live video job at sandboxes.
//!
//! Does not: start the agent.

use std::time::Duration;

use livepeer_edge::agent::{DiscoveryOptions, JobPlan, JobSpec, KeptParams, Options};
use livepeer_gateway::http::io::service_client;
use livepeer_gateway::http::{ServiceTrust, Url};
use livepeer_gateway::job::{JobOptions, Recovery};
use livepeer_gateway::orchestrator::{Endpoints, TrustOptions};
use livepeer_gateway::session::Network;
use livepeer_gateway::session::selection::OfferRules;
use media::{Encoder, Speed, Video};
use sandbox::Handle;

/// Options with a job of the model `m` at `at`, in this order. Change in them what a test needs.
pub(crate) fn options(at: &[&Handle]) -> Options {
    let discovery = DiscoveryOptions {
        services: service_client(ServiceTrust::default()).unwrap(),
        endpoints: Endpoints {
            orchestrators: at.iter().map(|at| Url::parse(&at.url()).unwrap()).collect(),
            ..Endpoints::default()
        },
        order: None,
        state_directory: None,
        allow_plain_http: false,
    };
    let segment = Duration::from_secs(1);
    let media = media::Options {
        video: Video { width: 160, height: 120, bitrate: 300_000, segment, ..Video::default() },
        encoder: Encoder { element: Some("x264enc".into()), speed: Speed::Ultrafast },
        ..media::Options::default()
    };
    let spec = JobSpec::LiveVideo(JobOptions { model: "m".into(), ..JobOptions::default() });
    let job = JobPlan {
        spec,
        discovery,
        rules: OfferRules::default(),
        network: Network::new(TrustOptions::default(), None, None),
        kept: KeptParams::default(),
    };
    Options { media, job, recovery: Recovery::Retry }
}
