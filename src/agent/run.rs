//! The event loop of a running agent: waits for the next event, and tells the machine in its words.
//!
//! Does not: know how a part works inside; what the machine wants is done in `act`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::agent::event::{Event, Part};
use crate::agent::fanout::Outputs;
use crate::agent::notify::Watch;
use crate::agent::parts::Parts;
use crate::agent::work::{Job, With};
use crate::agent::{Agent, AgentError, Options};
use crate::capacity::EVENTS;
use crate::fault::chain;
use crate::http::Url;
use crate::job::runner::Known;
use crate::job::{self, Loss, Machine, Outcome};
use crate::media::MediaError;
use crate::media::io::{Capture, End as CaptureEnd};
use crate::payment::io::{Outcome as PaymentOutcome, Turn};
use crate::session::Network;
use crate::status::Status;
use crate::stop::Stop;
use crate::trickle::{End as ChannelEnd, TrickleError};

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
    pub(super) job: Job,
    pub(super) parts: Parts,
}

/// The loop's own state.
pub(super) struct Loop {
    pub(super) options: Options,
    pub(super) network: Network,
    pub(super) status: Status,
    pub(super) outputs: Outputs,
    machine: Machine<With>,
    pub(super) capture: Option<Capture>,
    /// The runners that were found, not asked yet.
    pub(super) runners: HashMap<Url, Known>,
    /// Where other parameters come from.
    params: Option<watch::Receiver<Map<String, Value>>>,
    pub(super) asks: JoinSet<Event>,
    /// The start of a job, then its parts.
    pub(super) tasks: JoinSet<Event>,
    pub(super) held: Option<Held>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) closing: Closing,
    /// What broke capture, kept whole for the error chain.
    capture_failure: Option<MediaError>,
    /// Why the job is not paid, while it is not.
    pub(super) payment_trouble: Option<String>,
    /// Where the job was started last.
    pub(super) orchestrator: Option<Url>,
    watch: Watch,
}

