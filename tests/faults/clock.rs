//! The computer's clock: wrong at boot, as on a board without a battery, and jumping.
//!
//! Does not: run a time source; `clock::io` reads whether a time source has set the clock.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;
use sandbox::{Certificate, Options, Role};

use crate::peers::Authority;
use crate::rig::place::Place;
use crate::rig::program::Program;
use crate::rig::scene::Scene;
use crate::rig::table::Row;
use crate::rig::{s, until, wait};

pub(crate) const ROWS: &[Row] = &[
    Row {
        fault: "clock in 1970 at boot (tofu)",
        must: "live ≤ 5 s: a pin needs no clock",
        seconds: 15,
        play: boots_in_1970_with_tofu,
    },
    Row {
        fault: "clock in 1970 at boot (ca)",
        must: "logged as clock not synchronised; waits up to 60 s until the clock is set, then continues with a warning; a certificate with another name, of an unknown authority, or that ended in 2015 stays refused",
        seconds: 85,
        play: boots_in_1970_with_ca,
    },
    Row {
        fault: "clock in 1970 at boot (ca), then set after 20 s",
        must: "live ≤ 3 s after the clock is set",
        seconds: 30,
        play: is_set_after_all,
    },
    Row {
        fault: "clock jumps by an hour, ahead and back",
        must: "no gap over 1 s; job kept; a new job starts under either clock",
        seconds: 30,
        play: clock_jumps,
    },
];

/// The library that sets a program's clock, if it is installed (Debian's package `faketime`).
fn faketime() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    folders.map(|lib| lib.join("faketime/libfaketime.so.1")).find(|path| path.exists())
}

/// Starts `job` with the clock that the file sets.
fn under_clock(scene: &Scene, mut job: Command, clock: &str) -> Option<(Program, PathBuf)> {
    let (library, file) = (faketime()?, scene.path("clock"));
    fs::write(&file, clock).unwrap();
    job.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", &file);
    // The monotonic clock is not faked: the kernel does not change it either when the time is set.
    job.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Some((scene.program("agent", job), file))
}

const NOT_SYNCHRONISED: &str = "clock not synchronised: ";
const GOES_ON: &str = "clock still not synchronised: continuing without it";
const NO_FAKETIME: &str = "needs faketime: apt install faketime";
const IN_1970: &str = "@1970-01-02 00:00:00";

fn boots_in_1970_with_tofu(scene: &mut Scene) {
    let place = Place::new();
    let Some((agent, _)) = under_clock(scene, scene.job(&[&place.url()], &[]), IN_1970) else {
        return scene.lacks(NO_FAKETIME);
    };
    let live = until(s(70), || place.frames() > 0);
    scene.by("live after", agent.began, live, s(5));
}

/// Orchestrators with different certificates, signed by the authority in the file `authorities` unless stated
/// otherwise.
struct Places {
    authorities: PathBuf,
    good: Place,
    /// The orchestrator with the certificate of another host.
    misnamed: Place,
    /// The orchestrator with a certificate of an unknown authority.
    strange: Place,
    /// The orchestrator whose certificate ended in 2015.
    ended: Place,
}

impl Places {
    fn new(scene: &Scene) -> Self {
        let (known, unknown) = (Authority::new("known"), Authority::new("unknown"));
        let authorities = scene.path("authorities.pem");
        fs::write(&authorities, known.pem()).unwrap();
        let place = |(certificate, key): (CertificateDer<'_>, KeyPair)| {
            let certificate = Certificate { der: certificate.to_vec(), key: key.serialize_der() };
            Place::with(Options { certificate: Some(certificate), ..Options::default() })
        };
        Self {
            authorities,
            good: place(known.sign(&["127.0.0.1"])),
            misnamed: place(known.sign(&["elsewhere.example"])),
            strange: place(unknown.sign(&["127.0.0.1"])),
            ended: place(known.sign_ended(&["127.0.0.1"])),
        }
    }

    /// A job that trusts only authorities: those of the system and the one in `authorities`.
    fn job(&self, scene: &Scene, urls: &[&str]) -> Command {
        let mut job = scene.job(urls, &["--orchestrator.trust", "ca"]);
        job.env("SSL_CERT_FILE", &self.authorities);
        job
    }
}

