//! A capture of a small test picture, for tests that need video but run no agent.

use std::time::Duration;

use media::io::{AccessUnits, Capture};
use media::{Encoder, Options, Source, Speed, Video};

/// Starts a capture of 320×180 pixels at 24 frames/s into `units`, in segments of 1 s.
pub(crate) fn camera(units: &AccessUnits) -> Capture {
    let fragment = "videotestsrc is-live=true ! video/x-raw,framerate=24/1".into();
    let segment = Duration::from_secs(1);
    let options = Options {
        source: Source::Pipeline { fragment },
        video: Video { width: 320, height: 180, bitrate: 400_000, segment, ..Video::default() },
        encoder: Encoder { element: None, speed: Speed::Ultrafast },
        ..Options::default()
    };
    Capture::start(&options, units.clone()).unwrap()
}
