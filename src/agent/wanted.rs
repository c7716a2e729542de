//! Decides whether a job is wanted, and why.
//!
//! The first row that applies decides:
//!
//! | row | a job is wanted |
//! |---|---|
//! | the owner has stopped the job ([`JobWish::Stop`]) | no |
//! | something forbids a job ([`Hold`]) | no |
//! | the owner has started the job ([`JobWish::Start`]) | yes, up to the end that was set with it |
//! | the trigger is on, or was touched | yes, up to the linger time after the last touch |
//! | [`When::Always`] | yes |
//! | [`When::Demand`] | no |
//! | [`When::Schedule`] | while the schedule is open |
//! | [`When::Motion`] | from a motion until the linger time after the last one, and while the schedule, if there is one, is open |
//!
//! Does not: close or start a job; `job::Machine` does.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use crate::agent::schedule::{Schedule, Slot};
use crate::agent::trigger::TriggerReading;

/// The default of [`WantedOptions::linger`].
pub const LINGER: Duration = Duration::from_secs(30);

/// When a job runs without a wish of the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum When {
    /// At all times.
    #[default]
    Always,
    /// Never: only [`JobWish::Start`] and the trigger start one.
    Demand,
    /// While [`WantedOptions::schedule`] is open.
    Schedule,
    /// While something moves in the picture; with a schedule, only while that is open.
    Motion,
}

/// The options of the decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedOptions {
    /// When a job runs without a wish of the owner.
    pub when: When,
    /// How long a job runs after the last motion, and after the last touch of the trigger.
    pub linger: Duration,
    /// The schedule of [`When::Schedule`] and [`When::Motion`].
    pub schedule: Option<Schedule>,
    /// The file with which a script or a switch starts a job.
    pub trigger: Option<PathBuf>,
}

impl Default for WantedOptions {
    fn default() -> Self {
        Self { when: When::Always, linger: LINGER, schedule: None, trigger: None }
    }
}

impl WantedOptions {
    /// The key that does not fit the others, and why.
    pub fn objection(&self) -> Option<(&'static str, &'static str)> {
        match (self.when, &self.schedule, &self.trigger) {
            (When::Schedule, None, _) => {
                Some(("job.schedule", "is required by job.when = \"schedule\""))
            }
            (When::Always | When::Demand, Some(_), _) => Some((
                "job.schedule",
                "would not be used; set job.when = \"schedule\" or \"motion\", or leave it out",
            )),
            (When::Always, None, Some(_)) => Some((
                "job.trigger",
                "would not be used: job.when is \"always\"; set it to \"demand\", or leave this out",
            )),
            (When::Schedule | When::Motion | When::Demand, _, _) | (When::Always, None, None) => {
                None
            }
        }
    }
}

/// What the owner asks for. It lasts until the next wish, over restarts of the program too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JobWish {
    /// A job runs, whatever [`WantedOptions::when`] says.
    Start {
        /// How long; then as with [`JobWish::Auto`]. `None`: until the next wish.
        time: Option<Duration>,
    },
    /// No job runs.
    Stop,
    /// [`WantedOptions::when`] decides.
    #[default]
    Auto,
}

/// What forbids a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// The budget is spent.
    Budget,
    /// The data cap is reached.
    DataCap,
}

/// The number of kinds of [`Hold`].
const HOLDS: usize = 2;

/// Whether a job is wanted, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A job is wanted.
    Wanted(Cause),
    /// No job is wanted.
    Unwanted(Obstacle),
}

/// Why a job is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// [`When::Always`].
    Always,
    /// The owner has started the job.
    Owner,
    /// The trigger asks for it.
    Trigger,
    /// The schedule is open.
    Schedule,
    /// Something moves.
    Motion,
}

/// Why no job is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// The owner has stopped the job.
    Owner,
    /// A hold with this reason.
    Held(String),
    /// The owner has not started a job.
    Demand,
    /// The schedule is closed up to this local day and time.
    Schedule(String),
    /// Nothing moves.
    Motion,
}