fn boots_in_1970_with_ca(scene: &mut Scene) {
    let places = Places::new(scene);
    let urls = [&places.misnamed, &places.strange, &places.ended, &places.good].map(Place::url);
    let job = places.job(scene, &urls.each_ref().map(String::as_str));
    let Some((mut agent, _)) = under_clock(scene, job, IN_1970) else {
        return scene.lacks(NO_FAKETIME);
    };
    let told = agent.hear(&[NOT_SYNCHRONISED], agent.began, s(15));
    scene.within("the log names the clock after", told, s(5));
    let live = until(s(95), || places.good.frames() > 0 || !agent.runs());
    scene.holds("the agent runs", agent.runs());
    let waited = live.map(|live| live.duration_since(agent.began).as_secs());
    scene.at_least("seconds waited for the clock", waited.unwrap_or_default(), 60);
    scene.by("live after", agent.began, live.filter(|_| places.good.frames() > 0), s(65));
    let warned = agent.when(&[GOES_ON], agent.began);
    let is_warning = agent
        .said_since(agent.began)
        .iter()
        .any(|line| line.starts_with("WARN") && line.contains(GOES_ON));
    scene.holds("the log line is a warning", is_warning);
    scene.holds("2 s of frames arrive", places.good.more_frames(48, s(10)).is_some());
    // After the warning the clock no longer matters: certificates are refused for their other faults only.
    let since = warned.unwrap_or(agent.began);
    for (who, place, reason) in [
        ("the certificate of another host", &places.misnamed, "not valid for name"),
        ("the certificate of an unknown authority", &places.strange, "UnknownIssuer"),
        ("the certificate that ended in 2015", &places.ended, "expired"),
    ] {
        let address = place.address().to_string();
        let refused = agent.said_since(since).iter().any(|line| {
            line.contains(&address)
                && line.contains("not signed by a known")
                && line.contains(reason)
        });
        scene.holds(&format!("{who} is still refused"), refused);
        scene.at_most("its jobs", place.jobs(), 0);
    }
    scene.right(&places.good.violations());
}

fn is_set_after_all(scene: &mut Scene) {
    let places = Places::new(scene);
    let mut job = places.job(scene, &[&places.good.url()]);
    // A `timedatectl` that reports the state of the clock, as under systemd.
    let bin = scene.path("bin");
    fs::create_dir_all(&bin).unwrap();
    let (timedatectl, said) = (bin.join("timedatectl"), bin.join("said"));
    fs::write(&said, "no").unwrap();
    fs::write(&timedatectl, format!("#!/bin/sh\ncat '{}'\n", said.display())).unwrap();
    fs::set_permissions(&timedatectl, Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    job.env("PATH", format!("{}:{path}", bin.display()));
    let Some((agent, clock)) = under_clock(scene, job, IN_1970) else {
        return scene.lacks(NO_FAKETIME);
    };
    let told = agent.hear(&[NOT_SYNCHRONISED], agent.began, s(15));
    scene.within("the log names the clock after", told, s(5));
    wait(s(20));
    scene.at_most("frames before", places.good.frames(), 0);
    let set = Instant::now();
    fs::write(&clock, "+0").unwrap();
    fs::write(&said, "yes").unwrap();
    let live = until(s(20), || places.good.frames() > 0);
    scene.by("live after", set, live, s(3));
    // The job may start before the clock is read again, so the log line may come later.
    let told = agent.hear(&["the clock is synchronised now"], set, s(15));
    scene.within("logged after", told, s(5));
    scene.holds("did not continue without the time", !agent.has_said(&[GOES_ON], agent.began));
    scene.right(&places.good.violations());
}

fn clock_jumps(scene: &mut Scene) {
    let place = Place::new();
    let Some((agent, file)) = under_clock(scene, scene.job(&[&place.url()], &[]), "+0") else {
        return scene.lacks(NO_FAKETIME);
    };
    assert!(place.more_frames(48, s(20)).is_some(), "the job is live");
    let mut gap = Duration::ZERO;
    for clock in ["+1h", "-1h", "+0"] {
        fs::write(&file, clock).unwrap();
        gap = gap.max(place.longest_gap(s(4)));
    }
    scene.within("longest gap", Some(gap), s(1));
    scene.at_most("jobs", place.jobs(), 1);
    for (nth, clock) in ["+1h", "-1h"].into_iter().enumerate() {
        fs::write(&file, clock).unwrap();
        let at = Instant::now();
        place.sandbox().close_channels(Role::Publish);
        let again = until(s(10), || place.jobs() == nth as u64 + 2);
        scene.by(&format!("a new job at {clock} after"), at, again, s(2));
    }
    scene.right(&place.violations());
    drop(agent);
}
