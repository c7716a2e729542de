//! Runs a program for each event, with the event on its standard input: one at a time, each with a time limit.
//!
//! | the program | then |
//! |---|---|
//! | ends in time | what it left in its process group is killed |
//! | exceeds the limit | its process group gets SIGTERM, and after [`GRACE`] SIGKILL |
//! | leaves its process group (`setsid`) | it is not followed |
//! | runs while further events come | they wait, and the oldest are dropped |
//!
//! Standard input is a file in memory: a program that reads nothing, or only a part, does not block the agent. Standard
//! output is discarded, because it may belong to the video; standard error is that of the agent. No shell is used. The
//! environment has only the variables in [`KEPT`], `EVENT_TYPE` and `EVENT_INSTANCE`.
//!
//! Does not: run a program again that has failed.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::sinks::{END_TIME, Sink};
use crate::events::io::Subscription;
use crate::events::{Event, HookOptions};
use resilience::fault::chain;
use resilience::log_throttle::ThrottledLog;

/// The time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(1);
/// The variables that a program inherits.
const KEPT: [&str; 6] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/// Why a program has failed.
#[derive(Debug, thiserror::Error)]
enum HookError {
    /// The program could not be started.
    #[error("cannot start {0}: check events.exec")]
    Start(String, #[source] io::Error),
    /// The program exceeded its time limit.
    #[error("{0} was killed after {time} ms, the limit of events.exec-time", time = .1.as_millis())]
    Time(String, Duration),
    /// The program ended with an exit code other than 0, or by a signal.
    #[error("{0} failed: {1}")]
    Failed(String, std::process::ExitStatus),
}

/// The program.
#[derive(Debug)]
pub(super) struct Hook {
    options: HookOptions,
    instance: String,
    running: RunningProgram,
    failures: ThrottledLog,
}

/// The process group that runs now, so that another thread can end it.
#[derive(Debug, Clone, Default)]
pub(super) struct RunningProgram(Arc<Mutex<Group>>);

#[derive(Debug, Default)]
enum Group {
    #[default]
    None,
    Some(Pid),
    /// No further program is started.
    Ended,
}

impl RunningProgram {
    /// Kills the program that runs, and prevents further starts.
    pub(super) fn end(&self) {
        let mut group = self.lock();
        if let Group::Some(pid) = *group {
            kill(pid, Signal::KILL);
        }
        *group = Group::Ended;
    }

    fn lock(&self) -> MutexGuard<'_, Group> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hook {
    pub(super) fn new(options: HookOptions, instance: &str) -> Self {
        let recovered = format!("events.exec: {} works again", options.program);
        let failures = ThrottledLog::new(module_path!(), recovered);
        Self {
            options,
            instance: instance.to_owned(),
            running: RunningProgram::default(),
            failures,
        }
    }

    /// The handle that ends the program from another thread.
    pub(super) fn running(&self) -> RunningProgram {
        self.running.clone()
    }

    /// Runs the program, with `limit` as its time limit.
    fn run(&self, event: &Event, limit: Duration) -> Result<(), HookError> {
        let program = || self.options.program.clone();
        let failed = |error| HookError::Start(program(), error);
        let mut command = self.command(event).map_err(failed)?;
        let mut child = {
            // Under the lock, so that an end from elsewhere finds the program.
            let mut group = self.running.lock();
            if let Group::Ended = *group {
                return Ok(());
            }
            let child = command.spawn().map_err(failed)?;
            *group = Group::Some(Pid::from_child(&child));
            child
        };
        let was_killed = self.wait(&child, limit);
        let status = {
            let mut group = self.running.lock();
            // The child is not reaped yet, so no other process has its process group.
            kill(Pid::from_child(&child), Signal::KILL);
            if let Group::Some(_) = *group {
                *group = Group::None;
            }
            child.wait().map_err(failed)?
        };
        match was_killed {
            true => Err(HookError::Time(program(), limit)),
            false if status.success() => Ok(()),
            false => Err(HookError::Failed(program(), status)),
        }
    }

    fn command(&self, event: &Event) -> io::Result<Command> {
        let mut stdin = File::from(memfd_create("event", MemfdFlags::CLOEXEC)?);
        stdin.write_all(event.line().as_bytes())?;
        stdin.write_all(b"\n")?;
        stdin.rewind()?;
        let mut command = Command::new(&self.options.program);
        command
            .args(&self.options.arguments)
            .env_clear()
            .envs(KEPT.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))))
            .env("EVENT_TYPE", event.kind().name())
            .env("EVENT_INSTANCE", &self.instance)
            .stdin(Stdio::from(stdin))
            .stdout(Stdio::null())
            .process_group(0);
        Ok(command)
    }

    /// Waits until the program has ended, without reaping it. Returns whether it had to be killed.
    fn wait(&self, child: &Child, limit: Duration) -> bool {
        let pid = Pid::from_child(child);
        let ended = match ended(pid) {
            Ok(ended) => ended,
            Err(error) => {
                log::debug!("no thread waits for the program: {error}");
                kill(pid, Signal::KILL);
                return true;
            }
        };
        if ended.recv_timeout(limit).is_ok() {
            return false;
        }
        kill(pid, Signal::TERM);
        if ended.recv_timeout(GRACE).is_err() {
            kill(pid, Signal::KILL);
            // A driver may hold a process that is killed: no other program is started until that process ends.
            let _ = ended.recv();
        }
        true
    }
}

/// A receiver that is notified when the process has ended. The process is not reaped.
fn ended(pid: Pid) -> io::Result<Receiver<()>> {
    let (done, ended) = mpsc::sync_channel(1);
    let wait = move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(pid), options), Err(Errno::INTR)) {}
        let _ = done.send(());
    };
    thread::Builder::new().name("hook".into()).spawn(wait)?;
    Ok(ended)
}

/// Sends a signal to a process group, which may be gone.
fn kill(pid: Pid, signal: Signal) {
    let _ = kill_process_group(pid, signal);
}

impl Sink for Hook {
    fn write(&mut self, event: &Event, subscription: &Subscription) -> bool {
        let time = self.options.time;
        let is_ending = subscription.pause(Duration::ZERO);
        let limit = if is_ending { time.min(END_TIME) } else { time };
        let result = self.run(event, limit);
        let now = Instant::now();
        match result {
            Ok(()) => drop(self.failures.on_success(now)),
            Err(error) => {
                self.failures.on_failure(&format!("events.exec: {}", chain(&error)), now);
            }
        }
        true
    }
}
