//! Publishes events to all subscribers, each with a bounded ring of its own.
//!
//! A publisher never waits. An async subscriber waits with [`Subscription::next`], a thread with
//! [`Subscription::next_blocking`]; neither wakes up without an event.
//!
//! Does not: write events anywhere.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

use crate::events::ring::{Next, Ring};
use crate::events::{Event, Kind};

/// Where events are published. Clones publish to the same subscribers; when the last clone is gone, every subscription
/// ends after the events that wait in it.
#[derive(Debug, Clone, Default)]
pub struct Bus(Arc<SharedBus>);

#[derive(Debug, Default)]
struct SharedBus {
    instance: Arc<str>,
    /// The number of subscriptions, so that a publisher without them takes no lock.
    count: AtomicUsize,
    state: Mutex<BusState>,
}

#[derive(Debug, Default)]
struct BusState {
    published: u64,
    subscribers: Vec<Weak<Subscriber>>,
}

#[derive(Debug, Default)]
struct Subscriber {
    waiting: Mutex<Waiting>,
    arrived: Notify,
    arrived_blocking: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    ring: Ring,
    is_closed: bool,
}

/// The events from the time of [`Bus::subscribe`] on.
#[derive(Debug)]
pub struct Subscription {
    subscriber: Arc<Subscriber>,
    instance: Arc<str>,
    bus: Weak<SharedBus>,
}

/// Ends a subscription that another thread waits for.
#[derive(Debug, Clone)]
pub(super) struct Closer(Arc<Subscriber>);

impl Bus {
    /// A bus for the events of the agent called `instance`.
    pub fn new(instance: &str) -> Self {
        let (instance, count, state) = (instance.into(), AtomicUsize::new(0), Mutex::default());
        Self(Arc::new(SharedBus { instance, count, state }))
    }

    /// Publishes the event that `kind` makes, to every subscriber. `kind` is not called if there are none.
    pub fn publish(&self, kind: impl FnOnce() -> Kind) {
        if self.0.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let kind = kind();
        // Under one lock, so that the numbers come in their order.
        let mut state = lock(&self.0.state);
        let event = Event::new(kind, state.published, &self.0.instance, since_1970());
        let event = Arc::new(event);
        state.published += 1;
        state.subscribers.retain(|subscriber| {
            let subscriber = subscriber.upgrade();
            subscriber.inspect(|subscriber| subscriber.push(Arc::clone(&event))).is_some()
        });
    }

    /// The name of the agent.
    pub(super) fn instance(&self) -> &str {
        &self.0.instance
    }

    /// Subscribes to all events from now on.
    pub fn subscribe(&self) -> Subscription {
        let subscriber = Arc::new(Subscriber::default());
        lock(&self.0.state).subscribers.push(Arc::downgrade(&subscriber));
        self.0.count.fetch_add(1, Ordering::Relaxed);
        let (instance, bus) = (Arc::clone(&self.0.instance), Arc::downgrade(&self.0));
        Subscription { subscriber, instance, bus }
    }
}

impl Drop for SharedBus {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state
            .subscribers
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|subscriber| subscriber.close());
    }
}

impl Subscriber {
    fn push(&self, event: Arc<Event>) {
        let mut waiting = lock(&self.waiting);
        if !waiting.is_closed {
            waiting.ring.push(event);
            self.wake();
        }
    }

    fn close(&self) {
        lock(&self.waiting).is_closed = true;
        self.wake();
    }

    fn wake(&self) {
        self.arrived.notify_one();
        self.arrived_blocking.notify_one();
    }
}

