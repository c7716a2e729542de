//! Owns the live job, the starts in progress and the search for candidates: carries out the machine's commands for
//! them, and translates their events for the machine.
//!
//! ```text
//!  search ──offer──▶ start ──▶ live job, its parts ──end──▶ closing ──▶ closed
//!                      └─ not wanted any more: stopped ─┘
//! ```
//!
//! Does not: decide; `job::Machine` does.

mod closing;
mod delivery;
mod ends;
mod keep_alive;
mod losses;
mod media_flow;
mod model;
mod params;
mod parts;
mod probes;
mod reports;
mod search;
mod spec;
mod starts;

pub(super) use delivery::Sending;
pub use media_flow::MediaFlow;
pub(super) use spec::{Candidates, Offered};
pub use spec::{DiscoveryOptions, JobSpec};

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::agent::JobPlan;
use crate::agent::event::{JobsEvent, Part};
use crate::agent::output::Outputs;
use crate::agent::wait::joined;
use crate::events::Bus;
use crate::status::Status;
use livepeer_gateway::http::{Url, WallClock};
use livepeer_gateway::job::{self, Loss, StartedJob};
use livepeer_gateway::limits::EVENTS;
use livepeer_gateway::session::selection::OfferRules;
use livepeer_gateway::trickle::io::SegmentSink;
use media::io::AccessUnits;
use resilience::fault::chain;
use resilience::wait::sleep_until;

use closing::Closing;
pub use closing::{DRAIN_TIME, END_TIME};
use delivery::Delivery;
use losses::{described, is_failure, loss_of_part};
use parts::{LiveJob, PartContext};
use reports::Reports;
use search::Search;
use starts::Starts;

/// The interval of keep-alives (protocol.md, section 5).
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);

/// The live job, the starts in progress and the search for candidates.
pub(super) struct Jobs {
    plan: JobPlan,
    status: Status,
    units: AccessUnits,
    outputs: Outputs,
    search: Search,
    starts: Starts,
    live: Option<LiveJob>,
    /// The parts of the job.
    tasks: JoinSet<JobsEvent>,
    /// Stops jobs of earlier runs that could not be stopped then.
    _settling: JoinSet<()>,
    /// The channel on which parts report events.
    events: mpsc::Sender<JobsEvent>,
    arrived: mpsc::Receiver<JobsEvent>,
    keep_alive: Interval,
    closing: Closing,
    /// The parameters and the progress of their delivery.
    delivery: Delivery,
    /// Writes kept parameters.
    writes: JoinSet<()>,
    /// Log, status and events of jobs.
    pub(super) reports: Reports,
    /// The number of segments that had been sent at the last keep-alive.
    sent: u64,
    /// The price of the job that was started last, in wei an hour.
    price: Option<u128>,
}

