//! The event loop of a running agent: waits for the next event, passes it to its owner, reports the result to the
//! machine, and carries out the machine's commands.
//!
//! | owner | owns |
//! |---|---|
//! | [`Cameras`] | the camera, its slate, the encoder's bitrate |
//! | [`Jobs`] | the live job, starts in progress, the search for candidates |
//! | [`Clock`] | whether this computer's clock is trusted |
//! | [`Switch`] | whether a job is wanted |
//! | [`MotionWatch`] | the motion in front of the camera |
//!
//! Owners do not know each other: the loop passes on what one of them needs from another.
//!
//! Does not: know how an owner does its work, or decide when to retry or give up; the machine does.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use tokio::sync::mpsc;

use crate::agent::cameras::Cameras;
use crate::agent::clock::Clock;
use crate::agent::control::{Asked, Request};
use crate::agent::event::{JobsEvent, LoopEvent};
use crate::agent::jobs::{Jobs, Offered};
use crate::agent::motion::MotionWatch;
use crate::agent::switch::Switch;
use crate::agent::systemd::{View, Watch};
use crate::agent::wait::changed;
use crate::agent::{Agent, AgentError, Change, Options};
use crate::events::{Bus, Kind};
use crate::status::{AgentFacts, CameraFacts, Status};
use livepeer_gateway::job::{self, Command, Loss, Machine, Outcome, Stage};
use media::MediaError;
use media::io::Capture;
use resilience::backoff::jitter;
use resilience::fault::Fault;
use resilience::stop::Stop;
use resilience::wait::sleep_until;

/// Commands of the machine to this agent.
type Commands = job::Commands<Offered>;

/// The loop's own state.
struct Loop {
    machine: Machine<Offered>,
    cameras: Cameras,
    jobs: Jobs,
    clock: Clock,
    switch: Switch,
    motion: MotionWatch,
    watch: Watch,
    status: Status,
    bus: Bus,
    changes: Option<mpsc::Receiver<Change>>,
    stop: Stop,
    is_stopping: bool,
}

/// Runs `agent` until `stop`, the end of the input, or a failure. If `capture` is an error, the camera is opened again
/// later.
pub(super) async fn run(
    agent: Agent,
    capture: Result<Capture, MediaError>,
    stop: Stop,
) -> Result<(), AgentError> {
    let now = Instant::now();
    let Agent { options, units, status, outputs, changes, bus, wanted: (wanted, kept) } = agent;
    let Options { media, job, recovery } = options;
    bus.publish(|| Kind::Started { version: env!("CARGO_PKG_VERSION") });
    let rules = job.rules;
    let motion = MotionWatch::new(media.motion, units.clone(), bus.clone());
    let cameras = Cameras::new(capture, media, recovery, (units.clone(), bus.clone()), now);
    let (machine, first) = if cameras.are_lost() {
        (Machine::without_camera(rules, recovery, cameras.hold(), now), Commands::new())
    } else {
        Machine::new(rules, recovery, cameras.hold())
    };
    let jobs = Jobs::new(job, units, status.clone(), outputs, bus.clone());
    jobs.set_send_buffer(cameras.send_buffer());
    let clock = Clock::new(Arc::clone(jobs.wall_clock()));
    let switch = Switch::new(wanted, kept, bus.clone(), now);
    let watch = Watch::new(now);
    let is_stopping = false;
    let mut running = Loop {
        machine,
        cameras,
        jobs,
        clock,
        switch,
        motion,
        watch,
        status,
        bus,
        changes,
        stop,
        is_stopping,
    };
    if running.switch.judge(now) {
        return running.run(first).await;
    }
    // The commands that begin a search are not executed.
    let pause = running.pause();
    let first = running.machine.on(pause, now, jitter());
    running.run(first).await
}

impl Loop {
    async fn run(mut self, first: Commands) -> Result<(), AgentError> {
        let mut commands = first;
        loop {
            for command in commands {
                if let Some(outcome) = self.carry_out(command) {
                    self.jobs.end_writes().await;
                    self.switch.end_writes().await;
                    return if outcome == Outcome::Done {
                        Ok(())
                    } else {
                        Err(self.explain(outcome))
                    };
                }
            }
            let event = match self.share() {
                Some(event) => Some(event),
                None => {
                    self.report();
                    let event = self.next().await;
                    self.on(event)
                }
            };
            commands = match event {
                Some(event) => self.machine.on(event, Instant::now(), jitter()),
                None => Commands::new(),
            };
        }
    }

