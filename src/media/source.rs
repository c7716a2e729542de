//! The beginning of a pipeline: what each source is called in GStreamer, and what comes out of it.
//!
//! Paths are no part of the text: they are set as properties of the element [`SOURCE`], so a path may
//! hold anything.
//!
//! | source | description | gives |
//! |---|---|---|
//! | test | `videotestsrc`, live | raw video as wanted |
//! | file | decoded, paced by the clock | raw video of any shape |
//! | v4l2 | as the camera's offer was chosen | H.264, or raw video of any shape |
//! | pipeline | the user's fragment | what its caps say when they come |
//!
//! Does not: ask devices; [`camera_choices`] is a list for `io` to try against the camera's offer.

use crate::media::{CameraFormat, Source, Video};

/// The name of the element with the path, the device, or the test picture.
pub const SOURCE: &str = "edge_source";
/// The name of the element with dynamic pads that is linked to [`PACED`] when its video appears.
pub const DECODE: &str = "edge_decode";
/// The name of the element behind [`DECODE`].
pub const PACED: &str = "edge_paced";
/// The name of the last element of the user's fragment.
pub const TAIL: &str = "edge_tail";

/// What comes out of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Raw video of this format, already in the wanted shape and rate.
    Shaped(&'static str),
    /// Raw video of any shape.
    Raw,
    /// H.264.
    H264,
    /// Raw video or H.264: known by the caps behind [`TAIL`] when they come.
    Negotiated,
}

/// The beginning of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its description.
    pub text: String,
    /// What comes out.
    pub form: Form,
}

/// One way to ask a camera for video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraChoice {
    /// What it gives.
    pub format: CameraFormat,
    /// The caps that ask for it.
    pub caps: String,
}

/// The raw format that every encoder has a way from.
pub const FORMAT: &str = "I420";
/// Room for frames between a live source and the encoder: 3, then the oldest is dropped, so that a slow
/// encoder costs frames and not delay.
const LIVE_QUEUE: &str =
    "queue leaky=downstream max-size-buffers=3 max-size-bytes=0 max-size-time=0";

/// The beginning of the pipeline of `source`; for a camera, of `choice`.
pub fn head(source: &Source, video: &Video, choice: Option<&CameraChoice>) -> Head {
    match source {
        Source::Test => Head {
            text: format!(
                "videotestsrc name={SOURCE} is-live=true pattern=smpte horizontal-speed=4 ! {} ! {LIVE_QUEUE}",
                shaped(FORMAT, video)
            ),
            form: Form::Shaped(FORMAT),
        },
        Source::File { .. } => Head {
            text: format!(
                "filesrc name={SOURCE} ! decodebin name={DECODE} expose-all-streams=false caps=video/x-raw(ANY) \
                 identity name={PACED} sync=true"
            ),
            form: Form::Raw,
        },
        Source::V4l2 { .. } => camera(choice),
        Source::Pipeline { fragment } => Head {
            text: format!(
                "{fragment} ! capsfilter name={TAIL} caps=\"video/x-h264; \
                 video/x-raw,width={},height={},framerate={}/1; video/x-raw\"",
                video.width, video.height, video.fps
            ),
            form: Form::Negotiated,
        },
    }
}

fn camera(choice: Option<&CameraChoice>) -> Head {
    let from = format!("v4l2src name={SOURCE}");
    let (text, form) = match choice {
        Some(CameraChoice { format: CameraFormat::H264, caps }) => {
            (format!("{from} ! {caps}"), Form::H264)
        }
        Some(CameraChoice { format: CameraFormat::Mjpeg, caps }) => {
            (format!("{from} ! {caps} ! {LIVE_QUEUE} ! jpegdec"), Form::Raw)
        }
        Some(CameraChoice { format: CameraFormat::Raw | CameraFormat::Auto, caps }) => {
            (format!("{from} ! {caps} ! {LIVE_QUEUE}"), Form::Raw)
        }
        None => (format!("{from} ! {LIVE_QUEUE}"), Form::Raw),
    };
    Head { text, form }
}

/// The caps of raw video as the encoder gets it. The format is always fixed: x264 would otherwise take
/// 4:4:4, which most decoders refuse.
pub fn shaped(format: &str, video: &Video) -> String {
    format!(
        "video/x-raw,format={format},width={},height={},framerate={}/1,pixel-aspect-ratio=1/1",
        video.width, video.height, video.fps
    )
}

