//! Runs the built program as a child process: starts the program, reads its log, sends signals, waits for its end.
//!
//! A test waits for a log line or for the end of the program, and never for a fixed time; the limits only end a test
//! that hangs.
//!
//! Does not: outlive its test; a dropped program is killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]
#![allow(dead_code, unused_imports, reason = "each test program uses a part of this module")]

#[path = "../scratch/mod.rs"]
pub(crate) mod scratch;
#[path = "../small_job/mod.rs"]
mod small_job;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub(crate) use scratch::temporary;
pub(crate) use small_job::SMALL;
use small_job::without_settings;

const PROGRAM: &str = env!("CARGO_BIN_EXE_livepeer-edge");

/// The time limit of each wait: a longer wait means that the test hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A running program.
pub(crate) struct Edge {
    child: Child,
    lines: Receiver<String>,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: String,
    state: PathBuf,
    /// When the program was started.
    pub(crate) began: Instant,
}

/// A program that has ended.
pub(crate) struct Ended {
    /// The exit code; none if a signal killed the program.
    pub(crate) code: Option<i32>,
    /// Everything on standard output.
    pub(crate) stdout: Vec<u8>,
    /// Everything on standard error.
    pub(crate) stderr: String,
}

impl Edge {
    /// Starts the program with `arguments` and a new state directory.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[])
    }

    /// Like [`Self::start`], with these environment variables.
    pub(crate) fn start_with(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::launch(Command::new(PROGRAM), arguments, environment)
    }

    /// Like [`Self::start`], but started by another program: `launcher`, followed by the built program and `arguments`.
    pub(crate) fn start_by(launcher: &[&str], arguments: &[&str]) -> Self {
        let mut command = Command::new(launcher[0]);
        command.args(&launcher[1..]).arg(PROGRAM);
        Self::launch(command, arguments, &[])
    }

    fn launch(mut command: Command, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let state = temporary("state");
        without_settings(&mut command);
        let mut child = command
            .args(arguments)
            .env("STATE_DIRECTORY", &state)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let began = Instant::now();
        let (say, lines) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            stderr.lines().map_while(Result::ok).all(|line| say.send(line).is_ok());
        });
        let mut out = child.stdout.take().unwrap();
        let stdout = thread::spawn(move || {
            let mut bytes = Vec::new();
            out.read_to_end(&mut bytes).expect("standard output can be read");
            bytes
        });
        Self { child, lines, stdout: Some(stdout), stderr: String::new(), state, began }
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line of the log that contains `part`, and returns it.
    #[track_caller]
    pub(crate) fn hear(&mut self, part: &str) -> String {
        let by = Instant::now() + LIMIT;
        loop {
            match self.lines.recv_timeout(by.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.stderr += &format!("{line}\n");
                    if line.contains(part) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no {part:?} in:\n{}", self.stderr),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("ended without {part:?}:\n{}", self.stderr)
                }
            }
        }
    }

    /// Sends a signal. `name` is the signal's name without `SIG`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().expect("kill is there");
        assert!(sent.success(), "{name} to {id}");
    }

    /// Waits for the end of the program.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let by = Instant::now() + LIMIT;
        loop {
            match self.lines.recv_timeout(by.saturating_duration_since(Instant::now())) {
                Ok(line) => self.stderr += &format!("{line}\n"),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("the program does not end:\n{}", self.stderr)
                }
            }
        }
        let code = self.child.wait().expect("its exit code").code();
        let stdout = self.stdout.take().unwrap().join().unwrap();
        Ended { code, stdout, stderr: std::mem::take(&mut self.stderr) }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        // Both calls fail if the program has ended, which is the usual case.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.state);
    }
}

/// Runs the program to its end.
#[track_caller]
pub(crate) fn run(arguments: &[&str]) -> Ended {
    Edge::start(arguments).end()
}

impl Ended {
    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        self
    }

    /// Returns the line on standard error that begins with `error: `. Panics unless there is exactly one such line, and
    /// it is the last line.
    #[track_caller]
    pub(crate) fn error(&self) -> &str {
        let mut errors = self.stderr.lines().filter(|line| line.starts_with("error: "));
        let (Some(error), None) = (errors.next(), errors.next()) else {
            panic!("not exactly one error in:\n{}", self.stderr)
        };
        assert_eq!(self.stderr.lines().last(), Some(error), "nothing follows it");
        error
    }
}

/// A service manager. A program whose `NOTIFY_SOCKET` is [`Manager::path`] reports its status to it.
pub(crate) struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    pub(crate) fn new() -> Self {
        // The path of a socket must be short, so it is not below the target directory.
        static NTH: AtomicU32 = AtomicU32::new(0);
        let name = format!("edge-{}-{}", std::process::id(), NTH.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(LIMIT)).expect("a limit");
        Self { socket, path }
    }

    /// The path of the socket.
    pub(crate) fn path(&self) -> &str {
        self.path.to_str().expect("UTF-8")
    }

    /// Waits for a status that `wanted` accepts, and returns it. The address of the API at its end is left out.
    #[track_caller]
    pub(crate) fn status(&self, wanted: impl Fn(&str) -> bool) -> String {
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let text = String::from_utf8(buffer[..length].to_vec()).expect("UTF-8");
            let text = text.split_once("; API: ").map_or(text.as_str(), |(status, _)| status);
            match text.strip_prefix("STATUS=") {
                Some(status) if wanted(status) => return status.to_owned(),
                _ => seen.push(text.to_owned()),
            }
        }
        panic!("not the wanted status in {seen:#?}");
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Prints a line that is shown even if the test passes; the test harness hides other output then.
pub(crate) fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}
