//! Owns whether a job is wanted: passes wishes, holds, motion, the trigger and the schedule to [`Wanted`], keeps the
//! owner's wish, and reports each change in the log, the events and the status.
//!
//! Does not: decide ([`Wanted`] does), or close or start a job (`job::Machine` does).

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::agent::STORE_TIME;
use crate::agent::control::JobAnswer;
use crate::agent::kept_wish::KeptWish;
use crate::agent::local_time::{LocalTime, unix_now};
use crate::agent::trigger::{Trigger, TriggerReading};
use crate::agent::wanted::{Hold, JobWish, Obstacle, Verdict, Wanted, WantedOptions};
use crate::events::{Bus, Kind};
use crate::status::Unwanted;

/// The longest time between two looks at the schedule: the clock or the time zone may have been set meanwhile.
const SLOT_TIME: Duration = Duration::from_secs(30);

/// Whether a job is wanted.
pub(super) struct Switch {
    wanted: Wanted,
    verdict: Verdict,
    /// When the present verdict was given.
    since: Instant,
    /// The last time of [`Switch::judge`].
    judged_at: Instant,
    /// When to look at the schedule again; `None` without one.
    slot_due: Option<Instant>,
    trigger: Trigger,
    kept: KeptWish,
    /// Writes the kept wish.
    writes: JoinSet<()>,
    bus: Bus,
}

impl Switch {
    /// The decision by `options` and the kept wish.
    pub(super) fn new(options: WantedOptions, kept: KeptWish, bus: Bus, now: Instant) -> Self {
        let trigger = Trigger::new(options.trigger.clone());
        let wanted = Wanted::new(options, kept.wish(), now);
        let mut switch = Self {
            verdict: wanted.judge(now),
            wanted,
            since: now,
            judged_at: now,
            slot_due: None,
            trigger,
            kept,
            writes: JoinSet::new(),
            bus,
        };
        switch.look_at_schedule(now);
        switch.verdict = switch.wanted.judge(now);
        if !switch.verdict.is_wanted() {
            switch.report();
        }
        switch
    }

    /// Waits for the next reading of the trigger. Cancel safe.
    pub(super) async fn next(&mut self) -> TriggerReading {
        self.trigger.next().await
    }

    /// Handles a reading of the trigger.
    pub(super) fn on_trigger(&mut self, reading: TriggerReading, now: Instant) {
        self.wanted.on_trigger(reading, now);
    }

    /// Whether a job is wanted now. Reports a change. Call it after each event.
    pub(super) fn judge(&mut self, now: Instant) -> bool {
        self.judged_at = now;
        if self.slot_due.is_some_and(|due| due <= now) {
            self.look_at_schedule(now);
        }
        let verdict = self.wanted.judge(now);
        let is_wanted = verdict.is_wanted();
        if verdict != self.verdict {
            let was_wanted = self.verdict.is_wanted();
            self.verdict = verdict;
            self.since = now;
            // A job that goes on for another reason is not reported.
            if !(was_wanted && is_wanted) {
                self.report();
            }
        }
        is_wanted
    }

    /// Whether only a motion is missing for a job to be wanted.
    pub(super) fn awaits_motion(&self) -> bool {
        self.verdict == Verdict::Unwanted(Obstacle::Motion)
    }

    /// When to call [`Switch::judge`] without an event.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        // What has ended since then was not judged yet.
        let own = self.wanted.poll_timeout(self.judged_at);
        [own, self.slot_due].into_iter().flatten().min()
    }

    /// Takes a wish of the owner, and keeps it. Returns whether a job is wanted then.
    pub(super) fn wish(&mut self, wish: JobWish, now: Instant) -> JobAnswer {
        self.wanted.set_wish(wish, now);
        self.kept.keep(wish);
        while self.writes.try_join_next().is_some() {}
        let kept = self.kept.clone();
        self.writes.spawn_blocking(move || kept.write());
        let is_wanted = self.judge(now);
        JobAnswer { is_wanted, why: self.verdict.to_string() }
    }

    /// Sets a hold for this reason, or lifts it.
    pub(super) fn hold(&mut self, hold: Hold, reason: Option<String>) {
        self.wanted.set_hold(hold, reason);
    }

    /// Something moves in the picture.
    pub(super) fn on_motion(&mut self, now: Instant) {
        self.wanted.on_motion(now);
    }

    /// Replaces the options.
    pub(super) fn set_options(&mut self, options: WantedOptions, now: Instant) {
        if options.trigger != self.wanted.options().trigger {
            self.trigger = Trigger::new(options.trigger.clone());
        }
        self.wanted.set_options(options);
        self.look_at_schedule(now);
    }

    /// Why no job is wanted, for the status; `None` while a job is wanted.
    pub(super) fn unwanted(&self) -> Option<Unwanted> {
        match &self.verdict {
            Verdict::Wanted(_) => None,
            Verdict::Unwanted(obstacle) => Some(Unwanted {
                why: self.verdict.to_string(),
                advice: obstacle.advice(),
                since: self.since,
            }),
        }
    }

    /// Waits a short time until the wish is written. Call it before the agent ends.
    pub(super) async fn end_writes(&mut self) {
        let written = async { while self.writes.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(STORE_TIME, written).await;
    }

    /// Looks at the schedule by this computer's clock.
    fn look_at_schedule(&mut self, now: Instant) {
        let slot = self.wanted.options().schedule.as_ref().map(|schedule| {
            let (zone, unix) = (LocalTime::new(), unix_now());
            let slot = schedule.at(unix, |unix| zone.offset(unix));
            let to_change = slot.changes_at.and_then(|at| u64::try_from(at - unix).ok());
            (slot, to_change.map_or(SLOT_TIME, |time| SLOT_TIME.min(Duration::from_secs(time))))
        });
        let (slot, time) = slot.unzip();
        self.slot_due = time.map(|time| now + time);
        self.wanted.set_slot(slot);
    }

    fn report(&self) {
        let reason = self.verdict.to_string();
        if self.verdict.is_wanted() {
            log::info!("a job is wanted: {reason}");
            self.bus.publish(|| Kind::JobWanted { reason });
        } else {
            log::info!("no job is wanted: {reason}");
            self.bus.publish(|| Kind::JobNotWanted { reason });
        }
    }
}
