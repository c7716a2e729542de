//! What to capture and how to encode it, as values that cannot be wrong.
//!
//! Defaults fit the network's runners: they drop frames above 24 frames/s, scale to 512×512 by
//! themselves, and want a key frame every 1–2 s (field-facts, ai-runner), so more only costs uplink.
//!
//! Does not: read configuration files (`config` does), and does not know GStreamer.

use std::path::PathBuf;
use std::time::Duration;

use mpegts::AudioCodec;

use crate::queue::MAX_LATENCY;
use crate::rate::Bounds;
use crate::store::Store;
use resilience::fingerprint::Fingerprint;
use resilience::secret::SecretSource;

/// Everything that capture needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Where frames come from.
    pub source: Source,
    /// Their shape and rate.
    pub video: Video,
    /// How they become H.264.
    pub encoder: Encoder,
    /// What is heard with them.
    pub audio: Option<Audio>,
    /// How far the bitrate follows the link.
    pub bitrates: Bitrates,
    /// No access unit is sent that has waited longer.
    pub max_latency: MaxLatency,
    /// What a job does while the camera is gone.
    pub on_camera_loss: OnCameraLoss,
    /// Where what is captured is kept too.
    pub store: Option<Store>,
    /// Where it is kept which encoders work on this machine; without it they are tried at each start.
    pub state_directory: Option<PathBuf>,
}

/// Limits within which the bitrate adapts to the link; it starts at [`Video::bitrate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bitrates {
    /// Lowest bitrate in bit/s; `None` for an eighth of the start, at least 100 000.
    pub min: Option<u32>,
    /// Highest bitrate in bit/s; `None` for the start.
    pub max: Option<u32>,
}

impl Bitrates {
    /// Default of [`Self::min`] for low starts, in bit/s.
    const MIN: u32 = 100_000;

    /// The bounds around `start`.
    pub fn bounds(&self, start: u32) -> Bounds {
        let min = self.min.unwrap_or((start / 8).max(Self::MIN)).min(start);
        Bounds { min, start, max: self.max.unwrap_or(start).max(start) }
    }
}

/// The longest time that an access unit waits for the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxLatency(pub Duration);

impl Default for MaxLatency {
    fn default() -> Self {
        Self(MAX_LATENCY)
    }
}

/// What a job does while the camera is gone. It ends when the camera stays away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnCameraLoss {
    /// It goes on without video.
    #[default]
    Hold,
    /// It goes on with a black picture.
    Slate,
    /// It ends at once.
    Stop,
}

/// Where frames come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Source {
    /// The first camera that can be used: of the Pi's camera port, of the Jetson's, of video4linux by its
    /// lasting name, then by its number.
    Auto,
    /// A moving pattern with the frame number and the clock burnt in.
    #[default]
    Test,
    /// Anything GStreamer can decode, paced in real time.
    File {
        /// The file.
        path: PathBuf,
        /// Start over at its end.
        repeat: bool,
    },
    /// A camera of the kernel's video4linux.
    V4l2 {
        /// The device, best by `/dev/v4l/by-id/…` or a part of its name there, such as a serial number:
        /// `/dev/videoN` changes on replug.
        device: PathBuf,
        /// What the camera is asked for.
        format: CameraFormat,
    },
    /// A camera of libcamera: the Raspberry Pi's camera port.
    Libcamera {
        /// Its name, as `devices` shows it; `None` for the first.
        camera: Option<String>,
    },
    /// A camera of NVIDIA's Argus: the Jetson's camera port.
    NvArgus {
        /// Its number.
        sensor: u32,
    },
    /// A camera of the network.
    Rtsp {
        /// Its address, without user and password.
        url: String,
        /// Where `user:password` is kept, if it asks for one.
        credential: Option<SecretSource>,
        /// Of rtsps: the only certificate that it may show; `None` for any that an authority of this system vouches for.
        pin: Option<Fingerprint>,
        /// H.264 passes it through, raw encodes it anew, auto decides by what comes.
        format: CameraFormat,
    },
    /// The user's own GStreamer fragment; it ends in raw video or H.264.
    Pipeline {
        /// The fragment, as for `gst-launch-1.0`, without a sink.
        fragment: String,
    },
}

