//! Checks the unit files with systemd-analyze, and the form of the service's log lines.
//!
//! Needs systemd-analyze, which `cross/setup.sh` installs.
//!
//! Does not: start a service; `cross/device.sh` boots a whole device.
#![allow(clippy::expect_used, clippy::print_stderr, reason = "a test may panic and print")]

mod skip;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_livepeer-edge");
const UNITS: [&str; 2] = ["livepeer-edge.service", "livepeer-edge@.service"];
/// The highest allowed exposure level of `systemd-analyze security`, in tenths: systemd's scale of 0 to 10 is 0 to 100
/// here.
const EXPOSURE: u32 = 20;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Creates a folder for a test. `name` must differ between tests.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&path).expect("a writable target directory");
    path
}

/// Runs systemd-analyze.
fn analyze(arguments: &[&str], unit: &Path) -> Output {
    let output = Command::new("systemd-analyze")
        .args(arguments)
        .arg(unit)
        .env("SYSTEMD_COLORS", "0")
        .output();
    output.expect("systemd-analyze, which cross/setup.sh installs")
}

#[track_caller]
fn assert_silent(output: &Output, what: &str) {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{what}: {}: {said}", output.status);
}

/// Runs `systemd-analyze verify` on a unit that starts the program of this build, with a drop-in if there is one.
fn verified(unit: &str, test: &str, drop_in: Option<&str>) -> Output {
    let folder = folder(test);
    let path = folder.join(unit);
    fs::write(&path, read(unit).replace("/usr/bin/livepeer-edge", BINARY)).expect("a unit");
    if let Some(drop_in) = drop_in {
        let beside = folder.join(format!("{unit}.d"));
        fs::create_dir_all(&beside).expect("a folder");
        fs::write(beside.join(drop_in), read(drop_in)).expect("a drop-in");
    }
    analyze(&["verify", "--man=no"], &path)
}

#[test]
fn systemd_finds_no_mistake_in_the_units() {
    for unit in UNITS {
        let output = verified(unit, "units", None);
        assert_silent(&output, unit);
    }
}

#[test]
fn systemd_finds_no_mistake_in_the_drop_ins() {
    for unit in UNITS {
        let output = verified(unit, "units-jetson", Some("jetson.conf"));
        assert_silent(&output, unit);
    }
}

#[test]
fn systemd_finds_no_mistake_in_the_restart_steps() {
    let version = Command::new("systemd-analyze").arg("--version").output();
    let version = version.expect("systemd-analyze, which cross/setup.sh installs").stdout;
    let version = String::from_utf8_lossy(&version).into_owned();
    let version: u32 = version.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    if version < 254 {
        return skip::skip(&format!("needs systemd 254; this is {version}"));
    }
    for unit in UNITS {
        let output = verified(unit, "units-steps", Some("restart-steps.conf"));
        assert_silent(&output, unit);
    }
}

#[test]
fn the_exposure_level_of_the_units_is_low() {
    for unit in UNITS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(unit);
        let threshold = format!("--threshold={EXPOSURE}");
        let output = analyze(&["security", "--offline=true", &threshold], &path);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("Overall exposure level"), "{unit}: no exposure level: {output:?}");
        assert!(output.status.success(), "{unit}: {said}");
    }
}

#[test]
fn the_two_units_differ_only_in_the_instance_name() {
    let [default, instance] = UNITS.map(read);
    let settings = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with(['#', '[']) && !line.is_empty());
        lines.filter(|line| !line.starts_with("Description=")).map(str::to_owned).collect()
    };
    let generic = instance
        .replace("livepeer-edge-%i", "livepeer-edge")
        .replace("/etc/livepeer-edge/%i.toml", "/etc/livepeer-edge/livepeer-edge.toml");
    assert_eq!(settings(&default), settings(&generic));
    assert!(
        !generic.contains("=/var/lib") && generic.matches("%i").count() == 1,
        "the description"
    );
}

