//! Starts a sandbox on its own thread and stops it.
//!
//! The sandbox has its own thread and runtime, so that it does not add to the latency and CPU time measured for the
//! agent in a demo.
//!
//! Does not: serve connections; `server` does.

mod app;
pub(crate) mod call;
mod calls;
mod certificate;
mod grpc;
mod runner;
mod scope;
mod server;
mod start;
mod video;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::io::certificate::Tls;
use crate::world::World;
use crate::{Counters, Credential, Failure, Ledger, Options, Record, Role, Violations};
use livepeer_gateway::http::Fingerprint;
use resilience::stop::{Stop, Stopper};

/// How long to wait for the thread to end.
const STOP: Duration = Duration::from_secs(2);

/// Why a sandbox cannot start.
#[derive(Debug)]
pub enum StartError {
    /// Listening on this address failed.
    Listen(SocketAddr, io::Error),
    /// Making a certificate for this host failed, with the reason.
    Certificate(String, String),
    /// Making the thread or its event queue failed.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(address, error) if error.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "sandbox: {address} is in use; choose another port, or 0 for a free one")
            }
            Self::Listen(address, _) => write!(f, "sandbox: cannot listen on {address}"),
            Self::Certificate(host, reason) => {
                write!(f, "sandbox: no certificate for host `{host}`: {reason}")
            }
            Self::Thread(_) => f.write_str("sandbox: cannot start its thread"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen(_, error) | Self::Thread(error) => Some(error),
            Self::Certificate(..) => None,
        }
    }
}

/// An orchestrator in one process.
#[derive(Debug)]
pub struct Sandbox;

impl Sandbox {
    /// Starts a sandbox, which listens when this returns. Drop or stop the handle to stop it.
    pub fn start(options: Options) -> Result<Handle, StartError> {
        let (orchestrator, address) = listen(options.listen)?;
        let given = options.certificate.clone();
        let signer = options.signer.as_ref().map(|signer| listen(signer.listen)).transpose()?;
        let (signer, signer_address) = signer.unzip();
        let (world, jobs) = World::new(options, address, signer_address);
        let world = Arc::new(world);
        let showing = |given, alpn| {
            Tls::new(&world.host(), given, alpn)
                .map(Arc::new)
                .map_err(|reason| StartError::Certificate(world.host(), reason))
        };
        let tls = showing(given.as_ref(), &[b"h2", b"http/1.1"])?;
        let signer_tls = showing(None, &[b"http/1.1"])?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StartError::Thread)?;
        let (stopper, stop) = Stop::new();
        let (end, ended) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("sandbox".to_owned())
            .spawn({
                let world = Arc::clone(&world);
                let (tls, signer_tls) = (Arc::clone(&tls), Arc::clone(&signer_tls));
                let ports = server::Ports { orchestrator, tls, signer, signer_tls };
                move || {
                    // This sender is dropped when the thread ends or panics.
                    let _end: mpsc::Sender<()> = end;
                    runtime.block_on(server::run(ports, world, jobs, stop));
                    runtime.shutdown_timeout(STOP / 2);
                }
            })
            .map_err(StartError::Thread)?;
        log::info!("sandbox: listening on {address}, certificate {}", tls.fingerprint());
        Ok(Handle { world, tls, signer_tls, stopper: Some(stopper), ended, thread: Some(thread) })
    }
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |error| StartError::Listen(address, error);
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// A running sandbox. Dropping the handle stops it.
#[derive(Debug)]
pub struct Handle {
    world: Arc<World>,
    tls: Arc<Tls>,
    signer_tls: Arc<Tls>,
    stopper: Option<Stopper>,
    ended: mpsc::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    /// The address of the orchestrator.
    pub fn address(&self) -> SocketAddr {
        self.world.address
    }

    /// The orchestrator's URL.
    pub fn url(&self) -> String {
        self.world.url(false)
    }

