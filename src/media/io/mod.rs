//! The part of media that does I/O: GStreamer, files, threads, clocks.
//!
//! Does not: decide; the modules above this one decide, without I/O.

mod access_units;
mod bounded;
mod camera;
mod capture;
mod clocks;
mod clues;
mod datagrams;
mod decoded;
mod devices;
mod diagnosis;
mod encoders;
mod find;
mod listening;
mod masks;
mod measure;
mod microphone;
mod negotiated;
mod numbered;
mod pacing;
mod playback;
mod prepare;
mod rtp;
mod rtsp;
mod running;
mod snapshot;
mod sound;
mod space;
mod store;
mod stream;
mod target;
mod title;
mod tls;
mod transform;
mod trial;

pub use access_units::{AccessUnits, Counts, Flow, SegmentPieces, WatchedUnit, Watching};
pub use capture::Capture;
pub use devices::{devices, try_encoder, v4l2_cameras};
pub use listening::try_microphone;
pub use playback::Output;
pub use running::End;
pub use snapshot::{SnapshotUnit, snapshot};
pub use space::free_bytes;
pub use target::Identity;
pub use transform::Transform;
