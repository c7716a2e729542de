//! Looks for cameras, encoders and microphones, and tries what can be tried.
//!
//! Through GStreamer and the names that the kernel gives; a system that does not answer is left out.
//!
//! Does not: keep what it finds; the next capture looks for itself.

use std::path::PathBuf;
use std::thread;

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::devices::{CameraFound, Devices, EncoderFound, EncoderVerdict, MicrophoneFound};
use crate::encoder::{Element, ROWS, Row};
use crate::io::bounded::within;
use crate::io::trial::trial;
use crate::io::{camera, diagnosis, encoders, find};
use crate::limits::CAMERA_TIME;
use crate::modes::{Mode, pick};
use crate::packages::package;
use crate::{CameraFormat, MediaError, Options, Source, Video};

/// All that this machine has, tried at the size in `options`. Blocks for some seconds, and for a bounded time
/// where drivers do not answer.
pub fn devices(options: &Options) -> Result<Devices, MediaError> {
    diagnosis::init()?;
    Ok(Devices {
        cameras: cameras(&listed("Video/Source"), &options.video),
        encoders: ROWS.iter().flat_map(|row| encoder(row, options)).collect(),
        microphones: listed("Audio/Source").iter().filter_map(microphone).collect(),
    })
}

/// What the elements of a row are good for.
fn encoder(row: &'static Row, options: &Options) -> Vec<EncoderFound> {
    let found = |element: &str, verdict| EncoderFound {
        element: element.to_owned(),
        kind: row.kind,
        verdict,
    };
    let try_out = |element: &Element| match trial(element, &options.video, options.encoder.speed) {
        Ok(()) => EncoderVerdict::Works,
        Err(why) => EncoderVerdict::Fails(why),
    };
    match encoders::all(row).as_slice() {
        [] => {
            let is_installed = gst::Registry::get().find_plugin(row.plugin).is_some();
            let absent = EncoderVerdict::Absent(package(row.element));
            vec![found(row.element, if is_installed { EncoderVerdict::NotHere } else { absent })]
        }
        all => all.iter().map(|element| found(&element.name, try_out(element))).collect(),
    }
}

/// What GStreamer's own lists say of a device: the element for it, its name there, its name for people.
struct Listed {
    element: String,
    device: Option<String>,
    name: String,
}

/// The devices of a class; none if its system, such as a sound server, does not answer.
fn listed(class: &'static str) -> Vec<Listed> {
    let ask = move || {
        let monitor = gst::DeviceMonitor::new();
        if monitor.add_filter(Some(class), None).is_none() || monitor.start().is_err() {
            return Vec::new();
        }
        let found = monitor.devices().iter().filter_map(of_device).collect();
        monitor.stop();
        found
    };
    within(class, CAMERA_TIME, ask).unwrap_or_default()
}

fn of_device(device: &gst::Device) -> Option<Listed> {
    let element = device.create_element(None).ok()?;
    let factory = element.factory()?.name().to_string();
    let property = match factory.as_str() {
        "libcamerasrc" => "camera-name",
        "pipewiresrc" => "target-object",
        _ => "device",
    };
    // What monitors the sound of others is no microphone.
    let class = device.properties().and_then(|all| all.get::<String>("device.class").ok());
    if class.as_deref() == Some("monitor") {
        return None;
    }
    let is_audio = device.has_classes("Audio/Source");
    if factory == "pipewiresrc" && !is_audio {
        return None;
    }
    let device_name = element
        .has_property(property)
        .then(|| element.property_value(property).get::<Option<String>>().ok().flatten())
        .flatten();
    Some(Listed { element: factory, device: device_name, name: device.display_name().into() })
}

fn microphone(listed: &Listed) -> Option<MicrophoneFound> {
    let kind = match listed.element.as_str() {
        "alsasrc" => "alsa",
        "pulsesrc" => "pulse",
        "pipewiresrc" => "pipewire",
        _ => return None,
    };
    Some(MicrophoneFound { kind, device: listed.device.clone(), name: listed.name.clone() })
}

fn cameras(listed: &[Listed], video: &Video) -> Vec<CameraFound> {
    let mut cameras = Vec::new();
    for camera in listed.iter().filter(|camera| camera.element == "libcamerasrc") {
        let source = Source::Libcamera { camera: camera.device.clone() };
        cameras.push(CameraFound {
            kind: "libcamera",
            device: camera.device.clone().unwrap_or_default(),
            name: Some(camera.name.clone()),
            modes: tried(&source, video),
            taken: None,
        });
    }
    if gst::ElementFactory::find("nvarguscamerasrc").is_some() {
        cameras.push(CameraFound {
            kind: "nvargus",
            device: "0".into(),
            name: None,
            modes: tried(&Source::NvArgus { sensor: 0 }, video),
            taken: None,
        });
    }
    cameras.extend(all_v4l2(video));
    cameras
}

/// The cameras of video4linux alone: those with lasting names first. Blocks for at most [`CAMERA_TIME`].
pub fn v4l2_cameras(video: &Video) -> Result<Vec<CameraFound>, MediaError> {
    diagnosis::init()?;
    Ok(all_v4l2(video))
}

fn all_v4l2(video: &Video) -> Vec<CameraFound> {
    let mut cameras: Vec<CameraFound> = thread::scope(|scope| {
        // All at once: one that does not answer holds up no other.
        let ask = |device| scope.spawn(move || v4l2(device, video));
        let asked: Vec<_> = camera::cameras().into_iter().map(ask).collect();
        asked.into_iter().filter_map(|answer| answer.join().ok()).collect()
    });
    // Encoders have such nodes too.
    cameras.retain(|camera| !matches!(camera.modes, Err(MediaError::NotACamera(_))));
    cameras
}

fn tried(source: &Source, video: &Video) -> Result<Vec<Mode>, MediaError> {
    find::gives_a_frame(source, video).map(|()| Vec::new())
}

fn v4l2(device: PathBuf, video: &Video) -> CameraFound {
    let modes = camera::modes(&device, video);
    let taken = modes.as_ref().ok().and_then(|modes| pick(modes, CameraFormat::Auto, video));
    CameraFound {
        kind: "v4l2",
        device: device.display().to_string(),
        name: camera::kernel_name(&device),
        taken: taken.cloned(),
        modes,
    }
}
