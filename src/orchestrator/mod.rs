//! What an orchestrator says on the wire: its info, what it offers, whether its certificate is believed.
//!
//! Does not: start jobs or choose among orchestrators.

mod capabilities;
pub mod io;
pub mod proto;
mod trust;

pub use capabilities::{LIVE_VIDEO_TO_VIDEO, live_video};
pub use trust::{Judgement, OnChange, Trust, TrustOptions};
