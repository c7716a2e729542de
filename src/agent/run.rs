//! The event loop of a running agent.
//!
//! Does not: know how a part works inside.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::agent::AgentError;
use crate::agent::event::{Event, Part};
use crate::agent::fanout::OutputSink;
use crate::agent::parts::{Ground, Parts, video_publisher};
use crate::capacity::{DRAIN_TIME, END_TIME, EVENTS};
use crate::fault::chain;
use crate::http::Url;
use crate::job::{self, Command, Commands, JobOptions, LiveVideoJob, Loss, Machine, Outcome};
use crate::media::MediaError;
use crate::media::io::{Capture, End as CaptureEnd};
use crate::orchestrator::live_video;
use crate::session::{Network, OrchestratorSession};
use crate::status::Status;
use crate::stop::Stop;
use crate::trickle::{End as ChannelEnd, TrickleError};

/// How often a job wants a sign of life (protocol.md, section 5).
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);

/// What an agent is to do.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What to capture.
    pub media: crate::media::Options,
    /// What to ask of the orchestrator.
    pub job: JobOptions,
    /// The orchestrators to try, in this order.
    pub orchestrators: Vec<Url>,
}

/// An agent, ready to run.
pub struct Agent {
    options: Options,
    network: Network,
    status: Status,
    outputs: Vec<Box<dyn OutputSink>>,
}

/// What the loop holds at the orchestrator.
enum Held {
    Nothing,
    Session(Box<OrchestratorSession>),
    Job { job: Box<LiveVideoJob>, parts: Parts },
}

/// How far the end of a job has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    /// It has not begun.
    No,
    /// Capture has stopped; what is on its way may still go out and come back, until then.
    Draining(Instant),
    /// Every part was told to end, and is cut short then.
    Ending(Instant),
}

impl Agent {
    /// An agent that counts in `status` and hands what comes back to `outputs`.
    pub fn new(
        options: Options,
        network: Network,
        status: Status,
        outputs: Vec<Box<dyn OutputSink>>,
    ) -> Self {
        Self { options, network, status, outputs }
    }

    /// Runs until `stop`, the end of the input, or a failure. The camera is opened at once, so that what
    /// is wrong with it is said before a job costs anything; it gives frames once a job is live.
    pub async fn run(self, stop: Stop) -> Result<(), AgentError> {
        let capture = self.open_capture().await?;
        let (events, arrived) = mpsc::channel(EVENTS);
        let (machine, commands) = Machine::new(self.options.orchestrators.clone());
        let running = Loop {
            options: self.options,
            network: self.network,
            status: self.status,
            outputs: self.outputs,
            machine,
            capture: Some(capture),
            held: Held::Nothing,
            tasks: JoinSet::new(),
            events,
            closing: Closing::No,
            failure: None,
            orchestrator: None,
        };
        running.run(commands, arrived, stop).await
    }

    /// Opens the camera off this thread: a driver may take its time.
    async fn open_capture(&self) -> Result<Capture, AgentError> {
        let (options, units) = (self.options.media.clone(), self.status.media.clone());
        tokio::task::spawn_blocking(move || Capture::open(&options, units))
            .await
            .unwrap_or_else(|error| Err(MediaError::Gstreamer(error.to_string())))
            .map_err(AgentError::Capture)
    }
}

/// The loop's own state.
struct Loop {
    options: Options,
    network: Network,
    status: Status,
    outputs: Vec<Box<dyn OutputSink>>,
    machine: Machine,
    capture: Option<Capture>,
    held: Held,
    tasks: JoinSet<Event>,
    events: mpsc::Sender<Event>,
    closing: Closing,
    /// What broke capture, kept whole for the error chain.
    failure: Option<MediaError>,
    /// The orchestrator asked last.
    orchestrator: Option<Url>,
}

