//! Cameras that disappear, stall, fail and change, with each value of `source.on-camera-loss`.
//!
//! Does not: rename cameras; `cross/device.sh` does, on an emulated device.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::rig::camera::Camera;
use crate::rig::place::{Place, Wrong};
use crate::rig::program::Program;
use crate::rig::scene::Scene;
use crate::rig::table::Row;
use crate::rig::{ms, s, until, wait};

pub(crate) const ROWS: &[Row] = &[
    Row {
        fault: "camera gone for 10 s (hold)",
        must: "noticed ≤ 3 s; job kept; frames ≤ 2 s after the camera's return",
        seconds: 20,
        play: |scene| gone(scene, 10),
    },
    Row {
        fault: "camera gone for 45 s (hold)",
        must: "noticed ≤ 3 s; job kept; frames ≤ 2 s after the camera's return",
        seconds: 55,
        play: |scene| gone(scene, 45),
    },
    Row {
        fault: "camera stalls for 10 s without an error",
        must: "noticed ≤ 3 s; job kept; frames ≤ 2 s after the stall",
        seconds: 20,
        play: stalled,
    },
    Row {
        fault: "camera sends nothing for 25 s, but can be opened",
        must: "noticed ≤ 3 s; job kept; frames ≤ 2 s after the camera's return",
        seconds: 35,
        play: silent,
    },
    Row {
        fault: "camera gone for 75 s (hold)",
        must: "job kept for 60 s, then ended; frames in a new job ≤ 2 s after the camera's return",
        seconds: 85,
        play: gone_for_long,
    },
    Row {
        fault: "camera gone (on-camera-loss slate)",
        must: "a still picture in place of the camera; job kept; camera's frames ≤ 2 s after the camera's return",
        seconds: 25,
        play: slate,
    },
    Row {
        fault: "camera gone (on-camera-loss stop)",
        must: "job ended ≤ 5 s; a new one ≤ 2 s after the camera's return",
        seconds: 25,
        play: stop,
    },
    Row {
        fault: "camera away at the start",
        must: "frames ≤ 2 s after the camera is plugged in",
        seconds: 15,
        play: away_at_the_start,
    },
    Row {
        fault: "camera gone and back 100 times",
        must: "after 100 times as many threads and descriptors as after 10, and ≤ 2 MiB more; job kept",
        seconds: 190,
        play: |scene| cycles(scene, 100),
    },
    Row {
        fault: "encoder stops without an error, each time after 4 s",
        must: "noticed ≤ 3 s, frames ≤ 2 s later; after 2 failures the next encoder; job kept",
        seconds: 40,
        play: encoder_stops,
    },
    Row {
        fault: "GStreamer error every 3 s",
        must: "pipeline restarted, no gap over 4 s; job kept",
        seconds: 20,
        play: |scene| breaks(scene, "! identity error-after=72"),
    },
    Row {
        fault: "end of stream every 3 s",
        must: "pipeline restarted, no gap over 4 s; job kept",
        seconds: 20,
        play: |scene| breaks(scene, "! identity eos-after=72"),
    },
    Row {
        fault: "a film that is repeated",
        must: "no gap over 2 s; job kept",
        seconds: 20,
        play: film,
    },
    Row {
        fault: "size and rate change in the stream",
        must: "video continues from a key frame; job kept",
        seconds: 20,
        play: caps_change,
    },
];

/// Any of these in a log line counts as noticing that frames stopped.
const NOTICED: &[&str] = &["WARN"];

/// A live job with video of a camera. `on_loss` is the value of `source.on-camera-loss`.
fn live<'a>(scene: &'a Scene, on_loss: &str) -> (Camera<'a>, Place, Program) {
    live_with(scene, Camera::local(scene), on_loss)
}

fn live_with<'a>(
    scene: &'a Scene,
    camera: Camera<'a>,
    on_loss: &str,
) -> (Camera<'a>, Place, Program) {
    let place = Place::new();
    let agent =
        of_fragment(scene, &place, &camera.fragment(), &["--source.on-camera-loss", on_loss]);
    assert!(place.more_frames(60, s(20)).is_some(), "the job is live");
    (camera, place, agent)
}

fn of_fragment(scene: &Scene, place: &Place, fragment: &str, more: &[&str]) -> Program {
    let source = ["--source.kind", "pipeline", "--source.fragment", fragment];
    scene.agent(&[&place.url()], &[&source[..], more].concat())
}

/// The measurements of a row. They are recorded once the camera, which borrows the scene, is dropped.
struct Seen {
    noticed: Option<Duration>,
    back: Option<Duration>,
    jobs: u64,
    violations: Wrong,
}

impl Seen {
    fn record(&self, scene: &mut Scene) {
        scene.within("noticed after", self.noticed, s(3));
        scene.within("frames after the camera's return", self.back, s(2));
        scene.at_most("jobs", self.jobs, 1);
        scene.right(&self.violations);
    }
}

