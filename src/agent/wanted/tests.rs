//! Tests the decision by tables, and by random events against a plain reading of the table in the module's header.
//!
//! Does not: test the schedule's times; the tests of `schedule` do.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn options(when: When) -> WantedOptions {
    WantedOptions { when, linger: 30 * SECOND }
}

fn held(reason: &str, until: Option<Instant>) -> Held {
    Held { reason: reason.to_owned(), until }
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
    wanted.set_options(WantedOptions { when: When::Motion, linger: SECOND });
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
    wanted.set_hold(Hold::Budget, Some(held("the budget is spent", None)));
    check(&wanted, now, 1, stopped, Some(30));
}

#[test]
fn a_hold_forbids_what_the_owner_starts_until_it_ends_or_is_lifted() {
    let now = Instant::now();
    let mut wanted = Wanted::new(options(When::Always), JobWish::Start { time: None }, now);
    let spent = (false, "the budget is spent");
    wanted.set_hold(Hold::Budget, Some(held("the budget is spent", Some(now + 60 * SECOND))));
    check(&wanted, now, 0, spent, Some(60));
    // A second one: the picture is closed.
    wanted.set_hold(Hold::Blackout, Some(held("the picture is closed", None)));
    check(&wanted, now, 1, (false, "the picture is closed"), Some(60));
    wanted.set_hold(Hold::Blackout, None);
    check(&wanted, now, 59, spent, Some(60));
    check(&wanted, now, 60, (true, "started by the owner"), None);
    wanted.set_hold(Hold::DataCap, Some(held("the data cap is reached", None)));
    check(&wanted, now, 61, (false, "the data cap is reached"), None);
    wanted.set_hold(Hold::DataCap, None);
    check(&wanted, now, 61, (true, "started by the owner"), None);
}

#[test]
fn an_end_beyond_the_clocks_range_never_comes() {
    let now = Instant::now();
    let time = Some(Duration::MAX);
    let wanted = Wanted::new(options(When::Demand), JobWish::Start { time }, now);
    check(&wanted, now, 1_000_000, (true, "started by the owner"), None);
    let mut wanted = Wanted::new(
        WantedOptions { when: When::Motion, linger: Duration::MAX },
        JobWish::Auto,
        now,
    );
    wanted.on_motion(now);
    assert_eq!(wanted.poll_timeout(now), None);
}
