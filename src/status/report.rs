//! The report of a status: what the API, `status`, MQTT and the metrics show.
//!
//! Its JSON has the version [`VERSION`] and the schema `schema.json` beside this file. Times are in seconds, sizes in
//! bytes, rates per second, amounts in wei; a figure that is not known is `null`.
//!
//! Does not: contain the URL of a channel or of a payment, or a credential.

mod fill;

use std::collections::BTreeMap;

use serde::Serialize;

use super::chain::{LinkName, LinkState};
use super::device::Throttling;
use super::output::OutputReport;

pub(super) use fill::Moment;

/// The version of the JSON. A field is added without a new version; a field that is removed or changed needs a new
/// version.
pub(super) const VERSION: u32 = 1;

/// The state of the whole program at one time.
#[derive(Debug, Clone, Serialize)]
pub struct StatusReport {
    /// The version of the JSON: 1.
    pub version: u32,
    /// The version of the program.
    pub program: &'static str,
    /// The name of this instance.
    pub instance: String,
    /// The labels of the configuration.
    pub labels: BTreeMap<String, String>,
    /// The time of this report by this computer's clock, in Unix seconds.
    pub time: f64,
    /// The time since the program began.
    pub uptime: f64,
    /// Whether video moves all the way from the camera back to this device. While no job is wanted: whether the camera
    /// and the encoder work.
    pub ready: bool,
    /// The state in one line, as the service manager shows it.
    pub summary: String,
    /// The state of each link, from the camera to the outputs; then payment and clock.
    pub chain: Vec<Link>,
    /// The source of video.
    pub camera: Camera,
    /// The encoder.
    pub encoder: Encoder,
    /// The queue between the encoder and the network.
    pub queue: Queue,
    /// The video on its way to the orchestrator.
    pub uplink: Uplink,
    /// The job.
    pub job: Job,
    /// Processed video and events.
    pub returned: Processed,
    /// The time from the encoder's input to the return of the same frame; `null` while no frame could be matched by its
    /// PTS.
    pub round_trip: Option<Latencies>,
    /// The outputs of processed video.
    pub outputs: Vec<OutputReport>,
    /// The budget of traffic; `None` without one.
    pub data: Option<BudgetReport>,
    /// The payments of this run of the program.
    pub payment: Payment,
    /// This device.
    pub device: Device,
}

/// The state of one link.
#[derive(Debug, Clone, Serialize)]
pub struct Link {
    /// The link.
    pub link: LinkName,
    /// The state of the link.
    pub state: LinkState,
    /// How long the link has had this state.
    pub seconds: f64,
    /// The reason for the state, in one line; may be empty.
    pub why: String,
    /// What a person can do; empty if nothing has to be done.
    pub advice: &'static str,
}

/// The source of video.
#[derive(Debug, Clone, Serialize)]
pub struct Camera {
    /// The name of the source; `null` before the source was opened.
    pub name: Option<String>,
    /// Frames that went into the encoder.
    pub frames: u64,
    /// Frames a second.
    pub fps: f64,
    /// How often the camera was lost.
    pub losses: u64,
    /// Whether something moves; `null` while motion is not looked for.
    pub moving: Option<bool>,
    /// Motions since the start of the program.
    pub motions: u64,
}

/// The encoder.
#[derive(Debug, Clone, Serialize)]
pub struct Encoder {
    /// The element; `null` if the camera's H.264 is passed through, or is not known yet.
    pub name: Option<String>,
    /// The width of the encoded picture.
    pub width: Option<u32>,
    /// The height of the encoded picture.
    pub height: Option<u32>,
    /// Access units that came out.
    pub frames: u64,
    /// Access units a second.
    pub fps: f64,
    /// The bitrate that the encoder was given.
    pub target_bits_per_second: Option<u32>,
    /// The time that a frame spends in the encoder.
    pub latency: Option<Latencies>,
}

/// The queue between the encoder and the network.
#[derive(Debug, Clone, Serialize)]
pub struct Queue {
    /// How long the access unit that is sent next has waited.
    pub age: f64,
    /// Access units that were dropped, by reason.
    pub dropped: Dropped,
}

/// Access units that were dropped before the network.
#[derive(Debug, Clone, Serialize)]
pub struct Dropped {
    /// The queue was full.
    pub full: u64,
    /// The access units had waited too long.
    pub stale: u64,
    /// The segment of the access units was lost on the network, or no job ran.
    pub lost: u64,
}

