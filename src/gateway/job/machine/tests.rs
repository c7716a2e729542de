//! Tests of the machine's decisions, one scenario each.
//!
//! Does not: try random sequences of events; `tests/model.rs` does.

use super::live::{NO_SPARE, OUTPUT_DUE, SPARES_EVERY};
use super::pauses::{FIRST_PAUSE, LONGEST_PAUSE};
use super::*;
use crate::job::{Loss, Slowness};
use crate::orchestrator::Fit;
use crate::price::{Price, PriceUnit};
use crate::session::selection::{ASK_TIME, OFFER_TIME, Offer, PaymentPolicy};
use resilience::fault::{Failure, Fault, Scope};

const SOME: f64 = 1.0;
const HOLD: Duration = Duration::from_secs(60);

fn urls(n: usize) -> Vec<Url> {
    (0..n).map(|i| Url::parse(&format!("https://o{i}:8935")).unwrap()).collect()
}

fn offered(url: &Url) -> MachineEvent<u32> {
    let offer = Offer { fit: Fit::Has { warm: true, free: Some(1) }, price: Ok(None) };
    MachineEvent::Offered { url: url.clone(), offer, answer_time: Duration::ZERO, with: 7 }
}

fn at(start: Instant, s: u64) -> Instant {
    start + Duration::from_secs(s)
}

#[track_caller]
pub(super) fn check(
    machine: &mut Machine<u32>,
    event: MachineEvent<u32>,
    now: Instant,
    expected: &[Command<u32>],
) {
    assert_eq!(machine.on(event, now, SOME).as_slice(), expected);
}

/// A machine with `n` good candidates, live on the first, with both health rules.
pub(super) fn live(n: usize, recovery: Recovery, now: Instant) -> Machine<u32> {
    let (mut machine, first) = Machine::new(OfferRules::default(), recovery, HOLD);
    assert_eq!(first.as_slice(), [Command::Find]);
    check(&mut machine, found(urls(n)), now, &[Command::Ask(urls(n))]);
    for url in &urls(n)[1..] {
        check(&mut machine, offered(url), now, &[]);
    }
    let start = machine.on(offered(&urls(n)[0]), now, SOME);
    let [Command::Start(url, 7)] = start.as_slice() else { panic!("{start:?}") };
    assert!(urls(n).contains(url));
    let started = MachineEvent::Started { has_output: true, has_events: true };
    check(&mut machine, started, now, &[Command::Run]);
    machine
}

fn failed(text: &str) -> Failure {
    Failure::of_peer(text, Fault::Retry)
}

fn found(urls: Vec<Url>) -> MachineEvent<u32> {
    MachineEvent::Found { urls, order: CandidateOrder::Listed }
}

/// The start failed without costing anything.
fn refused(text: &str) -> MachineEvent<u32> {
    MachineEvent::StartFailed { failure: failed(text), is_paid: false }
}

fn gone() -> Loss {
    Loss::Link("publish", "gone".into())
}

/// Loses a live job; the machine then continues.
#[track_caller]
fn lose(machine: &mut Machine<u32>, now: Instant) {
    let left = [Command::Close { for_good: false }, Command::Left(gone())];
    check(machine, MachineEvent::Lost(gone()), now, &left);
}

/// Checks that no job runs after `event`, and that the machine tries again later.
#[track_caller]
fn try_later(machine: &mut Machine<u32>, event: MachineEvent<u32>, now: Instant) {
    let commands = machine.on(event, now, SOME);
    assert!(matches!(commands.as_slice(), [Command::TryLater(_)]), "{commands:?}");
}

#[test]
fn every_candidate_is_tried_and_named_in_the_error() {
    let now = Instant::now();
    let (mut machine, _) = Machine::new(OfferRules::default(), Recovery::Exit, HOLD);
    check(&mut machine, found(urls(2)), now, &[Command::Ask(urls(2))]);
    check(&mut machine, MachineEvent::NoAnswer(urls(2).remove(0), failed("refused")), now, &[]);
    let o1 = urls(2).remove(1);
    check(&mut machine, offered(&o1), now, &[Command::Start(o1.clone(), 7)]);
    let commands = machine.on(refused("no capacity"), now, SOME);
    let [Command::Finish(Outcome::NoCandidateLeft(none))] = commands.as_slice() else {
        panic!("{commands:?}")
    };
    let text = none.to_string();
    assert!(text.contains("o0:8935: refused") && text.contains("o1:8935: no cap"), "{text}");
}

#[test]
fn a_good_candidate_is_used_without_waiting_for_a_slow_one() {
    let now = Instant::now();
    let (mut machine, _) = Machine::new(OfferRules::default(), Recovery::Exit, HOLD);
    check(&mut machine, found(urls(2)), now, &[Command::Ask(urls(2))]);
    assert_eq!(machine.poll_timeout(), Some(now + ASK_TIME));
    check(&mut machine, offered(&urls(2)[1]), now, &[]);
    assert_eq!(machine.poll_timeout(), Some(now + OFFER_TIME));
    let start = [Command::Start(urls(2).remove(1), 7)];
    check(&mut machine, MachineEvent::Timeout, now + OFFER_TIME, &start);
}

