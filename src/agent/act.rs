//! Does what the machine wants: asks orchestrators, starts a job, runs and ends its parts.
//!
//! Does not: decide.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio::task::JoinSet;
use tokio::time::Interval;

use crate::agent::event::{Event, Part};
use crate::agent::pace::Pace;
use crate::agent::parts::{Ground, Parts, video_publisher};
use crate::agent::probes::Probes;
use crate::agent::run::{Closing, Held, Loop};
use crate::agent::wait::jitter;
use crate::agent::work::{Job, With};
use crate::agent::{Change, Options, Place};
use crate::capacity::{DRAIN_TIME, END_TIME};
use crate::http::Url;
use crate::job::{self, Command, Outcome, Recovery};
use crate::orchestrator::Endpoints;
use crate::trickle::End as ChannelEnd;

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
            Command::Start(url, session) => self.start(url, session),
            Command::Run => self.run_parts(keep_alive),
            Command::Close { for_good: true } => {
                self.is_leaving = true;
                self.stop_capture();
                self.closing = Closing::Draining(Instant::now() + DRAIN_TIME);
            }
            Command::Close { for_good: false } => {
                self.closing = Closing::Draining(Instant::now());
                self.end_parts();
            }
            Command::Left(loss) => {
                let place = self.orchestrator.as_ref().map(|url| format!("{url}: "));
                let place = place.unwrap_or_default();
                self.job_trouble
                    .on_failure(&format!("{place}the job was lost: {loss}"), Instant::now());
            }
            Command::SlowDown(pause) => {
                let text = format!(
                    "jobs are lost too often: the input or the model is probably at fault; next one in {} s",
                    pause.as_secs()
                );
                self.job_trouble.on_failure(&text, Instant::now());
            }
            Command::TryLater(why) => {
                self.look_at_clock();
                let why = self.explain(why).to_string();
                self.job_trouble.on_failure(&why, Instant::now());
                self.await_reach();
            }
            Command::Finish(outcome) => return Some(outcome),
        }
        None
    }

    fn ask(&mut self, url: Url) {
        let (work, network) = (self.options.work.clone(), self.network.clone());
        if let Some(known) = self.runners.get(&url).cloned() {
            let offered = work.offered_by(known);
            self.asks.spawn(async move { Event::Asked(url, Duration::ZERO, offered) });
            return;
        }
        let level = if self.held.is_some() { log::Level::Debug } else { self.job_trouble.level() };
        log::log!(level, "{url}: asking for a session");
        self.asks.spawn(async move {
            let (time, offered) = work.ask(&network, &url).await;
            Event::Asked(url, time, offered)
        });
    }

    fn start(&mut self, url: Url, with: With) {
        self.orchestrator = Some(url);
        self.payment_trouble = None;
        let (params, network) = (self.options.work.params(), self.network.clone());
        self.tasks
            .spawn(async move { Event::Started(with.start(params, network, jitter()).await) });
    }

    /// The job is there. `None` if nobody wants it any more.
    pub(super) fn on_started(&mut self, job: Job) -> Option<job::Event<With>> {
        let channels = job.channels();
        log::log!(
            self.job_trouble.level(),
            "{}: job {}… started, {}",
            job.place().authority(),
            // Not the whole of it: with the orchestrator's address it makes the channels' addresses.
            channels.manifest_id.chars().take(4).collect::<String>(),
            self.options.work.name()
        );
        if self.closing != Closing::No {
            // The answer came after all.
            let publisher = video_publisher(&self.network, channels, Arc::default());
            self.tasks.spawn(async move {
                tokio::join!(publisher.delete(), job.stop());
                Event::PartEnded(Part::Publisher, Ok(ChannelEnd::Finished))
            });
            return None;
        }
        self.forget_model();
        let (has_output, has_events) = (channels.output.is_some(), channels.events.is_some());
        self.held = Some(Held { job, parts: Parts::default() });
        Some(job::Event::Started { has_output, has_events })
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
                    if held.parts.control(message.into()) {
                        log::info!("parameters sent");
                    } else {
                        log::warn!(
                            "parameters not sent: there is no control channel, or it is busy"
                        );
                    }
                }
            }
        }
        self.on_parameters();
        self.options.work.set_params(params);
    }

    fn run_parts(&mut self, keep_alive: &mut Interval) {
        let Some(held) = &mut self.held else { return };
        let ground = Ground {
            network: &self.network,
            status: &self.status,
            events: &self.events,
            tasks: &mut self.tasks,
        };
        let outputs = self.outputs.clone();
        let pieces = self.status.media.pieces();
        held.parts = Parts::start(ground, &mut held.job, pieces, outputs);
        keep_alive.reset();
        self.pace.on_new_publication();
        // Nobody is waited for any more.
        self.probes = Probes::default();
        if let Some(capture) = &self.capture {
            capture.play();
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
            Change::Params(params) => self.set_params(params),
            Change::Media(media) => return Some(self.set_media(*media)),
            Change::Recovery(recovery) => {
                self.options.recovery = recovery;
                self.status.media.await_next(recovery == Recovery::Retry);
                return Some(job::Event::Recover(recovery));
            }
            Change::Outputs(outputs) => {
                self.outputs.replace(outputs);
            }
            Change::Place(place) => {
                let Place { work, finding, rules, network } = *place;
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
        self.status.media.await_next(false);
        let captures = [self.capture.take(), self.slate.take()];
        if captures.iter().all(Option::is_none) {
            self.status.media.end();
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
                // They end as cancelled, one event each, and then the set is empty.
                self.tasks.abort_all();
                self.closing = Closing::Ending(Instant::now() + END_TIME);
            }
        }
    }

    /// Tells every part to end.
    pub(super) fn end_parts(&mut self) {
        if let Closing::Draining(_) = self.closing {
            self.closing = Closing::Ending(Instant::now() + END_TIME);
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
