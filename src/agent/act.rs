//! Does what the machine wants: asks orchestrators, starts a job, runs and ends its parts.
//!
//! Does not: decide.

use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio::task::JoinSet;
use tokio::time::Interval;

use crate::agent::event::Event;
use crate::agent::pace::Pace;
use crate::agent::parts::{Ground, Parts, end_unwanted};
use crate::agent::probes::Probes;
use crate::agent::run::{Closing, Held, Loop};
use crate::agent::wait::jitter;
use crate::agent::work::With;
use crate::agent::{Change, Options, Place};
use livepeer_gateway::http::Url;
use livepeer_gateway::job::{self, Command, Outcome, Recovery, Slowness, StartedJob};
use livepeer_gateway::orchestrator::Endpoints;
use livepeer_gateway::price::Price;
use resilience::capacity::{DRAIN_TIME, END_TIME};

/// A start waits at most so long for the end of an earlier job at the same peer.
const OWED_TIME: Duration = Duration::from_secs(3);
/// At the end of the program, the answer to a start under way is waited for at most so long: without it nobody
/// knows the job that may have been started. The real gateway gives a start 5 s too (protocol.md, section 5).
const START_END_TIME: Duration = Duration::from_secs(5);

/// The starts under way. A start is never cut short while the program runs: the job that comes of it has to be ended.
#[derive(Default)]
pub(super) struct Starts {
    pub(super) tasks: JoinSet<Event>,
    last: u64,
    /// The number of the start whose job is wanted.
    wanted: Option<u64>,
    /// What the last one was started with.
    params: Map<String, Value>,
    /// The job that takes over from the one that runs.
    next: Option<StartedJob>,
}

impl Starts {
    /// The number of a new start.
    fn begin(&mut self, params: Map<String, Value>) -> u64 {
        self.params = params;
        self.last += 1;
        self.wanted = Some(self.last);
        self.last
    }

    /// The start with this number is over: whether its job is wanted.
    pub(super) fn finish(&mut self, number: u64) -> bool {
        let is_wanted = self.wanted == Some(number);
        self.wanted = self.wanted.filter(|_| !is_wanted);
        is_wanted
    }
}

impl Loop {
    /// Does what the machine wants; the outcome, if that is the end of the loop.
    pub(super) fn carry_out(
        &mut self,
        command: Command<With>,
        keep_alive: &mut Interval,
    ) -> Option<Outcome> {
        match command {
            Command::Find => {
                let (work, network) = (self.options.work.clone(), self.network.clone());
                let find = work.find(self.options.finding.clone(), network);
                // Whoever has not answered yet may hang.
                self.asks = JoinSet::new();
                self.asks.spawn(async move { Event::Found(find.await) });
            }
            Command::Ask(urls) => urls.into_iter().for_each(|url| self.ask(url)),
            Command::Start(url, session) => {
                self.orchestrator = Some(url.clone());
                self.payment_trouble = None;
                self.start(url, session);
            }
            Command::StartNext(url, session) => self.start(url, session),
            Command::Renew => log::info!(
                "the job has run for a day: handing over to a new one before its times wrap"
            ),
            Command::Run => self.run_parts(keep_alive),
            Command::HandOver => {
                self.closing = Closing::Draining(Instant::now());
                self.end_parts();
            }
            Command::Close { for_good: true } => {
                self.is_leaving = true;
                self.give_up_starts();
                self.stop_capture();
                self.closing = Closing::Draining(Instant::now() + DRAIN_TIME);
            }
            Command::Close { for_good: false } => {
                self.give_up_starts();
                self.closing = Closing::Draining(Instant::now());
                self.end_parts();
            }
            Command::Left(loss) => {
                let place = self.orchestrator.as_ref().map(|url| format!("{url}: "));
                let place = place.unwrap_or_default();
                self.job_trouble
                    .on_failure(&format!("{place}the job was lost: {loss}"), Instant::now());
            }
            Command::SlowDown(why, pause) => {
                let why = match why {
                    Slowness::Losses => {
                        "jobs are lost too often: the input or the model is probably at fault"
                    }
                    Slowness::PaidAhead => {
                        "starts that failed have cost more time than has passed: the model or its parameters are probably at fault"
                    }
                };
                let text = format!("{why}; next one in {} s", pause.as_secs());
                self.watch.on_no_job(&text);
                self.job_trouble.on_failure(&text, Instant::now());
            }
            Command::TryLater(why) => {
                self.look_at_clock();
                let why = self.explain(why).to_string();
                self.watch.on_no_job(&why);
                self.job_trouble.on_failure(&why, Instant::now());
                self.await_reach();
            }
            Command::Finish(outcome) => return Some(outcome),
        }
        None
    }

