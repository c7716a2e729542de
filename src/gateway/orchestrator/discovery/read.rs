//! Parses the entries of a discovery list one by one, skipping malformed parts.
//!
//! Does not: sort the list or limit its length.

use std::fmt;

use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{DiscoveryEntry, Gpu, Runner, RunnerMode};
use crate::http::Url;
use crate::limits::{CAPABILITIES, NAME_BYTES, RUNNERS};
use crate::price::{Price, PriceError, PriceUnit};
use resilience::sanitize::is_harmful;

/// The default port of an orchestrator (protocol.md, "words").
pub(super) const DEFAULT_PORT: u16 = 8935;

/// A parsed entry, with the numbers of its malformed and surplus parts.
pub(super) struct ParsedEntry {
    pub(super) entry: DiscoveryEntry,
    pub(super) score: f64,
    pub(super) malformed: usize,
    pub(super) beyond: usize,
}

/// Calls `each` for every item of the list, with `None` for a malformed one.
pub(super) fn entries(
    body: &[u8],
    mut each: impl FnMut(Option<ParsedEntry>),
) -> Result<(), serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(body);
    Each(|item| each(EntryJson::read(item))).deserialize(&mut json)?;
    json.end()
}

/// Calls a function for each item of a JSON list, without holding the whole list in memory.
struct Each<F>(F);

impl<'de, F: FnMut(&'de RawValue)> DeserializeSeed<'de> for Each<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(&'de RawValue)> Visitor<'de> for Each<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<&RawValue>()? {
            (self.0)(item);
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct EntryJson<'a> {
    #[serde(borrow, default)]
    address: Option<&'a RawValue>,
    #[serde(borrow, default)]
    score: Option<&'a RawValue>,
    #[serde(borrow, default)]
    capabilities: Option<&'a RawValue>,
    #[serde(borrow, default)]
    runners: Option<&'a RawValue>,
}

impl EntryJson<'_> {
    fn read(item: &RawValue) -> Option<ParsedEntry> {
        let json: EntryJson<'_> = serde_json::from_str(item.get()).ok()?;
        let (mut malformed, mut beyond) = (0, 0);
        let mut runners: Vec<Runner> = Vec::new();
        each(json.runners, |item| match RunnerJson::read(item) {
            Some(_) if runners.len() == RUNNERS => beyond += 1,
            Some(runner) => runners.push(runner),
            None => malformed += 1,
        });
        let mut capabilities = Vec::new();
        each(json.capabilities, |item| match name(Some(item)) {
            Some(_) if capabilities.len() == CAPABILITIES => beyond += 1,
            Some(capability) => capabilities.push(capability),
            None => malformed += 1,
        });
        let address = match json.address {
            Some(_) => short(Url::parse_base(&name(json.address)?, DEFAULT_PORT).ok()?)?,
            // An orchestrator may leave out its own address, so take the address of its runners.
            None => {
                let runner = &runners.first()?.url;
                let base = format!("{}://{}", runner.scheme().as_str(), runner.authority());
                Url::parse_base(&base, DEFAULT_PORT).ok()?
            }
        };
        let score = json.score.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let entry = DiscoveryEntry { address, capabilities, runners };
        Some(ParsedEntry { entry, score: score.unwrap_or_default(), malformed, beyond })
    }
}

#[derive(Deserialize)]
struct RunnerJson<'a> {
    #[serde(borrow, default)]
    url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    app: Option<&'a RawValue>,
    #[serde(borrow, default)]
    version: Option<&'a RawValue>,
    #[serde(borrow, default)]
    mode: Option<&'a RawValue>,
    #[serde(borrow, default)]
    capacity: Option<&'a RawValue>,
    #[serde(borrow, default)]
    capacity_used: Option<&'a RawValue>,
    #[serde(borrow, default)]
    capacity_available: Option<&'a RawValue>,
    #[serde(borrow, default)]
    gpu: Option<&'a RawValue>,
    #[serde(borrow, default)]
    price_info: Option<&'a RawValue>,
}

impl RunnerJson<'_> {
    fn read(item: &RawValue) -> Option<Runner> {
        let json: RunnerJson<'_> = serde_json::from_str(item.get()).ok()?;
        let url = short(Url::parse(&name(json.url)?).ok()?).filter(|u| !u.path().contains('?'))?;
        let capacity = number(json.capacity);
        let used = number(json.capacity_used);
        let left = capacity.zip(used).map(|(capacity, used)| capacity.saturating_sub(used));
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Some(Runner {
            url,
            app: name(json.app)?,
            version: name(json.version),
            mode: name(json.mode).as_deref().and_then(RunnerMode::from_wire),
            capacity: capacity.map(small),
            free: number(json.capacity_available).or(left).map(small),
            gpu: json.gpu.and_then(GpuJson::read),
            price: json.price_info.map(PriceJson::read).transpose().ok()?,
        })
    }
}

#[derive(Deserialize)]
struct GpuJson<'a> {
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    vram_mb: Option<&'a RawValue>,
}

impl GpuJson<'_> {
    fn read(item: &RawValue) -> Option<Gpu> {
        let json: GpuJson<'_> = serde_json::from_str(item.get()).ok()?;
        Some(Gpu { name: name(json.name)?, vram_mb: number(json.vram_mb) })
    }
}

#[derive(Deserialize)]
struct PriceJson<'a> {
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(default)]
    currency: Option<String>,
    unit: String,
}

impl PriceJson<'_> {
    /// Parses a price exactly. An error drops the runner: a price that was misread must not be paid.
    fn read(item: &RawValue) -> Result<Price, PriceError> {
        let wrong = || PriceError::Number(String::new());
        let json: PriceJson<'_> = serde_json::from_str(item.get()).map_err(|_| wrong())?;
        match json.currency.as_deref() {
            None | Some("wei") => {}
            Some(other) => return Err(PriceError::Currency(other.chars().take(16).collect())),
        }
        let unit = PriceUnit::from_wire(&json.unit);
        let unit =
            unit.ok_or_else(|| PriceError::PriceUnit(json.unit.chars().take(32).collect()))?;
        Price::parse(json.price.get().trim_matches('"'), unit)
    }
}

fn each<'a>(list: Option<&'a RawValue>, item: impl FnMut(&'a RawValue)) {
    if let Some(list) = list {
        // A value that is not a list counts as an empty one.
        let _ = Each(item).deserialize(&mut serde_json::Deserializer::from_str(list.get()));
    }
}

/// The text of a name: not empty, at most [`NAME_BYTES`] long, and without control characters.
fn name(raw: Option<&RawValue>) -> Option<String> {
    let raw = raw.filter(|raw| raw.get().len() <= 2 * NAME_BYTES)?;
    let text: String = serde_json::from_str(raw.get()).ok()?;
    let text = text.trim();
    let is_name = !text.is_empty() && text.len() <= NAME_BYTES && !text.contains(is_harmful);
    is_name.then(|| text.to_owned())
}

/// Rejects a URL whose normalized form is longer than [`NAME_BYTES`], so that a saved list reads back.
fn short(url: Url) -> Option<Url> {
    (url.to_string().len() <= NAME_BYTES).then_some(url)
}

fn number(raw: Option<&RawValue>) -> Option<u64> {
    serde_json::from_str(raw?.get()).ok()
}
