//! Judges each link by the facts.
//!
//! Does not: name a time that counts up in a text.

use std::time::{Duration, Instant};

use super::{Judged, LinkName, LinkState};
use crate::status::facts::{AgentFacts, CameraFacts, ClockFacts, Facts, Unwanted};
use crate::status::output::OutputReport;
use livepeer_gateway::job::Stage;
use resilience::meter::Reading;

/// The shortest time without a frame after which frames do not move: a camera at one frame a second still works.
const FRAMES_QUIET: Duration = Duration::from_secs(3);
/// The longest such time, for a camera that gives a frame every few seconds.
const FRAMES_QUIET_MOST: Duration = Duration::from_secs(30);
/// The time that the first frame of a camera may take.
const FIRST_FRAME: Duration = Duration::from_secs(10);
/// The time without a delivered segment after which video does not get through: the longest segment is 10 s.
const SEGMENTS_QUIET: Duration = Duration::from_secs(15);
/// The time without processed video after which it does not come back, for runners that return whole segments.
const RETURN_QUIET: Duration = Duration::from_secs(12);
/// The time that a model may take for the first processed video: then the job is lost (go-livepeer
/// `ai_live_video.go`).
const FIRST_RETURN: Duration = Duration::from_secs(30);

/// Judges all links, in the order of the chain.
pub(super) fn judge(facts: &Facts) -> [Judged; 9] {
    let camera = camera(facts);
    let encoder = encoder(facts, &camera);
    let uplink = uplink(facts, &encoder);
    let orchestrator = orchestrator(&facts.agent);
    let model = model(facts, &uplink);
    let back = returned(facts, &uplink);
    let outputs = outputs(&facts.outputs, &back);
    let (payment, clock) = (payment(facts), clock(&facts.agent));
    [camera, encoder, uplink, orchestrator, model, back, outputs, payment, clock]
}

fn ok(name: LinkName) -> Judged {
    Judged { name, state: LinkState::Ok, why: String::new(), advice: "", since: None }
}

fn waiting(name: LinkName, why: impl Into<String>) -> Judged {
    Judged { name, state: LinkState::Waiting, why: why.into(), advice: "", since: None }
}

fn failed(name: LinkName, why: impl Into<String>, advice: &'static str) -> Judged {
    Judged { name, state: LinkState::Failed, why: why.into(), advice, since: None }
}

/// Whether frames moved recently, measured by the source's own pace.
fn frames_move(frames: &Reading, pace: Duration, now: Instant) -> bool {
    frames.moves(frames_quiet(pace), now)
}

/// The time without a frame after which frames do not move, if the longest recent time between two was `pace`; zero if
/// it is not known yet.
fn frames_quiet(pace: Duration) -> Duration {
    match pace {
        Duration::ZERO => FIRST_FRAME,
        pace => pace.saturating_mul(3).clamp(FRAMES_QUIET, FRAMES_QUIET_MOST),
    }
}

/// The time without video further on that means that none moves there: `usual`, or longer for a slow source.
fn video_quiet(usual: Duration, facts: &Facts) -> Duration {
    usual.max(frames_quiet(facts.encoded.gap))
}

fn camera(facts: &Facts) -> Judged {
    let name = LinkName::Camera;
    match &facts.agent.camera {
        CameraFacts::Lost(why) => failed(
            name,
            why.clone(),
            "check the camera's cable, power and network; `livepeer-edge devices` lists the cameras that work",
        ),
        CameraFacts::EncoderFailed(_) => {
            waiting(name, "the camera is opened again, because the encoder has failed")
        }
        CameraFacts::Opening => waiting(name, "the camera is being opened"),
        CameraFacts::Ready => waiting(name, "the camera is open; frames begin with the job"),
        CameraFacts::Playing(_) if frames_move(&facts.captured, facts.captured.gap, facts.now) => {
            ok(name)
        }
        CameraFacts::Playing(since) if is_within(*since, FIRST_FRAME, facts.now) => {
            waiting(name, "waiting for the first frame")
        }
        CameraFacts::Playing(_) => failed(
            name,
            "the camera gives no frames",
            "check the camera's cable, power and network; the agent opens the camera again by itself",
        ),
    }
}

