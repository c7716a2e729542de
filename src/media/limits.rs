//! The bounds that several modules of this crate share: lengths of queues, time limits, sizes.
//!
//! Each constant names the source of its number. A bound of one module is a constant of that module.
//!
//! Does not: hold defaults; those belong to the options of each feature.

use std::time::Duration;

/// Access units that may wait between GStreamer's thread and the network: 4 s at 24 frames/s.
pub const ACCESS_UNITS: usize = 96;
/// Bytes of access units that may wait between GStreamer's thread and the network; 8 MiB are 4 s at 16 Mbit/s.
pub const ACCESS_UNIT_BYTES: usize = 8 << 20;
/// Frames whose latency through the encoder and the network is measured at a time: 10 s at 24 frames/s.
pub const FRAME_STAMPS: usize = 256;
/// Viewers of the access units: the API's, and one to spare.
pub const WATCHERS: usize = 2;
/// Files of stored input: one day of segments of 1 s, the shortest segment length.
pub const STORE_FILES: usize = 86_400;
/// Cameras whose H.264 measurement is kept; one entry is one camera at one address, in one mode.
pub const CAMERAS_MEASURED: usize = 8;
/// Chunks of returned media that may wait for one output.
pub const OUTPUT_CHUNKS: usize = 256;
/// Time for a hardware encoder to encode a few frames before it is chosen. It needs less, but competes with all other
/// programs that start when a device boots. Rejecting it by mistake costs most of a CPU core.
pub const HARDWARE_TRIAL_TIME: Duration = Duration::from_secs(4);
/// Time for a camera to deliver its first frames when it is tried: Argus needs 2 to 3 s, a network camera more, to
/// answer and to send its second key frame.
pub const CAMERA_TIME: Duration = Duration::from_secs(10);
/// Time for a pipeline to stop. A pipeline whose driver takes longer ends with the process. Keep it within the time
/// that the agent gives its tasks to end.
pub const PIPELINE_STOP_TIME: Duration = Duration::from_millis(300);
/// Bytes of a GIF that are read, and kept while it is shown; pictures after them are not shown.
pub const GIF_BYTES: u64 = 32 << 20;
