//! The bounds that several modules of this crate share: how much may wait, how long, how large.
//!
//! Each constant names the source of its number. A bound of one module is a constant of that module.
//!
//! Does not: hold defaults; those belong to the options of each feature.

use std::time::Duration;

/// Access units that may wait between GStreamer's thread and the network: 4 s at 24 frames/s.
pub const ACCESS_UNITS: usize = 96;
/// Bytes of access units that may wait there; 8 MiB are 4 s at 16 Mbit/s.
pub const ACCESS_UNIT_BYTES: usize = 8 << 20;
/// Frames whose way through the encoder and the network is timed: 10 s at 24 frames/s.
pub const FRAME_STAMPS: usize = 256;
/// Files of stored input: a day's in segments of 1 s, the shortest.
pub const STORE_FILES: usize = 86_400;
/// Cameras whose H.264 was measured; each is one at one address, in one mode.
pub const CAMERAS_MEASURED: usize = 8;
/// Chunks of returned media that may wait for one output.
pub const OUTPUT_CHUNKS: usize = 256;
/// The same for hardware, which needs less but competes with everything else that starts when a device boots: an
/// encoder that is passed over by mistake costs the device most of a core.
pub const HARDWARE_TRIAL_TIME: Duration = Duration::from_secs(4);
/// Time for a camera to show its first frames when it is tried: Argus needs 2 to 3 s, a camera of the network
/// some more to answer and to come to its second key.
pub const CAMERA_TIME: Duration = Duration::from_secs(10);
/// Time for a pipeline to stop; a driver that takes longer is left behind. Within the time that the agent gives the end of its parts.
pub const PIPELINE_STOP_TIME: Duration = Duration::from_millis(300);
/// Bytes of a GIF that are read, and kept while it is shown; what is behind them is not shown.
pub const GIF_BYTES: u64 = 32 << 20;