fn encoder(facts: &Facts, camera: &Judged) -> Judged {
    let name = LinkName::Encoder;
    let advice =
        "set encoder.element to another encoder; `livepeer-edge devices` lists those that work";
    match &facts.agent.camera {
        CameraFacts::EncoderFailed(why) => return failed(name, why.clone(), advice),
        CameraFacts::Playing(since) if camera.state == LinkState::Ok => {
            // What comes out cannot be faster than what goes in.
            let pace = facts.encoded.gap.max(facts.captured.gap);
            if frames_move(&facts.encoded, pace, facts.now) {
                return ok(name);
            }
            if is_within(*since, frames_quiet(pace), facts.now) {
                return waiting(name, "waiting for the first encoded frame");
            }
            return failed(name, "frames go into the encoder, and none comes out", advice);
        }
        CameraFacts::Playing(_)
        | CameraFacts::Lost(_)
        | CameraFacts::Opening
        | CameraFacts::Ready => {}
    }
    waiting(name, "waiting for the camera")
}

fn uplink(facts: &Facts, encoder: &Judged) -> Judged {
    let (name, now, uplink) = (LinkName::Uplink, facts.now, &facts.uplink);
    let advice =
        "check this device's network; the agent moves to another orchestrator if video stays away";
    let Some(live) = live_since(facts) else { return waiting(name, "waiting for a job") };
    if uplink.is_failing {
        let why = format!("no video gets through to {}", facts.agent.host);
        return failed(name, why, advice);
    }
    if encoder.state != LinkState::Ok {
        return waiting(name, "waiting for video");
    }
    let quiet = video_quiet(SEGMENTS_QUIET, facts);
    let delivers =
        uplink.segments.last.is_some_and(|last| last >= live) && uplink.segments.moves(quiet, now);
    match (delivers, uplink.bytes.moves(quiet, now)) {
        (true, true) => ok(name),
        _ if is_within(live, quiet, now) => waiting(name, "sending the first segment"),
        (_, true) => failed(name, "segments are sent, and none is confirmed", advice),
        (_, false) => failed(name, "no video is sent", advice),
    }
}

fn orchestrator(agent: &AgentFacts) -> Judged {
    let (name, host) = (LinkName::Orchestrator, &agent.host);
    match agent.stage {
        Stage::Ending => return waiting(name, "stopping"),
        Stage::Leaving => return waiting(name, format!("closing the job at {host}")),
        Stage::Finding
        | Stage::Selecting { .. }
        | Stage::Starting
        | Stage::Live
        | Stage::Waiting { .. }
        | Stage::Dark => {}
    }
    if let Some(Unwanted { why, advice, since }) = &agent.unwanted {
        return Judged { advice, since: Some(*since), ..waiting(name, why.clone()) };
    }
    match agent.stage {
        Stage::Ending | Stage::Leaving | Stage::Finding => {
            waiting(name, "looking for orchestrators")
        }
        Stage::Selecting { .. } => waiting(name, "asking orchestrators"),
        Stage::Starting => waiting(name, format!("starting the job at {host}")),
        Stage::Live => Judged { why: format!("live at {host}"), ..ok(name) },
        Stage::Waiting { .. } => {
            let advice = match agent.no_job.needs_change {
                true => "change the configuration as the reason says, then reload it",
                false => {
                    "nothing: the agent tries again by itself; more orchestrators in orchestrator.urls give it a choice"
                }
            };
            failed(name, format!("no job: {}", agent.no_job.why), advice)
        }
        Stage::Dark => waiting(name, "waiting for the camera"),
    }
}