    /// The fingerprint of the orchestrator's present certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        self.tls.fingerprint()
    }

    /// Changes the orchestrator's certificate, as a restart does. Returns the new fingerprint.
    pub fn change_certificate(&self) -> Result<Fingerprint, StartError> {
        self.tls.change().map_err(|reason| StartError::Certificate(self.world.host(), reason))?;
        Ok(self.tls.fingerprint())
    }

    /// The violations by clients so far.
    pub fn violations(&self) -> Violations {
        self.world.lock().violations.clone()
    }

    /// The counters so far.
    pub fn counters(&self) -> Counters {
        self.world.lock().record.counters
    }

    /// Calls `read` with the record. The closure must not block or call the handle, because the sandbox waits until it
    /// returns.
    pub fn look<T>(&self, read: impl FnOnce(&Record) -> T) -> T {
        read(&self.world.lock().record)
    }

    /// Waits until `wanted` is true for the record. Returns false if that takes longer than `limit`.
    pub async fn until(&self, limit: Duration, mut wanted: impl FnMut(&Record) -> bool) -> bool {
        self.wait(limit, || self.look(&mut wanted)).await
    }

    /// Waits until `wanted` is true, which is checked after each change in the sandbox. Returns false if that takes
    /// longer than `limit`.
    pub async fn wait(&self, limit: Duration, mut wanted: impl FnMut() -> bool) -> bool {
        let mut changes = self.world.changes();
        let seen = async {
            while !wanted() {
                if changes.changed().await.is_err() {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(limit, seen).await.unwrap_or(false)
    }

    /// Adds a failure that happens once.
    pub fn once(&self, failure: Failure) {
        self.add(failure, false);
    }

    /// Adds a failure that happens every time, until [`Handle::clear_failures`].
    pub fn always(&self, failure: Failure) {
        self.add(failure, true);
    }

    /// Removes all failures from the script.
    pub fn clear_failures(&self) {
        self.world.lock().script.clear();
    }

    /// The signer's URL for plain HTTP; `None` if there is no signer.
    pub fn signer_url(&self) -> Option<String> {
        self.world.signer.map(|address| self.world.url_at(true, address.port()))
    }

    /// The signer's URL for TLS, on the same port; `None` if there is no signer.
    pub fn signer_tls_url(&self) -> Option<String> {
        self.world.signer.map(|address| self.world.url_at(false, address.port()))
    }

    /// The fingerprint of the signer's certificate.
    pub fn signer_fingerprint(&self) -> Fingerprint {
        self.signer_tls.fingerprint()
    }

    /// Replaces the credentials that the signer accepts.
    pub fn accept_credentials(&self, credentials: Vec<Credential>) {
        self.world.lock().signer.credentials = credentials;
    }

    /// Changes the signer's key; its URL stays the same.
    pub fn change_signer_key(&self) {
        let key = &mut self.world.lock().signer_key;
        *key = key.wrapping_add(1);
    }

    /// The payments, debits and refused calls so far.
    pub fn ledger(&self) -> Ledger {
        self.world.lock().ledger.clone()
    }

    /// Advances the clock of tokens, tickets and debits, and makes the debits that are due at the new time.
    pub fn advance(&self, time: Duration) {
        self.world.advance(time);
    }

    /// Replaces the additional entries of the signer's list of orchestrators, each a JSON text. Invalid JSON is served
    /// unchanged.
    pub fn list(&self, entries: Vec<String>) {
        self.world.lock().listed = entries;
    }

    /// Makes a channel without a job. Returns its URL, with `http` if [`Options::plain_http`] allows it.
    pub fn create_channel(&self, name: &str, content_type: &str) -> String {
        if self.world.create(name, content_type).is_err() {
            log::warn!("sandbox: cannot create a channel: too many");
        }
        self.world.channel_url(self.world.options.plain_http, name)
    }

    /// Closes a channel. Returns false if the channel does not exist.
    pub fn delete_channel(&self, name: &str) -> bool {
        self.world.delete(name)
    }

    /// The manifest ids of the running jobs, oldest first.
    pub fn manifests(&self) -> Vec<String> {
        self.world.lock().jobs.manifests()
    }

    /// The ids of the open runner sessions.
    pub fn sessions(&self) -> Vec<String> {
        self.world.lock().sessions.ids().map(str::to_owned).collect()
    }

    /// Ends all runner sessions and closes their channels, as if their runner had died. Returns the number of sessions.
    pub fn lose_sessions(&self) -> usize {
        let lost = self.sessions();
        lost.iter().for_each(|id| self.world.end(id));
        lost.len()
    }

    /// Closes the channels of this role of all jobs. Returns the number of channels. A closed publish channel ends its
    /// job.
    pub fn close_channels(&self, role: Role) -> usize {
        let names = self.manifests().into_iter().map(|m| format!("{m}{}", role.suffix()));
        names.filter(|name| self.world.delete(name)).count()
    }

    /// Stops the sandbox, as dropping the handle does. Connections end at once.
    pub fn stop(self) {}

    fn add(&self, failure: Failure, repeats: bool) {
        if !self.world.lock().script.add(failure, repeats) {
            log::warn!("sandbox: failure not added: the script is full");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        drop(self.stopper.take());
        // The thread never sends: an error other than a timeout means that it has ended.
        if self.ended.recv_timeout(STOP) != Err(mpsc::RecvTimeoutError::Timeout) {
            let thread = self.thread.take().map(JoinHandle::join);
            if matches!(thread, Some(Err(_))) {
                log::error!("sandbox: thread panicked");
                // A panic in the sandbox must fail the test that uses it.
                assert!(!cfg!(debug_assertions) || thread::panicking(), "the sandbox panicked");
            }
        } else {
            log::warn!("sandbox: thread did not end within {} s", STOP.as_secs());
        }
    }
}
