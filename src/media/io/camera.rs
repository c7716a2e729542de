//! Asks a video4linux camera what it offers, and picks the first choice of the list that fits.
//!
//! Does not: keep the camera; it is closed again before the pipeline opens it.

use std::fs::{self, File};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::media::io::diagnosis;
use crate::media::source::{CameraChoice, camera_choices};
use crate::media::{CameraFormat, MediaError, Source, Video};

/// How to ask the camera at `device` for video.
pub(super) fn choose(
    device: &Path,
    format: CameraFormat,
    video: &Video,
) -> Result<CameraChoice, MediaError> {
    let absent = || MediaError::NoSuchDevice(device.into());
    let metadata =
        fs::metadata(device).map_err(|error| diagnosis::of_open(&error, device, absent))?;
    if !metadata.file_type().is_char_device() {
        return Err(MediaError::NotACamera(device.into()));
    }
    File::open(device).map_err(|error| diagnosis::of_open(&error, device, absent))?;

    let offer = offer(device, format)?;
    camera_choices(format, video)
        .into_iter()
        .find(|choice| {
            choice.caps.parse::<gst::Caps>().is_ok_and(|caps| caps.can_intersect(&offer))
        })
        .ok_or_else(|| MediaError::NotOffered { device: device.into(), wanted: words(format) })
}

/// The caps of the opened device.
fn offer(device: &Path, format: CameraFormat) -> Result<gst::Caps, MediaError> {
    let camera = gst::ElementFactory::make("v4l2src")
        .property("device", device.to_string_lossy().as_ref())
        .build()
        .map_err(|_| MediaError::MissingElement("v4l2src".into()))?;
    let bus = gst::Bus::new();
    camera.set_bus(Some(&bus));
    let opened = camera.set_state(gst::State::Ready);
    let offer = camera.static_pad("src").map(|pad| pad.query_caps(None));
    let _ = camera.set_state(gst::State::Null);
    camera.set_bus(None);

    let message = bus.pop_filtered(&[gst::MessageType::Error]);
    match (opened, offer) {
        (Ok(_), Some(offer)) => Ok(offer),
        _ => Err(match message.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Error(error))
                if error.error().matches(gst::ResourceError::Busy) =>
            {
                let source = Source::V4l2 { device: device.into(), format };
                diagnosis::of_message(error, &source)
            }
            // It is there, may be opened, and is not busy: then it is no camera.
            _ => MediaError::NotACamera(device.into()),
        }),
    }
}

fn words(format: CameraFormat) -> &'static str {
    match format {
        CameraFormat::Auto => "H.264, MJPEG or raw video",
        CameraFormat::H264 => "H.264",
        CameraFormat::Mjpeg => "MJPEG",
        CameraFormat::Raw => "raw video",
    }
}
