//! Errors of media: a variant for each cause, with a text that says what to do.
//!
//! Does not: depend on GStreamer's errors; `io::diagnosis` translates them.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::certificate::Distrust;
use crate::encoder::ROWS;
use crate::output;
use crate::packages::package;
use crate::store;
use resilience::fault::Fault;

/// Why capture, encoding, output or storage failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MediaError {
    /// GStreamer does not start, or its pipeline is not as expected.
    #[error("GStreamer: {0}")]
    Gstreamer(String),
    /// GStreamer lacks this element.
    #[error("GStreamer has no element {:?}: install {}", .0, package_of(.0))]
    MissingElement(String),
    /// This program does not support the encoder.
    #[error("unknown encoder {:?}, known are:{}", .0, known_encoders())]
    UnknownEncoder(String),
    /// No encoder of this computer works.
    #[error("no encoder works here:{}", list(.tried))]
    NoEncoder {
        /// The encoders that were tried, and why each failed.
        tried: Vec<(String, String)>,
    },
    /// The encoder failed.
    #[error("the encoder {element} failed: {detail}")]
    Encoder {
        /// The GStreamer element.
        element: String,
        /// GStreamer's error.
        detail: String,
    },
    /// No frame came from the source for this long, without an error.
    #[error("no frame came from the source for {0:?}")]
    Stalled(Duration),
    /// H.264 came from the source for this long without a complete picture.
    #[error(
        "H.264 comes from the source, but no whole picture for {0:?}: does it send SPS and PPS?"
    )]
    NoPictures(Duration),
    /// A device, such as "camera", did not open within this time.
    #[error("the {0} did not open within {1:?}")]
    NotOpened(&'static str, Duration),
    /// The file does not exist.
    #[error("no file {0}")]
    NoSuchFile(PathBuf),
    /// No camera is usable.
    #[error("{}", no_camera(.tried))]
    NoCamera {
        /// The cameras that were tried, and why each failed.
        tried: Vec<(String, String)>,
    },
    /// Several cameras have this text in their names.
    #[error("several cameras have {:?} in their names:{}", .name.display().to_string(), paths(.found))]
    SeveralDevices {
        /// The configured name.
        name: PathBuf,
        /// The devices that match.
        found: Vec<PathBuf>,
    },
    /// The network camera does not answer, or ends the connection.
    #[error("the camera {host} cannot be received: {detail}")]
    Unreachable {
        /// The camera's host.
        host: String,
        /// The system's error.
        detail: String,
    },
    /// The network camera requires user and password (401).
    #[error("the camera {host} {}", unauthorized(*.was_given))]
    Unauthorized {
        /// The camera's host.
        host: String,
        /// Whether the camera got a user and password, and refused them.
        was_given: bool,
    },
    /// The network camera answered with another RTSP error.
    #[error("the camera {host} {}", refused(*.status, .reason))]
    Refused {
        /// The camera's host.
        host: String,
        /// The status.
        status: u32,
        /// The camera's reason phrase.
        reason: String,
    },
    /// The network camera with this host does not send over TCP (461).
    #[error("the camera {0} does not send over TCP (461): switch RTSP over TCP on in the camera")]
    NoTcp(String),
    /// The network camera sends another video format than the configured one.
    #[error(
        "the camera {host} sends {encoding}, and source.format = \"h264\": choose another format"
    )]
    NotH264 {
        /// The camera's host.
        host: String,
        /// The RTP encoding name of the camera's video.
        encoding: String,
    },
    /// The certificate of the network camera is not trusted.
    #[error("{0}")]
    Distrusted(Box<Distrust>),
    /// The pin of the network camera at this host and port changed after the camera was trusted.
    #[error(
        "source.pin has changed since the camera {0} was trusted, and a TLS session from before is not checked \
         again: restart livepeer-edge, which ends such sessions"
    )]
    PinChanged(String),
    /// GLib cannot be made to check the pin alone.
    #[error("source.pin cannot be checked: {0}")]
    Pin(String),
    /// GLib lacks TLS.
    #[error("rtsps and rtmps need TLS, which GLib lacks here: install the package glib-networking")]
    NoTls,
    /// The camera's user and password cannot be read.
    #[error("the camera's credential: {0}")]
    Credential(String),
    /// A source that should not end, such as a camera, ended its stream.
    #[error("the source ended its stream")]
    StreamEnded,
    /// The camera's device does not exist.
    #[error("no camera at {0}: is it plugged in?")]
    NoSuchDevice(PathBuf),
    /// The path is not a camera's device.
    #[error("{0} is not a camera")]
    NotACamera(PathBuf),
    /// The permissions do not allow opening the file or device.
    #[error("not allowed to open {}{}", .0.display(), group_advice(.0))]
    Denied(PathBuf),
    /// The camera or its driver does not answer.
    #[error("the camera {0} does not answer: plug it in again")]
    NoAnswer(PathBuf),
    /// Another program uses the camera.
    #[error("the camera {0} is in use by another program")]
    Busy(PathBuf),
    /// The camera does not offer the configured format.
    #[error("the camera {device} offers no {wanted}: choose another format")]
    NotOffered {
        /// The camera.
        device: PathBuf,
        /// The format.
        wanted: &'static str,
    },
    /// The user's pipeline fragment is invalid.
    #[error("the pipeline fragment is not valid: {0}")]
    Fragment(String),
    /// The source delivers neither raw video nor H.264.
    #[error("the source gives {0}, but raw video or H.264 is needed")]
    UnusableCaps(String),
    /// The masks cannot be filled, so nothing is captured.
    #[error("the picture cannot be masked, so it is not captured: {0}; see source.masks")]
    Mask(String),
    /// No installed decoder supports the input's video.
    #[error("nothing here decodes {format}{}", libav_advice(*.has_libav))]
    NoDecoder {
        /// The format of the video, or GStreamer's error.
        format: String,
        /// Whether FFmpeg's decoders are installed.
        has_libav: bool,
    },
    /// The input contains these media, and no video.
    #[error("the input has no video, but {0}")]
    NoVideo(String),
    /// The input is empty, or GStreamer does not recognise it.
    #[error("the input is empty, or has a format that GStreamer does not know")]
    UnknownInput,
    /// The input is damaged.
    #[error("the input cannot be decoded: {0}")]
    Decode(String),
    /// The input ended before its first frame.
    #[error("the input ended without a single frame of video")]
    NoFrames,
    /// The pictures for a snapshot cannot be decoded.
    #[error(
        "the pictures cannot be decoded: is a decoder for H.264 installed (gstreamer1.0-libav)?"
    )]
    NoSnapshot,
    /// An element of the running pipeline failed.
    #[error("{element} failed: {detail}")]
    Element {
        /// The GStreamer element.
        element: String,
        /// GStreamer's error.
        detail: String,
    },
    /// The output cannot be written.
    #[error("cannot write {}", unwritable(.path, *.kind, .detail))]
    Write {
        /// The file, or `-`.
        path: PathBuf,
        /// The kind of the system's error; it selects the advice.
        kind: ErrorKind,
        /// The system's error.
        detail: String,
    },
    /// The output's pipe, or standard output (`-`), has no reader.
    #[error("{} has no reader", output_name(.0))]
    NoReader(PathBuf),
    /// The output's path contains data other than MPEG-TS, or is a directory or a disk.
    #[error("{0} holds something other than MPEG-TS: name another file in output.path")]
    NotAnOutput(PathBuf),
    /// The pipeline of an output failed.
    #[error("output {name}: {element} failed: {detail}")]
    OutputFailed {
        /// The output.
        name: String,
        /// The GStreamer element.
        element: String,
        /// GStreamer's error, without secrets.
        detail: String,
    },
    /// The receiver of this output takes nothing for this long.
    #[error(
        "output {0}: its receiver takes no video for {1:?}: check the receiver, or the network to it"
    )]
    OutputStalled(String, Duration),
    /// The credential with the output's URL cannot be read, or holds no URL.
    #[error("output {name}: {detail}")]
    OutputAddress {
        /// The output.
        name: String,
        /// What is wrong, without the URL.
        detail: String,
    },
    /// This output finds no display.
    #[error(
        "output {0}: no display is found: start the agent in a graphical session, or as a user of the group video"
    )]
    NoDisplay(String),
    /// The certificate of this output's server cannot be checked.
    #[error(
        "output {0}: its server's certificate cannot be checked while source.pin is set: use only one of the two"
    )]
    OutputUnchecked(String),
    /// Input cannot be stored.
    #[error("cannot store input in {directory}: {detail}; {}", store::advice(*.kind))]
    Store {
        /// The store's directory.
        directory: PathBuf,
        /// The kind of the system's error; it selects the advice.
        kind: ErrorKind,
        /// The system's error.
        detail: String,
    },
    /// The system cannot start a thread for this purpose.
    #[error("the system gives no thread for {0}")]
    Thread(String),
}

