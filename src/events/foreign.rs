//! Makes a JSON object of a peer or a user safe to publish: bounded in size and depth, without characters that act on a
//! terminal, without URLs.
//!
//! URLs are replaced by `***`, because the URL of a channel is a credential. An object that is cut has `"truncated": true`.
//!
//! Does not: know the fields of any model.

use serde_json::{Map, Value};

use resilience::sanitize::is_harmful;

/// Maximum size of an object: the approximate length of its JSON, in bytes.
const BYTES: usize = 8 << 10;
/// Maximum characters of one text.
const CHARS: usize = 2000;
/// Maximum characters of a key.
const KEY_CHARS: usize = 64;
/// Maximum depth of objects and lists inside each other.
const DEPTH: usize = 8;
/// The bytes that JSON adds to a value: a comma, a colon, quotes.
const AROUND: usize = 6;

/// The object without what must not be published.
pub fn bounded(object: &Map<String, Value>) -> Map<String, Value> {
    let mut room = Room { bytes: BYTES, was_cut: false };
    let mut safe = room.object(object, DEPTH);
    if room.was_cut {
        safe.insert("truncated".to_owned(), Value::Bool(true));
    }
    safe
}

/// What is left of the bound.
struct Room {
    bytes: usize,
    was_cut: bool,
}

impl Room {
    /// Takes these bytes; returns false if fewer are left.
    fn take(&mut self, bytes: usize) -> bool {
        let left = self.bytes.checked_sub(bytes + AROUND);
        self.was_cut |= left.is_none();
        self.bytes = left.unwrap_or_default();
        left.is_some()
    }

    fn object(&mut self, object: &Map<String, Value>, depth: usize) -> Map<String, Value> {
        let mut safe = Map::new();
        for (key, value) in object {
            let key = self.text(key, KEY_CHARS);
            if !self.take(key.len()) {
                break;
            }
            let Some(value) = self.value(value, depth) else { break };
            safe.insert(key, value);
        }
        safe
    }

    /// The value; `None` if there is no room for it.
    fn value(&mut self, value: &Value, depth: usize) -> Option<Value> {
        Some(match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                self.take(value.to_string().len()).then(|| value.clone())?
            }
            Value::String(text) => {
                let text = self.text(text, CHARS);
                // Quotes and backslashes are escaped, as two bytes.
                let escapes = text.bytes().filter(|b| matches!(b, b'"' | b'\\')).count();
                self.take(text.len() + escapes).then_some(Value::String(text))?
            }
            Value::Array(_) | Value::Object(_) if depth == 0 => {
                self.was_cut = true;
                Value::Null
            }
            Value::Array(list) => {
                let values = list.iter().map_while(|value| self.value(value, depth - 1));
                Value::Array(values.collect())
            }
            Value::Object(object) => Value::Object(self.object(object, depth - 1)),
        })
    }

    fn text(&mut self, text: &str, max_chars: usize) -> String {
        let mut safe = String::new();
        let mut left = max_chars;
        for word in text.split_inclusive(char::is_whitespace) {
            let gap = word.len() - word.trim_end().len();
            let (shown, gap) = word.split_at(word.len() - gap);
            let shown = if shown.contains("://") { "***" } else { shown };
            for c in shown.chars().chain(gap.chars()) {
                if left == 0 {
                    self.was_cut = true;
                    safe.push('…');
                    return safe;
                }
                left -= 1;
                safe.push(if is_harmful(c) { ' ' } else { c });
            }
        }
        safe
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(event: Value, expected: Value) {
        let safe = bounded(event.as_object().unwrap());
        assert_eq!(Value::Object(safe), expected);
    }

    #[test]
    fn an_ordinary_event_stays_as_it_is() {
        let event = json!({ "type": "status", "fps": 23.9, "n": [1, null, true, "a \"b\" déjà"],
            "inference_status": { "last_params": { "prompt": "a cat" } } });
        check(event.clone(), event);
    }

    #[test]
    fn no_url_and_no_harmful_character_is_published() {
        check(
            json!({ "m": "see https://o:1/ai/trickle/s3cret now\r\n\u{1b}[2J", "\u{202e}k": "a://b" }),
            json!({ "m": "see *** now   [2J", " k": "***" }),
        );
    }

    #[test]
    fn long_and_deep_events_are_cut_and_say_so() {
        let long = bounded(json!({ "m": "x".repeat(99_999) }).as_object().unwrap());
        assert_eq!(long["m"].as_str().unwrap().chars().count(), CHARS + 1);
        assert_eq!(long["truncated"], true);

        let mut deep = json!(1);
        (0..100).for_each(|_| deep = json!([deep]));
        let deep = bounded(json!({ "m": deep }).as_object().unwrap());
        assert_eq!(deep["truncated"], true);

        let wide: Map<String, Value> = (0..9999).map(|n| (format!("key{n}"), json!(n))).collect();
        let many: Map<String, Value> =
            (0..99).map(|n| (format!("{n}"), json!("\"".repeat(1999)))).collect();
        let list = json!({ "list": vec![0; 99_999] }).as_object().cloned().unwrap();
        for object in [wide, many, list] {
            let safe = bounded(&object);
            assert_eq!(safe["truncated"], true);
            let length = Value::Object(safe).to_string().len();
            assert!(length < BYTES + 100, "{length}");
        }
    }
}
