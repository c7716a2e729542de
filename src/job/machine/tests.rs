//! What the machine decides, story by story.
//!
//! Does not: try sequences by chance; `tests/model.rs` does.

use super::live::{NO_SPARE, OUTPUT_DUE, SPARES_EVERY};
use super::state::ASK_TIME;
use super::*;
use crate::orchestrator::Fit;
use crate::session::selection::Offer;

const SOME: f64 = 1.0;
const HOLD: Duration = Duration::from_secs(60);

fn urls(n: usize) -> Vec<Url> {
    (0..n).map(|i| Url::parse(&format!("https://o{i}:8935")).unwrap()).collect()
}

fn offered(url: &Url) -> Event<u32> {
    let offer = Offer { fit: Fit::Has { warm: true, free: Some(1) }, price: Ok(None) };
    Event::Offered { url: url.clone(), offer, answer_time: Duration::ZERO, with: 7 }
}

fn at(start: Instant, s: u64) -> Instant {
    start + Duration::from_secs(s)
}

#[track_caller]
fn check(machine: &mut Machine<u32>, event: Event<u32>, now: Instant, expected: &[Command<u32>]) {
    assert_eq!(machine.on(event, now, SOME).as_slice(), expected);
}

/// A machine with `n` good candidates, live on the first, with both health rules.
fn live(n: usize, recovery: Recovery, now: Instant) -> Machine<u32> {
    let (mut machine, first) = Machine::new(Rules::default(), recovery, HOLD);
    assert_eq!(first.as_slice(), [Command::Find]);
    check(&mut machine, Event::Found(urls(n)), now, &[Command::Ask(urls(n))]);
    for url in &urls(n)[1..] {
        check(&mut machine, offered(url), now, &[]);
    }
    let start = machine.on(offered(&urls(n)[0]), now, SOME);
    let [Command::Start(url, 7)] = start.as_slice() else { panic!("{start:?}") };
    assert!(urls(n).contains(url));
    let started = Event::Started { has_output: true, has_events: true };
    check(&mut machine, started, now, &[Command::Run]);
    machine
}

fn failed(text: &str) -> Failure {
    Failure::of_peer(text, Fault::Retry)
}

fn gone() -> Loss {
    Loss::Channel("publish", "gone".into())
}

/// Loses a job that was live, and goes on.
#[track_caller]
fn lose(machine: &mut Machine<u32>, now: Instant) {
    let left = [Command::Close { for_good: false }, Command::Left(gone())];
    check(machine, Event::Lost(gone()), now, &left);
}

/// There is no job for now.
#[track_caller]
fn try_later(machine: &mut Machine<u32>, event: Event<u32>, now: Instant) {
    let commands = machine.on(event, now, SOME);
    assert!(matches!(commands.as_slice(), [Command::TryLater(_)]), "{commands:?}");
}

#[test]
fn every_candidate_is_tried_and_named_when_none_is_left() {
    let now = Instant::now();
    let (mut machine, _) = Machine::new(Rules::default(), Recovery::Exit, HOLD);
    check(&mut machine, Event::Found(urls(2)), now, &[Command::Ask(urls(2))]);
    check(&mut machine, Event::NoAnswer(urls(2).remove(0), failed("refused")), now, &[]);
    let o1 = urls(2).remove(1);
    check(&mut machine, offered(&o1), now, &[Command::Start(o1.clone(), 7)]);
    let commands = machine.on(Event::StartFailed(failed("no capacity")), now, SOME);
    let [Command::Finish(Outcome::NoneLeft(none))] = commands.as_slice() else {
        panic!("{commands:?}")
    };
    let text = none.to_string();
    assert!(text.contains("o0:8935: refused") && text.contains("o1:8935: no cap"), "{text}");
}

#[test]
fn a_slow_candidate_is_not_waited_for_once_there_is_a_good_one() {
    let now = Instant::now();
    let (mut machine, _) = Machine::new(Rules::default(), Recovery::Exit, HOLD);
    check(&mut machine, Event::Found(urls(2)), now, &[Command::Ask(urls(2))]);
    assert_eq!(machine.poll_timeout(), Some(now + ASK_TIME));
    check(&mut machine, offered(&urls(2)[1]), now, &[]);
    assert_eq!(machine.poll_timeout(), Some(now + OFFER_TIME));
    let start = [Command::Start(urls(2).remove(1), 7)];
    check(&mut machine, Event::Timeout, now + OFFER_TIME, &start);
}

