//! The keys of capture: `[source]`, `[video]`, `[encoder]`.
//!
//! Does not: hold the defaults themselves; `media::Options` does, and a test compares.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use super::{Initial, Key, Takes, filled};
use crate::config::draft::{Draft, SourceKind};
use crate::config::peers;
use media::mask::MASKS;
use media::{CameraFormat, Flip, MaskError, MaxLatency, OnCameraLoss, Rotate, Speed};
use resilience::secret::NoSource;

pub(super) static KEYS: &[Key] = &[
    Key {
        name: "source.kind",
        initial: Initial::Is(r#""test""#),
        what: "Where frames come from: a moving test pattern (test), the first usable camera (auto), a file (file), a camera of video4linux (v4l2), on the Pi's camera port (libcamera), on the Jetson's (nvargus) or on the network (rtsp), or your own GStreamer pipeline (pipeline). auto tries the Pi's camera port, then the Jetson's, then video4linux by persistent name, then by number.",
        takes: Takes::OneOf(&[
            ("test", |d| d.source.kind = SourceKind::Test),
            ("auto", |d| d.source.kind = SourceKind::Auto),
            ("file", |d| d.source.kind = SourceKind::File),
            ("v4l2", |d| d.source.kind = SourceKind::V4l2),
            ("libcamera", |d| d.source.kind = SourceKind::Libcamera),
            ("nvargus", |d| d.source.kind = SourceKind::NvArgus),
            ("rtsp", |d| d.source.kind = SourceKind::Rtsp),
            ("pipeline", |d| d.source.kind = SourceKind::Pipeline),
        ]),
    },
    Key {
        name: "source.path",
        initial: Initial::Unset { means: "none", example: r#""/srv/video.mp4""# },
        what: "The file of `source.kind = \"file\"`: anything GStreamer can decode, paced in real time. A picture is sent `video.fps` times a second, forever; a GIF at its own pace. A rotation in the file is applied, interlaced video is deinterlaced, and transparency becomes black.",
        takes: Takes::Text {
            kind: "path or file:// URL of a file",
            keep: |d, text| file(text).map(|path| d.source.path = Some(path)),
        },
    },
    Key {
        name: "source.repeat",
        initial: Initial::Is("false"),
        what: "Start the file over at its end.",
        takes: Takes::Flag(|d, on| d.source.repeat = on),
    },
    Key {
        name: "source.device",
        initial: Initial::Unset {
            means: "none",
            example: r#""/dev/v4l/by-id/usb-camera-video-index0""#,
        },
        what: "The camera, as `livepeer-edge devices` shows it. For v4l2: a path below /dev/v4l/by-id, or a part of its name there, such as the serial number; /dev/videoN changes on replug. For libcamera: its name. For nvargus: its number.",
        takes: Takes::Text {
            kind: "path, name or number of a device",
            keep: |d, text| filled(text).map(|path| d.source.device = Some(path.into())),
        },
    },
    Key {
        name: "source.format",
        initial: Initial::Is(r#""auto""#),
        what: "The format requested from the camera. H.264 passes through; MJPEG is decoded here. auto takes the best format offered in the configured size and rate, and measures H.264 first: it passes through if its key frames are at most 2 s apart, it has no B-frames, is progressive and 4:2:0, and exceeds video.width × video.height and video.max-bitrate by a quarter at most; otherwise it is decoded and encoded again. With h264, it passes through in any case, with a warning where auto would encode again. With rtsp, raw always encodes again.",
        takes: Takes::OneOf(&[
            ("auto", |d| d.source.format = CameraFormat::Auto),
            ("h264", |d| d.source.format = CameraFormat::H264),
            ("mjpeg", |d| d.source.format = CameraFormat::Mjpeg),
            ("raw", |d| d.source.format = CameraFormat::Raw),
        ]),
    },
    Key {
        name: "source.url",
        initial: Initial::Unset { means: "none", example: r#""rtsp://192.168.1.20:554/stream1""# },
        what: "The camera of `source.kind = \"rtsp\"`, received over TCP. The URL must not contain user and password: set source.credential for those.",
        takes: Takes::Text {
            kind: "rtsp or rtsps URL",
            keep: |d, text| rtsp_url(text).map(|url| d.source.url = Some(url.to_owned())),
        },
    },
    Key {
        name: "source.credential",
        initial: Initial::Unset { means: "none", example: r#""credential:camera""# },
        what: "Where user:password of the rtsp camera is kept.",
        takes: Takes::Text {
            kind: "file:/path, credential:NAME or env:VARIABLE",
            keep: |d, text| {
                d.source.credential = Some(text.parse().map_err(|e: NoSource| e.to_string())?);
                Ok(())
            },
        },
    },
    Key {
        name: "source.pin",
        initial: Initial::Unset {
            means: "a certificate of an authority that this system trusts",
            example: r#""00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF""#,
        },
        what: "The SHA-256 of the certificate of an rtsps camera with a self-signed certificate; the camera is then trusted by this pin alone. The error for an untrusted certificate contains its SHA-256.",
        takes: Takes::Text {
            kind: "SHA-256 fingerprint",
            keep: |d, text| {
                d.source.pin = Some(peers::fingerprint(text)?);
                Ok(())
            },
        },
    },
    Key {
        name: "source.fragment",
        initial: Initial::Unset { means: "none", example: r#""videotestsrc is-live=true""# },
        what: "The pipeline of `source.kind = \"pipeline\"`, as for gst-launch-1.0, without a sink; it ends in raw video or H.264. A pipeline that is not live is paced by its timestamps.",
        takes: Takes::Text {
            kind: "GStreamer pipeline",
            keep: |d, text| filled(text).map(|text| d.source.fragment = Some(text.to_owned())),
        },
    },
    Key {
        name: "source.masks",
        initial: Initial::Unset {
            means: "none",
            example: r#"["0,0 0.25,0.5", "0.5,0.5 1,0.6 0.7,0.9"]"#,
        },
        what: "Areas of the picture that are black wherever it is sent, stored or shown. Each is its corners x,y, from 0,0 at the upper left to 1,1 at the lower right of the picture that is sent, so after video.rotate, video.flip and video.crop: two opposite corners of a rectangle, or at least three of a polygon. H.264 from a camera is decoded and encoded again then. If masks cannot be applied, nothing is captured. In the environment and in an argument, masks are separated by semicolons.",
        takes: Takes::Texts { kind: "masks", separator: ';', keep: keep_masks },
    },
    Key {
        name: "source.on-camera-loss",
        initial: Initial::Is(r#""hold""#),
        what: "When the camera is lost: the job goes on for up to 60 s, without video (hold) or with a black picture (slate), or it ends at once (stop). The camera is opened again as soon as it is back.",
        takes: Takes::OneOf(&[
            ("hold", |d| d.on_camera_loss = OnCameraLoss::Hold),
            ("slate", |d| d.on_camera_loss = OnCameraLoss::Slate),
            ("stop", |d| d.on_camera_loss = OnCameraLoss::Stop),
        ]),
    },
    Key {
        name: "video.width",
        initial: Initial::Is("1280"),
        what: "Width in pixels. The network's runners scale to 512×512: a larger picture mostly costs uplink.",
        takes: Takes::Whole {
            from: 64,
            to: 3840,
            step: 2,
            unit: "pixels",
            keep: |d, n| d.video.width = n,
        },
    },
    Key {
        name: "video.height",
        initial: Initial::Is("720"),
        what: "Height in pixels.",
        takes: Takes::Whole {
            from: 64,
            to: 2160,
            step: 2,
            unit: "pixels",
            keep: |d, n| d.video.height = n,
        },
    },
    Key {
        name: "video.fps",
        initial: Initial::Is("24"),
        what: "Frames per second. The network's runners drop what is above 24.",
        takes: Takes::Whole {
            from: 1,
            to: 60,
            step: 1,
            unit: "frames/s",
            keep: |d, n| d.video.fps = n,
        },
    },
    Key {
        name: "video.bitrate",
        initial: Initial::Is(r#""2 Mbit/s""#),
        what: "The bitrate of the encoded video: bit/s as a number, or a text with bit/s, kbit/s or Mbit/s.",
        takes: Takes::BitRate { from: 100_000, to: 50_000_000, keep: |d, n| d.video.bitrate = n },
    },
    Key {
        name: "video.min-bitrate",
        initial: Initial::Unset {
            means: "an eighth of video.bitrate, at least 100 kbit/s",
            example: r#""300 kbit/s""#,
        },
        what: "The lowest bitrate to which the encoder adapts to the network. Set it to video.bitrate for a bitrate that never falls.",
        takes: Takes::BitRate {
            from: 50_000,
            to: 50_000_000,
            keep: |d, n| d.bitrates.min = Some(n),
        },
    },
    Key {
        name: "video.max-bitrate",
        initial: Initial::Unset { means: "video.bitrate", example: r#""4 Mbit/s""# },
        what: "The highest bitrate to which the encoder adapts, starting from video.bitrate, if the network carries it.",
        takes: Takes::BitRate {
            from: 100_000,
            to: 50_000_000,
            keep: |d, n| d.bitrates.max = Some(n),
        },
    },
    Key {
        name: "video.max-latency",
        initial: Initial::Is(r#""1s""#),
        what: "Video that has waited for the network longer than this is dropped, up to the newest key frame.",
        takes: Takes::Time {
            from: Duration::from_millis(200),
            to: Duration::from_secs(4),
            keep: |d, time| d.max_latency = MaxLatency(time),
        },
    },
    Key {
        name: "video.segment",
        initial: Initial::Is(r#""2s""#),
        what: "The length of a segment, and the interval of key frames.",
        takes: Takes::Time {
            from: Duration::from_secs(1),
            to: Duration::from_secs(10),
            keep: |d, time| d.video.segment = time,
        },
    },
    Key {
        name: "video.rotate",
        initial: Initial::Is(r#""none""#),
        what: "The clockwise rotation of the picture in degrees. H.264 from a camera cannot be rotated, so it is not requested then.",
        takes: Takes::OneOf(&[
            ("none", |d| d.video.rotate = Rotate::None),
            ("90", |d| d.video.rotate = Rotate::Quarter),
            ("180", |d| d.video.rotate = Rotate::Half),
            ("270", |d| d.video.rotate = Rotate::ThreeQuarters),
        ]),
    },
    Key {
        name: "video.flip",
        initial: Initial::Is(r#""none""#),
        what: "How the picture is mirrored after the rotation.",
        takes: Takes::OneOf(&[
            ("none", |d| d.video.flip = Flip::None),
            ("horizontal", |d| d.video.flip = Flip::Horizontal),
            ("vertical", |d| d.video.flip = Flip::Vertical),
        ]),
    },
    Key {
        name: "video.crop",
        initial: Initial::Is("false"),
        what: "Crop the picture to the aspect ratio of width × height, for models that take square pictures; otherwise bars are added.",
        takes: Takes::Flag(|d, on| d.video.crop = on),
    },
    Key {
        name: "encoder.element",
        initial: Initial::Is(r#""auto""#),
        what: "The GStreamer element that encodes, such as x264enc; auto takes the first one that works on this device, tested with real frames, hardware before software.",
        takes: Takes::Text {
            kind: "auto or the name of a GStreamer element",
            keep: |d, text| {
                d.encoder.element = element(text)?;
                Ok(())
            },
        },
    },
    Key {
        name: "encoder.speed",
        initial: Initial::Is(r#""superfast""#),
        what: "The effort of a software encoder: slower ones need fewer bits and more CPU.",
        takes: Takes::OneOf(&[
            ("ultrafast", |d| d.encoder.speed = Speed::Ultrafast),
            ("superfast", |d| d.encoder.speed = Speed::Superfast),
            ("veryfast", |d| d.encoder.speed = Speed::Veryfast),
        ]),
    },
];

/// Keeps all masks, or names the first that is wrong.
fn keep_masks(draft: &mut Draft, texts: &[&str]) -> Result<(), String> {
    if texts.len() > MASKS {
        return Err(format!("has {} masks; at most {MASKS} are possible", texts.len()));
    }
    let mask = |(number, text): (usize, &&str)| {
        text.parse().map_err(|error: MaskError| format!("mask {number} {error}"))
    };
    draft.video.masks = (1..).zip(texts).map(mask).collect::<Result<_, _>>()?;
    Ok(())
}

/// The path in the text, which may be a `file://` URL.
fn file(text: &str) -> Result<PathBuf, String> {
    let Some(rest) = text.strip_prefix("file://") else { return filled(text).map(Into::into) };
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err("names another computer; a file of this one is file:///path".to_owned());
    }
    let bytes = decoded(path).ok_or("has a % that is not followed by two hexadecimal digits")?;
    match bytes.contains(&0) {
        true => Err("must not contain a NUL character".to_owned()),
        false => Ok(OsString::from_vec(bytes).into()),
    }
}

/// The bytes of a text in which `%41` stands for `A`.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        // A sign is a number too.
        let digits = Some(digits).filter(|d| d.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Some(bytes)
}

/// The text, if it is the address of a camera and holds no credential.
fn rtsp_url(text: &str) -> Result<&str, String> {
    let behind = text.strip_prefix("rtsp://").or_else(|| text.strip_prefix("rtsps://"));
    let authority = behind.and_then(|behind| behind.split(['/', '?']).next());
    match authority {
        Some(authority) if authority.contains('@') => {
            Err("must not hold user and password; use source.credential".to_owned())
        }
        Some(authority) if !authority.is_empty() && !text.contains(|c: char| c.is_whitespace()) => {
            filled(text)
        }
        _ => Err("is no rtsp:// or rtsps:// URL".to_owned()),
    }
}

/// `None` for auto. Only what can be the name of an element goes into a pipeline's description.
fn element(text: &str) -> Result<Option<String>, String> {
    match text {
        "auto" => Ok(None),
        "" => Err("must not be empty; use auto".to_owned()),
        name if name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) => {
            Ok(Some(name.to_owned()))
        }
        _ => {
            Err("is no name of a GStreamer element; use auto, or a name such as x264enc".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_by_its_path_or_its_url() {
        #[track_caller]
        fn check(text: &str, expected: Result<&str, &str>) {
            let expected = expected.map(PathBuf::from).map_err(str::to_owned);
            assert_eq!(file(text), expected, "{text}");
        }
        check("/srv/100%25 a.mp4", Ok("/srv/100%25 a.mp4"));
        check("film.mp4", Ok("film.mp4"));
        check("file:///srv/100%25%20a.mp4", Ok("/srv/100% a.mp4"));
        check("file://localhost/srv/%C3%BC.mp4", Ok("/srv/ü.mp4"));
        check("", Err("must not be empty"));
        let other = Err("names another computer; a file of this one is file:///path");
        check("file://nas/a.mp4", other);
        check("file://", other);
        let percent = Err("has a % that is not followed by two hexadecimal digits");
        for bad in ["file:///a%", "file:///a%2", "file:///a%+1", "file:///a%ü"] {
            check(bad, percent);
        }
        check("file:///a%00", Err("must not contain a NUL character"));
    }
}
