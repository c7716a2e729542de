//! The keys of events: `[events]`.
//!
//! Does not: open files, start programs or connect.

use std::time::Duration;

use super::{Initial, Key, Takes, filled};
use crate::config::events::{keep_exec, keep_types, keep_webhook};

const NAMES: &str = "types of events (see systemd/README.md)";

pub(super) static KEYS: &[Key] = &[
    Key {
        name: "events.types",
        initial: Initial::Unset { means: "all", example: r#"["camera_lost", "camera_back"]"# },
        what: "The types of events that are written to standard output and to the file.",
        takes: Takes::Texts {
            separator: ',',
            kind: NAMES,
            keep: |d, names| keep_types(&mut d.events.types, names),
        },
    },
    Key {
        name: "events.stdout",
        initial: Initial::Is("false"),
        what: "Write events to standard output, a JSON object a line.",
        takes: Takes::Flag(|d, on| d.events.stdout = on),
    },
    Key {
        name: "events.file",
        initial: Initial::Unset {
            means: "no file",
            example: r#""/var/lib/livepeer-edge/events.jsonl""#,
        },
        what: "A file to which events are appended, a JSON object a line.",
        takes: Takes::Text {
            kind: "path of a file",
            keep: |d, text| filled(text).map(|path| d.events.file = Some(path.into())),
        },
    },
    Key {
        name: "events.file-size",
        initial: Initial::Is("10"),
        what: "The size at which the file is renamed to PATH.1 and a new one begun.",
        takes: Takes::Whole {
            from: 1,
            to: 1000,
            step: 1,
            unit: "MB",
            keep: |d, n| d.events.file_bytes = 1_000_000 * u64::from(n),
        },
    },
    Key {
        name: "events.file-count",
        initial: Initial::Is("3"),
        what: "How many older files are kept: PATH.1, PATH.2 and so on.",
        takes: Takes::Whole {
            from: 0,
            to: 100,
            step: 1,
            unit: "files",
            keep: |d, n| d.events.file_count = n,
        },
    },
    Key {
        name: "events.exec",
        initial: Initial::Unset { means: "no program", example: r#"["/usr/local/bin/on-event"]"# },
        what: "A program and its arguments, run for each event with the JSON object on its standard input, one at a time, without a shell.",
        takes: Takes::Texts {
            separator: ',',
            kind: "a program and its arguments",
            keep: keep_exec,
        },
    },
    Key {
        name: "events.exec-time",
        initial: Initial::Is(r#""10 s""#),
        what: "The time limit of one run. A program that exceeds it is killed with its children.",
        takes: Takes::Time {
            from: Duration::from_millis(100),
            to: Duration::from_secs(300),
            keep: |d, time| d.events.exec_time = time,
        },
    },
    Key {
        name: "events.exec-types",
        initial: Initial::Unset { means: "all but model", example: r#"["camera_lost"]"# },
        what: "The types of events for which the program is run.",
        takes: Takes::Texts {
            separator: ',',
            kind: NAMES,
            keep: |d, names| keep_types(&mut d.events.exec_types, names),
        },
    },
    Key {
        name: "events.webhook",
        initial: Initial::Unset { means: "none", example: r#""https://hooks.example/camera""# },
        what: "The URL to which each event is posted as a JSON object. Its certificate is checked as those of services are.",
        takes: Takes::Text { kind: "https URL", keep: keep_webhook },
    },
    Key {
        name: "events.webhook-secret",
        initial: Initial::Unset { means: "none", example: r#""credential:webhook-secret""# },
        what: "Where a secret is kept. With it, the header Livepeer-Edge-Signature of each post is sha256= and the HMAC-SHA256 of the body.",
        takes: Takes::Text {
            kind: "file:/path, credential:NAME or env:VARIABLE",
            keep: |d, text| {
                d.events.secret = Some(text.parse().map_err(|error| format!("{error}"))?);
                Ok(())
            },
        },
    },
    Key {
        name: "events.webhook-types",
        initial: Initial::Unset { means: "all but model", example: r#"["camera_lost"]"# },
        what: "The types of events that are posted.",
        takes: Takes::Texts {
            separator: ',',
            kind: NAMES,
            keep: |d, names| keep_types(&mut d.events.webhook_types, names),
        },
    },
];
