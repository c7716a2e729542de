//! Jobs that run but give no result: no events or video, closed channels, repeated losses.
//!
//! Does not: stop orchestrators; `faults/orchestrator.rs` does.

use std::time::{Duration, Instant};

use sandbox::{Break, Failure, Role};

use crate::rig::place::Place;
use crate::rig::program::Program;
use crate::rig::scene::Scene;
use crate::rig::table::Row;
use crate::rig::{ms, s, until, wait};

pub(crate) const ROWS: &[Row] = &[
    Row {
        fault: "video is sent, but none is returned",
        must: "the job is started again after 30 s, with the reason in the log",
        seconds: 40,
        play: |scene| silent(scene, Role::Output, &["no processed video for 30 s"]),
    },
    Row {
        fault: "no event",
        must: "the job is started again after 30 s, with the reason in the log",
        seconds: 45,
        play: |scene| silent(scene, Role::Events, &["no event for 30 s"]),
    },
    Row {
        fault: "the publish channel is closed",
        must: "the job is started again at once, with the reason in the log",
        seconds: 8,
        play: |scene| closed(scene, Role::Publish, "publish"),
    },
    Row {
        fault: "the output channel is closed",
        must: "the job is started again at once, with the reason in the log",
        seconds: 8,
        play: |scene| closed(scene, Role::Output, "output"),
    },
    Row {
        fault: "the events channel is closed",
        must: "the job is started again at once, with the reason in the log",
        seconds: 8,
        play: |scene| closed(scene, Role::Events, "events"),
    },
    Row {
        fault: "the channel is not found (404)",
        must: "the job is started again at once, with the reason in the log",
        seconds: 8,
        play: not_found,
    },
    Row {
        fault: "a pre-connected segment is closed",
        must: "the job continues with the next segment",
        seconds: 8,
        play: preconnect,
    },
    Row {
        fault: "more than 2 losses in 3 min",
        must: "each start later than the one before; the log names the input or the model; the agent never ends",
        seconds: 40,
        play: again_and_again,
    },
];

/// Starts an orchestrator, and an agent with a live job on it.
fn live(scene: &Scene) -> (Place, Program) {
    let place = Place::new();
    let agent = scene.agent(&[&place.url()], &[]);
    assert!(place.more_frames(40, s(20)).is_some(), "the job is live");
    (place, agent)
}

fn silent(scene: &mut Scene, role: Role, reason: &[&str]) {
    let (place, agent) = live(scene);
    let at = Instant::now();
    place.always(Failure::Mute(role));
    let left = agent.hear(reason, at, s(45));
    // The 30 s count from the last keep-alive event, which may have come up to 5 s before the silence.
    scene.within("the orchestrator is left after", left, s(32));
    scene.at_least(
        "seconds until the orchestrator is left",
        left.unwrap_or_default().as_secs(),
        24,
    );
    place.sandbox().clear_failures();
    let again = until(s(10), || place.jobs() == 2);
    scene.by("the job is started again after", at + left.unwrap_or_default(), again, s(2));
    scene.right(&place.violations());
}

fn closed(scene: &mut Scene, role: Role, name: &str) {
    let (place, agent) = live(scene);
    let at = Instant::now();
    assert_eq!(place.sandbox().close_channels(role), 1);
    let again = until(s(15), || place.jobs() == 2);
    scene.by("the job is started again after", at, again, s(2));
    let frame = place.next_frame(s(10));
    scene.by("frames after", at, frame, s(3));
    let reason = format!("{name} channel");
    scene.holds("the reason is logged", agent.has_said(&[&reason], at));
    scene.right(&place.violations());
}

fn not_found(scene: &mut Scene) {
    let (place, agent) = live(scene);
    let at = Instant::now();
    for _ in 0..3 {
        place.once(Failure::Post { role: Role::Publish, after: 0, then: Break::Answer(404) });
    }
    let again = until(s(15), || place.jobs() == 2);
    scene.by("the job is started again after", at, again, s(3));
    scene.holds("the reason is logged", agent.has_said(&["publish channel"], at));
}

fn preconnect(scene: &mut Scene) {
    let (place, agent) = live(scene);
    place.once(Failure::Post { role: Role::Publish, after: 0, then: Break::Close });
    let gap = place.longest_gap(s(5));
    scene.within("longest gap", Some(gap), s(2));
    scene.at_most("jobs", place.jobs(), 1);
    scene.right(&place.violations());
    drop(agent);
}

fn again_and_again(scene: &mut Scene) {
    let (place, mut agent) = live(scene);
    let began = Instant::now();
    let mut pauses: Vec<Duration> = Vec::new();
    while pauses.len() < 5 && began.elapsed() < s(60) {
        let jobs = place.jobs();
        let at = Instant::now();
        place.sandbox().close_channels(Role::Publish);
        let Some(next) = until(s(40), || place.jobs() > jobs) else { break };
        pauses.push(next - at);
        wait(ms(300));
    }
    let text: Vec<String> = pauses.iter().map(|p| format!("{:.1}", p.as_secs_f64())).collect();
    scene.note(format!("pauses {} s", text.join(", ")));
    scene.at_least("jobs after 5 losses", place.jobs(), 4);
    let first = pauses.first().copied().unwrap_or_default();
    scene.holds(
        "each pause from the third on is longer than the first",
        pauses.iter().skip(2).all(|p| *p > first + s(1)),
    );
    scene.holds("the log names the input or the model", agent.has_said(&["input", "model"], began));
    scene.holds("the agent runs", agent.runs());
}
