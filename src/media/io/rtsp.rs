//! Receives from a camera of the network: its address and credential, the link to its video, and whether its
//! H.264 may pass through.
//!
//! Does not: receive its sound.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use crate::capacity::CAMERA_TIME;
use crate::media::gop::{Fitness, Gop, has_b_slices};
use crate::media::io::running::{self, End, Ending, Running, Watch};
use crate::media::pipeline::UNITS;
use crate::media::source::{Decided, RECEIVED, SOURCE, measured};
use crate::media::{CameraFormat, MediaError, Source, Video};
use crate::secret;

/// Whether the camera's H.264 passes through. Listens to it for at most [`CAMERA_TIME`] if nobody said.
pub(super) fn decide(source: &Source, video: &Video) -> Result<Decided, MediaError> {
    let Source::Rtsp { url, format, .. } = source else { return Ok(Decided::Nothing) };
    let passes = match format {
        CameraFormat::H264 => true,
        CameraFormat::Raw | CameraFormat::Mjpeg => false,
        CameraFormat::Auto if video.is_turned() => false,
        CameraFormat::Auto => {
            let (passes, why) = match measure(source)? {
                Some(Fitness::Passes) => (true, "H.264 passes through"),
                Some(Fitness::HasBFrames) => (false, "encoded anew: it has B-frames"),
                Some(Fitness::LongGop) => (false, "encoded anew: its keys are more than 2 s apart"),
                None => (false, "encoded anew: it is no H.264"),
            };
            log::info!("camera {}: {why}", host(url));
            passes
        }
    };
    Ok(Decided::PassThrough(passes))
}

/// Listens to the camera; `None` if it gives no H.264.
fn measure(source: &Source) -> Result<Option<Fitness>, MediaError> {
    let built = running::parse(&measured(UNITS), source)?;
    let (tell, told) = mpsc::channel();
    let ended = tell.clone();
    let gop = Mutex::new(Gop::default());
    let units = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&units);
    if let Some(sink) =
        built.by_name(UNITS).and_then(|sink| sink.downcast::<gst_app::AppSink>().ok())
    {
        let judge = tell.clone();
        let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            counted.fetch_add(1, Ordering::Relaxed);
            if let Some((buffer, pts)) = sample.buffer().and_then(|b| Some((b, b.pts()?))) {
                let is_key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
                let has_b = buffer.map_readable().is_ok_and(|map| has_b_slices(&map));
                let mut gop = gop.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(fitness) = gop.on_unit(is_key, has_b, Duration::from(pts)) {
                    let _ = judge.send(Some(Some(fitness)));
                }
            }
            Ok(gst::FlowSuccess::Ok)
        });
        sink.set_callbacks(callbacks.build());
    }
    let other = tell.clone();
    receive(&built, source, move |encoding| {
        if encoding != "H264" {
            let _ = other.send(Some(None));
        }
    })?;
    drop(tell);
    let ending = Ending::new();
    let on_end = move || {
        let _ = ended.send(None);
    };
    let watch =
        Watch { source: source.clone(), had_media: || true, on_end, ending: ending.clone() };
    let running = Running::open(built, watch)?;
    running.play(&ending);
    let answer = told.recv_timeout(CAMERA_TIME);
    drop(running);
    match (answer, ending.known()) {
        (Ok(Some(fitness)), _) => Ok(fitness),
        (_, Some(End::Failed(error))) => Err(error),
        // Pictures came, but no key in all that time.
        (Err(_), _) if units.load(Ordering::Relaxed) > 0 => Ok(Some(Fitness::LongGop)),
        (Err(RecvTimeoutError::Timeout), _) => Err(MediaError::Stalled(CAMERA_TIME)),
        (Ok(None) | Err(RecvTimeoutError::Disconnected), _) => Err(MediaError::StreamEnded),
    }
}

/// Sets address and credential, and links the camera's video to [`RECEIVED`] when it appears; `video` is told
/// how it is encoded.
pub(super) fn receive(
    pipeline: &gst::Pipeline,
    source: &Source,
    video: impl Fn(&str) + Send + Sync + 'static,
) -> Result<(), MediaError> {
    let Source::Rtsp { url, credential, .. } = source else { return Ok(()) };
    let lacks = |name: &str| MediaError::Gstreamer(format!("the pipeline lacks {name}"));
    let camera = pipeline.by_name(SOURCE).ok_or_else(|| lacks(SOURCE))?;
    let received = pipeline.by_name(RECEIVED).ok_or_else(|| lacks(RECEIVED))?;
    camera.set_property("location", url);
    if let Some(place) = credential {
        let failed = |reason: String| MediaError::Credential(reason);
        let secret = secret::io::read(place).map_err(|error| failed(error.to_string()))?;
        let (user, password) = secret
            .expose()
            .split_once(':')
            .ok_or_else(|| failed(format!("{place}: it is to be user:password")))?;
        camera.set_property("user-id", user);
        camera.set_property("user-pw", password);
    }
    let media = |caps: &gst::CapsRef, field: &str| {
        caps.structure(0).and_then(|caps| caps.get::<String>(field).ok()).unwrap_or_default()
    };
    // Sound that nobody takes is not even asked for.
    camera.connect("select-stream", false, move |values| {
        let caps = values.get(2).and_then(|caps| caps.get::<gst::Caps>().ok());
        Some(caps.is_some_and(|caps| media(&caps, "media") == "video").to_value())
    });
    camera.connect_pad_added(move |_, pad| {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        if media(&caps, "media") != "video" {
            return;
        }
        video(&media(&caps, "encoding-name"));
        if let Some(sink) = received.static_pad("sink").filter(|sink| !sink.is_linked()) {
            let _ = pad.link(&sink);
        }
    });
    Ok(())
}

/// The host of an address, for people: the path may be a secret of its own.
pub(super) fn host(url: &str) -> String {
    let behind = url.split_once("://").map_or(url, |(_, behind)| behind);
    let authority = behind.split(['/', '?']).next().unwrap_or(behind);
    authority.rsplit('@').next().unwrap_or(authority).to_owned()
}
