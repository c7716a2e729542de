//! Stores the verdicts on this computer's encoders: which ones worked or failed, at which size.
//!
//! The text file has one line for each result:
//!
//! ```text
//! x264enc 1.22.0 1280x720@24 works
//! v4l2h264enc 1.22.0 1280x720@24 stumbled 1790000000 frames go in, but none came out for 2s
//! nvh264enc 1.22.0 1280x720@24 fails 1790000000 no frame came
//! ```
//!
//! An encoder that fails during capture has `stumbled`: it is used again at once, because encoders of the Pi were seen
//! to stop after 11 to 13 hours and to work again after a restart. If it fails again before the time in its line, it is
//! skipped.
//!
//! A failure expires at a time in seconds since the Unix epoch, because the device may have been in use by another
//! program. The first failed trial expires after minutes, because the computer may have been busy booting. A failure
//! that lies too far in the future, after the clock was set back, is ignored.
//!
//! Does not: read or write the file, or read the clock.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Video;
use resilience::sanitize;

/// Maximum number of stored verdicts; each is for one element at one size.
const ENCODER_VERDICTS: usize = 32;

/// How long an encoder is skipped after its first failed trial.
pub(crate) const AFTER_FIRST_TRIAL: Duration = Duration::from_secs(10 * 60);
/// How long an encoder is skipped after a repeated failed trial.
pub(crate) const AFTER_TRIAL: Duration = Duration::from_secs(24 * 3600);
/// How long a failure during capture counts, if the trial was passed.
pub(crate) const AFTER_FAILURE: Duration = Duration::from_secs(3600);

/// The encoder and size that a verdict is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Case {
    /// The encoder.
    pub(crate) element: String,
    /// GStreamer's version, because an update may add, fix or break encoders.
    pub(crate) gstreamer: String,
    /// Width and height in pixels, frames per second.
    pub(crate) shape: (u32, u32, u32),
}

impl Case {
    /// `element` at the size of `video`.
    pub(crate) fn new(element: &str, gstreamer: &str, video: &Video) -> Self {
        Self {
            element: element.to_owned(),
            gstreamer: gstreamer.to_owned(),
            shape: (video.width, video.height, video.fps),
        }
    }
}

/// The verdict on an encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The encoder produced frames.
    Works,
    /// The encoder failed once during capture.
    Stumbled {
        /// Another failure before this time, since the Unix epoch, counts as the second one.
        until: Duration,
        /// The error of the encoder.
        why: String,
    },
    /// The encoder failed.
    Fails {
        /// The encoder is skipped until this time, since the Unix epoch.
        until: Duration,
        /// The error of the encoder.
        why: String,
    },
}

/// All verdicts; new ones replace the oldest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Verdicts(VecDeque<(Case, Verdict)>);

impl Verdicts {
    /// Parses the file's text. Also returns the number of malformed lines, which are left out.
    pub(crate) fn parse(text: &str) -> (Self, usize) {
        let (mut verdicts, mut malformed) = (Self::default(), 0);
        for line in text.lines().map(line) {
            match line {
                Some((case, verdict)) => verdicts.note(case, verdict),
                None => malformed += 1,
            }
        }
        (verdicts, malformed)
    }

    /// The file's text.
    pub(crate) fn text(&self) -> String {
        let line = |(case, verdict): &(Case, Verdict)| {
            let Case { element, gstreamer, shape: (width, height, fps) } = case;
            let verdict = match verdict {
                Verdict::Works => "works".to_owned(),
                Verdict::Stumbled { until, why } => {
                    format!("stumbled {} {}", until.as_secs(), sanitize::message(why))
                }
                Verdict::Fails { until, why } => {
                    format!("fails {} {}", until.as_secs(), sanitize::message(why))
                }
            };
            format!("{element} {gstreamer} {width}x{height}@{fps} {verdict}\n")
        };
        self.0.iter().map(line).collect()
    }

    /// The verdict that is valid `now`, since the Unix epoch.
    pub(crate) fn on(&self, case: &Case, now: Duration) -> Option<&Verdict> {
        let (_, verdict) = self.0.iter().find(|(known, _)| known == case)?;
        let holds = match verdict {
            Verdict::Works => true,
            Verdict::Stumbled { until, .. } | Verdict::Fails { until, .. } => {
                now < *until && *until <= now + AFTER_TRIAL
            }
        };
        holds.then_some(verdict)
    }

