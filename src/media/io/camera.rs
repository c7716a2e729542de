//! Finds video4linux cameras, reads the modes that a camera offers, and chooses one.
//!
//! Does not: keep the camera open; it is closed again before the pipeline opens it.

use std::fs::{self, File};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::io::bounded::within;
use crate::io::clues::Clues;
use crate::io::diagnosis;
use crate::limits::CAMERA_TIME;
use crate::modes::{Mode, Rate, pick};
use crate::names::{Found, by_preference, find, is_camera};
use crate::{CameraFormat, MediaError, Source, Video};

/// Maximum number of modes that are read from one camera; the longest known list of a USB camera has about 150.
const CAMERA_MODES: usize = 1024;

/// The directories with the device nodes of cameras, and with the links that give them persistent names.
const DIRECTORIES: [&str; 3] = ["/dev/v4l/by-id", "/dev/v4l/by-path", "/dev"];

/// The device nodes that may be cameras, each camera once; nodes with persistent names come first.
pub(super) fn cameras() -> Vec<PathBuf> {
    let mut seen = Vec::new();
    let mut once = |path: &PathBuf| {
        let node = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        let is_new = !seen.contains(&node);
        seen.push(node);
        is_new
    };
    let is_camera = |path: &PathBuf| kernel_name(path).is_none_or(|name| is_camera(&name));
    by_preference(paths()).into_iter().filter(|path| once(path) && is_camera(path)).collect()
}

/// The kernel's name for the camera.
pub(super) fn kernel_name(device: &Path) -> Option<String> {
    let node = fs::canonicalize(device).ok()?;
    let name = Path::new("/sys/class/video4linux").join(node.file_name()?).join("name");
    fs::read_to_string(name).ok().map(|name| name.trim().to_owned())
}

fn paths() -> Vec<PathBuf> {
    let list = |directory| fs::read_dir(directory).into_iter().flatten().flatten();
    DIRECTORIES.into_iter().flat_map(list).map(|entry| entry.path()).collect()
}

/// The path of the camera with this name.
pub(super) fn path(name: &Path) -> Result<PathBuf, MediaError> {
    match find(name, &paths()) {
        Found::One(device) => Ok(device),
        Found::None => Err(MediaError::NoSuchDevice(name.into())),
        Found::Several(found) => Err(MediaError::SeveralDevices { name: name.into(), found }),
    }
}

/// The best of the modes of the camera at `device`.
pub(super) fn best(
    device: &Path,
    modes: &[Mode],
    format: CameraFormat,
    video: &Video,
) -> Result<Mode, MediaError> {
    let none = || MediaError::NotOffered { device: device.into(), wanted: words(format) };
    pick(modes, format, video).cloned().ok_or_else(none)
}

/// The modes that the camera at `device` offers. If it offers a range for the width, the height or the rate, uses the
/// value of `video`, or the nearest. Blocks for at most [`CAMERA_TIME`].
pub(super) fn modes(device: &Path, video: &Video) -> Result<Vec<Mode>, MediaError> {
    let (asked, wanted) = (device.to_owned(), video.clone());
    within(&device.to_string_lossy(), CAMERA_TIME, move || ask(&asked, &wanted))
        .unwrap_or_else(|| Err(MediaError::NoAnswer(device.into())))
}

fn ask(device: &Path, video: &Video) -> Result<Vec<Mode>, MediaError> {
    let absent = || MediaError::NoSuchDevice(device.into());
    let metadata =
        fs::metadata(device).map_err(|error| diagnosis::of_open(&error, device, absent))?;
    if !metadata.file_type().is_char_device() {
        return Err(MediaError::NotACamera(device.into()));
    }
    File::open(device).map_err(|error| diagnosis::of_open(&error, device, absent))?;
    let offer = offer(device)?;
    Ok(modes_in(&offer, video))
}

/// The caps of the opened device.
fn offer(device: &Path) -> Result<gst::Caps, MediaError> {
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
                let format = CameraFormat::Auto;
                diagnosis::of_message(
                    error,
                    &Source::V4l2 { device: device.into(), format },
                    &Clues::default(),
                )
            }
            // The node exists, may be opened, and is not busy, so the device is not a camera.
            _ => MediaError::NotACamera(device.into()),
        }),
    }
}

/// The modes in caps.
pub(super) fn modes_in(caps: &gst::CapsRef, video: &Video) -> Vec<Mode> {
    let mut modes = Vec::new();
    for (structure, features) in caps.iter_with_features() {
        let format = match structure.name().as_str() {
            "video/x-h264" => CameraFormat::H264,
            "image/jpeg" => CameraFormat::Mjpeg,
            "video/x-raw" => CameraFormat::Raw,
            _ => continue,
        };
        if !features.is_equal(gst::CAPS_FEATURES_MEMORY_SYSTEM_MEMORY.as_ref()) {
            continue;
        }
        let raws = match format {
            CameraFormat::Raw => words_in(structure, "format"),
            CameraFormat::Auto | CameraFormat::H264 | CameraFormat::Mjpeg => vec![String::new()],
        };
        for width in sides(structure, "width", video.width) {
            for height in sides(structure, "height", video.height) {
                for rate in rates(structure, video.fps) {
                    modes.extend(raws.iter().map(|raw| {
                        let raw = raw.clone();
                        Mode { format, raw, width, height, rate }
                    }));
                }
            }
        }
        // A device that lists more modes is broken or hostile.
        modes.truncate(CAMERA_MODES);
    }
    modes
}

