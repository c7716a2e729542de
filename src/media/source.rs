//! Describes the beginning of a pipeline: the GStreamer elements of each source, and the form of their video.
//!
//! Paths are not in the description: they are set as properties of the element `SOURCE`, so a path may contain any
//! character.
//!
//! | source | description | gives |
//! |---|---|---|
//! | test | `videotestsrc`, live | raw video as wanted |
//! | file | decoded, paced by the clock | decoded video of any size, or one picture |
//! | v4l2 | in the chosen mode, deinterlaced; H.264 is decoded if masks are set | H.264, raw or decoded video |
//! | libcamera | `libcamerasrc` with full caps | raw video as wanted |
//! | nvargus | `nvarguscamerasrc` with full caps | raw video as wanted, in NVIDIA's memory |
//! | rtsp | over TCP; passed through or decoded, as decided before | H.264, or decoded video of any size |
//! | pipeline | the user's fragment | H.264 or raw video; its caps say which, once the pipeline runs |
//!
//! Does not: query devices; `io` does, and passes the result as `Decided`.

use crate::modes::Mode;
use crate::{CameraFormat, Flip, Rotate, Source, Video};

/// The name of the element with the path, the device, or the test picture.
pub(crate) const SOURCE: &str = "edge_source";
/// The name of the element with dynamic pads that is linked to [`PACED`] when its video appears.
pub(crate) const DECODE: &str = "edge_decode";
/// The name of the element that is linked to the video of a network camera when that video appears.
pub(crate) const RECEIVED: &str = "edge_received";
/// The name of the element after [`DECODE`].
pub(crate) const PACED: &str = "edge_paced";
/// The name of the caps filter after the decoder. Its caps fix the format of decoded pictures.
pub(crate) const COLOURS: &str = "edge_colours";
/// The name of the last element of the user's fragment.
pub(crate) const TAIL: &str = "edge_tail";

/// The form of the video that comes out of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Raw video of this format, already in the configured size and rate.
    Shaped(&'static str),
    /// Raw video of any size, rate and format.
    Raw,
    /// Raw video out of a decoder. It may have any size, rotation, alpha, or incomplete colorimetry.
    Decoded,
    /// A single picture out of a decoder.
    Still,
    /// Raw video in the configured size and rate, in memory of NVIDIA's converter and encoder.
    Nvmm,
    /// H.264.
    H264,
    /// Raw video or H.264. The caps after [`TAIL`] say which, once they are negotiated.
    Negotiated,
}

/// The beginning of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceHead {
    /// The description of its elements.
    pub(crate) text: String,
    /// The form of the video that comes out.
    pub(crate) form: Form,
}

/// What `io` found out about a source. The description depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decided {
    /// The description depends only on the options.
    Nothing,
    /// The mode of a video4linux camera.
    Mode(Mode),
    /// Whether the H.264 of a network camera passes through.
    PassThrough(bool),
    /// The file is one picture.
    Still {
        /// `jpegparse` goes before the decoder, which does not report the orientation of the picture by itself.
        is_parsed: bool,
    },
    /// The file is a GIF, whose pictures are pushed into an `appsrc`.
    Gif {
        /// Whether the GIF has only one picture.
        is_still: bool,
    },
}

/// Deinterlaces interlaced video, and passes progressive video unchanged. Two fields become one picture, because the
/// runner drops additional frames. Where nothing moves, both fields are kept.
pub(crate) const DEINTERLACE: &str = "deinterlace fields=top method=greedyl";

/// The raw format that every encoder accepts, directly or after a conversion.
pub(crate) const FORMAT: &str = "I420";
/// A queue for 3 frames between a live source and the encoder. When it is full, the oldest frame is dropped, so that a
/// slow encoder loses frames instead of adding delay.
const LIVE_QUEUE: &str =
    "queue leaky=downstream max-size-buffers=3 max-size-bytes=0 max-size-time=0";

