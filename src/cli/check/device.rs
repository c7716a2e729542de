//! Judges the trials of camera, encoder and microphone.
//!
//! The agent that runs with this configuration holds its devices: one that cannot be opened meanwhile is not a failure.
//!
//! Does not: open devices; `io::device` does.

use std::fmt::Display;
use std::time::Duration;

use super::agent::Holder;
use super::finding::Finding;
use media::devices::{EncoderFound, EncoderVerdict};
use media::encoder::Kind;
use media::{MediaError, Source};

/// Frames that came out of a trial of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TrialFrames {
    pub(super) count: u64,
    /// The time from the first frame on.
    pub(super) time: Duration,
    /// Whether the frames were encoded here.
    pub(super) encodes: bool,
    /// The number of masks that were filled in each.
    pub(super) masks: usize,
}

/// The outcome of a trial of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CameraTrial {
    /// Frames came.
    Came(TrialFrames),
    /// The source failed.
    Failed(MediaError),
    /// The source did not answer within this time.
    Late(Duration),
    /// A named pipe is not read, because its writer would lose what is read.
    Pipe,
}

/// The finding about the source, of which `fps` frames/s are wanted.
pub(super) fn camera(source: &Source, trial: &CameraTrial, fps: u32, holder: &Holder) -> Finding {
    let finding = match trial {
        CameraTrial::Pipe => Finding::ok("camera", "a named pipe is not read by a check"),
        CameraTrial::Came(frames) => came(*frames, fps),
        CameraTrial::Failed(error) => {
            let held = may_be_held(source, error).then(|| held("camera", holder, error)).flatten();
            held.unwrap_or_else(|| Finding::failed("camera", error.to_string(), advice(source)))
        }
        CameraTrial::Late(time) => {
            let what = format!("it did not answer within {} s", time.as_secs());
            let held = is_local(source).then(|| held("camera", holder, &what)).flatten();
            let advice = "unplug it and plug it in again, or restart this computer";
            held.unwrap_or_else(|| Finding::failed("camera", what, advice))
        }
    };
    finding.about(name(source))
}

/// The finding about the microphone. Without one, a job has no audio, but runs.
pub(super) fn microphone(tried: Result<(), MediaError>, holder: &Holder) -> Finding {
    let advice = "`livepeer-edge devices` lists the microphones; audio.device names one";
    match tried {
        Ok(()) => Finding::ok("microphone", "audio comes"),
        Err(error) => held("microphone", holder, &error)
            .unwrap_or_else(|| Finding::warning("microphone", error.to_string(), advice)),
    }
}

/// The finding about a device that an agent has, or may have; `None` if no agent has it.
fn held(id: &'static str, holder: &Holder, why: &dyn Display) -> Option<Finding> {
    match holder {
        Holder::Agent(agent) => {
            Some(Finding::ok(id, format!("{agent} has it, so it was not tried: {why}")))
        }
        Holder::Unknown => Some(Finding::warning(
            id,
            format!("it was not tried: {why}; perhaps an agent has it"),
            "stop the agent, or run the check as its user or root",
        )),
        Holder::Other => None,
    }
}

fn came(frames: TrialFrames, fps: u32) -> Finding {
    let TrialFrames { count, time, encodes, masks } = frames;
    let how = match (encodes, masks) {
        (true, 0) => "encoded here",
        (true, _) => "masked (source.masks) and encoded here",
        (false, _) => "its H.264 passes through",
    };
    let tenths = count.saturating_mul(10_000) / u64::try_from(time.as_millis()).unwrap_or(1).max(1);
    let what = format!("{count} frames came, {}.{} a second; {how}", tenths / 10, tenths % 10);
    if count == 0 {
        let advice = "`livepeer-edge devices` tests all cameras";
        return Finding::failed("camera", "it opens, but no frame comes", advice);
    }
    match tenths < u64::from(fps) * 5 {
        true => Finding::warning(
            "camera",
            format!("{what}; {fps} are wanted"),
            "`livepeer-edge devices` lists the rates of each size; or the encoder is too slow: lower the size",
        ),
        false => Finding::ok("camera", what),
    }
}

/// Whether another program that uses the source may cause this error.
fn may_be_held(source: &Source, error: &MediaError) -> bool {
    is_local(source)
        && matches!(
            error,
            MediaError::Busy(_)
                | MediaError::Element { .. }
                | MediaError::Stalled(_)
                | MediaError::NotOpened(..)
                | MediaError::NoAnswer(_)
                | MediaError::NoCamera { .. }
        )
}

/// Whether the source is a device that one program can use at a time, or may be one.
fn is_local(source: &Source) -> bool {
    matches!(
        source,
        Source::Auto
            | Source::V4l2 { .. }
            | Source::Libcamera { .. }
            | Source::NvArgus { .. }
            | Source::Pipeline { .. }
    )
}

fn advice(source: &Source) -> &'static str {
    match source {
        Source::Rtsp { .. } => "check source.url and source.credential in a player such as VLC",
        Source::File { .. } => {
            "check source.path; `gst-play-1.0 FILE` plays what GStreamer can decode"
        }
        Source::Pipeline { .. } => "try source.fragment with gst-launch-1.0",
        Source::Test => "reinstall GStreamer's packages",
        Source::Auto | Source::V4l2 { .. } | Source::Libcamera { .. } | Source::NvArgus { .. } => {
            "`livepeer-edge devices` lists the cameras of this computer, and tests each"
        }
    }
}