#[test]
fn a_started_job_is_closed_after_every_event() {
    let now = Instant::now();
    let table = [
        (MachineEvent::Stop, Outcome::Done),
        (MachineEvent::CaptureDone, Outcome::Done),
        (MachineEvent::CaptureFailed("camera".into()), Outcome::Capture("camera".into())),
        (MachineEvent::Lost(gone()), Outcome::Lost(gone())),
    ];
    for (event, outcome) in table {
        let mut machine = live(1, Recovery::Exit, now);
        check(&mut machine, event, now, &[Command::Close { for_good: true }]);
        check(&mut machine, MachineEvent::Stop, now, &[]);
        check(&mut machine, MachineEvent::Closed, now, &[Command::Finish(outcome)]);
        check(&mut machine, MachineEvent::Closed, now, &[]);
    }
}

#[test]
fn a_stop_while_a_job_starts_closes_it_too() {
    let now = Instant::now();
    let (mut machine, _) = Machine::new(OfferRules::default(), Recovery::Retry, HOLD);
    let url = urls(1).remove(0);
    check(&mut machine, found(urls(1)), now, &[Command::Ask(urls(1))]);
    check(&mut machine, offered(&url), now, &[Command::Start(url.clone(), 7)]);
    check(&mut machine, MachineEvent::Stop, now, &[Command::Close { for_good: true }]);
    check(&mut machine, MachineEvent::Closed, now, &[Command::Finish(Outcome::Done)]);
}

#[test]
fn a_job_without_output_or_events_for_30_s_is_lost() {
    let start = Instant::now();
    let mut machine = live(1, Recovery::Exit, start);
    // No other orchestrator can be asked as a spare.
    check(&mut machine, MachineEvent::Timeout, at(start, 20), &[]);
    assert_eq!(machine.poll_timeout(), Some(at(start, 30)));
    check(&mut machine, MachineEvent::Output, at(start, 20), &[]);
    check(&mut machine, MachineEvent::JobEvent, at(start, 25), &[]);
    assert_eq!(machine.poll_timeout(), Some(at(start, 50)));
    check(&mut machine, MachineEvent::VideoSent, at(start, 35), &[]);
    check(&mut machine, MachineEvent::Timeout, at(start, 49), &[]);
    check(&mut machine, MachineEvent::Timeout, at(start, 50), &[Command::Close { for_good: true }]);
    let lost = Outcome::Lost(Loss::NoOutput(OUTPUT_DUE));
    check(&mut machine, MachineEvent::Closed, at(start, 50), &[Command::Finish(lost)]);
}

#[test]
fn an_orchestrator_is_not_suspended_for_video_that_was_not_sent() {
    let start = Instant::now();
    for (sent, blames) in
        [(15, Loss::NoOutput(OUTPUT_DUE)), (14, Loss::NoVideoSent(at(start, 30) - at(start, 14)))]
    {
        let mut machine = live(1, Recovery::Exit, start);
        check(&mut machine, MachineEvent::VideoSent, at(start, sent), &[]);
        check(
            &mut machine,
            MachineEvent::Timeout,
            at(start, 30),
            &[Command::Close { for_good: true }],
        );
        check(
            &mut machine,
            MachineEvent::Closed,
            at(start, 30),
            &[Command::Finish(Outcome::Lost(blames))],
        );
    }
}

#[test]
fn a_risen_price_leads_to_the_spare_even_under_recovery_exit() {
    let now = Instant::now();
    let mut machine = live(2, Recovery::Exit, now);
    let loss = Loss::Payment("price too high".into());
    let left = [Command::Close { for_good: false }, Command::Left(loss.clone())];
    check(&mut machine, MachineEvent::Lost(loss), now, &left);
    let commands = machine.on(MachineEvent::Closed, now, SOME);
    assert!(matches!(commands.as_slice(), [Command::Start(_, 7)]), "{commands:?}");
}

#[test]
fn the_only_orchestrator_is_tried_again_after_a_pause() {
    let start = Instant::now();
    let mut machine = live(1, Recovery::Retry, start);
    lose(&mut machine, start);
    check(&mut machine, MachineEvent::Closed, start, &[Command::Find]);
    check(&mut machine, found(urls(1)), start, &[Command::Ask(urls(1))]);
    try_later(&mut machine, MachineEvent::NoAnswer(urls(1).remove(0), failed("refused")), start);
    let until = start + FIRST_PAUSE;
    assert_eq!(machine.poll_timeout(), Some(until));
    check(&mut machine, MachineEvent::Timeout, start, &[]);
    check(&mut machine, MachineEvent::Timeout, until, &[Command::Find]);
}