impl Jobs {
    /// An owner without a job. A job will publish `units` and write processed video to `outputs`.
    pub(super) fn new(
        plan: JobPlan,
        units: AccessUnits,
        status: Status,
        outputs: Outputs,
        bus: Bus,
    ) -> Self {
        let (events, arrived) = mpsc::channel(EVENTS);
        plan.describe(&status);
        let endings = plan.network.endings.clone();
        let mut settling = JoinSet::new();
        settling.spawn(async move { endings.settle().await });
        let mut keep_alive = interval(KEEP_ALIVE_EVERY);
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            plan,
            status,
            units,
            outputs,
            search: Search::default(),
            starts: Starts::default(),
            live: None,
            tasks: JoinSet::new(),
            _settling: settling,
            events,
            arrived,
            keep_alive,
            closing: Closing::default(),
            delivery: Delivery::default(),
            writes: JoinSet::new(),
            reports: Reports::new(bus),
            sent: 0,
            price: None,
        }
    }

    /// Waits for the next event. Cancel safe.
    pub(super) async fn next(&mut self) -> JobsEvent {
        if self.closing.is_over(!self.tasks.is_empty(), !self.starts.are_over()) {
            return JobsEvent::Closed;
        }
        let closes_at = self.closing.deadline();
        let is_live = self.is_live();
        tokio::select! {
            ended = joined(&mut self.tasks) => {
                ended.unwrap_or_else(|error| JobsEvent::Panicked(error.to_string()))
            }
            event = self.starts.next() => event,
            event = self.search.next() => event,
            Some(event) = self.arrived.recv() => event,
            () = sleep_until(closes_at) => JobsEvent::CloseTimeout,
            () = sleep_until(self.delivery.poll_timeout()) => JobsEvent::ParamsTimeout,
            _ = self.keep_alive.tick(), if is_live => JobsEvent::KeepAlive,
        }
    }

    /// Handles `event`. Returns the event to report to the machine, if any. `has_camera`: the camera works.
    pub(super) fn on(
        &mut self,
        event: JobsEvent,
        has_camera: bool,
        now: Instant,
    ) -> Option<job::MachineEvent<Offered>> {
        Some(match event {
            JobsEvent::Found(Ok(found)) => self.search.on_found(found),
            JobsEvent::Found(Err(failure)) => job::MachineEvent::FindFailed(failure),
            JobsEvent::Asked(url, answer_time, Ok((offer, with))) => {
                job::MachineEvent::Offered { url, offer, answer_time, with }
            }
            JobsEvent::Asked(url, _, Err(failure)) => {
                log::log!(self.reports.failures.level(), "{failure}");
                job::MachineEvent::NoAnswer(url, failure)
            }
            JobsEvent::Reachable => job::MachineEvent::Reachable,
            JobsEvent::Started(number, Ok(job)) => return self.on_started(number, *job, now),
            JobsEvent::Started(number, Err(error)) => {
                if !self.starts.finish(number) {
                    log::debug!("an abandoned start failed: {}", chain(&error));
                    return None;
                }
                let (failure, is_paid) = (error.failure(), error.is_paid());
                log::log!(self.reports.failures.level(), "{failure}");
                job::MachineEvent::StartFailed { failure, is_paid }
            }
            JobsEvent::PartEnded(part, end) => {
                log::debug!("{} part ended: {}", part.name(), described(&end));
                if self.closing.is_on() {
                    if part == Part::Output {
                        self.end_parts(now);
                    }
                    return None;
                }
                let is_on_runner = self.live.as_ref().is_some_and(|live| live.job.is_on_runner());
                let unpaid = self.reports.payments.failure();
                job::MachineEvent::Lost(loss_of_part(part, &end, unpaid, is_on_runner)?)
            }
            JobsEvent::Payment(turn) => {
                self.status.payment.set(turn.paid_for, now);
                let failed = is_failure(&turn.outcome);
                let loss = self.reports.on_payment(turn);
                self.status.payment.report(self.reports.payments.failure(), failed);
                job::MachineEvent::Lost(loss?)
            }
            JobsEvent::Panicked(what) => {
                job::MachineEvent::Lost(Loss::Part("a part of the agent", what))
            }
            JobsEvent::Output => {
                // A job works once a segment returns.
                self.reports.failures.on_success(now);
                self.note_works(has_camera);
                job::MachineEvent::Output
            }
            JobsEvent::Model(event) => {
                self.on_model_event(&event, now);
                job::MachineEvent::JobEvent
            }
            JobsEvent::KeepAlive => {
                self.keep_alive(has_camera);
                return self.sent();
            }
            JobsEvent::Closed => {
                self.closing.finish();
                self.live = None;
                self.delivery.on_no_job();
                job::MachineEvent::Closed
            }
            JobsEvent::CloseTimeout => {
                self.on_close_timeout(now);
                return None;
            }
            JobsEvent::Updated(sending, answer) => {
                self.on_app_answer(sending, answer);
                return None;
            }
            JobsEvent::ParamsSent(sending, is_sent) => {
                self.on_params_sent(sending, is_sent, now);
                return None;
            }
            JobsEvent::ParamsTimeout => {
                self.on_params_timeout(now);
                return None;
            }
            JobsEvent::PayerEnded | JobsEvent::Stopped => return None,
        })
    }

    /// Whether a job runs and its close has not begun.
    pub(super) fn is_live(&self) -> bool {
        self.live.is_some() && !self.closing.is_on()
    }

    /// The clock that certificates are judged by.
    pub(super) fn wall_clock(&self) -> &Arc<WallClock> {
        self.plan.network.connector.clock()
    }

    /// Limits the bytes in the send buffer of each connection.
    pub(super) fn set_send_buffer(&self, bytes: usize) {
        self.plan.network.connector.set_send_buffer(bytes);
    }

    /// Searches for candidates.
    pub(super) fn find(&mut self) {
        self.search.find(&self.plan);
    }

    /// Asks these candidates for their offers.
    pub(super) fn ask(&mut self, urls: Vec<Url>) {
        let level =
            if self.live.is_some() { log::Level::Debug } else { self.reports.failures.level() };
        urls.into_iter().for_each(|url| self.search.ask(url, &self.plan, level));
    }

    /// Watches for peers that are unreachable now to become reachable.
    pub(super) fn await_reach(&mut self, known: &[Url]) {
        self.search.await_reach(&self.plan, known);
    }

    /// Ends the search and the watch for peers. Call it when no job is wanted.
    pub(super) fn end_search(&mut self) {
        self.search.drop_requests();
    }

    /// Starts the job at `url`.
    pub(super) fn start(&mut self, url: Url, offered: Offered) {
        self.reports.started_at(url.clone());
        self.start_next(&url, offered);
    }

    /// Starts a job at `url` beside the one that runs.
    pub(super) fn start_next(&mut self, url: &Url, offered: Offered) {
        let JobPlan { network, rules, .. } = &self.plan;
        let price = offered.price().filter(|_| network.payments.is_some());
        self.reports.price(url, price, rules);
        self.price = price.and_then(|price| price.wei_per_hour());
        let (params, network) = (self.plan.spec.params(), self.plan.network.clone());
        self.starts.start(url, offered, params, network);
    }

    /// Runs the parts of the started job, or of the job that takes over from another.
    pub(super) fn run(&mut self) {
        if let Some(job) = self.starts.take_next() {
            self.reports.started_at(job.url().clone());
            self.hold(job);
        }
        let Some(live) = &mut self.live else { return };
        let context = PartContext {
            network: &self.plan.network,
            status: &self.status,
            events: &self.events,
            tasks: &mut self.tasks,
        };
        let has_output = live.job.channels().output.is_some();
        self.status.returned.begin(has_output, Instant::now());
        live.run(context, self.units.pieces(), self.outputs.clone());
        self.keep_alive.reset();
        self.search.stop_watch();
        // The parameters may have changed while the job was started.
        if self.plan.spec.params() != *self.starts.params() {
            self.send_params();
        }
    }

    /// The rules that candidates must keep to.
    pub(super) fn rules(&self) -> OfferRules {
        self.plan.rules
    }

    /// Replaces the outputs.
    pub(super) fn set_outputs(&self, sinks: Vec<Box<dyn SegmentSink>>) {
        self.outputs.replace(sinks);
    }

    /// Replaces the job and its candidates. Outstanding stops of earlier jobs are kept, and follow the new plan; so are
    /// parameters that a user set, unless the plan has another model or other parameters.
    pub(super) fn set_plan(&mut self, mut plan: JobPlan) {
        self.plan.network.endings.set_client(plan.network.client.clone());
        plan.network.endings = self.plan.network.endings.clone();
        if plan.kept.is_same_job(&self.plan.kept) {
            plan.kept = self.plan.kept.clone();
            plan.spec.set_params(self.plan.spec.params());
        }
        plan.describe(&self.status);
        self.plan = plan;
        self.search.drop_requests();
    }

    /// Handles a started job. Returns `None` and stops the job if it is not wanted any more.
    fn on_started(
        &mut self,
        number: u64,
        job: StartedJob,
        now: Instant,
    ) -> Option<job::MachineEvent<Offered>> {
        let is_wanted = self.starts.finish(number) && !self.closing.is_on();
        let channels = job.channels();
        self.reports.started(job.url(), &channels.manifest_id, &self.plan.spec.name());
        if !is_wanted {
            // The start was in progress when the job was abandoned.
            self.starts.end(job, &self.plan.network);
            return None;
        }
        let (has_output, has_events) = (channels.output.is_some(), channels.events.is_some());
        if self.live.is_some() {
            self.starts.keep_next(job);
        } else {
            self.hold(job);
        }
        let sent = self.delivery.on_started(self.starts.params(), now);
        self.reports.publish(sent);
        Some(job::MachineEvent::Started { has_output, has_events })
    }

    fn hold(&mut self, job: StartedJob) {
        self.reports.model.forget(&self.status);
        self.status.payment.begin(self.price);
        self.delivery.on_other_job();
        self.live = Some(LiveJob::new(job));
    }
}