impl MediaError {
    /// The error for a failure to open or write `path`.
    pub(super) fn writing(path: &Path, error: &io::Error) -> Self {
        Self::Write { path: path.to_owned(), kind: error.kind(), detail: error.to_string() }
    }

    /// Whether the output only lacks a reader.
    pub(super) fn is_no_reader(&self) -> bool {
        matches!(self, Self::NoReader(_))
    }

    /// Whether to retry or to give up after this error.
    pub fn fault(&self) -> Fault {
        match self {
            // The camera may return, another program may release it, the stream may recover.
            Self::NoSuchDevice(_)
            | Self::NoAnswer(_)
            | Self::Busy(_)
            | Self::Decode(_)
            | Self::Element { .. }
            | Self::Encoder { .. }
            | Self::NoEncoder { .. }
            | Self::NoCamera { .. }
            | Self::Unreachable { .. }
            | Self::Refused { .. }
            | Self::StreamEnded
            | Self::Stalled(_)
            | Self::NoPictures(_)
            | Self::NoSnapshot
            | Self::NotOpened(..)
            | Self::Store { .. }
            | Self::Write { .. }
            | Self::NoReader(_)
            | Self::OutputFailed { .. }
            | Self::OutputStalled(..)
            | Self::OutputAddress { .. }
            | Self::NoDisplay(_)
            | Self::OutputUnchecked(_)
            | Self::Pin(_)
            | Self::Thread(_) => Fault::Retry,
            // The clock may still be set.
            Self::Distrusted(distrust) if distrust.refusal.is_of_time() => Fault::Retry,
            Self::Gstreamer(_)
            | Self::MissingElement(_)
            | Self::UnknownEncoder(_)
            | Self::NoSuchFile(_)
            | Self::SeveralDevices { .. }
            | Self::Unauthorized { .. }
            | Self::NoTcp(_)
            | Self::NotH264 { .. }
            | Self::Credential(_)
            | Self::Distrusted(_)
            | Self::PinChanged(_)
            | Self::NoTls
            | Self::NotACamera(_)
            | Self::Denied(_)
            | Self::NotOffered { .. }
            | Self::Fragment(_)
            | Self::UnusableCaps(_)
            | Self::Mask(_)
            | Self::NoDecoder { .. }
            | Self::NoVideo(_)
            | Self::UnknownInput
            | Self::NoFrames
            | Self::NotAnOutput(_) => Fault::GiveUp,
        }
    }
}