#[test]
fn repeated_losses_delay_the_next_start() {
    let now = Instant::now();
    let mut machine = live(1, Recovery::Retry, now);
    for lost in 1..=3 {
        let commands = machine.on(MachineEvent::Lost(gone()), now, SOME);
        let [Command::Close { for_good: false }, Command::Left(_), slow @ ..] = commands.as_slice()
        else {
            panic!("{commands:?}")
        };
        assert_eq!(matches!(slow, [Command::SlowDown(Slowness::Losses, _)]), lost == 3, "{slow:?}");
        let next = machine.on(MachineEvent::Closed, now, SOME);
        assert_eq!(next.as_slice() == [Command::Find], lost < 3, "{next:?}");
        let _ = machine.on(found(urls(1)), now, SOME);
        let _ = machine.on(offered(&urls(1)[0]), now, SOME);
        let _ = machine.on(MachineEvent::Started { has_output: true, has_events: true }, now, SOME);
    }
    assert!(machine.poll_timeout() > Some(now));
}

#[test]
fn pauses_grow_to_their_limit_and_a_stop_ends_them() {
    let mut now = Instant::now();
    let (mut machine, _) = Machine::new(OfferRules::default(), Recovery::Retry, HOLD);
    for _ in 0..1000 {
        try_later(&mut machine, MachineEvent::FindFailed(failed("no network")), now);
        let until = machine.poll_timeout().unwrap();
        assert!(until <= now + LONGEST_PAUSE);
        now = until;
        check(&mut machine, MachineEvent::Timeout, now, &[Command::Find]);
    }
    check(&mut machine, MachineEvent::Stop, now, &[Command::Finish(Outcome::Done)]);
}

#[test]
fn a_stop_during_a_swap_ends_the_machine() {
    let now = Instant::now();
    let mut machine = live(2, Recovery::Retry, now);
    lose(&mut machine, now);
    check(&mut machine, MachineEvent::Stop, now, &[Command::Close { for_good: true }]);
    check(&mut machine, MachineEvent::Closed, now, &[Command::Finish(Outcome::Done)]);
}

#[test]
fn a_reachable_peer_ends_the_pause() {
    let now = Instant::now();
    let (mut machine, _) = Machine::new(OfferRules::default(), Recovery::Retry, HOLD);
    try_later(&mut machine, MachineEvent::FindFailed(failed("no network")), now);
    check(&mut machine, MachineEvent::Reachable, now, &[Command::Find]);
}

#[test]
fn a_peer_that_becomes_reachable_while_it_is_asked_is_asked_again_at_once() {
    let now = Instant::now();
    let (mut machine, _) = Machine::new(OfferRules::default(), Recovery::Retry, HOLD);
    check(&mut machine, MachineEvent::Reachable, now, &[Command::Find]);
    let asked = urls(1);
    check(&mut machine, found(asked.clone()), now, &[Command::Ask(asked.clone())]);
    check(&mut machine, MachineEvent::Reachable, now, &[Command::Find]);
    check(&mut machine, found(asked.clone()), now, &[Command::Ask(asked.clone())]);
    try_later(&mut machine, MachineEvent::NoAnswer(asked[0].clone(), failed("hung up")), now);
}

#[test]
fn a_peer_that_becomes_reachable_while_another_is_tried_is_asked_if_that_fails() {
    let now = Instant::now();
    let (mut machine, _) = Machine::new(OfferRules::default(), Recovery::Retry, HOLD);
    for comes_back in [true, false] {
        let asked = urls(1);
        check(&mut machine, found(asked.clone()), now, &[Command::Ask(asked.clone())]);
        let commands = machine.on(offered(&asked[0]), now, SOME);
        assert!(matches!(commands.as_slice(), [Command::Start(..)]), "{commands:?}");
        if !comes_back {
            try_later(&mut machine, refused("refused"), now);
            break;
        }
        check(&mut machine, MachineEvent::Reachable, now, &[]);
        check(&mut machine, refused("refused"), now, &[Command::Find]);
    }
}

