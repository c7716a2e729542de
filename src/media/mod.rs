//! Camera to access unit to TS to segment.
//!
//! Does not: know HTTP.

pub mod audio;
pub mod burn;
pub mod choice;
pub mod devices;
pub mod encoder;
mod error;
pub mod gop;
pub mod io;
pub mod level;
pub mod modes;
pub mod names;
mod options;
pub mod output;
pub mod packages;
pub mod pipeline;
pub mod queue;
pub mod segmenter;
pub mod source;
pub mod sps;
pub mod stall;
pub mod stamps;
pub mod store;
pub mod timeline;
pub mod ts;
pub mod verdicts;

pub use error::MediaError;
pub use options::{
    Audio, AudioCodec, Bitrates, CameraFormat, Encoder, Flip, MaxLatency, Microphone, OnCameraLoss,
    Options, Rotate, Source, Speed, Video,
};
pub use store::Store;
