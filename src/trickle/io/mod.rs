//! Sockets of trickle: a publisher and a subscriber, each on connections of its own.
//!
//! Does not: decide what an answer means; [`Publication`](super::Publication) and
//! [`Subscription`](super::Subscription) do.

mod documents;
mod flight;
mod link;
mod messages;
mod post;
mod publisher;
mod subscriber;
mod upload;

pub use documents::Documents;
pub use messages::{MessageSender, Messages, NotSent, messages};
pub use publisher::{Counters, PublishTimes, Publisher};
pub use subscriber::{SegmentSink, SubscribeTimes, Subscriber};

use std::hash::{BuildHasher, Hasher, RandomState};

/// A number from 0 to 1 that differs from device to device and from time to time.
fn jitter() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    f64::from(u16::try_from(random & 0xffff).unwrap_or_default()) / f64::from(u16::MAX)
}
