//! Does what the machine wants: asks orchestrators, starts a job, runs and ends its parts.
//!
//! Does not: decide.

use std::sync::Arc;
use std::time::Instant;

use tokio::time::Interval;

use crate::agent::event::{Event, Part};
use crate::agent::parts::{Ground, Parts, video_publisher};
use crate::agent::run::{Closing, Held, Loop, With, jitter};
use crate::capacity::{DRAIN_TIME, END_TIME};
use crate::http::Url;
use crate::job::{self, Command, LiveVideoJob, Outcome};
use crate::session::OrchestratorSession;
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
                let urls = self.options.orchestrators.clone();
                self.tasks.spawn(async move { Event::Found(urls) });
            }
            Command::Ask(urls) => urls.into_iter().for_each(|url| self.ask(url)),
            Command::Start(url, session) => self.start(url, session),
            Command::Run => self.run_parts(keep_alive),
            Command::Close { for_good: true } => {
                self.stop_capture();
                self.closing = Closing::Draining(Instant::now() + DRAIN_TIME);
            }
            Command::Close { for_good: false } => {
                self.closing = Closing::Draining(Instant::now());
                self.end_parts();
            }
            Command::Finish(outcome) => return Some(outcome),
        }
        None
    }

    fn ask(&mut self, url: Url) {
        log::info!("{url}: asking for a session");
        let (network, capability) = (self.network.clone(), self.capability.clone());
        let asked = url.clone();
        let task = self.asks.spawn(async move {
            let began = Instant::now();
            let opened = OrchestratorSession::open(&network, &url, &capability).await;
            Event::Opened(url, began.elapsed(), opened.map(Box::new))
        });
        self.asked.insert(task.id(), asked);
    }

    fn start(&mut self, url: Url, session: With) {
        self.orchestrator = Some(url);
        self.payment_trouble = None;
        let options = self.options.job.clone();
        self.tasks.spawn(async move {
            let started = LiveVideoJob::start(*session, &options, jitter()).await;
            Event::Started(started.map(Box::new))
        });
    }

    /// The job is there. `None` if nobody wants it any more.
    pub(super) fn on_started(&mut self, job: Box<LiveVideoJob>) -> Option<job::Event<With>> {
        let channels = job.channels();
        log::info!(
            "{}: job {} started, model {}",
            job.session().url(),
            channels.manifest_id,
            self.options.job.model
        );
        if self.closing != Closing::No {
            // The answer came after all.
            let publisher = video_publisher(&self.network, channels, Arc::default());
            self.tasks.spawn(async move {
                publisher.delete().await;
                Event::PartEnded(Part::Publisher, Ok(ChannelEnd::Finished))
            });
            return None;
        }
        let (has_output, has_events) = (channels.output.is_some(), channels.events.is_some());
        self.held = Some(Held { job, parts: Parts::default() });
        Some(job::Event::Started { has_output, has_events })
    }

    fn run_parts(&mut self, keep_alive: &mut Interval) {
        let (Some(held), Some(capture)) = (&mut self.held, &self.capture) else { return };
        let ground = Ground {
            network: &self.network,
            status: &self.status,
            events: &self.events,
            tasks: &mut self.tasks,
        };
        let outputs = Arc::clone(&self.outputs);
        held.parts = Parts::start(ground, &mut held.job, capture.pieces(), outputs);
        keep_alive.reset();
        capture.play();
    }

    /// Stops capture for good, beside everything else.
    pub(super) fn stop_capture(&mut self) {
        if let Some(capture) = self.capture.take() {
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
            self.held = None;
        }
    }
}
