//! Tests the judgement of each link, for each failure.
//!
//! Does not: test how the facts are collected.

use std::time::{Duration, Instant};

use super::*;
use crate::status::facts::{ClockFacts, NoJob, Unwanted};
use crate::status::sample::{facts, moved, report};
use crate::status::schema::violations;
use resilience::meter::Reading;

const SECOND: Duration = Duration::from_secs(1);

/// Checks the states in the order of the chain, `o`, `w` or `f` each, and the line for the service manager.
#[track_caller]
fn check(trouble: impl FnOnce(&mut Facts), states: &str, line: &str) -> [Judged; 9] {
    let now = Instant::now() + Duration::from_secs(3600);
    let mut facts = facts(now);
    trouble(&mut facts);
    let links = judge(&facts);
    let found: String = links.iter().map(|link| &link.state.name()[..1]).collect();
    assert_eq!((found.as_str(), summary(&links, &facts).as_str()), (states, line), "{links:#?}");
    let needed = if facts.agent.unwanted.is_some() { "oo" } else { "oooooo" };
    let is_ready = is_ready(&links, &facts);
    assert_eq!(is_ready, found.starts_with(needed));
    let report = report(&facts);
    assert_eq!((report.ready, report.summary.as_str()), (is_ready, line));
    assert_eq!(violations(&serde_json::to_value(&report).unwrap()), [""; 0]);
    for link in &links {
        let must_say = link.state != LinkState::Ok;
        assert!(!must_say || !link.why.is_empty(), "{link:?}");
        assert!(link.state != LinkState::Failed || !link.advice.is_empty(), "{link:?}");
    }
    links
}

/// The time `seconds` before the time of the facts.
fn ago(facts: &Facts, seconds: u64) -> Instant {
    facts.now - Duration::from_secs(seconds)
}

fn stop(reading: &mut Reading, last: Instant) {
    *reading = moved(reading.count, last);
}

#[test]
fn everything_moves() {
    check(|_| (), "ooooooooo", "live at o.example:8935");
}

#[test]
fn a_lost_camera_fails_and_all_behind_it_wait() {
    let lost = |facts: &mut Facts| {
        facts.agent.camera = CameraFacts::Lost("camera unplugged".to_owned());
        facts.agent.is_held = true;
        let last = ago(facts, 20);
        for reading in [&mut facts.captured, &mut facts.encoded, &mut facts.uplink.bytes] {
            stop(reading, last);
        }
        stop(&mut facts.uplink.segments, last);
        stop(&mut facts.returned.bytes, last);
    };
    check(lost, "fwwowwwoo", "live at o.example:8935, without video: camera unplugged");
    let dark = |facts: &mut Facts| {
        lost(facts);
        facts.agent.stage = Stage::Dark;
    };
    check(dark, "fwwwwwwwo", "waiting for video: camera unplugged");
}

#[test]
fn a_camera_that_gives_no_frames_is_not_ok_within_five_seconds() {
    let quiet = |seconds| {
        move |facts: &mut Facts| {
            let last = ago(facts, seconds);
            stop(&mut facts.captured, last);
            stop(&mut facts.encoded, last);
        }
    };
    check(quiet(2), "ooooooooo", "live at o.example:8935");
    check(quiet(4), "fwwowoooo", "live at o.example:8935; the camera gives no frames");
}

#[test]
fn a_camera_for_time_lapses_may_be_slow() {
    let slow = |seconds| {
        move |facts: &mut Facts| {
            let (last, gap) = (ago(facts, seconds), 5 * SECOND);
            for reading in [&mut facts.captured, &mut facts.encoded] {
                *reading = Reading { gap, ..moved(reading.count, last) };
            }
        }
    };
    check(slow(14), "ooooooooo", "live at o.example:8935");
}

#[test]
fn a_source_of_a_frame_every_eight_seconds_works_all_the_way() {
    let slow = |seconds| {
        move |facts: &mut Facts| {
            let (last, gap) = (ago(facts, seconds), 8 * SECOND);
            let Facts { captured, encoded, uplink, returned, .. } = facts;
            for reading in [captured, encoded, &mut uplink.bytes, &mut uplink.segments] {
                *reading = Reading { gap, ..moved(reading.count, last) };
            }
            stop(&mut returned.bytes, last);
        }
    };
    for seconds in [1, 7, 16, 23] {
        check(slow(seconds), "ooooooooo", "live at o.example:8935");
    }
    check(slow(25), "fwwowwwoo", "live at o.example:8935; the camera gives no frames");
}

#[test]
fn a_single_frame_is_no_pace_to_judge_by() {
    let single = |seconds| {
        move |facts: &mut Facts| {
            let last = ago(facts, seconds);
            for reading in [&mut facts.captured, &mut facts.encoded] {
                *reading = Reading { gap: Duration::ZERO, ..moved(1, last) };
            }
        }
    };
    check(single(9), "ooooooooo", "live at o.example:8935");
    check(single(11), "fwwowoooo", "live at o.example:8935; the camera gives no frames");
}