/// The source for people, without credentials.
fn name(source: &Source) -> String {
    match source {
        Source::Auto => "auto".to_owned(),
        Source::Test => "test".to_owned(),
        Source::File { path, .. } => path.display().to_string(),
        Source::V4l2 { device, .. } => device.display().to_string(),
        Source::Libcamera { camera } => camera.clone().unwrap_or_else(|| "libcamera".to_owned()),
        Source::NvArgus { sensor } => format!("nvargus {sensor}"),
        // The path may be secret, as may the fragment.
        Source::Rtsp { .. } => "network camera".to_owned(),
        Source::Pipeline { .. } => "pipeline".to_owned(),
    }
}

/// The finding about the encoder; `None` if its trial did not end.
pub(super) fn encoder(trial: Option<Result<EncoderFound, MediaError>>) -> Finding {
    let advice = "`livepeer-edge devices` lists the encoders of this computer, and tries each";
    match trial {
        None => Finding::failed("encoder", "the trial did not end", "restart this computer"),
        Some(Err(error)) => Finding::failed("encoder", error.to_string(), advice),
        Some(Ok(EncoderFound { element, kind, verdict })) => match verdict {
            EncoderVerdict::Works => {
                let kind = match kind {
                    Kind::Hardware => "hardware",
                    Kind::Software => "software",
                };
                Finding::ok("encoder", format!("works ({kind})")).about(element)
            }
            EncoderVerdict::Fails(why) => Finding::failed("encoder", why, advice).about(element),
            EncoderVerdict::Absent(_) | EncoderVerdict::NotHere => {
                Finding::failed("encoder", "is not on this computer", advice).about(element)
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;
    use media::CameraFormat;

    fn usb() -> Source {
        Source::V4l2 { device: "/dev/video0".into(), format: CameraFormat::Auto }
    }

    #[track_caller]
    fn check(trial: &CameraTrial, holder: &Holder, verdict: Verdict, what: &str) {
        let finding = camera(&usb(), trial, 24, holder);
        assert_eq!((finding.verdict, finding.what.as_str()), (verdict, what));
        assert_eq!(finding.advice.is_empty(), verdict == Verdict::Ok, "{}", finding.advice);
    }

    fn agent() -> Holder {
        Holder::Agent("the running agent, process 7,".to_owned())
    }

    fn frames(count: u64, encodes: bool) -> CameraTrial {
        CameraTrial::Came(TrialFrames { count, time: Duration::from_secs(3), encodes, masks: 0 })
    }

    #[test]
    fn frames_are_counted_and_few_are_a_warning() {
        let ok = "72 frames came, 24.0 a second; its H.264 passes through";
        check(&frames(72, false), &Holder::Other, Verdict::Ok, ok);
        let slow = "15 frames came, 5.0 a second; encoded here; 24 are wanted";
        check(&frames(15, true), &Holder::Other, Verdict::Warning, slow);
        check(&frames(0, true), &Holder::Other, Verdict::Failed, "it opens, but no frame comes");
        let time = Duration::from_secs(3);
        let masked = CameraTrial::Came(TrialFrames { count: 72, time, encodes: true, masks: 2 });
        let text = "72 frames came, 24.0 a second; masked (source.masks) and encoded here";
        check(&masked, &Holder::Other, Verdict::Ok, text);
    }

    #[test]
    fn a_camera_that_the_agent_holds_is_not_a_failure() {
        let busy = CameraTrial::Failed(MediaError::Busy("/dev/video0".into()));
        let text = "the camera /dev/video0 is in use by another program";
        check(&busy, &Holder::Other, Verdict::Failed, text);
        let held = format!("the running agent, process 7, has it, so it was not tried: {text}");
        check(&busy, &agent(), Verdict::Ok, &held);
        let unknown = format!("it was not tried: {text}; perhaps an agent has it");
        check(&busy, &Holder::Unknown, Verdict::Warning, &unknown);
        let gone = CameraTrial::Failed(MediaError::NoSuchDevice("/dev/video0".into()));
        let text = "no camera at /dev/video0: is it plugged in?";
        check(&gone, &agent(), Verdict::Failed, text);
    }

    #[test]
    fn a_microphone_that_does_not_work_is_a_warning_unless_the_agent_has_it() {
        let lost = || Err(MediaError::Stalled(Duration::from_secs(3)));
        assert_eq!(microphone(Ok(()), &Holder::Other).verdict, Verdict::Ok);
        assert_eq!(microphone(lost(), &Holder::Other).verdict, Verdict::Warning);
        assert_eq!(microphone(lost(), &agent()).verdict, Verdict::Ok);
    }

    #[test]
    fn a_camera_that_does_not_answer_has_failed_unless_the_agent_holds_it() {
        let late = CameraTrial::Late(Duration::from_secs(40));
        check(&late, &Holder::Other, Verdict::Failed, "it did not answer within 40 s");
        let held = "the running agent, process 7, has it, so it was not tried: it did not answer within 40 s";
        check(&late, &agent(), Verdict::Ok, held);
    }

    #[test]
    fn the_name_of_a_network_camera_shows_no_secret() {
        let url = "rtsp://u:hunter2@10.0.0.7/secret".to_owned();
        let camera = Source::Rtsp { url, credential: None, pin: None, format: CameraFormat::Auto };
        assert_eq!(name(&camera), "network camera");
    }

    #[test]
    fn an_encoder_works_or_says_why_not() {
        let found = |verdict| {
            let element = "x264enc".to_owned();
            encoder(Some(Ok(EncoderFound { element, kind: Kind::Software, verdict })))
        };
        assert_eq!(found(EncoderVerdict::Works).verdict, Verdict::Ok);
        assert_eq!(found(EncoderVerdict::Fails("slow".into())).verdict, Verdict::Failed);
        let none = MediaError::NoEncoder { tried: Vec::new() };
        assert_eq!(encoder(Some(Err(none))).verdict, Verdict::Failed);
        assert_eq!(encoder(None).verdict, Verdict::Failed);
    }
}