fn package_of(element: &str) -> String {
    package(element).map_or_else(
        || "the plugin that has it".to_owned(),
        |package| format!("the package {package}"),
    )
}

fn known_encoders() -> String {
    ROWS.iter().map(|row| format!(" {}", row.element)).collect()
}

fn list(tried: &[(String, String)]) -> String {
    let tried: Vec<_> = tried.iter().map(|(what, why)| format!(" {what}: {why}")).collect();
    tried.join(";")
}

fn paths(found: &[PathBuf]) -> String {
    found.iter().map(|path| format!(" {}", path.display())).collect()
}

fn no_camera(tried: &[(String, String)]) -> String {
    if tried.is_empty() {
        return "no camera is there: is it plugged in?".to_owned();
    }
    format!("no camera can be used:{}", list(tried))
}

fn unauthorized(was_given: bool) -> &'static str {
    if was_given {
        "refuses the user and password of source.credential"
    } else {
        "wants user and password: set source.credential"
    }
}

fn refused(status: u32, reason: &str) -> String {
    match status {
        404 => format!("has no stream at the path of source.url (404 {reason})"),
        _ => format!("refuses: {status} {reason}"),
    }
}

fn group_advice(path: &Path) -> &'static str {
    if path.starts_with("/dev") { ": add the user to the group video" } else { "" }
}