#[test]
fn an_encoder_is_judged_by_the_pace_of_its_source() {
    let slow = |facts: &mut Facts| {
        facts.captured = Reading { gap: 5 * SECOND, ..moved(3, ago(facts, 1)) };
        facts.encoded = Reading { gap: SECOND, ..moved(2, ago(facts, 6)) };
    };
    check(slow, "ooooooooo", "live at o.example:8935");
    // Nothing has come out, and the frames still come in.
    let first = |facts: &mut Facts| {
        facts.agent.camera = CameraFacts::Playing(ago(facts, 12));
        facts.captured = Reading { gap: 5 * SECOND, ..moved(3, ago(facts, 1)) };
        facts.encoded = Reading::default();
    };
    check(first, "owwowoooo", "live at o.example:8935");
}

#[test]
fn a_camera_waits_for_a_job_and_then_for_its_first_frame() {
    let none = |facts: &mut Facts| {
        facts.captured = Reading::default();
        facts.encoded = Reading::default();
    };
    let ready = |facts: &mut Facts| {
        none(facts);
        facts.agent.stage = Stage::Finding;
        facts.agent.camera = CameraFacts::Ready;
    };
    let links = check(ready, "wwwwwwwwo", "looking for orchestrators");
    assert_eq!(links[0].why, "the camera is open; frames begin with the job");
    let first = |facts: &mut Facts| {
        none(facts);
        facts.agent.camera = CameraFacts::Playing(ago(facts, 9));
    };
    let links = check(first, "wwwowoooo", "live at o.example:8935");
    assert_eq!(links[0].why, "waiting for the first frame");
}

#[test]
fn an_encoder_that_gives_nothing_fails() {
    let stalled = |facts: &mut Facts| {
        let last = ago(facts, 4);
        stop(&mut facts.encoded, last);
    };
    let line = "live at o.example:8935; frames go into the encoder, and none comes out";
    check(stalled, "ofwowoooo", line);
    let broken = |facts: &mut Facts| {
        facts.agent.camera = CameraFacts::EncoderFailed("encoder x264enc: no memory".to_owned());
        facts.agent.is_held = true;
    };
    let line = "live at o.example:8935, without video: encoder x264enc: no memory";
    check(broken, "wfwowoooo", line);
}

#[test]
fn a_link_that_is_down_fails() {
    let down = |facts: &mut Facts| facts.uplink.is_failing = true;
    let line = "live at o.example:8935; no video gets through to o.example:8935";
    check(down, "oofowoooo", line);
    let unconfirmed = |facts: &mut Facts| {
        let last = ago(facts, 16);
        stop(&mut facts.uplink.segments, last);
    };
    let line = "live at o.example:8935; segments are sent, and none is confirmed";
    check(unconfirmed, "oofowoooo", line);
    let unsent = |facts: &mut Facts| {
        let last = ago(facts, 16);
        stop(&mut facts.uplink.segments, last);
        stop(&mut facts.uplink.bytes, last);
    };
    check(unsent, "oofowoooo", "live at o.example:8935; no video is sent");
}

#[test]
fn a_new_job_waits_for_its_first_segment_and_its_first_video() {
    let new = |seconds: u64, has_sent: bool| {
        move |facts: &mut Facts| {
            let live = ago(facts, seconds);
            facts.returned.live_since = Some(live);
            // What an earlier job sent and returned does not count.
            stop(&mut facts.returned.bytes, live - SECOND);
            if !has_sent {
                stop(&mut facts.uplink.segments, live - SECOND);
            }
        }
    };
    let live = "live at o.example:8935";
    check(new(5, false), "oowowwwoo", live);
    check(new(5, true), "oooowwwoo", live);
}

#[test]
fn a_job_that_nobody_takes_says_why_and_what_helps() {
    let none = |why: &'static str, needs_change: bool| {
        move |facts: &mut Facts| {
            let until = facts.now + SECOND;
            facts.agent.stage = Stage::Waiting { until };
            facts.agent.no_job = NoJob { why: why.to_owned(), needs_change };
        }
    };
    let capped = "o.example:8935: has no capacity left";
    let links = check(none(capped, false), "oowfwwwwo", &format!("no job: {capped}"));
    assert!(links[3].advice.starts_with("nothing: the agent tries again"), "{links:?}");
    let wrong = "no orchestrator is known; name one, or a discovery endpoint";
    let links = check(none(wrong, true), "oowfwwwwo", &format!("no job: {wrong}"));
    assert!(links[3].advice.starts_with("change the configuration"), "{links:?}");
}

#[test]
fn each_step_to_a_job_is_a_wait() {
    let at = |stage| move |facts: &mut Facts| facts.agent.stage = stage;
    let until = Instant::now();
    check(at(Stage::Finding), "oowwwwwwo", "looking for orchestrators");
    check(at(Stage::Selecting { until }), "oowwwwwwo", "asking orchestrators");
    check(at(Stage::Starting), "oowwwwwwo", "starting the job at o.example:8935");
    check(at(Stage::Leaving), "oowwwwwwo", "closing the job at o.example:8935");
    check(at(Stage::Ending), "oowwwwwwo", "stopping");
}

