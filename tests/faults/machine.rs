//! The computer itself: its disk, its configuration, the process, and the length of its log.
//!
//! Does not: restart the process; systemd does, on an emulated device (`cross/device.sh`). The clock is in `clock`.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::rig::place::Place;
use crate::rig::program::Program;
use crate::rig::scene::Scene;
use crate::rig::table::Row;
use crate::rig::{ms, s, until, wait};

pub(crate) const ROWS: &[Row] = &[
    Row {
        fault: "state directory cannot be written",
        must: "live, with a warning",
        seconds: 10,
        play: |scene| state_at(scene, Path::new("/sys/livepeer-edge")),
    },
    Row {
        fault: "disk of the state directory is full",
        must: "live, with a warning",
        seconds: 10,
        play: full,
    },
    Row {
        fault: "disk of the output is full, then has room",
        must: "the job continues; one warning; the output is written again within 12 s after the disk has room",
        seconds: 30,
        play: full_output,
    },
    Row {
        fault: "state files torn",
        must: "live, with a warning; the file is renamed",
        seconds: 10,
        play: torn,
    },
    Row {
        fault: "broken configuration at SIGHUP, then a good one",
        must: "the last valid configuration stays, the mistake is logged; after the correction only changed parts restart",
        seconds: 20,
        play: reload,
    },
    Row {
        fault: "a good configuration at SIGHUP, under a service manager",
        must: "saved as the last working configuration after 30 s of returned video, not before",
        seconds: 50,
        play: reload_is_kept,
    },
    Row {
        fault: "SIGHUP to a camera that does not open for 90 s",
        must: "job kept for 60 s, then ended; no job without a camera; frames ≤ 2 s after the camera opens",
        seconds: 110,
        play: reload_without_camera,
    },
    Row {
        fault: "agent killed 12 s into a job, started again (power cut)",
        must: "the job of the killed agent is ended; frames ≤ 5 s after the start",
        seconds: 35,
        play: killed,
    },
    Row {
        fault: "process hangs (SIGSTOP)",
        must: "the watchdog is fed while frames move, and not while the process hangs",
        seconds: 20,
        play: process_hangs,
    },
    Row {
        fault: "no orchestrator for 30 s under a watchdog of 6 s",
        must: "the watchdog is fed, since the wait has a time limit",
        seconds: 40,
        play: fed_while_waiting,
    },
    Row {
        fault: "outage of 2 min",
        must: "at most 10 lines: each `LogThrottle` passes at most 32 an hour",
        seconds: 130,
        play: log_discipline,
    },
];

/// Starts a job with this state directory, and records whether it becomes live.
fn state_at(scene: &mut Scene, directory: &Path) {
    let place = Place::new();
    let mut job = scene.job(&[&place.url()], &[]);
    job.env("STATE_DIRECTORY", directory);
    let agent = scene.program("agent", job);
    lives(scene, &place, &agent);
    let told = agent.has_said(&[&directory.display().to_string()], agent.began);
    scene.holds("the path is in the log", told && agent.has_said(&["WARN"], agent.began));
}

fn lives(scene: &mut Scene, place: &Place, agent: &Program) {
    let live = place.more_frames(48, s(20));
    scene.by("2 s of frames after", agent.began, live, s(8));
    scene.right(&place.violations());
}

fn full(scene: &mut Scene) {
    let (place, disk) = (Place::new(), scene.path("disk"));
    fs::create_dir_all(&disk).unwrap();
    let job = scene.job(&[&place.url()], &[]);
    // The shell mounts a file system, fills it, and then executes the program.
    let script = "mount -t tmpfs -o size=4k tmpfs \"$0\" || exit 77
        head -c 8192 /dev/zero >\"$0/full\" 2>/dev/null
        exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(&disk);
    command.arg(job.get_program()).args(job.get_args()).env("STATE_DIRECTORY", &disk);
    let mut agent = scene.program("agent", command);
    wait(ms(500));
    if agent.ended().is_some() {
        return scene.lacks("needs root, to mount a file system");
    }
    lives(scene, &place, &agent);
    let told = agent.has_said(&["space", "full"], agent.began);
    scene.holds("logged", told && agent.has_said(&["WARN"], agent.began));
}

fn full_output(scene: &mut Scene) {
    let (place, disk) = (Place::new(), scene.path("disk"));
    fs::create_dir_all(&disk).unwrap();
    let output = disk.join("out.ts");
    let job = scene.job(&[&place.url()], &["--output.path", output.to_str().unwrap()]);
    // The file system has room for a few segments.
    let script = "mount -t tmpfs -o size=1m tmpfs \"$0\" || exit 77
        exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(&disk);
    command.arg(job.get_program()).args(job.get_args());
    let mut agent = scene.program("agent", command);
    wait(ms(500));
    if agent.ended().is_some() {
        return scene.lacks("needs root, to mount a file system");
    }
    lives(scene, &place, &agent);
    let full = agent.hear(&["WARN", "cannot write", "space"], agent.began, s(30));
    scene.holds("logged", full.is_some());
    let live = place.more_frames(48, s(20));
    scene.holds("the job continues", live.is_some() && place.jobs() == 1);
    // The mounted file system is visible only in the agent's mount namespace.
    let seen = Path::new("/proc").join(agent.id().to_string()).join("root");
    let seen = seen.join(output.strip_prefix("/").unwrap());
    fs::File::create(seen).unwrap();
    let room = Instant::now();
    let written = agent.hear(&["is written again"], room, s(30));
    scene.by("the output is written again after", room, written.map(|after| room + after), s(12));
    let told = agent.said_since(agent.began);
    let told = told.iter().filter(|line| line.contains("WARN") && line.contains("cannot write"));
    scene.holds("logged once", told.count() == 1);
}