    /// Stores a verdict, in place of an earlier one.
    pub(crate) fn note(&mut self, case: Case, verdict: Verdict) {
        self.forget(&case);
        if self.0.len() == ENCODER_VERDICTS {
            self.0.pop_front();
        }
        self.0.push_back((case, verdict));
    }

    /// Removes the verdict, so that the encoder is tried again.
    pub(crate) fn forget(&mut self, case: &Case) {
        self.0.retain(|(known, _)| known != case);
    }

    /// Records a failed trial.
    pub(crate) fn on_trial_failure(&mut self, case: Case, why: &str, now: Duration) {
        let has_failed = |(known, verdict): &(Case, Verdict)| {
            *known == case && matches!(verdict, Verdict::Fails { .. })
        };
        let holds = if self.0.iter().any(has_failed) { AFTER_TRIAL } else { AFTER_FIRST_TRIAL };
        self.note(case, Verdict::Fails { until: now + holds, why: one_line(why) });
    }

    /// Records a failure during capture.
    pub(crate) fn on_failure(&mut self, case: Case, why: &str, now: Duration) {
        let (until, why) = (now + AFTER_FAILURE, one_line(why));
        let verdict = match self.on(&case, now) {
            Some(Verdict::Stumbled { .. } | Verdict::Fails { .. }) => Verdict::Fails { until, why },
            Some(Verdict::Works) | None => Verdict::Stumbled { until, why },
        };
        self.note(case, verdict);
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn line(text: &str) -> Option<(Case, Verdict)> {
    let mut words = text.splitn(6, ' ');
    let (element, gstreamer) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (size, fps) = words.next()?.split_once('@')?;
    let (width, height) = size.split_once('x')?;
    let shape = (width.parse().ok()?, height.parse().ok()?, fps.parse().ok()?);
    let verdict = words.next()?;
    let mut failure = || -> Option<(Duration, String)> {
        let until = Duration::from_secs(words.next()?.parse().ok()?);
        Some((until, words.next().unwrap_or_default().to_owned()))
    };
    let verdict = match verdict {
        "works" => Verdict::Works,
        "stumbled" => failure().map(|(until, why)| Verdict::Stumbled { until, why })?,
        "fails" => failure().map(|(until, why)| Verdict::Fails { until, why })?,
        _ => return None,
    };
    Some((Case { element, gstreamer, shape }, verdict))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_790_000_000);

    fn case(element: &str) -> Case {
        Case::new(element, "1.22.0", &Video::default())
    }

    fn fails(until: Duration) -> Verdict {
        Verdict::Fails { until, why: "no frame came".into() }
    }

    #[test]
    fn a_first_failed_trial_holds_for_minutes_and_the_next_for_a_day() {
        let mut verdicts = Verdicts::default();
        verdicts.on_trial_failure(case("a"), "busy", NOW);
        let again = NOW + AFTER_FIRST_TRIAL;
        assert!(verdicts.on(&case("a"), again - Duration::from_secs(1)).is_some());
        assert!(verdicts.on(&case("a"), again).is_none(), "it is tried again");
        // Read back from the file in between.
        let (mut verdicts, _) = Verdicts::parse(&verdicts.text());
        verdicts.on_trial_failure(case("a"), "no frame\ncame", again);
        let day = again + AFTER_TRIAL;
        assert!(verdicts.on(&case("a"), day - Duration::from_secs(1)).is_some());
        verdicts.note(case("a"), Verdict::Works);
        verdicts.on_trial_failure(case("a"), "busy", day);
        assert!(verdicts.on(&case("a"), day + AFTER_FIRST_TRIAL).is_none(), "it had worked since");
    }

    #[test]
    fn the_text_is_parsed_as_written() {
        let mut verdicts = Verdicts::default();
        verdicts.note(case("v4l2h264enc"), fails(NOW));
        verdicts.note(case("x264enc"), Verdict::Works);
        let stumbled = Verdict::Stumbled { until: NOW, why: "it stopped".into() };
        verdicts.note(case("mpph264enc"), stumbled);
        let text = verdicts.text();
        assert_eq!(
            text,
            "v4l2h264enc 1.22.0 1280x720@24 fails 1790000000 no frame came\n\
             x264enc 1.22.0 1280x720@24 works\n\
             mpph264enc 1.22.0 1280x720@24 stumbled 1790000000 it stopped\n"
        );
        assert_eq!(Verdicts::parse(&text), (verdicts, 0));
    }

    #[test]
    fn a_reason_of_many_lines_is_written_as_one_line() {
        let mut verdicts = Verdicts::default();
        let why = "it\nsaid\r".repeat(1000);
        verdicts.note(case("a"), Verdict::Fails { until: NOW, why });
        let text = verdicts.text();
        assert!(text.len() < 300, "{text}");
        assert_eq!(Verdicts::parse(&text).0.text(), text);
    }

    #[test]
    fn malformed_and_foreign_lines_are_left_out() {
        let good = "a 1.1.1 2x2@1 works\n";
        for bad in [
            "",
            " ",
            "a",
            "a b c d",
            "a 1 2x2 works",
            "a 1 2x2@1",
            "a 1 x2@1 works",
            "a 1 2x2@1 maybe",
            "a 1 2x2@1 fails",
            "a 1 2x2@1 fails soon",
            "a 1 2x2@1 stumbled",
            "a 1 2x99999999999@1 works",
            "\u{fffd}\0",
        ] {
            let (verdicts, malformed) = Verdicts::parse(&format!("{bad}\n{good}{bad}"));
            assert_eq!(verdicts.text(), good, "{bad:?}");
            assert_eq!(malformed, if bad.is_empty() { 1 } else { 2 }, "{bad:?}");
        }
    }

    #[test]
    fn a_verdict_holds_for_its_case_only() {
        let mut verdicts = Verdicts::default();
        verdicts.note(case("x264enc"), Verdict::Works);
        assert_eq!(verdicts.on(&case("x264enc"), NOW), Some(&Verdict::Works));
        let other = Video { width: 640, ..Video::default() };
        assert_eq!(verdicts.on(&Case::new("x264enc", "1.22.0", &other), NOW), None);
        assert_eq!(verdicts.on(&Case::new("x264enc", "1.24.0", &Video::default()), NOW), None);
        assert_eq!(verdicts.on(&case("vah264enc"), NOW), None);
    }

    #[test]
    fn a_failure_holds_for_its_time() {
        let mut verdicts = Verdicts::default();
        verdicts.note(case("a"), fails(NOW + AFTER_TRIAL));
        assert!(verdicts.on(&case("a"), NOW).is_some());
        assert!(verdicts.on(&case("a"), NOW + AFTER_TRIAL).is_none());
        let before = NOW - Duration::from_secs(1);
        assert!(verdicts.on(&case("a"), before).is_none(), "the clock was set back");
    }

    #[test]
    fn a_second_failure_during_capture_within_the_time_counts() {
        let mut verdicts = Verdicts::default();
        verdicts.note(case("a"), Verdict::Works);
        verdicts.on_failure(case("a"), "it\n stopped", NOW);
        let until = NOW + AFTER_FAILURE;
        let stumbled = |until| Verdict::Stumbled { until, why: "it stopped".into() };
        assert_eq!(verdicts.on(&case("a"), NOW), Some(&stumbled(until)));

        let later = until - Duration::from_secs(1);
        verdicts.on_failure(case("a"), "it stopped", later);
        let fails = Verdict::Fails { until: later + AFTER_FAILURE, why: "it stopped".into() };
        assert_eq!(verdicts.on(&case("a"), later), Some(&fails));
        verdicts.on_failure(case("a"), "it stopped", later);
        assert_eq!(verdicts.on(&case("a"), later), Some(&fails));
    }

    #[test]
    fn failures_far_apart_count_as_first_ones() {
        let mut verdicts = Verdicts::default();
        for hours in 0..5 {
            let now = NOW + hours * AFTER_FAILURE;
            verdicts.on_failure(case("a"), "it stopped", now);
            let is_stumbled =
                matches!(verdicts.on(&case("a"), now), Some(Verdict::Stumbled { .. }));
            assert!(is_stumbled, "{hours}");
        }
    }

    #[test]
    fn new_verdicts_replace_the_oldest() {
        let mut verdicts = Verdicts::default();
        for n in 0..=ENCODER_VERDICTS {
            verdicts.note(case(&n.to_string()), Verdict::Works);
        }
        assert_eq!(verdicts.0.len(), ENCODER_VERDICTS);
        assert_eq!(verdicts.on(&case("0"), NOW), None);
        verdicts.note(case("1"), Verdict::Works);
        assert_eq!(verdicts.0.len(), ENCODER_VERDICTS);
        assert!(verdicts.on(&case("2"), NOW).is_some());
    }
}
