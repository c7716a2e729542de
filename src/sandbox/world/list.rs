//! The list of orchestrators that the signer serves, and any discovery endpoint.
//!
//! Does not: check the entries that were added; they may be nonsense on purpose.

use serde_json::{Value, json};

use crate::sandbox::world::World;

/// Before the model of a capability.
const PIPELINE: &str = "live-video-to-video/";

impl World {
    /// The list for `caps=pipeline/model&caps=…`, any of which fits; for an empty query all entries.
    pub(crate) fn orchestrators(&self, query: &str) -> String {
        let wanted: Vec<&str> = query
            .split('&')
            .filter_map(|pair| pair.strip_prefix("caps="))
            .filter(|wanted| !wanted.is_empty())
            .collect();
        let has = |name: &str| wanted.is_empty() || wanted.contains(&name);
        let models = &self.options.models;
        let offered: Vec<String> = match models.as_slice() {
            // It has every model.
            [] => wanted
                .iter()
                .filter(|wanted| wanted.starts_with(PIPELINE))
                .map(|wanted| (*wanted).to_owned())
                .collect(),
            models => models.iter().map(|model| format!("{PIPELINE}{model}")).collect(),
        };
        let fits = if models.is_empty() {
            wanted.is_empty() || !offered.is_empty()
        } else {
            offered.iter().any(|name| has(name))
        };
        let own = json!({
            "address": self.url(false),
            "score": 1,
            "capabilities": offered,
        });
        let own = fits.then(|| Value::to_string(&own));
        let listed = self.lock().listed.clone();
        let entries: Vec<String> = own.into_iter().chain(listed).collect();
        format!("[{}]", entries.join(","))
    }
}
