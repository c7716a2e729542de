//! A session on a runner that may exist, and its stop, which is asked for whatever happens.
//!
//! ```text
//!  nothing ──a payment on its way, or an answer──▶ held ──stop()──▶ stopped
//!                                                 └──dropped: error, shutdown, panic──▶ a thread of its own stops it
//! ```
//!
//! A paid session may exist before its answer is in, under the id of the challenge, so it is held from then on.
//! The last resort waits for its thread, a bounded time: a process that ends takes its threads along.
//!
//! Does not: know what the session is for.

use std::sync::mpsc;
use std::time::Duration;

use http::Method;

use crate::http::Url;
use crate::http::io::{Call, Client};
use crate::job::runner::wire::is_id;

/// Time for one stop.
const STOP_TIME: Duration = Duration::from_secs(5);
/// Stops asked for while none is answered.
const TRIES: u8 = 2;
/// How long the last resort may hold up its thread.
const LAST_RESORT_TIME: Duration = Duration::from_secs(1);

/// A session that may exist.
#[derive(Debug)]
pub(super) struct Held {
    client: Client,
    runner: Url,
    /// Where its stop is asked for; `None` when there is nothing to stop.
    stop: Option<Url>,
}

impl Held {
    pub(super) fn nothing(client: Client, runner: Url) -> Self {
        Self { client, runner, stop: None }
    }

    /// A session with this id may exist from now on.
    pub(super) fn hold(&mut self, id: &str) {
        if is_id(id) {
            self.stop = Some(self.runner.join(&format!("/{id}/stop")));
        }
    }

    /// There is no session: the runner said so.
    pub(super) fn let_go(&mut self) {
        self.stop = None;
    }

    /// Stops it. That it is gone already is as good.
    pub(super) async fn stop(&mut self) {
        let Some(url) = self.stop.clone() else { return };
        for _ in 0..TRIES {
            // The call goes on if nobody waits for it any more.
            match self.client.call(call(&url)).await {
                Ok(answer) if matches!(answer.status, 200..=299 | 404) => {
                    log::debug!("{}: session stopped ({})", url.authority(), answer.status);
                    self.stop = None;
                    return;
                }
                Ok(answer) => {
                    log::debug!("{}: stop answered with {}", url.authority(), answer.status);
                }
                Err(error) => log::debug!("stop of the session: {}", error.without_path()),
            }
        }
        self.stop = None;
        log::warn!(
            "{}: a session could not be stopped; it costs until it expires",
            url.authority()
        );
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(url) = self.stop.take() else { return };
        let (client, (done, waited)) = (self.client.clone(), mpsc::channel());
        let stopping =
            std::thread::Builder::new().name("stop-session".to_owned()).spawn(move || {
                if let Err(error) = client.call_blocking(&call(&url)) {
                    log::warn!("a session could not be stopped: {}", error.without_path());
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