#[test]
fn a_started_job_is_closed_whatever_happens() {
    let now = Instant::now();
    let table = [
        (Event::Stop, Outcome::Done),
        (Event::CaptureDone, Outcome::Done),
        (Event::CaptureFailed("camera".into()), Outcome::Capture("camera".into())),
        (Event::Lost(gone()), Outcome::Lost(gone())),
    ];
    for (event, outcome) in table {
        let mut machine = live(1, Recovery::Exit, now);
        check(&mut machine, event, now, &[Command::Close { for_good: true }]);
        check(&mut machine, Event::Stop, now, &[]);
        check(&mut machine, Event::Closed, now, &[Command::Finish(outcome)]);
        check(&mut machine, Event::Closed, now, &[]);
    }
}

#[test]
fn a_stop_while_a_job_starts_closes_it_too() {
    let now = Instant::now();
    let (mut machine, _) = Machine::new(Rules::default(), Recovery::Retry, HOLD);
    let url = urls(1).remove(0);
    check(&mut machine, Event::Found(urls(1)), now, &[Command::Ask(urls(1))]);
    check(&mut machine, offered(&url), now, &[Command::Start(url.clone(), 7)]);
    check(&mut machine, Event::Stop, now, &[Command::Close { for_good: true }]);
    check(&mut machine, Event::Closed, now, &[Command::Finish(Outcome::Done)]);
}

#[test]
fn silence_for_30_s_is_a_loss_and_every_sign_of_life_moves_it() {
    let start = Instant::now();
    let mut machine = live(1, Recovery::Exit, start);
    // There is nobody to be asked for a spare.
    check(&mut machine, Event::Timeout, at(start, 20), &[]);
    assert_eq!(machine.poll_timeout(), Some(at(start, 30)));
    check(&mut machine, Event::Output, at(start, 20), &[]);
    check(&mut machine, Event::JobEvent, at(start, 25), &[]);
    assert_eq!(machine.poll_timeout(), Some(at(start, 50)));
    check(&mut machine, Event::Timeout, at(start, 49), &[]);
    check(&mut machine, Event::Timeout, at(start, 50), &[Command::Close { for_good: true }]);
    let lost = Outcome::Lost(Loss::NoOutput(OUTPUT_DUE));
    check(&mut machine, Event::Closed, at(start, 50), &[Command::Finish(lost)]);
}

#[test]
fn a_price_that_rose_moves_on_to_the_spare_even_where_losses_end() {
    let now = Instant::now();
    let mut machine = live(2, Recovery::Exit, now);
    let loss = Loss::Payment("price too high".into());
    let left = [Command::Close { for_good: false }, Command::Left(loss.clone())];
    check(&mut machine, Event::Lost(loss), now, &left);
    let commands = machine.on(Event::Closed, now, SOME);
    assert!(matches!(commands.as_slice(), [Command::Start(_, 7)]), "{commands:?}");
}

#[test]
fn the_only_orchestrator_is_met_again_after_a_pause() {
    let start = Instant::now();
    let mut machine = live(1, Recovery::Retry, start);
    lose(&mut machine, start);
    check(&mut machine, Event::Closed, start, &[Command::Find]);
    check(&mut machine, Event::Found(urls(1)), start, &[Command::Ask(urls(1))]);
    try_later(&mut machine, Event::NoAnswer(urls(1).remove(0), failed("refused")), start);
    let until = start + FIRST_PAUSE;
    assert_eq!(machine.poll_timeout(), Some(until));
    check(&mut machine, Event::Timeout, start, &[]);
    check(&mut machine, Event::Timeout, until, &[Command::Find]);
}

#[test]
fn a_job_that_is_lost_again_and_again_slows_down() {
    let now = Instant::now();
    let mut machine = live(1, Recovery::Retry, now);
    for lost in 1..=3 {
        let commands = machine.on(Event::Lost(gone()), now, SOME);
        let [Command::Close { for_good: false }, Command::Left(_), slow @ ..] = commands.as_slice()
        else {
            panic!("{commands:?}")
        };
        assert_eq!(matches!(slow, [Command::SlowDown(_)]), lost == 3, "{slow:?}");
        let next = machine.on(Event::Closed, now, SOME);
        assert_eq!(next.as_slice() == [Command::Find], lost < 3, "{next:?}");
        let _ = machine.on(Event::Found(urls(1)), now, SOME);
        let _ = machine.on(offered(&urls(1)[0]), now, SOME);
        let _ = machine.on(Event::Started { has_output: true, has_events: true }, now, SOME);
    }
    assert!(machine.poll_timeout() > Some(now));
}

