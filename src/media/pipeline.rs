//! Builds the description of a pipeline: source, conversion, encoder, parser, and the sink that receives access units.
//!
//! ```text
//! shaped, in a format the encoder takes ───▶ encoder ─▶ parser ─▶ sink
//! raw ─▶ rate, whole pictures, turning, format and size ─▶ encoder ─▶ parser ─▶ sink
//! a picture ─▶ turning, format and size ─▶ repeated ─▶ encoder ─▶ parser ─▶ sink
//! H.264 ──────────────────────────────────────────────▶ parser ─▶ sink
//! ```
//!
//! Does not: run the pipeline.

use crate::encoder::Element;
use crate::source::{self, COLOURS, DEINTERLACE, Form};
use crate::{Flip, Rotate, Speed, Video};

/// The name of the encoder.
pub(crate) const ENCODER: &str = "edge_encoder";
/// The name of the parser after the encoder.
pub(crate) const PARSER: &str = "edge_parser";
/// The name of the sink, whose buffers are access units.
pub(crate) const UNITS: &str = "edge_units";
/// The name of the source into which a transport stream is pushed.
pub(crate) const INPUT: &str = "edge_input";

/// The name of the element that repeats or drops frames to get the wanted rate.
pub(crate) const RATE: &str = "edge_rate";

/// Frames that an encoder must output in a trial. Some encoders fail on the first frame, others stop after a few.
pub(crate) const TRIAL_FRAMES: u64 = 8;
/// The name of the filter whose caps are the size of the picture.
pub(crate) const SHAPE: &str = "edge_shape";

/// The name of the element after which masks are filled.
pub(crate) const MASKED: &str = "edge_masked";

/// The name of the element that converts full range to limited range, for encoders that cannot signal the range.
pub(crate) const RANGE: &str = "edge_range";
/// Rotates pictures upright, by the orientation in their file.
const UPRIGHT: &str = "videoconvert ! videoflip video-direction=auto ! ";

/// The description of all elements after a source of this form; `None` while the form is not negotiated.
pub(crate) fn tail(form: Form, video: &Video, element: &Element, speed: Speed) -> Option<String> {
    let masked = match video.masks.is_empty() {
        true => String::new(),
        false => format!("identity name={MASKED} ! "),
    };
    let encode = format!("{masked}{} ! {}", element.describe(ENCODER, video, speed), finish());
    let best = element.row.formats.first().copied().unwrap_or(source::FORMAT);
    // `videorate` comes first, so that surplus frames are dropped before they cost anything. It does not fill the time
    // before the first frame, because a camera may take seconds to begin.
    let reshape = |first: &str, last: &str| {
        let turning = source::turning(video);
        let shape = shape(best, video);
        format!(
            "videorate name={RATE} skip-to-first=true ! {first}{turning}videoconvert ! videoscale ! {shape} ! {last}{encode}"
        )
    };
    let whole = format!("videoconvert ! {DEINTERLACE} ! ");
    let limited = match element.row.signals_range {
        true => String::new(),
        false => format!("videobalance name={RANGE} ! "),
    };
    // These elements cost nothing while rate and size do not change.
    let resize = |format| match element.row.resizes {
        true => format!(
            "videorate name={RATE} drop-only=true ! videoscale ! {} ! ",
            shape(format, video)
        ),
        false => String::new(),
    };
    match form {
        Form::H264 => Some(finish()),
        Form::Negotiated => None,
        Form::Nvmm if element.row.upload.is_some() && !video.is_changed() => Some(encode),
        Form::Nvmm if !video.is_turned() => {
            Some(format!("nvvidconv ! {} ! {encode}", source::shaped(best, video)))
        }
        Form::Nvmm => Some(format!("nvvidconv ! video/x-raw,format={best} ! {}", reshape("", ""))),
        Form::Shaped(format) if element.row.formats.contains(&format) && !video.is_turned() => {
            Some(format!("{}{encode}", resize(format)))
        }
        Form::Shaped(_) => Some(reshape("", "")),
        Form::Raw => Some(reshape(&whole, &limited)),
        Form::Decoded => {
            let first = format!("videoconvert ! capsfilter name={COLOURS} ! {whole}{UPRIGHT}");
            Some(reshape(&first, &limited))
        }
        // The picture is converted once, then repeated without end at the pace of the clock.
        Form::Still => Some(format!(
            "videoconvert ! capsfilter name={COLOURS} ! {UPRIGHT}{}videoconvert ! videoscale ! {} ! {limited}\
             imagefreeze ! {} ! identity sync=true ! {}{encode}",
            source::turning(video),
            source::sized(best, video),
            source::shaped(best, video),
            resize(best)
        )),
    }
}

/// The description of the elements after H.264 that passes through.
pub(crate) fn passed_through() -> String {
    finish()
}

