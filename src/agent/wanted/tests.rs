//! Tests the decision by tables, and by random events against a plain reading of the table in the module's header.
//!
//! Does not: test the schedule's times; the tests of `schedule` do.

#![allow(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "a test may panic")]

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn options(when: When) -> WantedOptions {
    WantedOptions { when, linger: 30 * SECOND, ..WantedOptions::default() }
}

/// A schedule that is open, or closed up to Monday morning.
fn slot(is_open: bool) -> Slot {
    let label = if is_open { "Mon 18:00" } else { "Mon 08:00" };
    Slot { is_open, changes_at: None, label: label.to_owned() }
}

fn reason(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Checks the verdict and when it is due again, in seconds after `start`.
#[track_caller]
fn check(wanted: &Wanted, start: Instant, second: u64, says: (bool, &str), next: Option<u64>) {
    let now = start + Duration::from_secs(second);
    let verdict = wanted.judge(now);
    assert_eq!((verdict.is_wanted(), verdict.to_string().as_str()), says, "at {second} s");
    let next = next.map(|next| start + Duration::from_secs(next));
    assert_eq!(wanted.poll_timeout(now), next, "at {second} s");
}

#[test]
fn each_condition_decides_while_the_owner_wishes_nothing() {
    let now = Instant::now();
    let of = |when| Wanted::new(options(when), JobWish::Auto, now);
    check(&of(When::Always), now, 0, (true, "job.when is always"), None);
    check(&of(When::Demand), now, 0, (false, "waiting for a start by the owner"), None);
    check(&of(When::Motion), now, 0, (false, "waiting for motion"), None);
    let mut wanted = of(When::Schedule);
    wanted.set_slot(Some(slot(false)));
    check(&wanted, now, 0, (false, "waiting for Mon 08:00"), None);
    wanted.set_slot(Some(slot(true)));
    check(&wanted, now, 0, (true, "the schedule is open"), None);
}

#[test]
fn motion_counts_while_the_schedule_is_open_alone() {
    let now = Instant::now();
    let mut wanted = Wanted::new(options(When::Motion), JobWish::Auto, now);
    wanted.set_slot(Some(slot(false)));
    wanted.on_motion(now);
    check(&wanted, now, 0, (false, "waiting for Mon 08:00"), Some(30));
    wanted.set_slot(Some(slot(true)));
    check(&wanted, now, 10, (true, "motion"), Some(30));
    check(&wanted, now, 30, (false, "waiting for motion"), None);
    wanted.on_motion(now + 40 * SECOND);
    wanted.set_slot(Some(slot(false)));
    check(&wanted, now, 41, (false, "waiting for Mon 08:00"), Some(70));
    wanted.set_slot(None);
    check(&wanted, now, 41, (true, "motion"), Some(70));
}

#[test]
fn a_trigger_starts_a_job_while_it_is_on_or_after_a_touch() {
    let now = Instant::now();
    let mut wanted = Wanted::new(options(When::Demand), JobWish::Auto, now);
    let idle = (false, "waiting for a start by the owner");
    let started = (true, "started by the trigger");
    let touched = |second| TriggerReading::Touched(Some(SystemTime::UNIX_EPOCH + second * SECOND));
    // The first reading may be of an old touch.
    wanted.on_trigger(touched(7), now);
    check(&wanted, now, 0, idle, None);
    wanted.on_trigger(touched(7), now + SECOND);
    check(&wanted, now, 1, idle, None);
    // The file system's clock does not matter.
    wanted.on_trigger(touched(3), now + 2 * SECOND);
    check(&wanted, now, 2, started, Some(32));
    wanted.on_trigger(touched(3), now + 20 * SECOND);
    check(&wanted, now, 31, started, Some(32));
    check(&wanted, now, 32, idle, None);
    wanted.on_trigger(TriggerReading::On, now + 40 * SECOND);
    check(&wanted, now, 4000, started, None);
    wanted.on_trigger(TriggerReading::Off, now + 4000 * SECOND);
    check(&wanted, now, 4000, idle, None);
    // A file that appears is touched.
    wanted.on_trigger(touched(9), now + 4001 * SECOND);
    check(&wanted, now, 4001, started, Some(4031));
    // Another file begins without a touch.
    wanted
        .set_options(WantedOptions { trigger: Some("/run/other".into()), ..options(When::Demand) });
    wanted.on_trigger(touched(1), now + 4002 * SECOND);
    check(&wanted, now, 4002, idle, None);
    // The owner's stop wins.
    wanted.on_trigger(TriggerReading::On, now);
    wanted.set_wish(JobWish::Stop, now);
    check(&wanted, now, 4002, (false, "stopped by the owner"), None);
}

#[test]
fn random_events_lead_to_what_the_table_says() {
    for seed in 0..200 {
        Simulation::new(seed).run();
    }
}

/// A random generator (xorshift), so that a seed repeats its events.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// A decision under random events, and the same facts in plain variables. Times are seconds since `start`.
struct Simulation {
    random: Random,
    seed: u64,
    start: Instant,
    wanted: Wanted,
    when: When,
    stopped: bool,
    /// The end of a start by the owner: 0 if there is none.
    started_until: u64,
    is_held: [bool; HOLDS],
    moved: Option<u64>,
    is_on: bool,
    is_open: Option<bool>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let (random, start) = (Random(seed * 2 + 1), Instant::now());
        let wanted = Wanted::new(options(When::Always), JobWish::Auto, start);
        Self {
            random,
            seed,
            start,
            wanted,
            when: When::Always,
            stopped: false,
            started_until: 0,
            is_held: [false; HOLDS],
            moved: None,
            is_on: false,
            is_open: None,
        }
    }

    fn run(&mut self) {
        let mut second = 0;
        for _ in 0..200 {
            second += self.random.below(20);
            self.event(second);
            // From here to the next timeout, only the slot and events may change the verdict.
            let now = self.at(second);
            let verdict = self.wanted.judge(now).is_wanted();
            assert_eq!(verdict, self.expected(second), "seed {}, {second} s", self.seed);
            let due = self.wanted.poll_timeout(now);
            let until = due.map_or(second + 100, |due| (due - self.start).as_secs());
            assert!(until > second, "seed {}: a timeout in the past", self.seed);
            for second in second..until {
                assert_eq!(self.expected(second), verdict, "seed {}, {second} s", self.seed);
            }
        }
    }

    fn at(&self, second: u64) -> Instant {
        self.start + Duration::from_secs(second)
    }

    fn event(&mut self, second: u64) {
        let now = self.at(second);
        let end = second + 1 + self.random.below(50);
        match self.random.below(9) {
            0 => {
                let all = [When::Always, When::Demand, When::Schedule, When::Motion];
                self.when = all[self.random.below(4) as usize];
                self.wanted.set_options(options(self.when));
            }
            1 => {
                (self.stopped, self.started_until) = (true, 0);
                self.wanted.set_wish(JobWish::Stop, now);
            }
            2 | 3 => {
                (self.stopped, self.started_until) = (false, end);
                let time = Some(end - second);
                self.wanted.set_wish(JobWish::Start { time: time.map(Duration::from_secs) }, now);
            }
            4 => {
                (self.stopped, self.started_until) = (false, 0);
                self.wanted.set_wish(JobWish::Auto, now);
            }
            5 => {
                let (holds, nth) = ([Hold::Budget, Hold::DataCap], self.random.below(2) as usize);
                self.is_held[nth] = self.random.below(3) == 0;
                let held = reason("held").filter(|_| self.is_held[nth]);
                self.wanted.set_hold(holds[nth], held);
            }
            6 => {
                self.moved = Some(second);
                self.wanted.on_motion(now);
            }
            7 => {
                self.is_on = self.random.below(2) == 0;
                let reading = if self.is_on { TriggerReading::On } else { TriggerReading::Off };
                self.wanted.on_trigger(reading, now);
            }
            _ => {
                self.is_open = [None, Some(false), Some(true)][self.random.below(3) as usize];
                self.wanted.set_slot(self.is_open.map(slot));
            }
        }
    }

    fn expected(&self, second: u64) -> bool {
        if self.stopped || self.is_held.contains(&true) {
            return false;
        }
        let is_open = self.is_open.unwrap_or(true);
        second < self.started_until
            || self.is_on
            || match self.when {
                When::Always => true,
                When::Demand => false,
                When::Schedule => is_open,
                When::Motion => is_open && self.moved.is_some_and(|moved| second < moved + 30),
            }
    }
}

