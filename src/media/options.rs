//! Options of capture and encoding, as typed values.
//!
//! The defaults fit the network's runners (ai-runner): these drop frames above 24 frames/s, scale to 512×512 and need
//! a key frame every 1–2 s, so more would only cost uplink.
//!
//! Does not: read configuration files (`config` does) or depend on GStreamer.

use std::path::PathBuf;
use std::time::Duration;

use mpegts::AudioCodec;

use crate::mask::Mask;
use crate::motion::MotionOptions;
use crate::queue::MAX_LATENCY;
use crate::rate::Bounds;
use crate::store::Store;
use resilience::fingerprint::Fingerprint;
use resilience::secret::SecretSource;

/// All options of capture.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// The source of the frames.
    pub source: Source,
    /// Size, frame rate and bitrate of the video.
    pub video: Video,
    /// The H.264 encoder.
    pub encoder: Encoder,
    /// The audio; `None` for video alone.
    pub audio: Option<Audio>,
    /// Limits of the adaptive bitrate.
    pub bitrates: Bitrates,
    /// Access units that were queued for longer than this are dropped.
    pub max_latency: MaxLatency,
    /// What a job does while the camera is missing.
    pub on_camera_loss: OnCameraLoss,
    /// The store of captured input; `None` to store nothing.
    pub store: Option<Store>,
    /// Whether outputs get the input, so that the camera plays without a job.
    pub records: bool,
    /// How motion is noticed; `None` if motion is not looked for.
    pub motion: Option<MotionOptions>,
    /// Directory for the results of encoder trials; without it encoders are tried at each start.
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

/// The longest time that an access unit may be queued for the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxLatency(pub Duration);

impl Default for MaxLatency {
    fn default() -> Self {
        Self(MAX_LATENCY)
    }
}

/// What a job does while the camera is missing. If the camera does not return, the job ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnCameraLoss {
    /// The job continues without video.
    #[default]
    Hold,
    /// The job continues with a black picture.
    Slate,
    /// The job ends at once.
    Stop,
}

/// The source of the frames.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Source {
    /// The first usable camera: the Pi's camera port, the Jetson's, then V4L2 cameras by persistent name and by number.
    Auto,
    /// A moving pattern that shows the frame number and the clock.
    #[default]
    Test,
    /// A file that GStreamer can decode, played in real time.
    File {
        /// The file.
        path: PathBuf,
        /// Whether to repeat it at its end.
        repeat: bool,
    },
    /// A V4L2 camera.
    V4l2 {
        /// The device. Use `/dev/v4l/by-id/…`, or a part of its name there such as a serial number, because
        /// `/dev/videoN` changes on replug.
        device: PathBuf,
        /// The format requested from the camera.
        format: CameraFormat,
    },
    /// A libcamera camera: the Raspberry Pi's camera port.
    Libcamera {
        /// The name of the camera, as `devices` shows it; `None` for the first camera.
        camera: Option<String>,
    },
    /// An NVIDIA Argus camera: the Jetson's camera port.
    NvArgus {
        /// The number of the camera.
        sensor: u32,
    },
    /// A network camera.
    Rtsp {
        /// The address of the camera, without user and password.
        url: String,
        /// Where to read `user:password`, if the camera needs them.
        credential: Option<SecretSource>,
        /// For rtsps: the only certificate to accept; `None` accepts any that a certificate authority of this system signed.
        pin: Option<Fingerprint>,
        /// `H264` passes the stream through, `Raw` re-encodes it, `Auto` decides by the stream.
        format: CameraFormat,
    },
    /// The user's own GStreamer fragment, whose output is raw video or H.264.
    Pipeline {
        /// The fragment, as for `gst-launch-1.0`, without a sink.
        fragment: String,
    },
}

impl Source {
    /// Whether this is a device that delivers pictures without end.
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

/// The format requested from a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CameraFormat {
    /// H.264 if the camera offers it and it can be [passed through](crate::gop), else MJPEG, else raw video.
    #[default]
    Auto,
    /// H.264, passed through.
    H264,
    /// MJPEG, decoded and re-encoded.
    Mjpeg,
    /// Raw video.
    Raw,
}

/// The audio to capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audio {
    /// The kind of source.
    pub microphone: Microphone,
    /// The device, as the sound system names it; `None` for the default device.
    pub device: Option<String>,
    /// The audio codec.
    pub codec: AudioCodec,
    /// Bits per second, 16 000 to 320 000.
    pub bitrate: u32,
}

/// The source of audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Microphone {
    /// ALSA.
    Alsa,
    /// PulseAudio.
    Pulse,
    /// PipeWire.
    Pipewire,
    /// A test signal: a tick each second.
    Test,
    /// The audio of the captured file.
    File,
}

/// Options of the video. The configuration checks the ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Video {
    /// Width in pixels: even, 64 to 3840.
    pub width: u32,
    /// Height in pixels: even, 64 to 2160.
    pub height: u32,
    /// Frames per second, 1 to 60.
    pub fps: u32,
    /// Bits per second of H.264, 100 000 to 50 000 000.
    pub bitrate: u32,
    /// Length of a segment, which is one GOP: 1 to 10 s.
    pub segment: Duration,
    /// Clockwise rotation of the picture.
    pub rotate: Rotate,
    /// Mirroring of the picture, after the rotation.
    pub flip: Flip,
    /// Whether to crop the picture to the aspect ratio of `width` × `height`, instead of adding bars.
    pub crop: bool,
    /// Areas of the picture that are filled with black. They are parts of the picture of `width` × `height`, after it
    /// was rotated, mirrored and cropped.
    pub masks: Vec<Mask>,
}

impl Video {
    /// Whether the picture is cropped, rotated or mirrored, which needs raw video.
    pub(crate) fn is_turned(&self) -> bool {
        self.crop || self.rotate != Rotate::None || self.flip != Flip::None
    }

    /// Whether the picture is changed here, so that H.264 of a camera cannot pass through.
    pub(crate) fn is_changed(&self) -> bool {
        self.is_turned() || !self.masks.is_empty()
    }
}

/// Clockwise rotation of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rotate {
    /// Unchanged.
    #[default]
    None,
    /// By 90 degrees.
    Quarter,
    /// By 180 degrees.
    Half,
    /// By 270 degrees.
    ThreeQuarters,
}

/// Mirroring of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flip {
    /// Unchanged.
    #[default]
    None,
    /// Left and right are exchanged.
    Horizontal,
    /// Top and bottom are exchanged.
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
            masks: Vec::new(),
        }
    }
}

/// Options of the H.264 encoder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Encoder {
    /// The GStreamer element; `None` for the first one that works.
    pub element: Option<String>,
    /// Effort of a software encoder.
    pub speed: Speed,
}

/// Effort of a software encoder, with x264's names. A moving picture of 720p30 costs 0.12, 0.24 and 0.40 CPU-seconds
/// per second on x86-64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Speed {
    /// The lowest CPU cost; needs more bits for the same quality.
    Ultrafast,
    /// The network's reference setting (Python gateway).
    #[default]
    Superfast,
    /// Twice the cost of superfast.
    Veryfast,
}
