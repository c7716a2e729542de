//! The name and the labels of this instance of the program.
//!
//! Does not: read the host's name; `io` does.

use std::collections::BTreeMap;

/// The most labels.
const LABELS: usize = 16;
/// The most characters of a name or a value.
const CHARS: usize = 100;
/// Labels that the metrics have already.
const TAKEN: [&str; 8] = ["instance", "le", "link", "state", "reason", "output", "kind", "name"];

/// The options of the status.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatusOptions {
    /// The name of this instance; `None` for the host's name, with the name of the configuration.
    pub instance: Option<String>,
    /// Labels of all metrics.
    pub labels: BTreeMap<String, String>,
}

/// The name and the labels of this instance.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The name: no other instance in the same fleet should have it.
    pub instance: String,
    /// Labels of all metrics.
    pub labels: BTreeMap<String, String>,
}

impl Identity {
    /// The identity that the options mean on this `host`, for the configuration named `config`.
    pub(super) fn new(options: &StatusOptions, host: &str, config: Option<&str>) -> Self {
        let usual = || match config {
            Some(name) if name != "livepeer-edge" && name != "config" => format!("{host}-{name}"),
            Some(_) | None => host.to_owned(),
        };
        let instance = options.instance.clone().unwrap_or_else(usual);
        Self { instance, labels: options.labels.clone() }
    }
}

/// Checks the name of an instance.
pub(crate) fn checked_name(text: &str) -> Result<String, String> {
    let is_short = text.chars().count() <= CHARS;
    if text.trim().is_empty() || !is_short || text.chars().any(char::is_control) {
        return Err(format!("must be 1 to {CHARS} printable characters"));
    }
    Ok(text.to_owned())
}

/// Checks the labels.
pub(crate) fn checked_labels<'a>(
    pairs: impl Iterator<Item = (&'a String, Option<&'a str>)>,
) -> Result<BTreeMap<String, String>, String> {
    let mut labels = BTreeMap::new();
    for (name, value) in pairs {
        let mut chars = name.chars();
        let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
        let is_word =
            chars.next().is_some_and(is_first) && chars.all(|c| is_first(c) || c.is_ascii_digit());
        if !is_word || name.starts_with("__") || name.len() > CHARS {
            return Err(format!(
                "`{name}` is not the name of a label: write letters, digits and _, not a digit first or __"
            ));
        }
        if TAKEN.contains(&name.as_str()) {
            return Err(format!(
                "`{name}` is a label of the metrics themselves: choose another name"
            ));
        }
        let value = value.ok_or_else(|| format!("the value of `{name}` must be a text"))?;
        labels.insert(name.clone(), checked_name(value).map_err(|why| format!("`{name}` {why}"))?);
    }
    if labels.len() > LABELS {
        return Err(format!("must have at most {LABELS} labels"));
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_named_by_its_options_or_by_host_and_configuration() {
        #[track_caller]
        fn check(instance: Option<&str>, config: Option<&str>, expected: &str) {
            let options =
                StatusOptions { instance: instance.map(str::to_owned), ..StatusOptions::default() };
            assert_eq!(Identity::new(&options, "pi", config).instance, expected);
        }
        check(None, None, "pi");
        check(None, Some("livepeer-edge"), "pi");
        check(None, Some("front"), "pi-front");
        check(Some("door"), Some("front"), "door");
    }

    #[test]
    fn a_label_has_a_name_of_its_own_and_a_short_value() {
        let check = |name: &str, value: Option<&str>, is_good: bool| {
            let name = name.to_owned();
            let labels = checked_labels([(&name, value)].into_iter());
            assert_eq!(labels.is_ok(), is_good, "{name}: {labels:?}");
        };
        check("site", Some("roof 3"), true);
        check("_a1", Some("x"), true);
        check("1a", Some("x"), false);
        check("__a", Some("x"), false);
        check("a-b", Some("x"), false);
        check("", Some("x"), false);
        check("instance", Some("x"), false);
        check("site", None, false);
        check("site", Some(""), false);
        check("site", Some("a\nb"), false);
        check("site", Some(&"x".repeat(CHARS + 1)), false);
        let many: Vec<String> = (0..=LABELS).map(|n| format!("l{n}")).collect();
        assert!(checked_labels(many.iter().map(|name| (name, Some("x")))).is_err());
    }
}