/// What to ask a camera for, best first: the format in the wanted size and rate, then in another rate,
/// then in another size. H.264 of another size is taken only when H.264 is demanded, for it cannot be scaled.
pub fn camera_choices(format: CameraFormat, video: &Video) -> Vec<CameraChoice> {
    let size = format!(",width={},height={}", video.width, video.height);
    let size_and_rate = format!("{size},framerate={}/1", video.fps);
    let ways = |format, media: &str, any_size: bool| {
        [Some(size_and_rate.as_str()), Some(size.as_str()), any_size.then_some("")]
            .into_iter()
            .flatten()
            .map(|fields| CameraChoice { format, caps: format!("{media}{fields}") })
            .collect::<Vec<_>>()
    };
    let h264 = |any_size| ways(CameraFormat::H264, "video/x-h264", any_size);
    let mjpeg = || ways(CameraFormat::Mjpeg, "image/jpeg", true);
    let raw = || ways(CameraFormat::Raw, "video/x-raw", true);
    match format {
        CameraFormat::Auto => [h264(false), mjpeg(), raw()].concat(),
        CameraFormat::H264 => h264(true),
        CameraFormat::Mjpeg => mjpeg(),
        CameraFormat::Raw => raw(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &Source, choice: Option<&CameraChoice>, text: &str, form: Form) {
        let head = head(source, &Video::default(), choice);
        assert_eq!(head.text, text);
        assert_eq!(head.form, form);
    }

    fn choice(format: CameraFormat, caps: &str) -> CameraChoice {
        CameraChoice { format, caps: caps.into() }
    }

    #[test]
    fn descriptions_are_exact() {
        check(
            &Source::Test,
            None,
            "videotestsrc name=edge_source is-live=true pattern=smpte horizontal-speed=4 \
             ! video/x-raw,format=I420,width=1280,height=720,framerate=24/1,pixel-aspect-ratio=1/1 \
             ! queue leaky=downstream max-size-buffers=3 max-size-bytes=0 max-size-time=0",
            Form::Shaped("I420"),
        );
        check(
            &Source::File { path: "a \"b\" ! c.mp4".into(), repeat: false },
            None,
            "filesrc name=edge_source ! decodebin name=edge_decode expose-all-streams=false \
             caps=video/x-raw(ANY) identity name=edge_paced sync=true",
            Form::Raw,
        );
        check(
            &Source::Pipeline { fragment: "videotestsrc ! timeoverlay".into() },
            None,
            "videotestsrc ! timeoverlay ! capsfilter name=edge_tail caps=\"video/x-h264; \
             video/x-raw,width=1280,height=720,framerate=24/1; video/x-raw\"",
            Form::Negotiated,
        );
    }

    #[test]
    fn a_camera_is_asked_for_what_it_offers() {
        let camera = Source::V4l2 { device: "/dev/video0".into(), format: CameraFormat::Auto };
        check(
            &camera,
            Some(&choice(CameraFormat::H264, "video/x-h264,width=1280,height=720")),
            "v4l2src name=edge_source ! video/x-h264,width=1280,height=720",
            Form::H264,
        );
        check(
            &camera,
            Some(&choice(CameraFormat::Mjpeg, "image/jpeg")),
            "v4l2src name=edge_source ! image/jpeg \
             ! queue leaky=downstream max-size-buffers=3 max-size-bytes=0 max-size-time=0 ! jpegdec",
            Form::Raw,
        );
        check(
            &camera,
            Some(&choice(CameraFormat::Raw, "video/x-raw")),
            "v4l2src name=edge_source ! video/x-raw \
             ! queue leaky=downstream max-size-buffers=3 max-size-bytes=0 max-size-time=0",
            Form::Raw,
        );
    }

    #[test]
    fn choices_go_from_the_cheapest_to_the_last_resort() {
        let caps = |format| {
            let choices = camera_choices(format, &Video::default());
            choices.into_iter().map(|choice| choice.caps).collect::<Vec<_>>()
        };
        assert_eq!(
            caps(CameraFormat::Auto),
            [
                "video/x-h264,width=1280,height=720,framerate=24/1",
                "video/x-h264,width=1280,height=720",
                "image/jpeg,width=1280,height=720,framerate=24/1",
                "image/jpeg,width=1280,height=720",
                "image/jpeg",
                "video/x-raw,width=1280,height=720,framerate=24/1",
                "video/x-raw,width=1280,height=720",
                "video/x-raw",
            ]
        );
        assert_eq!(caps(CameraFormat::H264).last().map(String::as_str), Some("video/x-h264"));
        assert_eq!(caps(CameraFormat::Mjpeg).len(), 3);
        assert_eq!(caps(CameraFormat::Raw).len(), 3);
    }
}
