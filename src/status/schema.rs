//! Checks a document against `schema.json`, for tests.
//!
//! Covers the keywords that the schema uses, and fails for any other, so that no keyword of the schema goes unchecked.
//!
//! Does not: belong to the program.

use serde_json::Value;

/// The schema of a report.
pub(crate) const SCHEMA: &str = include_str!("schema.json");

/// All violations of the schema by `document`, each with its place.
pub(crate) fn violations(document: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    let mut found = Vec::new();
    check(&schema, &schema, document, "", &mut found);
    found
}

fn check(root: &Value, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    let keywords = schema.as_object().expect("a schema is an object");
    for (keyword, rule) in keywords {
        let is_met = match keyword.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" => true,
            "type" => is_type(rule, value),
            "const" => rule == value,
            "enum" => rule.as_array().expect("a list").contains(value),
            "minimum" => {
                value.as_f64().is_none_or(|number| number >= rule.as_f64().expect("a number"))
            }
            "minItems" => value
                .as_array()
                .is_none_or(|list| list.len() as u64 >= rule.as_u64().expect("a number")),
            "maxItems" => value
                .as_array()
                .is_none_or(|list| list.len() as u64 <= rule.as_u64().expect("a number")),
            "required" => {
                let has = |name: &Value| value.get(name.as_str().expect("a name")).is_some();
                value.as_object().is_none_or(|_| rule.as_array().expect("a list").iter().all(has))
            }
            "properties" => {
                for (name, rule) in rule.as_object().expect("an object") {
                    if let Some(value) = value.get(name) {
                        check(root, rule, value, &format!("{place}/{name}"), found);
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = schema.get("properties").and_then(Value::as_object);
                let fields = value.as_object().into_iter().flatten();
                let others = fields
                    .filter(|(name, _)| !known.is_some_and(|known| known.contains_key(*name)));
                for (name, value) in others {
                    let place = format!("{place}/{name}");
                    if *rule == Value::Bool(false) {
                        found.push(format!("{place} is not in the schema"));
                    } else {
                        check(root, rule, value, &place, found);
                    }
                }
                true
            }
            "items" => {
                for (nth, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, item, &format!("{place}/{nth}"), found);
                }
                true
            }
            "anyOf" => rule.as_array().expect("a list").iter().any(|rule| {
                let mut inner = Vec::new();
                check(root, rule, value, place, &mut inner);
                inner.is_empty()
            }),
            "$ref" => {
                let path = rule.as_str().and_then(|text| text.strip_prefix('#')).expect("a place");
                check(root, root.pointer(path).expect("a definition"), value, place, found);
                true
            }
            other => panic!("the keyword {other} is not checked here"),
        };
        if !is_met {
            found.push(format!("{place}: {value} breaks {keyword} {rule}"));
        }
    }
}

fn is_type(rule: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => {
            value.is_u64() || value.is_i64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
        }
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is not a type"),
    };
    match rule.as_str() {
        Some(name) => is(name),
        None => {
            let mut names = rule.as_array().expect("a list").iter();
            names.any(|name| is(name.as_str().expect("a name")))
        }
    }
}
