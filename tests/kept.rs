//! Starts the service with a refused configuration: the agent runs the last working configuration instead, and log,
//! status and exit codes say so.
//!
//! Does not: run under systemd; the test itself listens at the notification socket.
#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod edge;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use edge::{Edge, LIMIT, Manager, temporary};
use sandbox::{Handle, Options, Sandbox};

/// The start of the status while the last working configuration runs.
const OLD: &str = "configuration refused, the one that worked last runs (";

/// The configuration and the state directory of a device. Both are removed when the value is dropped.
struct Device {
    folder: PathBuf,
    manager: Manager,
}

impl Device {
    fn new() -> Self {
        let folder = temporary("device");
        fs::create_dir_all(&folder).unwrap();
        Self { folder, manager: Manager::new() }
    }

    fn file(&self) -> PathBuf {
        self.folder.join("edge.toml")
    }

    fn kept(&self) -> PathBuf {
        self.folder.join("state/last-working.toml")
    }

    fn keep(&self, text: &str) {
        fs::create_dir_all(self.folder.join("state")).unwrap();
        fs::write(self.kept(), text).unwrap();
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }

    /// Starts the agent as the service manager does, with additional arguments and environment variables.
    fn start(&self, more: &[&str], environment: &[(&str, &str)]) -> Edge {
        let (file, state) = (self.file(), self.folder.join("state"));
        let own =
            [("NOTIFY_SOCKET", self.manager.path()), ("STATE_DIRECTORY", state.to_str().unwrap())];
        let arguments = [&["run", "--config", file.to_str().unwrap()], more].concat();
        Edge::start_with(&arguments, &[&own, environment].concat())
    }

    /// Runs the program without a service manager, as a user does.
    fn by_hand(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_livepeer-edge"))
            .args(arguments)
            .env("STATE_DIRECTORY", self.folder.join("state"))
            .env_remove("NOTIFY_SOCKET")
            .output()
            .unwrap()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn good(at: &Handle) -> String {
    format!(
        "[orchestrator]\nurls = [\"{}\"]\n[video]\nwidth = 320\nheight = 180\nsegment = \"1s\"\n\
         [encoder]\nspeed = \"ultrafast\"\n[job]\nmodel = \"m\"\n",
        at.url()
    )
}

async fn segments(sandbox: &Handle, count: u64) {
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= count).await, "{count}");
}

fn stop(edge: Edge) -> String {
    edge.signal("TERM");
    edge.end().with_code(0).stderr
}

#[tokio::test]
async fn the_last_working_configuration_runs_in_place_of_a_refused_one() {
    let (only, device) = (Sandbox::start(Options::default()).unwrap(), Device::new());
    device.write(&good(&only));
    let more = ["--log.level", "debug", "--job.params", r#"{"prompt":"a cat"}"#];
    let mut edge = device.start(&more, &[("LIVEPEER_EDGE_VIDEO_FPS", "20")]);
    edge.hear("the configuration has worked, and is kept");
    stop(edge);
    let kept = fs::read_to_string(device.kept()).unwrap();
    assert!(kept.contains("fps = 20\n") && kept.contains("\"prompt\" = \"a cat\""), "{kept}");
    assert_eq!(fs::metadata(device.kept()).unwrap().permissions().mode() & 0o777, 0o600);

    // This configuration has a key that does not exist, as after an upgrade that removed the key.
    device.write(&format!("{}[video.codec]\nname = \"h264\"\n", good(&only)));
    let before = only.counters().segments;
    let mut edge = device.start(&["--job.params", "{}"], &[]);
    let line = edge.hear("the configuration is refused: ");
    assert!(line.starts_with("WARN "), "{line}");
    assert!(line.contains("video.codec: no such key"), "{line}");
    assert!(line.contains("the one that worked last runs in its place: "), "{line}");
    let live = format!("live at {}", only.address());
    let status = device.manager.status(|status| status.starts_with(OLD) && status.ends_with(&live));
    assert!(status.contains("video.codec: no such key"), "{status}");
    segments(&only, before + 1).await;

    // Without a service manager, the mistake is an error.
    let file = device.file();
    let file = file.to_str().unwrap();
    for arguments in [&["run", "--config", file][..], &["check-config", file]] {
        let refused = device.by_hand(arguments);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains("video.codec: no such key"), "{said}");
    }

    // The file is corrected, and made wrong again, while the agent runs.
    device.write(&good(&only));
    edge.signal("HUP");
    device.manager.status(|status| status == live);
    device.write("[job]\nmodell = \"m\"\n");
    edge.signal("HUP");
    let line = edge.hear("SIGHUP: the previous configuration stays: ");
    assert!(line.starts_with("WARN ") && line.contains("job.modell: no such key"), "{line}");
    let status = device.manager.status(|status| status.ends_with(&live));
    assert!(status.starts_with("configuration refused, the previous one runs ("), "{status}");
    assert!(status.contains("job.modell: no such key"), "{status}");
    stop(edge);
    assert_eq!(
        fs::read_to_string(device.kept()).unwrap(),
        kept,
        "no other configuration has worked, so the saved one is unchanged"
    );
}