#[test]
fn every_allowed_device_has_a_comment() {
    for unit in UNITS {
        let text = read(unit);
        let lines: Vec<&str> = text.lines().collect();
        let allowed = lines.windows(2).filter(|pair| pair.last().is_some_and(is_allowance));
        let unexplained: Vec<_> = allowed
            .filter(|pair| !pair.first().is_some_and(|line| line.starts_with("# ")))
            .collect();
        assert!(text.contains("\nDeviceAllow=char-video4linux rw\n"), "{unit}");
        assert!(unexplained.is_empty(), "{unit}: {unexplained:?}");
    }
    fn is_allowance(line: &&str) -> bool {
        line.starts_with("DeviceAllow=")
    }
}

#[test]
fn a_failed_start_is_one_readable_line_in_the_journal() {
    let folder = folder("service-journal");
    let configuration = folder.join("camera.toml");
    let text = "[source]\nkind = 'v4l2'\ndevice = '/dev/nowhere'\n\
                [orchestrator]\nurls = ['127.0.0.1:1']\n[job]\nmodel = 'm'\non-loss = 'exit'\n";
    fs::write(&configuration, text).expect("a configuration");
    let lines = journal(&folder.join("log"), &["run", "--config", &path_text(&configuration)]);
    let errors: Vec<_> = lines.iter().filter(|line| line.starts_with("<3>")).collect();
    assert!(!errors.is_empty(), "{lines:?}");
    assert!(errors.iter().any(|line| line.contains("/dev/nowhere")), "{errors:?}");
    assert!(lines.len() <= 10, "{lines:?}");

    // The configuration of the package sets no key, so the start fails.
    let lines = journal(&folder.join("log"), &["run"]);
    assert!(lines.iter().any(|line| line.contains("orchestrator.urls")), "{lines:?}");
    assert!(lines.len() <= 5, "{lines:?}");
}

#[test]
fn the_reason_of_a_failed_start_stays_in_the_service_status() {
    let folder = folder("service-status");
    let manager = folder.join("notify");
    // An earlier run of this test may have left its socket.
    let _ = fs::remove_file(&manager);
    let socket = UnixDatagram::bind(&manager).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
    let status = Command::new(BINARY)
        .args(["run", "--config", "/nowhere/camera.toml"])
        .env("NOTIFY_SOCKET", &manager)
        .env("STATE_DIRECTORY", folder.join("state"))
        .stderr(Stdio::null())
        .status()
        .expect("the binary runs");
    assert_eq!(status.code(), Some(2));
    let mut message = [0; 1024];
    let length = socket.recv(&mut message).expect("a message to the service manager");
    let message = String::from_utf8_lossy(message.get(..length).expect("what was received"));
    assert!(message.starts_with("STATUS="), "{message}");
    assert!(message.contains("/nowhere/camera.toml"), "{message}");
    assert!(message.contains("No such file"), "{message}");
}

/// Runs the program, which must fail, with its standard error in the file `log` as if it were the journal. Asserts that
/// each line has a priority and no time. Returns the lines without priorities.
fn journal(log: &Path, arguments: &[&str]) -> Vec<String> {
    let file = File::create(log).expect("a file");
    let meta = file.metadata().expect("its numbers");
    let status = Command::new(BINARY)
        .args(arguments)
        .env("JOURNAL_STREAM", format!("{}:{}", meta.dev(), meta.ino()))
        .env("STATE_DIRECTORY", log.with_extension("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file)
        .status()
        .expect("the binary runs");
    assert!(!status.success());
    let lines: Vec<String> =
        fs::read_to_string(log).expect("a log").lines().map(str::to_owned).collect();
    for line in &lines {
        let (priority, text) = line.split_once('>').expect("a priority");
        assert!(["<3", "<4", "<6", "<7"].contains(&priority), "{line}");
        let time = text.get(..5).is_some_and(|head| head.starts_with("20") && head.ends_with('-'));
        assert!(!time, "the journal adds the time, so the line must have none: {line}");
    }
    lines
}

fn path_text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}