#[test]
fn motion_keeps_a_job_for_the_linger_time_after_the_last_one() {
    let now = Instant::now();
    let mut wanted = Wanted::new(options(When::Motion), JobWish::Auto, now);
    wanted.on_motion(now + 5 * SECOND);
    check(&wanted, now, 5, (true, "motion"), Some(35));
    wanted.on_motion(now + 20 * SECOND);
    check(&wanted, now, 49, (true, "motion"), Some(50));
    check(&wanted, now, 50, (false, "waiting for motion"), None);
    wanted.on_motion(now + 60 * SECOND);
    check(&wanted, now, 60, (true, "motion"), Some(90));
    wanted.set_options(WantedOptions { linger: SECOND, ..options(When::Motion) });
    check(&wanted, now, 61, (false, "waiting for motion"), None);
}

#[test]
fn a_start_by_the_owner_wins_over_each_condition_up_to_its_end() {
    for when in [When::Always, When::Demand, When::Motion] {
        let now = Instant::now();
        let mut wanted = Wanted::new(options(when), JobWish::Auto, now);
        let after = wanted.judge(now).to_string();
        let is_always = when == When::Always;
        wanted.set_wish(JobWish::Start { time: Some(600 * SECOND) }, now);
        check(&wanted, now, 0, (true, "started by the owner"), Some(600));
        check(&wanted, now, 599, (true, "started by the owner"), Some(600));
        check(&wanted, now, 600, (is_always, &after), None);
        wanted.set_wish(JobWish::Start { time: None }, now);
        check(&wanted, now, 1_000_000, (true, "started by the owner"), None);
        wanted.set_wish(JobWish::Auto, now);
        check(&wanted, now, 1_000_000, (is_always, &after), None);
    }
}

