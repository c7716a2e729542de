//! Tries the encoder, then the source and the microphone: opens them as a job would, and counts frames for a moment.
//!
//! Does not: keep results of trials, or store input.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::cli::check::agent::AgentFound;
use crate::cli::check::device::{CameraTrial, TrialFrames, camera, encoder, microphone};
use crate::cli::check::finding::Finding;
use crate::config::Config;
use media::io::{AccessUnits, Capture, End, try_encoder, try_microphone};
use media::{Audio, MediaError, Microphone, Options, Source};

/// Frames are counted for this long.
const COUNTED: Duration = Duration::from_secs(3);
/// The time limit of the encoder's trial: several hardware encoders may fail first, each after 4 s.
const ENCODER_TIME: Duration = Duration::from_secs(30);
/// The time limit for opening the source and counting its frames. A network camera is measured for 10 s first.
const CAMERA_TIME: Duration = Duration::from_secs(40);

/// The findings about encoder, source and microphone. The running `agent` may hold the devices.
pub(in crate::cli::check) async fn check(config: &Config, agent: &AgentFound) -> Vec<Finding> {
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
    let holder = agent.holder_of_camera();
    let mut findings = vec![encoder, camera(&options.source, &trial, options.video.fps, &holder)];
    if let Some(audio) = config.media.audio.clone().filter(is_microphone) {
        let tried = spawn_blocking(move || try_microphone(&audio)).await;
        let tried = tried.unwrap_or_else(|_| Err(MediaError::Thread("microphone".to_owned())));
        findings.push(microphone(tried, &agent.holder()));
    }
    findings
}

/// Whether the audio comes from a device. That of a file comes with its pictures.
fn is_microphone(audio: &Audio) -> bool {
    audio.microphone != Microphone::File
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
