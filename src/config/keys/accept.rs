//! Checks a value against what its key accepts, and keeps it in the draft.
//!
//! Does not: know any key by name.

use std::time::Duration;

use serde_json::Value;

use super::Takes;
use crate::config::draft::Draft;
use crate::config::problem::{Complaint, found};
use crate::config::quantity;

impl Takes {
    /// Keeps `value` in `draft`, or says what is wrong with it.
    pub(in crate::config) fn accept(
        &self,
        draft: &mut Draft,
        value: &Value,
    ) -> Result<(), Complaint> {
        let refused = || Complaint::NotAllowed { found: found(value), allowed: self.allowed() };
        match self {
            Self::OneOf(words) => {
                let text = value.as_str().ok_or_else(refused)?;
                let (_, keep) = words.iter().find(|(word, _)| *word == text).ok_or_else(refused)?;
                keep(draft);
            }
            Self::Flag(keep) => keep(draft, value.as_bool().ok_or_else(refused)?),
            Self::Whole { from, to, step, keep, .. } => {
                let number = value.as_u64().and_then(|n| u32::try_from(n).ok());
                let fits = |n: &u32| (*from..=*to).contains(n) && n.is_multiple_of(*step);
                keep(draft, number.filter(fits).ok_or_else(refused)?);
            }
            Self::BitRate { from, to, keep } => {
                let rate = value.as_u64().or_else(|| quantity::bit_rate(value.as_str()?));
                let rate = rate.and_then(|n| u32::try_from(n).ok());
                keep(draft, rate.filter(|n| (*from..=*to).contains(n)).ok_or_else(refused)?);
            }
            Self::Time { from, to, keep } => {
                let time =
                    value.as_str().and_then(quantity::milliseconds).map(Duration::from_millis);
                keep(draft, time.filter(|t| (*from..=*to).contains(t)).ok_or_else(refused)?);
            }
            Self::Text { keep, .. } => {
                keep(draft, value.as_str().ok_or_else(refused)?).map_err(Complaint::Wrong)?;
            }
            Self::Texts { keep, .. } => {
                let list = value.as_array().ok_or_else(refused)?;
                let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
                keep(draft, &texts.ok_or_else(refused)?).map_err(Complaint::Wrong)?;
            }
            Self::Table { keep, .. } => {
                keep(draft, value.as_object().ok_or_else(refused)?).map_err(Complaint::Wrong)?;
            }
        }
        Ok(())
    }

    /// What is accepted, in words for the user.
    pub fn allowed(&self) -> String {
        match self {
            Self::OneOf(words) => {
                words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
            }
            Self::Flag(_) => "true, false".to_owned(),
            Self::Whole { from, to, step: 2, unit, .. } => format!("even, {from} to {to} {unit}"),
            Self::Whole { from, to, unit, .. } => format!("{from} to {to} {unit}"),
            Self::BitRate { from, to, .. } => format!(
                "{} to {}",
                quantity::show_bit_rate(u64::from(*from)),
                quantity::show_bit_rate(u64::from(*to))
            ),
            Self::Time { from, to, .. } => {
                format!("{} to {}, with its unit", show_time(*from), show_time(*to))
            }
            Self::Text { kind, .. } => (*kind).to_owned(),
            Self::Texts { kind, .. } => format!("list of {kind}"),
            Self::Table { kind, .. } => (*kind).to_owned(),
        }
    }

    /// Converts a text of the environment or of an argument, which is not TOML, to a value.
    pub(in crate::config) fn read_text(&self, text: &str) -> Value {
        let plain = || Value::String(text.to_owned());
        match self {
            Self::Flag(_) | Self::Whole { .. } | Self::Table { .. } => {
                serde_json::from_str(text).unwrap_or_else(|_| plain())
            }
            Self::Texts { separator, .. } => {
                let parts = text.split(*separator).map(str::trim).filter(|part| !part.is_empty());
                Value::Array(parts.map(|part| Value::String(part.to_owned())).collect())
            }
            Self::OneOf(_) | Self::BitRate { .. } | Self::Time { .. } | Self::Text { .. } => {
                plain()
            }
        }
    }
}

fn show_time(time: Duration) -> String {
    quantity::show_milliseconds(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
