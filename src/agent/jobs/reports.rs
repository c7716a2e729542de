//! What log and status are told of jobs: where they run, what they cost, why they are lost, what their model says.
//!
//! Does not: decide what a failure leads to.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::agent::jobs::losses::PaymentReport;
use crate::agent::jobs::model::ModelReport;
use crate::agent::throttled_log::ThrottledLog;
use crate::status::Status;
use livepeer_gateway::http::Url;
use livepeer_gateway::job::{JobError, Loss, Slowness};
use livepeer_gateway::price::Price;
use livepeer_gateway::session::Network;
use livepeer_gateway::session::selection::OfferRules;
use resilience::fault::chain;

/// What was reported of jobs, so that nothing is said twice.
pub(in crate::agent) struct Reports {
    /// Of jobs that are lost, and of starts that fail.
    pub(super) failures: ThrottledLog,
    pub(super) model: ModelReport,
    pub(super) payments: PaymentReport,
    link: ThrottledLog,
    /// It was said that no maximum price is set.
    limit_told: bool,
    /// Where the job was started last.
    orchestrator: Option<Url>,
    /// Why no job ran when there was none.
    no_job: String,
    /// Bytes of video that had been sent at the last reading.
    sent_bytes: u64,
}

impl Reports {
    pub(super) fn new() -> Self {
        Self {
            failures: ThrottledLog::new("the job runs again"),
            model: ModelReport::new(),
            payments: PaymentReport::default(),
            link: ThrottledLog::new("video gets through again"),
            limit_told: false,
            orchestrator: None,
            no_job: String::new(),
            sent_bytes: 0,
        }
    }

    /// Where the job was started last.
    pub(in crate::agent) fn orchestrator(&self) -> Option<&Url> {
        self.orchestrator.as_ref()
    }

    /// The host where the job was started last.
    pub(super) fn place(&self) -> String {
        self.orchestrator.as_ref().map(|url| url.authority().to_string()).unwrap_or_default()
    }

    /// Why no job ran when there was none.
    pub(in crate::agent) fn why_none(&self) -> &str {
        &self.no_job
    }

    /// Whether video does not get through.
    pub(super) fn is_link_failing(&self) -> bool {
        self.link.is_on()
    }

    /// The job is started at `url`.
    pub(super) fn started_at(&mut self, url: Url) {
        self.orchestrator = Some(url);
        self.payments = PaymentReport::default();
    }

    /// The job with this id has started at `url`, and runs this.
    pub(super) fn started(&self, url: &Url, manifest_id: &str, work: &str) {
        // Not the whole id: with the orchestrator's address it makes the channels' addresses.
        let id: String = manifest_id.chars().take(4).collect();
        log::log!(self.failures.level(), "{}: job {id}… started, {work}", url.authority());
    }

    /// What the job costs, and once that nothing limits it.
    pub(super) fn price(
        &mut self,
        url: &Url,
        price: Option<Price>,
        network: &Network,
        rules: &OfferRules,
    ) {
        let Some(price) = price.filter(|_| network.payments.is_some()) else { return };
        let price = price.shown_per_hour();
        log::log!(self.failures.level(), "{}: costs {price}", url.authority());
        if rules.max_price.is_none() && !std::mem::replace(&mut self.limit_told, true) {
            log::warn!(
                "payment.max-price is not set: whatever an orchestrator asks is paid, now {price}"
            );
        }
    }

    /// The job was lost, and the next one is looked for.
    pub(in crate::agent) fn lost(&mut self, loss: &Loss, now: Instant) {
        let place = self.orchestrator.as_ref().map(|url| format!("{url}: ")).unwrap_or_default();
        self.failures.on_failure(&format!("{place}the job was lost: {loss}"), now);
    }

    /// The next job is started after this pause only.
    pub(in crate::agent) fn slow_down(&mut self, why: Slowness, pause: Duration, now: Instant) {
        let why = match why {
            Slowness::Losses => {
                "jobs are lost too often: the input or the model is probably at fault"
            }
            Slowness::PaidAhead => {
                "starts that failed have cost more time than has passed: the model or its parameters are probably at fault"
            }
        };
        self.none(format!("{why}; next one in {} s", pause.as_secs()), now);
    }

    /// There is no job now; why.
    pub(in crate::agent) fn none(&mut self, why: String, now: Instant) {
        self.failures.on_failure(&why, now);
        self.no_job = why;
    }

    /// Whether video was sent since this was asked last.
    pub(in crate::agent) fn video_sent(&mut self, status: &Status) -> bool {
        let bytes = status.publish.bytes.load(Relaxed);
        std::mem::replace(&mut self.sent_bytes, bytes) != bytes
    }

    /// Says once that video does not get through, and once that it does.
    pub(in crate::agent) fn link(&mut self, status: &Status, now: Instant) {
        let is_failing = status.publish.is_failing.load(Relaxed);
        if is_failing == self.link.is_on() {
            return;
        }
        if is_failing {
            let place = self.place();
            self.link.on_failure(&format!("{place}: no video gets through"), now);
        } else {
            self.link.on_success(now);
        }
    }
}

/// Whether a runner's app has taken new parameters.
pub(super) fn updated(result: &Result<(), JobError>) {
    match result {
        Ok(()) => log::info!("the job's app has taken the parameters"),
        Err(error) => log::warn!(
            "the job's app has not taken the parameters: {}; the next job gets them",
            chain(error)
        ),
    }
}
