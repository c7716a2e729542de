//! Tries an encoder: a few frames of the wanted size have to come out of it in time.
//!
//! Does not: remember; `encoders` does.

use std::sync::mpsc;

use gstreamer::prelude::*;

use crate::capacity::TRIAL_TIME;
use crate::media::encoder::{Element, Kind};
use crate::media::io::access_units::{AccessUnits, Feed};
use crate::media::io::running::{self, End, Ending, Running, Watch};
use crate::media::pipeline::{self, TRIAL_FRAMES};
use crate::media::{MediaError, Source, Speed, Video};

/// Blocks for at most [`TRIAL_TIME`], and a little more when the driver is stuck. The error says what is
/// wrong with the encoder.
pub(super) fn trial(element: &Element, video: &Video, speed: Speed) -> Result<(), String> {
    let description = pipeline::trial(video, element, speed);
    let feed = Feed::new(&AccessUnits::new(), video.segment);
    let ending = Ending::new();
    let (tell, told) = mpsc::channel();
    let counted = feed.clone();
    let watch = Watch {
        source: Source::Test,
        had_media: move || counted.given() > 0,
        on_end: move || {
            let _ = tell.send(());
        },
        ending: ending.clone(),
    };
    let said = |error: MediaError| error.to_string();
    let built = running::parse(&description, &Source::Test).map_err(said)?;
    feed.attach(built.upcast_ref(), element.row.key).map_err(said)?;
    let running = Running::open(built, watch).map_err(said)?;
    running.play(&ending);
    let ended = told.recv_timeout(TRIAL_TIME).is_ok();
    drop(running);
    let frames = feed.given();
    match ending.known() {
        Some(End::Failed(error)) => Err(said(error)),
        Some(End::EndOfStream) if frames == TRIAL_FRAMES => Ok(()),
        // The processor may be busy at a start, but it does not stop working.
        None if !ended && frames > 0 && element.row.kind == Kind::Software => Ok(()),
        Some(End::EndOfStream) | None => {
            Err(format!("{frames} of {TRIAL_FRAMES} frames came out within {TRIAL_TIME:?}"))
        }
    }
}
