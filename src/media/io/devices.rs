//! Lists cameras, encoders and microphones, and tries those that can be tried.
//!
//! The lists come from GStreamer and from the kernel's device names. Devices of a service that does not answer, such as
//! a sound server, are left out.
//!
//! Does not: keep the lists; the next capture looks for its devices again.

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

/// All devices and encoders of this computer, tried at the size in `options`. Blocks for some seconds, and for a bounded
/// time if drivers do not answer.
pub fn devices(options: &Options) -> Result<Devices, MediaError> {
    diagnosis::init()?;
    Ok(Devices {
        cameras: cameras(&listed("Video/Source"), &options.video),
        encoders: ROWS.iter().flat_map(|row| encoder(row, options)).collect(),
        microphones: listed("Audio/Source").iter().filter_map(microphone).collect(),
    })
}

/// The elements of a row, each with the result of a trial.
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

/// Tries the encoder that `options` name, or the first that works, and keeps no result. Blocks for some seconds.
pub fn try_encoder(options: &Options) -> Result<EncoderFound, MediaError> {
    diagnosis::init()?;
    let options = Options { state_directory: None, ..options.clone() };
    let element = encoders::encoder(&options)?;
    let verdict = match trial(&element, &options.video, options.encoder.speed) {
        Ok(()) => EncoderVerdict::Works,
        Err(why) => EncoderVerdict::Fails(why),
    };
    Ok(EncoderFound { element: element.name.clone(), kind: element.row.kind, verdict })
}

/// A device in GStreamer's list: the element to open it with, its name for that element, and its name for users.
struct ListedDevice {
    element: String,
    device: Option<String>,
    name: String,
}

/// The devices of a class in GStreamer's list; empty if their service, such as a sound server, does not answer.
fn listed(class: &'static str) -> Vec<ListedDevice> {
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

fn of_device(device: &gst::Device) -> Option<ListedDevice> {
    let element = device.create_element(None).ok()?;
    let factory = element.factory()?.name().to_string();
    let property = match factory.as_str() {
        "libcamerasrc" => "camera-name",
        "pipewiresrc" => "target-object",
        _ => "device",
    };
    // A monitor records the audio that is played on this computer, so it is not a microphone.
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
    Some(ListedDevice { element: factory, device: device_name, name: device.display_name().into() })
}

fn microphone(listed: &ListedDevice) -> Option<MicrophoneFound> {
    let kind = match listed.element.as_str() {
        "alsasrc" => "alsa",
        "pulsesrc" => "pulse",
        "pipewiresrc" => "pipewire",
        _ => return None,
    };
    Some(MicrophoneFound { kind, device: listed.device.clone(), name: listed.name.clone() })
}

fn cameras(listed: &[ListedDevice], video: &Video) -> Vec<CameraFound> {
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

/// Lists the video4linux cameras, those with persistent names first. Blocks for at most [`CAMERA_TIME`].
pub fn v4l2_cameras(video: &Video) -> Result<Vec<CameraFound>, MediaError> {
    diagnosis::init()?;
    Ok(all_v4l2(video))
}

fn all_v4l2(video: &Video) -> Vec<CameraFound> {
    let mut cameras: Vec<CameraFound> = thread::scope(|scope| {
        // Ask all cameras at once, so that a camera that does not answer does not delay the others.
        let ask = |device| scope.spawn(move || v4l2(device, video));
        let asked: Vec<_> = camera::cameras().into_iter().map(ask).collect();
        asked.into_iter().filter_map(|answer| answer.join().ok()).collect()
    });
    // Leave out encoders, which have video4linux nodes too.
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
