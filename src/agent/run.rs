//! The event loop of a running agent: waits for the next event, and tells the machine in its words.
//!
//! Does not: know how a part works inside; what the machine wants is done in `act`.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::agent::act::Starts;
use crate::agent::camera::Camera;
use crate::agent::event::Event;
use crate::agent::fanout::Outputs;
use crate::agent::notify::Watch;
use crate::agent::pace::Pace;
use crate::agent::parts::Parts;
use crate::agent::probes::Probes;
use crate::agent::say::Say;
use crate::agent::wait::{at, began, changed, ended, hold, jitter};
use crate::agent::work::{Offers, With};
use crate::agent::{Agent, AgentError, Change, Options};
use crate::status::Status;
use livepeer_gateway::clock::ClockDoubt;
use livepeer_gateway::http::Url;
use livepeer_gateway::job::{self, Loss, Machine, ModelHealth, Outcome, Stage, StartedJob};
use livepeer_gateway::session::Network;
use media::MediaError;
use media::io::{AccessUnits, Capture};
use resilience::capacity::EVENTS;
use resilience::fault::chain;
use resilience::stop::Stop;

/// How often a job wants a sign of life (protocol.md, section 5).
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);

/// What a machine wants done.
pub(super) type Commands = job::Commands<With>;

/// How far the end of a job has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// It has not begun.
    No,
    /// Capture has stopped; what is on its way may still go out and come back, until then.
    Draining(Instant),
    /// Every part was told to end, and is cut short then.
    Ending(Instant),
}

/// What is live.
pub(super) struct Held {
    pub(super) job: StartedJob,
    pub(super) parts: Parts,
}

/// The loop's own state.
pub(super) struct Loop {
    pub(super) options: Options,
    pub(super) network: Network,
    /// The captured video on its way to the network.
    pub(super) units: AccessUnits,
    pub(super) status: Status,
    pub(super) outputs: Outputs,
    pub(super) machine: Machine<With>,
    pub(super) capture: Option<Capture>,
    pub(super) camera: Camera,
    /// What stands for the camera while it is gone.
    pub(super) slate: Option<Capture>,
    pub(super) is_opening_slate: bool,
    /// Cameras that are opened and stopped beside the job.
    pub(super) lens: JoinSet<Event>,
    pub(super) pace: Pace,
    /// What those who were found offer.
    pub(super) offers: Option<Offers>,
    changes: Option<mpsc::Receiver<Change>>,
    pub(super) asks: JoinSet<Event>,
    /// The look-out for peers that cannot be reached.
    pub(super) probes: Probes,
    pub(super) starts: Starts,
    /// The parts of the job.
    pub(super) tasks: JoinSet<Event>,
    /// Asks for the ends that earlier jobs owe.
    _settling: JoinSet<()>,
    pub(super) held: Option<Held>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) closing: Closing,
    /// The end has begun.
    pub(super) is_leaving: bool,
    /// What broke capture, kept whole for the error chain.
    pub(super) capture_failure: Option<MediaError>,
    pub(super) camera_trouble: Say,
    pub(super) job_trouble: Say,
    pub(super) link_trouble: Say,
    /// How the model does, by its events.
    pub(super) model: ModelHealth,
    pub(super) model_trouble: Say,
    /// Segments that had been sent at the last sign of life.
    pub(super) sent: u64,
    /// Why the job is not paid, while it is not.
    pub(super) payment_trouble: Option<String>,
    /// It was said that no maximum price is set.
    pub(super) limit_told: bool,
    /// Where the job was started last.
    pub(super) orchestrator: Option<Url>,
    pub(super) clock: ClockDoubt,
    /// The clock is not believed, and looked at again.
    pub(super) waits_for_clock: bool,
    /// The look at it that is under way or due.
    pub(super) clock_looks: JoinSet<Event>,
    pub(super) watch: Watch,
}