fn libav_advice(has_libav: bool) -> &'static str {
    if has_libav {
        ", nor does gstreamer1.0-libav, which is installed"
    } else {
        ": install the package gstreamer1.0-libav"
    }
}

fn unwritable(path: &Path, kind: ErrorKind, detail: &str) -> String {
    match path.as_os_str() == "-" {
        true => format!("to standard output: {detail}"),
        false => format!("{}: {detail}; {}", path.display(), output::advice(kind)),
    }
}

fn output_name(path: &Path) -> String {
    if path.as_os_str() == "-" { "standard output".to_owned() } else { path.display().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::{Certificate, Flaw, Refusal};
    use resilience::fingerprint::Fingerprint;

    #[track_caller]
    fn check(error: &MediaError, expected: &str) {
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn texts_name_the_thing_and_the_remedy() {
        check(
            &MediaError::MissingElement("x264enc".into()),
            "GStreamer has no element \"x264enc\": install the package gstreamer1.0-plugins-ugly",
        );
        check(
            &MediaError::UnknownEncoder("foo".into()),
            "unknown encoder \"foo\", known are: v4l2h264enc nvv4l2h264enc mpph264enc nvh264enc vah264enc \
             vaapih264enc qsvh264enc x264enc openh264enc",
        );
        check(
            &MediaError::NoEncoder {
                tried: vec![
                    ("v4l2h264enc".into(), "no frame".into()),
                    ("x264enc".into(), "too slow".into()),
                ],
            },
            "no encoder works here: v4l2h264enc: no frame; x264enc: too slow",
        );
        check(
            &MediaError::Denied("/dev/video0".into()),
            "not allowed to open /dev/video0: add the user to the group video",
        );
        check(&MediaError::Denied("/root/a.mp4".into()), "not allowed to open /root/a.mp4");
        check(
            &MediaError::NoAnswer("/dev/video0".into()),
            "the camera /dev/video0 does not answer: plug it in again",
        );
        check(
            &MediaError::writing(Path::new("-"), &io::Error::other("it broke")),
            "cannot write to standard output: it broke",
        );
        check(
            &MediaError::writing(Path::new("/o.ts"), &ErrorKind::StorageFull.into()),
            "cannot write /o.ts: no storage space; make room there",
        );
        check(
            &MediaError::Pin("/tmp: no storage space".into()),
            "source.pin cannot be checked: /tmp: no storage space",
        );
        check(&MediaError::NoReader("/o.fifo".into()), "/o.fifo has no reader");
        check(
            &MediaError::Store {
                directory: "/mnt/usb".into(),
                kind: ErrorKind::StorageFull,
                detail: "no space left".into(),
            },
            "cannot store input in /mnt/usb: no space left; make room there, or lower store.max-size",
        );
    }

    #[test]
    fn a_certificate_is_named_with_what_to_do() {
        let (seen, pinned) = (Fingerprint([0xab; 32]), Fingerprint([0xcd; 32]));
        let refused = |refusal, subject: Option<&str>| {
            let shown = Certificate { fingerprint: seen, subject: subject.map(str::to_owned) };
            MediaError::Distrusted(Box::new(Distrust { place: "cam:322".into(), shown, refusal }))
        };
        let unknown = vec![Flaw::UnknownAuthority, Flaw::OtherHost];
        check(
            &refused(Refusal::NotVouched(unknown), Some("CN=camera")),
            &format!(
                "the camera cam:322 shows a certificate that is not trusted: no authority of this system signed it \
                 and it is for another host; its SHA-256 is {seen}, its subject \"CN=camera\"; compare the SHA-256 with \
                 that of the camera's own pages, then set source.pin to it"
            ),
        );
        check(
            &refused(Refusal::NotVouched(vec![Flaw::Expired]), None),
            &format!(
                "the camera cam:322 shows a certificate that is not trusted: it has expired by this computer's clock; \
                 its SHA-256 is {seen}; check this computer's clock, or compare the SHA-256 with that of the \
                 camera's own pages, then set source.pin to it"
            ),
        );
        check(
            &refused(Refusal::NotPinned { pinned }, Some("CN=camera")),
            &format!(
                "the camera cam:322 shows another certificate than the one in source.pin: pinned is {pinned}, shown \
                 is {seen}, its subject \"CN=camera\"; if the camera has a new certificate, change source.pin"
            ),
        );
    }
}
