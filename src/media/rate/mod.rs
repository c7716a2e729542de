//! Adaptive bitrate: chooses the encoder's bitrate and picture so that the uplink carries them without delay.
//!
//! ```text
//!  queue age; the kernel's acknowledged                  standing queue delay,            ┌─▶ bitrate ─▶ running encoder
//!  and unsent bytes, round trip time ────▶ Readings ──── delivery rate ───────▶ Controller
//!  (every READING_EVERY)                                                                  └─▶ Ladder ─▶ frame rate, size
//! ```
//!
//! A standing queue shows congestion, and the delivery rate while it lasts is the estimate of the link's capacity. The
//! bitrate falls below that estimate at once, and rises along a curve that is flat near the estimate and steep
//! beyond it.
//!
//! Depends on neither encoder nor network. `tests/rate.rs` runs it on models of many links and prints the curves.
//!
//! Does not: measure, set the encoder, or read the clock; the caller does.

mod controller;
mod ladder;
mod readings;

pub use controller::{Bounds, Controller, Setting};
pub use ladder::{Ladder, Picture};
pub use readings::{READING_EVERY, Reading};