impl Loop {
    async fn run(
        mut self,
        first: Commands,
        mut arrived: mpsc::Receiver<Event>,
        mut stop: Stop,
    ) -> Result<(), AgentError> {
        let mut keep_alive = interval(KEEP_ALIVE_EVERY);
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopping = false;
        let mut commands = first;
        loop {
            for command in commands {
                if let Some(outcome) = self.carry_out(command, &mut keep_alive) {
                    return self.finish(outcome);
                }
            }
            let event = tokio::select! {
                biased;
                () = stop.wait(), if !stopping => {
                    stopping = true;
                    Event::Stop
                }
                event = self.next(&mut arrived, &mut keep_alive) => event,
            };
            commands = self.on(event);
        }
    }

    /// Waits for the next event beside a stop.
    async fn next(
        &mut self,
        arrived: &mut mpsc::Receiver<Event>,
        keep_alive: &mut Interval,
    ) -> Event {
        let live = matches!(self.held, Held::Job { .. }) && self.closing == Closing::No;
        let closes_at = match self.closing {
            Closing::No => None,
            Closing::Draining(_) | Closing::Ending(_) if self.tasks.is_empty() => {
                return Event::Closed;
            }
            Closing::Draining(by) | Closing::Ending(by) => Some(by),
        };
        tokio::select! {
            Some(ended) = self.tasks.join_next() => match ended {
                Ok(event) => event,
                Err(error) => Event::Panicked(error.to_string()),
            },
            Some(event) = arrived.recv() => event,
            end = ended(self.capture.as_ref()), if live => Event::CaptureEnded(end),
            () = at(self.machine.poll_timeout()) => Event::Timeout,
            () = at(closes_at) => Event::CloseTimeout,
            _ = keep_alive.tick(), if live => Event::KeepAlive,
        }
    }

    /// Tells the machine what happened, in its words.
    fn on(&mut self, event: Event) -> Commands {
        let told = match event {
            Event::Opened(Ok(session)) => {
                self.held = Held::Session(session);
                job::Event::Opened
            }
            Event::Opened(Err(error)) => job::Event::OpenFailed(chain(&error)),
            Event::Started(Ok(job)) => match self.on_started(job) {
                Some(told) => told,
                None => return Commands::new(),
            },
            Event::Started(Err(error)) => job::Event::StartFailed(chain(&error)),
            Event::PartEnded(part, end) => match self.on_part_ended(part, &end) {
                Some(loss) => job::Event::Lost(loss),
                None => return Commands::new(),
            },
            Event::Panicked(what) => job::Event::Lost(Loss::Part("a part of the agent", what)),
            Event::CaptureEnded(CaptureEnd::EndOfStream) => job::Event::CaptureDone,
            Event::CaptureEnded(CaptureEnd::Failed(error)) => {
                let reason = chain(&error);
                self.failure = Some(error);
                job::Event::CaptureFailed(reason)
            }
            Event::Output => job::Event::Output,
            Event::Job(event) => {
                self.status.returned.add_event();
                log::debug!("event {event}");
                job::Event::JobEvent
            }
            Event::Stop => {
                log::info!("stopping");
                job::Event::Stop
            }
            Event::Timeout => job::Event::Timeout,
            Event::CloseTimeout => {
                self.on_close_timeout();
                return Commands::new();
            }
            Event::Closed => job::Event::Closed,
            Event::CaptureStopped => return Commands::new(),
            Event::KeepAlive => {
                if let Held::Job { parts, .. } = &mut self.held {
                    parts.keep_alive();
                }
                return Commands::new();
            }
        };
        self.machine.on(told, Instant::now())
    }

    fn on_started(&mut self, job: Box<LiveVideoJob>) -> Option<job::Event> {
        let channels = job.channels();
        log::info!(
            "{}: job {} started, model {}",
            job.session().url(),
            channels.manifest_id,
            self.options.job.model
        );
        if self.closing != Closing::No {
            // The answer came after all, but nobody wants the job any more.
            let publisher = video_publisher(&self.network, channels, Arc::default());
            self.tasks.spawn(async move {
                publisher.delete().await;
                Event::PartEnded(Part::Publisher, Ok(ChannelEnd::Finished))
            });
            return None;
        }
        let (has_output, has_events) = (channels.output.is_some(), channels.events.is_some());
        self.held = Held::Job { job, parts: Parts::default() };
        Some(job::Event::Started { has_output, has_events })
    }

