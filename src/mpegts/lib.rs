//! MPEG transport stream of one H.264 stream and its audio: [`Muxer`] writes it, [`Reader`] checks it,
//! [`Joiner`] makes one continuous stream of segments that other muxers wrote, [`Units`] takes the access units out.
//!
//! The format is that of ISO/IEC 13818-1 (H.222.0).
//!
//! Does not: encode or decode.

pub mod audio;
mod codec;
mod crc;
pub mod frames;
pub mod join;
pub mod mux;
pub mod nal;
mod packet;
mod pes;
pub mod read;
mod section;
pub mod shift;
mod ticks;
pub mod units;

pub use audio::AudioFrame;
pub use codec::AudioCodec;
pub use frames::FrameScanner;
pub use join::Joiner;
pub use mux::{AccessUnit, Muxer};
pub use read::{Reader, TsEvent, Unit};
pub use shift::TimeShift;
pub use ticks::Ticks;
pub use units::Units;

/// Length of a packet in bytes.
pub const PACKET: usize = 188;
/// The first byte of each packet.
pub const SYNC: u8 = 0x47;
/// Stream type of H.264 in a PMT.
pub(crate) const H264: u8 = 0x1b;