#[tokio::test]
async fn the_last_working_configuration_also_runs_after_a_wrong_variable_a_missing_file_or_an_unusable_output()
 {
    let (only, device) = (Sandbox::start(Options::default()).unwrap(), Device::new());
    let runs_for = |reason: &str| {
        let is_so = |s: &str| s.starts_with(OLD) && s.contains(reason) && s.contains("; live at ");
        device.manager.status(is_so);
    };
    device.keep(&good(&only));
    let lost = device.start(&[], &[]);
    runs_for("No such file");
    segments(&only, 1).await;
    stop(lost);
    device.write(&good(&only));
    let spoilt = device.start(&[], &[("LIVEPEER_EDGE_VIDEO_CODEC", "h264")]);
    runs_for("$LIVEPEER_EDGE_VIDEO_CODEC");
    stop(spoilt);
    let taken = device.start(&["--output.path", device.file().to_str().unwrap()], &[]);
    runs_for("is the same file as the configuration");
    stop(taken);
}

#[tokio::test]
async fn a_configuration_that_never_worked_is_not_saved() {
    let (only, device) = (Sandbox::start(Options::default()).unwrap(), Device::new());
    device.keep(&good(&only));
    let gone = {
        let gone = Sandbox::start(Options::default()).unwrap();
        good(&gone)
    };
    device.write(&gone);
    let mut edge = device.start(&[], &[]);
    edge.hear("connection refused");
    stop(edge);
    assert_eq!(fs::read_to_string(device.kept()).unwrap(), good(&only));
}

#[test]
fn the_start_fails_if_the_file_and_the_saved_configuration_are_both_refused() {
    let device = Device::new();
    device.keep("[job]\nmodell = \"m\"\n");
    device.write(
        "[orchestrator]\nurls = [\"127.0.0.1:1\"]\n[job]\nmodel = \"m\"\n[video]\nfpss = 3\n",
    );
    let ended = device.start(&[], &[]).end().with_code(2);
    assert!(ended.error().contains("video.fpss: no such key"), "{}", ended.stderr);
    let too = "last-working.toml, which worked last, is refused too: ";
    assert!(ended.stderr.contains(too), "{}", ended.stderr);
    assert!(ended.stderr.contains("job.modell: no such key"), "{}", ended.stderr);
    device.manager.status(|status| status.contains("video.fpss: no such key"));
}

#[tokio::test]
async fn a_key_of_an_earlier_version_is_ignored_in_each_place_with_a_warning() {
    let (only, device) = (Sandbox::start(Options::default()).unwrap(), Device::new());
    let old = "[source]\ncredential-file = \"/nowhere\"\n";
    device.write(&format!("{}{old}", good(&only)));
    let file = device.file();
    let file = file.to_str().unwrap();
    let checked = device.by_hand(&["check-config", file]);
    let said = String::from_utf8_lossy(&checked.stdout);
    assert_eq!(checked.status.code(), Some(0), "{said}");
    let words = "source.credential-file: no longer a key, and ignored; use source.credential = \"file:/path\"";
    assert!(said.contains(&format!("{file}:12: {words}\n{file}: ok\n")), "{said}");

    let variable = [("LIVEPEER_EDGE_SOURCE_CREDENTIAL_FILE", "/nowhere")];
    let mut edge = device.start(&["--source.credential-file", "/nowhere"], &variable);
    for origin in [&format!("{file}:12"), "$LIVEPEER_EDGE_SOURCE_CREDENTIAL_FILE"] {
        let line = edge.hear(&format!("{origin}: {words}"));
        assert!(line.starts_with("WARN "), "{line}");
    }
    edge.hear("--source.credential-file: no longer a key");
    segments(&only, 1).await;
    stop(edge);

    // The saved configuration may contain the key too.
    device.keep(&format!("{}{old}", good(&only)));
    device.write("");
    let mut edge = device.start(&[], &[]);
    edge.hear(&format!("last-working.toml:12: {words}"));
    let before = only.counters().segments;
    segments(&only, before + 1).await;
    stop(edge);
}