impl Subscription {
    /// Waits for the next event; `None` at the end. Cancel safe.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        loop {
            {
                let mut waiting = lock(&self.subscriber.waiting);
                if let Some(next) = waiting.ring.pop() {
                    drop(waiting);
                    return Some(self.event(next));
                }
                if waiting.is_closed {
                    return None;
                }
            }
            // A notification between the check and this wait is kept.
            self.subscriber.arrived.notified().await;
        }
    }

    /// As [`Subscription::next`], for a thread that may block.
    pub(super) fn next_blocking(&mut self) -> Option<Arc<Event>> {
        let mut waiting = lock(&self.subscriber.waiting);
        loop {
            if let Some(next) = waiting.ring.pop() {
                drop(waiting);
                return Some(self.event(next));
            }
            if waiting.is_closed {
                return None;
            }
            let woken = self.subscriber.arrived_blocking.wait(waiting);
            waiting = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Blocks the thread for this time, or until the subscription is closed. Returns whether it is closed.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let by = Instant::now() + time;
        let mut waiting = lock(&self.subscriber.waiting);
        loop {
            let left = by.saturating_duration_since(Instant::now());
            if waiting.is_closed || left.is_zero() {
                return waiting.is_closed;
            }
            let woken = self.subscriber.arrived_blocking.wait_timeout(waiting, left);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends this subscription from elsewhere: the events that wait are still received.
    pub(super) fn closer(&self) -> Closer {
        Closer(Arc::clone(&self.subscriber))
    }

    fn event(&self, next: Next) -> Arc<Event> {
        match next {
            Next::Event(event) => event,
            Next::Lost(count, last) => {
                let kind = Kind::EventsLost { count };
                Arc::new(Event::new(kind, last, &self.instance, since_1970()))
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let Some(bus) = self.bus.upgrade() else { return };
        bus.count.fetch_sub(1, Ordering::Relaxed);
        let own = Arc::as_ptr(&self.subscriber);
        lock(&bus.state).subscribers.retain(|other| !std::ptr::eq(other.as_ptr(), own));
    }
}

impl Closer {
    /// Ends the subscription.
    pub(super) fn close(&self) {
        self.0.close();
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::events::WAITING;

    #[tokio::test]
    async fn every_subscriber_gets_every_event_once_in_its_order() {
        let bus = Bus::new("front");
        let (mut first, mut second) = (bus.subscribe(), bus.subscribe());
        bus.publish(|| Kind::Stopping);
        bus.publish(|| Kind::PaymentWorks);
        drop(bus);
        for subscription in [&mut first, &mut second] {
            let event = subscription.next().await.unwrap();
            assert_eq!((event.number(), event.kind()), (0, &Kind::Stopping));
            assert!(event.line().contains(r#""instance":"front""#), "{}", event.line());
            assert_eq!(subscription.next().await.unwrap().kind(), &Kind::PaymentWorks);
            assert_eq!(subscription.next().await, None);
        }
    }

    #[test]
    fn no_event_is_made_without_a_subscriber() {
        let bus = Bus::default();
        bus.publish(|| panic!("nobody listens"));
        let subscription = bus.subscribe();
        drop(subscription);
        bus.publish(|| panic!("nobody listens any more"));
        assert!(lock(&bus.0.state).subscribers.is_empty());
    }

    #[tokio::test]
    async fn a_slow_subscriber_loses_the_oldest_and_learns_how_many() {
        let bus = Bus::default();
        let (mut slow, mut fast) = (bus.subscribe(), bus.subscribe());
        for _ in 0..WAITING + 2 {
            bus.publish(|| Kind::ModelWorks);
            assert_eq!(fast.next().await.unwrap().kind(), &Kind::ModelWorks);
        }
        let lost = slow.next().await.unwrap();
        assert_eq!((lost.number(), lost.kind()), (1, &Kind::EventsLost { count: 2 }));
        assert_eq!(slow.next().await.unwrap().number(), 2);
    }

    #[tokio::test]
    async fn a_waiting_subscriber_is_woken_by_an_event_and_by_the_end() {
        let bus = Bus::default();
        let (mut waiting, mut blocked) = (bus.subscribe(), bus.subscribe());
        let thread = thread::spawn(move || {
            let first = blocked.next_blocking().map(|event| event.number());
            (first, blocked.next_blocking())
        });
        let (first, ()) = tokio::join!(waiting.next(), async { bus.publish(|| Kind::Stopping) });
        assert_eq!(first.unwrap().number(), 0);
        let (end, ()) = tokio::join!(waiting.next(), async { drop(bus) });
        assert_eq!(end, None);
        assert_eq!(thread.join().unwrap(), (Some(0), None));
    }

    #[test]
    fn a_closed_subscription_gives_what_waits_and_ends_its_pause() {
        let bus = Bus::default();
        let mut subscription = bus.subscribe();
        let closer = subscription.closer();
        assert!(!subscription.pause(Duration::from_millis(1)));
        bus.publish(|| Kind::Stopping);
        let thread = thread::spawn(move || {
            let is_closed = subscription.pause(Duration::from_secs(60));
            (is_closed, subscription.next_blocking().is_some(), subscription.next_blocking())
        });
        closer.close();
        assert_eq!(thread.join().unwrap(), (true, true, None));
        bus.publish(|| Kind::Stopping);
    }
}
