//! A failure of the log or of the progress output does not end the agent: the reader closes the pipe or stalls, the
//! disk is full, or the descriptor is closed.
//!
//! Does not: check the text of the log; other tests do.
#![cfg(feature = "sandbox")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod edge;

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use edge::{LIMIT, SMALL, temporary};
use sandbox::{Handle, Options, Sandbox};

/// The program, which is killed when the value is dropped.
struct Program(Child);

impl Program {
    /// Runs `command`, followed by the arguments of a small job on `sandbox`.
    fn start(mut command: Command, sandbox: &Handle, more: &[&str]) -> Self {
        let url = sandbox.url();
        let job = ["run", "--orchestrator.urls", &url, "--job.model", "m"];
        command.args(job).args(SMALL).args(more).env("STATE_DIRECTORY", temporary("state"));
        Self(command.spawn().unwrap())
    }

    fn with_stderr(stderr: impl Into<Stdio>, sandbox: &Handle, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_livepeer-edge"));
        command.stderr(stderr);
        Self::start(command, sandbox, more)
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.0.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    async fn end(&mut self) -> ExitStatus {
        let by = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < by, "the program does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both calls fail if the program has ended, which is the usual case.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn sandbox() -> Handle {
    Sandbox::start(Options::default()).unwrap()
}

/// Asserts that the job continues for three segments, and that SIGTERM then ends it properly.
async fn lives_and_ends(sandbox: &Handle, mut program: Program) {
    let now = sandbox.counters().segments;
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= now + 3).await);
    program.signal("TERM");
    assert_eq!(program.end().await.code(), Some(0));
    assert_eq!((sandbox.counters().jobs, sandbox.manifests()), (1, Vec::new()));
}

#[tokio::test]
async fn a_closed_log_pipe_does_not_end_the_job() {
    let sandbox = sandbox();
    let more = ["--log.level", "trace"];
    let mut program = Program::with_stderr(Stdio::piped(), &sandbox, &more);
    let mut line = String::new();
    BufReader::new(program.0.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(!line.is_empty());
    lives_and_ends(&sandbox, program).await;
}

#[tokio::test]
async fn a_log_pipe_that_nobody_reads_does_not_block_the_job() {
    let sandbox = sandbox();
    let path = temporary("log.fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    // The pipe is filled, and is never read.
    let mut options = OpenOptions::new();
    let reader = options.read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&path);
    let reader = reader.unwrap();
    while (&reader).write(&[b'x'; 1024]).is_ok() {}
    let full = OpenOptions::new().write(true).open(&path).unwrap();
    let program = Program::with_stderr(full, &sandbox, &[]);
    lives_and_ends(&sandbox, program).await;
}

#[tokio::test]
async fn a_log_on_a_full_disk_does_not_end_the_job() {
    let sandbox = sandbox();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let program = Program::with_stderr(full, &sandbox, &["--log.level", "trace"]);
    lives_and_ends(&sandbox, program).await;
}

#[tokio::test]
async fn closed_standard_descriptors_are_not_used_for_other_files() {
    let sandbox = sandbox();
    let mut command = Command::new("sh");
    let script = r#"exec "$0" "$@" <&- >&- 2>&-"#;
    command.args(["-c", script, env!("CARGO_BIN_EXE_livepeer-edge")]);
    let program = Program::start(command, &sandbox, &["--output.path", "-"]);
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= 1).await);
    for descriptor in 0..3 {
        let link = std::fs::read_link(format!("/proc/{}/fd/{descriptor}", program.0.id()));
        assert_eq!(link.unwrap().to_str(), Some("/dev/null"), "{descriptor}");
    }
    lives_and_ends(&sandbox, program).await;
}

#[tokio::test]
async fn a_demo_whose_progress_cannot_be_written_ends_with_success() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_livepeer-edge"));
    command.args(["demo", "--seconds", "1"]).args(SMALL);
    command.stderr(OpenOptions::new().write(true).open("/dev/full").unwrap());
    let mut program = Program(command.spawn().unwrap());
    assert_eq!(program.end().await.code(), Some(0));
}

#[tokio::test]
async fn a_reload_to_a_more_detailed_log_level_takes_effect() {
    let sandbox = sandbox();
    let (config, log) = (temporary("level.toml"), temporary("level.log"));
    std::fs::write(&config, "[log]\nlevel = \"warn\"\n").unwrap();
    let more = ["--config", config.to_str().unwrap()];
    let program = Program::with_stderr(File::create(&log).unwrap(), &sandbox, &more);
    assert!(sandbox.until(LIMIT, |record| record.counters.segments >= 1).await);
    std::fs::write(&config, "[log]\nlevel = \"debug\"\n").unwrap();
    program.signal("HUP");
    lives_and_ends(&sandbox, program).await;
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("DEBUG [livepeer_edge"), "{said}");
}
