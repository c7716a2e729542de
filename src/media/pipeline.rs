//! Puts a pipeline's description together: source, shaping, encoder, parser, and the sink that hands out
//! access units.
//!
//! ```text
//! shaped ─────────────▶ encoder ─▶ parser ─▶ sink
//! raw    ─▶ shaping ──▶ encoder ─▶ parser ─▶ sink
//! H.264  ────────────────────────▶ parser ─▶ sink
//! ```
//!
//! Does not: run it.

use crate::media::encoder::Row;
use crate::media::source::{self, Form};
use crate::media::{Speed, Video};

/// The name of the encoder.
pub const ENCODER: &str = "edge_encoder";
/// The name of the parser behind it.
pub const PARSER: &str = "edge_parser";
/// The name of the sink, whose buffers are access units.
pub const UNITS: &str = "edge_units";
/// The name of the source into which a transport stream is pushed.
pub const INPUT: &str = "edge_input";

/// What stands behind a source of this form; nothing while the form is not known.
pub fn tail(form: Form, video: &Video, row: &Row, speed: Speed) -> Option<String> {
    // Frames that are too many go before they cost anything.
    let shaping = || format!("videorate ! videoconvert ! videoscale ! {}", source::shaped(video));
    let encode = || row.describe(ENCODER, video, speed);
    match form {
        Form::Shaped => Some(format!("{} ! {}", encode(), finish())),
        Form::Raw => Some(format!("{} ! {} ! {}", shaping(), encode(), finish())),
        Form::H264 => Some(finish()),
        Form::Negotiated => None,
    }
}

/// From H.264 of any packing to access units: parameters before each key, Annex B. The sink pulls
/// nothing by itself; our callback takes each buffer at once.
fn finish() -> String {
    format!(
        "h264parse name={PARSER} config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au \
         ! appsink name={UNITS} sync=false async=false enable-last-sample=false max-buffers=4"
    )
}

/// A pipeline that decodes a transport stream, applies `effect` (elements from raw video to raw video)
/// and encodes again.
pub fn transform(decoder: &str, effect: &str, video: &Video, row: &Row, speed: Speed) -> String {
    let tail = tail(Form::Raw, video, row, speed).unwrap_or_default();
    format!(
        "appsrc name={INPUT} is-live=true format=bytes caps=video/mpegts,systemstream=true,packetsize=188 \
         ! tsdemux ! h264parse ! {decoder} ! videoconvert ! {effect} ! {tail}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::encoder;

    const FINISH: &str = "h264parse name=edge_parser config-interval=-1 \
        ! video/x-h264,stream-format=byte-stream,alignment=au \
        ! appsink name=edge_units sync=false async=false enable-last-sample=false max-buffers=4";

    #[track_caller]
    fn check(form: Form, expected: Option<String>) {
        let row = encoder::row(None).unwrap();
        assert_eq!(tail(form, &Video::default(), row, Speed::Superfast), expected);
    }

    #[test]
    fn descriptions_are_exact() {
        let encode =
            encoder::row(None).unwrap().describe(ENCODER, &Video::default(), Speed::Superfast);
        check(Form::H264, Some(FINISH.into()));
        check(Form::Shaped, Some(format!("{encode} ! {FINISH}")));
        check(
            Form::Raw,
            Some(format!(
                "videorate ! videoconvert ! videoscale \
                 ! video/x-raw,format=I420,width=1280,height=720,framerate=24/1,pixel-aspect-ratio=1/1 \
                 ! {encode} ! {FINISH}"
            )),
        );
        check(Form::Negotiated, None);
    }

    #[test]
    fn a_transform_decodes_before_its_effect() {
        let row = encoder::row(None).unwrap();
        let text = transform(
            "avdec_h264",
            "videoflip method=clockwise",
            &Video::default(),
            row,
            Speed::Ultrafast,
        );
        assert!(text.starts_with(
            "appsrc name=edge_input is-live=true format=bytes caps=video/mpegts,systemstream=true,packetsize=188 \
             ! tsdemux ! h264parse ! avdec_h264 ! videoconvert ! videoflip method=clockwise ! videorate ! "
        ));
        assert!(text.ends_with(FINISH));
    }
}
