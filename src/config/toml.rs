//! Parses a TOML text into entries of key, value and line, and reports its syntax errors.
//!
//! Does not: know which keys exist.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Complaint;

/// One `key = value`.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    /// `section.name`; without a dot if the entry is outside of a section, or is an empty section.
    pub(super) key: String,
    /// The value, or why it cannot be read.
    pub(super) value: Result<Value, Complaint>,
    /// The line, from 1.
    pub(super) line: usize,
    /// The number of its table from 0, if it is in one of several tables of the same name, as `[[output]]`.
    pub(super) table: Option<usize>,
}

/// The lines with syntax errors, with their complaints.
pub(super) type Unreadable = BTreeMap<usize, Complaint>;

/// The entries in the order of their lines. An entry whose value cannot be read has its complaint as value. After an
/// error elsewhere (a broken section, a repeated key) entries cannot be assigned to sections; then only the errors are
/// returned.
pub(super) fn entries(text: &str) -> Result<Vec<Entry>, Unreadable> {
    let line_of = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut syntax = Unreadable::new();
    for error in errors {
        let line = line_of(error.span().map_or(0, |span| span.start));
        syntax.entry(line).or_insert_with(|| Complaint::Syntax(error.message().to_owned()));
    }
    let (mut entries, mut placed) = (Vec::new(), 0);
    let mut push = |key: String, at: usize, value, table| {
        let line = line_of(at);
        let value = syntax.get(&line).cloned().map_or_else(|| json(value), Err);
        placed += usize::from(syntax.contains_key(&line));
        entries.push(Entry { key, value, line, table });
    };
    for (section, value) in document.get_ref() {
        if let Some(tables) = tables(value) {
            for (number, (table, whole)) in tables.into_iter().enumerate() {
                let (section, number) = (section.get_ref(), Some(number));
                if table.is_empty() {
                    push(section.to_string(), whole.span().start, whole, number);
                }
                for (name, value) in table {
                    let key = format!("{section}.{}", name.get_ref());
                    push(key, name.span().start, value, number);
                }
            }
            continue;
        }
        match value.get_ref().as_table().filter(|table| !table.is_empty()) {
            None => push(section.get_ref().to_string(), section.span().start, value, None),
            Some(table) => {
                for (name, value) in table {
                    let key = format!("{}.{}", section.get_ref(), name.get_ref());
                    push(key, name.span().start, value, None);
                }
            }
        }
    }
    if placed < syntax.len() {
        return Err(syntax);
    }
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

/// The tables of a list that contains only tables.
fn tables<'a, 'b>(
    value: &'a Spanned<DeValue<'b>>,
) -> Option<Vec<(&'a DeTable<'b>, &'a Spanned<DeValue<'b>>)>> {
    let list = value.get_ref().as_array().filter(|list| !list.is_empty())?;
    list.iter().map(|item| Some((item.get_ref().as_table()?, item))).collect()
}

fn json(value: &Spanned<DeValue<'_>>) -> Result<Value, Complaint> {
    let no = |found: &str, allowed: &str| Complaint::NotAllowed {
        found: found.to_owned(),
        allowed: allowed.to_owned(),
    };
    Ok(match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(on) => Value::Bool(*on),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_err(|_| no(number.as_str(), "whole numbers of 64 bits"))?
            .into(),
        DeValue::Float(number) => {
            let finite = number.as_str().parse().ok().and_then(serde_json::Number::from_f64);
            Value::Number(finite.ok_or_else(|| no(number.as_str(), "finite numbers"))?)
        }
        DeValue::Array(values) => Value::Array(values.iter().map(json).collect::<Result<_, _>>()?),
        DeValue::Table(table) => Value::Object(
            table
                .iter()
                .map(|(name, value)| Ok((name.get_ref().to_string(), json(value)?)))
                .collect::<Result<Map<_, _>, Complaint>>()?,
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&[(&str, &str, usize)], &[usize]>) {
        let shown = |entry: Entry| {
            let value = entry.value.map_or("?".to_owned(), |value| value.to_string());
            (entry.key, value, entry.line)
        };
        let found = entries(text)
            .map(|entries| entries.into_iter().map(shown).collect::<Vec<_>>())
            .map_err(|syntax| syntax.into_keys().collect::<Vec<_>>());
        let owned =
            |(key, value, line): &(&str, &str, usize)| ((*key).into(), (*value).into(), *line);
        let expected = expected.map(|e| e.iter().map(owned).collect()).map_err(<[usize]>::to_vec);
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn each_entry_has_its_line() {
        check("", Ok(&[]));
        check("\n[a]\nb = 1\n\nc = [1, 'x']\n", Ok(&[("a.b", "1", 3), ("a.c", "[1,\"x\"]", 5)]));
        check("a.b = true\nc = 2\n", Ok(&[("a.b", "true", 1), ("c", "2", 2)]));
        check("[a]\nb = { c = 1.5, d = 0xff }", Ok(&[("a.b", "{\"c\":1.5,\"d\":255}", 2)]));
        check("[a]\n[a.b]\nc = 1", Ok(&[("a.b", "{\"c\":1}", 2)]));
        check("[a]", Ok(&[("a", "{}", 1)]));
        check("[a]\r\nb = 1_000\r\nc = 2", Ok(&[("a.b", "1000", 2), ("a.c", "2", 3)]));
        check("[a]\nwhen = 2026-01-02", Ok(&[("a.when", "\"2026-01-02\"", 2)]));
    }

    #[test]
    fn several_tables_of_one_name_keep_their_order_and_lines() {
        check(
            "[[a]]\nb = 1\n\n[[a]]\nb = 2\nc = 3\n",
            Ok(&[("a.b", "1", 2), ("a.b", "2", 5), ("a.c", "3", 6)]),
        );
        let numbers = |text: &str| -> Vec<Option<usize>> {
            entries(text).unwrap().iter().map(|entry| entry.table).collect()
        };
        assert_eq!(numbers("[[a]]\nb = 1\n[[a]]\n[[a]]\nb = 2"), [Some(0), Some(1), Some(2)]);
        assert_eq!(numbers("a = [{b = 1}, {b = 2}]"), [Some(0), Some(1)]);
        assert_eq!(numbers("a = [1, 2]\n[b]\nc = [{d = 1}]"), [None, None]);
    }

    #[test]
    fn values_that_json_does_not_have_are_refused_with_their_line() {
        check("[a]\nb = 99999999999999999999\nc = nan", Ok(&[("a.b", "?", 2), ("a.c", "?", 3)]));
        check("[a]\nb = { c = [inf] }", Ok(&[("a.b", "?", 2)]));
    }

    #[test]
    fn every_syntax_error_is_reported_and_the_rest_is_read() {
        let expected = [("a.b", "?", 2), ("a.c", "2", 3), ("a.d", "?", 4)];
        check("[a]\nb = \nc = 2\nd = 'x\n", Ok(&expected));
    }

    #[test]
    fn a_broken_structure_leaves_the_errors_alone() {
        check("[a\nb = 1\n[c]\nd = ", Err(&[1, 4]));
        check("[a]\nb = 1\nb = 2", Err(&[3]));
        check("[a]\n[a]\nb = 2", Err(&[2]));
        check("\0", Err(&[1]));
    }
}