#[test]
fn pauses_grow_to_their_limit_and_a_stop_ends_them() {
    let mut now = Instant::now();
    let (mut machine, _) = Machine::new(Rules::default(), Recovery::Retry, HOLD);
    for _ in 0..1000 {
        try_later(&mut machine, Event::FindFailed(failed("no network")), now);
        let until = machine.poll_timeout().unwrap();
        assert!(until <= now + LONGEST_PAUSE);
        now = until;
        check(&mut machine, Event::Timeout, now, &[Command::Find]);
    }
    check(&mut machine, Event::Stop, now, &[Command::Finish(Outcome::Done)]);
}

#[test]
fn a_stop_during_a_swap_stops_for_good() {
    let now = Instant::now();
    let mut machine = live(2, Recovery::Retry, now);
    lose(&mut machine, now);
    check(&mut machine, Event::Stop, now, &[Command::Close { for_good: true }]);
    check(&mut machine, Event::Closed, now, &[Command::Finish(Outcome::Done)]);
}

#[test]
fn a_peer_that_can_be_reached_again_ends_the_pause() {
    let now = Instant::now();
    let (mut machine, _) = Machine::new(Rules::default(), Recovery::Retry, HOLD);
    try_later(&mut machine, Event::FindFailed(failed("no network")), now);
    check(&mut machine, Event::Reachable, now, &[Command::Find]);
}

#[test]
fn a_peer_that_comes_back_while_it_is_asked_is_asked_again_at_once() {
    let now = Instant::now();
    let (mut machine, _) = Machine::new(Rules::default(), Recovery::Retry, HOLD);
    check(&mut machine, Event::Reachable, now, &[Command::Find]);
    let asked = urls(1);
    check(&mut machine, Event::Found(asked.clone()), now, &[Command::Ask(asked.clone())]);
    check(&mut machine, Event::Reachable, now, &[Command::Find]);
    check(&mut machine, Event::Found(asked.clone()), now, &[Command::Ask(asked.clone())]);
    try_later(&mut machine, Event::NoAnswer(asked[0].clone(), failed("hung up")), now);
}

#[test]
fn a_peer_that_comes_back_while_another_is_tried_is_asked_once_more_if_that_fails() {
    let now = Instant::now();
    let (mut machine, _) = Machine::new(Rules::default(), Recovery::Retry, HOLD);
    for comes_back in [true, false] {
        let asked = urls(1);
        check(&mut machine, Event::Found(asked.clone()), now, &[Command::Ask(asked.clone())]);
        let commands = machine.on(offered(&asked[0]), now, SOME);
        assert!(matches!(commands.as_slice(), [Command::Start(..)]), "{commands:?}");
        if !comes_back {
            try_later(&mut machine, Event::StartFailed(failed("refused")), now);
            break;
        }
        check(&mut machine, Event::Reachable, now, &[]);
        check(&mut machine, Event::StartFailed(failed("refused")), now, &[Command::Find]);
    }
}

#[test]
fn spares_are_asked_again_while_a_job_is_live() {
    let start = Instant::now();
    let mut machine = live(2, Recovery::Retry, start);
    assert_eq!(machine.known(), urls(2));
    // Signs of life keep the job; the one good spare is good for ten minutes.
    let mut now = start;
    while now + Duration::from_secs(20) < start + SPARES_EVERY {
        now += Duration::from_secs(20);
        check(&mut machine, Event::Output, now, &[]);
        check(&mut machine, Event::JobEvent, now, &[]);
        check(&mut machine, Event::Timeout, now, &[]);
    }
    let due = start + SPARES_EVERY;
    assert_eq!(machine.poll_timeout(), Some(due));
    let commands = machine.on(Event::Timeout, due, SOME);
    let [Command::Ask(asked)] = commands.as_slice() else { panic!("{commands:?}") };
    let [spare] = asked.as_slice() else { panic!("{asked:?}") };
    check(&mut machine, Event::NoAnswer(spare.clone(), failed("refused")), due, &[]);
    check(&mut machine, Event::Output, due, &[]);
    check(&mut machine, Event::JobEvent, due, &[]);
    // Without a spare it is asked sooner.
    let later = due + Duration::from_secs(20);
    check(&mut machine, Event::Timeout, later, &[Command::Ask(vec![spare.clone()])]);
    check(&mut machine, offered(spare), later, &[]);
    lose(&mut machine, later);
    check(&mut machine, Event::Closed, later, &[Command::Start(spare.clone(), 7)]);
    assert!(NO_SPARE < SPARES_EVERY);
}