/// Does something to a camera. Returns the time at which it was done.
type Action = fn(&mut Camera<'_>) -> Instant;

/// Removes a camera with `lose`, and brings it back with `give_back` after `seconds`.
fn away(
    scene: &mut Scene,
    camera: for<'a> fn(&'a Scene) -> Camera<'a>,
    seconds: u64,
    (lose, give_back): (Action, Action),
) {
    let seen = {
        let (mut camera, place, agent) = live_with(scene, camera(scene), "hold");
        let at = lose(&mut camera);
        let noticed = agent.hear(NOTICED, at, s(5));
        wait(s(seconds).saturating_sub(at.elapsed()));
        let back = give_back(&mut camera);
        let frame = place.next_frame(s(20)).map(|frame| frame - back);
        place.more_frames(48, s(5));
        Seen { noticed, back: frame, jobs: place.jobs(), violations: place.violations() }
    };
    seen.record(scene);
}

fn gone(scene: &mut Scene, seconds: u64) {
    away(
        scene,
        |scene| Camera::local(scene),
        seconds,
        (|camera| camera.pull_out(), |camera| camera.plug_in()),
    );
}

fn stalled(scene: &mut Scene) {
    away(
        scene,
        |scene| Camera::remote(scene),
        10,
        (|camera| camera.stall(), |camera| camera.go_on()),
    );
}

/// The agent's next attempt to open the camera may come just after the camera's return.
fn silent(scene: &mut Scene) {
    away(
        scene,
        |scene| Camera::remote(scene),
        25,
        (|camera| camera.pull_out(), |camera| camera.plug_in()),
    );
}

fn gone_for_long(scene: &mut Scene) {
    let (ended, frame, jobs) = {
        let (mut camera, place, _agent) = live(scene, "hold");
        let at = camera.pull_out();
        let ended = until(s(75), || place.sandbox().manifests().is_empty()).map(|end| end - at);
        wait(s(75).saturating_sub(at.elapsed()));
        let back = camera.plug_in();
        (ended, place.next_frame(s(20)).map(|frame| frame - back), place.jobs())
    };
    scene.within("job ended after", ended, s(66));
    scene.at_least("seconds until the job ended", ended.unwrap_or_default().as_secs(), 55);
    scene.within("frames after the camera's return", frame, s(2));
    scene.at_most("jobs", jobs, 2);
}

fn slate(scene: &mut Scene) {
    let (noticed, gap, jobs, violations) = {
        let (mut camera, place, agent) = live(scene, "slate");
        let at = camera.pull_out();
        let gap = place.longest_gap(s(12));
        let noticed = agent.hear(NOTICED, at, s(1));
        camera.plug_in();
        place.more_frames(72, s(10));
        (noticed, gap, place.jobs(), place.violations())
    };
    scene.within("noticed after", noticed, s(3));
    // The still picture is sent only once the loss is noticed, which leaves a gap.
    scene.within("longest gap", Some(gap), s(4));
    scene.at_most("jobs", jobs, 1);
    scene.right(&violations);
}

fn stop(scene: &mut Scene) {
    let (ended, frame, jobs) = {
        let (mut camera, place, _agent) = live(scene, "stop");
        let at = camera.pull_out();
        let ended = until(s(10), || place.sandbox().manifests().is_empty()).map(|end| end - at);
        wait(s(10).saturating_sub(at.elapsed()));
        let back = camera.plug_in();
        (ended, place.next_frame(s(20)).map(|frame| frame - back), place.jobs())
    };
    scene.within("job ended after", ended, s(5));
    scene.within("frames after the camera's return", frame, s(2));
    scene.at_most("jobs", jobs, 2);
}

fn away_at_the_start(scene: &mut Scene) {
    let (runs, frame) = {
        let mut camera = Camera::local(scene);
        let place = Place::new();
        camera.pull_out();
        let mut agent = of_fragment(scene, &place, &camera.fragment(), &[]);
        wait(s(5));
        let runs = agent.runs();
        let back = camera.plug_in();
        (runs, until(s(10), || place.frames() > 0).map(|frame| frame - back))
    };
    scene.holds("the agent runs", runs);
    scene.within("frames after the camera is plugged in", frame, s(2));
}

