//! Writes the lists of orchestrators and runners.
//!
//! Does not: check the additional entries of the options; a test may add invalid ones.

use serde_json::{Value, json};

use crate::runner::answers::listed;
use crate::world::World;

/// The prefix of a capability, before the model.
const PIPELINE: &str = "live-video-to-video/";

impl World {
    /// The list that the orchestrator serves; `None` without runners.
    pub(crate) fn own_runners(&self) -> Option<String> {
        let runners = self.runners();
        let own = json!([{ "address": self.url(false), "runners": runners }]);
        (!runners.is_empty()).then(|| own.to_string())
    }

    /// The list that the signer serves. With the query `caps=pipeline/model&caps=…&app=…`, the list includes this
    /// orchestrator if it offers one of these; without a query, it always does.
    pub(crate) fn orchestrators(&self, query: &str) -> String {
        let asked = |key: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let values = pairs.filter(|(name, value)| *name == key && !value.is_empty());
            values.map(|(_, value)| value.to_owned()).collect::<Vec<String>>()
        };
        let (caps, apps) = (asked("caps"), asked("app"));
        let offered: Vec<String> = match self.options.models.as_slice() {
            // An empty list of models offers every model.
            [] => caps.iter().filter(|cap| cap.starts_with(PIPELINE)).cloned().collect(),
            models => models.iter().map(|model| format!("{PIPELINE}{model}")).collect(),
        };
        let has_app = |app: &String| self.options.runners.iter().any(|runner| runner.app == *app);
        let fits = (caps.is_empty() && apps.is_empty())
            || caps.iter().any(|cap| offered.contains(cap))
            || apps.iter().any(has_app);
        let own = json!({
            "address": self.url(false),
            "score": 1,
            "capabilities": offered,
            "runners": self.runners(),
        });
        let own = fits.then(|| own.to_string());
        let listed = self.lock().listed.clone();
        let entries: Vec<String> = own.into_iter().chain(listed).collect();
        format!("[{}]", entries.join(","))
    }

    fn runners(&self) -> Vec<Value> {
        let state = self.lock();
        let base = self.url(false);
        let runners = self.options.runners.iter().enumerate();
        runners
            .map(|(place, runner)| listed(&base, place, runner, state.sessions.of(place)))
            .collect()
    }
}