#[test]
fn a_job_is_held_while_the_camera_is_gone_and_owes_nothing() {
    let start = Instant::now();
    let mut machine = live(1, Recovery::Retry, start);
    check(&mut machine, Event::CameraLost, start, &[]);
    check(&mut machine, Event::Timeout, at(start, 59), &[]);
    check(&mut machine, Event::CameraBack, at(start, 59), &[]);
    // What is due counts from its return.
    check(&mut machine, Event::Timeout, at(start, 80), &[]);
    let commands = machine.on(Event::Timeout, at(start, 89), SOME);
    assert!(matches!(commands[1], Command::Left(Loss::NoOutput(_))), "{commands:?}");
}

#[test]
fn a_camera_that_stays_away_costs_the_job_until_it_is_back() {
    let start = Instant::now();
    let close = [Command::Close { for_good: false }];
    let mut machine = live(1, Recovery::Retry, start);
    check(&mut machine, Event::CameraLost, start, &[]);
    check(&mut machine, Event::CameraLost, at(start, 30), &[]);
    assert_eq!(machine.held_until(), Some(at(start, 60)));
    check(&mut machine, Event::Timeout, at(start, 60), &close);
    check(&mut machine, Event::Closed, at(start, 61), &[]);
    assert_eq!((machine.stage(), machine.poll_timeout()), (Stage::Dark, None));
    check(&mut machine, Event::CameraBack, at(start, 600), &[Command::Find]);

    // Back before the job is closed, it begins again at once.
    let mut machine = live(1, Recovery::Retry, start);
    machine.on(Event::Hold(Duration::ZERO), start, SOME).clear();
    check(&mut machine, Event::CameraLost, start, &close);
    check(&mut machine, Event::CameraBack, start, &[]);
    check(&mut machine, Event::Closed, start, &[]);
    check(&mut machine, Event::Timeout, start, &[Command::Find]);
}

#[test]
fn no_job_is_started_while_there_is_no_camera() {
    let now = Instant::now();
    // Nobody was asked yet.
    let (mut machine, _) = Machine::new(Rules::default(), Recovery::Retry, HOLD);
    check(&mut machine, Event::CameraLost, now, &[]);
    assert_eq!(machine.stage(), Stage::Dark);
    check(&mut machine, Event::Found(urls(1)), now, &[]);
    check(&mut machine, Event::CameraBack, now, &[Command::Find]);

    // A job is being started: it may start, but no other one after it.
    for next in [Event::StartFailed(failed("no capacity")), Event::Lost(gone())] {
        let (mut machine, _) = Machine::new(Rules::default(), Recovery::Retry, HOLD);
        let _ = machine.on(Event::Found(urls(1)), now, SOME);
        let _ = machine.on(offered(&urls(1)[0]), now, SOME);
        check(&mut machine, Event::CameraLost, now, &[]);
        let _ = machine.on(next, now, SOME);
        let _ = machine.on(Event::Closed, now, SOME);
        assert_eq!(machine.stage(), Stage::Dark);
    }

    // A job is lost, or replaced, while the camera is gone: the next one waits for the camera.
    for end in [Event::Lost(gone()), Event::Replace(Rules::default())] {
        let mut machine = live(2, Recovery::Retry, now);
        check(&mut machine, Event::CameraLost, now, &[]);
        let commands = machine.on(end, now, SOME);
        assert_eq!(commands.first(), Some(&Command::Close { for_good: false }));
        check(&mut machine, Event::Closed, now, &[]);
        assert_eq!((machine.stage(), machine.poll_timeout()), (Stage::Dark, None));
        check(&mut machine, Event::Stop, now, &[Command::Finish(Outcome::Done)]);
    }
}

#[test]
fn another_configuration_closes_the_job_before_it_looks_elsewhere() {
    let now = Instant::now();
    let mut machine = live(2, Recovery::Retry, now);
    let replace = || Event::Replace(Rules::default());
    check(&mut machine, replace(), now, &[Command::Close { for_good: false }]);
    check(&mut machine, replace(), now, &[]);
    check(&mut machine, Event::Closed, now, &[]);
    check(&mut machine, Event::Timeout, now, &[Command::Find]);
    check(&mut machine, replace(), now, &[Command::Find]);
}

#[test]
fn a_job_without_an_output_channel_owes_no_output() {
    let now = Instant::now();
    let (mut machine, _) = Machine::new(Rules::default(), Recovery::Exit, HOLD);
    let url = urls(1).remove(0);
    let _ = machine.on(Event::Found(urls(1)), now, SOME);
    let _ = machine.on(offered(&url), now, SOME);
    let _ = machine.on(Event::Started { has_output: false, has_events: false }, now, SOME);
    assert_eq!(machine.poll_timeout(), Some(now + Duration::from_secs(20)), "for spares only");
}
