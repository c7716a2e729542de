//! Helpers for async code: a sleep that may last forever, a task that ends with its owner, and a part that follows its
//! options.
//!
//! Does not: retry or back off; see [`crate::backoff`].

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Sleeps until `time`; without a time, never returns. Cancel safe.
pub async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => pending().await,
    }
}

/// Runs `part` with the present options, and ends and begins it again after each change of them.
pub async fn with_options<O: Clone, F: Future<Output = Infallible>>(
    mut options: watch::Receiver<O>,
    part: impl Fn(O) -> F,
) -> Infallible {
    loop {
        let present = options.borrow_and_update().clone();
        let mut running = pin!(part(present));
        tokio::select! {
            never = &mut running => match never {},
            // Without a sender, the options never change again.
            changed = options.changed() => if changed.is_err() {
                match running.await {}
            },
        }
    }
}

/// A spawned task that is aborted when this is dropped. Await it for the task's result; `None` if the task panicked.
#[derive(Debug)]
pub struct AbortOnDrop<T>(JoinHandle<T>);

impl<T: Send + 'static> AbortOnDrop<T> {
    /// Spawns `future`. Call it within a tokio runtime.
    pub fn spawn(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }
}

impl<T> Future for AbortOnDrop<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.0).poll(cx).map(Result::ok)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::{mpsc, oneshot};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_past_time_returns_at_once_and_no_time_never_returns() {
        sleep_until(Some(Instant::now())).await;
        assert!(timeout(Duration::from_millis(20), sleep_until(None)).await.is_err());
    }

    #[tokio::test]
    async fn a_part_begins_again_after_each_change_and_goes_on_without_a_sender() {
        let (change, options) = watch::channel(1);
        let (begun, mut begins) = mpsc::unbounded_channel();
        let part = |option: i32| {
            let _ = begun.send(option);
            pending()
        };
        let run = with_options(options, part);
        let watch = async {
            assert_eq!(begins.recv().await, Some(1));
            change.send(2).unwrap();
            assert_eq!(begins.recv().await, Some(2));
            drop(change);
            assert!(timeout(Duration::from_millis(20), begins.recv()).await.is_err());
        };
        tokio::select! {
            never = run => match never {},
            () = watch => {}
        }
    }

    #[tokio::test]
    async fn a_task_gives_its_result_and_ends_with_its_owner() {
        assert_eq!(AbortOnDrop::spawn(async { 7 }).await, Some(7));
        let (held, dropped) = oneshot::channel::<()>();
        let task = AbortOnDrop::spawn(async move {
            pending::<()>().await;
            drop(held);
        });
        drop(task);
        assert!(dropped.await.is_err(), "what the task held is dropped with it");
    }
}