#[test]
fn spares_are_asked_again_while_a_job_is_live() {
    let start = Instant::now();
    let mut machine = live(2, Recovery::Retry, start);
    assert_eq!(machine.known(), urls(2));
    // Output and events keep the job live; the spare is not asked again for ten minutes.
    let mut now = start;
    while now + Duration::from_secs(20) < start + SPARES_EVERY {
        now += Duration::from_secs(20);
        check(&mut machine, MachineEvent::Output, now, &[]);
        check(&mut machine, MachineEvent::JobEvent, now, &[]);
        check(&mut machine, MachineEvent::Timeout, now, &[]);
    }
    let due = start + SPARES_EVERY;
    assert_eq!(machine.poll_timeout(), Some(due));
    let commands = machine.on(MachineEvent::Timeout, due, SOME);
    let [Command::Ask(asked)] = commands.as_slice() else { panic!("{commands:?}") };
    let [spare] = asked.as_slice() else { panic!("{asked:?}") };
    check(&mut machine, MachineEvent::NoAnswer(spare.clone(), failed("refused")), due, &[]);
    check(&mut machine, MachineEvent::Output, due, &[]);
    check(&mut machine, MachineEvent::JobEvent, due, &[]);
    // Without a spare, the candidate is asked again sooner.
    let later = due + Duration::from_secs(20);
    check(&mut machine, MachineEvent::Timeout, later, &[Command::Ask(vec![spare.clone()])]);
    check(&mut machine, offered(spare), later, &[]);
    lose(&mut machine, later);
    check(&mut machine, MachineEvent::Closed, later, &[Command::Start(spare.clone(), 7)]);
    assert!(NO_SPARE < SPARES_EVERY);
}

#[test]
fn a_job_without_its_camera_is_kept_and_has_no_deadlines() {
    let start = Instant::now();
    let mut machine = live(1, Recovery::Retry, start);
    check(&mut machine, MachineEvent::CameraLost, start, &[]);
    check(&mut machine, MachineEvent::Timeout, at(start, 59), &[]);
    check(&mut machine, MachineEvent::CameraBack, at(start, 59), &[]);
    // Output and events are due counted from the camera's return.
    check(&mut machine, MachineEvent::Timeout, at(start, 80), &[]);
    check(&mut machine, MachineEvent::VideoSent, at(start, 80), &[]);
    let commands = machine.on(MachineEvent::Timeout, at(start, 89), SOME);
    assert!(matches!(commands[1], Command::Left(Loss::NoOutput(_))), "{commands:?}");
}

#[test]
fn a_job_is_closed_if_the_camera_stays_away_and_another_follows_its_return() {
    let start = Instant::now();
    let close = [Command::Close { for_good: false }];
    let mut machine = live(1, Recovery::Retry, start);
    check(&mut machine, MachineEvent::CameraLost, start, &[]);
    check(&mut machine, MachineEvent::CameraLost, at(start, 30), &[]);
    assert_eq!(machine.held_until(), Some(at(start, 60)));
    check(&mut machine, MachineEvent::Timeout, at(start, 60), &close);
    check(&mut machine, MachineEvent::Closed, at(start, 61), &[]);
    assert_eq!((machine.stage(), machine.poll_timeout()), (Stage::Dark, None));
    check(&mut machine, MachineEvent::CameraBack, at(start, 600), &[Command::Find]);

    // If the camera is back before the job is closed, the search for the next one begins at once.
    let mut machine = live(1, Recovery::Retry, start);
    machine.on(MachineEvent::Hold(Duration::ZERO), start, SOME).clear();
    check(&mut machine, MachineEvent::CameraLost, start, &close);
    check(&mut machine, MachineEvent::CameraBack, start, &[]);
    check(&mut machine, MachineEvent::Closed, start, &[]);
    check(&mut machine, MachineEvent::Timeout, start, &[Command::Find]);
}

#[test]
fn no_job_starts_without_a_camera() {
    let now = Instant::now();
    // No candidate was asked yet.
    let (mut machine, _) = Machine::new(OfferRules::default(), Recovery::Retry, HOLD);
    check(&mut machine, MachineEvent::CameraLost, now, &[]);
    assert_eq!(machine.stage(), Stage::Dark);
    check(&mut machine, found(urls(1)), now, &[]);
    check(&mut machine, MachineEvent::CameraBack, now, &[Command::Find]);

    // A camera that is missing from the start has the same effect as one lost before any candidate is asked.
    let mut machine = Machine::without_camera(OfferRules::default(), Recovery::Retry, HOLD, now);
    assert_eq!((machine.stage(), machine.poll_timeout()), (Stage::Dark, None));
    assert!(machine.is_without_camera());
    check(&mut machine, MachineEvent::CameraLost, now, &[]);
    check(&mut machine, found(urls(1)), now, &[]);
    check(&mut machine, MachineEvent::Timeout, now + HOLD, &[]);
    check(&mut machine, MachineEvent::CameraBack, now + HOLD, &[Command::Find]);
    assert!(!machine.is_without_camera());

    // A start in progress may succeed, but no other job may be started after it.
    for next in [refused("no capacity"), MachineEvent::Lost(gone())] {
        let (mut machine, _) = Machine::new(OfferRules::default(), Recovery::Retry, HOLD);
        let _ = machine.on(found(urls(1)), now, SOME);
        let _ = machine.on(offered(&urls(1)[0]), now, SOME);
        check(&mut machine, MachineEvent::CameraLost, now, &[]);
        let _ = machine.on(next, now, SOME);
        let _ = machine.on(MachineEvent::Closed, now, SOME);
        assert_eq!(machine.stage(), Stage::Dark);
    }

    // A job is lost, or replaced, while the camera is gone: the next one waits for the camera.
    for end in [MachineEvent::Lost(gone()), MachineEvent::Replace(OfferRules::default())] {
        let mut machine = live(2, Recovery::Retry, now);
        check(&mut machine, MachineEvent::CameraLost, now, &[]);
        let commands = machine.on(end, now, SOME);
        assert_eq!(commands.first(), Some(&Command::Close { for_good: false }));
        check(&mut machine, MachineEvent::Closed, now, &[]);
        assert_eq!((machine.stage(), machine.poll_timeout()), (Stage::Dark, None));
        check(&mut machine, MachineEvent::Stop, now, &[Command::Finish(Outcome::Done)]);
    }
}