fn torn(scene: &mut Scene) {
    let (place, state) = (Place::new(), scene.path("state"));
    fs::create_dir_all(&state).unwrap();
    for file in ["certificates", "orchestrators", "encoders"] {
        fs::write(state.join(file), b"127.0.0.1:8935 4f\xff\x00\x12\nx\n{\"").unwrap();
    }
    let agent = scene.agent(&[&place.url()], &[]);
    lives(scene, &place, &agent);
    let path = state.join("certificates").display().to_string();
    scene.holds("the path is in the log", agent.has_said(&[&path], agent.began));
    let mut aside = fs::read_dir(&state).unwrap().flatten();
    let is_aside = aside.any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with("certificates.")
    });
    scene.holds("the file is renamed", is_aside);
}

fn reload(scene: &mut Scene) {
    let (place, file) = (Place::new(), scene.path("camera.toml"));
    let write = |prompt: &str, more: &str| {
        let url = place.url();
        let text = format!(
            "[orchestrator]\nurls = [\"{url}\"]\n[job]\nmodel = \"m\"\nparams = {{ prompt = \"{prompt}\" }}\n\
             [video]\nwidth = 320\nheight = 180\nsegment = \"1s\"\n{more}\n[encoder]\nspeed = \"ultrafast\"\n"
        );
        fs::write(&file, text).unwrap();
    };
    write("a cat", "");
    let mut agent =
        scene.program("agent", scene.edge(&["run", "--config", file.to_str().unwrap()]));
    assert!(place.more_frames(40, s(20)).is_some(), "the job is live");

    write("a cat", "fps = 900");
    let at = Instant::now();
    agent.signal("HUP");
    let told = agent.hear(&["camera.toml:10: video.fps"], at, s(5));
    scene.within("the mistake is logged with its line after", told, s(1));
    let gap = place.longest_gap(s(3));
    write("a dog", "");
    agent.signal("HUP");
    let at = Instant::now();
    let updated = until(s(5), || place.sandbox().counters().updates == 1);
    scene.by("new parameters at the job after", at, updated, s(1));
    let gap = gap.max(place.longest_gap(s(2)));
    scene.within("longest gap", Some(gap), s(1));
    scene.at_most("jobs", place.jobs(), 1);

    write("a dog", "fps = 12");
    agent.signal("HUP");
    wait(s(3));
    let (frames, since) = (place.frames(), Instant::now());
    wait(s(4));
    let rate = (place.frames() - frames) as f64 / since.elapsed().as_secs_f64();
    scene.holds(
        &format!("{rate:.0} frames/s where 12 are wanted now"),
        (10.0..14.0).contains(&rate),
    );
    scene.holds("the agent runs", agent.runs());
    scene.right(&place.violations());
}

fn killed(scene: &mut Scene) {
    let place = Place::new();
    let mut agent = scene.agent(&[&place.url()], &[]);
    assert!(place.more_frames(48, s(20)).is_some(), "the job is live");
    // After 12 s the runner has read a keep-alive message, so it does not end the job by itself.
    wait(s(12).saturating_sub(agent.began.elapsed()));
    agent.kill();
    scene.at_least("abandoned jobs", place.sandbox().manifests().len() as u64, 1);
    wait(s(4));
    let before = place.jobs();
    let agent = scene.agent(&[&place.url()], &[]);
    scene.by("frames after the start", agent.began, place.next_frame(s(60)), s(5));
    scene.at_most("jobs", place.jobs() - before, 1);
    let open = until(s(5), || place.sandbox().manifests().len() == 1);
    scene.by("the abandoned job is ended after", agent.began, open, s(5));
    scene.right(&place.violations());
}

