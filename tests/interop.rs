//! Publisher and subscriber against the real trickle server of go-livepeer, over HTTP and HTTPS.
//!
//! The server is the small Go program in `tests/interop/`, which uses the package `trickle` of go-livepeer. The test
//! builds it outside the source tree. `cross/setup.sh --go` installs Go; with `INTEROP_GO=required`, as in CI, a
//! missing Go fails the test. The module comes from Go's proxy, or from a checkout of go-livepeer that `INTEROP_SOURCE`
//! names. If the proxy refuses the module, the test is skipped.
//!
//! Does not: test the sandbox; `trickle_sandbox` runs the same scenarios against it.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod skip;
mod trickle_raw;
mod trickle_scenarios;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use trickle_scenarios::Mortal;

const CHANNELS: &str = "exact,idle,deleted,early,broken,restart,death";

/// Why the server cannot be built.
enum Missing {
    Go(String),
    Module(String),
}

/// Builds the server. Returns its path, or why it cannot be built.
fn build() -> Result<PathBuf, Missing> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
    // Go changes go.mod and go.sum during a build, so the test builds a copy outside the source tree.
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop");
    fs::create_dir_all(&place).expect("a directory");
    for file in ["go.mod", "main.go"] {
        fs::copy(source.join(file), place.join(file)).expect("a copy");
    }
    if let Ok(source) = std::env::var("INTEROP_SOURCE") {
        let replace = format!("github.com/livepeer/go-livepeer={source}");
        let edit = ["mod", "edit", "-replace", &replace];
        let edited = Command::new("go").args(edit).current_dir(&place).status();
        assert!(edited.is_ok_and(|status| status.success()), "go mod edit -replace {replace}");
    }
    let server = place.join("trickle-server");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&server)
        .arg(".")
        .current_dir(&place)
        .env("GOFLAGS", "-mod=mod -buildvcs=false")
        .stdin(Stdio::null())
        .output();
    match built {
        Err(error) => Err(Missing::Go(format!("Go is not installed ({error}); install golang-go"))),
        Ok(output) if output.status.success() => Ok(server),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ");
            // Any other failure than a refused module is a mistake in the Go program.
            assert!(text.contains("github.com/livepeer/go-livepeer@"), "{text}");
            Err(Missing::Module(format!("the Go module cannot be downloaded: {text}")))
        }
    }
}

/// The real server, as a separate process.
struct GoServer {
    program: PathBuf,
    secure: bool,
    base: String,
    process: Child,
}

impl GoServer {
    fn start(program: &Path, secure: bool) -> Self {
        let (process, base) = Self::spawn(program, secure, "127.0.0.1:0");
        Self { program: program.to_owned(), secure, base, process }
    }

    fn spawn(program: &Path, secure: bool, listen: &str) -> (Child, String) {
        let mut process = Command::new(program)
            .args(["-channels", CHANNELS, "-listen", listen])
            .arg(format!("-tls={secure}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a server");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("standard output");
        BufReader::new(stdout).read_line(&mut line).expect("a line with the base URL");
        assert!(line.starts_with("http"), "the server did not start");
        (process, line.trim().to_owned())
    }

    fn end(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for GoServer {
    fn drop(&mut self) {
        self.end();
    }
}

impl Mortal for GoServer {
    fn base(&self) -> String {
        self.base.clone()
    }

    async fn kill(&mut self) {
        self.end();
    }

    async fn restart(&mut self) {
        let address = self.base.split('/').nth(2).expect("an address").to_owned();
        let (process, base) = Self::spawn(&self.program, self.secure, &address);
        assert_eq!(base, self.base);
        self.process = process;
    }
}

async fn everything(program: &Path, secure: bool) {
    let server = GoServer::start(program, secure);
    let base = server.base();
    let (mut mortal, mut doomed) =
        (GoServer::start(program, secure), GoServer::start(program, secure));
    // With 42 ms between pieces, the scenario `byte_exact` takes 20 s.
    tokio::join!(
        trickle_scenarios::byte_exact(&base, "exact", Duration::from_millis(42)),
        trickle_scenarios::idle_pre_connect(&base, "idle", Duration::from_secs(25)),
        trickle_scenarios::deleted_in_mid_segment(&base, "deleted"),
        trickle_scenarios::deleted_while_pre_connected(&base, "early"),
        trickle_scenarios::reset_after_a_broken_upload(&base, "broken"),
        trickle_scenarios::killed_and_restarted(&mut mortal, "restart"),
        trickle_scenarios::killed_for_good(&mut doomed, "death"),
    );
}

#[tokio::test]
async fn publisher_and_subscriber_work_with_the_real_server() {
    match build() {
        Ok(program) => {
            tokio::join!(everything(&program, false), everything(&program, true));
        }
        Err(Missing::Module(reason)) => skip::skip(&reason),
        Err(Missing::Go(reason)) => {
            let required = std::env::var("INTEROP_GO").is_ok_and(|v| v == "required");
            assert!(!required, "INTEROP_GO=required, but {reason}");
            skip::skip(&reason);
        }
    }
}
