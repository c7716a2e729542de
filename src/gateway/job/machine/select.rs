//! Handles the search for candidates, their selection and the start of a job, up to the moment at which the job runs.
//!
//! | cause of a failed start | consequence for the orchestrator |
//! |---|---|
//! | it concerns every peer (signer, this computer) | none; no other orchestrator is tried before the next search |
//! | the orchestrator refuses the model or its parameters | barred until these change, or for 10 min to 2 h |
//! | the orchestrator cannot or will not run the job | suspended for [`SUSPENSION`] |
//! | the orchestrator is full, or cannot be reached | none; suspended for [`BRIEFLY`] if the start may have cost money |
//!
//! Does not: handle a live job; `live` and `leave` do.

use std::time::{Duration, Instant};

use super::Machine;
use super::leave::{BRIEFLY, SUSPENSION};
use super::live::{LiveJob, SPARES_EVERY};
use super::state::{JobState, Transition, close, find, finish, one};
use crate::http::Url;
use crate::job::swap_limit::SwapTiming;
use crate::job::{Command, Commands, MachineEvent, Outcome, Recovery, Slowness};
use crate::limits::CANDIDATES;
use crate::session::selection::{ASK_TIME, Candidate, Selection, SelectionStep};
use resilience::fault::{Failure, Fault, Scope};

impl<T> Machine<T> {
    pub(super) fn finding(
        &mut self,
        event: MachineEvent<T>,
        now: Instant,
        jitter: f64,
    ) -> Transition<T> {
        match event {
            MachineEvent::Found { urls, order } => {
                self.known.clone_from(&urls);
                self.known.truncate(CANDIDATES);
                self.order = order;
                let selection = Selection::new(self.rules, order, urls, &self.suspensions, now);
                self.select(selection, now, jitter)
            }
            MachineEvent::FindFailed(failure) => {
                self.give_up(Outcome::FindFailed(failure), now, jitter)
            }
            // Drop outstanding requests; they may hang until they time out.
            MachineEvent::Reachable => find(),
            MachineEvent::Stop | MachineEvent::CaptureDone => finish(Outcome::Done),
            MachineEvent::CaptureFailed(reason) => finish(Outcome::Capture(reason)),
            _ => (JobState::Finding, Commands::new()),
        }
    }

    pub(super) fn selecting(
        &mut self,
        event: MachineEvent<T>,
        mut selection: Selection<T>,
        now: Instant,
        jitter: f64,
    ) -> Transition<T> {
        match event {
            MachineEvent::Reachable if !selection.has_good() => return find(),
            MachineEvent::Reachable => self.came_back = true,
            MachineEvent::Stop | MachineEvent::CaptureDone => return finish(Outcome::Done),
            MachineEvent::CaptureFailed(reason) => return finish(Outcome::Capture(reason)),
            other => answered(&mut selection, other, now),
        }
        self.select(selection, now, jitter)
    }

    /// Handles `event` while a candidate is ready and no job is wanted.
    pub(super) fn ready(
        &mut self,
        event: MachineEvent<T>,
        (mut selection, until): (Selection<T>, Instant),
        now: Instant,
        jitter: f64,
    ) -> Transition<T> {
        match event {
            MachineEvent::Resume => return self.select(selection, now, jitter),
            MachineEvent::Timeout if until <= now => return find(),
            MachineEvent::Stop | MachineEvent::CaptureDone => return finish(Outcome::Done),
            MachineEvent::CaptureFailed(reason) => return finish(Outcome::Capture(reason)),
            other => answered(&mut selection, other, now),
        }
        (JobState::Ready { selection, until }, Commands::new())
    }

    pub(super) fn starting(
        &mut self,
        event: MachineEvent<T>,
        (mut selection, url, prepaid): (Selection<T>, Url, Duration),
        now: Instant,
        jitter: f64,
    ) -> Transition<T> {
        match event {
            MachineEvent::Started { has_output, has_events } => {
                self.pauses.on_success();
                self.came_back = false;
                let mut live = LiveJob::new(selection, url, [has_output, has_events], now);
                if self.is_without_camera() {
                    live.on_camera_lost();
                }
                return (JobState::Live(live), one(Command::Run));
            }
            MachineEvent::StartFailed { failure, is_paid } => {
                if !is_paid {
                    self.prepaid.on_not_taken(prepaid);
                }
                let prepaid = if is_paid { prepaid } else { Duration::ZERO };
                return self.start_failed(failure, (selection, url, prepaid), now, jitter);
            }
            // The job may run already although its start was not confirmed, so close it.
            MachineEvent::Lost(loss) => {
                return self.lost(loss, LiveJob::new(selection, url, [false; 2], now), now, jitter);
            }
            MachineEvent::CaptureFailed(reason) => return close(Outcome::Capture(reason)),
            MachineEvent::Stop | MachineEvent::CaptureDone => return close(Outcome::Done),
            MachineEvent::Reachable => self.came_back = true,
            other => answered(&mut selection, other, now),
        }
        (JobState::Starting { selection, url, prepaid }, Commands::new())
    }

