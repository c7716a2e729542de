//! `demo`: runs agent and sandbox in one process, over real sockets, and reports.
//!
//! The sandbox has its own thread and runtime, so the measured latency is that of a remote orchestrator without the
//! network.
//!
//! Does not: connect to other computers, or keep certificates.

mod probe;
mod report;
mod usage;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use super::reach::ReachError;
use super::{Error, Settings, print_progress};
use crate::agent::{Agent, DiscoveryOptions, JobPlan, JobSpec, KeptParams, Options};
use crate::config::Config;
use crate::outputs::Outlets;
use crate::status::Status;
use livepeer_gateway::http::io::service_client;
use livepeer_gateway::http::{ServiceTrust, Url};
use livepeer_gateway::job::{JobOptions, Recovery};
use livepeer_gateway::orchestrator::{Endpoints, TrustOptions};
use livepeer_gateway::session::Network;
use livepeer_gateway::session::selection::OfferRules;
use media::io::AccessUnits;
use probe::{Probe, Seen};
use report::{Counts, DemoReport};
use resilience::stop::Stop;
use sandbox::{Options as SandboxOptions, Sandbox};

/// The model if the configuration names none; the sandbox takes any.
const MODEL: &str = "echo";
/// The longest wait for the first frame.
const START_TIME: Duration = Duration::from_secs(10);

/// Runs for `time` from the first frame on, or until `stop`, and reports.
pub async fn run(
    config: Config,
    settings: &Settings,
    time: Option<Duration>,
    mut stop: Stop,
) -> Result<(), Error> {
    let started = Instant::now();
    let sandbox = Sandbox::start(SandboxOptions::default()).map_err(Error::Sandbox)?;
    let orchestrator =
        Url::parse_base(&sandbox.url(), 443).map_err(|_| Error::Demo("no sandbox".into()))?;
    let (units, status) = (AccessUnits::new(), Status::default());
    units.time_frames();
    let outlet =
        Outlets::open(&config, settings.file.as_deref(), |_| true).map_err(Error::Output)?;
    units.set_outputs(&outlet.of_input());
    let (probe, seen) = Probe::new(units.clone(), Instant::now);
    let mut outputs = outlet.sinks();
    outputs.push(Box::new(probe));

    let model = if config.job.model.is_empty() { MODEL.into() } else { config.job.model.clone() };
    let discovery = DiscoveryOptions {
        services: service_client(ServiceTrust::default())
            .map_err(|error| Error::Reach(ReachError::Authorities(error)))?,
        endpoints: Endpoints { orchestrators: vec![orchestrator], ..Endpoints::default() },
        order: None,
        state_directory: None,
        allow_plain_http: false,
    };
    let job = JobPlan {
        spec: JobSpec::LiveVideo(JobOptions { model, ..config.job }),
        discovery,
        rules: OfferRules::default(),
        network: Network::new(TrustOptions::default(), None, None),
        kept: KeptParams::default(),
    };
    let options = Options { media: config.media, job, recovery: Recovery::Exit };
    let (stopper, agent_stop) = Stop::new();
    let agent = Agent::new(options, status.clone(), outputs).with_units(units.clone());
    let mut agent = std::pin::pin!(agent.run(agent_stop));

    let mut over = std::pin::pin!(over(time, units.clone()));
    let mut stopper = Some(stopper);
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut before = Counts::default();
    let result = loop {
        tokio::select! {
            result = &mut agent => break result,
            () = stop.wait(), if stopper.is_some() => stopper = None,
            () = &mut over, if stopper.is_some() => stopper = None,
            _ = ticks.tick() => {
                let now = count(&units, &status, &seen);
                print_progress(&now.line(&before, started.elapsed()));
                before = now;
            }
        }
    };
    print_progress("");
    result.map_err(Error::Agent)?;
    outlet.close().await.map_err(Error::Output)?;
    let report = DemoReport {
        counts: count(&units, &status, &seen),
        published: sandbox.counters().access_units,
        violations: sandbox.violations(),
        elapsed: started.elapsed(),
        cpu: read("/proc/self/stat").as_deref().and_then(usage::cpu),
        peak_kib: read("/proc/self/status").and_then(|text| usage::status(&text, "VmHWM")),
    };
    super::report(&report.to_string());
    report.verdict().map_err(Error::Demo)
}

/// Waits until the demo is over. The time starts at the first frame, because on a new device GStreamer first scans all
/// its plugins.
async fn over(time: Option<Duration>, units: AccessUnits) {
    let Some(time) = time else { return std::future::pending().await };
    let _ = tokio::time::timeout(START_TIME, units.began()).await;
    tokio::time::sleep(time).await;
}

fn count(units: &AccessUnits, status: &Status, seen: &Arc<Mutex<Seen>>) -> Counts {
    use std::sync::atomic::Ordering::Relaxed;
    let media = units.counts();
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    Counts {
        captured: media.captured,
        dropped: media.dropped.total(),
        segments: status.publish.segments.count(),
        lost: status.publish.lost.load(Relaxed),
        sent: media.bytes,
        returned: seen.frames,
        out_of_order: seen.out_of_order,
        latency: [50, 95, 99].map(|percent| seen.latency.percentile(percent)),
    }
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}
