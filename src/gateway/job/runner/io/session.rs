//! Owns a session on a runner that may exist, and requests its stop in every case, also after an error or a panic.
//!
//! ```text
//!  nothing ──a payment on its way, or an answer──▶ held ──stop()──▶ stopped
//!                                                 └──dropped: error, shutdown, panic──▶ a thread of its own stops it
//! ```
//!
//! A paid session may exist before the reservation is answered, under the id of the challenge, so it is held as soon as
//! it is paid. From then on the stop of the session is requested until the runner confirms the stop. Dropping a held
//! session waits a bounded time for the thread, because the end of the process would end the thread.
//!
//! Does not: know what the session is for.

use std::sync::mpsc;
use std::time::Duration;

use http::Method;

use crate::endings::io::{EndGuard, Endings};
use crate::endings::{OwedEnd, is_confirmed};
use crate::http::Url;
use crate::http::io::{Client, HttpRequest};
use crate::job::runner::wire::is_id;
use crate::session::Network;

/// The timeout of one stop call.
const STOP_TIME: Duration = Duration::from_secs(5);
/// How many stop calls are made without a pause; [`Endings::settle`] makes later ones.
const TRIES: u8 = 2;
/// How long a drop may block the thread in which it happens.
const LAST_RESORT_TIME: Duration = Duration::from_secs(1);

/// A session that may exist. Dropping this value requests the stop of the session.
#[derive(Debug)]
pub(in crate::job) struct RunnerSession {
    client: Client,
    runner: Url,
    endings: Endings,
    /// The pending stop; `None` if no session may exist.
    owed: Option<EndGuard>,
}

impl RunnerSession {
    pub(super) fn nothing(network: &Network, runner: Url) -> Self {
        let (client, endings) = (network.client.clone(), network.endings.clone());
        Self { client, runner, endings, owed: None }
    }

    /// Call this when a session with this id may exist from now on.
    pub(super) fn hold(&mut self, id: &str) {
        if is_id(id) {
            let end = OwedEnd::Session(self.runner.join(&format!("/{id}/stop")));
            if self.owed.as_ref().is_none_or(|owed| *owed.end() != end) {
                self.owed = Some(self.endings.owe(end));
            }
        }
    }

    /// Call this when the runner said that there is no session.
    pub(super) fn let_go(&mut self) {
        if let Some(owed) = self.owed.take() {
            owed.confirm();
        }
    }

    /// Stops the session; a session that no longer exists counts as stopped. A stop that is not confirmed is requested
    /// again later.
    pub(in crate::job) async fn stop(&mut self) {
        let Some(owed) = self.owed.take() else { return };
        let url = owed.end().url();
        for _ in 0..TRIES {
            // The call goes on even if this future is dropped.
            match self.client.call(call(url)).await {
                Ok(answer) if is_confirmed(answer.status) => {
                    log::debug!("{}: session stopped ({})", url.authority(), answer.status);
                    owed.confirm();
                    return;
                }
                Ok(answer) => {
                    log::debug!("{}: stop answered with {}", url.authority(), answer.status);
                }
                Err(error) => log::debug!("stop of the session: {}", error.without_path()),
            }
        }
        log::warn!(
            "{}: a session could not be stopped; it costs money until it is stopped or expires",
            url.authority()
        );
    }
}

impl Drop for RunnerSession {
    fn drop(&mut self) {
        let Some(owed) = self.owed.take() else { return };
        let (client, (done, waited)) = (self.client.clone(), mpsc::channel());
        let stopping =
            std::thread::Builder::new().name("stop-session".to_owned()).spawn(move || {
                match client.call_blocking(&call(owed.end().url())) {
                    Ok(answer) if is_confirmed(answer.status) => owed.confirm(),
                    Ok(answer) => log::debug!("stop of the session: status {}", answer.status),
                    Err(error) => log::debug!("stop of the session: {}", error.without_path()),
                }
                let _ = done.send(());
            });
        if stopping.is_ok() {
            let _ = waited.recv_timeout(LAST_RESORT_TIME);
        }
    }
}

fn call(url: &Url) -> HttpRequest {
    HttpRequest { method: Method::POST, ..HttpRequest::get(url.clone()) }.within(STOP_TIME)
}
