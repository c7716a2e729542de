//! Orchestrators that die, refuse, or are slow.
//!
//! Does not: interrupt links, where packets are lost without an error; `tests/links` does.

use std::net::TcpListener;
use std::time::Instant;

use sandbox::{Break, Failure, InfoFailure, Role};

use crate::rig::place::Place;
use crate::rig::program::Program;
use crate::rig::scene::Scene;
use crate::rig::table::Row;
use crate::rig::{ms, s, until, wait};

/// The parameters of the jobs, which must be the same after a failover.
const PARAMS: &str = r#"{"prompt":"a cat","steps":[1,2]}"#;

pub(crate) const ROWS: &[Row] = &[
    Row {
        fault: "orchestrator killed in mid-segment",
        must: "another is live ≤ 3 s, from a key frame, with the same parameters; capture never stops",
        seconds: 8,
        play: killed,
    },
    Row {
        fault: "orchestrator resets every segment",
        must: "another is live ≤ 3 s",
        seconds: 8,
        play: |scene| refusing(scene, Break::Reset),
    },
    Row {
        fault: "orchestrator refuses every segment (503)",
        must: "another is live ≤ 3 s",
        seconds: 8,
        play: |scene| refusing(scene, Break::Answer(503)),
    },
    Row {
        fault: "the only orchestrator is away for 1 s",
        must: "publishing ≤ 2 s after the orchestrator's return",
        seconds: 8,
        play: |scene| away(scene, 1),
    },
    Row {
        fault: "the only orchestrator is away for 60 s",
        must: "publishing ≤ 2 s after the orchestrator's return; memory flat meanwhile",
        seconds: 70,
        play: |scene| away(scene, 60),
    },
    Row {
        fault: "orchestrator hangs (SIGSTOP)",
        must: "the other has the job ≤ 10 s, and keeps it when the first is back; if the other dies, the first has the job ≤ 3 s",
        seconds: 30,
        play: hangs,
    },
    Row {
        fault: "of two, one is never usable; the other is away for 3 s",
        must: "publishing ≤ 2 s after the orchestrator's return",
        seconds: 15,
        play: one_of_two_restarts,
    },
    Row {
        fault: "of two, one is never usable; the other gives no video for 30 s",
        must: "the job starts at the silent one again ≤ 2 s later, since no other is usable",
        seconds: 50,
        play: one_of_two_is_silent,
    },
    Row {
        fault: "the only orchestrator hangs for 15 s",
        must: "publishing ≤ 2 s after the orchestrator's return",
        seconds: 25,
        play: only_one_hangs,
    },
    Row {
        fault: "orchestrator does not answer: 3 segments in flight",
        must: "left ≤ 10 s",
        seconds: 15,
        play: in_flight,
    },
];

/// A port that nothing listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts two orchestrators and an agent, whose job the first one gets. The first is a process, so that it can be
/// killed.
fn on_the_first(scene: &Scene) -> (Program, Place, Program) {
    let port = free_port();
    let first = scene.orchestrator(port);
    assert!(first.hear(&["orchestrator at"], first.began, s(10)).is_some(), "it starts");
    let second = second();
    let url = format!("https://127.0.0.1:{port}");
    let agent = scene.agent(&[&url, &second.url()], &["--job.params", PARAMS]);
    let runs = first.hear(&["job", " runs"], agent.began, s(20));
    assert!(runs.is_some_and(|_| first.has_said(&[" runs"], agent.began)), "the first has the job");
    (first, second, agent)
}

/// An orchestrator that is chosen second, because it answers later.
fn second() -> Place {
    let second = Place::new();
    second.once(Failure::Info(InfoFailure::Delay(ms(250))));
    second
}

/// Records the conditions that every failover must meet.
fn moved_to(scene: &mut Scene, place: &Place, from: Instant, limit: u64) {
    let live = until(s(limit + 10), || place.frames() > 0);
    scene.by("frames there after", from, live, s(limit));
    place.more_frames(48, s(10));
    scene.right(&place.violations());
}

fn killed(scene: &mut Scene) {
    let (mut first, second, agent) = on_the_first(scene);
    wait(ms(2_500));
    let capture = agent.threads(":src");
    let at = Instant::now();
    first.kill();
    moved_to(scene, &second, at, 3);
    scene.holds(
        "same parameters",
        second.params() == serde_json::from_str::<serde_json::Value>(PARAMS).unwrap(),
    );
    let same = !capture.is_empty() && capture == agent.threads(":src");
    scene.holds("same capture thread", same);
}