#[test]
fn a_job_that_is_not_wanted_is_closed_and_none_is_started_until_one_is() {
    let now = Instant::now();
    let mut machine = live(2, Recovery::Exit, now);
    check(&mut machine, MachineEvent::Pause, now, &[Command::Close { for_good: false }]);
    check(&mut machine, MachineEvent::Closed, now, &[]);
    assert_eq!((machine.stage(), machine.poll_timeout()), (Stage::Dark, None));
    // Neither a camera that comes back nor another configuration starts one.
    check(&mut machine, MachineEvent::CameraLost, now, &[]);
    check(&mut machine, MachineEvent::CameraBack, now, &[]);
    check(&mut machine, MachineEvent::Replace(OfferRules::default()), now, &[]);
    check(&mut machine, MachineEvent::NewParams, now, &[]);
    check(&mut machine, MachineEvent::Resume, now, &[Command::Find]);

    // A search and a start are in progress.
    let (mut machine, _) = Machine::<u32>::new(OfferRules::default(), Recovery::Retry, HOLD);
    check(&mut machine, MachineEvent::Pause, now, &[]);
    check(&mut machine, found(urls(1)), now, &[]);
    check(&mut machine, MachineEvent::Resume, now, &[Command::Find]);
    let _ = machine.on(found(urls(1)), now, SOME);
    let _ = machine.on(offered(&urls(1)[0]), now, SOME);
    check(&mut machine, MachineEvent::Pause, now, &[Command::Close { for_good: false }]);
    // A job is wanted again before the close has ended.
    check(&mut machine, MachineEvent::Resume, now, &[]);
    check(&mut machine, MachineEvent::Closed, now, &[]);
    check(&mut machine, MachineEvent::Timeout, now, &[Command::Find]);

    // A job that is wanted waits for its camera.
    let mut machine =
        Machine::<u32>::without_camera(OfferRules::default(), Recovery::Retry, HOLD, now);
    check(&mut machine, MachineEvent::Pause, now, &[]);
    check(&mut machine, MachineEvent::Resume, now, &[]);
    check(&mut machine, MachineEvent::CameraBack, now, &[Command::Find]);
    check(&mut machine, MachineEvent::Pause, now, &[]);
    check(&mut machine, MachineEvent::Stop, now, &[Command::Finish(Outcome::Done)]);
}

/// A machine that stands by with two good candidates. It has started none.
fn ready(now: Instant) -> Machine<u32> {
    let (mut machine, _) = Machine::new(OfferRules::default(), Recovery::Retry, HOLD);
    check(&mut machine, MachineEvent::Standby, now, &[Command::Find]);
    check(&mut machine, found(urls(2)), now, &[Command::Ask(urls(2))]);
    for url in &urls(2) {
        check(&mut machine, offered(url), now, &[]);
    }
    assert_eq!((machine.stage(), machine.poll_timeout()), (Stage::Dark, Some(now + SPARES_EVERY)));
    machine
}

#[test]
fn a_job_that_may_be_wanted_at_any_moment_is_started_from_offers_that_were_asked_before() {
    let now = Instant::now();
    let mut machine = ready(now);
    let commands = machine.on(MachineEvent::Resume, at(now, 60), SOME);
    let [Command::Start(first, 7)] = commands.as_slice() else { panic!("{commands:?}") };
    // The other candidate is ready too, if the first refuses.
    let commands = machine.on(refused("full"), at(now, 60), SOME);
    let [Command::Start(second, 7)] = commands.as_slice() else { panic!("{commands:?}") };
    assert_ne!(first, second);
    let started = MachineEvent::Started { has_output: true, has_events: true };
    check(&mut machine, started, now, &[Command::Run]);
    // After the job, candidates are asked again.
    check(&mut machine, MachineEvent::Standby, now, &[Command::Close { for_good: false }]);
    check(&mut machine, MachineEvent::Closed, now, &[Command::Find]);
    assert_eq!(machine.stage(), Stage::Dark);
}

