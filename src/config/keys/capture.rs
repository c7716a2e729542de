//! The keys of capture: `[source]`, `[video]`, `[encoder]`.
//!
//! Does not: hold the defaults themselves; `media::Options` does, and a test compares.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use super::{Initial, Key, Takes, filled};
use crate::config::draft::SourceKind;
use crate::config::peers;
use media::{CameraFormat, Flip, MaxLatency, OnCameraLoss, Rotate, Speed};
use resilience::secret::NoSource;

pub(super) static KEYS: &[Key] = &[
    Key {
        name: "source.kind",
        initial: Initial::Is(r#""test""#),
        what: "Where frames come from: a moving test pattern, the first camera that can be used (in this order: of the Pi's camera port, of the Jetson's, of video4linux by its lasting name, then by its number), a file, a camera of video4linux, of the Pi's camera port (libcamera), of the Jetson's (nvargus), of the network (rtsp), or your own GStreamer pipeline.",
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
        what: "The file of `source.kind = \"file\"`: anything GStreamer can decode, paced in real time. A picture is sent `video.fps` times a second, for ever; a GIF at its own pace. It stands upright where it says how it is turned, fields become pictures, and what is transparent comes on black.",
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
        what: "The camera, as `livepeer-edge devices` shows it. Of v4l2: a path below /dev/v4l/by-id, or a part of its name there, such as the serial number; /dev/videoN changes on replug. Of libcamera: its name. Of nvargus: its number.",
        takes: Takes::Text {
            kind: "path, name or number of a device",
            keep: |d, text| filled(text).map(|path| d.source.device = Some(path.into())),
        },
    },
    Key {
        name: "source.format",
        initial: Initial::Is(r#""auto""#),
        what: "What the camera is asked for: H.264 passes through, MJPEG is decoded here; auto takes the best it offers in the wanted size and rate, and measures H.264 first: it passes through if its keys are at most 2 s apart, it has no B-frames, is progressive and 4:2:0, and exceeds video.width × video.height and video.max-bitrate by a quarter at most; else it is encoded again. With h264 it passes in any case, with a warning. Of rtsp, raw always encodes anew.",
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
        what: "The camera of `source.kind = \"rtsp\"`, received over TCP. Without user and password: those have their own keys.",
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
            means: "an authority of this system has to vouch",
            example: r#""00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF""#,
        },
        what: "The SHA-256 of the certificate of an rtsps camera, which is trusted by nothing else then; for cameras that sign for themselves. The error for a certificate that is not trusted names it.",
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
        what: "The pipeline of `source.kind = \"pipeline\"`, as for gst-launch-1.0, without a sink; it ends in raw video or H.264. One that is not live is paced by the times of its frames.",
        takes: Takes::Text {
            kind: "GStreamer pipeline",
            keep: |d, text| filled(text).map(|text| d.source.fragment = Some(text.to_owned())),
        },
    },
    Key {
        name: "source.on-camera-loss",
        initial: Initial::Is(r#""hold""#),
        what: "While the camera is gone it is looked for, and the job goes on for up to 60 s: without video (hold) or with a black picture (slate); or it ends at once (stop). When the camera is back, so is the video.",
        takes: Takes::OneOf(&[
            ("hold", |d| d.on_camera_loss = OnCameraLoss::Hold),
            ("slate", |d| d.on_camera_loss = OnCameraLoss::Slate),
            ("stop", |d| d.on_camera_loss = OnCameraLoss::Stop),
        ]),
    },
    Key {
        name: "video.width",
        initial: Initial::Is("1280"),
        what: "Pixels across. The network's runners scale to 512×512 by themselves: more mostly costs uplink.",
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
        what: "Pixels down.",
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
        what: "Size of the encoded video: bit/s as a number, or a text with bit/s, kbit/s or Mbit/s.",
        takes: Takes::BitRate { from: 100_000, to: 50_000_000, keep: |d, n| d.video.bitrate = n },
    },
    Key {
        name: "video.min-bitrate",
        initial: Initial::Unset {
            means: "an eighth of video.bitrate, at least 100 kbit/s",
            example: r#""300 kbit/s""#,
        },
        what: "The bitrate follows the link, down to this. Set it to video.bitrate for one that never changes.",
        takes: Takes::BitRate {
            from: 50_000,
            to: 50_000_000,
            keep: |d, n| d.bitrates.min = Some(n),
        },
    },
    Key {
        name: "video.max-bitrate",
        initial: Initial::Unset { means: "video.bitrate", example: r#""4 Mbit/s""# },
        what: "The bitrate begins at video.bitrate and climbs up to this where the link carries it.",
        takes: Takes::BitRate {
            from: 100_000,
            to: 50_000_000,
            keep: |d, n| d.bitrates.max = Some(n),
        },
    },
    Key {
        name: "video.max-latency",
        initial: Initial::Is(r#""1s""#),
        what: "Video that has waited longer than this for the network is dropped, up to the newest key frame.",
        takes: Takes::Time {
            from: Duration::from_millis(200),
            to: Duration::from_secs(4),
            keep: |d, time| d.max_latency = MaxLatency(time),
        },
    },
    Key {
        name: "video.segment",
        initial: Initial::Is(r#""2s""#),
        what: "Length of a segment, which is also the distance of key frames.",
        takes: Takes::Time {
            from: Duration::from_secs(1),
            to: Duration::from_secs(10),
            keep: |d, time| d.video.segment = time,
        },
    },
    Key {
        name: "video.rotate",
        initial: Initial::Is(r#""none""#),
        what: "How far the picture is turned, clockwise, in degrees. A camera's own H.264 cannot be turned, and is then not asked for.",
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
        what: "How the picture is mirrored, once turned.",
        takes: Takes::OneOf(&[
            ("none", |d| d.video.flip = Flip::None),
            ("horizontal", |d| d.video.flip = Flip::Horizontal),
            ("vertical", |d| d.video.flip = Flip::Vertical),
        ]),
    },
    Key {
        name: "video.crop",
        initial: Initial::Is("false"),
        what: "Cut the picture to the shape of width × height, as a model with square pictures likes it; else it gets bars.",
        takes: Takes::Flag(|d, on| d.video.crop = on),
    },
    Key {
        name: "encoder.element",
        initial: Initial::Is(r#""auto""#),
        what: "The GStreamer element that encodes, such as x264enc; auto takes the first that works here, tried with real frames, hardware before software.",
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
        what: "Effort of a software encoder: a slower one needs fewer bits and more CPU.",
        takes: Takes::OneOf(&[
            ("ultrafast", |d| d.encoder.speed = Speed::Ultrafast),
            ("superfast", |d| d.encoder.speed = Speed::Superfast),
            ("veryfast", |d| d.encoder.speed = Speed::Veryfast),
        ]),
    },
];

/// The path in the text, which may be a `file://` URL.
fn file(text: &str) -> Result<PathBuf, String> {
    let Some(rest) = text.strip_prefix("file://") else { return filled(text).map(Into::into) };
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err("names another machine; a file of this one is file:///path".to_owned());
    }
    let bytes = decoded(path).ok_or("has a % that is not followed by two hexadecimal digits")?;
    match bytes.contains(&0) {
        true => Err("must not hold a NUL character".to_owned()),
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
        let other = Err("names another machine; a file of this one is file:///path");
        check("file://nas/a.mp4", other);
        check("file://", other);
        let percent = Err("has a % that is not followed by two hexadecimal digits");
        for bad in ["file:///a%", "file:///a%2", "file:///a%+1", "file:///a%ü"] {
            check(bad, percent);
        }
        check("file:///a%00", Err("must not hold a NUL character"));
    }
}
