//! Sockets of trickle: a publisher and a subscriber, each on connections of its own.
//!
//! Does not: decide what an answer means; [`Publication`](super::Publication) and
//! [`Subscription`](super::Subscription) do.
