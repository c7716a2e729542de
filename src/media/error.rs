//! Everything that can go wrong with media, a variant for each cause, and what to do about it.
//!
//! Does not: know GStreamer's errors; `io::diagnosis` turns them into these.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::certificate::Distrust;
use crate::encoder::ROWS;
use crate::output;
use crate::packages::package;
use crate::store::advice;
use resilience::fault::Fault;

/// Why there is no media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaError {
    /// GStreamer does not start.
    Gstreamer(String),
    /// GStreamer has no such element.
    MissingElement(String),
    /// An encoder that this program cannot drive.
    UnknownEncoder(String),
    /// No encoder of this machine works.
    NoEncoder {
        /// Which were tried, and what became of each.
        tried: Vec<(String, String)>,
    },
    /// The encoder failed.
    Encoder {
        /// Which.
        element: String,
        /// What it says.
        detail: String,
    },
    /// No frame has come from the source for so long, and it does not say why.
    Stalled(Duration),
    /// H.264 has come from the source for so long, but no whole picture.
    NoPictures(Duration),
    /// A device, which one, did not open within this time.
    NotOpened(&'static str, Duration),
    /// The file is not there.
    NoSuchFile(PathBuf),
    /// There is no camera that can be used.
    NoCamera {
        /// Those that were tried, and what is wrong with each.
        tried: Vec<(String, String)>,
    },
    /// Several cameras have this in their names.
    SeveralDevices {
        /// What was asked for.
        name: PathBuf,
        /// They.
        found: Vec<PathBuf>,
    },
    /// The camera of the network does not answer, or ends the connection.
    Unreachable {
        /// Its host.
        host: String,
        /// What the system says.
        detail: String,
    },
    /// The camera of the network wants user and password (401).
    Unauthorized {
        /// Its host.
        host: String,
        /// It was given some, and refuses them.
        was_given: bool,
    },
    /// The camera of the network answers with another error of RTSP.
    Refused {
        /// Its host.
        host: String,
        /// The status.
        status: u32,
        /// What the camera says.
        reason: String,
    },
    /// The camera of the network, with this host, does not send over TCP (461).
    NoTcp(String),
    /// The camera of the network sends video that nothing in the pipeline takes.
    NotH264 {
        /// Its host.
        host: String,
        /// How its video is encoded.
        encoding: String,
    },
    /// The certificate of the camera of the network is not trusted.
    Distrusted(Box<Distrust>),
    /// The pin of the camera of the network at this host and port was changed while it was trusted.
    PinChanged(String),
    /// GLib cannot be told to go by the pin alone.
    Pin(String),
    /// GLib has no TLS.
    NoTls,
    /// The camera's user and password cannot be read.
    Credential(String),
    /// The source, which has no end, ended its stream.
    StreamEnded,
    /// The camera is not there.
    NoSuchDevice(PathBuf),
    /// There is something else at the device's path.
    NotACamera(PathBuf),
    /// The file or device may not be opened.
    Denied(PathBuf),
    /// The camera, or its driver, does not answer.
    NoAnswer(PathBuf),
    /// The camera is in use.
    Busy(PathBuf),
    /// The camera offers nothing of the format asked for.
    NotOffered {
        /// The camera.
        device: PathBuf,
        /// The format.
        wanted: &'static str,
    },
    /// The user's pipeline fragment is no pipeline.
    Fragment(String),
    /// What comes out of the source is neither raw video nor H.264.
    UnusableCaps(String),
    /// Nothing here decodes the input's video.
    NoDecoder {
        /// The format of the video, or what GStreamer says.
        format: String,
        /// FFmpeg's decoders are installed.
        has_libav: bool,
    },
    /// The input has no video, but this.
    NoVideo(String),
    /// The input is empty, or GStreamer does not know what it is.
    UnknownInput,
    /// The input is broken.
    Decode(String),
    /// The input ended before its first frame.
    NoFrames,
    /// An element of the running pipeline failed.
    Element {
        /// Which.
        element: String,
        /// What it says.
        detail: String,
    },
    /// The output cannot be written.
    Write {
        /// The file, or `-`.
        path: PathBuf,
        /// What to do depends on it.
        kind: ErrorKind,
        /// What the system says.
        detail: String,
    },
    /// The pipe of the output, or `-`, has no reader.
    NoReader(PathBuf),
    /// The output's path holds what is not MPEG-TS, or is a directory or a disk.
    NotAnOutput(PathBuf),
    /// Input cannot be stored.
    Store {
        /// The store's directory.
        directory: PathBuf,
        /// What to do depends on it.
        kind: ErrorKind,
        /// What the system says.
        detail: String,
    },
    /// The system gives no thread.
    Thread(String),
}

