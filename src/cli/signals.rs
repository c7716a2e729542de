//! Runs a command until it ends; a first signal ends it gracefully, a second one at once.
//!
//! ```text
//! running ──SIGINT, SIGTERM──▶ stopping ──another one, after TOGETHER──▶ Error::StoppedAtOnce
//!    └────────the command ends────┴──▶ its result
//! ```
//!
//! `timeout`, `sudo` and a terminal signal the process and also its group, so one request to stop may arrive as two
//! signals within milliseconds. Signals within [`TOGETHER`] count as one.
//!
//! A write beyond the limit of `ulimit -f` raises SIGXFSZ, which would end the process. The signal is caught, so that
//! the write fails with an error.
//!
//! Does not: limit the time of a graceful stop; the agent does.

use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::select;
use tokio::signal::unix::{SignalKind, signal};

use super::Error;
use resilience::stop::Stop;

/// Signals within this time after the first one count as the same request.
pub const TOGETHER: Duration = Duration::from_millis(500);

/// Runs `command` until it ends or signals end it.
pub async fn until_stopped(
    command: impl AsyncFnOnce(Stop) -> Result<(), Error>,
) -> Result<(), Error> {
    let open = |kind| signal(kind).map_err(Error::Start);
    let mut interrupt = open(SignalKind::interrupt())?;
    let mut terminate = open(SignalKind::terminate())?;
    let _caught = signal(SignalKind::from_raw(libc::SIGXFSZ)).map_err(Error::Start)?;
    run(command, TOGETHER, async || {
        select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        }
    })
    .await
}

async fn run(
    command: impl AsyncFnOnce(Stop) -> Result<(), Error>,
    together: Duration,
    mut next_signal: impl AsyncFnMut() -> &'static str,
) -> Result<(), Error> {
    let (stopper, stop) = Stop::new();
    let mut command = pin!(command(stop));
    select! {
        result = &mut command => return result,
        name = next_signal() => log::info!("{name}: stopping; another signal stops at once"),
    }
    let first = Instant::now();
    drop(stopper);
    loop {
        select! {
            result = &mut command => return result,
            _ = next_signal() => {
                if first.elapsed() >= together {
                    return Err(Error::StoppedAtOnce);
                }
            }
        }
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

    /// Sends `count` signals as soon as the code under test waits for them; signals within `together` count as one.
    async fn check(
        count: u32,
        together: Duration,
        command: impl AsyncFnOnce(Stop) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let left = Cell::new(count);
        run(command, together, async || {
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
        assert!(check(0, TOGETHER, async |_| Ok(())).await.is_ok());
        let failed = check(0, TOGETHER, async |_| Err(Error::StoppedAtOnce)).await;
        assert!(matches!(failed, Err(Error::StoppedAtOnce)));
    }

    #[tokio::test]
    async fn the_first_signal_stops_and_waits_for_the_end() {
        assert!(check(1, Duration::ZERO, gracefully).await.is_ok());
    }

    #[tokio::test]
    async fn the_second_signal_does_not_wait() {
        let stopped = check(2, Duration::ZERO, async |_| pending().await).await;
        assert!(matches!(stopped, Err(Error::StoppedAtOnce)));
    }

    #[tokio::test]
    async fn signals_that_come_together_are_one() {
        assert!(check(9, Duration::MAX, gracefully).await.is_ok());
    }
}