/// The owner's wish with its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Started { until: Option<Instant> },
    Stopped,
    Auto,
}

/// Decides whether a job is wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    options: WantedOptions,
    wish: Wish,
    /// The reason of each hold that is in force.
    holds: [Option<String>; HOLDS],
    /// The last motion.
    moved_at: Option<Instant>,
    trigger: TriggerState,
    /// What the schedule says now; `None` without one.
    slot: Option<Slot>,
}

/// What the trigger said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TriggerState {
    /// It has not been read.
    Unknown,
    Off,
    On,
    /// It had this modification time. `at`: when a change of that was seen.
    Touched {
        time: Option<SystemTime>,
        at: Option<Instant>,
    },
}

impl Wanted {
    /// The decision by these options, with the wish that was kept.
    pub(super) fn new(options: WantedOptions, wish: JobWish, now: Instant) -> Self {
        let wish = Wish::new(wish, now);
        let (holds, trigger) = ([const { None }; HOLDS], TriggerState::Unknown);
        Self { options, wish, holds, moved_at: None, trigger, slot: None }
    }

    /// The options.
    pub(super) fn options(&self) -> &WantedOptions {
        &self.options
    }

    /// Replaces the options. Call [`Wanted::set_slot`] next.
    pub(super) fn set_options(&mut self, options: WantedOptions) {
        if options.trigger != self.options.trigger {
            self.trigger = TriggerState::Unknown;
        }
        self.options = options;
    }

    /// Sets what the schedule says now; `None` without one. Call it when that changes.
    pub(super) fn set_slot(&mut self, slot: Option<Slot>) {
        self.slot = slot;
    }

    /// Call it with each reading of the trigger.
    pub(super) fn on_trigger(&mut self, reading: TriggerReading, now: Instant) {
        self.trigger = match (reading, self.trigger) {
            (TriggerReading::On, _) => TriggerState::On,
            (TriggerReading::Off, _) => TriggerState::Off,
            // It may have been touched long before the agent began.
            (TriggerReading::Touched(time), TriggerState::Unknown) => {
                TriggerState::Touched { time, at: None }
            }
            (TriggerReading::Touched(new), TriggerState::Touched { time, at }) if new == time => {
                TriggerState::Touched { time, at }
            }
            (TriggerReading::Touched(time), _) => TriggerState::Touched { time, at: Some(now) },
        };
    }

    /// Replaces the owner's wish.
    pub(super) fn set_wish(&mut self, wish: JobWish, now: Instant) {
        self.wish = Wish::new(wish, now);
    }

    /// Sets a hold for this reason, or lifts it.
    pub(super) fn set_hold(&mut self, hold: Hold, reason: Option<String>) {
        if let Some(place) = self.holds.get_mut(hold as usize) {
            *place = reason;
        }
    }

    /// Call it when something moves in the picture. While it goes on, call it at least once in the linger time.
    pub(super) fn on_motion(&mut self, now: Instant) {
        self.moved_at = Some(now);
    }

    /// Whether a job is wanted now. Ask after each event, and at the time of [`Wanted::poll_timeout`].
    pub(super) fn judge(&self, now: Instant) -> Verdict {
        let hold = self.holds.iter().flatten().next();
        match (self.wish, hold, self.options.when) {
            (Wish::Stopped, _, _) => Verdict::Unwanted(Obstacle::Owner),
            (_, Some(reason), _) => Verdict::Unwanted(Obstacle::Held(reason.clone())),
            (Wish::Started { until }, None, _) if is_before(now, until) => {
                Verdict::Wanted(Cause::Owner)
            }
            (_, None, _) if self.is_triggered(now) => Verdict::Wanted(Cause::Trigger),
            (_, None, When::Always) => Verdict::Wanted(Cause::Always),
            (_, None, When::Demand) => Verdict::Unwanted(Obstacle::Demand),
            (_, None, When::Schedule | When::Motion) if self.closed_slot().is_some() => {
                let label = self.closed_slot().map(|slot| slot.label.clone());
                Verdict::Unwanted(Obstacle::Schedule(label.unwrap_or_default()))
            }
            (_, None, When::Schedule) => Verdict::Wanted(Cause::Schedule),
            (_, None, When::Motion) if is_within(now, self.lingers_after(self.moved_at)) => {
                Verdict::Wanted(Cause::Motion)
            }
            (_, None, When::Motion) => Verdict::Unwanted(Obstacle::Motion),
        }
    }

