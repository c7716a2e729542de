//! Reports jobs to log, status and events: where they run, what they cost, why they are lost, whether their model
//! works.
//!
//! Does not: decide what a failure leads to.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::agent::jobs::losses::PaymentReport;
use crate::agent::jobs::model::ModelReport;
use crate::events::{Bus, Kind};
use crate::status::{NoJob, Status};
use livepeer_gateway::http::Url;
use livepeer_gateway::job::{JobError, Loss, Slowness};
use livepeer_gateway::payment::io::PayerReport;
use livepeer_gateway::price::Price;
use livepeer_gateway::session::selection::OfferRules;
use resilience::fault::chain;
use resilience::log_throttle::ThrottledLog;

/// The reports so far, so that nothing is reported twice.
pub(in crate::agent) struct Reports {
    /// Lost jobs and failed starts.
    pub(super) failures: ThrottledLog,
    pub(super) model: ModelReport,
    pub(super) payments: PaymentReport,
    bus: Bus,
    link: ThrottledLog,
    /// The warning that no maximum price is set was logged.
    warned_of_price: bool,
    /// Where the last job was started.
    orchestrator: Option<Url>,
    /// The host and port where the last job ran.
    ran_at: Option<String>,
    /// The last reason for no job that was published since a job ran.
    published: Option<String>,
    /// The last reason for which no job ran.
    no_job: NoJob,
    /// Bytes of video sent until the last call of [`Reports::video_sent`].
    sent_bytes: u64,
}

impl Reports {
    pub(super) fn new(bus: Bus) -> Self {
        Self {
            failures: ThrottledLog::new(module_path!(), "the job runs again"),
            model: ModelReport::new(bus.clone()),
            payments: PaymentReport::default(),
            bus,
            link: ThrottledLog::new(module_path!(), "video gets through again"),
            warned_of_price: false,
            orchestrator: None,
            ran_at: None,
            published: None,
            no_job: NoJob::default(),
            sent_bytes: 0,
        }
    }

    /// Where the last job was started; for errors.
    pub(in crate::agent) fn orchestrator(&self) -> Option<&Url> {
        self.orchestrator.as_ref()
    }

    /// The host where the last job was started.
    pub(in crate::agent) fn host(&self) -> String {
        self.orchestrator.as_ref().map(|url| url.authority().to_string()).unwrap_or_default()
    }

    /// The last reason for which no job ran.
    pub(in crate::agent) fn no_job_reason(&self) -> &NoJob {
        &self.no_job
    }

    /// Whether video is not getting through.
    pub(super) fn is_link_failing(&self) -> bool {
        self.link.is_failing()
    }

    /// Call it before a job is started at `url`.
    pub(super) fn started_at(&mut self, url: Url) {
        self.orchestrator = Some(url);
        self.payments = PaymentReport::default();
    }

    /// Publishes these events.
    pub(super) fn publish(&self, kinds: impl IntoIterator<Item = Kind>) {
        kinds.into_iter().for_each(|kind| self.bus.publish(|| kind));
    }

    /// Reports that the job with this id has started at `url` and runs `work`.
    pub(super) fn started(&mut self, url: &Url, manifest_id: &str, work: &str) {
        // The whole id would be a credential: channel URLs consist of it and the orchestrator's address.
        let id: String = manifest_id.chars().take(4).collect();
        let at = url.authority().to_string();
        log::log!(self.failures.level(), "{at}: job {id}… started, {work}");
        self.published = None;
        let (to, work) = (at.clone(), work.to_owned());
        self.bus.publish(|| Kind::JobStarted { at: to, job: id, work });
        let from = self.ran_at.replace(at.clone()).filter(|from| *from != at);
        self.publish(from.map(|from| Kind::JobMoved { from, to: at }));
    }

    /// Logs the price of a job that is paid, and warns once if no maximum price is set.
    pub(super) fn price(&mut self, url: &Url, price: Option<Price>, rules: &OfferRules) {
        let Some(price) = price else { return };
        let price = price.shown_per_hour();
        log::log!(self.failures.level(), "{}: price {price}", url.authority());
        if rules.max_price.is_none() && !std::mem::replace(&mut self.warned_of_price, true) {
            log::warn!(
                "payment.max-price is not set: any price is paid; this orchestrator asks {price}"
            );
        }
    }

    /// Logs that the job was lost.
    pub(in crate::agent) fn lost(&mut self, loss: &Loss, now: Instant) {
        let place = self.orchestrator.as_ref().map(|url| format!("{url}: ")).unwrap_or_default();
        self.failures.on_failure(&format!("{place}the job was lost: {loss}"), now);
        self.ended(loss);
    }

    /// Publishes that the job was lost.
    pub(in crate::agent) fn ended(&self, loss: &Loss) {
        self.bus.publish(|| Kind::JobEnded { at: self.host(), reason: loss.to_string() });
    }

    /// Handles a turn of the payer. Returns the loss of the job, if the turn causes one.
    pub(super) fn on_payment(&mut self, turn: PayerReport) -> Option<Loss> {
        self.payments.on_turn(turn, &self.bus)
    }

    /// Logs that the next job is started after this pause.
    pub(in crate::agent) fn slow_down(&mut self, why: Slowness, pause: Duration, now: Instant) {
        let why = match why {
            Slowness::Losses => {
                "jobs are lost too often: the input or the model is probably at fault"
            }
            Slowness::PaidAhead => {
                "failed starts were charged for more time than has passed: the model or its parameters are probably at fault"
            }
        };
        self.no_job(format!("{why}; next start in {} s", pause.as_secs()), false, now);
    }

    /// Logs why no job runs. `needs_change`: only another configuration can help.
    pub(in crate::agent) fn no_job(&mut self, why: String, needs_change: bool, now: Instant) {
        self.failures.on_failure(&why, now);
        if self.published.as_ref() != Some(&why) {
            self.published = Some(why.clone());
            self.bus.publish(|| Kind::NoJob { reason: why.clone() });
        }
        self.no_job = NoJob { why, needs_change };
    }

    /// Whether video was sent since the last call.
    pub(in crate::agent) fn video_sent(&mut self, status: &Status) -> bool {
        let bytes = status.publish.bytes.count();
        std::mem::replace(&mut self.sent_bytes, bytes) != bytes
    }

    /// Logs once when video stops getting through, and once when it gets through again.
    pub(in crate::agent) fn link(&mut self, status: &Status, now: Instant) {
        let is_failing = status.publish.is_failing.load(Relaxed);
        if is_failing == self.link.is_failing() {
            return;
        }
        if is_failing {
            let host = self.host();
            self.link.on_failure(&format!("{host}: no video gets through"), now);
            self.bus.publish(|| Kind::UplinkTrouble { at: host });
        } else {
            self.link.on_success(now);
            self.bus.publish(|| Kind::UplinkWorks);
        }
    }
}

/// Logs whether a runner's app has accepted new parameters.
pub(super) fn updated(result: &Result<(), JobError>) {
    match result {
        Ok(()) => log::info!("the job's app has accepted the parameters"),
        Err(error) => log::warn!(
            "the job's app has not accepted the parameters: {}; the next job gets them",
            chain(error)
        ),
    }
}