    fn ask(&mut self, url: Url) {
        let Some(offers) = &self.offers else { return };
        if offers.are_asked() {
            let is_spare = self.held.is_some();
            let level = if is_spare { log::Level::Debug } else { self.job_trouble.level() };
            log::log!(level, "{url}: asking for a session");
        }
        let offered = offers.of(&url, &self.network);
        self.asks.spawn(async move {
            let (time, offered) = offered.await;
            Event::Asked(url, time, offered)
        });
    }

    fn start(&mut self, url: Url, with: With) {
        self.tell_price(&url, with.price());
        let (params, network) = (self.options.work.params(), self.network.clone());
        let number = self.starts.begin(params.clone());
        let peers = with.peers(&url);
        self.starts.tasks.spawn(async move {
            network.endings.settle_at(&peers, OWED_TIME).await;
            let started = with.start(params, network, jitter()).await;
            Event::Started(number, started.map(Box::new))
        });
    }

    /// Says what the job costs, and once that nothing limits it.
    fn tell_price(&mut self, url: &Url, price: Option<Price>) {
        let Some(price) = price.filter(|_| self.network.payments.is_some()) else { return };
        let price = price.shown_per_hour();
        log::log!(self.job_trouble.level(), "{}: costs {price}", url.authority());
        if self.options.rules.max_price.is_none() && !std::mem::replace(&mut self.limit_told, true)
        {
            log::warn!(
                "payment.max-price is not set: whatever an orchestrator asks is paid, now {price}"
            );
        }
    }

    /// The job of the start with this number is there. `None` if nobody wants it any more: then it is ended.
    pub(super) fn on_started(&mut self, number: u64, job: StartedJob) -> Option<job::Event<With>> {
        let is_wanted = self.starts.finish(number) && self.closing == Closing::No;
        let channels = job.channels();
        log::log!(
            self.job_trouble.level(),
            "{}: job {}… started, {}",
            job.url().authority(),
            // Not the whole of it: with the orchestrator's address it makes the channels' addresses.
            channels.manifest_id.chars().take(4).collect::<String>(),
            self.options.work.name()
        );
        if !is_wanted {
            // Its start was under way when it was given up.
            self.end_job(job);
            return None;
        }
        let (has_output, has_events) = (channels.output.is_some(), channels.events.is_some());
        if self.held.is_some() {
            self.starts.next = Some(job);
        } else {
            self.hold_job(job);
        }
        Some(job::Event::Started { has_output, has_events })
    }

    fn hold_job(&mut self, job: StartedJob) {
        self.forget_model();
        self.held = Some(Held { job, parts: Parts::default() });
    }

    /// Ends a job of which no part runs. Nothing waits for that, save the end of the program.
    fn end_job(&mut self, job: StartedJob) {
        let network = self.network.clone();
        self.starts.tasks.spawn(async move {
            end_unwanted(network, job).await;
            Event::JobStopped
        });
    }

    /// No job that is being started, or was started to take over, is wanted any more.
    fn give_up_starts(&mut self) {
        self.starts.wanted = None;
        if let Some(job) = self.starts.next.take() {
            self.end_job(job);
        }
    }

    /// Other parameters: for the job that is live, and for every one that starts from now on.
    pub(super) fn set_params(&mut self, params: Map<String, Value>) {
        if let Some(held) = &self.held {
            match held.job.update(&params) {
                Some(update) => {
                    self.tasks.spawn(async move { Event::Updated(update.await) });
                }
                None => {
                    let message = serde_json::to_vec(&params).unwrap_or_default();
                    match held.parts.control(message.into()) {
                        Ok(()) => log::info!("parameters queued for the job's control channel"),
                        Err(why) => log::warn!(
                            "the job that runs keeps its parameters: {why}; the next one gets the new ones"
                        ),
                    }
                }
            }
        } else {
            log::info!("no job runs: the next one gets the parameters");
        }
        self.on_parameters();
        self.options.work.set_params(params);
    }

