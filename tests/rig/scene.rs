//! One row while it is played: its programs, and what was seen against what must be.
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

/// The arguments of a small job, so that many rows fit on a small machine.
const SMALL: &[&str] = &[
    "--video.width",
    "320",
    "--video.height",
    "180",
    "--video.segment",
    "1s",
    "--encoder.speed",
    "ultrafast",
];

/// A row while it is played.
pub(crate) struct Scene {
    slug: String,
    folder: PathBuf,
    programs: AtomicU32,
    seen: Vec<(String, bool)>,
}

/// What came out of a row.
pub(crate) struct Verdict {
    /// What was measured, each with whether it is as it must be.
    pub(crate) seen: Vec<(String, bool)>,
}

impl Scene {
    /// A row of this name, with a folder of its own below `logs`.
    pub(crate) fn new(name: &str, logs: &Path) -> Self {
        let slug: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        let folder = logs.join(&slug);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self { slug, folder, programs: AtomicU32::new(0), seen: Vec::new() }
    }

    /// A path in the row's own folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Starts `command`, whose log is kept under this name.
    pub(crate) fn program(&self, name: &str, command: Command) -> Program {
        let nth = self.programs.fetch_add(1, Ordering::Relaxed);
        Program::start(command, self.path(&format!("{nth}-{name}.log")))
    }

    /// The built program, with a state directory of its own and nothing of this environment's settings.
    pub(crate) fn edge(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_livepeer-edge"));
        clean(&mut command);
        command.args(arguments).env("STATE_DIRECTORY", self.path("state"));
        command
    }

    /// A small job at these orchestrators, ready to be started.
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
        self.edge(&arguments)
    }

    /// A small job at these orchestrators.
    pub(crate) fn agent(&self, urls: &[&str], more: &[&str]) -> Program {
        self.program("agent", self.job(urls, more))
    }

    /// An orchestrator as a process, on this port.
    pub(crate) fn orchestrator(&self, port: u16) -> Program {
        let listen = format!("127.0.0.1:{port}");
        self.program("orchestrator", self.edge(&["sandbox", "--listen", &listen]))
    }

    /// A time that must not be longer.
    pub(crate) fn within(&mut self, what: &str, took: Option<Duration>, limit: Duration) {
        let limit = limit.as_secs_f64();
        self.seen.push(match took.map(|took| took.as_secs_f64()) {
            Some(took) => (format!("{what} {took:.2} s (≤ {limit} s)"), took <= limit),
            None => (format!("{what}: never (≤ {limit} s)"), false),
        });
    }

    /// The same, told by two moments.
    pub(crate) fn by(&mut self, what: &str, from: Instant, to: Option<Instant>, limit: Duration) {
        self.within(what, to.map(|to| to.saturating_duration_since(from)), limit);
    }

    /// A number that must not be greater.
    pub(crate) fn at_most(&mut self, what: &str, is: u64, limit: u64) {
        let text =
            if limit == 0 { format!("{what} {is}") } else { format!("{what} {is} (≤ {limit})") };
        self.seen.push((text, is <= limit));
    }

    /// What was done wrong at a place: nothing.
    pub(crate) fn right(&mut self, wrong: &Wrong) {
        let Wrong { count, first } = wrong;
        let first = first.as_ref().map(|first| format!(", first {first}")).unwrap_or_default();
        self.seen.push((format!("violations {count}{first}"), *count == 0));
    }

    /// A number that must not be smaller.
    pub(crate) fn at_least(&mut self, what: &str, is: u64, limit: u64) {
        self.seen.push((format!("{what} {is} (≥ {limit})"), is >= limit));
    }

    /// Something that must be so.
    pub(crate) fn holds(&mut self, what: &str, is_so: bool) {
        let text = if is_so { what.to_owned() } else { format!("NOT: {what}") };
        self.seen.push((text, is_so));
    }

    /// Something worth telling, whatever it is.
    pub(crate) fn note(&mut self, what: String) {
        self.seen.push((what, true));
    }

    /// The row cannot be played on this machine, which lacks something. That is a failure.
    pub(crate) fn lacks(&mut self, what: &str) {
        self.seen.push((format!("not played: {what}"), false));
    }

    /// What came out of it.
    pub(crate) fn verdict(self) -> Verdict {
        Verdict { seen: self.seen }
    }

    /// A name that no other row has.
    pub(crate) fn slug(&self) -> &str {
        &self.slug
    }
}

/// Takes the settings of this environment from a program's.
fn clean(command: &mut Command) {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LIVEPEER_EDGE_")) {
        command.env_remove(name);
    }
    command.env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM");
}
