//! Adaptive bitrate: how many bits the encoder may make, so that the uplink carries them without delay.
//!
//! ```text
//!  queue age, bytes handed over ──▶ Readings ──┐ standing queue?     ┌──▶ bitrate ──▶ encoder, live
//!  (every READING_EVERY)                       ├─▶ Controller ───────┤
//!  upload time of each segment ─────▶ Uploads ─┘ throughput          └──▶ Ladder ──▶ frame rate, size
//! ```
//!
//! What waits says whether the link is too narrow, and what goes out meanwhile says how narrow: a link has no
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
mod uploads;

pub use controller::{Bounds, Controller, Setting};
pub use ladder::{Ladder, Picture};
pub use readings::{READING_EVERY, Reading};
pub use uploads::Upload;