    fn run_parts(&mut self, keep_alive: &mut Interval) {
        if let Some(job) = self.starts.next.take() {
            self.orchestrator = Some(job.url().clone());
            self.payment_trouble = None;
            self.hold_job(job);
        }
        let Some(held) = &mut self.held else { return };
        let ground = Ground {
            network: &self.network,
            status: &self.status,
            events: &self.events,
            tasks: &mut self.tasks,
        };
        let outputs = self.outputs.clone();
        let pieces = self.units.pieces();
        held.parts = Parts::start(ground, &mut held.job, pieces, outputs);
        keep_alive.reset();
        self.pace.on_new_publication();
        // Nobody is waited for any more.
        self.probes = Probes::default();
        if let Some(capture) = &self.capture {
            capture.play();
        }
        // They may have changed while the job was started.
        let params = self.options.work.params();
        if params != self.starts.params {
            self.set_params(params);
        }
    }

    /// Looks out for peers that cannot be reached now, and so can take no job before they can.
    fn await_reach(&mut self) {
        let Endpoints { orchestrators, signers, .. } = &self.options.finding.endpoints;
        let known = self.machine.known().iter().chain(orchestrators).chain(signers);
        let mut peers: Vec<Url> = Vec::new();
        for url in known.chain(&self.options.finding.endpoints.discovery) {
            if !peers.iter().any(|peer| peer.authority() == url.authority()) {
                peers.push(url.clone());
            }
        }
        self.probes.look_out(peers, &self.network.connector);
    }

    /// What is to be done has changed.
    pub(super) fn on_change(&mut self, change: Change) -> Option<job::Event<With>> {
        match change {
            Change::Params(params) => {
                self.set_params(params);
                return Some(job::Event::NewParams);
            }
            Change::Media(media) => return Some(self.set_media(*media)),
            Change::Recovery(recovery) => {
                self.options.recovery = recovery;
                self.units.await_next(recovery == Recovery::Retry);
                return Some(job::Event::Recover(recovery));
            }
            Change::Outputs(outputs) => {
                self.outputs.replace(outputs);
            }
            Change::Place(place) => {
                let Place { work, finding, rules, mut network } = *place;
                // What is owed stays owed, and is asked for as the new configuration says.
                self.network.endings.set_client(network.client.clone());
                network.endings = self.network.endings.clone();
                self.options = Options { work, finding, rules, ..self.options.clone() };
                self.network = network;
                let bytes = Pace::send_buffer(&self.options.media);
                self.network.connector.set_send_buffer(bytes);
                // Answers to what was asked before are none any more.
                self.asks = JoinSet::new();
                self.probes = Probes::default();
                return Some(job::Event::Replace(rules));
            }
        }
        None
    }

    /// Stops capture for good, beside everything else.
    pub(super) fn stop_capture(&mut self) {
        self.units.await_next(false);
        let captures = [self.capture.take(), self.slate.take()];
        if captures.iter().all(Option::is_none) {
            self.units.end();
        }
        for capture in captures.into_iter().flatten() {
            self.tasks.spawn(async move {
                capture.stop().await;
                Event::CaptureStopped
            });
        }
    }

    pub(super) fn on_close_timeout(&mut self) {
        match self.closing {
            Closing::No => {}
            Closing::Draining(_) => self.end_parts(),
            Closing::Ending(_) => {
                log::warn!("the orchestrator does not answer; leaving without it");
                // They end as cancelled, one event each, and then the sets are empty.
                self.tasks.abort_all();
                if self.is_leaving {
                    self.starts.tasks.abort_all();
                }
                self.closing = Closing::Ending(Instant::now() + END_TIME);
            }
        }
    }

    /// Tells every part to end.
    pub(super) fn end_parts(&mut self) {
        if let Closing::Draining(_) = self.closing {
            let is_starting = self.is_leaving && !self.starts.tasks.is_empty();
            let time = if is_starting { START_END_TIME } else { END_TIME };
            if is_starting {
                log::info!("a job is being started; waiting up to {} s to end it", time.as_secs());
            }
            self.closing = Closing::Ending(Instant::now() + time);
            if let Some(Held { job, parts }) = self.held.take() {
                drop(parts);
                self.tasks.spawn(async move {
                    job.stop().await;
                    Event::JobStopped
                });
            }
        }
    }
}
