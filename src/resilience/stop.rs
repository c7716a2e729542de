//! A stop signal: dropping the [`Stopper`] wakes every task that waits on a copy of its [`Stop`].
//!
//! Does not: carry a reason; the owner of the stopper knows it.

use tokio::sync::watch;

/// The sending end. Keep it while the tasks are to run; dropping it stops them.
#[derive(Debug)]
pub struct Stopper {
    _hold: watch::Sender<()>,
}

/// The receiving end, which a task waits on beside its work. Clone it for each task.
#[derive(Debug, Clone)]
pub struct Stop {
    dropped: watch::Receiver<()>,
}

impl Stop {
    /// Makes the two ends.
    pub fn new() -> (Stopper, Self) {
        let (hold, dropped) = watch::channel(());
        (Stopper { _hold: hold }, Self { dropped })
    }

    /// Returns once the stopper is dropped; later calls return at once. Cancel safe.
    pub async fn wait(&mut self) {
        while self.dropped.changed().await.is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_stopper_stops_every_copy() {
        let (stopper, stop) = Stop::new();
        let (mut first, mut second) = (stop.clone(), stop);
        drop(stopper);
        first.wait().await;
        first.wait().await;
        second.wait().await;
    }
}