    /// Waits for the next event. A stop comes before all others.
    async fn next(&mut self) -> LoopEvent {
        let (is_live, reading) = (self.jobs.is_live(), self.cameras.next_reading());
        let judgement = self.switch.poll_timeout();
        let others = async {
            tokio::select! {
                event = self.jobs.next() => LoopEvent::Jobs(Box::new(event)),
                event = self.cameras.next() => LoopEvent::Cameras(Box::new(event)),
                sample = self.clock.next() => LoopEvent::Clock(sample),
                event = self.motion.next() => LoopEvent::Motion(event),
                reading = self.switch.next() => LoopEvent::Trigger(reading),
                change = changed(&mut self.changes) => LoopEvent::Change(change),
                () = sleep_until(Some(reading)), if is_live => LoopEvent::Reading,
                () = sleep_until(self.machine.poll_timeout()) => LoopEvent::Timeout,
                () = sleep_until(judgement) => LoopEvent::Wanted,
                () = sleep_until(self.watch.poll_timeout()) => LoopEvent::Watchdog,
            }
        };
        tokio::select! {
            biased;
            () = self.stop.wait(), if !self.is_stopping => LoopEvent::Stop,
            event = others => event,
        }
    }

    /// Passes `event` to its owner. Returns the event to report to the machine, if any.
    fn on(&mut self, event: LoopEvent) -> Option<job::MachineEvent<Offered>> {
        let now = Instant::now();
        match event {
            LoopEvent::Stop => {
                log::info!("stopping");
                self.bus.publish(|| Kind::Stopping);
                self.is_stopping = true;
                Some(job::MachineEvent::Stop)
            }
            LoopEvent::Timeout => Some(job::MachineEvent::Timeout),
            LoopEvent::Change(change) => self.change(change, now),
            LoopEvent::Cameras(event) => self.cameras.on(*event, self.jobs.is_live(), now),
            LoopEvent::Reading => {
                self.cameras.read_network(&self.status.publish, now);
                self.jobs.reports.link(&self.status, now);
                let has_sent = self.jobs.reports.video_sent(&self.status);
                has_sent.then_some(job::MachineEvent::VideoSent)
            }
            LoopEvent::Jobs(event) => {
                if let JobsEvent::KeepAlive = *event {
                    self.clock.check();
                }
                self.jobs.on(*event, !self.cameras.are_lost(), now)
            }
            LoopEvent::Clock(sample) => self.clock.on(sample),
            LoopEvent::Motion(event) => {
                if self.motion.on(event) {
                    self.switch.on_motion(now);
                }
                None
            }
            LoopEvent::Trigger(reading) => {
                self.switch.on_trigger(reading, now);
                None
            }
            // Either is handled after every event.
            LoopEvent::Wanted | LoopEvent::Watchdog => None,
        }
    }

    /// Applies a change of the options.
    fn change(&mut self, change: Change, now: Instant) -> Option<job::MachineEvent<Offered>> {
        match change {
            Change::Params(params) => {
                self.jobs.configure_params(params);
                Some(job::MachineEvent::NewParams)
            }
            Change::Control(Asked(request)) => self.request(request, now),
            Change::Media(media) => {
                self.motion.set_options(media.motion);
                self.cameras.set_options(*media, now);
                self.jobs.set_send_buffer(self.cameras.send_buffer());
                Some(job::MachineEvent::Hold(self.cameras.hold()))
            }
            Change::Recovery(recovery) => {
                self.cameras.set_recovery(recovery);
                Some(job::MachineEvent::Recover(recovery))
            }
            Change::Wanted(options) => {
                self.switch.set_options(options, now);
                None
            }
            Change::BitrateLimit(limit) => {
                self.cameras.set_bitrate_limit(limit);
                None
            }
            Change::Outputs(outputs) => {
                self.jobs.set_outputs(outputs);
                None
            }
            Change::Job(plan) => {
                let rules = plan.rules;
                self.jobs.set_plan(*plan);
                self.jobs.set_send_buffer(self.cameras.send_buffer());
                self.clock.set_wall_clock(Arc::clone(self.jobs.wall_clock()));
                Some(job::MachineEvent::Replace(rules))
            }
        }
    }

    /// Carries out a request of a `Control`. The caller may have lost interest in the answer.
    fn request(&mut self, request: Request, now: Instant) -> Option<job::MachineEvent<Offered>> {
        match request {
            Request::Params(params, edit, reply) => {
                let edited = self.jobs.edit_params(params, edit);
                let is_new = edited.is_ok();
                let _ = reply.send(edited);
                return is_new.then_some(job::MachineEvent::NewParams);
            }
            Request::Restart => {
                log::info!("a new job was requested");
                return Some(job::MachineEvent::Replace(self.jobs.rules()));
            }
            Request::Parameters(reply) => drop(reply.send(self.jobs.parameters())),
            Request::Job(wish, reply) => drop(reply.send(self.switch.wish(wish, now))),
            Request::Hold(hold, reason) => self.switch.hold(hold, reason),
        }
        None
    }

