//! Adaptive bitrate: how many bits the encoder may make, so that the uplink carries them without delay.
//!
//! ```text
//!  queue age; bytes acknowledged and unsent,                                          ┌──▶ bitrate ──▶ encoder, live
//!  round trips, as the kernel tells ──▶ Readings ── what stands, what is carried ─▶ Controller
//!  (every READING_EVERY)                                                              └──▶ Ladder ──▶ frame rate, size
//! ```
//!
//! What waits says whether the link is too narrow, and what is carried meanwhile says how narrow: a link has no
//! other way to tell. So the bitrate goes down to what was measured, at once, and up along a curve that is
//! flat near the last limit and steep behind it.
//!
//! Pure numbers: it knows neither encoder nor network. `tests/rate.rs` puts it on links of many kinds and
//! prints the curves.
//!
//! Does not: measure, set the encoder, or read the clock; its owner does.

mod controller;
mod ladder;
mod readings;

pub use controller::{Bounds, Controller, Setting};
pub use ladder::{Ladder, Picture};
pub use readings::{READING_EVERY, Reading};
