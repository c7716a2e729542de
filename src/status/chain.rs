//! Judges the chain of states from the camera to the outputs, with payment and clock beside it.
//!
//! ```text
//! camera ─▶ encoder ─▶ uplink ─▶ orchestrator ─▶ model ─▶ return ─▶ outputs        payment   clock
//! ```
//!
//! | state | means |
//! |---|---|
//! | `ok` | frames or bytes move through the link now; of payment and clock: nothing is wrong |
//! | `waiting` | nothing moves for a reason outside the link, or the link has just begun |
//! | `failed` | the link is at fault |
//!
//! A link behind one that is not `ok` is `waiting`, unless it is at fault itself. Texts hold no time that counts up, so
//! that they change only when the state does.
//!
//! Does not: read the clock or remember; [`Memory`] keeps the time since which a state lasts.

mod links;
mod memory;
#[cfg(test)]
mod tests;

use std::time::Instant;

use serde::Serialize;

use super::facts::{CameraFacts, Facts};
use livepeer_gateway::job::Stage;

pub(super) use memory::Memory;

/// The state of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// The link works.
    Ok,
    /// The link waits for something else.
    Waiting,
    /// The link is at fault.
    Failed,
}

impl LinkState {
    /// All states.
    pub(super) const ALL: [Self; 3] = [Self::Ok, Self::Waiting, Self::Failed];

    /// The name of the state in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
        }
    }
}

/// The name of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkName {
    /// The camera, or another source of video.
    Camera,
    /// The encoder, or the parser of H.264 that the camera encodes.
    Encoder,
    /// The path of the video to the orchestrator.
    Uplink,
    /// The orchestrator or runner, and the job there.
    Orchestrator,
    /// The job's model.
    Model,
    /// The path of the processed video back.
    Return,
    /// The outputs of the processed video.
    Outputs,
    /// The payments for the job.
    Payment,
    /// This computer's clock.
    Clock,
}

impl LinkName {
    /// The name of the link in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Encoder => "encoder",
            Self::Uplink => "uplink",
            Self::Orchestrator => "orchestrator",
            Self::Model => "model",
            Self::Return => "return",
            Self::Outputs => "outputs",
            Self::Payment => "payment",
            Self::Clock => "clock",
        }
    }
}

/// The judgement of one link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) name: LinkName,
    pub(super) state: LinkState,
    /// Why the link has this state, in one line; empty if there is nothing to say.
    pub(super) why: String,
    /// What a person can do; empty if nothing has to be done.
    pub(super) advice: &'static str,
    /// Since when the link has this state; `None` where only [`Memory`] knows it.
    pub(super) since: Option<Instant>,
}

/// Judges all links, in the order of the chain.
pub(super) fn judge(facts: &Facts) -> [Judged; 9] {
    links::judge(facts)
}

/// Whether video moves all the way from the camera back to this device. While no job is wanted: whether the camera and
/// the encoder work.
pub(super) fn is_ready(links: &[Judged], facts: &Facts) -> bool {
    let needed = if facts.agent.unwanted.is_some() { 2 } else { 6 };
    links.iter().take(needed).all(|link| link.state == LinkState::Ok)
}

/// The chain in one line: where the job is, and each link that is at fault.
pub(super) fn summary(links: &[Judged], Facts { agent, .. }: &Facts) -> String {
    let find = |name| links.iter().find(|link| link.name == name);
    let why = |name| find(name).map(|link| link.why.as_str()).unwrap_or_default();
    let mut text = why(LinkName::Orchestrator).to_owned();
    let is_lost = matches!(agent.camera, CameraFacts::Lost(_) | CameraFacts::EncoderFailed(_));
    let has_failed = matches!(agent.camera, CameraFacts::EncoderFailed(_));
    let reason = why(if has_failed { LinkName::Encoder } else { LinkName::Camera });
    match agent.stage {
        Stage::Dark if agent.unwanted.is_none() => return format!("waiting for video: {reason}"),
        Stage::Dark | Stage::Live if agent.is_held && is_lost => {
            text.push_str(", without video: ");
            text.push_str(reason);
        }
        Stage::Dark | Stage::Live => {}
        Stage::Finding
        | Stage::Selecting { .. }
        | Stage::Starting
        | Stage::Waiting { .. }
        | Stage::Leaving
        | Stage::Ending => return text,
    }
    let named = |link: &&Judged| {
        let is_source = matches!(link.name, LinkName::Camera | LinkName::Encoder);
        let is_named = link.name == LinkName::Orchestrator || (is_source && is_lost);
        link.state == LinkState::Failed && !is_named
    };
    for link in links.iter().filter(named) {
        text.push_str("; ");
        text.push_str(&link.why);
    }
    text
}
