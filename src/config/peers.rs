//! Parses the addresses of orchestrators, signers and discovery endpoints, their pinned certificates, and the places of
//! their credentials.
//!
//! Does not: connect.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::draft::Draft;
use livepeer_gateway::http::{Authority, Fingerprint, Scheme, Url};
use livepeer_gateway::limits;
use livepeer_gateway::orchestrator::Headers;
use resilience::secret::NoSource;

/// The port of an orchestrator's address without a port (go-livepeer's default).
const ORCHESTRATOR_PORT: u16 = 8935;
/// The port of a signer's address without a port: that of https.
const SIGNER_PORT: u16 = 443;
/// The error for a malformed fingerprint.
const NO_FINGERPRINT: &str = "not a SHA-256 fingerprint of 64 hexadecimal digits";
/// The most headers for one endpoint.
const HEADERS: usize = 16;

/// Keeps a list of orchestrators.
pub(super) fn keep_urls(draft: &mut Draft, texts: &[&str]) -> Result<(), String> {
    if texts.len() > limits::CANDIDATES {
        return Err(format!("{} addresses; at most {}", texts.len(), limits::CANDIDATES));
    }
    draft.orchestrators = texts.iter().map(|text| orchestrator(text)).collect::<Result<_, _>>()?;
    Ok(())
}

/// Keeps a list of signers.
pub(super) fn keep_signers(draft: &mut Draft, texts: &[&str]) -> Result<(), String> {
    if texts.len() > limits::SIGNERS {
        return Err(format!("{} addresses; at most {}", texts.len(), limits::SIGNERS));
    }
    let signer = |text: &&str| Url::parse_base(text, SIGNER_PORT).map_err(|e| e.to_string());
    draft.access.signers = texts.iter().map(signer).collect::<Result<_, _>>()?;
    Ok(())
}

/// Keeps the discovery endpoint: a whole URL, which may contain a query.
pub(super) fn keep_discovery(draft: &mut Draft, text: &str) -> Result<(), String> {
    let text = text.trim();
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    draft.access.discovery = Some(Url::parse(&whole).map_err(|error| error.to_string())?);
    Ok(())
}

/// Parses a table of header names and the places of their values.
pub(super) fn headers(table: &Map<String, Value>) -> Result<Headers, String> {
    if table.len() > HEADERS {
        return Err(format!("{} headers; at most {HEADERS}", table.len()));
    }
    let mut headers = Headers::new();
    for (name, source) in table {
        let shown = name.escape_debug();
        let source = source.as_str().ok_or(NoSource).and_then(str::parse);
        let source = source.map_err(|error| format!("\"{shown}\" {error}"))?;
        let name = name.parse().map_err(|_| format!("\"{shown}\" is not a header name"))?;
        headers.push((name, source));
    }
    Ok(headers)
}

/// Keeps the pinned certificates of signers and discovery endpoints.
pub(super) fn keep_service_pins(
    draft: &mut Draft,
    table: &Map<String, Value>,
) -> Result<(), String> {
    draft.access.services.pins =
        pins(table, |host| Url::parse_base(host, SIGNER_PORT).map_err(|error| error.to_string()))?;
    Ok(())
}

/// Keeps the pinned certificates of orchestrators.
pub(super) fn keep_pins(draft: &mut Draft, table: &Map<String, Value>) -> Result<(), String> {
    draft.pins = pins(table, orchestrator)?;
    Ok(())
}

fn pins(
    table: &Map<String, Value>,
    peer: impl Fn(&str) -> Result<Url, String>,
) -> Result<BTreeMap<Authority, Fingerprint>, String> {
    if table.len() > limits::PINS {
        return Err(format!("{} pins; at most {}", table.len(), limits::PINS));
    }
    let mut pins = BTreeMap::new();
    for (host, print) in table {
        let print = print.as_str().ok_or(NO_FINGERPRINT).and_then(fingerprint);
        let print = print.map_err(|error| format!("\"{}\": {error}", host.escape_debug()))?;
        pins.insert(peer(host)?.authority().clone(), print);
    }
    Ok(pins)
}

/// Parses the SHA-256 of a certificate.
pub(super) fn fingerprint(text: &str) -> Result<Fingerprint, &'static str> {
    Fingerprint::parse(text).ok_or(NO_FINGERPRINT)
}

fn orchestrator(text: &str) -> Result<Url, String> {
    let url = Url::parse_base(text, ORCHESTRATOR_PORT).map_err(|error| error.to_string())?;
    match url.scheme() {
        Scheme::Https => Ok(url),
        Scheme::Http => Err(format!("{url}: orchestrators speak TLS only; use https")),
    }
}
