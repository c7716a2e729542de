//! Captures cameras with GStreamer, encodes H.264 access units, and packs them into segments of MPEG-TS.
//!
//! Does not: speak protocols of the network; GStreamer does, for cameras and outputs. UDP datagrams are sent as they are.

pub mod audio;
pub mod burn;
pub mod certificate;
pub mod choice;
pub mod colours;
mod condition;
pub mod devices;
pub mod encoder;
mod error;
pub mod gop;
pub mod io;
mod launch_line;
pub mod level;
pub mod limits;
pub mod mask;
pub mod modes;
pub mod motion;
pub mod mp4;
pub mod names;
mod numbered;
mod options;
pub mod output;
pub mod packages;
pub mod picture;
mod piece;
pub mod pipeline;
mod presentable;
pub mod queue;
pub mod rate;
pub mod rhythm;
pub mod segmenter;
pub mod slice;
pub mod source;
pub mod sps;
pub mod ssrc;
pub mod stall;
pub mod stamps;
pub mod store;
pub mod stream;
pub mod suspend;
mod target;
pub mod timeline;
pub mod verdicts;

pub use condition::{Health, OutputState};
pub use error::MediaError;
pub use mask::{Mask, MaskError};
pub use mpegts::AudioCodec;
pub use options::{
    Audio, Bitrates, CameraFormat, Encoder, Flip, MaxLatency, Microphone, OnCameraLoss, Options,
    Rotate, Source, Speed, Video,
};
pub use piece::{TsPiece, TsPiecePlace};
pub use store::Store;
pub use target::{Address, Feed, Numbered, StreamTarget, Target, is_mp4};
