//! Camera to access unit to TS to segment.
//!
//! Does not: know HTTP.

mod options;
pub mod queue;
pub mod segmenter;
pub mod ts;

pub use options::{CameraFormat, Encoder, Options, Source, Speed, Video};
