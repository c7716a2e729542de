//! Tries an encoder: it must output a few frames of the wanted size within a time limit.
//!
//! The source sends until those frames have come, so that the encoder is never flushed: on a flush, OpenH264 would
//! print an error to standard error.
//!
//! Does not: keep the result; `encoders` does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::encoder::{Element, Kind};
use crate::io::bounded::within;
use crate::io::running::{self, End, Ending, RunningPipeline, Watch};
use crate::limits::{HARDWARE_TRIAL_TIME, PIPELINE_STOP_TIME};
use crate::pipeline::{self, TRIAL_FRAMES, UNITS};
use crate::{MediaError, Source, Speed, Video};

/// Time for a software encoder to encode a few frames before it is chosen; the slowest here needs 0.2 s.
const SOFTWARE_TRIAL_TIME: Duration = Duration::from_secs(1);

/// Tries `element` with `video` and `speed`. Blocks for at most twice the time limit of its kind (once to open the
/// driver, once for the frames) plus the time to stop the pipeline. The error says what is wrong with the encoder.
pub(super) fn trial(element: &Element, video: &Video, speed: Speed) -> Result<(), String> {
    let description = pipeline::trial(video, element, speed);
    let kind = element.row.kind;
    let limit = 2 * time(kind) + PIPELINE_STOP_TIME;
    within(&element.name, limit, move || encode(&description, kind))
        .unwrap_or_else(|| Err("its driver does not answer".to_owned()))
}

/// The time limit for the frames of an encoder of this kind.
fn time(kind: Kind) -> Duration {
    match kind {
        Kind::Hardware => HARDWARE_TRIAL_TIME,
        Kind::Software => SOFTWARE_TRIAL_TIME,
    }
}

fn encode(description: &str, kind: Kind) -> Result<(), String> {
    let said = |error: MediaError| error.to_string();
    let built = running::parse(description, &Source::Test).map_err(said)?;
    let (tell, told) = mpsc::channel();
    let frames = Arc::new(AtomicU64::new(0));
    if let Some(pad) = built.by_name(UNITS).and_then(|sink| sink.static_pad("sink")) {
        let (tell, frames) = (tell.clone(), Arc::clone(&frames));
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            if frames.fetch_add(1, Ordering::Relaxed) + 1 == TRIAL_FRAMES {
                let _ = tell.send(());
            }
            // Drop the frame here, because nothing reads the sink.
            gst::PadProbeReturn::Handled
        });
    }
    let ending = Ending::new();
    let on_end = move || {
        let _ = tell.send(());
    };
    let watch = Watch {
        source: Source::Test,
        had_media: || true,
        on_end,
        ending: ending.clone(),
        spares: None,
    };
    let running = RunningPipeline::open(built, watch).map_err(said)?;
    running.play(&ending);
    let has_ended = told.recv_timeout(time(kind)).is_ok();
    drop(running);
    let frames = frames.load(Ordering::Relaxed).min(TRIAL_FRAMES);
    match ending.known() {
        Some(End::Failed(error)) => Err(said(error)),
        _ if frames == TRIAL_FRAMES => Ok(()),
        // Fewer frames are enough from a software encoder, because the CPU may be busy when the program starts.
        None if !has_ended && frames > 0 && kind == Kind::Software => Ok(()),
        Some(End::EndOfStream) | None => {
            Err(format!("{frames} of {TRIAL_FRAMES} frames came within {:?}", time(kind)))
        }
    }
}