/// Runs `agent` with its open `capture` until `stop`, the end of the input, or a failure.
pub(super) async fn run(agent: Agent, capture: Capture, stop: Stop) -> Result<(), AgentError> {
    let (events, arrived) = mpsc::channel(EVENTS);
    let (machine, commands) = Machine::new(agent.options.rules, agent.options.recovery);
    let running = Loop {
        options: agent.options,
        network: agent.network,
        status: agent.status,
        outputs: Arc::new(Mutex::new(agent.outputs)),
        machine,
        capture: Some(capture),
        runners: HashMap::new(),
        params: agent.params,
        held: None,
        asks: JoinSet::new(),
        tasks: JoinSet::new(),
        events,
        closing: Closing::No,
        capture_failure: None,
        payment_trouble: None,
        orchestrator: None,
        watch: Watch::new(Instant::now()),
    };
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
        let mut commands = first;
        loop {
            for command in commands {
                if let Some(outcome) = self.carry_out(command, &mut keep_alive) {
                    return self.finish(outcome);
                }
            }
            let stage = self.machine.stage();
            self.watch.look(stage, self.orchestrator.as_ref(), &self.status, Instant::now());
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
            Closing::Draining(_) | Closing::Ending(_) if self.tasks.is_empty() => {
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
            Some(ended) = self.asks.join_next() => match ended {
                Ok(event) => event,
                Err(error) => Event::Panicked(error.to_string()),
            },
            params = changed(&mut self.params) => Event::Params(params),
            Some(event) = arrived.recv() => event,
            end = ended(self.capture.as_ref()) => Event::CaptureEnded(end),
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
                self.runners = found.runners;
                job::Event::Found(found.urls)
            }
            Event::Found(Err(reason)) => job::Event::FindFailed(reason),
            Event::Asked(url, answer_time, Ok((offer, with))) => {
                job::Event::Offered { url, offer, answer_time, with }
            }
            Event::Asked(url, _, Err(reason)) => {
                log::info!("{reason}");
                job::Event::NoAnswer(url, reason)
            }
            Event::Started(Ok(job)) => return self.on_started(job),
            Event::Started(Err(error)) => {
                let reason = chain(&error);
                log::info!("{reason}");
                job::Event::StartFailed(reason)
            }
            Event::PartEnded(part, end) => job::Event::Lost(self.on_part_ended(part, &end)?),
            Event::Payment(turn) => job::Event::Lost(self.on_payment(turn)?),
            Event::Panicked(what) => job::Event::Lost(Loss::Part("a part of the agent", what)),
            Event::CaptureEnded(end) => {
                self.stop_capture();
                match end {
                    CaptureEnd::EndOfStream => job::Event::CaptureDone,
                    CaptureEnd::Failed(error) => {
                        let reason = chain(&error);
                        self.capture_failure = Some(error);
                        job::Event::CaptureFailed(reason)
                    }
                }
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
                if let Some(held) = &self.held {
                    held.parts.keep_alive();
                }
                return None;
            }
            Event::Params(params) => {
                self.set_params(params);
                return None;
            }
            Event::Updated(Ok(())) => {
                log::info!("parameters sent");
                return None;
            }
            Event::Updated(Err(error)) => {
                log::warn!("parameters not sent: {}", chain(&error));
                return None;
            }
            Event::PayerEnded | Event::JobStopped | Event::CaptureStopped | Event::Look => {
                return None;
            }
        })
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
        if matches!((part, end), (Part::Publisher, Ok(ChannelEnd::Finished))) {
            return None;
        }
        Some(match (&self.payment_trouble, end) {
            (Some(why), Ok(ChannelEnd::Closed | ChannelEnd::Missing)) => {
                Loss::Unpaid(how, why.clone())
            }
            (None, Ok(ChannelEnd::Closed | ChannelEnd::Missing)) if self.is_on_runner() => {
                Loss::SessionOver(how)
            }
            (_, _) => Loss::Channel(part.name(), how),
        })
    }

    fn is_on_runner(&self) -> bool {
        matches!(self.held, Some(Held { job: Job::Runner(_), .. }))
    }

    /// What the turn of the payer means for the job, if it means anything.
    fn on_payment(&mut self, turn: Turn) -> Option<Loss> {
        self.status.payment.set(turn.paid_for);
        match turn.outcome {
            PaymentOutcome::NotYet => None,
            PaymentOutcome::Paid | PaymentOutcome::Skipped => {
                if self.payment_trouble.take().is_some() {
                    log::info!("payments go on");
                }
                None
            }
            PaymentOutcome::Later(error) => {
                let why = chain(&error);
                if self.payment_trouble.as_ref() != Some(&why) {
                    let left = turn.paid_for.unwrap_or_default().as_secs();
                    log::warn!("no payment: {why}; paid for about {left} s more, tried again");
                    self.payment_trouble = Some(why);
                }
                None
            }
            PaymentOutcome::Leave(error) | PaymentOutcome::Failed(error) => {
                Some(Loss::Payment(chain(&error)))
            }
        }
    }

    fn finish(mut self, outcome: Outcome) -> Result<(), AgentError> {
        let orchestrator = self.orchestrator.take();
        match outcome {
            Outcome::Done => Ok(()),
            Outcome::FindFailed(reason) => Err(AgentError::FindFailed(reason)),
            Outcome::NoneLeft(none) => Err(AgentError::NoneLeft(none)),
            Outcome::Lost(loss) => Err(AgentError::Lost { orchestrator, loss }),
            Outcome::Capture(reason) => Err(match self.capture_failure.take() {
                Some(error) => AgentError::Capture(error),
                None => AgentError::Lost { orchestrator, loss: Loss::Part("capture", reason) },
            }),
        }
    }
}

/// Waits for other parameters; for ever where none can come.
async fn changed(params: &mut Option<watch::Receiver<Map<String, Value>>>) -> Map<String, Value> {
    if let Some(params) = params {
        if params.changed().await.is_ok() {
            return params.borrow_and_update().clone();
        }
    }
    std::future::pending().await
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

/// A number from 0 to 1 that differs from device to device and from time to time.
pub(super) fn jitter() -> f64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let random = RandomState::new().build_hasher().finish();
    f64::from(u16::try_from(random & 0xffff).unwrap_or_default()) / f64::from(u16::MAX)
}
