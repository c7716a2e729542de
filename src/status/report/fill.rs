//! Fills a report with facts and figures.
//!
//! Does not: judge; [`chain`](super::super::chain) does.

use std::time::Duration;

use super::{
    BudgetReport, Camera, Device, Dropped, Encoder, Job, Latencies, Link, Payment, Processed,
    Queue, StatusReport, Uplink, VERSION,
};
use crate::status::chain::{Judged, is_ready, summary};
use crate::status::facts::{Facts, Figures};
use crate::status::identity::Identity;
use livepeer_gateway::budget::{BudgetUse, Unit};
use livepeer_gateway::job::Stage;
use resilience::histogram::Durations;

/// What a report needs beside facts and figures.
#[derive(Debug)]
pub(in crate::status) struct Moment {
    /// The time since the Unix epoch.
    pub(in crate::status) time: Duration,
    pub(in crate::status) uptime: Duration,
    pub(in crate::status) identity: Identity,
    /// The notice before every status.
    pub(in crate::status) notice: Option<String>,
    /// The model and the capability.
    pub(in crate::status) job: [String; 2],
    pub(in crate::status) device: Device,
}

impl StatusReport {
    pub(in crate::status) fn new(
        facts: &Facts,
        figures: &Figures,
        (links, ages): (&[Judged; 9], &[Duration; 9]),
        moment: Moment,
    ) -> Self {
        let summary = summary(links, facts);
        let [model, capability] = moment.job.map(known);
        Self {
            version: VERSION,
            program: env!("CARGO_PKG_VERSION"),
            instance: moment.identity.instance,
            labels: moment.identity.labels,
            time: rounded(moment.time.as_secs_f64()),
            uptime: rounded(moment.uptime.as_secs_f64()),
            ready: is_ready(links, facts),
            summary: match moment.notice {
                Some(notice) => format!("{notice}; {summary}"),
                None => summary,
            },
            chain: links.iter().zip(ages).map(|(link, age)| Link::new(link, *age)).collect(),
            camera: Camera::new(facts, figures),
            encoder: Encoder::new(facts, figures),
            queue: Queue::new(figures),
            uplink: Uplink::new(facts, figures),
            job: Job {
                stage: stage_name(facts.agent.stage),
                wanted: facts.agent.unwanted.is_none(),
                orchestrator: known(facts.agent.host.clone()),
                model,
                capability,
                starts: facts.returned.starts,
                swaps: facts.returned.losses,
            },
            returned: Processed::new(facts),
            round_trip: Latencies::new(&figures.round_trip),
            outputs: facts.outputs.clone(),
            data: facts.data.map(|used| BudgetReport::new(&used, None)),
            payment: Payment::new(facts),
            device: moment.device,
        }
    }
}

impl Link {
    fn new(link: &Judged, age: Duration) -> Self {
        let Judged { name, state, why, advice, .. } = link;
        let seconds = rounded(age.as_secs_f64());
        Self { link: *name, state: *state, seconds, why: why.clone(), advice }
    }
}

impl Camera {
    fn new(facts: &Facts, figures: &Figures) -> Self {
        Self {
            name: known(figures.flow.source.clone()),
            frames: facts.captured.count,
            fps: rounded(facts.captured.per_second),
            losses: facts.returned.camera_losses,
            moving: facts.agent.motion.map(|motion| motion.since.is_some()),
            motions: facts.agent.motion.map_or(0, |motion| motion.count),
        }
    }
}

impl Encoder {
    fn new(facts: &Facts, figures: &Figures) -> Self {
        let (width, height) = figures.flow.size.unzip();
        Self {
            name: figures.flow.encoder.clone(),
            width,
            height,
            frames: facts.encoded.count,
            fps: rounded(facts.encoded.per_second),
            target_bits_per_second: figures.flow.bitrate,
            latency: Latencies::new(&figures.flow.encoding),
        }
    }
}

impl Queue {
    fn new(figures: &Figures) -> Self {
        let dropped = &figures.flow.dropped;
        let (full, stale, lost) = (dropped.full, dropped.stale, dropped.resync);
        Self {
            age: rounded(figures.flow.age.as_secs_f64()),
            dropped: Dropped { full, stale, lost },
        }
    }
}

impl Uplink {
    fn new(facts: &Facts, figures: &Figures) -> Self {
        let uplink = &facts.uplink;
        Self {
            segments: uplink.segments.count,
            segments_lost: uplink.lost,
            segments_in_flight: uplink.in_flight,
            bytes: uplink.bytes.count,
            bits_per_second: rounded(uplink.bytes.per_second * 8.0),
            reconnects: uplink.outages,
            unsent_bytes: figures.kernel.map(|(unsent, _)| unsent),
            tcp_round_trip: figures.kernel.map(|(_, trip)| rounded(trip.as_secs_f64())),
            latency: Latencies::new(&figures.uploads),
        }
    }
}

impl Processed {
    fn new(facts: &Facts) -> Self {
        let returned = &facts.returned;
        Self {
            segments: returned.segments.count,
            bytes: returned.bytes.count,
            bits_per_second: rounded(returned.bytes.per_second * 8.0),
            frames: returned.frames.count,
            fps: rounded(returned.frames.per_second),
            events: returned.events.count,
        }
    }
}

impl Payment {
    fn new(facts: &Facts) -> Self {
        let payment = &facts.payment;
        let left = payment.paid_until.map(|until| until.saturating_duration_since(facts.now));
        Self {
            is_paid: payment.has_signer,
            payments: payment.payments,
            failures: payment.failures,
            wei: payment.wei,
            wei_per_hour: payment.wei_per_hour,
            seconds_paid_for: left.map(|left| rounded(left.as_secs_f64())),
            wei_today: payment.today,
            wei_this_month: payment.month,
            budget: payment.budget.map(|used| BudgetReport::new(&used, payment.wei_per_hour)),
        }
    }
}

impl BudgetReport {
    /// The report of a budget, for a job at this price.
    pub(crate) fn new(used: &BudgetUse, wei_per_hour: Option<u128>) -> Self {
        let end = wei_per_hour.and_then(|price| used.lasts_until(price)).zip(used.now);
        Self {
            unit: match used.budget.unit {
                Unit::Wei => "wei",
                Unit::Bytes => "bytes",
            },
            period: used.budget.period.name(),
            limit: used.limit(),
            added: used.added,
            spent: used.spent,
            left: used.left(),
            lasts_until: end.map(|(end, now)| end.shown(now)),
        }
    }
}

impl Latencies {
    /// `None` without any duration.
    fn new(durations: &Durations) -> Option<Self> {
        let Durations { count, sum, buckets, percentiles } = durations;
        let percentile = |nth: usize| {
            let found = percentiles.as_ref().and_then(|all| all.get(nth));
            found.map(|duration| rounded(duration.as_secs_f64()))
        };
        (*count > 0).then(|| Self {
            count: *count,
            sum: rounded(sum.as_secs_f64()),
            p50: percentile(0),
            p95: percentile(1),
            p99: percentile(2),
            buckets: buckets.iter().map(|(bound, count)| (bound.as_secs_f64(), *count)).collect(),
        })
    }
}

/// The name of a stage in the report.
fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Finding => "finding",
        Stage::Selecting { .. } => "selecting",
        Stage::Starting => "starting",
        Stage::Live => "live",
        Stage::Waiting { .. } => "waiting",
        Stage::Dark => "dark",
        Stage::Leaving => "leaving",
        Stage::Ending => "ending",
    }
}

/// The text, unless it is empty.
fn known(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// A number with three decimals at most.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}
