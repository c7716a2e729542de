//! Owns the job that runs, the starts under way and the search for the next one: carries out what the machine wants of
//! them, and says in its words what happened.
//!
//! ```text
//!  search ──offer──▶ start ──▶ live job, its parts ──end──▶ closing ──▶ closed
//!                      └─ not wanted any more: ended ─┘
//! ```
//!
//! Does not: decide; `job::Machine` does.

mod closing;
mod losses;
mod media_flow;
mod model;
mod parts;
mod probes;
mod reports;
mod search;
mod spec;
mod starts;

pub use media_flow::MediaFlow;
pub(super) use spec::{Candidates, Offered};
pub use spec::{DiscoveryOptions, JobSpec};

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::agent::JobPlan;
use crate::agent::event::{JobsEvent, Part};
use crate::agent::output::Outputs;
use crate::agent::wait::joined;
use crate::status::Status;
use livepeer_gateway::http::{Url, WallClock};
use livepeer_gateway::job::{self, Loss, RENEW_AFTER, StartedJob};
use livepeer_gateway::limits::EVENTS;
use livepeer_gateway::trickle::io::SegmentSink;
use media::io::AccessUnits;
use resilience::fault::chain;
use resilience::wait::sleep_until;

use closing::{Closing, Overdue};
pub use closing::{DRAIN_TIME, END_TIME};
use losses::{described, loss_of_part};
use parts::{LiveJob, PartContext};
use reports::Reports;
use search::Search;
use starts::Starts;

/// How often a job wants a sign of life (protocol.md, section 5).
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);
/// A job that could not be handed over for so long, because video did not get through, is handed over anyway.
const URGENT: Duration = Duration::from_secs(2 * 3600);

/// The job that runs, the starts under way and the search for the next one.
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
    /// Asks for the ends that earlier jobs owe.
    _settling: JoinSet<()>,
    /// What the parts report, and where it arrives.
    events: mpsc::Sender<JobsEvent>,
    arrived: mpsc::Receiver<JobsEvent>,
    keep_alive: Interval,
    closing: Closing,
    /// What log and status are told of jobs.
    pub(super) reports: Reports,
    /// Segments that had been sent at the last sign of life.
    sent: u64,
}