/// The beginning of the pipeline of `source`.
pub(crate) fn head(source: &Source, video: &Video, decided: &Decided) -> SourceHead {
    let live = |form, text: String| SourceHead { text: format!("{text} ! {LIVE_QUEUE}"), form };
    let Video { width, height, fps, .. } = video;
    let size = format!("width={width},height={height},framerate={fps}/1");
    match source {
        // `Auto` does not occur here, because `io` replaces it by the source that it found.
        Source::Auto | Source::Test => live(
            Form::Shaped(FORMAT),
            format!(
                "videotestsrc name={SOURCE} is-live=true pattern=smpte horizontal-speed=4 ! {}",
                shaped(FORMAT, video)
            ),
        ),
        Source::File { .. } if matches!(decided, Decided::Gif { .. }) => SourceHead {
            text: format!(
                "appsrc name={SOURCE} format=time caps=image/gst-libav-gif,parsed=true ! avdec_gif ! identity name={PACED} sync=true"
            ),
            form: match *decided == (Decided::Gif { is_still: true }) {
                true => Form::Still,
                false => Form::Raw,
            },
        },
        Source::File { .. } => SourceHead {
            text: format!(
                "filesrc name={SOURCE} ! {}{} identity name={PACED} sync=true",
                match *decided == (Decided::Still { is_parsed: true }) {
                    true => "jpegparse ! ",
                    false => "",
                },
                decode()
            ),
            form: match matches!(decided, Decided::Still { .. }) {
                true => Form::Still,
                false => Form::Decoded,
            },
        },
        Source::V4l2 { .. } => camera(decided, video),
        // Without full caps, libcamerasrc negotiates a format that no encoder accepts.
        Source::Libcamera { .. } => live(
            Form::Shaped("NV12"),
            format!(
                "libcamerasrc name={SOURCE} ! video/x-raw,format=NV12,{size},colorimetry=bt709,\
                 interlace-mode=progressive"
            ),
        ),
        Source::NvArgus { sensor } => live(
            Form::Nvmm,
            format!(
                "nvarguscamerasrc name={SOURCE} sensor-id={sensor} ! video/x-raw(memory:NVMM),format=NV12,{size}"
            ),
        ),
        Source::Rtsp { .. } => match decided {
            Decided::PassThrough(true) => {
                SourceHead { text: format!("{} {}", receive(), depay()), form: Form::H264 }
            }
            Decided::PassThrough(false)
            | Decided::Nothing
            | Decided::Mode(_)
            | Decided::Still { .. }
            | Decided::Gif { .. } => SourceHead {
                text: format!(
                    "{} identity name={RECEIVED} ! {} {LIVE_QUEUE} name={PACED}",
                    receive(),
                    decode()
                ),
                form: Form::Decoded,
            },
        },
        Source::Pipeline { fragment } => SourceHead {
            text: format!(
                "{fragment} ! capsfilter name={TAIL} caps=\"video/x-h264; video/x-raw,{size}; video/x-raw\""
            ),
            form: Form::Negotiated,
        },
    }
}

/// A pipeline that receives H.264 from a network camera, to be measured.
pub(crate) fn measured(sink: &str) -> String {
    format!("{} {} ! {}", receive(), depay(), to_be_measured(sink))
}

/// A pipeline that takes H.264 from a camera in this mode, to be measured.
pub(crate) fn measured_in(mode: &Mode, sink: &str) -> String {
    format!("v4l2src name={SOURCE} ! {} ! {}", mode.caps(), to_be_measured(sink))
}

fn to_be_measured(sink: &str) -> String {
    format!(
        "h264parse ! video/x-h264,stream-format=byte-stream,alignment=au ! fakesink name={sink} sync=false"
    )
}

/// Receives from a network camera over TCP, because over UDP the loss of a packet breaks a picture. The timeouts are in
/// µs. `latency`, in ms, is the time for which packets are kept to put them in order.
fn receive() -> String {
    format!("rtspsrc name={SOURCE} protocols=tcp latency=200 timeout=5000000 tcp-timeout=5000000")
}

fn depay() -> String {
    format!("rtph264depay name={RECEIVED}")
}

/// The decoder. The code that runs the pipeline links it when its pads appear.
fn decode() -> String {
    format!("decodebin name={DECODE} caps=video/x-raw(ANY)")
}

fn camera(decided: &Decided, video: &Video) -> SourceHead {
    let from = format!("v4l2src name={SOURCE}");
    let Decided::Mode(mode) = decided else {
        return SourceHead { text: format!("{from} ! {LIVE_QUEUE}"), form: Form::Raw };
    };
    let caps = mode.caps();
    match mode.format {
        CameraFormat::H264 if video.masks.is_empty() => {
            SourceHead { text: format!("{from} ! {caps}"), form: Form::H264 }
        }
        CameraFormat::H264 => SourceHead {
            text: format!("{from} ! {caps} ! {} {LIVE_QUEUE} name={PACED}", decode()),
            form: Form::Decoded,
        },
        // Do not use v4l2jpegdec, which stalls for ever on a Pi 4 (field-facts).
        CameraFormat::Mjpeg => SourceHead {
            text: format!("{from} ! {caps} ! {LIVE_QUEUE} ! jpegdec"),
            form: Form::Raw,
        },
        CameraFormat::Raw | CameraFormat::Auto => match mode.shaped(video) {
            // An analogue grabber gives the wanted size and rate too, but interlaced.
            Some(format) => SourceHead {
                text: format!("{from} ! {caps} ! {LIVE_QUEUE} ! {DEINTERLACE}"),
                form: Form::Shaped(format),
            },
            None => SourceHead { text: format!("{from} ! {caps} ! {LIVE_QUEUE}"), form: Form::Raw },
        },
    }
}