#[test]
fn offers_of_a_standby_are_renewed_before_they_expire_and_dropped_when_none_is_wanted() {
    let now = Instant::now();
    let later = now + SPARES_EVERY;
    let mut machine = ready(now);
    check(&mut machine, MachineEvent::Timeout, later, &[Command::Find]);
    check(&mut machine, found(urls(1)), later, &[Command::Ask(urls(1))]);
    // The job is wanted before the candidates have answered.
    check(&mut machine, MachineEvent::Resume, later, &[]);
    check(&mut machine, offered(&urls(1)[0]), later, &[Command::Start(urls(1).remove(0), 7)]);

    for (event, expected) in [
        (MachineEvent::Pause, None),
        (MachineEvent::CameraLost, None),
        (MachineEvent::Replace(OfferRules::default()), Some(Command::Find)),
        (MachineEvent::Standby, Some(Command::Find)),
        (MachineEvent::Stop, Some(Command::Finish(Outcome::Done))),
        (
            MachineEvent::CaptureFailed("gone".into()),
            Some(Command::Finish(Outcome::Capture("gone".into()))),
        ),
    ] {
        let mut machine = ready(now);
        check(&mut machine, event, now, expected.as_slice());
    }
    // Without a camera, nobody is asked.
    let mut machine = ready(now);
    check(&mut machine, MachineEvent::CameraLost, now, &[]);
    check(&mut machine, MachineEvent::Standby, now, &[]);
    check(&mut machine, MachineEvent::CameraBack, now, &[Command::Find]);
    // A search without a candidate is repeated, at once if a job is wanted.
    try_later(&mut machine, MachineEvent::FindFailed(failed("none")), now);
    assert_eq!(machine.stage(), Stage::Dark);
    check(&mut machine, MachineEvent::Resume, now, &[Command::Find]);
}

#[test]
fn another_configuration_closes_the_job_before_the_next_search() {
    let now = Instant::now();
    let mut machine = live(2, Recovery::Retry, now);
    let replace = || MachineEvent::Replace(OfferRules::default());
    check(&mut machine, replace(), now, &[Command::Close { for_good: false }]);
    check(&mut machine, replace(), now, &[]);
    check(&mut machine, MachineEvent::Closed, now, &[]);
    check(&mut machine, MachineEvent::Timeout, now, &[Command::Find]);
    check(&mut machine, replace(), now, &[Command::Find]);
}

#[test]
fn a_job_without_an_output_channel_has_no_output_deadline() {
    let now = Instant::now();
    let (mut machine, _) = Machine::new(OfferRules::default(), Recovery::Exit, HOLD);
    let url = urls(1).remove(0);
    let _ = machine.on(found(urls(1)), now, SOME);
    let _ = machine.on(offered(&url), now, SOME);
    let _ = machine.on(MachineEvent::Started { has_output: false, has_events: false }, now, SOME);
    assert_eq!(machine.poll_timeout(), Some(now + Duration::from_secs(20)), "for spares only");
}

/// Offers have a price, and a signer pays.
fn paid() -> OfferRules {
    OfferRules { pays: PaymentPolicy::Always, ..OfferRules::default() }
}

fn priced(url: &Url) -> MachineEvent<u32> {
    let price = Price::parse("5", PriceUnit::PixelSeconds720p).map(Some);
    let offer = Offer { fit: Fit::Has { warm: true, free: Some(1) }, price };
    MachineEvent::Offered { url: url.clone(), offer, answer_time: Duration::ZERO, with: 7 }
}

/// The start failed after its payment.
fn failed_paid(fault: Fault) -> MachineEvent<u32> {
    MachineEvent::StartFailed { failure: Failure::of_peer("status 500", fault), is_paid: true }
}

/// Runs a search in which all `n` candidates answer with `offer`. Returns the URL at which the job starts, or the last
/// commands if it does not start.
fn search(
    machine: &mut Machine<u32>,
    n: usize,
    offer: impl Fn(&Url) -> MachineEvent<u32>,
    now: Instant,
) -> Result<Url, Vec<Command<u32>>> {
    let asked = machine.on(found(urls(n)), now, SOME);
    let [Command::Ask(asked)] = asked.as_slice() else { return Err(asked.into_iter().collect()) };
    let mut last = Vec::new();
    for url in asked.iter().rev() {
        last = machine.on(offer(url), now, SOME).into_iter().collect();
    }
    match last.as_slice() {
        [Command::Start(url, _)] => Ok(url.clone()),
        _ => Err(last),
    }
}

/// Advances to the end of the pause, and checks that the pause has this many `seconds`.
#[track_caller]
fn pause(machine: &mut Machine<u32>, now: Instant, seconds: u64) -> Instant {
    let until = machine.poll_timeout().expect("it waits");
    assert_eq!((until - now).as_secs(), seconds);
    check(machine, MachineEvent::Timeout, until, &[Command::Find]);
    until
}

