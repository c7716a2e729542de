//! Judges whether an agent runs with the configuration, and whether it may hold a device.
//!
//! Does not: ask the agent; `io::agent` does.

use super::finding::Finding;
use crate::cli::remote::{RemoteError, RunningAgent};
use resilience::fault::chain;

/// What is known about the agent of this configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AgentFound {
    /// It runs.
    Runs(RunningAgent),
    /// None runs.
    Absent,
    /// It could not be asked, for this reason.
    Unknown(String),
}

/// Who may hold a device that cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holder {
    /// The running agent, in these words.
    Agent(String),
    /// Perhaps an agent that could not be asked.
    Unknown,
    /// Another program.
    Other,
}

impl AgentFound {
    /// What the answer of the agent means.
    pub(super) fn of(answer: Result<Option<RunningAgent>, RemoteError>) -> Self {
        match answer {
            Ok(Some(agent)) => Self::Runs(agent),
            Ok(None) => Self::Absent,
            Err(error) => Self::Unknown(chain(&error)),
        }
    }

    /// The finding about it.
    pub(super) fn finding(&self) -> Finding {
        match self {
            Self::Runs(agent) => {
                let RunningAgent { address, summary, .. } = agent;
                let what = format!("{} runs with this configuration: {summary}", name(agent));
                Finding::ok("agent", what).about(address)
            }
            Self::Absent => Finding::ok("agent", "none runs with this configuration"),
            Self::Unknown(why) => Finding::warning(
                "agent",
                format!("it is not known whether one runs: {why}"),
                "run the check as the agent's user or root; with api.listen = \"off\", `systemctl status livepeer-edge` shows it",
            ),
        }
    }

    /// Who may hold the camera.
    pub(super) fn holder_of_camera(&self) -> Holder {
        match self {
            Self::Runs(agent) if agent.has_lost_camera => Holder::Other,
            Self::Runs(_) | Self::Absent | Self::Unknown(_) => self.holder(),
        }
    }

    /// Who may hold a device.
    pub(super) fn holder(&self) -> Holder {
        match self {
            Self::Runs(agent) => Holder::Agent(format!("the running agent, {},", name(agent))),
            Self::Absent => Holder::Other,
            Self::Unknown(_) => Holder::Unknown,
        }
    }
}

fn name(agent: &RunningAgent) -> String {
    match agent.process {
        Some(process) => format!("process {process}"),
        None => "an agent".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    /// An agent that runs; whether its camera works.
    fn agent(has_lost_camera: bool) -> AgentFound {
        AgentFound::Runs(RunningAgent {
            address: "http://127.0.0.1:8787".to_owned(),
            process: Some(7),
            summary: "live".to_owned(),
            has_lost_camera,
        })
    }

    #[track_caller]
    fn check(found: &AgentFound, verdict: Verdict, what: &str, holds_camera: &Holder) {
        let finding = found.finding();
        assert_eq!((finding.verdict, finding.what.as_str()), (verdict, what));
        assert_eq!(finding.advice.is_empty(), verdict == Verdict::Ok, "{}", finding.advice);
        assert_eq!(found.holder_of_camera(), *holds_camera);
    }

    #[test]
    fn an_agent_runs_or_not_or_cannot_be_asked() {
        let text = "process 7 runs with this configuration: live";
        let holds = Holder::Agent("the running agent, process 7,".to_owned());
        check(&agent(false), Verdict::Ok, text, &holds);
        // What it has lost, it does not hold.
        check(&agent(true), Verdict::Ok, text, &Holder::Other);
        assert_eq!(agent(true).holder(), holds);
        let absent = AgentFound::of(Ok(None));
        check(&absent, Verdict::Ok, "none runs with this configuration", &Holder::Other);
        let off = AgentFound::of(Err(RemoteError::Off));
        let text = "it is not known whether one runs: api.listen is \"off\" in this configuration: the agent cannot be asked";
        check(&off, Verdict::Warning, text, &Holder::Unknown);
    }
}