impl Jobs {
    /// No job yet. Video will come from `units`, and what returns goes to `outputs`.
    pub(super) fn new(plan: JobPlan, units: AccessUnits, status: Status, outputs: Outputs) -> Self {
        let (events, arrived) = mpsc::channel(EVENTS);
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
            reports: Reports::new(),
            sent: 0,
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
            _ = self.keep_alive.tick(), if is_live => JobsEvent::KeepAlive,
        }
    }

    /// Goes on after `event`; what the machine has to know of it. `has_camera` tells whether the camera works.
    pub(super) fn on(
        &mut self,
        event: JobsEvent,
        has_camera: bool,
        now: Instant,
    ) -> Option<job::Event<Offered>> {
        Some(match event {
            JobsEvent::Found(Ok(found)) => self.search.on_found(found),
            JobsEvent::Found(Err(failure)) => job::Event::FindFailed(failure),
            JobsEvent::Asked(url, answer_time, Ok((offer, with))) => {
                job::Event::Offered { url, offer, answer_time, with }
            }
            JobsEvent::Asked(url, _, Err(failure)) => {
                log::log!(self.reports.failures.level(), "{failure}");
                job::Event::NoAnswer(url, failure)
            }
            JobsEvent::Reachable => job::Event::Reachable,
            JobsEvent::Started(number, Ok(job)) => return self.on_started(number, *job),
            JobsEvent::Started(number, Err(error)) => {
                if !self.starts.finish(number) {
                    log::debug!("a start that was given up: {}", chain(&error));
                    return None;
                }
                let (failure, is_paid) = (error.failure(), error.is_paid());
                log::log!(self.reports.failures.level(), "{failure}");
                job::Event::StartFailed { failure, is_paid }
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
                job::Event::Lost(loss_of_part(part, &end, unpaid, is_on_runner)?)
            }
            JobsEvent::Payment(turn) => {
                self.status.payment.set(turn.paid_for);
                job::Event::Lost(self.reports.payments.on_turn(turn)?)
            }
            JobsEvent::Panicked(what) => job::Event::Lost(Loss::Part("a part of the agent", what)),
            JobsEvent::Output => {
                // A job counts as good once something comes back.
                self.reports.failures.on_success(now);
                self.note_works(has_camera);
                job::Event::Output
            }
            JobsEvent::Model(event) => {
                let place = self.reports.place();
                self.reports.model.on_event(&event, &place, &self.status, now);
                job::Event::JobEvent
            }
            JobsEvent::KeepAlive => {
                self.keep_alive(has_camera);
                return self.sent();
            }
            JobsEvent::Closed => {
                self.closing.finish();
                self.live = None;
                job::Event::Closed
            }
            JobsEvent::CloseTimeout => {
                self.on_close_timeout(now);
                return None;
            }
            JobsEvent::Updated(result) => {
                reports::updated(&result);
                return None;
            }
            JobsEvent::PayerEnded | JobsEvent::Stopped => return None,
        })
    }

    /// Whether a job runs whose end has not begun.
    pub(super) fn is_live(&self) -> bool {
        self.live.is_some() && !self.closing.is_on()
    }

    /// The clock that judges certificates.
    pub(super) fn wall_clock(&self) -> &Arc<WallClock> {
        self.plan.network.connector.clock()
    }

    /// From now on the transport holds at most so many bytes.
    pub(super) fn set_send_buffer(&self, bytes: usize) {
        self.plan.network.connector.set_send_buffer(bytes);
    }

    /// Finds out who may take the job.
    pub(super) fn find(&mut self) {
        self.search.find(&self.plan);
    }

    /// Asks these what they offer.
    pub(super) fn ask(&mut self, urls: Vec<Url>) {
        let level =
            if self.live.is_some() { log::Level::Debug } else { self.reports.failures.level() };
        urls.into_iter().for_each(|url| self.search.ask(url, &self.plan, level));
    }

    /// Looks out for peers that cannot be reached now, and so can take no job before they can.
    pub(super) fn await_reach(&mut self, known: &[Url]) {
        self.search.await_reach(&self.plan, known);
    }

    /// Starts the job at `url`.
    pub(super) fn start(&mut self, url: Url, offered: Offered) {
        self.reports.started_at(url.clone());
        self.start_next(&url, offered);
    }

    /// Starts a job at `url` beside the one that runs.
    pub(super) fn start_next(&mut self, url: &Url, offered: Offered) {
        let JobPlan { network, rules, .. } = &self.plan;
        self.reports.price(url, offered.price(), network, rules);
        let (params, network) = (self.plan.spec.params(), self.plan.network.clone());
        self.starts.start(url, offered, params, network);
    }

    /// Runs the parts of the job that has started, or of the one that was started beside another and takes over.
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
        live.run(context, self.units.pieces(), self.outputs.clone());
        self.keep_alive.reset();
        self.search.stop_look_out();
        // They may have changed while the job was started.
        let params = self.plan.spec.params();
        if params != *self.starts.params() {
            self.set_params(params);
        }
    }

    /// Ends the job that runs, but not the one that takes over.
    pub(super) fn hand_over(&mut self, now: Instant) {
        self.closing.begin(now);
        self.end_parts(now);
    }

    /// Ends the job that runs, and every one that was started beside it.
    pub(super) fn close(&mut self, now: Instant) {
        self.starts.give_up(&self.plan.network);
        self.hand_over(now);
    }

    /// Ends every job for good. Capture has been told to stop: what is on its way may still go out and come back.
    pub(super) fn leave(&mut self, now: Instant) {
        self.starts.give_up(&self.plan.network);
        self.closing.leave(now);
    }

    /// Capture has stopped for good.
    pub(super) fn on_capture_stopped(&mut self) {
        self.closing.on_capture_stopped();
    }

    /// Other parameters: for the job that is live, and for every one that starts from now on.
    pub(super) fn set_params(&mut self, params: Map<String, Value>) {
        match &self.live {
            Some(live) => live.set_params(&params, &mut self.tasks),
            None => log::info!("no job runs: the next one gets the parameters"),
        }
        self.reports.model.on_parameters(&self.status);
        self.plan.spec.set_params(params);
    }

    /// Other outputs.
    pub(super) fn set_outputs(&self, sinks: Vec<Box<dyn SegmentSink>>) {
        self.outputs.replace(sinks);
    }

    /// Another job, or other places to find one. What is owed stays owed, and is asked for as the new configuration
    /// says.
    pub(super) fn set_plan(&mut self, mut plan: JobPlan) {
        self.plan.network.endings.set_client(plan.network.client.clone());
        plan.network.endings = self.plan.network.endings.clone();
        self.plan = plan;
        self.search.drop_requests();
    }

    /// The job of the start with this number is there. `None` if nobody wants it any more: then it is ended.
    fn on_started(&mut self, number: u64, job: StartedJob) -> Option<job::Event<Offered>> {
        let is_wanted = self.starts.finish(number) && !self.closing.is_on();
        let channels = job.channels();
        self.reports.started(job.url(), &channels.manifest_id, &self.plan.spec.name());
        if !is_wanted {
            // Its start was under way when it was given up.
            self.starts.end(job, &self.plan.network);
            return None;
        }
        let (has_output, has_events) = (channels.output.is_some(), channels.events.is_some());
        if self.live.is_some() {
            self.starts.keep_next(job);
        } else {
            self.hold(job);
        }
        Some(job::Event::Started { has_output, has_events })
    }

    fn hold(&mut self, job: StartedJob) {
        self.reports.model.forget(&self.status);
        self.live = Some(LiveJob::new(job));
    }

    fn keep_alive(&mut self, has_camera: bool) {
        let Some(live) = &self.live else { return };
        live.keep_alive();
        let sent = self.status.publish.segments.load(Relaxed);
        let has_sent = std::mem::replace(&mut self.sent, sent) != sent;
        if has_sent && live.job.channels().output.is_none() {
            self.note_works(has_camera);
        }
    }

    /// Notes that the agent does what it is there for: processed video comes back, or, where a job returns none, video
    /// gets through; and the camera works.
    fn note_works(&self, has_camera: bool) {
        if has_camera {
            self.status.works.notify_one();
        }
    }

    /// How much media the job was sent, at a moment that is good for a hand-over; or at any, once it is urgent.
    fn sent(&self) -> Option<job::Event<Offered>> {
        let length = self.units.span();
        let is_quiet = !self.reports.is_link_failing();
        (is_quiet || length > RENEW_AFTER + URGENT).then_some(job::Event::Sent(length))
    }

    fn on_close_timeout(&mut self, now: Instant) {
        match self.closing.on_timeout(now) {
            Overdue::Nothing => {}
            Overdue::EndParts => self.end_parts(now),
            Overdue::CutShort => {
                log::warn!("not all parts of the job ended in time: leaving without them");
                // They end as cancelled, one event each, and then the sets are empty.
                self.tasks.abort_all();
                if self.closing.is_leaving() {
                    self.starts.abort();
                }
            }
        }
    }

    /// Tells every part to end.
    fn end_parts(&mut self, now: Instant) {
        let is_starting = self.closing.is_leaving() && !self.starts.are_over();
        let Some(time) = self.closing.end_parts(is_starting, now) else { return };
        if is_starting {
            log::info!("a job is being started; waiting up to {} s to end it", time.as_secs());
        }
        if let Some(live) = self.live.take() {
            live.end(&mut self.tasks);
        }
    }
}
