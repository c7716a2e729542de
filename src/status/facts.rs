//! The facts by which a status is judged, all of one time.
//!
//! Does not: judge the facts; [`chain`](super::chain) does.

use std::time::{Duration, Instant};

use super::output::OutputReport;
use livepeer_gateway::budget::BudgetUse;
use livepeer_gateway::job::Stage;
use media::io::Flow;
use resilience::histogram::Durations;
use resilience::meter::Reading;

/// All facts of one time.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) now: Instant,
    pub(super) agent: AgentFacts,
    /// Frames that went into the encoder, and access units that came out.
    pub(super) captured: Reading,
    pub(super) encoded: Reading,
    pub(super) uplink: UplinkFacts,
    /// The failure that the model reports, in one line.
    pub(super) model: Option<String>,
    pub(super) returned: ReturnedFacts,
    /// The budget of traffic and what is spent of it.
    pub(super) data: Option<BudgetUse>,
    pub(super) payment: PaymentFacts,
    pub(super) outputs: Vec<OutputReport>,
}

/// Figures of the same time that are not used to judge a link.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    /// The camera, the encoder and the queue behind it.
    pub(super) flow: Flow,
    /// The time from the first piece of each segment to its answer.
    pub(super) uploads: Durations,
    /// The time from the encoder's input to the return of the processed frame.
    pub(super) round_trip: Durations,
    /// Bytes in the kernel's send buffers, and the round trip of the connection.
    pub(super) kernel: Option<(u64, Duration)>,
}

/// What the agent's loop knows. The loop sets it after each event.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentFacts {
    /// The stage of the job.
    pub(crate) stage: Stage,
    /// Whether a job runs without its camera for a while.
    pub(crate) is_held: bool,
    /// The host where the last job was started; empty before the first.
    pub(crate) host: String,
    /// Why no job is wanted; `None` if a job is wanted.
    pub(crate) unwanted: Option<Unwanted>,
    /// The motion in front of the camera; `None` while it is not looked for.
    pub(crate) motion: Option<MotionFacts>,
    /// The last reason for which no job ran.
    pub(crate) no_job: NoJob,
    /// The camera.
    pub(crate) camera: CameraFacts,
    /// This computer's clock.
    pub(crate) clock: ClockFacts,
}

impl Default for AgentFacts {
    fn default() -> Self {
        Self {
            stage: Stage::Finding,
            is_held: false,
            host: String::new(),
            unwanted: None,
            motion: None,
            no_job: NoJob::default(),
            camera: CameraFacts::Opening,
            clock: ClockFacts::Trusted,
        }
    }
}

/// Why no job is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unwanted {
    /// The reason, in one line.
    pub(crate) why: String,
    /// What a person can do.
    pub(crate) advice: &'static str,
    /// Since when no job is wanted for this reason.
    pub(crate) since: Instant,
}

/// The motion in front of the camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct MotionFacts {
    /// Since when something moves; `None` while nothing does.
    pub(crate) since: Option<Instant>,
    /// Motions since the start of the program.
    pub(crate) count: u64,
}

/// Why no job runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct NoJob {
    /// The reason, in one line.
    pub(crate) why: String,
    /// Only another configuration can help.
    pub(crate) needs_change: bool,
}

/// The state of the camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CameraFacts {
    /// The camera is being opened.
    Opening,
    /// The camera is open, and gives no frames before a job is live.
    Ready,
    /// The camera should give frames since this time.
    Playing(Instant),
    /// The camera was lost for this reason.
    Lost(String),
    /// The camera was stopped because its encoder failed, for this reason.
    EncoderFailed(String),
}

/// The trust in this computer's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClockFacts {
    /// Certificates are judged by the clock.
    Trusted,
    /// The agent waits for the clock's synchronisation.
    Awaited,
    /// Certificates of these peers are accepted although they are not valid by the clock.
    Doubted(String),
}

/// The video on its way to the orchestrator.
#[derive(Debug, Clone, Default)]
pub(super) struct UplinkFacts {
    /// No connection could be made since one broke.
    pub(super) is_failing: bool,
    pub(super) segments: Reading,
    pub(super) bytes: Reading,
    pub(super) lost: u64,
    pub(super) in_flight: u64,
    pub(super) outages: u64,
}

/// Processed video and events.
#[derive(Debug, Clone, Default)]
pub(super) struct ReturnedFacts {
    /// When the present job went live; `None` if no job is live.
    pub(super) live_since: Option<Instant>,
    /// Whether the present job returns video.
    pub(super) has_output: bool,
    pub(super) segments: Reading,
    pub(super) bytes: Reading,
    pub(super) frames: Reading,
    pub(super) events: Reading,
    /// Jobs started, jobs lost and cameras lost, since the start of the program.
    pub(super) starts: u64,
    pub(super) losses: u64,
    pub(super) camera_losses: u64,
}

/// The payments of the present job and of all jobs.
#[derive(Debug, Clone, Default)]
pub(super) struct PaymentFacts {
    /// A signer is configured.
    pub(super) has_signer: bool,
    /// The end of the time that is paid for, as estimated here; `None` if the job is not paid by time.
    pub(super) paid_until: Option<Instant>,
    /// The reason while payments fail.
    pub(super) failure: Option<String>,
    pub(super) payments: u64,
    pub(super) wei: u128,
    pub(super) failures: u64,
    /// The price of the present job; `None` if the job is not paid by time.
    pub(super) wei_per_hour: Option<u128>,
    /// What was paid today and in this month, over restarts.
    pub(super) today: u128,
    pub(super) month: u128,
    /// The budget and what is spent of it.
    pub(super) budget: Option<BudgetUse>,
}
