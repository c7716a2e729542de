//! Writes what of a discovery list is worth keeping, in the format in which lists come.
//!
//! Does not: keep what changes from minute to minute.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{DiscoveryEntry, Runner, RunnerMode};
use crate::price::Price;

/// The entries as a JSON list.
pub(super) fn entries(entries: &[DiscoveryEntry]) -> Vec<u8> {
    let entries: Vec<EntryOut<'_>> = entries.iter().map(EntryOut::of).collect();
    // Texts and numbers always are JSON.
    serde_json::to_vec(&entries).unwrap_or_default()
}

#[derive(Serialize)]
struct EntryOut<'a> {
    address: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    capabilities: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    runners: Vec<RunnerOut<'a>>,
}

#[derive(Serialize)]
struct RunnerOut<'a> {
    url: String,
    app: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gpu: Option<GpuOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price_info: Option<PriceOut>,
}

#[derive(Serialize)]
struct GpuOut<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    vram_mb: Option<u64>,
}

#[derive(Serialize)]
struct PriceOut {
    price: Box<RawValue>,
    currency: &'static str,
    unit: &'static str,
}

impl<'a> EntryOut<'a> {
    fn of(entry: &'a DiscoveryEntry) -> Self {
        Self {
            address: entry.address.to_string(),
            capabilities: &entry.capabilities,
            runners: entry.runners.iter().map(RunnerOut::of).collect(),
        }
    }
}

impl<'a> RunnerOut<'a> {
    fn of(runner: &'a Runner) -> Self {
        let price = |price: &Price| {
            let number = RawValue::from_string(price.decimal()?).ok()?;
            Some(PriceOut { price: number, currency: "wei", unit: price.unit().as_str() })
        };
        Self {
            url: runner.url.to_string(),
            app: &runner.app,
            version: runner.version.as_deref(),
            mode: runner.mode.map(RunnerMode::as_str),
            gpu: runner.gpu.as_ref().map(|gpu| GpuOut { name: &gpu.name, vram_mb: gpu.vram_mb }),
            price_info: runner.price.as_ref().and_then(price),
        }
    }
}