#[test]
fn the_only_usable_orchestrator_gets_the_job_again_at_once() {
    let start = Instant::now();
    for (loss, is_last) in [
        // The orchestrator is suspended, so another one would be tried first.
        (Loss::NoOutput(OUTPUT_DUE), true),
        (Loss::Payment("price too high".into()), true),
        (Loss::Channel("publish", "closed".into()), true),
        // The orchestrator is not at fault.
        (gone(), false),
        (Loss::Unpaid("closed".into(), "signer down".into()), false),
        (Loss::Part("output", "disk full".into()), false),
    ] {
        let mut machine = live(2, Recovery::Retry, start);
        check(
            &mut machine,
            MachineEvent::NoAnswer(urls(2).remove(1), failed("refused")),
            start,
            &[],
        );
        // The only spare refuses when it is asked again.
        let due = start + SPARES_EVERY;
        check(&mut machine, MachineEvent::CameraLost, start, &[]);
        check(&mut machine, MachineEvent::CameraBack, due, &[]);
        let spares = machine.on(MachineEvent::Timeout, due, SOME);
        assert_eq!(spares.as_slice(), [Command::Ask(vec![urls(2).remove(1)])]);
        check(&mut machine, MachineEvent::NoAnswer(urls(2).remove(1), failed("refused")), due, &[]);

        let _ = machine.on(MachineEvent::Lost(loss.clone()), due, SOME);
        check(&mut machine, MachineEvent::Closed, due, &[Command::Find]);
        let both = machine.on(found(urls(2)), due, SOME);
        let expected = if is_last { [1, 0] } else { [0, 1] }.map(|nth| urls(2).remove(nth));
        assert_eq!(both.as_slice(), [Command::Ask(expected.to_vec())], "{loss}");
        check(&mut machine, MachineEvent::NoAnswer(urls(2).remove(1), failed("refused")), due, &[]);
        let again = [Command::Start(urls(2).remove(0), 7)];
        check(&mut machine, offered(&urls(2)[0]), due, &again);
    }
}

#[test]
fn starts_that_fail_after_their_payment_prepay_no_faster_than_real_time() {
    let start = Instant::now();
    let (mut machine, _) = Machine::new(paid(), Recovery::Retry, HOLD);
    let (mut now, mut starts) = (start, 0);
    // The first minute: three starts at once, as for a job and two failovers.
    while now < at(start, 3600) {
        match search(&mut machine, 1, priced, now) {
            Ok(_) => {
                starts += 1;
                let commands = machine.on(failed_paid(Fault::NextPeer), now, SOME);
                assert!(starts > 2 || matches!(commands.as_slice(), [Command::TryLater(_)]));
            }
            Err(commands) => {
                let slow =
                    matches!(commands.as_slice(), [Command::SlowDown(Slowness::PaidAhead, _)]);
                assert!(slow, "{commands:?}");
            }
        }
        assert!(Duration::from_secs(60 * starts) <= now - start + Duration::from_secs(180));
        now = machine.poll_timeout().expect("it is tried again");
        check(&mut machine, MachineEvent::Timeout, now, &[Command::Find]);
    }
    assert!((50..=63).contains(&starts), "about one a minute: {starts}");
}

#[test]
fn starts_refused_before_their_payment_cause_no_pause() {
    let now = Instant::now();
    let (mut machine, _) = Machine::new(paid(), Recovery::Retry, HOLD);
    for _ in 0..20 {
        assert!(search(&mut machine, 1, priced, now).is_ok());
        try_later(&mut machine, refused("no capacity"), now);
        check(&mut machine, MachineEvent::Reachable, now, &[Command::Find]);
    }
}

#[test]
fn a_candidate_that_failed_after_its_payment_comes_after_the_others() {
    let now = Instant::now();
    let (mut machine, _) = Machine::new(paid(), Recovery::Retry, HOLD);
    assert_eq!(search(&mut machine, 2, priced, now), Ok(urls(2).remove(0)));
    let next = [Command::Start(urls(2).remove(1), 7)];
    check(&mut machine, failed_paid(Fault::NextPeer), now, &next);
    try_later(&mut machine, refused("no capacity"), now);
    check(&mut machine, MachineEvent::Reachable, now, &[Command::Find]);
    assert_eq!(search(&mut machine, 2, priced, now), Ok(urls(2).remove(1)));
}

#[test]
fn under_recovery_exit_no_fourth_start_is_paid() {
    let now = Instant::now();
    let (mut machine, _) = Machine::new(paid(), Recovery::Exit, HOLD);
    assert!(search(&mut machine, 4, priced, now).is_ok());
    for _ in 0..2 {
        let next = machine.on(failed_paid(Fault::NextPeer), now, SOME);
        assert!(matches!(next.as_slice(), [Command::Start(..)]), "{next:?}");
    }
    let end = machine.on(failed_paid(Fault::NextPeer), now, SOME);
    let [Command::Finish(Outcome::NoCandidateLeft(none))] = end.as_slice() else {
        panic!("{end:?}")
    };
    assert!(none.to_string().contains("o3:8935: not tried"), "{none}");
}