    /// What the end of a part means for the job, if it means anything.
    fn on_part_ended(
        &mut self,
        part: Part,
        end: &Result<ChannelEnd, TrickleError>,
    ) -> Option<Loss> {
        let how = match end {
            Ok(end) => end.to_string(),
            Err(error) => chain(error),
        };
        log::debug!("{} part ended: {how}", part.name());
        if self.closing != Closing::No {
            if part == Part::Output {
                self.end_parts();
            }
            return None;
        }
        // A publisher finishes when capture does, which is an event of its own.
        let expected = matches!((part, end), (Part::Publisher, Ok(ChannelEnd::Finished)));
        (!expected).then_some(Loss::Channel(part.name(), how))
    }

    /// Does what the machine wants; the outcome, if that is the end of the loop.
    fn carry_out(&mut self, command: Command, keep_alive: &mut Interval) -> Option<Outcome> {
        match command {
            Command::Open(url) => {
                log::info!("{url}: asking for a session");
                self.orchestrator = Some(url.clone());
                let network = self.network.clone();
                let wanted = live_video(&self.options.job.model);
                self.tasks.spawn(async move {
                    let opened = OrchestratorSession::open(&network, &url, Some(wanted)).await;
                    Event::Opened(opened.map(Box::new))
                });
            }
            Command::Start => {
                if let Held::Session(session) = std::mem::replace(&mut self.held, Held::Nothing) {
                    let options = self.options.job.clone();
                    self.tasks.spawn(async move {
                        Event::Started(LiveVideoJob::start(*session, &options).await.map(Box::new))
                    });
                }
            }
            Command::Run => self.run_parts(keep_alive),
            Command::Close => {
                if let Some(capture) = self.capture.take() {
                    self.tasks.spawn(async move {
                        capture.stop().await;
                        Event::CaptureStopped
                    });
                }
                self.closing = Closing::Draining(Instant::now() + DRAIN_TIME);
            }
            Command::Finish(outcome) => return Some(outcome),
        }
        None
    }

    fn run_parts(&mut self, keep_alive: &mut Interval) {
        let Held::Job { job, parts } = &mut self.held else { return };
        let ground = Ground {
            network: &self.network,
            status: &self.status,
            events: &self.events,
            tasks: &mut self.tasks,
        };
        let Some(capture) = &self.capture else { return };
        let outputs = std::mem::take(&mut self.outputs);
        *parts = Parts::start(ground, job.channels(), capture.pieces(), outputs);
        keep_alive.reset();
        capture.play();
    }

    fn on_close_timeout(&mut self) {
        match self.closing {
            Closing::No => {}
            Closing::Draining(_) => self.end_parts(),
            Closing::Ending(_) => {
                log::warn!("the orchestrator does not answer; leaving without it");
                self.tasks.abort_all();
                // They end as cancelled, one event each, and the set is empty.
                self.closing = Closing::Ending(Instant::now() + END_TIME);
            }
        }
    }

    /// Tells every part to end.
    fn end_parts(&mut self) {
        if let Closing::Draining(_) = self.closing {
            self.closing = Closing::Ending(Instant::now() + END_TIME);
            self.held = Held::Nothing;
        }
    }

    fn finish(mut self, outcome: Outcome) -> Result<(), AgentError> {
        let orchestrator = self.orchestrator.take();
        match outcome {
            Outcome::Done => Ok(()),
            Outcome::NoneLeft(none) => Err(AgentError::NoneLeft(none)),
            Outcome::Lost(loss) => Err(AgentError::Lost { orchestrator, loss }),
            Outcome::Capture(reason) => Err(match self.failure.take() {
                Some(error) => AgentError::Capture(error),
                None => AgentError::Lost { orchestrator, loss: Loss::Part("capture", reason) },
            }),
        }
    }
}

/// Waits for the end of capture; without one, for ever.
async fn ended(capture: Option<&Capture>) -> CaptureEnd {
    match capture {
        Some(capture) => capture.ended().await,
        None => std::future::pending().await,
    }
}

/// Sleeps until then; without a time, for ever.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
