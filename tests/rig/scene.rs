//! A row of a table while it runs: starts its programs, and records its measurements with their limits.
//!
//! Does not: print.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::place::Wrong;
use super::program::Program;
use super::reports::Reports;
use super::small_job::{SMALL, without_settings};

/// A row while it runs.
pub(crate) struct Scene {
    slug: String,
    folder: PathBuf,
    programs: AtomicU32,
    reports: Reports,
    seen: Vec<(String, bool)>,
}

/// The result of a row.
pub(crate) struct Verdict {
    /// The measurements, each with whether it is within its limit.
    pub(crate) seen: Vec<(String, bool)>,
}

impl Scene {
    /// Begins the row of this name, with a new folder below `logs`.
    pub(crate) fn new(name: &str, logs: &Path) -> Self {
        let slug: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        let folder = logs.join(&slug);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let (programs, reports, seen) = (AtomicU32::new(0), Reports::default(), Vec::new());
        Self { slug, folder, programs, reports, seen }
    }

    /// A path in the row's own folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Starts `command`. Its log is written to a file of this name.
    pub(crate) fn program(&self, name: &str, command: Command) -> Program {
        let nth = self.programs.fetch_add(1, Ordering::Relaxed);
        Program::start(command, self.path(&format!("{nth}-{name}.log")))
    }

    /// The command of the built program, with a state directory for the row and without the environment variables of
    /// the program.
    pub(crate) fn edge(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_livepeer-edge"));
        without_settings(&mut command);
        command.args(arguments).env("STATE_DIRECTORY", self.path("state"));
        command
    }

    /// The command of a small job at these orchestrators. Its reports are checked while it runs.
    pub(crate) fn job(&self, urls: &[&str], more: &[&str]) -> Command {
        let urls = urls.join(",");
        let start = ["run", "--orchestrator.urls", &urls, "--log.level", "debug"];
        let mut given: HashSet<&str> = HashSet::new();
        given.extend(more.iter().filter(|argument| argument.starts_with("--")));
        let small = SMALL.chunks(2).filter(|pair| !given.contains(pair[0])).flatten();
        let mut arguments: Vec<&str> = start.to_vec();
        if !given.contains("--job.model") && !given.contains("--runner.app") {
            arguments.extend(["--job.model", "m"]);
        }
        arguments.extend(small);
        arguments.extend(more);
        let mut command = self.edge(&arguments);
        if !given.contains("--api.listen") {
            let socket = self.reports.watch(&self.slug);
            command.arg("--api.listen").arg(format!("unix:{}", socket.display()));
        }
        command
    }

    /// Starts a small job at these orchestrators.
    pub(crate) fn agent(&self, urls: &[&str], more: &[&str]) -> Program {
        self.program("agent", self.job(urls, more))
    }

    /// Starts an orchestrator as a process, on this port.
    pub(crate) fn orchestrator(&self, port: u16) -> Program {
        let listen = format!("127.0.0.1:{port}");
        self.program("orchestrator", self.edge(&["sandbox", "--listen", &listen]))
    }

    /// Records a time that must not exceed `limit`.
    pub(crate) fn within(&mut self, what: &str, took: Option<Duration>, limit: Duration) {
        let limit = limit.as_secs_f64();
        self.seen.push(match took.map(|took| took.as_secs_f64()) {
            Some(took) => (format!("{what} {took:.2} s (≤ {limit} s)"), took <= limit),
            None => (format!("{what}: never (≤ {limit} s)"), false),
        });
    }

    /// Records the time between two moments, which must not exceed `limit`.
    pub(crate) fn by(&mut self, what: &str, from: Instant, to: Option<Instant>, limit: Duration) {
        self.within(what, to.map(|to| to.saturating_duration_since(from)), limit);
    }

    /// Records a number that must not exceed `limit`.
    pub(crate) fn at_most(&mut self, what: &str, is: u64, limit: u64) {
        let text =
            if limit == 0 { format!("{what} {is}") } else { format!("{what} {is} (≤ {limit})") };
        self.seen.push((text, is <= limit));
    }

    /// Records the number of protocol violations at an orchestrator, which must be 0.
    pub(crate) fn right(&mut self, wrong: &Wrong) {
        let Wrong { count, first } = wrong;
        let first = first.as_ref().map(|first| format!(", first {first}")).unwrap_or_default();
        self.seen.push((format!("violations {count}{first}"), *count == 0));
    }

    /// Records a number that must be at least `limit`.
    pub(crate) fn at_least(&mut self, what: &str, is: u64, limit: u64) {
        self.seen.push((format!("{what} {is} (≥ {limit})"), is >= limit));
    }

    /// Records a condition that must hold.
    pub(crate) fn holds(&mut self, what: &str, is_so: bool) {
        let text = if is_so { what.to_owned() } else { format!("NOT: {what}") };
        self.seen.push((text, is_so));
    }

    /// Records a measurement without a limit.
    pub(crate) fn note(&mut self, what: String) {
        self.seen.push((what, true));
    }

    /// Records that this computer lacks something that the row needs. The row fails.
    pub(crate) fn lacks(&mut self, what: &str) {
        self.seen.push((format!("not played: {what}"), false));
    }

    /// Ends the row.
    pub(crate) fn verdict(mut self) -> Verdict {
        match self.reports.checked() {
            (0, _) => {}
            (count, None) => self.note(format!("{count} reports match the schema")),
            (_, Some(wrong)) => self.holds(&format!("reports match the schema ({wrong})"), false),
        }
        Verdict { seen: self.seen }
    }

    /// The name of the row's folder, which no other row has.
    pub(crate) fn slug(&self) -> &str {
        &self.slug
    }
}