impl Source {
    /// Whether it is a device that gives pictures for as long as it is there.
    pub(crate) fn is_camera(&self) -> bool {
        match self {
            Self::Auto
            | Self::V4l2 { .. }
            | Self::Libcamera { .. }
            | Self::NvArgus { .. }
            | Self::Rtsp { .. } => true,
            Self::Test | Self::File { .. } | Self::Pipeline { .. } => false,
        }
    }
}

/// What a camera is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CameraFormat {
    /// H.264 if the camera has it and it may [pass through](crate::gop), else MJPEG, else raw video.
    #[default]
    Auto,
    /// H.264, passed through.
    H264,
    /// MJPEG, decoded here.
    Mjpeg,
    /// Raw video.
    Raw,
}

/// What is heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audio {
    /// Where it comes from.
    pub microphone: Microphone,
    /// The device, as its system names it; `None` for the system's default.
    pub device: Option<String>,
    /// How it is encoded.
    pub codec: AudioCodec,
    /// Bits per second, 16 000 to 320 000.
    pub bitrate: u32,
}

/// Where sound comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Microphone {
    /// The kernel's own sound system.
    Alsa,
    /// PulseAudio.
    Pulse,
    /// PipeWire.
    Pipewire,
    /// A tick each second.
    Test,
    /// None: the file that is captured has sound.
    File,
}

/// Shape, rate and length. Ranges are checked where the configuration is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Video {
    /// Pixels across; even, 64 to 3840.
    pub width: u32,
    /// Pixels down; even, 64 to 2160.
    pub height: u32,
    /// Frames per second, 1 to 60.
    pub fps: u32,
    /// Bits per second of H.264, 100 000 to 50 000 000.
    pub bitrate: u32,
    /// Length of a segment, 1 to 10 s: one GOP.
    pub segment: Duration,
    /// How far the picture is turned, clockwise.
    pub rotate: Rotate,
    /// How it is mirrored, once turned.
    pub flip: Flip,
    /// Cut to the shape of `width` × `height`; else it gets bars.
    pub crop: bool,
}

impl Video {
    /// Whether the picture is changed beyond its size, for which it must be raw.
    pub(crate) fn is_turned(&self) -> bool {
        self.crop || self.rotate != Rotate::None || self.flip != Flip::None
    }
}

/// How far a picture is turned, clockwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rotate {
    /// Not at all.
    #[default]
    None,
    /// By 90 degrees.
    Quarter,
    /// By 180 degrees.
    Half,
    /// By 270 degrees.
    ThreeQuarters,
}

/// How a picture is mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flip {
    /// Not at all.
    #[default]
    None,
    /// Left becomes right.
    Horizontal,
    /// Up becomes down.
    Vertical,
}

impl Default for Video {
    fn default() -> Self {
        Self {
            width: 1280,
            height: 720,
            fps: 24,
            bitrate: 2_000_000,
            segment: Duration::from_secs(2),
            rotate: Rotate::None,
            flip: Flip::None,
            crop: false,
        }
    }
}

/// How frames become H.264.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Encoder {
    /// The GStreamer element; `None` takes the first that works.
    pub element: Option<String>,
    /// Effort of a software encoder.
    pub speed: Speed,
}

/// Effort of a software encoder, named as x264 names it; 720p30 moving picture costs 0.12, 0.24 and
/// 0.40 CPU-seconds per second on x86-64 (tech-facts).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Speed {
    /// The cheapest; more bits for the same picture.
    Ultrafast,
    /// The network's reference setting (Python gateway).
    #[default]
    Superfast,
    /// Twice the cost of superfast.
    Veryfast,
}