/// Runs `agent` with its open `capture`, or with one that is yet to be opened, until `stop`, the end of the input,
/// or a failure.
pub(super) async fn run(
    agent: Agent,
    capture: Result<Capture, MediaError>,
    stop: Stop,
) -> Result<(), AgentError> {
    let (events, arrived) = mpsc::channel(EVENTS);
    let hold = hold(&agent.options.media);
    let (machine, commands) = Machine::new(agent.options.rules, agent.options.recovery, hold);
    let now = Instant::now();
    let pace = Pace::new(&agent.options.media, now);
    agent.network.connector.set_send_buffer(Pace::send_buffer(&agent.options.media));
    let (capture, missing) = match capture {
        Ok(capture) => (Some(capture), None),
        Err(error) => (None, Some(chain(&error))),
    };
    let endings = agent.network.endings.clone();
    let mut settling = JoinSet::new();
    settling.spawn(async move { endings.settle().await });
    let mut running = Loop {
        options: agent.options,
        network: agent.network,
        units: agent.units,
        status: agent.status,
        outputs: Outputs::new(agent.outputs),
        machine,
        capture,
        camera: Camera::new(now),
        slate: None,
        is_opening_slate: false,
        lens: JoinSet::new(),
        pace,
        offers: None,
        changes: agent.changes,
        held: None,
        asks: JoinSet::new(),
        probes: Probes::default(),
        starts: Starts::default(),
        tasks: JoinSet::new(),
        _settling: settling,
        events,
        closing: Closing::No,
        is_leaving: false,
        capture_failure: None,
        camera_trouble: Say::new("the camera is back"),
        job_trouble: Say::new("the job runs again"),
        link_trouble: Say::new("video gets through again"),
        model: ModelHealth::default(),
        model_trouble: Say::new("the model works again"),
        sent: 0,
        payment_trouble: None,
        limit_told: false,
        orchestrator: None,
        clock: ClockDoubt::new(),
        waits_for_clock: false,
        clock_looks: JoinSet::new(),
        watch: Watch::new(now),
    };
    if let Some(reason) = missing {
        running.begin_without_camera(&reason, now);
    }
    running.run(commands, arrived, stop).await
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
        let mut commands = match self.camera_event() {
            Some(event) => self.machine.on(event, Instant::now(), jitter()),
            None => first,
        };
        loop {
            for command in commands {
                if let Some(outcome) = self.carry_out(command, &mut keep_alive) {
                    return self.finish(outcome);
                }
            }
            if let Some(event) = self.camera_event() {
                commands = self.machine.on(event, Instant::now(), jitter());
                continue;
            }
            let (stage, held) = (self.machine.stage(), self.machine.held_until());
            if stage == Stage::Dark {
                // There is no job to show it to.
                let slate = self.slate.take();
                self.stop_off_the_loop(slate);
            }
            let now = Instant::now();
            self.watch.look(stage, held, self.orchestrator.as_ref(), &self.status, now);
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

    /// Waits for the next event beside signals.
    async fn next(
        &mut self,
        arrived: &mut mpsc::Receiver<Event>,
        keep_alive: &mut Interval,
    ) -> Event {
        let closes_at = match self.closing {
            Closing::No => None,
            Closing::Draining(_) | Closing::Ending(_)
                if self.tasks.is_empty() && (!self.is_leaving || self.starts.tasks.is_empty()) =>
            {
                return Event::Closed;
            }
            Closing::Draining(by) | Closing::Ending(by) => Some(by),
        };
        let is_live = self.held.is_some() && self.closing == Closing::No;
        tokio::select! {
            Some(ended) = self.tasks.join_next() => match ended {
                Ok(event) => event,
                Err(error) => Event::Panicked(error.to_string()),
            },
            Some(started) = self.starts.tasks.join_next() => match started {
                Ok(event) => event,
                Err(error) if error.is_cancelled() => Event::JobStopped,
                Err(error) => Event::Panicked(error.to_string()),
            },
            Some(ended) = self.asks.join_next() => match ended {
                Ok(event) => event,
                Err(error) => Event::Panicked(error.to_string()),
            },
            Some(done) = self.lens.join_next() => done.unwrap_or(Event::CameraStopped),
            Some(done) = self.clock_looks.join_next() => done.unwrap_or(Event::Look),
            change = changed(&mut self.changes) => Event::Change(change),
            Some(event) = arrived.recv() => event,
            end = ended(self.capture.as_ref()) => Event::CaptureEnded(end),
            () = self.probes.found() => Event::Reachable,
            () = began(self.capture.as_ref()), if self.camera.is_proving() => Event::CameraFrame,
            () = at(self.camera.poll_timeout()), if !self.is_leaving => Event::CameraDue,
            () = at(Some(self.pace.poll_timeout())), if is_live => Event::Reading,
            () = at(self.machine.poll_timeout()) => Event::Timeout,
            () = at(closes_at) => Event::CloseTimeout,
            () = at(self.watch.poll_timeout()) => Event::Look,
            _ = keep_alive.tick(), if is_live => Event::KeepAlive,
        }
    }

    /// Tells the machine what happened.
    fn on(&mut self, event: Event) -> Commands {
        match self.translate(event) {
            Some(told) => self.machine.on(told, Instant::now(), jitter()),
            None => Commands::new(),
        }
    }

    /// What happened in the machine's words, if it is its business.
    fn translate(&mut self, event: Event) -> Option<job::Event<With>> {
        Some(match event {
            Event::Found(Ok(found)) => {
                self.offers = Some(found.offers);
                job::Event::Found { urls: found.urls, order: found.order }
            }
            Event::Found(Err(failure)) => job::Event::FindFailed(failure),
            Event::Asked(url, answer_time, Ok((offer, with))) => {
                job::Event::Offered { url, offer, answer_time, with }
            }
            Event::Asked(url, _, Err(failure)) => {
                log::log!(self.job_trouble.level(), "{failure}");
                job::Event::NoAnswer(url, failure)
            }
            Event::Started(number, Ok(job)) => return self.on_started(number, *job),
            Event::Started(number, Err(error)) => {
                if !self.starts.finish(number) {
                    log::debug!("a start that was given up: {}", chain(&error));
                    return None;
                }
                let (failure, is_paid) = (error.failure(), error.is_paid());
                log::log!(self.job_trouble.level(), "{failure}");
                job::Event::StartFailed { failure, is_paid }
            }
            Event::PartEnded(part, end) => job::Event::Lost(self.on_part_ended(part, &end)?),
            Event::Payment(turn) => job::Event::Lost(self.on_payment(turn)?),
            Event::Panicked(what) => job::Event::Lost(Loss::Part("a part of the agent", what)),
            Event::CaptureEnded(end) => return self.on_capture_ended(end),
            Event::CameraFrame => {
                self.on_camera_frame();
                return None;
            }
            Event::CameraStopped => {
                self.camera.on_stopped(Instant::now(), jitter());
                return None;
            }
            Event::CameraDue => {
                self.open_camera();
                return None;
            }
            Event::CameraOpened(opened) => {
                self.on_camera_opened(opened);
                return None;
            }
            Event::SlateOpened(opened) => {
                self.on_slate_opened(opened);
                return None;
            }
            Event::Reading => {
                let capture = self.capture.as_ref().or(self.slate.as_ref());
                let now = Instant::now();
                self.pace.read(&self.units, &self.status, capture, now);
                self.look_at_link(now);
                return None;
            }
            Event::Clock(look, late) => return self.on_clock(look, late),
            Event::Reachable => job::Event::Reachable,
            Event::Output => {
                self.on_output();
                job::Event::Output
            }
            Event::Job(event) => {
                self.on_job_event(&event);
                job::Event::JobEvent
            }
            Event::Stop => {
                log::info!("stopping");
                job::Event::Stop
            }
            Event::Timeout => job::Event::Timeout,
            Event::Closed => {
                self.closing = Closing::No;
                self.held = None;
                job::Event::Closed
            }
            Event::CloseTimeout => {
                self.on_close_timeout();
                return None;
            }
            Event::KeepAlive => {
                self.on_keep_alive();
                return self.sent();
            }
            Event::Change(change) => return self.on_change(change),
            Event::Updated(Ok(())) => {
                log::info!("the job's app has taken the parameters");
                return None;
            }
            Event::Updated(Err(error)) => {
                log::warn!(
                    "the job's app has not taken the parameters: {}; the next job gets them",
                    chain(&error)
                );
                return None;
            }
            Event::PayerEnded | Event::JobStopped | Event::CaptureStopped | Event::Look => {
                return None;
            }
        })
    }

    fn finish(mut self, outcome: Outcome) -> Result<(), AgentError> {
        if outcome == Outcome::Done { Ok(()) } else { Err(self.explain(outcome)) }
    }

    /// An outcome that nobody asked for, as an error.
    pub(super) fn explain(&mut self, outcome: Outcome) -> AgentError {
        let orchestrator = self.orchestrator.clone();
        match outcome {
            Outcome::FindFailed(failure) => AgentError::FindFailed(failure.text),
            Outcome::NoneLeft(none) => AgentError::NoneLeft(none),
            Outcome::Lost(loss) => AgentError::Lost { orchestrator, loss },
            Outcome::Done => AgentError::FindFailed("stopped".to_owned()),
            Outcome::Capture(reason) => match self.capture_failure.take() {
                Some(error) => AgentError::Capture(error),
                None => AgentError::Lost { orchestrator, loss: Loss::Part("capture", reason) },
            },
        }
    }
}
