//! Resolves a source on this computer: chooses a camera for `auto`, and a mode for a camera.
//!
//! | order | camera | usable if |
//! |---|---|---|
//! | 1 | libcamera: the Pi's camera port | a frame comes |
//! | 2 | NVIDIA Argus: the Jetson's camera port | a frame comes |
//! | 3 | video4linux, first by persistent name, then by number | it opens and offers a mode |
//!
//! The camera port comes first, because a camera in that port was installed on purpose.
//!
//! If the options do not require H.264, the H.264 of a camera is measured before it is used. If it is not fit to pass
//! through, video is encoded here: another format is requested from the camera, or its H.264 is decoded.
//!
//! Does not: build pipelines.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::mpsc;

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::gop::{Fitness, Wanted};
use crate::io::measure::{Measured, Measurement, wanted};
use crate::io::running::{self, End, Ending, RunningPipeline, Watch};
use crate::io::{camera, diagnosis, prepare, rtsp};
use crate::limits::{CAMERA_TIME, GIF_BYTES};
use crate::modes::{Mode, pick};
use crate::picture::{BEGINNING, FileKind, parts};
use crate::pipeline::UNITS;
use crate::source::{self, Decided, measured_in};
use crate::{CameraFormat, MediaError, Options, Source, Video};

/// Extensions of files that are a sequence of JPEG pictures.
const MOTION_JPEG: [&str; 2] = ["mjpg", "mjpeg"];

/// A source that was found on this computer.
pub(super) struct FoundSource {
    /// The source: never [`Source::Auto`], and with the device's path in place of a name.
    pub(super) source: Source,
    /// The facts about the source that its device or file shows.
    pub(super) decided: Decided,
}

/// Looks for the source of `options`. May block for some seconds.
pub(super) fn find(options: &Options) -> Result<FoundSource, MediaError> {
    let decided = match &options.source {
        Source::Auto => return first(options),
        Source::V4l2 { device, format } => return v4l2(device, *format, options),
        Source::File { path, .. } => {
            let absent = || MediaError::NoSuchFile(path.clone());
            let file = File::open(path);
            decide(file.map_err(|error| diagnosis::of_open(&error, path, absent))?, path)
        }
        Source::Rtsp { .. } => rtsp::decide(options)?,
        Source::Test
        | Source::Libcamera { .. }
        | Source::NvArgus { .. }
        | Source::Pipeline { .. } => Decided::Nothing,
    };
    Ok(FoundSource { source: options.source.clone(), decided })
}

/// Whether `file` is a picture.
fn decide(mut file: File, path: &Path) -> Decided {
    // Do not read from a pipe, because those bytes would be missing later.
    if !file.metadata().is_ok_and(|known| known.is_file()) {
        return Decided::Nothing;
    }
    let is_several = path
        .extension()
        .is_some_and(|end| MOTION_JPEG.iter().any(|name| end.eq_ignore_ascii_case(name)));
    let mut bytes = Vec::new();
    // Ignore a failure to read, because the pipeline will report it.
    let _ = (&mut file).take(BEGINNING as u64).read_to_end(&mut bytes);
    match FileKind::of(&bytes, is_several) {
        FileKind::Other => Decided::Nothing,
        FileKind::Still => Decided::Still { is_parsed: false },
        FileKind::Jpeg => {
            Decided::Still { is_parsed: gst::ElementFactory::find("jpegparse").is_some() }
        }
        FileKind::Gif => {
            let _ = file.take(GIF_BYTES).read_to_end(&mut bytes);
            Decided::Gif { is_still: parts(&bytes).len() == 1 }
        }
    }
}

fn v4l2(name: &Path, format: CameraFormat, options: &Options) -> Result<FoundSource, MediaError> {
    let video = &options.video;
    let device = camera::path(name)?;
    let mut modes = camera::modes(&device, video)?;
    let mut mode = camera::best(&device, &modes, format, video)?;
    let source = Source::V4l2 { device, format };
    if mode.format == CameraFormat::H264 && !video.masks.is_empty() {
        log::info!(
            "camera {}: its H.264 is decoded and encoded again: source.masks",
            name.display()
        );
    } else if format == CameraFormat::Auto && mode.format == CameraFormat::H264 {
        let measured = measured(&source, &mode, wanted(options))?;
        let unfit = measured.fitness.filter(|fitness| *fitness != Fitness::Passes);
        modes.retain(|mode| mode.format != CameraFormat::H264);
        if let (Some(unfit), Some(other)) = (unfit, pick(&modes, format, video)) {
            let what = format!("camera {}: its H.264 is not used: {unfit}", name.display());
            measured.log(&source, &what);
            mode = other.clone();
        }
    }
    log::debug!("camera {}: {}", name.display(), mode.caps());
    Ok(FoundSource { source, decided: Decided::Mode(mode) })
}

/// Measures whether the camera's H.264 in this mode is fit to pass through.
fn measured(source: &Source, mode: &Mode, wanted: Wanted) -> Result<Measured, MediaError> {
    let measurement = Measurement::new(&measured_in(mode, UNITS), source, wanted)?;
    prepare::prepare(measurement.pipeline(), source, measurement.ending())?;
    measurement.run(source)
}

/// The first camera that can be used.
fn first(options: &Options) -> Result<FoundSource, MediaError> {
    let mut tried = Vec::new();
    let ports = [
        ("libcamerasrc", Source::Libcamera { camera: None }),
        ("nvarguscamerasrc", Source::NvArgus { sensor: 0 }),
    ];
    for (element, source) in ports {
        if gst::ElementFactory::find(element).is_none() {
            continue;
        }
        match gives_a_frame(&source, &options.video) {
            Ok(()) => {
                log::info!("camera {element} delivers frames");
                return Ok(FoundSource { source, decided: Decided::Nothing });
            }
            Err(error) => tried.push((element.to_owned(), error.to_string())),
        }
    }
    for device in camera::cameras() {
        match v4l2(&device, CameraFormat::Auto, options) {
            Ok(known) => {
                log::info!("camera {}", device.display());
                return Ok(known);
            }
            Err(error) => tried.push((device.display().to_string(), error.to_string())),
        }
    }
    Err(MediaError::NoCamera { tried })
}

/// Whether a frame comes out of `source` within [`CAMERA_TIME`].
pub(super) fn gives_a_frame(source: &Source, video: &Video) -> Result<(), MediaError> {
    let head = source::head(source, video, &Decided::Nothing);
    let built = running::parse(&format!("{} ! fakesink name={UNITS}", head.text), source)?;
    let ending = Ending::new();
    prepare::prepare(&built, source, &ending)?;
    let (tell, told) = mpsc::channel();
    if let Some(pad) = built.by_name(UNITS).and_then(|sink| sink.static_pad("sink")) {
        let tell = tell.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            let _ = tell.send(());
            gst::PadProbeReturn::Remove
        });
    }
    let on_end = move || {
        let _ = tell.send(());
    };
    let watch = Watch {
        source: source.clone(),
        had_media: || true,
        on_end,
        ending: ending.clone(),
        spares: None,
    };
    let running = RunningPipeline::open(built, watch)?;
    running.play(&ending);
    let came = told.recv_timeout(CAMERA_TIME);
    drop(running);
    match (came, ending.known()) {
        (_, Some(End::Failed(error))) => Err(error),
        (Ok(()), None | Some(End::EndOfStream)) => Ok(()),
        (Err(_), _) => Err(MediaError::Stalled(CAMERA_TIME)),
    }
}
