//! Runs a command until it ends or signals end it: the first gracefully, the second at once.
//!
//! ```text
//! running ──SIGINT, SIGTERM──▶ stopping ──SIGINT, SIGTERM──▶ Error::StoppedAtOnce
//!    └────────the command ends────┴──▶ its result
//! ```
//!
//! Does not: limit the time of a graceful stop; the agent does.

use std::pin::pin;

use tokio::select;
use tokio::signal::unix::{SignalKind, signal};

use super::Error;
use crate::stop::Stop;

/// Runs `command` with the signals of this process.
pub async fn until_stopped(
    command: impl AsyncFnOnce(Stop) -> Result<(), Error>,
) -> Result<(), Error> {
    let open = |kind| signal(kind).map_err(Error::Start);
    let mut interrupt = open(SignalKind::interrupt())?;
    let mut terminate = open(SignalKind::terminate())?;
    run(command, async || {
        select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        }
    })
    .await
}

async fn run(
    command: impl AsyncFnOnce(Stop) -> Result<(), Error>,
    mut next_signal: impl AsyncFnMut() -> &'static str,
) -> Result<(), Error> {
    let (stopper, stop) = Stop::new();
    let mut command = pin!(command(stop));
    select! {
        result = &mut command => return result,
        name = next_signal() => log::info!("{name}: stopping; the next one stops at once"),
    }
    drop(stopper);
    select! {
        result = command => result,
        _ = next_signal() => Err(Error::StoppedAtOnce),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::pending;

    use super::*;

    async fn gracefully(mut stop: Stop) -> Result<(), Error> {
        stop.wait().await;
        Ok(())
    }

    /// Signals that come as soon as somebody waits for them, `count` of them.
    async fn check(
        count: u32,
        command: impl AsyncFnOnce(Stop) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let left = Cell::new(count);
        run(command, async || {
            match left.get().checked_sub(1) {
                Some(less) => left.set(less),
                None => pending().await,
            }
            "SIGTERM"
        })
        .await
    }

    #[tokio::test]
    async fn a_command_that_ends_is_not_disturbed() {
        assert!(check(0, async |_| Ok(())).await.is_ok());
        let failed = check(0, async |_| Err(Error::StoppedAtOnce)).await;
        assert!(matches!(failed, Err(Error::StoppedAtOnce)));
    }

    #[tokio::test]
    async fn the_first_signal_stops_and_waits_for_the_end() {
        assert!(check(1, gracefully).await.is_ok());
    }

    #[tokio::test]
    async fn the_second_signal_does_not_wait() {
        let stopped = check(2, async |_| pending().await).await;
        assert!(matches!(stopped, Err(Error::StoppedAtOnce)));
    }
}