fn refusing(scene: &mut Scene, then: Break) {
    let (first, second) = (Place::new(), second());
    let agent = scene.agent(&[&first.url(), &second.url()], &[]);
    assert!(first.more_frames(60, s(20)).is_some(), "the first has the job");
    let at = Instant::now();
    first.always(Failure::Post { role: Role::Publish, after: 1_000, then });
    moved_to(scene, &second, at, 3);
    scene.right(&first.violations());
    drop(agent);
}

fn away(scene: &mut Scene, seconds: u64) {
    let mut only = Place::new();
    let mut agent = scene.agent(&[&only.url()], &[]);
    assert!(only.more_frames(60, s(20)).is_some(), "the orchestrator has the job");
    let before = agent.holds();
    only.die();
    wait(s(seconds));
    scene.holds("the agent runs", agent.runs());
    let meanwhile = agent.holds();
    let back = only.come_back();
    let live = until(s(20), || only.frames() > 0);
    scene.by("frames after the orchestrator's return", back, live, s(2));
    only.more_frames(24, s(5));
    scene.right(&only.violations());
    scene.at_most("memory growth in KiB", meanwhile.rss.saturating_sub(before.rss), 2048);
}

fn hangs(scene: &mut Scene) {
    let (first, mut second, agent) = on_the_first(scene);
    wait(ms(2_500));
    let at = Instant::now();
    first.signal("STOP");
    moved_to(scene, &second, at, 10);
    first.signal("CONT");
    wait(s(5));
    scene.at_most("jobs at the first after the orchestrator's return", runs_since(&first, at), 0);
    scene.at_most("jobs at the second", second.jobs(), 1);
    let died = Instant::now();
    second.die();
    let moved = until(s(20), || runs_since(&first, died) > 0);
    scene.by("a job at the first after the second died", died, moved, s(3));
    drop(agent);
}

/// Starts a job with two orchestrators, of which only one exists. Returns that one and the agent.
fn on_the_good_one(scene: &Scene) -> (Place, Program) {
    let place = Place::new();
    let nobody = format!("https://127.0.0.1:{}", free_port());
    let agent = scene.agent(&[&nobody, &place.url()], &[]);
    assert!(place.more_frames(60, s(20)).is_some(), "the orchestrator has the job");
    (place, agent)
}

fn one_of_two_restarts(scene: &mut Scene) {
    let (mut place, agent) = on_the_good_one(scene);
    place.die();
    wait(s(3));
    let back = place.come_back();
    let live = until(s(30), || place.frames() > 0);
    scene.by("frames after the orchestrator's return", back, live, s(2));
    place.more_frames(24, s(5));
    scene.right(&place.violations());
    drop(agent);
}

fn one_of_two_is_silent(scene: &mut Scene) {
    let (place, agent) = on_the_good_one(scene);
    let at = Instant::now();
    place.always(Failure::Mute(Role::Output));
    let left = agent.hear(&["no processed video for 30 s"], at, s(45));
    let left = at + left.unwrap_or_default();
    place.sandbox().clear_failures();
    let again = until(s(30), || place.jobs() == 2);
    scene.by("a new job at the same orchestrator after", left, again, s(2));
    place.more_frames(24, s(5));
    scene.right(&place.violations());
}

fn runs_since(orchestrator: &Program, then: Instant) -> u64 {
    let said = orchestrator.said_since(then);
    said.iter().filter(|line| line.contains("job") && line.contains(" runs")).count() as u64
}

fn only_one_hangs(scene: &mut Scene) {
    let port = free_port();
    let only = scene.orchestrator(port);
    assert!(only.hear(&["orchestrator at"], only.began, s(10)).is_some(), "it starts");
    let mut agent = scene.agent(&[&format!("https://127.0.0.1:{port}")], &[]);
    assert!(only.hear(&[" runs"], agent.began, s(20)).is_some(), "the orchestrator has the job");
    wait(ms(2_500));
    only.signal("STOP");
    wait(s(15));
    scene.holds("the agent runs", agent.runs());
    let back = Instant::now();
    only.signal("CONT");
    scene.within("a job after the orchestrator's return", only.hear(&[" runs"], back, s(20)), s(2));
}

fn in_flight(scene: &mut Scene) {
    let (first, second) = (Place::new(), second());
    let agent = scene.agent(&[&first.url(), &second.url()], &["--video.bitrate", "500000"]);
    assert!(first.more_frames(60, s(20)).is_some(), "the first has the job");
    let at = Instant::now();
    // The orchestrator stops reading, but the rest of a segment fits into the socket buffers: the publisher has sent
    // the segment and waits for the answer.
    first.always(Failure::Post { role: Role::Publish, after: 20_000, then: Break::Stall });
    moved_to(scene, &second, at, 10);
    drop(agent);
}
