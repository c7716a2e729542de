//! A program as a child process: starts, signals and ends the process, and reads log lines with their times, memory,
//! threads and file descriptors.
//!
//! Does not: outlive its owner: when the value is dropped, the process is killed and its log is written to a file.

use std::fmt::Write;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::until;

/// A running program.
pub(crate) struct Program {
    child: Child,
    said: Arc<Mutex<Vec<(Instant, String)>>>,
    log: PathBuf,
    /// When the program was started.
    pub(crate) began: Instant,
}

/// The resources of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holds {
    /// Resident memory in KiB.
    pub(crate) rss: u64,
    pub(crate) threads: u64,
    /// Open file descriptors.
    pub(crate) fds: u64,
}

impl Program {
    /// Starts `command`. The file `log` gets the standard error of the program when the value is dropped.
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let said = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let heard = Arc::clone(&said);
        thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .for_each(|line| heard.lock().unwrap().push((Instant::now(), line)));
        });
        Self { child, said, log, began: Instant::now() }
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The log lines since `then`.
    pub(crate) fn said_since(&self, then: Instant) -> Vec<String> {
        let said = self.said.lock().unwrap();
        said.iter().filter(|(at, _)| *at >= then).map(|(_, line)| line.clone()).collect()
    }

    /// Whether a log line since `then` contains one of `parts`.
    pub(crate) fn has_said(&self, parts: &[&str], then: Instant) -> bool {
        self.when(parts, then).is_some()
    }

    /// The time of the first log line since `then` that contains one of `parts`.
    pub(crate) fn when(&self, parts: &[&str], then: Instant) -> Option<Instant> {
        let said = self.said.lock().unwrap();
        let fits = |line: &str| parts.iter().any(|part| line.contains(part));
        said.iter().find(|(at, line)| *at >= then && fits(line)).map(|(at, _)| *at)
    }

    /// Waits for a log line since `then` that contains one of `parts`. Returns the time from `then` to this line.
    pub(crate) fn hear(&self, parts: &[&str], then: Instant, limit: Duration) -> Option<Duration> {
        until(limit, || self.has_said(parts, then))?;
        self.when(parts, then).map(|at| at.duration_since(then))
    }

    /// Sends a signal. `name` is the signal's name without `SIG`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().unwrap();
        assert!(sent.success(), "{name} to {id}");
    }

    /// The exit code, if the program has ended; the inner value is `None` if a signal killed it.
    pub(crate) fn ended(&mut self) -> Option<Option<i32>> {
        self.child.try_wait().unwrap().map(|status| status.code())
    }

    /// Whether the program still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.ended().is_none()
    }

    /// Waits for the end of the program. Returns its exit code.
    pub(crate) fn end(&mut self, limit: Duration) -> Option<i32> {
        until(limit, || !self.runs())?;
        self.ended().flatten()
    }

    /// Kills the program.
    pub(crate) fn kill(&mut self) {
        // Both calls fail if the program has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The present resources of the process.
    pub(crate) fn holds(&self) -> Holds {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        let number = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
            line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or_default()
        };
        let fds = fs::read_dir(format!("/proc/{}/fd", self.id())).map_or(0, Iterator::count);
        Holds { rss: number("VmRSS:"), threads: number("Threads:"), fds: fds as u64 }
    }

    /// The ids of the threads whose name ends with `name_end`. If two calls return the same ids, the threads are the
    /// same.
    pub(crate) fn threads(&self, name_end: &str) -> Vec<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.id())).unwrap();
        let mut ids: Vec<String> = tasks
            .filter_map(|task| task.ok().map(|task| task.path()))
            .filter(|task| {
                let name = fs::read_to_string(task.join("comm")).unwrap_or_default();
                name.trim_end().ends_with(name_end)
            })
            .map(|task| task.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        ids.sort();
        ids
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        let mut text = String::new();
        for (at, line) in &*self.said.lock().unwrap() {
            let time = at.duration_since(self.began).as_secs_f64();
            writeln!(text, "{time:8.3} {line}").unwrap();
        }
        // An error is ignored: the file only helps to find the reason of a failure.
        let _ = fs::write(&self.log, text);
    }
}
