//! Serializes a discovery list for the state directory, in the format of the network.
//!
//! Does not: write values that change by the minute, such as free capacity.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{DiscoveryEntry, Runner, RunnerMode};
use crate::price::Price;

/// Serializes the entries as a JSON list.
pub(super) fn entries(entries: &[DiscoveryEntry]) -> Vec<u8> {
    let entries: Vec<EntryJson<'_>> = entries.iter().map(EntryJson::of).collect();
    // Serializing texts and numbers cannot fail.
    serde_json::to_vec(&entries).unwrap_or_default()
}

#[derive(Serialize)]
struct EntryJson<'a> {
    address: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    capabilities: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    runners: Vec<RunnerJson<'a>>,
}

#[derive(Serialize)]
struct RunnerJson<'a> {
    url: String,
    app: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gpu: Option<GpuJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price_info: Option<PriceJson>,
}

#[derive(Serialize)]
struct GpuJson<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    vram_mb: Option<u64>,
}

#[derive(Serialize)]
struct PriceJson {
    price: Box<RawValue>,
    currency: &'static str,
    unit: &'static str,
}

impl<'a> EntryJson<'a> {
    fn of(entry: &'a DiscoveryEntry) -> Self {
        Self {
            address: entry.address.to_string(),
            capabilities: &entry.capabilities,
            runners: entry.runners.iter().map(RunnerJson::of).collect(),
        }
    }
}

impl<'a> RunnerJson<'a> {
    fn of(runner: &'a Runner) -> Self {
        let price = |price: &Price| {
            let number = RawValue::from_string(price.decimal()?).ok()?;
            Some(PriceJson { price: number, currency: "wei", unit: price.unit().as_str() })
        };
        Self {
            url: runner.url.to_string(),
            app: &runner.app,
            version: runner.version.as_deref(),
            mode: runner.mode.map(RunnerMode::as_str),
            gpu: runner.gpu.as_ref().map(|gpu| GpuJson { name: &gpu.name, vram_mb: gpu.vram_mb }),
            price_info: runner.price.as_ref().and_then(price),
        }
    }
}
