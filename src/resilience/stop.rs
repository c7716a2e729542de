//! A stop that every part waits for: the other end of it is dropped.
//!
//! Does not: carry a reason; who stops knows why.

use tokio::sync::watch;

/// Holds the parts alive: dropping it stops them.
#[derive(Debug)]
pub struct Stopper {
    _hold: watch::Sender<()>,
}

/// What a part waits for beside its work.
#[derive(Debug, Clone)]
pub struct Stop {
    dropped: watch::Receiver<()>,
}

impl Stop {
    /// A stop and what holds it back.
    pub fn new() -> (Stopper, Self) {
        let (hold, dropped) = watch::channel(());
        (Stopper { _hold: hold }, Self { dropped })
    }

    /// Returns once the stopper is dropped; at once, from then on. Cancel safe.
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