#[test]
fn a_stop_by_the_owner_wins_over_all_and_lasts() {
    let now = Instant::now();
    let stopped = (false, "stopped by the owner");
    let mut wanted = Wanted::new(options(When::Always), JobWish::Stop, now);
    check(&wanted, now, 0, stopped, None);
    wanted.on_motion(now);
    wanted.set_options(options(When::Motion));
    check(&wanted, now, 1, stopped, Some(30));
    wanted.set_hold(Hold::Budget, reason("the budget is spent"));
    check(&wanted, now, 1, stopped, Some(30));
}

#[test]
fn a_hold_forbids_what_the_owner_starts_until_it_is_lifted() {
    let now = Instant::now();
    let mut wanted = Wanted::new(options(When::Always), JobWish::Start { time: None }, now);
    wanted.set_hold(Hold::DataCap, reason("the data cap is reached"));
    check(&wanted, now, 0, (false, "the data cap is reached"), None);
    wanted.set_hold(Hold::Budget, reason("the budget is spent"));
    check(&wanted, now, 1, (false, "the budget is spent"), None);
    wanted.set_hold(Hold::Budget, None);
    check(&wanted, now, 2, (false, "the data cap is reached"), None);
    wanted.set_hold(Hold::DataCap, None);
    check(&wanted, now, 3, (true, "started by the owner"), None);
}

#[test]
fn an_end_beyond_the_clocks_range_never_comes() {
    let now = Instant::now();
    let time = Some(Duration::MAX);
    let wanted = Wanted::new(options(When::Demand), JobWish::Start { time }, now);
    check(&wanted, now, 1_000_000, (true, "started by the owner"), None);
    let options = WantedOptions { linger: Duration::MAX, ..options(When::Motion) };
    let mut wanted = Wanted::new(options, JobWish::Auto, now);
    wanted.on_motion(now);
    assert_eq!(wanted.poll_timeout(now), None);
}