/// The video on its way to the orchestrator.
#[derive(Debug, Clone, Serialize)]
pub struct Uplink {
    /// Segments that the orchestrator confirmed.
    pub segments: u64,
    /// Segments that were lost.
    pub segments_lost: u64,
    /// Segments that wait for their answer.
    pub segments_in_flight: u64,
    /// Bytes that were sent.
    pub bytes: u64,
    /// Bits a second.
    pub bits_per_second: f64,
    /// How often the connection was lost.
    pub reconnects: u64,
    /// Bytes that wait in the kernel's send buffers.
    pub unsent_bytes: Option<u64>,
    /// The round trip of the connection, as the kernel measures it.
    pub tcp_round_trip: Option<f64>,
    /// The time from the first byte of a segment to its confirmation.
    pub latency: Option<Latencies>,
}

/// The job.
#[derive(Debug, Clone, Serialize)]
pub struct Job {
    /// The stage of the job.
    pub stage: &'static str,
    /// Whether a job is wanted: by the owner, or by `job.when`.
    pub wanted: bool,
    /// Host and port of the orchestrator or runner; `null` before the first job.
    pub orchestrator: Option<String>,
    /// The model, or the app of a runner.
    pub model: Option<String>,
    /// The capability that the job needs.
    pub capability: Option<String>,
    /// Jobs that were started.
    pub starts: u64,
    /// Jobs that were lost; after each, another one is started.
    pub swaps: u64,
}

/// Processed video and events.
#[derive(Debug, Clone, Serialize)]
pub struct Processed {
    /// Segments.
    pub segments: u64,
    /// Bytes.
    pub bytes: u64,
    /// Bits a second.
    pub bits_per_second: f64,
    /// Frames.
    pub frames: u64,
    /// Frames a second.
    pub fps: f64,
    /// Events of the model.
    pub events: u64,
}

/// The payments of this run of the program.
#[derive(Debug, Clone, Serialize)]
pub struct Payment {
    /// Whether a signer is configured.
    pub is_paid: bool,
    /// Payments that the signer has made.
    pub payments: u64,
    /// Payments that failed.
    pub failures: u64,
    /// The expected value of all tickets so far.
    pub wei: u128,
    /// The price of the present job.
    pub wei_per_hour: Option<u128>,
    /// The time that is still paid for, as estimated here.
    pub seconds_paid_for: Option<f64>,
    /// What was paid on this day of the local calendar, over restarts.
    pub wei_today: u128,
    /// What was paid in this month of the local calendar, over restarts.
    pub wei_this_month: u128,
    /// The budget; `None` without one.
    pub budget: Option<BudgetReport>,
}

/// A budget and what is spent of it in the present period.
#[derive(Debug, Clone, Serialize)]
pub struct BudgetReport {
    /// `wei` or `bytes`.
    pub unit: &'static str,
    /// `hour`, `day` or `month`.
    pub period: &'static str,
    /// The limit of the present period, with what was added.
    pub limit: u128,
    /// What was added to the limit of the present period only.
    pub added: u128,
    /// What is spent.
    pub spent: u128,
    /// What is left.
    pub left: u128,
    /// When the budget is spent at the price of the present job, by the local clock, if that is before the next period.
    /// Not known for traffic.
    pub lasts_until: Option<String>,
}

/// This device.
#[derive(Debug, Clone, Serialize)]
pub struct Device {
    /// The highest of the kernel's temperatures, in degrees Celsius.
    pub temperature: Option<f64>,
    /// What slows a Raspberry Pi down.
    pub throttling: Option<Throttling>,
}

/// Durations since the start of the program, and percentiles of the last one to two minutes.
#[derive(Debug, Clone, Serialize)]
pub struct Latencies {
    /// All durations.
    pub count: u64,
    /// The sum of the durations.
    pub sum: f64,
    /// The duration that half of the recent ones do not exceed.
    pub p50: Option<f64>,
    /// The duration that 95 % of the recent ones do not exceed.
    pub p95: Option<f64>,
    /// The duration that 99 % of the recent ones do not exceed.
    pub p99: Option<f64>,
    /// Upper bounds, each with the number of durations up to it, for the metrics.
    #[serde(skip)]
    pub(super) buckets: Vec<(f64, u64)>,
}

#[cfg(test)]
mod tests;