    /// When the verdict may change without an event or another slot; always after `now`.
    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let started = match self.wish {
            Wish::Started { until } => until,
            Wish::Stopped | Wish::Auto => None,
        };
        let lingers = [self.moved_at, self.touched_at()].map(|since| self.lingers_after(since));
        let ends = started.into_iter().chain(lingers.into_iter().flatten());
        ends.filter(|end| *end > now).min()
    }

    /// The schedule, if it is closed.
    fn closed_slot(&self) -> Option<&Slot> {
        self.slot.as_ref().filter(|slot| !slot.is_open)
    }

    fn is_triggered(&self, now: Instant) -> bool {
        self.trigger == TriggerState::On || is_within(now, self.lingers_after(self.touched_at()))
    }

    /// When the trigger was touched last.
    fn touched_at(&self) -> Option<Instant> {
        match self.trigger {
            TriggerState::Touched { at, .. } => at,
            TriggerState::Unknown | TriggerState::Off | TriggerState::On => None,
        }
    }

    /// The end of the linger time after `since`.
    fn lingers_after(&self, since: Option<Instant>) -> Option<Instant> {
        since.and_then(|since| since.checked_add(self.options.linger))
    }
}

impl Wish {
    fn new(wish: JobWish, now: Instant) -> Self {
        match wish {
            // A time that the clock cannot represent never comes.
            JobWish::Start { time } => {
                Self::Started { until: time.and_then(|time| now.checked_add(time)) }
            }
            JobWish::Stop => Self::Stopped,
            JobWish::Auto => Self::Auto,
        }
    }
}

impl Verdict {
    /// Whether a job is wanted.
    pub(super) fn is_wanted(&self) -> bool {
        matches!(self, Self::Wanted(_))
    }
}

impl Obstacle {
    /// What a person can do.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Self::Owner => {
                "`livepeer-edge job start` starts the job; after `livepeer-edge job auto`, job.when decides"
            }
            Self::Demand | Self::Schedule(_) | Self::Motion => {
                "nothing: this is what job.when asks for; `livepeer-edge job start` starts the job now"
            }
            Self::Held(_) => "nothing: the job starts by itself when this is over",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unwanted(Obstacle::Schedule(label)) => return write!(f, "waiting for {label}"),
            Self::Wanted(Cause::Trigger) => "started by the trigger",
            Self::Wanted(Cause::Schedule) => "the schedule is open",
            Self::Wanted(Cause::Always) => "job.when is always",
            Self::Wanted(Cause::Owner) => "started by the owner",
            Self::Wanted(Cause::Motion) => "motion",
            Self::Unwanted(Obstacle::Owner) => "stopped by the owner",
            Self::Unwanted(Obstacle::Held(reason)) => reason,
            Self::Unwanted(Obstacle::Demand) => "waiting for a start by the owner",
            Self::Unwanted(Obstacle::Motion) => "waiting for motion",
        })
    }
}

/// Whether `now` is in a time that has begun and ends then; `None` if none has begun.
fn is_within(now: Instant, end: Option<Instant>) -> bool {
    end.is_some_and(|end| now < end)
}

/// Whether `now` is before an end; `None` is no end.
fn is_before(now: Instant, end: Option<Instant>) -> bool {
    end.is_none_or(|end| now < end)
}

#[cfg(test)]
mod tests;