impl MediaError {
    /// What `error` means that came when `path` was opened or written.
    pub(super) fn writing(path: &Path, error: &io::Error) -> Self {
        Self::Write { path: path.to_owned(), kind: error.kind(), detail: error.to_string() }
    }

    /// Whether all that is missing is somebody who reads.
    pub(super) fn is_no_reader(&self) -> bool {
        matches!(self, Self::NoReader(_))
    }

    /// What comes next.
    pub fn fault(&self) -> Fault {
        match self {
            // A camera may come back, a process may let go of it, a stream may recover.
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
            | Self::NotOpened(..)
            | Self::Store { .. }
            | Self::Write { .. }
            | Self::NoReader(_)
            | Self::Pin(_)
            | Self::Thread(_) => Fault::Retry,
            // The clock may be set yet.
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
            | Self::NoDecoder { .. }
            | Self::NoVideo(_)
            | Self::UnknownInput
            | Self::NoFrames
            | Self::NotAnOutput(_) => Fault::GiveUp,
        }
    }
}

impl fmt::Display for MediaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gstreamer(detail) => write!(f, "GStreamer: {detail}"),
            Self::MissingElement(element) => match package(element) {
                Some(package) => {
                    write!(f, "GStreamer has no element {element:?}: install the package {package}")
                }
                None => write!(
                    f,
                    "GStreamer has no element {element:?}: install the plugin that has it"
                ),
            },
            Self::UnknownEncoder(element) => {
                write!(f, "unknown encoder {element:?}, known are:")?;
                ROWS.iter().try_for_each(|row| write!(f, " {}", row.element))
            }
            Self::NoEncoder { tried } => {
                f.write_str("no encoder works here:")?;
                list(f, tried)
            }
            Self::Encoder { element, detail } => {
                write!(f, "the encoder {element} failed: {detail}")
            }
            Self::Stalled(after) => write!(f, "no frame came from the source for {after:?}"),
            Self::NoPictures(after) => write!(
                f,
                "H.264 comes from the source, but no whole picture for {after:?}: does it send SPS and PPS?"
            ),
            Self::NotOpened(what, time) => write!(f, "the {what} did not open within {time:?}"),
            Self::NoSuchFile(path) => write!(f, "no file {}", path.display()),
            Self::NoCamera { tried } if tried.is_empty() => {
                f.write_str("no camera is there: is it plugged in?")
            }
            Self::NoCamera { tried } => {
                f.write_str("no camera can be used:")?;
                list(f, tried)
            }
            Self::SeveralDevices { name, found } => {
                write!(f, "several cameras have {:?} in their names:", name.display().to_string())?;
                found.iter().try_for_each(|path| write!(f, " {}", path.display()))
            }
            Self::Unreachable { host, detail } => {
                write!(f, "the camera {host} cannot be received: {detail}")
            }
            Self::Unauthorized { host, was_given: true } => {
                write!(f, "the camera {host} refuses the user and password of source.credential")
            }
            Self::Unauthorized { host, was_given: false } => {
                write!(f, "the camera {host} wants user and password: set source.credential")
            }
            Self::Refused { host, status: 404, reason } => write!(
                f,
                "the camera {host} has no stream at the path of source.url (404 {reason})"
            ),
            Self::Refused { host, status, reason } => {
                write!(f, "the camera {host} refuses: {status} {reason}")
            }
            Self::NoTcp(host) => write!(
                f,
                "the camera {host} does not send over TCP (461): switch RTSP over TCP on in the camera"
            ),
            Self::NotH264 { host, encoding } => write!(
                f,
                "the camera {host} sends {encoding}, and source.format = \"h264\": choose another format"
            ),
            Self::Distrusted(distrust) => distrust.fmt(f),
            Self::PinChanged(place) => write!(
                f,
                "source.pin has changed, but the camera {place} was trusted without it: restart livepeer-edge, which \
                 ends the TLS sessions with it"
            ),
            Self::Pin(reason) => {
                write!(f, "source.pin needs a file for a moment, and there is none: {reason}")
            }
            Self::NoTls => f.write_str(
                "rtsps needs TLS, which GLib lacks here: install the package glib-networking",
            ),
            Self::Credential(reason) => write!(f, "the camera's credential: {reason}"),
            Self::StreamEnded => f.write_str("the source ended its stream"),
            Self::NoSuchDevice(device) => {
                write!(f, "no camera at {}: is it plugged in?", device.display())
            }
            Self::NotACamera(device) => write!(f, "{} is not a camera", device.display()),
            Self::Denied(path) if path.starts_with("/dev") => {
                write!(f, "not allowed to open {}: add the user to the group video", path.display())
            }
            Self::Denied(path) => write!(f, "not allowed to open {}", path.display()),
            Self::Busy(device) => {
                write!(f, "the camera {} is in use by another program", device.display())
            }
            Self::NoAnswer(device) => {
                write!(f, "the camera {} does not answer: plug it in again", device.display())
            }
            Self::NotOffered { device, wanted } => {
                write!(
                    f,
                    "the camera {} offers no {wanted}: choose another format",
                    device.display()
                )
            }
            Self::Fragment(detail) => write!(f, "the pipeline fragment is not valid: {detail}"),
            Self::UnusableCaps(caps) => {
                write!(f, "the source gives {caps}, but raw video or H.264 is needed")
            }
            Self::NoDecoder { format, has_libav: false } => {
                write!(f, "nothing here decodes {format}: install the package gstreamer1.0-libav")
            }
            Self::NoDecoder { format, has_libav: true } => write!(
                f,
                "nothing here decodes {format}, nor does gstreamer1.0-libav, which is installed"
            ),
            Self::NoVideo(found) => write!(f, "the input has no video, but {found}"),
            Self::UnknownInput => {
                f.write_str("the input is empty, or nothing that GStreamer knows")
            }
            Self::Decode(detail) => write!(f, "the input cannot be decoded: {detail}"),
            Self::NoFrames => f.write_str("the input ended without a single frame of video"),
            Self::Element { element, detail } => write!(f, "{element} failed: {detail}"),
            Self::Write { path, detail, .. } if path.as_os_str() == "-" => {
                write!(f, "cannot write to standard output: {detail}")
            }
            Self::Write { path, kind, detail } => {
                write!(f, "cannot write {}: {detail}; {}", path.display(), output::advice(*kind))
            }
            Self::NoReader(path) if path.as_os_str() == "-" => {
                f.write_str("standard output has no reader")
            }
            Self::NoReader(path) => write!(f, "{} has no reader", path.display()),
            Self::NotAnOutput(path) => write!(
                f,
                "{} holds something other than MPEG-TS: name another file in output.path",
                path.display()
            ),
            Self::Store { directory, kind, detail } => write!(
                f,
                "cannot store input in {}: {detail}; {}",
                directory.display(),
                advice(*kind)
            ),
            Self::Thread(name) => write!(f, "the system gives no thread for {name}"),
        }
    }
}

impl Error for MediaError {}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, tried: &[(T, String)]) -> fmt::Result {
    tried.iter().enumerate().try_for_each(|(n, (what, why))| {
        write!(f, "{} {what}: {why}", if n == 0 { "" } else { ";" })
    })
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
            "source.pin needs a file for a moment, and there is none: /tmp: no storage space",
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
                "the camera cam:322 shows a certificate that is not trusted: it has expired by this machine's clock; \
                 its SHA-256 is {seen}; check this machine's clock, or compare the SHA-256 with that of the \
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
