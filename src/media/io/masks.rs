//! Fills masks in the raw pictures of a pipeline, in place, just before the encoder.
//!
//! A picture that cannot be filled is dropped and ends the capture, so no picture gets through without its masks.
//!
//! Does not: compute what masks cover; [`mask`](crate::mask) does.

use std::sync::{Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;

use crate::io::access_units::Feed;
use crate::io::running::{End, Ending};
use crate::mask::{Covered, Plane};
use crate::pipeline::MASKED;
use crate::{Mask, MediaError};

/// Fills `masks` in every picture that passes [`MASKED`] in `bin`. Call it before the pipeline plays. A failure while
/// it plays becomes the pipeline's `ending`.
pub(super) fn attach(
    bin: &gst::Bin,
    masks: &[Mask],
    feed: &Feed,
    ending: &Ending,
) -> Result<(), MediaError> {
    if masks.is_empty() {
        return Ok(());
    }
    let lacks = || MediaError::Mask(format!("the pipeline lacks {MASKED}"));
    let pad =
        bin.by_name(MASKED).and_then(|element| element.static_pad("src")).ok_or_else(lacks)?;
    let filling = Mutex::new(Filling { masks: masks.to_vec(), shape: None });
    let (feed, ending) = (feed.clone(), ending.clone());
    let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
    pad.add_probe(kinds, move |pad, info| {
        let filled = {
            let mut filling = filling.lock().unwrap_or_else(PoisonError::into_inner);
            filling.fill(pad, info)
        };
        match filled {
            Ok(()) => gst::PadProbeReturn::Ok,
            Err(reason) => {
                ending.set(End::Failed(MediaError::Mask(reason)));
                feed.leave();
                gst::PadProbeReturn::Drop
            }
        }
    });
    Ok(())
}

/// The masks, and what they cover in pictures of the present shape.
struct Filling {
    masks: Vec<Mask>,
    shape: Option<Shape>,
}

struct Shape {
    caps: gst::Caps,
    info: gst_video::VideoInfo,
    covered: Covered,
}

impl Filling {
    fn fill(&mut self, pad: &gst::Pad, info: &mut gst::PadProbeInfo<'_>) -> Result<(), String> {
        let caps = pad.current_caps().ok_or("a picture has no format")?;
        let shape = match self.shape.take().filter(|shape| shape.caps == caps) {
            Some(shape) => shape,
            None => Shape::new(caps, &self.masks)?,
        };
        let shape = self.shape.insert(shape);
        let buffer = info.buffer_mut().ok_or("pictures come in lists")?;
        shape.fill(buffer.make_mut())
    }
}

impl Shape {
    fn new(caps: gst::Caps, masks: &[Mask]) -> Result<Self, String> {
        let info =
            gst_video::VideoInfo::from_caps(&caps).map_err(|_| format!("pictures are {caps}"))?;
        let covered = Covered::by(masks, info.width(), info.height());
        Ok(Self { caps, info, covered })
    }

    fn fill(&self, buffer: &mut gst::BufferRef) -> Result<(), String> {
        let unknown = || format!("pictures have the format {}", self.info.format().to_str());
        let planes = planes(self.info.format()).ok_or_else(unknown)?;
        let mut frame = gst_video::VideoFrameRef::from_buffer_ref_writable(buffer, &self.info)
            .map_err(|_| "the memory of a picture cannot be written")?;
        let strides: Vec<i32> = frame.plane_stride().to_vec();
        for (number, (rows, block, black)) in (0..).zip(planes) {
            let stride =
                strides.get(number as usize).and_then(|stride| usize::try_from(*stride).ok());
            let stride = stride.filter(|stride| *stride > 0).ok_or_else(unknown)?;
            let bytes = frame.plane_data_mut(number).map_err(|error| error.to_string())?;
            Plane { bytes, stride, rows: *rows, block: *block, black: *black }.fill(&self.covered);
        }
        Ok(())
    }
}

/// The planes of a format: rows of a block, bytes of a block in a row, and two bytes of black.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "GStreamer has a hundred formats; the others cannot be masked"
)]
fn planes(format: gst_video::VideoFormat) -> Option<&'static [(usize, usize, [u8; 2])]> {
    use gst_video::VideoFormat::{I420, Nv12, Uyvy, Yuy2};
    const LUMA: (usize, usize, [u8; 2]) = (2, 2, [16; 2]);
    match format {
        I420 => Some(&[LUMA, (1, 1, [128; 2]), (1, 1, [128; 2])]),
        Nv12 => Some(&[LUMA, (1, 2, [128; 2])]),
        Yuy2 => Some(&[(2, 4, [16, 128])]),
        Uyvy => Some(&[(2, 4, [128, 16])]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::io::access_units::AccessUnits;

    /// Plays pictures through masks. Returns how many got through, and how the capture ended.
    fn play(description: &str) -> (u64, Option<End>) {
        gst::init().unwrap();
        let text =
            format!("videotestsrc num-buffers=3 {description} name={MASKED} ! fakesink name=out");
        let pipeline = gst::parse::launch(&text).unwrap().downcast::<gst::Pipeline>().unwrap();
        let (feed, ending) =
            (Feed::new(&AccessUnits::new(), Duration::from_secs(1)), Ending::new());
        let masks = ["0,0 1,1".parse().unwrap()];
        attach(pipeline.upcast_ref(), &masks, &feed, &ending).unwrap();
        let passed = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&passed);
        let sink = pipeline.by_name("out").and_then(|sink| sink.static_pad("sink")).unwrap();
        sink.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        });
        pipeline.set_state(gst::State::Playing).unwrap();
        let ends = [gst::MessageType::Eos, gst::MessageType::Error];
        pipeline
            .bus()
            .unwrap()
            .timed_pop_filtered(gst::ClockTime::from_seconds(60), &ends)
            .unwrap();
        pipeline.set_state(gst::State::Null).unwrap();
        (passed.load(Ordering::Relaxed), ending.known())
    }

    #[test]
    fn a_picture_that_cannot_be_masked_ends_the_capture() {
        assert_eq!(play("! video/x-raw,format=NV12 ! identity"), (3, None));
        let (passed, end) = play("! video/x-raw,format=RGB ! identity");
        let reason = "pictures have the format RGB".to_owned();
        assert_eq!((passed, end), (0, Some(End::Failed(MediaError::Mask(reason)))));
        let (passed, end) = play("! jpegenc ! identity");
        assert!(passed == 0 && matches!(end, Some(End::Failed(MediaError::Mask(_)))), "{end:?}");
    }

    #[test]
    fn a_pipeline_without_the_element_for_masks_is_refused() {
        gst::init().unwrap();
        let (feed, ending) =
            (Feed::new(&AccessUnits::new(), Duration::from_secs(1)), Ending::new());
        let masks = ["0,0 1,1".parse().unwrap()];
        let pipeline = gst::Pipeline::new();
        assert!(attach(pipeline.upcast_ref(), &masks, &feed, &ending).is_err());
        assert!(attach(pipeline.upcast_ref(), &[], &feed, &ending).is_ok());
    }
}