#[test]
fn a_job_that_is_not_wanted_is_not_a_fault() {
    let idle = |stage: Stage| {
        move |facts: &mut Facts| {
            let (why, advice) = ("waiting for motion".to_owned(), "nothing");
            let since = ago(facts, 90);
            facts.agent.stage = stage;
            facts.agent.unwanted = Some(Unwanted { why, advice, since });
        }
    };
    check(idle(Stage::Finding), "oowwwwwwo", "waiting for motion");
    check(idle(Stage::Dark), "oowwwwwwo", "waiting for motion");
    check(idle(Stage::Leaving), "oowwwwwwo", "closing the job at o.example:8935");
    let without_camera = |facts: &mut Facts| {
        idle(Stage::Dark)(facts);
        facts.agent.is_held = true;
        facts.agent.camera = CameraFacts::Lost("camera unplugged".to_owned());
    };
    let line = "waiting for motion, without video: camera unplugged";
    check(without_camera, "fwwwwwwwo", line);

    // Its age is that of the reason.
    let mut facts = facts(Instant::now() + Duration::from_secs(3600));
    let mut memory = Memory::default();
    let _ = memory.note(&judge(&facts), facts.now);
    idle(Stage::Dark)(&mut facts);
    let [_, _, _, age, ..] = memory.note(&judge(&facts), facts.now);
    assert_eq!(age, 90 * SECOND);
}

#[test]
fn a_model_that_refuses_its_parameters_fails() {
    let why = "the model reports an error: unknown effect";
    let refused = |facts: &mut Facts| facts.model = Some(why.to_owned());
    check(refused, "oooofoooo", &format!("live at o.example:8935; {why}"));
}

#[test]
fn video_that_does_not_come_back_fails_in_the_end() {
    let silent = |live: u64| {
        move |facts: &mut Facts| {
            facts.returned.live_since = Some(ago(facts, live));
            facts.returned.bytes = Reading::default();
        }
    };
    check(silent(29), "oooowwwoo", "live at o.example:8935");
    let line = "live at o.example:8935; no processed video comes back";
    check(silent(31), "oooowfwoo", line);
    let stopped = |facts: &mut Facts| {
        let last = ago(facts, 13);
        stop(&mut facts.returned.bytes, last);
    };
    check(stopped, "oooowfwoo", line);
}

#[test]
fn a_job_that_returns_no_video_is_judged_by_its_events() {
    let events = |seconds: u64| {
        move |facts: &mut Facts| {
            facts.returned.has_output = false;
            facts.returned.bytes = Reading::default();
            let last = ago(facts, seconds);
            stop(&mut facts.returned.events, last);
        }
    };
    check(events(5), "ooooooooo", "live at o.example:8935");
    check(events(13), "oooowoooo", "live at o.example:8935");
}

#[test]
fn an_output_that_cannot_be_written_fails_alone() {
    let full = |facts: &mut Facts| {
        let output = &mut facts.outputs[0];
        (output.state, output.why) = (LinkState::Failed, "the disk is full".to_owned());
    };
    let line = "live at o.example:8935; output output.path: the disk is full";
    check(full, "oooooofoo", line);
    check(|facts| facts.outputs.clear(), "ooooooooo", "live at o.example:8935");
}

#[test]
fn a_payment_that_fails_is_named() {
    let refused = |facts: &mut Facts| facts.payment.failure = Some("no funds".to_owned());
    check(refused, "ooooooofo", "live at o.example:8935; payment failed: no funds");
    let over = |facts: &mut Facts| facts.payment.paid_until = Some(facts.now);
    check(over, "ooooooofo", "live at o.example:8935; the time that was paid for is over");
    check(|facts| facts.payment.paid_until = None, "ooooooooo", "live at o.example:8935");
    check(|facts| facts.payment.has_signer = false, "ooooooooo", "live at o.example:8935");
}

#[test]
fn a_clock_in_doubt_is_named() {
    let awaited = |facts: &mut Facts| facts.agent.clock = ClockFacts::Awaited;
    check(awaited, "oooooooow", "live at o.example:8935");
    let doubted =
        |facts: &mut Facts| facts.agent.clock = ClockFacts::Doubted("o.example:8935".to_owned());
    let line = "live at o.example:8935; the clock is not synchronised: certificates of o.example:8935 are accepted unless they expired before this program was built";
    check(doubted, "oooooooof", line);
}

#[test]
fn a_state_lasts_from_its_change_on() {
    let now = Instant::now() + Duration::from_secs(3600);
    let mut memory = Memory::default();
    let good = judge(&facts(now));
    let mut bad = facts(now);
    bad.agent.camera = CameraFacts::Lost("gone".to_owned());
    let bad = judge(&bad);
    assert_eq!(memory.note(&good, now)[0], Duration::ZERO);
    assert_eq!(memory.note(&good, now + 5 * SECOND)[0], 5 * SECOND);
    assert_eq!(memory.note(&bad, now + 6 * SECOND)[0], Duration::ZERO);
    let ages = memory.note(&bad, now + 8 * SECOND);
    assert_eq!((ages[0], ages[3]), (2 * SECOND, 8 * SECOND));
}