    /// Carries out a command of the machine. Returns the outcome if the command ends the loop.
    fn carry_out(&mut self, command: Command<Offered>) -> Option<Outcome> {
        let now = Instant::now();
        match command {
            Command::Find => self.jobs.find(),
            Command::Ask(urls) => self.jobs.ask(urls),
            Command::Start(url, offered) => self.jobs.start(url, offered),
            Command::StartNext(url, offered) => self.jobs.start_next(&url, offered),
            Command::Renew => log::info!(
                "the job has run for a day: handing over to a new one before its timestamps wrap around"
            ),
            Command::Run => {
                self.jobs.run();
                self.cameras.play();
            }
            Command::HandOver => self.jobs.hand_over(now),
            Command::Close { for_good: true } => {
                self.cameras.stop();
                self.jobs.leave(now);
            }
            Command::Close { for_good: false } => self.jobs.close(now),
            Command::Left(loss) => {
                self.status.returned.losses.fetch_add(1, Relaxed);
                self.jobs.reports.lost(&loss, now);
            }
            Command::SlowDown(why, pause) => self.jobs.reports.slow_down(why, pause, now),
            Command::TryLater(why) => {
                self.clock.check();
                let needs_change = needs_change(&why);
                let why = self.explain(why).to_string();
                self.jobs.reports.no_job(why, needs_change, now);
                self.jobs.await_reach(self.machine.known());
            }
            Command::Finish(outcome) => {
                if let Outcome::Lost(loss) = &outcome {
                    self.jobs.reports.ended(loss);
                }
                return Some(outcome);
            }
        }
        None
    }

    /// Passes the state of the camera, and whether a job is wanted, on to the jobs and the machine. Call it after every
    /// event, so that every path reports a lost camera.
    fn share(&mut self) -> Option<job::MachineEvent<Offered>> {
        if self.cameras.have_stopped() {
            self.jobs.on_capture_stopped();
        }
        if self.machine.stage() == Stage::Dark {
            self.cameras.stop_slate();
        }
        match (self.cameras.are_lost(), self.machine.is_without_camera()) {
            (true, false) => {
                self.status.returned.camera_losses.fetch_add(1, Relaxed);
                Some(job::MachineEvent::CameraLost)
            }
            (false, true) => Some(job::MachineEvent::CameraBack),
            (true, true) | (false, false) => {
                let is_wanted = self.switch.judge(Instant::now());
                let is_paused = self.machine.is_paused();
                let differs = self.switch.awaits_motion() != self.machine.stands_by();
                match is_wanted {
                    true => is_paused.then_some(job::MachineEvent::Resume),
                    false => (!is_paused || differs).then(|| self.pause()),
                }
            }
        }
    }

    /// Lets the camera go on without a job. Ends all requests to other computers, unless a motion may want a job at any
    /// moment: then its start is prepared. Returns the event to report to the machine.
    fn pause(&mut self) -> job::MachineEvent<Offered> {
        self.cameras.play_without_job();
        if self.switch.awaits_motion() {
            self.motion.await_motion();
            return job::MachineEvent::Standby;
        }
        self.jobs.end_search();
        job::MachineEvent::Pause
    }

    /// Updates the status, and the service manager's status and watchdog.
    fn report(&mut self) {
        let reports = &self.jobs.reports;
        self.status.set_agent(AgentFacts {
            stage: self.machine.stage(),
            is_held: self.machine.held_until().is_some(),
            host: reports.host(),
            unwanted: self.switch.unwanted(),
            motion: self.motion.facts(),
            no_job: reports.no_job_reason().clone(),
            camera: self.cameras.facts(),
            clock: self.clock.facts(),
        });
        let view = View {
            stage: self.machine.stage(),
            held_until: self.machine.held_until(),
            opening_until: self.cameras.opening_until(),
            awaits_job: self.cameras.facts() == CameraFacts::Ready,
        };
        self.watch.update(view, &self.status, Instant::now());
    }

    /// The error for an outcome other than a requested stop.
    fn explain(&mut self, outcome: Outcome) -> AgentError {
        let orchestrator = self.jobs.reports.orchestrator().cloned();
        match outcome {
            Outcome::FindFailed(failure) => AgentError::FindFailed(failure.text),
            Outcome::NoCandidateLeft(none) => AgentError::NoCandidateLeft(none),
            Outcome::Lost(loss) => AgentError::Lost { orchestrator, loss },
            Outcome::Done => AgentError::FindFailed("stopped".to_owned()),
            Outcome::Capture(reason) => match self.cameras.take_failure() {
                Some(error) => AgentError::Capture(error),
                None => AgentError::Lost { orchestrator, loss: Loss::Part("capture", reason) },
            },
        }
    }
}

/// Whether only another configuration helps after this outcome.
fn needs_change(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::FindFailed(failure) => failure.fault == Fault::GiveUp,
        Outcome::NoCandidateLeft(none) => none.fault() == Fault::GiveUp,
        Outcome::Done | Outcome::Lost(_) | Outcome::Capture(_) => false,
    }
}
