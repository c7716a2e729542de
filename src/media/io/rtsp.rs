//! Receives video from a network camera: sets the address, credential and pin, links the video into the pipeline, and
//! decides whether the camera's H.264 may pass through.
//!
//! Does not: receive the camera's audio.

use std::sync::OnceLock;

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::gop::{Fitness, Wanted};
use crate::io::clues;
use crate::io::measure::{Measured, Measurement, wanted};
use crate::io::rtp;
use crate::io::running::Ending;
use crate::io::tls;
use crate::pipeline::UNITS;
use crate::source::{Decided, RECEIVED, SOURCE, measured};
use crate::{CameraFormat, MediaError, Options, Source};
use resilience::secret;

/// Whether the camera's H.264 passes through. If the options do not say, receives from the
/// camera to find out, for at most [`CAMERA_TIME`](crate::limits::CAMERA_TIME).
pub(super) fn decide(options: &Options) -> Result<Decided, MediaError> {
    let source = &options.source;
    let Source::Rtsp { url, format, .. } = source else { return Ok(Decided::Nothing) };
    let passes = match format {
        _ if !options.video.masks.is_empty() => {
            log::info!("camera {}: decoded and encoded again: source.masks", host(url));
            false
        }
        CameraFormat::H264 => true,
        CameraFormat::Raw | CameraFormat::Mjpeg => false,
        CameraFormat::Auto if options.video.is_turned() => false,
        CameraFormat::Auto => {
            let measured = measure(source, wanted(options))?;
            let what = match measured.fitness {
                Some(Fitness::Passes) => "H.264 passes through".to_owned(),
                Some(unfit) => format!("encoded again: {unfit}"),
                None => "encoded again: it is not H.264".to_owned(),
            };
            measured.log(source, &format!("camera {}: {what}", host(url)));
            measured.fitness == Some(Fitness::Passes)
        }
    };
    Ok(Decided::PassThrough(passes))
}

/// Measures the camera's H.264.
fn measure(source: &Source, wanted: Wanted) -> Result<Measured, MediaError> {
    let measurement = Measurement::new(&measured(UNITS), source, wanted)?;
    let no_h264 = measurement.no_h264();
    receive(measurement.pipeline(), source, measurement.ending(), move |encoding| {
        if encoding != "H264" {
            no_h264();
        }
    })?;
    measurement.run(source)
}

/// Sets address and credential, has the certificate checked (a refusal becomes the pipeline's `ending`), and links the
/// camera's video to [`RECEIVED`] when it appears. `video` is called with the video's encoding.
pub(super) fn receive(
    pipeline: &gst::Pipeline,
    source: &Source,
    ending: &Ending,
    video: impl Fn(&str) + Send + Sync + 'static,
) -> Result<(), MediaError> {
    let Source::Rtsp { url, credential, pin, .. } = source else { return Ok(()) };
    let lacks = |name: &str| MediaError::Gstreamer(format!("the pipeline lacks {name}"));
    let camera = pipeline.by_name(SOURCE).ok_or_else(|| lacks(SOURCE))?;
    let received = pipeline.by_name(RECEIVED).ok_or_else(|| lacks(RECEIVED))?;
    camera.set_property("location", url);
    tls::guard(&camera, url, *pin, ending)?;
    if let Some(place) = credential {
        let failed = |reason: String| MediaError::Credential(reason);
        let secret = secret::io::read(place).map_err(|error| failed(error.to_string()))?;
        let (user, password) = secret
            .expose()
            .split_once(':')
            .ok_or_else(|| failed(format!("{place}: it must be user:password")))?;
        camera.set_property("user-id", user);
        camera.set_property("user-pw", password);
    }
    let media = |caps: &gst::CapsRef, field: &str| {
        caps.structure(0).and_then(|caps| caps.get::<String>(field).ok()).unwrap_or_default()
    };
    // Audio and further video streams are not used, so they are not requested from the camera.
    let selected = OnceLock::new();
    camera.connect("select-stream", false, move |values| {
        let camera = values.first().and_then(|camera| camera.get::<gst::Element>().ok());
        let caps = values.get(2).and_then(|caps| caps.get::<gst::Caps>().ok());
        let kind = caps.map(|caps| media(&caps, "media")).unwrap_or_default();
        if let Some(camera) = camera {
            clues::offers(&camera, &kind);
        }
        let number = values.get(1).and_then(|number| number.get::<u32>().ok());
        let is_selected = kind == "video" && *selected.get_or_init(|| number) == number;
        Some(is_selected.to_value())
    });
    rtp::mend(&camera);
    camera.connect_pad_added(move |camera, pad| {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        if media(&caps, "media") != "video" {
            return;
        }
        let encoding = media(&caps, "encoding-name");
        video(&encoding);
        if let Some(sink) = received.static_pad("sink").filter(|sink| !sink.is_linked())
            && pad.link(&sink).is_err()
        {
            clues::not_taken(camera, &encoding);
        }
    });
    Ok(())
}

/// The host of an address, for logs and messages. The rest is left out, because the path may be secret too.
pub(super) fn host(url: &str) -> String {
    let behind = url.split_once("://").map_or(url, |(_, behind)| behind);
    let authority = behind.split(['/', '?']).next().unwrap_or(behind);
    authority.rsplit('@').next().unwrap_or(authority).to_owned()
}