#[test]
fn refused_parameters_are_not_sent_again_until_they_change() {
    let now = Instant::now();
    let (mut machine, _) = Machine::new(paid(), Recovery::Retry, HOLD);
    assert!(search(&mut machine, 1, priced, now).is_ok());
    try_later(&mut machine, failed_paid(Fault::GiveUp), now);
    // Even if the machine searches again, no job is started there.
    check(&mut machine, MachineEvent::Reachable, at(now, 1), &[Command::Find]);
    let commands = search(&mut machine, 1, priced, at(now, 1)).unwrap_err();
    let [Command::TryLater(Outcome::NoCandidateLeft(none))] = commands.as_slice() else {
        panic!("{commands:?}")
    };
    assert!(none.to_string().contains("or when they change"), "{none}");
    assert!(machine.poll_timeout() >= Some(at(now, 600)), "minutes, not seconds");

    check(&mut machine, MachineEvent::NewParams, at(now, 2), &[Command::Find]);
    assert!(search(&mut machine, 1, priced, at(now, 2)).is_ok(), "at once");
}

#[test]
fn refused_parameters_are_sent_again_after_a_long_pause() {
    let start = Instant::now();
    let (mut machine, _) = Machine::new(paid(), Recovery::Retry, HOLD);
    let (mut now, mut starts) = (start, 0);
    while now < at(start, 24 * 3600) {
        if search(&mut machine, 1, priced, now).is_ok() {
            starts += 1;
            try_later(&mut machine, failed_paid(Fault::GiveUp), now);
        }
        now = machine.poll_timeout().expect("it is tried again");
        check(&mut machine, MachineEvent::Timeout, now, &[Command::Find]);
    }
    assert!((10..20).contains(&starts), "{starts} in a day");
}

/// A refusal of the signer, which concerns all orchestrators.
fn of_signer(fault: Fault, retry_after: Option<u64>) -> Failure {
    let retry_after = retry_after.map(Duration::from_secs);
    Failure { scope: Scope::Everyone, fault, retry_after, ..failed("the signer refuses") }
}

#[test]
fn a_signer_is_not_asked_before_its_retry_after() {
    let now = Instant::now();
    let (mut machine, _) = Machine::new(paid(), Recovery::Retry, HOLD);
    let wait = of_signer(Fault::Retry, Some(600));
    // Of five orchestrators, the others are not tried.
    let _ = machine.on(found(urls(5)), now, SOME);
    for url in &urls(5)[1..] {
        let _ = machine.on(MachineEvent::NoAnswer(url.clone(), wait.clone()), now, SOME);
    }
    try_later(&mut machine, MachineEvent::NoAnswer(urls(5).remove(0), wait.clone()), now);
    let now = pause(&mut machine, now, 660);
    // The same when it refuses the payment of a start.
    assert!(search(&mut machine, 5, priced, now).is_ok());
    try_later(&mut machine, MachineEvent::StartFailed { failure: wait, is_paid: false }, now);
    let now = pause(&mut machine, now, 660);
    // The pause is limited, whatever the signer says.
    let ages = of_signer(Fault::Retry, Some(1 << 40));
    assert!(search(&mut machine, 1, priced, now).is_ok());
    try_later(&mut machine, MachineEvent::StartFailed { failure: ages, is_paid: false }, now);
    pause(&mut machine, now, 3960);
}

#[test]
fn failures_that_need_a_person_are_retried_after_minutes() {
    let mut now = Instant::now();
    let (mut machine, _) = Machine::new(paid(), Recovery::Retry, HOLD);
    for seconds in [15, 30, 60, 120, 240, 300, 300] {
        let failure = of_signer(Fault::GiveUp, None);
        try_later(&mut machine, MachineEvent::FindFailed(failure), now);
        now = pause(&mut machine, now, seconds);
    }
}

#[test]
fn an_orchestrator_that_is_left_repeatedly_is_tried_after_the_others() {
    let now = Instant::now();
    let mut machine = live(1, Recovery::Retry, now);
    for lost in 1..=3 {
        let _ = machine.on(MachineEvent::Lost(gone()), now, SOME);
        let _ = machine.on(MachineEvent::Closed, now, SOME);
        if lost < 3 {
            let _ = machine.on(found(urls(1)), now, SOME);
            let _ = machine.on(offered(&urls(1)[0]), now, SOME);
            let _ =
                machine.on(MachineEvent::Started { has_output: true, has_events: true }, now, SOME);
        }
    }
    let now = machine.poll_timeout().expect("it slows down");
    check(&mut machine, MachineEvent::Timeout, now, &[Command::Find]);
    let both: Vec<Url> = urls(2).into_iter().rev().collect();
    check(&mut machine, found(urls(2)), now, &[Command::Ask(both)]);
}
