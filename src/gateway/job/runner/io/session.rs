//! A session on a runner that may exist, and its stop, which is asked for whatever happens.
//!
//! ```text
//!  nothing ──a payment on its way, or an answer──▶ held ──stop()──▶ stopped
//!                                                 └──dropped: error, shutdown, panic──▶ a thread of its own stops it
//! ```
//!
//! A paid session may exist before its answer is in, under the id of the challenge, so it is held from then on. Its
//! end is owed from then on, too: a stop that is not answered is asked for again until it is.
//! The last resort waits for its thread, a bounded time: a process that ends takes its threads along.
//!
//! Does not: know what the session is for.

use std::sync::mpsc;
use std::time::Duration;

use http::Method;

use crate::endings::io::{Endings, Owed};
use crate::endings::{OwedEnd, is_confirmed};
use crate::http::Url;
use crate::http::io::{Call, Client};
use crate::job::runner::wire::is_id;
use crate::session::Network;

/// Time for one stop.
const STOP_TIME: Duration = Duration::from_secs(5);
/// Stops asked for at once; later ones are the business of [`Endings::settle`].
const TRIES: u8 = 2;
/// How long the last resort may hold up its thread.
const LAST_RESORT_TIME: Duration = Duration::from_secs(1);

/// A session that may exist.
#[derive(Debug)]
pub(in crate::job) struct RunnerSession {
    client: Client,
    runner: Url,
    endings: Endings,
    /// The stop that is owed; `None` when there is nothing to stop.
    owed: Option<Owed>,
}

impl RunnerSession {
    pub(super) fn nothing(network: &Network, runner: Url) -> Self {
        let (client, endings) = (network.client.clone(), network.endings.clone());
        Self { client, runner, endings, owed: None }
    }

    /// A session with this id may exist from now on.
    pub(super) fn hold(&mut self, id: &str) {
        if is_id(id) {
            let end = OwedEnd::Session(self.runner.join(&format!("/{id}/stop")));
            if self.owed.as_ref().is_none_or(|owed| *owed.end() != end) {
                self.owed = Some(self.endings.owe(end));
            }
        }
    }

    /// There is no session: the runner said so.
    pub(super) fn let_go(&mut self) {
        if let Some(owed) = self.owed.take() {
            owed.confirm();
        }
    }

    /// Stops it. That it is gone already is as good. A stop without an answer stays owed.
    pub(in crate::job) async fn stop(&mut self) {
        let Some(owed) = self.owed.take() else { return };
        let url = owed.end().url();
        for _ in 0..TRIES {
            // The call goes on if nobody waits for it any more.
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
            "{}: a session could not be stopped; it costs until it is stopped or expires",
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

fn call(url: &Url) -> Call {
    Call { method: Method::POST, ..Call::get(url.clone()) }.within(STOP_TIME)
}
