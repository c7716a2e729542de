//! What a check found: a verdict, the fact, and what to do; and the report of all findings.
//!
//! Does not: judge; the files beside this one do.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::print;
use resilience::sanitize;

/// The most characters of a fact or an advice.
const CHARS: usize = 1000;

/// The verdict of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing to do.
    Ok,
    /// A job works, but may be degraded; or the check could not be made.
    Warning,
    /// A job does not work.
    Failed,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// The name of the check, for programs; it does not change between versions.
    pub(super) id: &'static str,
    /// The thing that was checked, such as a host or a directory; empty if the check has one thing only.
    pub(super) name: String,
    pub(super) verdict: Verdict,
    /// The fact.
    pub(super) what: String,
    /// What to do; empty if there is nothing.
    pub(super) advice: String,
}

impl Finding {
    /// A check that found nothing to do.
    pub(super) fn ok(id: &'static str, what: impl Into<String>) -> Self {
        let (name, advice) = (String::new(), String::new());
        Self { id, name, verdict: Verdict::Ok, what: what.into(), advice }
    }

    /// A check that found something that degrades a job.
    pub(super) fn warning(
        id: &'static str,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { verdict: Verdict::Warning, advice: advice.into(), ..Self::ok(id, what) }
    }

    /// A check that found why no job works.
    pub(super) fn failed(
        id: &'static str,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { verdict: Verdict::Failed, advice: advice.into(), ..Self::ok(id, what) }
    }

    /// The same, about the thing of this name.
    #[must_use]
    pub(super) fn about(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The lines for people.
    fn text(&self) -> String {
        let Self { id, name, verdict, what, advice } = self;
        let about = if name.is_empty() { String::new() } else { format!("{name}: ") };
        let mut text =
            format!("{:8} {id:14} {}\n", verdict.as_str(), line(&format!("{about}{what}")));
        if !advice.is_empty() {
            text.push_str(&format!("{:24}{}\n", "", line(advice)));
        }
        text
    }

    fn json(&self) -> Value {
        let Self { id, name, verdict, what, advice } = self;
        let filled = |text: &str| Some(line(text)).filter(|text| !text.is_empty());
        json!({
            "id": id,
            "name": filled(name),
            "verdict": verdict.as_str(),
            "what": line(what),
            "advice": filled(advice),
        })
    }
}

fn line(text: &str) -> String {
    sanitize::line(text, CHARS)
}

/// The findings so far.
pub(super) struct CheckReport {
    is_json: bool,
    findings: Vec<Finding>,
}

impl CheckReport {
    pub(super) fn new(is_json: bool) -> Self {
        Self { is_json, findings: Vec::new() }
    }

    /// Adds findings, and prints them for people.
    pub(super) fn add(&mut self, findings: Vec<Finding>) {
        if !self.is_json {
            findings.iter().for_each(|finding| print(&finding.text()));
        }
        self.findings.extend(findings);
    }

    /// Prints the end of the report; returns how many checks failed.
    pub(super) fn end(&self) -> usize {
        let count = |verdict| self.findings.iter().filter(|one| one.verdict == verdict).count();
        let (ok, warnings, failed) =
            (count(Verdict::Ok), count(Verdict::Warning), count(Verdict::Failed));
        print(&match self.is_json {
            true => format!("{:#}\n", self.findings.iter().map(Finding::json).collect::<Value>()),
            false => format!("\n{ok} ok, {warnings} warnings, {failed} failed\n"),
        });
        failed
    }
}

/// The findings about a valid configuration in the file of this name; `removed` are its keys of earlier versions.
pub(super) fn of_configuration(name: Option<String>, removed: &[String]) -> Vec<Finding> {
    let about = name.unwrap_or_default();
    let gone = |problem: &String| {
        let advice = "delete the key from the configuration";
        Finding::warning("configuration", problem, advice).about(&about)
    };
    let ok = Finding::ok("configuration", "is valid").about(&about);
    [ok].into_iter().chain(removed.iter().map(gone)).collect()
}

/// The findings about a configuration with these problems.
pub(super) fn of_wrong_configuration(problems: &[String]) -> Vec<Finding> {
    let advice = "correct the configuration; `livepeer-edge help config` prints all keys";
    problems.iter().map(|problem| Finding::failed("configuration", problem, advice)).collect()
}

/// The finding about checks that did not end within `time`.
pub(super) fn of_all_late(time: Duration) -> Finding {
    let what = format!("not all checks ended within {} s", time.as_secs());
    Finding::failed("time", what, "run the check again; a device or the network does not answer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_and_its_advice_another() {
        let finding = Finding::warning("disk", "5 MB\nare free", "make room").about("/srv");
        assert_eq!(
            finding.text(),
            "warning  disk           /srv: 5 MB are free\n                        make room\n"
        );
        assert_eq!(Finding::ok("clock", "is set").text(), "ok       clock          is set\n");
    }

    #[test]
    fn programs_get_the_same() {
        let finding = Finding::failed("tls", "is not trusted", "pin it").about("a:1");
        let expected = json!({
            "id": "tls", "name": "a:1", "verdict": "failed", "what": "is not trusted", "advice": "pin it"
        });
        assert_eq!(finding.json(), expected);
        let ok = Finding::ok("clock", "is set").json();
        assert_eq!((&ok["name"], &ok["advice"]), (&Value::Null, &Value::Null));
    }
}
