//! Trickle: numbered segments on a channel, over HTTP/1.1, both ways (protocol.md, section 1).
//!
//! [`Publication`] and [`Subscription`] are pure: they decide what each answer means. [`io::Publisher`] and
//! [`io::Subscriber`] own the connections and carry out these decisions.
//!
//! ```text
//! Pieces ─▶ io::Publisher ─▶ POST {channel}/{seq} … GET {channel}/{seq} ─▶ io::Subscriber ─▶ SegmentSink
//!               │ ▲                                                            │ ▲
//!               ▼ │                                                            ▼ │
//!           Publication                                                   Subscription
//! ```
//!
//! Does not: read the content of segments, create channels, or move to another channel; the job does.

mod channel;
mod error;
pub mod io;
mod pending;
mod publication;
mod subscription;
mod wire;

pub use channel::{Channel, ChannelError, ChannelKind};
pub use error::{ChannelEnd, LinkError, TrickleError};
pub use publication::{EndReason, PostAttempt, Publication, PublicationDecision, UploadProgress};
pub use subscription::{SegmentRequest, Subscription, SubscriptionStep};
pub(crate) use wire::is_gone;
pub use wire::{TrickleAnswer, first_seq};

use std::time::Duration;

/// Maximum attempts in a row to reach the peer (Python gateway, subscriber). A publisher counts only answered attempts;
/// unanswered ones are limited by time, because the network may return.
pub(crate) const TRIES: u32 = 5;
/// Segments lost in a row that end a publication (Python gateway).
pub(crate) const LOST_IN_A_ROW: u32 = 3;
/// The pause before a segment that does not exist yet is requested again (go-livepeer subscriber).
pub(crate) const AHEAD_PAUSE: Duration = Duration::from_millis(250);

/// The pause before the next attempt: 300 to 500 ms, by `jitter` from 0 to 1 (Python gateway).
fn retry_pause(jitter: f64) -> Duration {
    Duration::from_millis(300) + Duration::from_millis(200).mul_f64(jitter.clamp(0.0, 1.0))
}