/// The caps of raw video before the encoder. The format is always fixed, because x264 would otherwise accept 4:4:4,
/// which most decoders refuse.
pub(crate) fn shaped(format: &str, video: &Video) -> String {
    format!(
        "video/x-raw,format={format},width={},height={},framerate={}/1,pixel-aspect-ratio=1/1",
        video.width, video.height, video.fps
    )
}

/// The caps of a single picture before the encoder, which have no frame rate.
pub(crate) fn sized(format: &str, video: &Video) -> String {
    format!(
        "video/x-raw,format={format},width={},height={},pixel-aspect-ratio=1/1",
        video.width, video.height
    )
}

/// The elements that rotate, mirror and crop the picture, after a converter, which costs nothing if no conversion is
/// needed. Empty if the picture stays unchanged.
pub(crate) fn turning(video: &Video) -> String {
    let direction = match (video.rotate, video.flip) {
        (Rotate::None, Flip::None) => None,
        (Rotate::Quarter, Flip::None) => Some("90r"),
        (Rotate::Half, Flip::None) => Some("180"),
        (Rotate::ThreeQuarters, Flip::None) => Some("90l"),
        (Rotate::None, Flip::Horizontal) | (Rotate::Half, Flip::Vertical) => Some("horiz"),
        (Rotate::None, Flip::Vertical) | (Rotate::Half, Flip::Horizontal) => Some("vert"),
        // Mirrored along the diagonal from the upper left, and along the other diagonal.
        (Rotate::Quarter, Flip::Horizontal) | (Rotate::ThreeQuarters, Flip::Vertical) => {
            Some("ul-lr")
        }
        (Rotate::Quarter, Flip::Vertical) | (Rotate::ThreeQuarters, Flip::Horizontal) => {
            Some("ur-ll")
        }
    };
    let mut text = String::new();
    if video.is_turned() {
        text.push_str("videoconvert ! ");
    }
    if let Some(direction) = direction {
        text.push_str(&format!("videoflip video-direction={direction} ! "));
    }
    if video.crop {
        text.push_str(&format!("aspectratiocrop aspect-ratio={}/{} ! ", video.width, video.height));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modes::Rate;

    const QUEUE: &str =
        "queue leaky=downstream max-size-buffers=3 max-size-bytes=0 max-size-time=0";

    #[track_caller]
    fn check(source: &Source, decided: &Decided, text: &str, form: Form) {
        let head = head(source, &Video::default(), decided);
        assert_eq!(head.text, text);
        assert_eq!(head.form, form);
    }

    #[test]
    fn descriptions_are_exact() {
        check(
            &Source::Test,
            &Decided::Nothing,
            &format!(
                "videotestsrc name=edge_source is-live=true pattern=smpte horizontal-speed=4 \
                 ! video/x-raw,format=I420,width=1280,height=720,framerate=24/1,pixel-aspect-ratio=1/1 \
                 ! {QUEUE}"
            ),
            Form::Shaped("I420"),
        );
        check(
            &Source::File { path: "a \"b\" ! c.mp4".into(), repeat: false },
            &Decided::Nothing,
            "filesrc name=edge_source ! decodebin name=edge_decode \
             caps=video/x-raw(ANY) identity name=edge_paced sync=true",
            Form::Decoded,
        );
        check(
            &Source::Libcamera { camera: None },
            &Decided::Nothing,
            &format!(
                "libcamerasrc name=edge_source ! video/x-raw,format=NV12,width=1280,height=720,\
                 framerate=24/1,colorimetry=bt709,interlace-mode=progressive ! {QUEUE}"
            ),
            Form::Shaped("NV12"),
        );
        check(
            &Source::NvArgus { sensor: 1 },
            &Decided::Nothing,
            &format!(
                "nvarguscamerasrc name=edge_source sensor-id=1 ! video/x-raw(memory:NVMM),format=NV12,\
                 width=1280,height=720,framerate=24/1 ! {QUEUE}"
            ),
            Form::Nvmm,
        );
        check(
            &Source::Pipeline { fragment: "videotestsrc ! timeoverlay".into() },
            &Decided::Nothing,
            "videotestsrc ! timeoverlay ! capsfilter name=edge_tail caps=\"video/x-h264; \
             video/x-raw,width=1280,height=720,framerate=24/1; video/x-raw\"",
            Form::Negotiated,
        );
    }

    #[test]
    fn video_of_a_network_camera_passes_through_or_is_decoded() {
        let source = Source::Rtsp {
            url: "rtsp://camera/1".into(),
            credential: None,
            pin: None,
            format: CameraFormat::Auto,
        };
        check(
            &source,
            &Decided::PassThrough(true),
            "rtspsrc name=edge_source protocols=tcp latency=200 timeout=5000000 tcp-timeout=5000000 \
             rtph264depay name=edge_received",
            Form::H264,
        );
        check(
            &source,
            &Decided::PassThrough(false),
            &format!(
                "rtspsrc name=edge_source protocols=tcp latency=200 timeout=5000000 tcp-timeout=5000000 \
                 identity name=edge_received ! decodebin name=edge_decode \
                 caps=video/x-raw(ANY) {QUEUE} name=edge_paced"
            ),
            Form::Decoded,
        );
        assert_eq!(
            measured("s"),
            "rtspsrc name=edge_source protocols=tcp latency=200 timeout=5000000 tcp-timeout=5000000 \
             rtph264depay name=edge_received ! h264parse \
             ! video/x-h264,stream-format=byte-stream,alignment=au ! fakesink name=s sync=false"
        );
    }

    #[test]
    fn the_chosen_mode_is_requested_from_the_camera() {
        let camera = Source::V4l2 { device: "/dev/video0".into(), format: CameraFormat::Auto };
        let mode = |format, raw: &str, fps| {
            let (width, height, raw) = (1280, 720, raw.to_owned());
            Decided::Mode(Mode { format, raw, width, height, rate: Rate::whole(fps) })
        };
        let from = "v4l2src name=edge_source";
        let size = "width=1280,height=720";
        check(
            &camera,
            &mode(CameraFormat::H264, "", 24),
            &format!("{from} ! video/x-h264,{size},framerate=24/1"),
            Form::H264,
        );
        check(
            &camera,
            &mode(CameraFormat::Mjpeg, "", 30),
            &format!("{from} ! image/jpeg,{size},framerate=30/1 ! {QUEUE} ! jpegdec"),
            Form::Raw,
        );
        let Decided::Mode(h264) = mode(CameraFormat::H264, "", 24) else { panic!() };
        assert_eq!(
            measured_in(&h264, "s"),
            format!(
                "{from} ! video/x-h264,{size},framerate=24/1 ! h264parse \
                 ! video/x-h264,stream-format=byte-stream,alignment=au ! fakesink name=s sync=false"
            )
        );
        let deinterlace = " ! deinterlace fields=top method=greedyl";
        for (fps, form, last) in [(24, Form::Shaped("YUY2"), deinterlace), (30, Form::Raw, "")] {
            check(
                &camera,
                &mode(CameraFormat::Raw, "YUY2", fps),
                &format!(
                    "{from} ! video/x-raw,format=YUY2,{size},framerate={fps}/1 ! {QUEUE}{last}"
                ),
                form,
            );
        }
    }

    #[track_caller]
    fn check_turning(rotate: Rotate, flip: Flip, crop: bool, expected: &str) {
        let video = Video { rotate, flip, crop, ..Video::default() };
        assert_eq!(turning(&video), expected);
    }

    #[test]
    fn a_picture_is_rotated_then_mirrored_then_cropped() {
        check_turning(Rotate::None, Flip::None, false, "");
        check_turning(
            Rotate::None,
            Flip::None,
            true,
            "videoconvert ! aspectratiocrop aspect-ratio=1280/720 ! ",
        );
        check_turning(
            Rotate::Quarter,
            Flip::Horizontal,
            true,
            "videoconvert ! videoflip video-direction=ul-lr ! aspectratiocrop aspect-ratio=1280/720 ! ",
        );
        let direction = |rotate, flip, name: &str| {
            let text = format!("videoconvert ! videoflip video-direction={name} ! ");
            check_turning(rotate, flip, false, &text);
        };
        direction(Rotate::Quarter, Flip::None, "90r");
        direction(Rotate::Half, Flip::None, "180");
        direction(Rotate::ThreeQuarters, Flip::None, "90l");
        direction(Rotate::None, Flip::Horizontal, "horiz");
        direction(Rotate::None, Flip::Vertical, "vert");
        direction(Rotate::Half, Flip::Horizontal, "vert");
        direction(Rotate::Half, Flip::Vertical, "horiz");
        direction(Rotate::Quarter, Flip::Vertical, "ur-ll");
        direction(Rotate::ThreeQuarters, Flip::Horizontal, "ur-ll");
        direction(Rotate::ThreeQuarters, Flip::Vertical, "ul-lr");
    }
}
