//! Writes a configuration file from keys and values, and decides whether a file sets any key.
//!
//! Does not: judge values; [`super::resolve`] does.

use std::collections::BTreeMap;

use serde_json::Value;

use super::keys::{Key, key, keys};
use super::toml::entries;

/// A configuration file that begins with `head` and sets these keys. The last value of a repeated key counts; unknown keys
/// are ignored.
pub fn file(head: &str, settings: &[(String, String)]) -> String {
    let given = |wanted: &Key| settings.iter().rfind(|(name, _)| name == wanted.name);
    sections(head, |key| given(key).map(|(_, text)| key.takes.read_text(text)))
}

/// A configuration file that begins with `head` and sets each key for which `value` returns one.
pub(super) fn sections(head: &str, value: impl Fn(&Key) -> Option<Value>) -> String {
    let mut text = head.to_owned();
    let mut section = "";
    for (key, value) in keys().filter_map(|key| Some((key, value(key)?))) {
        if key.section() != section {
            section = key.section();
            text.push_str(&format!("\n[{section}]\n"));
        }
        text.push_str(&format!("{} = {}\n", key.short(), toml(&value)));
    }
    text
}

/// A configuration file that begins with `head`, with these values and these `[[output]]` tables. A file has either
/// `[output]` or `[[output]]`, so if there are tables, the output of `values` becomes a table too.
pub(super) fn with_tables(
    head: &str,
    values: &BTreeMap<&'static str, Value>,
    tables: &[BTreeMap<&'static str, Value>],
) -> String {
    let is_output = |key: &Key| key.section() == "output";
    if tables.is_empty() {
        return sections(head, |key| values.get(key.name).cloned());
    }
    let mut text = sections(head, |key| values.get(key.name).filter(|_| !is_output(key)).cloned());
    let has_plain = keys().any(|key| is_output(key) && values.contains_key(key.name));
    for table in has_plain.then_some(values).into_iter().chain(tables) {
        text.push_str("\n[[output]]\n");
        for key in keys().filter(|key| is_output(key)) {
            if let Some(value) = table.get(key.name) {
                text.push_str(&format!("{} = {}\n", key.short(), toml(value)));
            }
        }
    }
    text
}

/// Whether a file sets no key: it has only comments and empty sections.
pub fn is_blank(text: &str) -> bool {
    let is_section = |name: &str| !name.contains('.') && key(name).is_none();
    let empty = Value::Object(serde_json::Map::new());
    entries(text).is_ok_and(|entries| {
        entries.iter().all(|entry| is_section(&entry.key) && entry.value.as_ref() == Ok(&empty))
    })
}

/// A value in TOML.
fn toml(value: &Value) -> String {
    let joined = |parts: Vec<String>| parts.join(", ");
    match value {
        // TOML has no null, and no key takes one.
        Value::Null => "\"\"".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(list) => format!("[{}]", joined(list.iter().map(toml).collect())),
        Value::Object(table) if table.is_empty() => "{}".to_owned(),
        Value::Object(table) => {
            let part =
                |(name, value): (&String, &Value)| format!("{} = {}", quoted(name), toml(value));
            format!("{{ {} }}", joined(table.iter().map(part).collect()))
        }
    }
}

/// A basic string of TOML: as in JSON, except for DEL.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layers, Purpose, resolve, resolve_all};

    fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
        settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn sections_stand_in_the_order_of_the_table() {
        let settings = owned(&[
            ("output.path", "a.ts"),
            ("video.fps", "12"),
            ("orchestrator.urls", "a.example, b.example"),
            ("video.fps", "15"),
            ("video.width", "640"),
            ("no.such", "key"),
        ]);
        let expected = "# head\n\n[video]\nwidth = 640\nfps = 15\n\n[orchestrator]\n\
                        urls = [\"a.example\", \"b.example\"]\n\n[output]\npath = \"a.ts\"\n";
        assert_eq!(file("# head\n", &settings), expected);
    }

    /// What is written reads as what was given.
    #[track_caller]
    fn check(settings: &[(&str, &str)]) {
        let arguments = owned(settings);
        let written = file("", &arguments);
        let given = resolve(&Layers { arguments, ..Layers::default() }, Purpose::Demo);
        let layers =
            Layers { file: Some(("a.toml".to_owned(), written.clone())), ..Layers::default() };
        assert!(given.is_ok(), "{given:?}");
        assert_eq!(resolve(&layers, Purpose::Demo), given, "{written}");
        let kept = resolve_all(&layers, Purpose::Demo).unwrap().text("# kept\n");
        let layers =
            Layers { file: Some(("b.toml".to_owned(), kept.clone())), ..Layers::default() };
        assert_eq!(resolve(&layers, Purpose::Demo), given, "{kept}");
    }

    #[test]
    fn what_is_written_reads_as_what_was_given() {
        check(&[]);
        check(&[("video.bitrate", "800 kbit/s"), ("video.segment", "1500ms")]);
        check(&[("video.bitrate", "800000"), ("source.repeat", "true")]);
        check(&[
            ("source.kind", "file"),
            ("source.path", "/a b/\"quoted\" \\ \u{7f}\t\u{1} ü.mp4"),
        ]);
        check(&[("orchestrator.urls", "o.example,https://p.example:1234")]);
        check(&[("job.params", r#"{"prompt": "a \"b\"", "n": [1, -2.5, true, {"x y": {}}]}"#)]);
    }

    #[test]
    fn a_file_of_comments_is_blank() {
        assert!(is_blank(""));
        assert!(is_blank("# fps = 3\n\n[video]\n#fps = 3\n"));
        assert!(is_blank(&crate::config::document::example()));
        assert!(!is_blank("[video]\nfps = 3"));
        assert!(!is_blank("[vido]\nfps = 3"));
        assert!(!is_blank("a = 1"));
        assert!(!is_blank("no toml"));
    }
}
