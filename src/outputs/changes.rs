//! Decides which changes of the outputs' states are events: each failure and each recovery, once.
//!
//! Does not: report an output that only waits, for video or for a reader.

use crate::events::Kind;
use media::{Health, OutputState};

/// The outputs whose failure was published, by name.
#[derive(Debug, Default)]
pub(super) struct Failing(Vec<String>);

impl Failing {
    /// Call it with all states whenever one has changed. Returns the events to publish.
    pub(super) fn on_states(&mut self, states: &[OutputState]) -> Vec<Kind> {
        // An output that was removed fails no more, and works no more either.
        self.0.retain(|name| states.iter().any(|state| state.name == *name));
        states.iter().filter_map(|state| self.on_state(state)).collect()
    }

    fn on_state(&mut self, state: &OutputState) -> Option<Kind> {
        let output = state.name.clone();
        let known = self.0.iter().position(|name| *name == output);
        match (state.health, known) {
            (Health::Failed, None) => {
                self.0.push(output.clone());
                let reason = state.why.clone().unwrap_or_default();
                Some(Kind::OutputTrouble { output, reason })
            }
            (Health::Ok, Some(nth)) => {
                self.0.remove(nth);
                Some(Kind::OutputWorks { output })
            }
            (Health::Failed, Some(_)) | (Health::Ok, None) | (Health::Waiting, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn states(states: &[(&str, Health)]) -> Vec<OutputState> {
        let state = |(name, health): &(&str, Health)| OutputState {
            name: (*name).to_owned(),
            kind: "file",
            health: *health,
            since: Instant::now(),
            why: (*health != Health::Ok).then(|| format!("{name} is full")),
            bytes: 0,
            drops: 0,
        };
        states.iter().map(state).collect()
    }

    #[test]
    fn a_failure_and_its_end_are_events_once() {
        let mut failing = Failing::default();
        let mut on = |of: &[(&str, Health)]| failing.on_states(&states(of));
        let works = |output: &str| Kind::OutputWorks { output: output.to_owned() };
        let trouble = |output: &str| Kind::OutputTrouble {
            output: output.to_owned(),
            reason: format!("{output} is full"),
        };
        assert_eq!(on(&[("a", Health::Waiting), ("b", Health::Ok)]), []);
        assert_eq!(
            on(&[("a", Health::Failed), ("b", Health::Failed)]),
            [trouble("a"), trouble("b")]
        );
        assert_eq!(on(&[("a", Health::Failed), ("b", Health::Ok)]), [works("b")]);
        // It waits for a reader, so it is not known to work.
        assert_eq!(on(&[("a", Health::Waiting), ("b", Health::Ok)]), []);
        assert_eq!(on(&[("a", Health::Ok), ("b", Health::Ok)]), [works("a")]);
    }

    #[test]
    fn an_output_that_is_removed_says_nothing_and_begins_again_as_another() {
        let mut failing = Failing::default();
        assert_eq!(failing.on_states(&states(&[("a", Health::Failed)])).len(), 1);
        assert_eq!(failing.on_states(&[]), []);
        assert_eq!(failing.on_states(&states(&[("a", Health::Ok)])), []);
    }
}