/// The values of a field: the values of a list, or the single value.
fn values(structure: &gst::StructureRef, field: &str) -> Vec<gst::glib::SendValue> {
    let Ok(value) = structure.value(field) else { return Vec::new() };
    match value.get::<gst::List>() {
        Ok(list) => list.iter().take(CAMERA_MODES).cloned().collect(),
        Err(_) => vec![value.clone()],
    }
}

fn words_in(structure: &gst::StructureRef, field: &str) -> Vec<String> {
    values(structure, field).iter().filter_map(|value| value.get::<String>().ok()).collect()
}

fn sides(structure: &gst::StructureRef, field: &str, wanted: u32) -> Vec<u32> {
    let side = |value: &gst::glib::SendValue| {
        let side = match value.get::<gst::IntRange<i32>>() {
            Ok(range) => {
                i32::try_from(wanted).ok()?.clamp(range.min(), range.max().max(range.min()))
            }
            Err(_) => value.get::<i32>().ok()?,
        };
        u32::try_from(side).ok().filter(|side| *side > 0)
    };
    values(structure, field).iter().filter_map(side).collect()
}

fn rates(structure: &gst::StructureRef, wanted: u32) -> Vec<Rate> {
    let rate = |value: &gst::glib::SendValue| {
        let rate = match value.get::<gst::FractionRange>() {
            Ok(range) => {
                let wanted = gst::Fraction::new(i32::try_from(wanted).ok()?, 1);
                wanted.clamp(range.min(), range.max().max(range.min()))
            }
            Err(_) => value.get::<gst::Fraction>().ok()?,
        };
        let frames = u32::try_from(rate.numer()).ok().filter(|frames| *frames > 0)?;
        let seconds = u32::try_from(rate.denom()).ok().filter(|seconds| *seconds > 0)?;
        Some(Rate { frames, seconds })
    };
    values(structure, "framerate").iter().filter_map(rate).collect()
}

fn words(format: CameraFormat) -> &'static str {
    match format {
        CameraFormat::Auto => "MJPEG, raw video, or H.264 of the wanted size",
        CameraFormat::H264 => "H.264",
        CameraFormat::Mjpeg => "MJPEG",
        CameraFormat::Raw => "raw video",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(caps: &str, expected: &[&str]) {
        gst::init().unwrap();
        let caps = caps.parse::<gst::Caps>().unwrap();
        let modes = modes_in(&caps, &Video::default());
        assert_eq!(modes.iter().map(Mode::caps).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn each_value_of_a_list_gives_a_mode() {
        check(
            "video/x-raw,format=YUY2,width=640,height=480,framerate={30/1,15/2}; \
             image/jpeg,width=1280,height=720,framerate=30/1",
            &[
                "video/x-raw,format=YUY2,width=640,height=480,framerate=30/1",
                "video/x-raw,format=YUY2,width=640,height=480,framerate=15/2",
                "image/jpeg,width=1280,height=720,framerate=30/1",
            ],
        );
        check(
            "video/x-raw,format={NV12,YUY2},width={320,640},height=240,framerate=30/1",
            &[
                "video/x-raw,format=NV12,width=320,height=240,framerate=30/1",
                "video/x-raw,format=YUY2,width=320,height=240,framerate=30/1",
                "video/x-raw,format=NV12,width=640,height=240,framerate=30/1",
                "video/x-raw,format=YUY2,width=640,height=240,framerate=30/1",
            ],
        );
    }

    #[test]
    fn the_nearest_value_of_a_range_is_used() {
        check(
            "video/x-h264,width=[32,1920],height=[32,1080],framerate=[0/1,30/1]",
            &["video/x-h264,width=1280,height=720,framerate=24/1"],
        );
        check(
            "image/jpeg,width=[16,640],height=[16,480],framerate=[1/1,10/1]",
            &["image/jpeg,width=640,height=480,framerate=10/1"],
        );
    }

    #[test]
    fn invalid_modes_are_left_out() {
        check(
            "audio/x-raw; video/x-bayer,width=640,height=480,framerate=30/1; \
             video/x-raw(memory:DMABuf),format=YUY2,width=640,height=480,framerate=30/1; \
             video/x-raw,format=YUY2,width=640,height=480; \
             video/x-raw,format=YUY2,width=640,height=480,framerate=0/1; \
             video/x-raw,width=640,height=480,framerate=30/1",
            &[],
        );
        check("ANY", &[]);
        check("EMPTY", &[]);
    }
}
