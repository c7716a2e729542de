//! Tries the encoder, then the source: opens it as a job would, and counts frames for a moment.
//!
//! Does not: keep results of trials, store input, or open microphones.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::cli::check::device::{CameraTrial, TrialFrames, camera, encoder};
use crate::cli::check::finding::Finding;
use crate::config::Config;
use media::io::{AccessUnits, Capture, End, try_encoder};
use media::{MediaError, Options, Source};

/// Frames are counted for this long.
const COUNTED: Duration = Duration::from_secs(3);
/// The time limit of the encoder's trial: several hardware encoders may fail first, each after 4 s.
const ENCODER_TIME: Duration = Duration::from_secs(30);
/// The time limit for opening the source and counting its frames. A network camera is measured for 10 s first.
const CAMERA_TIME: Duration = Duration::from_secs(40);

/// The findings about encoder and source; `has_agent` says whether an agent runs already.
pub(in crate::cli::check) async fn check(config: &Config, has_agent: bool) -> Vec<Finding> {
    let options =
        Options { audio: None, store: None, state_directory: None, ..config.media.clone() };
    let tried = options.clone();
    let trial = timeout(ENCODER_TIME, spawn_blocking(move || try_encoder(&tried))).await;
    let encoder = encoder(trial.ok().and_then(Result::ok));
    let trial = match is_pipe(&options.source) {
        true => CameraTrial::Pipe,
        false => match timeout(CAMERA_TIME, frames(options.clone())).await {
            Ok(Ok(frames)) => CameraTrial::Came(frames),
            Ok(Err(error)) => CameraTrial::Failed(error),
            Err(_) => CameraTrial::Late(CAMERA_TIME),
        },
    };
    vec![encoder, camera(&options.source, &trial, options.video.fps, has_agent)]
}

fn is_pipe(source: &Source) -> bool {
    let Source::File { path, .. } = source else { return false };
    fs::metadata(path).is_ok_and(|file| file.file_type().is_fifo())
}

/// Counts the frames that come out of the source's pipeline.
async fn frames(options: Options) -> Result<TrialFrames, MediaError> {
    let open = move || Capture::open(&options, AccessUnits::new());
    let thread = || MediaError::Thread("opening the camera".to_owned());
    let capture = spawn_blocking(open).await.map_err(|_| thread())??;
    capture.play();
    let counted = count(&capture).await;
    capture.stop().await;
    counted
}

async fn count(capture: &Capture) -> Result<TrialFrames, MediaError> {
    let first = tokio::select! {
        () = capture.began() => Instant::now(),
        end = capture.ended() => return Err(failure(end)),
    };
    tokio::select! {
        () = sleep(COUNTED) => {}
        end = capture.ended() => if let End::Failed(error) = end {
            return Err(error);
        },
    }
    let count = capture.counts().encoded;
    let masks = capture.options().video.masks.len();
    Ok(TrialFrames { count, time: first.elapsed(), encodes: capture.encodes(), masks })
}

fn failure(end: End) -> MediaError {
    match end {
        End::Failed(error) => error,
        End::EndOfStream => MediaError::NoFrames,
    }
}
