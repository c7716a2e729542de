//! Reads the addresses of orchestrators and their pinned certificates.
//!
//! Does not: reach anybody.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::draft::Draft;
use crate::capacity;
use crate::http::{Fingerprint, Scheme, Url};

/// The port of an orchestrator whose address names none (go-livepeer's default).
const ORCHESTRATOR_PORT: u16 = 8935;

/// Keeps a list of orchestrators.
pub(super) fn keep_urls(draft: &mut Draft, texts: &[&str]) -> Result<(), String> {
    if texts.len() > capacity::CANDIDATES {
        return Err(format!("{} addresses; at most {}", texts.len(), capacity::CANDIDATES));
    }
    draft.orchestrators = texts.iter().map(|text| orchestrator(text)).collect::<Result<_, _>>()?;
    Ok(())
}

/// Keeps a table of host and port to fingerprint.
pub(super) fn keep_pins(draft: &mut Draft, table: &Map<String, Value>) -> Result<(), String> {
    if table.len() > capacity::PINS {
        return Err(format!("{} pins; at most {}", table.len(), capacity::PINS));
    }
    let mut pins = BTreeMap::new();
    for (host, print) in table {
        let print = print.as_str().and_then(Fingerprint::parse).ok_or_else(|| {
            format!(
                "\"{}\": not a SHA-256 fingerprint of 64 hexadecimal digits",
                host.escape_debug()
            )
        })?;
        pins.insert(orchestrator(host)?.authority().clone(), print);
    }
    draft.pins = pins;
    Ok(())
}

fn orchestrator(text: &str) -> Result<Url, String> {
    let url = Url::parse_base(text, ORCHESTRATOR_PORT).map_err(|error| error.to_string())?;
    match url.scheme() {
        Scheme::Https => Ok(url),
        Scheme::Http => Err(format!("{url}: orchestrators speak TLS only; use https")),
    }
}