fn reload_without_camera(scene: &mut Scene) {
    let (place, file, blocked) = (Place::new(), scene.path("camera.toml"), scene.path("blocked"));
    fs::create_dir(&blocked).unwrap();
    let write = |more: &str| {
        let url = place.url();
        let text = format!(
            "[orchestrator]\nurls = [\"{url}\"]\n[job]\nmodel = \"m\"\n[video]\nwidth = 320\nheight = 180\n\
             segment = \"1s\"\n[encoder]\nspeed = \"ultrafast\"\n[audio]\nkind = \"none\"\n[source]\n\
             kind = \"pipeline\"\nfragment = \"videotestsrc is-live=true{more}\"\n"
        );
        fs::write(&file, text).unwrap();
    };
    write("");
    let mut agent =
        scene.program("agent", scene.edge(&["run", "--config", file.to_str().unwrap()]));
    assert!(place.more_frames(40, s(20)).is_some(), "the job is live");

    // A pipeline that opens only once its file can be written.
    write(&format!(" ! tee name=t ! queue ! filesink location={} t. ! queue", blocked.display()));
    let at = Instant::now();
    agent.signal("HUP");
    let ended = until(s(80), || place.sandbox().manifests().is_empty()).map(|end| end - at);
    scene.within("job ended after", ended, s(66));
    scene.at_least("seconds until then", ended.unwrap_or_default().as_secs(), 55);
    wait(s(90).saturating_sub(at.elapsed()));
    scene.at_most("jobs without a camera", place.jobs() - 1, 0);
    fs::remove_dir(&blocked).unwrap();
    let back = Instant::now();
    scene.by("frames after the camera opens", back, place.next_frame(s(20)), s(2));
    scene.holds("the agent runs", agent.runs());
    scene.right(&place.violations());
}

fn reload_is_kept(scene: &mut Scene) {
    let place = Place::new();
    let file = scene.path("kept.toml");
    fs::write(&file, "[video]\nfps = 24\n").unwrap();
    let limit = s(60);
    let (agent, _socket) = as_service(scene, &place, limit, &["--config", file.to_str().unwrap()]);
    let words = ["the configuration has worked, and is kept"];
    scene.within("the configuration is saved after", agent.hear(&words, agent.began, s(20)), s(20));
    fs::write(&file, "[video]\nfps = 20\n").unwrap();
    let reloaded = Instant::now();
    agent.signal("HUP");
    let kept = agent.hear(&words, reloaded, s(45));
    scene.within("saved after the reload", kept, s(40));
    scene.at_least("seconds until then", kept.unwrap_or_default().as_secs(), 29);
    let kept = fs::read_to_string(scene.path("state").join("last-working.toml"));
    scene.holds(
        "the new configuration is saved",
        kept.is_ok_and(|text| text.contains("fps = 20\n")),
    );
    scene.right(&place.violations());
}

/// Starts a job under a service manager. Returns the program and the socket that receives its notifications.
fn as_service(
    scene: &Scene,
    place: &Place,
    limit: Duration,
    more: &[&str],
) -> (Program, UnixDatagram) {
    let path =
        std::env::temp_dir().join(format!("edge-{}-{}", std::process::id(), scene.slug().len()));
    let _ = fs::remove_file(&path);
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut job = scene.job(&[&place.url()], more);
    job.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", limit.as_micros().to_string());
    (scene.program("agent", job), socket)
}

/// The messages that the service manager has received.
fn told(socket: &UnixDatagram) -> String {
    let mut text = String::new();
    let mut message = [0; 1024];
    while let Ok(length) = socket.recv(&mut message) {
        text.push_str(&String::from_utf8_lossy(&message[..length]));
        text.push('\n');
    }
    text
}

fn fed(socket: &UnixDatagram) -> u64 {
    told(socket).matches("WATCHDOG=1").count() as u64
}

fn process_hangs(scene: &mut Scene) {
    let place = Place::new();
    let (mut agent, socket) = as_service(scene, &place, s(3), &[]);
    assert!(place.more_frames(24, s(20)).is_some(), "the job is live");
    wait(s(1));
    scene.holds("ready is notified", told(&socket).contains("READY=1"));
    wait(s(6));
    scene.at_least("watchdog notifications in 6 s", fed(&socket), 4);
    agent.signal("STOP");
    wait(ms(100));
    fed(&socket);
    wait(s(5));
    scene.at_most("watchdog notifications in 5 s while the process hangs", fed(&socket), 0);
    agent.signal("CONT");
    wait(s(4));
    scene.at_least("watchdog notifications in the 4 s after", fed(&socket), 2);
    agent.signal("TERM");
    scene.holds("the exit code is 0", agent.end(s(5)) == Some(0));
    scene.holds("stopping is notified", told(&socket).contains("STOPPING=1"));
}

fn fed_while_waiting(scene: &mut Scene) {
    let mut place = Place::new();
    let (mut agent, socket) = as_service(scene, &place, s(6), &[]);
    assert!(place.more_frames(24, s(20)).is_some(), "the job is live");
    place.die();
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    let end = Instant::now() + s(30);
    while Instant::now() < end {
        wait(ms(50));
        if fed(&socket) > 0 {
            last = Instant::now();
        }
        longest = longest.max(last.elapsed());
    }
    scene.within("longest time unfed", Some(longest), s(6));
    scene.holds("the agent runs", agent.runs());
}

fn log_discipline(scene: &mut Scene) {
    let mut place = Place::new();
    let mut agent = scene.agent(&[&place.url()], &["--log.level", "info"]);
    assert!(place.more_frames(24, s(20)).is_some(), "the job is live");
    let at = Instant::now();
    place.die();
    wait(s(120));
    let lines = agent.said_since(at);
    // The agent logs one line at once, one after each pause (10 s, 20 s, 40 s, …), and one for each change of state.
    scene.at_most("lines in 2 min", lines.len() as u64, 10);
    scene.holds("the agent runs", agent.runs());
}
