//! Requests the ends that are due, and stores the list on disk.
//!
//! Does not: decide which ends are due; `OwedEnds` does.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::Method;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::{OwedEnd, OwedEnds};
use crate::http::Authority;
use crate::http::io::{Client, HttpRequest};
use resilience::backoff::jitter;
use resilience::state_file::io::StateFile;

/// The time limit of one request. It is short, because a request to a runner that hangs is repeated.
const TRY_TIME: Duration = Duration::from_secs(5);
/// The largest file that is read, in bytes; a line has about 200 bytes.
const FILE_BYTES: u64 = 256 << 10;

/// The jobs and sessions that must still be ended. Clones share one list.
#[derive(Clone)]
pub struct Endings(Arc<SharedEndings>);

/// The file, and the lock against other processes; without a lock if the directory cannot be created or the system has no
/// such lock.
type ListStore = (StateFile, Option<UnixListener>);

struct SharedEndings {
    owed_ends: Mutex<OwedEnds>,
    client: Mutex<Client>,
    /// Locked while the file is written, so that the newest list is written last.
    file: Mutex<Option<ListStore>>,
    changed: Notify,
}

impl Endings {
    /// A list in memory only.
    pub fn in_memory(client: Client) -> Self {
        Self::with(client, OwedEnds::default(), None)
    }

    /// Opens the list that is stored in the directory `state`. Then run [`Endings::settle`], because the ends that an
    /// earlier run of the program left are due at once. If another process uses the directory, the stored ends belong
    /// to that process: the new list is then in memory only, and a warning is logged.
    pub fn open(client: Client, state: &Path) -> Self {
        let Ok(hold) = hold(state) else {
            log::warn!(
                "{}: another agent uses this state directory; jobs to end are kept in memory only: set state.directory",
                state.display()
            );
            return Self::in_memory(client);
        };
        let file = StateFile::new(state, "endings", "list of jobs to end", FILE_BYTES);
        let bytes = file.read().unwrap_or_default();
        let (owed_ends, torn) = OwedEnds::parse(&String::from_utf8_lossy(&bytes), Instant::now());
        if torn > 0 {
            file.set_aside(&format!("{torn} bad lines"));
        }
        Self::with(client, owed_ends, Some((file, hold)))
    }

    fn with(client: Client, owed_ends: OwedEnds, file: Option<ListStore>) -> Self {
        Self(Arc::new(SharedEndings {
            owed_ends: Mutex::new(owed_ends),
            client: Mutex::new(client),
            file: Mutex::new(file),
            changed: Notify::new(),
        }))
    }

    /// Uses `client` for all later requests.
    pub fn set_client(&self, client: Client) {
        *lock(&self.0.client) = client;
    }

    /// Adds the end of a job that runs now. It is due when the guard is dropped, unless it was confirmed.
    pub(crate) fn owe(&self, end: OwedEnd) -> EndGuard {
        let forgotten = lock(&self.0.owed_ends).owe(end.clone());
        if let Some(forgotten) = forgotten {
            log::warn!(
                "{}: too many jobs wait to be ended; the oldest one, at this peer, ends by its own timeout",
                forgotten.url().authority()
            );
        }
        self.save();
        EndGuard { endings: self.clone(), end }
    }

    /// Requests ends whenever they are due; never returns. Cancel safe.
    pub async fn settle(&self) {
        loop {
            // Register before checking, so that no notification is lost.
            let changed = self.0.changed.notified();
            self.ask_all().await;
            let next = lock(&self.0.owed_ends).poll_timeout();
            match next {
                Some(next) => drop(tokio::time::timeout_at(next.into(), changed).await),
                None => changed.await,
            }
        }
    }

    /// Requests the ends that are due at `peers` at once, and waits at most `limit`. Call it before a job is started
    /// there.
    pub async fn settle_at(&self, peers: &[Authority], limit: Duration) {
        let are_due = lock(&self.0.owed_ends).hurry(peers, Instant::now());
        if are_due && timeout(limit, self.ask_all()).await.is_err() {
            log::debug!("the end of an earlier job is not confirmed yet; starting the next one");
        }
    }

    async fn ask_all(&self) {
        loop {
            let due = lock(&self.0.owed_ends).next(Instant::now(), jitter());
            let Some(end) = due else { return };
            self.ask(&end).await;
        }
    }

    async fn ask(&self, end: &OwedEnd) {
        let (client, peer) = (lock(&self.0.client).clone(), end.url().authority());
        match client.call(call(end)).await {
            Ok(answer) if end.is_confirmed_by(answer.status) => {
                log::info!("{peer}: ended an earlier job");
                self.confirm(end);
            }
            Ok(answer) => log::debug!("{peer}: end of a job answered with {}", answer.status),
            Err(error) => log::debug!("end of a job: {}", error.without_path()),
        }
    }

    fn confirm(&self, end: &OwedEnd) {
        if lock(&self.0.owed_ends).confirm(end) {
            self.save();
        }
    }

    fn release(&self, end: &OwedEnd) {
        lock(&self.0.owed_ends).release(end, Instant::now());
        self.0.changed.notify_waiters();
    }

    /// Writes the list on a blocking thread, because a disk may be slow.
    fn save(&self) {
        let endings = self.clone();
        let write = move || endings.write();
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(write)),
            Err(_) => write(),
        }
    }

    /// Writes the current list, and blocks until it is written. Call it at the end of the program.
    pub fn write(&self) {
        let file = lock(&self.0.file);
        let text = lock(&self.0.owed_ends).text();
        if let Some((file, _)) = file.as_ref() {
            file.write(text.as_bytes());
        }
    }
}

impl fmt::Debug for Endings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URLs are credentials.
        f.debug_struct("Endings").finish_non_exhaustive()
    }
}

/// The end of one running job. If it is dropped without [`EndGuard::confirm`], the end is due.
pub struct EndGuard {
    endings: Endings,
    end: OwedEnd,
}

impl EndGuard {
    /// The end.
    pub(crate) fn end(&self) -> &OwedEnd {
        &self.end
    }

    /// Call when the peer confirmed the end, or ended the job itself.
    pub fn confirm(&self) {
        self.endings.confirm(&self.end);
    }
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.endings.release(&self.end);
    }
}

impl fmt::Debug for EndGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owed").field("at", self.end.url().authority()).finish()
    }
}

/// Locks the list in this directory against other processes until the result is dropped. The kernel releases the lock when
/// the process ends, however it ends. An error means that another process holds it.
fn hold(state: &Path) -> io::Result<Option<UnixListener>> {
    let directory = fs::create_dir_all(state).and_then(|()| fs::metadata(state));
    let Ok(directory) = directory else { return Ok(None) };
    let name = format!("livepeer-edge/endings/{}:{}", directory.dev(), directory.ino());
    match SocketAddr::from_abstract_name(name).and_then(|name| UnixListener::bind_addr(&name)) {
        Ok(hold) => Ok(Some(hold)),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Err(error),
        // The system has no such sockets, as in some containers. A container has its own state directory.
        Err(_) => Ok(None),
    }
}

/// The request that asks for an end.
fn call(end: &OwedEnd) -> HttpRequest {
    let method = match end {
        OwedEnd::Channel(_) => Method::DELETE,
        OwedEnd::Session(_) => Method::POST,
    };
    HttpRequest { method, ..HttpRequest::get(end.url().clone()) }.within(TRY_TIME)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change under the lock is complete, so a panic of another thread leaves no invalid state.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