fn cycles(scene: &mut Scene, times: u32) {
    const WARM_UP: u32 = 10;
    let mut memory = Vec::new();
    let (early, late, slowest, jobs, violations) = {
        let (mut camera, place, agent) = live(scene, "hold");
        let (mut early, mut slowest) = (agent.holds(), Some(Duration::ZERO));
        for nth in 0..times {
            camera.pull_out();
            wait(ms(300));
            let back = camera.plug_in();
            let took = place.more_frames(4, s(10)).map(|frame| frame - back);
            slowest = slowest.zip(took).map(|(a, b)| a.max(b));
            if slowest.is_none() {
                break;
            }
            if nth + 1 == WARM_UP {
                early = agent.holds();
            }
            if (nth + 1) % (times / 5) == 0 {
                memory.push((agent.holds().rss / 1024).to_string());
            }
        }
        wait(s(2));
        (early, agent.holds(), slowest, place.jobs(), place.violations())
    };
    scene.within("slowest return", slowest, s(2));
    scene.note(format!("memory {} MiB", memory.join(", ")));
    scene.at_most("additional threads", late.threads.saturating_sub(early.threads), 0);
    // The sample may include one more open connection, which has two descriptors: the socket and a duplicate of it.
    scene.at_most("additional descriptors", late.fds.saturating_sub(early.fds), 2);
    scene.at_most("memory growth in KiB", late.rss.saturating_sub(early.rss), 2048);
    scene.at_most("jobs", jobs, 1);
    scene.right(&violations);
}

fn breaks(scene: &mut Scene, how: &str) {
    let place = Place::new();
    let source = "videotestsrc is-live=true ! video/x-raw,width=320,height=180,framerate=24/1";
    let mut agent = of_fragment(scene, &place, &format!("{source} {how}"), &[]);
    assert!(place.more_frames(24, s(20)).is_some(), "the job is live");
    steady(scene, &place, &mut agent, 4, 12);
}

fn encoder_stops(scene: &mut Scene) {
    let library = scene.path("silent.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/silent_encoder.c");
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-O1", source, "-ldl", "-o"]).arg(&library);
    if !compile.status().is_ok_and(|status| status.success()) {
        return scene.lacks("needs a C compiler");
    }
    let place = Place::new();
    let mut job = scene.job(&[&place.url()], &[]);
    job.env("LD_PRELOAD", &library);
    let mut agent = scene.program("agent", job);
    assert!(place.more_frames(24, s(20)).is_some(), "the job is live");
    // Two failures, each noticed after 2 s, and then the start of a new pipeline.
    let longest = place.longest_gap(s(25));
    scene.within("longest gap", Some(longest), s(5));
    let told = agent.said_since(agent.began);
    let failed = told.iter().filter(|line| line.contains("none came out")).count() as u64;
    scene.at_least("failures logged", failed, 1);
    scene.holds("the next encoder is used", agent.has_said(&["encoder openh264enc"], agent.began));
    let steady = place.longest_gap(s(6));
    scene.within("longest gap after that", Some(steady), s(1));
    scene.holds("the agent runs", agent.runs());
    scene.at_most("jobs", place.jobs(), 1);
    scene.right(&place.violations());
}

fn film(scene: &mut Scene) {
    let path = scene.path("film.mkv");
    let source = "videotestsrc num-buffers=72 ! video/x-raw,width=320,height=180,framerate=24/1";
    let encode = "x264enc speed-preset=ultrafast key-int-max=24 ! h264parse ! matroskamux";
    let place = Place::new();
    let mut make = Command::new("gst-launch-1.0");
    make.args(format!("-q {source} ! {encode} ! filesink").split(' '));
    make.arg(format!("location={}", path.display()));
    assert!(make.status().unwrap().success(), "the film is made");
    let arguments = ["--source.kind", "file", "--source.repeat", "true", "--source.path"];
    let mut agent =
        scene.agent(&[&place.url()], &[&arguments[..], &[path.to_str().unwrap()]].concat());
    assert!(place.more_frames(24, s(20)).is_some(), "the job is live");
    steady(scene, &place, &mut agent, 2, 12);
}

fn caps_change(scene: &mut Scene) {
    let place = Place::new();
    let first = "videotestsrc num-buffers=120 ! video/x-raw,width=320,height=180,framerate=24/1";
    let then = "videotestsrc ! video/x-raw,width=640,height=360,framerate=12/1";
    // `concat` forwards the caps of each input, so the caps change in the middle of the stream; `clocksync` makes the
    // stream real time.
    let fragment = format!("{first} ! c. {then} ! c. concat name=c ! clocksync");
    let mut agent = of_fragment(scene, &place, &fragment, &[]);
    assert!(place.more_frames(24, s(20)).is_some(), "the job is live");
    steady(scene, &place, &mut agent, 4, 12);
}

/// Asserts that for `seconds` frames flow in one job, without a gap of more than `gap` seconds.
fn steady(scene: &mut Scene, place: &Place, agent: &mut Program, gap: u64, seconds: u64) {
    let (began, before) = (Instant::now(), place.frames());
    let longest = place.longest_gap(s(seconds));
    let rate = (place.frames() - before) as f64 / began.elapsed().as_secs_f64();
    scene.within("longest gap", Some(longest), s(gap));
    scene.note(format!("{rate:.1} frames/s"));
    scene.holds("the agent runs", agent.runs());
    scene.at_most("jobs", place.jobs(), 1);
    scene.right(&place.violations());
}