fn model(facts: &Facts, uplink: &Judged) -> Judged {
    let name = LinkName::Model;
    let Some(live) = live_since(facts) else { return waiting(name, "waiting for a job") };
    if let Some(why) = &facts.model {
        let advice = "change the parameters (job.params) or the model (job.model)";
        return failed(name, why.clone(), advice);
    }
    let returned = &facts.returned;
    let answers = if returned.has_output { &returned.bytes } else { &returned.events };
    let quiet = video_quiet(RETURN_QUIET, facts);
    match (uplink.state, came_since(live, answers, quiet, facts.now)) {
        (LinkState::Ok, true) => ok(name),
        (LinkState::Ok, false) => waiting(name, "the model has not answered yet"),
        (LinkState::Waiting | LinkState::Failed, _) => {
            waiting(name, "waiting for video to arrive there")
        }
    }
}

fn returned(facts: &Facts, uplink: &Judged) -> Judged {
    let (name, now, returned) = (LinkName::Return, facts.now, &facts.returned);
    let Some(live) = live_since(facts) else { return waiting(name, "waiting for a job") };
    if !returned.has_output {
        return Judged { why: "this job returns no video".to_owned(), ..ok(name) };
    }
    if came_since(live, &returned.bytes, video_quiet(RETURN_QUIET, facts), now) {
        return ok(name);
    }
    if uplink.state != LinkState::Ok {
        return waiting(name, "waiting for video to arrive there");
    }
    let is_new = returned.bytes.last.is_none_or(|last| last < live);
    if is_new && is_within(live, FIRST_RETURN, now) {
        return waiting(name, "waiting for the first processed video");
    }
    let advice = "nothing: the agent moves to another orchestrator if no processed video comes back; if that happens everywhere, the model or its parameters are at fault";
    failed(name, "no processed video comes back", advice)
}

fn outputs(outputs: &[OutputReport], returned: &Judged) -> Judged {
    let name = LinkName::Outputs;
    if let Some(output) = outputs.iter().find(|output| output.state == LinkState::Failed) {
        let advice =
            "check the output's disk, reader or address; video for it is dropped meanwhile";
        return failed(name, format!("output {}: {}", output.name, output.why), advice);
    }
    if outputs.is_empty() {
        return Judged { why: "no output is configured".to_owned(), ..ok(name) };
    }
    match returned.state {
        LinkState::Ok => ok(name),
        LinkState::Waiting | LinkState::Failed => waiting(name, "waiting for processed video"),
    }
}

fn payment(facts: &Facts) -> Judged {
    let (name, payment) = (LinkName::Payment, &facts.payment);
    let advice = "check the signer and its funds; the agent pays again by itself";
    if !payment.has_signer {
        return Judged { why: "nothing is paid: no signer is configured".to_owned(), ..ok(name) };
    }
    if let Some(why) = &payment.failure {
        return failed(name, format!("payment failed: {why}"), advice);
    }
    let Some(_) = live_since(facts) else { return waiting(name, "waiting for a job") };
    match payment.paid_until {
        Some(until) if until <= facts.now => {
            failed(name, "the time that was paid for is over", advice)
        }
        Some(_) | None => ok(name),
    }
}

fn clock(agent: &AgentFacts) -> Judged {
    let name = LinkName::Clock;
    let advice =
        "give this device a time server (NTP) that it can reach, or a clock with a battery";
    match &agent.clock {
        ClockFacts::Trusted => ok(name),
        ClockFacts::Awaited => Judged {
            advice,
            ..waiting(name, "the clock is not synchronised, and certificates are not valid by it")
        },
        ClockFacts::Doubted(peers) => {
            let why = format!(
                "the clock is not synchronised: certificates of {peers} are accepted unless they expired before this program was built"
            );
            failed(name, why, advice)
        }
    }
}

/// The time since which a job is live; `None` if no job is live.
fn live_since(facts: &Facts) -> Option<Instant> {
    facts.returned.live_since.filter(|_| facts.agent.stage == Stage::Live)
}

/// Whether `reading` has an increment that is recent and from this job.
fn came_since(live: Instant, reading: &Reading, quiet: Duration, now: Instant) -> bool {
    reading.last.is_some_and(|last| last >= live) && reading.moves(quiet, now)
}

fn is_within(since: Instant, time: Duration, now: Instant) -> bool {
    now.saturating_duration_since(since) < time
}
