//! Chooses the first encoder that works, by earlier verdicts or by trial.
//!
//! | earlier verdict | result |
//! |---|---|
//! | works, or failed once during capture | chosen |
//! | none | tried; chosen if it produces frames |
//! | failed recently, or twice | skipped; tried again if no other works |
//!
//! Does not: run trials; the caller passes a function for that.

use crate::encoder::{Element, Kind};
use crate::verdicts::Verdict;

/// An encoder to choose from.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// The encoder.
    pub(crate) element: Element,
    /// The earlier verdict on the encoder.
    pub(crate) known: Option<Verdict>,
}

/// The result of choosing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The chosen encoder; `None` if no encoder works.
    pub(crate) element: Option<Element>,
    /// The encoders before the chosen one that were rejected, and why.
    pub(crate) refused: Vec<(String, String)>,
    /// The trials and their results.
    pub(crate) tried: Vec<(String, Result<(), String>)>,
}

/// Chooses among `candidates`, which must be sorted best first. Store the results of `tried`.
pub(crate) fn choose(
    candidates: Vec<Candidate>,
    mut trial: impl FnMut(&Element) -> Result<(), String>,
) -> Choice {
    let mut choice = Choice { element: None, refused: Vec::new(), tried: Vec::new() };
    let mut skipped = Vec::new();
    for Candidate { element, known } in candidates {
        match known {
            Some(Verdict::Works | Verdict::Stumbled { .. }) => {
                choice.element = Some(element);
                return choice;
            }
            Some(Verdict::Fails { why, .. }) => {
                choice.refused.push((element.name.clone(), why));
                skipped.push(element);
            }
            None => {
                if choice.take(element, &mut trial) {
                    return choice;
                }
            }
        }
    }
    for element in skipped {
        choice.refused.retain(|(name, _)| *name != element.name);
        if choice.take(element, &mut trial) {
            break;
        }
    }
    choice
}

impl Choice {
    /// Chooses `element` if it passes its trial.
    fn take(
        &mut self,
        element: Element,
        trial: &mut impl FnMut(&Element) -> Result<(), String>,
    ) -> bool {
        let name = element.name.clone();
        let result = trial(&element);
        self.tried.push((name.clone(), result.clone()));
        match result {
            Ok(()) => self.element = Some(element),
            Err(why) => self.refused.push((name, why)),
        }
        self.element.is_some()
    }

    /// A line for the log: the choice and its reasons.
    pub(crate) fn reason(&self) -> String {
        let Some(element) = &self.element else {
            return "no encoder of this computer works".to_owned();
        };
        let name = element.name.as_str();
        let kind = match element.row.kind {
            Kind::Hardware => "hardware",
            Kind::Software => "software",
        };
        let how = if self.tried.iter().any(|(tried, _)| tried == name) {
            "it passed its trial"
        } else {
            "it worked before"
        };
        let mut text = format!("encoder {name} ({kind}): {how}");
        for (refused, why) in &self.refused {
            text.push_str(&format!("; not {refused}: {why}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::encoder::{self, ROWS};

    fn candidate(name: &str, known: Option<Verdict>) -> Candidate {
        Candidate { element: Element::new(encoder::row(name).unwrap(), |_| false), known }
    }

    fn failed() -> Option<Verdict> {
        Some(Verdict::Fails { until: Duration::ZERO, why: "failed before".into() })
    }

    /// Candidates, those of them that pass a trial, the one chosen, the trials made, the reason.
    #[track_caller]
    fn check(
        candidates: Vec<Candidate>,
        pass: &[&str],
        chosen: Option<&str>,
        trials: &[&str],
        reason: &str,
    ) {
        let choice = choose(candidates, |element| {
            let passes = pass.contains(&element.row.element);
            if passes { Ok(()) } else { Err("no frame".to_owned()) }
        });
        assert_eq!(choice.element.as_ref().map(|element| element.name.as_str()), chosen);
        let tried: Vec<_> = choice.tried.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(tried, trials);
        assert_eq!(choice.reason(), reason);
    }

    #[test]
    fn the_first_encoder_that_works_is_chosen() {
        let all = || ROWS.iter().map(|row| candidate(row.element, None)).collect::<Vec<_>>();
        check(
            all(),
            &["v4l2h264enc", "x264enc"],
            Some("v4l2h264enc"),
            &["v4l2h264enc"],
            "encoder v4l2h264enc (hardware): it passed its trial",
        );
        check(
            vec![candidate("v4l2h264enc", None), candidate("x264enc", None)],
            &["x264enc"],
            Some("x264enc"),
            &["v4l2h264enc", "x264enc"],
            "encoder x264enc (software): it passed its trial; not v4l2h264enc: no frame",
        );
        check(
            vec![candidate("x264enc", None)],
            &[],
            None,
            &["x264enc"],
            "no encoder of this computer works",
        );
        check(vec![], &[], None, &[], "no encoder of this computer works");
    }

    #[test]
    fn an_encoder_with_a_verdict_is_not_tried() {
        check(
            vec![candidate("v4l2h264enc", Some(Verdict::Works)), candidate("x264enc", None)],
            &[],
            Some("v4l2h264enc"),
            &[],
            "encoder v4l2h264enc (hardware): it worked before",
        );
        check(
            vec![candidate("v4l2h264enc", failed()), candidate("x264enc", Some(Verdict::Works))],
            &[],
            Some("x264enc"),
            &[],
            "encoder x264enc (software): it worked before; not v4l2h264enc: failed before",
        );
    }

    #[test]
    fn an_encoder_that_failed_once_is_chosen_again() {
        let stumbled = Verdict::Stumbled { until: Duration::ZERO, why: "it stopped".into() };
        check(
            vec![candidate("v4l2h264enc", Some(stumbled)), candidate("x264enc", None)],
            &[],
            Some("v4l2h264enc"),
            &[],
            "encoder v4l2h264enc (hardware): it worked before",
        );
    }

    #[test]
    fn failed_encoders_are_tried_again_if_no_other_works() {
        check(
            vec![candidate("v4l2h264enc", failed()), candidate("x264enc", None)],
            &["v4l2h264enc"],
            Some("v4l2h264enc"),
            &["x264enc", "v4l2h264enc"],
            "encoder v4l2h264enc (hardware): it passed its trial; not x264enc: no frame",
        );
    }
}