fn shape(format: &str, video: &Video) -> String {
    format!("capsfilter name={SHAPE} caps=\"{}\"", source::shaped(format, video))
}

/// Converts H.264 of any stream format to access units in Annex B, with parameter sets before each key frame. The
/// sink's callback takes each buffer at once.
fn finish() -> String {
    format!(
        "h264parse name={PARSER} config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au \
         ! appsink name={UNITS} sync=false async=false enable-last-sample=false max-buffers=4"
    )
}

/// The elements that decode H.264, before others.
pub(crate) fn decode(decoder: &str) -> String {
    format!("h264parse ! {decoder} ! ")
}

/// A pipeline that decodes a transport stream, applies `effect` (elements from raw video to raw video)
/// and encodes again.
pub(crate) fn transform(
    decoder: &str,
    effect: &str,
    video: &Video,
    element: &Element,
    speed: Speed,
) -> String {
    // The picture was rotated before it was first encoded.
    let (rotate, flip) = (Rotate::None, Flip::None);
    let upright = Video { rotate, flip, crop: false, masks: Vec::new(), ..video.clone() };
    let tail = tail(Form::Raw, &upright, element, speed).unwrap_or_default();
    format!(
        "appsrc name={INPUT} is-live=true format=bytes caps=video/mpegts,systemstream=true,packetsize=188 \
         ! tsdemux ! {}videoconvert ! {effect} ! {tail}",
        decode(decoder)
    )
}

