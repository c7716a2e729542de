//! Publishes to channels and subscribes to them, each over its own connections.
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
pub use publisher::{PublishTimes, Published, Publisher, PublisherCounters};
pub use subscriber::{SegmentSink, SubscribeTimes, Subscriber};