    fn start_failed(
        &mut self,
        failure: Failure,
        (mut selection, url, lost): (Selection<T>, Url, Duration),
        now: Instant,
        jitter: f64,
    ) -> Transition<T> {
        let has_cost = !lost.is_zero();
        self.keep_from_next(&url, &failure, has_cost, now, jitter);
        if self.is_without_camera() {
            return (JobState::Dark, Commands::new());
        }
        selection.on_failed(&url, failure);
        let timing = if has_cost { self.swaps.on_swap(now, jitter) } else { SwapTiming::AtOnce };
        match timing {
            SwapTiming::After(pause) if self.recovery == Recovery::Retry => {
                self.slow_down(pause.max(self.prepaid.wait(lost, now).unwrap_or_default()), now)
            }
            SwapTiming::AtOnce | SwapTiming::After(_) => self.select(selection, now, jitter),
        }
    }

    /// Takes the next step of `selection`.
    pub(super) fn select(
        &mut self,
        mut selection: Selection<T>,
        now: Instant,
        jitter: f64,
    ) -> Transition<T> {
        match selection.step(now) {
            SelectionStep::Ask(urls) => {
                let until = now + ASK_TIME;
                (JobState::Selecting { selection, until }, one(Command::Ask(urls)))
            }
            SelectionStep::Wait(until) => {
                (JobState::Selecting { selection, until }, Commands::new())
            }
            SelectionStep::Try(candidate) if self.stands_by => {
                selection.put_back(candidate);
                (JobState::Ready { selection, until: now + SPARES_EVERY }, Commands::new())
            }
            SelectionStep::Try(candidate) => self.start_at(candidate, selection, now),
            SelectionStep::None(none) => self.give_up(Outcome::NoCandidateLeft(none), now, jitter),
        }
    }

    /// Starts the job at `candidate`, unless too much time is prepaid already.
    pub(super) fn start_at(
        &mut self,
        candidate: Candidate<T>,
        mut selection: Selection<T>,
        now: Instant,
    ) -> Transition<T> {
        let prepaid = selection.prepaid(&candidate.offer);
        match (self.prepaid.wait(prepaid, now), self.recovery) {
            (Some(_), Recovery::Exit) => {
                finish(Outcome::NoCandidateLeft(selection.on_paid_ahead(candidate)))
            }
            (Some(pause), Recovery::Retry) => self.slow_down(pause, now),
            (None, _) => {
                self.prepaid.on_start(prepaid, now);
                let Candidate { url, answer, .. } = candidate;
                let start = one(Command::Start(url.clone(), answer));
                (JobState::Starting { selection, url, prepaid }, start)
            }
        }
    }

    fn slow_down(&self, pause: Duration, now: Instant) -> Transition<T> {
        let slow_down = Command::SlowDown(Slowness::PaidAhead, pause);
        (JobState::Waiting { until: now + pause }, one(slow_down))
    }

    /// Handles a search that ended without a job: finishes, waits, or searches again at once.
    fn give_up(&mut self, outcome: Outcome, now: Instant, jitter: f64) -> Transition<T> {
        match self.recovery {
            Recovery::Exit => finish(outcome),
            Recovery::Retry if std::mem::take(&mut self.came_back) => find(),
            Recovery::Retry => {
                let until = now + self.pauses.after(&outcome, jitter);
                (JobState::Waiting { until }, one(Command::TryLater(outcome)))
            }
        }
    }

    fn keep_from_next(
        &mut self,
        url: &Url,
        failure: &Failure,
        has_cost: bool,
        now: Instant,
        jitter: f64,
    ) {
        let peer = url.authority().clone();
        match (failure.scope, failure.fault) {
            (Scope::Everyone, _) => {}
            (Scope::Peer, Fault::GiveUp) => {
                self.suspensions.bar(peer, now + self.pauses.bar(jitter));
            }
            (Scope::Peer, Fault::NextPeer) => self.suspensions.suspend(peer, now + SUSPENSION),
            (Scope::Peer, Fault::Retry | Fault::Refresh) if has_cost => {
                self.suspensions.suspend(peer, now + BRIEFLY);
            }
            (Scope::Peer, Fault::Retry | Fault::Refresh) => {}
        }
    }
}

/// Passes a candidate's answer to `selection`; ignores all other events.
fn answered<T>(selection: &mut Selection<T>, event: MachineEvent<T>, now: Instant) {
    match event {
        MachineEvent::Offered { url, offer, answer_time, with } => {
            let _ = selection.on_offer(&url, offer, answer_time, with, now);
        }
        MachineEvent::NoAnswer(url, failure) => selection.on_no_answer(&url, failure),
        _ => {}
    }
}