/// A pipeline that encodes frames until it is stopped.
pub(crate) fn trial(video: &Video, element: &Element, speed: Speed) -> String {
    let format = element.row.formats.first().copied().unwrap_or(source::FORMAT);
    format!(
        "videotestsrc ! {} ! {} ! {}",
        source::shaped(format, video),
        element.describe(ENCODER, video, speed),
        finish()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder;

    const FINISH: &str = "h264parse name=edge_parser config-interval=-1 \
        ! video/x-h264,stream-format=byte-stream,alignment=au \
        ! appsink name=edge_units sync=false async=false enable-last-sample=false max-buffers=4";

    fn element(name: &str) -> Element {
        Element::new(encoder::row(name).unwrap(), |_| false)
    }

    fn describe(name: &str) -> String {
        element(name).describe(ENCODER, &Video::default(), Speed::Superfast)
    }

    #[track_caller]
    fn check(form: Form, name: &str, expected: Option<String>) {
        assert_eq!(tail(form, &Video::default(), &element(name), Speed::Superfast), expected);
    }

    fn shaped(format: &str) -> String {
        format!(
            "capsfilter name=edge_shape caps=\"video/x-raw,format={format},width=1280,height=720,\
             framerate=24/1,pixel-aspect-ratio=1/1\""
        )
    }

    #[test]
    fn h264_goes_to_the_parser() {
        check(Form::H264, "x264enc", Some(FINISH.into()));
        check(Form::Negotiated, "x264enc", None);
    }

    #[test]
    fn a_picture_is_converted_once_and_then_repeated() {
        let size = "width=1280,height=720";
        let convert = |format: &str, limited: &str| {
            format!(
                "videoconvert ! capsfilter name=edge_colours ! videoconvert ! videoflip video-direction=auto \
                 ! videoconvert ! videoscale ! video/x-raw,format={format},{size},pixel-aspect-ratio=1/1 \
                 ! {limited}imagefreeze ! video/x-raw,format={format},{size},framerate=24/1,pixel-aspect-ratio=1/1 \
                 ! identity sync=true ! "
            )
        };
        let of = |name: &str, format: &str, limited: &str, resize: &str| {
            let convert = convert(format, limited);
            let expected = format!("{convert}{resize}{} ! {FINISH}", describe(name));
            check(Form::Still, name, Some(expected));
        };
        let limited = "videobalance name=edge_range ! ";
        of("vah264enc", "NV12", limited, "");
        let resize =
            format!("videorate name=edge_rate drop-only=true ! videoscale ! {} ! ", shaped("I420"));
        of("openh264enc", "I420", limited, &resize);
        of("x264enc", "I420", "", &resize);
    }

    #[test]
    fn a_format_that_the_encoder_accepts_is_not_converted() {
        for (name, format) in [
            ("v4l2h264enc", "I420"),
            ("v4l2h264enc", "NV12"),
            ("v4l2h264enc", "YUY2"),
            ("nvv4l2h264enc", "I420"),
            ("nvv4l2h264enc", "NV12"),
            ("mpph264enc", "I420"),
            ("mpph264enc", "NV12"),
            ("nvh264enc", "NV12"),
            ("vah264enc", "NV12"),
            ("vaapih264enc", "I420"),
            ("qsvh264enc", "NV12"),
        ] {
            check(Form::Shaped(format), name, Some(format!("{} ! {FINISH}", describe(name))));
        }
        for (name, format) in [("x264enc", "I420"), ("x264enc", "NV12"), ("openh264enc", "I420")] {
            let expected = format!(
                "videorate name=edge_rate drop-only=true ! videoscale ! {} ! {} ! {FINISH}",
                shaped(format),
                describe(name)
            );
            check(Form::Shaped(format), name, Some(expected));
        }
    }

    #[test]
    fn other_formats_are_converted_to_the_encoders_best() {
        for (name, from, to) in [
            ("x264enc", "YUY2", "I420"),
            ("openh264enc", "NV12", "I420"),
            ("nvh264enc", "I420", "NV12"),
            ("vah264enc", "I420", "NV12"),
            ("vaapih264enc", "YUY2", "NV12"),
            ("qsvh264enc", "I420", "NV12"),
            ("nvv4l2h264enc", "RGB", "NV12"),
            ("mpph264enc", "RGB", "NV12"),
            ("v4l2h264enc", "RGB", "I420"),
        ] {
            let expected = format!(
                "videorate name=edge_rate skip-to-first=true ! videoconvert ! videoscale ! {} ! {} ! {FINISH}",
                shaped(to),
                describe(name)
            );
            check(Form::Shaped(from), name, Some(expected));
        }
    }

    #[test]
    fn decoded_video_is_deinterlaced_rotated_and_corrected_in_colour() {
        let whole = "videoconvert ! deinterlace fields=top method=greedyl ! ";
        let decoded = format!(
            "videoconvert ! capsfilter name=edge_colours ! {whole}\
             videoconvert ! videoflip video-direction=auto ! "
        );
        for (form, first) in [(Form::Raw, whole), (Form::Decoded, decoded.as_str())] {
            for (name, last) in
                [("x264enc", ""), ("openh264enc", "videobalance name=edge_range ! ")]
            {
                let expected = format!(
                    "videorate name=edge_rate skip-to-first=true ! {first}videoconvert ! videoscale ! {} ! {last}{} ! {FINISH}",
                    shaped("I420"),
                    describe(name)
                );
                check(form, name, Some(expected));
            }
        }
    }

    #[test]
    fn frames_stay_in_nvidias_memory_for_its_encoder() {
        check(
            Form::Nvmm,
            "nvv4l2h264enc",
            Some(format!("{} ! {FINISH}", describe("nvv4l2h264enc"))),
        );
        check(
            Form::Nvmm,
            "x264enc",
            Some(format!(
                "nvvidconv ! video/x-raw,format=I420,width=1280,height=720,framerate=24/1,\
                 pixel-aspect-ratio=1/1 ! {} ! {FINISH}",
                describe("x264enc")
            )),
        );
    }

    #[test]
    fn a_picture_is_rotated_before_it_is_scaled() {
        let video = Video { rotate: Rotate::Quarter, crop: true, ..Video::default() };
        let rate = "videorate name=edge_rate skip-to-first=true ! ";
        let turned = "videoconvert ! videoflip video-direction=90r \
                      ! aspectratiocrop aspect-ratio=1280/720 ! videoconvert ! videoscale";
        let rest = format!("{} ! {} ! {FINISH}", shaped("I420"), describe("x264enc"));
        let text = |form| tail(form, &video, &element("x264enc"), Speed::Superfast).unwrap();
        assert_eq!(text(Form::Shaped("I420")), format!("{rate}{turned} ! {rest}"));
        assert_eq!(
            text(Form::Raw),
            format!("{rate}videoconvert ! {DEINTERLACE} ! {turned} ! {rest}")
        );
        assert_eq!(
            text(Form::Nvmm),
            format!("nvvidconv ! video/x-raw,format=I420 ! {rate}{turned} ! {rest}")
        );
        assert_eq!(text(Form::H264), FINISH);
    }

    #[test]
    fn a_trial_uses_the_encoders_best_format() {
        let text = trial(&Video::default(), &element("vah264enc"), Speed::Superfast);
        assert_eq!(
            text,
            format!(
                "videotestsrc ! video/x-raw,format=NV12,width=1280,height=720,\
                 framerate=24/1,pixel-aspect-ratio=1/1 ! {} ! {FINISH}",
                describe("vah264enc")
            )
        );
    }

    #[test]
    fn a_transform_decodes_before_its_effect() {
        let text = transform(
            "avdec_h264",
            "videoflip method=clockwise",
            &Video::default(),
            &element("x264enc"),
            Speed::Ultrafast,
        );
        assert!(text.starts_with(
            "appsrc name=edge_input is-live=true format=bytes caps=video/mpegts,systemstream=true,packetsize=188 \
             ! tsdemux ! h264parse ! avdec_h264 ! videoconvert ! videoflip method=clockwise ! videorate name=edge_rate skip-to-first=true ! "
        ));
        assert!(text.ends_with(FINISH));
    }
}
